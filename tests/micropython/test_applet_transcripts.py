"""Published transcripts, replayed bit for bit against the applet: its random source is the transcripts' own."""

import json
from pathlib import Path
from typing import Any

from tests.micropython.bandlab import MAC, open_lab

from bandwire import apdu
from bandwire.errors import StatusError

_FILE = Path(__file__).resolve().parents[1] / "data" / "ntag424_public.json"
_VECTORS: dict[str, dict[str, Any]] = {entry["id"]: entry for entry in json.loads(_FILE.read_text())["vectors"]}
_PREPARE_RANDOM = "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF" + "01020304"
_SUN_FILLER = "0102030405"
_SELECT_DF = "00A4040007D276000085010100"


def _random(name: str) -> str:
    given = _VECTORS[name]["in"]
    return str(given["rndb"]) + str(given.get("ti", ""))


def _first(name: str) -> list[tuple[str, str]]:
    expect = _VECTORS[name]["expect"]
    return [
        (expect["capdu1"], expect["e_rndb"] + "91AF"),
        ("90AF000020" + expect["e_part2"] + "00", expect["e_resp"] + "9100"),
    ]


def _full(name: str) -> tuple[str, str]:
    """(C-APDU, R-APDU) of a CommMode.Full command whose answer has no data."""
    given, expect = _VECTORS[name]["in"], _VECTORS[name]["expect"]
    body = given["header"] + expect["ct"] + expect["mact"]
    capdu = expect.get("capdu", f"90{given['cmd']}0000{len(body) // 2:02X}{body}00")
    return capdu, expect["resp_mact"] + "9100"


async def _replay(lab: Any, exchanges: list[tuple[str, str]]) -> None:
    for capdu, rapdu in exchanges:
        assert await lab.raw(capdu) == rapdu, capdu


async def test_first_with_key_0_then_write_and_change_settings(tmp_path: Path) -> None:
    script = _PREPARE_RANDOM + _random("an12196-t14-authEV2First-k0") + _SUN_FILLER
    lab = await open_lab(tmp_path / "flash", random=bytes.fromhex(script))
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        await lab.change_settings(2, "03 00E0")  # the transcript's file is written with key 0, in Full mode
        await _replay(lab, _first("an12196-t14-authEV2First-k0"))
        await _replay(lab, [_full("an12196-t18-writedata-full"), _full("an12196-t19-changefilesettings")])
        # What the transcript wrote and set is there.
        assert await lab.raw(_SELECT_DF) == "9000"
        assert await lab.raw("90F50000010200") == "004000E0000100C1F1212000004300004300009100"
        text = _VECTORS["an12196-t18-writedata-full"]["in"]["data"]
        assert (await lab.raw("90AD0000070200000020000000")) == text[:64] + "9100"


async def test_first_with_key_3_nonfirst_with_key_0_and_both_kinds_of_change_key(tmp_path: Path) -> None:
    script = _random("an12196-t20-authEV2First-k3") + _random("an12196-t24-authEV2NonFirst-k0")
    lab = await open_lab(tmp_path / "flash", random=bytes.fromhex(script))
    changed, master = _VECTORS["an12196-t26-changekey-case1"], _VECTORS["an12196-t27-changekey-case2"]
    async with lab.band:
        await lab.select()
        await _replay(lab, _first("an12196-t20-authEV2First-k3"))
        await _replay(lab, [_full("an12196-t22-writedata-file3")])
        # Plain inside the session, and counted: the next command of the transcript runs under counter 2.
        await _replay(lab, [("90AD0000070200000004000000", "000000009100")])
        nonfirst = _VECTORS["an12196-t24-authEV2NonFirst-k0"]["expect"]
        await _replay(lab, [(nonfirst["capdu1"], nonfirst["e_rndb"] + "91AF")])
        await _replay(lab, [("90AF000020" + nonfirst["e_part2"] + "00", nonfirst["e_resp"] + "9100")])
        await _replay(lab, [(changed["expect"]["capdu"], changed["expect"]["resp_mact"] + "9100")])
        await _replay(lab, [(master["expect"]["capdu"], "9100")])
        assert await lab.raw("90640000010200") == "019100"
        assert await lab.raw("90640000010000") == "019100"
        assert await lab.raw("90640000010100") == "009100"
    # The new keys open the card after a restart, the old one does not.
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(2, bytes.fromhex(changed["in"]["new"]))
        assert await lab.read(3, 0, 10) == bytes.fromhex("0102030405060708090A")
        await lab.auth(0, bytes.fromhex(master["in"]["new"]))
        try:
            await lab.auth(0)
        except StatusError as error:
            status = error.sw
        assert status == apdu.SW_AUTH


async def test_the_published_settings_answer(tmp_path: Path) -> None:
    expected = _VECTORS["an12196-t8-getfilesettings-mac"]["in"]["resp_data"]
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        # FileOption, AccessRights, and all that follows the file size, as ChangeFileSettings takes them.
        await lab.change_settings(2, expected[2:8] + expected[14:])
        answer = await lab.command(apdu.INS_GET_FILE_SETTINGS, b"\x02", b"", MAC)
        assert answer.hex().upper() == expected


async def test_random_numbers_are_drawn_for_the_challenge_and_only_then_for_a_proved_reader(tmp_path: Path) -> None:
    """A refused part 2 draws no TI: the script still holds RndB and TI of the authentication after it."""
    vector = "an12196-t14-authEV2First-k0"
    lab = await open_lab(tmp_path / "flash", random=bytes.fromhex("55" * 16 + _random(vector)))
    async with lab.band:
        await lab.select()
        assert (await lab.raw("9071000002000000"))[-4:] == "91AF"
        assert await lab.raw("90AF000020" + "00" * 32 + "00") == "91AE"
        await _replay(lab, _first(vector))
