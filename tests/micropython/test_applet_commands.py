"""Native commands: framing, the order in which checks fail, what each command needs, and what errors cost."""

from pathlib import Path

import pytest
from tests.micropython.bandlab import FULL, MAC, PLAIN, UID, Lab, open_lab

from bandwire import apdu
from bandwire.errors import StatusError
from bandwire.keys import FACTORY_KEY, change_key_data

SELECT_DF = "00A4040007D276000085010100"
FACTORY_SETTINGS = {1: "000000E0200000", 2: "0000E0EE000100", 3: "00033023800000"}

# (state, C-APDU, answer). States: mf after power-up; df with the application selected; no session in either.
FRAMING = [
    ("df", "9064000001" + "01" + "00", "009100"),
    ("df", "9099000000", "911C"),  # unknown instruction, before anything else is looked at
    ("df", "90990102", "911C"),
    ("df", "90AF000000", "911C"),
    ("df", "90AF010000", "911C"),
    ("df", "9060000100", "919E"),
    ("df", "9060010000", "919E"),
    ("df", "90640100010100", "919E"),
    ("df", "906401000101", "919E"),  # P1 before the missing Le
    ("df", "9060000001", "917E"),  # Le is not 00
    ("df", "90600000", "917E"),  # Le missing
    ("df", "906400000101", "917E"),
    ("df", "90640000020100", "917E"),  # Lc and data differ
    ("df", "9064000000", "917E"),  # header missing
    ("df", "906400000201FF00", "917E"),  # data without a session
    ("df", "90640000000100", "917E"),  # Lc 00 is left out, never sent
    ("df", "9064000000000100", "917E"),  # extended length
    ("df", "90", "917E"),
    ("df", "906000", "917E"),
    ("df", "8060000000", "6E00"),
    ("df", "FFCA000000", "6E00"),
    ("df", "FF", "6700"),
    ("mf", "9099000000", "911C"),
    ("mf", "9060000001", "917E"),  # length before the selection
    ("mf", "9071000002FF0000", "9140"),  # selection before reserved bits
    ("mf", "90710000020000", "917E"),
    ("mf", "90770000010000", "9140"),
    ("mf", "90640000010100", "9140"),
    ("mf", "90C40000010000", "9140"),
    ("mf", "90F50000010200", "919D"),
    ("mf", "905F0000010200", "919D"),
    ("mf", "90F60000010200", "919D"),
    ("mf", "90AD0000070200000000000000", "919D"),
    ("mf", "908D0000080200000001000000" + "00", "919D"),
    ("mf", "905C0000010000", "919D"),
    ("mf", "90D8000000", "919D"),
    ("mf", "9051000000", "91AE"),
]

ACCESS = [
    # Reserved bits of the number, then whether it exists, then access.
    ("df", "90F50000018200", "919E"),
    ("df", "90F50000010000", "91F0"),
    ("df", "90F50000010400", "91F0"),
    ("df", "90F50000011F00", "91F0"),
    ("df", "905F0000018200", "919E"),
    ("df", "905F0000010400", "91F0"),
    ("df", "905F0000010200", "91AE"),
    ("df", "90AD0000078300000000000000", "919E"),
    ("df", "90AD0000070500000000000000", "91F0"),
    ("df", "90AD0000070300000000000000", "91AE"),
    ("df", "90AD0000060200000000000000", "917E"),
    ("df", "908D0000080100000001000000" + "00", "91AE"),
    ("df", "908D0000080900000001000000" + "00", "91F0"),
    ("df", "90F60000010200", "919D"),  # SDM is off
    ("df", "90F60000010300", "919D"),
    ("df", "90F60000010900", "91F0"),
    ("df", "90640000011000", "919E"),
    ("df", "90640000010500", "9140"),
    ("df", "90640000010F00", "9140"),
    ("df", "9071000002400000", "919E"),
    ("df", "9071000002050000", "9140"),
    ("df", "90710000023F0000", "9140"),
    ("df", "907100000200FF00", "917E"),  # Lc is not 2 + LenCap
    ("df", "90710000010000", "917E"),
    ("df", "90770000014000", "919E"),
    ("df", "90770000010500", "9140"),
    ("df", "90770000010000", "919D"),  # no session to go on with
    ("df", "9077000002000000", "917E"),
    ("df", "90C40000014000", "919E"),
    ("df", "90C40000010500", "9140"),
    ("df", "90C40000010000", "91AE"),
    ("df", "90C4000000", "917E"),
    ("df", "905C0000010000", "91AE"),
    ("df", "905C0000010900", "91AE"),
    ("df", "9051000000", "91AE"),
    ("df", "90510000010000", "91AE"),
    ("df", "90D8000000", "91AE"),
]


async def _into(lab: Lab, state: str) -> None:
    await lab.band.reset()
    if state == "df":
        await lab.select()


@pytest.mark.parametrize("table", [FRAMING, ACCESS], ids=["framing", "access"])
async def test_what_fails_first_is_the_answer(tmp_path: Path, table: list[tuple[str, str, str]]) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        for state, capdu, expected in table:
            await _into(lab, state)
            assert await lab.raw(capdu) == expected, f"{state} {capdu}"


async def test_multi_frame_commands_are_not_interrupted(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    starts = ("9060000000", "9071000002000000")
    async with lab.band:
        for start in starts:
            for intruder, expected in (
                ("90640000010100", "91CA"),
                ("9099000000", "91CA"),  # any other native command, known or not
                (start, "91CA"),
                (SELECT_DF, "6985"),
                ("00B0000000", "6985"),
                ("8000000000", "6E00"),
                ("90AF000001", "917E"),
            ):
                await lab.select()
                assert (await lab.raw(start)).endswith("91AF")
                assert await lab.raw(intruder) == expected, intruder
                assert await lab.raw("90AF000000") == "911C", "the pending operation was not dropped"
                assert await lab.raw("90640000010100") == "009100", "the next command is normal"


async def test_get_version_in_three_frames(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        for selected in (False, True):
            await _into(lab, "df" if selected else "mf")
            assert await lab.raw("9060000000") == "0404023000110591AF"
            assert await lab.raw("90AF000000") == "0404020102110591AF"
            assert await lab.raw("90AF000000") == UID.hex().upper() + "00" * 7 + "9100"
            assert await lab.raw("90AF000000") == "911C"
        assert (await lab.raw("9060000000")).endswith("91AF")
        assert await lab.raw("90AF0000010000") == "917E"


async def test_get_version_in_a_session_is_covered_by_one_mac(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(1)
        assert lab.channel is not None
        answer = b""
        capdu = lab.channel.command(apdu.INS_GET_VERSION, b"", b"", MAC)
        for _ in range(3):
            data, sw = apdu.split(await lab.band.apdu(capdu))
            answer += data
            capdu = apdu.native(apdu.INS_MORE)
        assert sw == apdu.SW_OK
        whole = lab.channel.response(answer + b"\x91\x00", MAC)
        assert whole[14:21] == UID
        assert len(whole) == 28
        # One step of the counter for all three frames: the session goes on.
        assert await lab.command(apdu.INS_GET_CARD_UID) == UID


async def test_information_commands_with_and_without_a_session(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        for number, settings in FACTORY_SETTINGS.items():
            assert await lab.raw(f"90F50000010{number}00") == settings + "9100"
        await lab.auth(4)
        for number, settings in FACTORY_SETTINGS.items():
            assert (await lab.command(apdu.INS_GET_FILE_SETTINGS, bytes([number]), b"", MAC)).hex() == settings.lower()
        assert await lab.command(apdu.INS_GET_KEY_VERSION, b"\x03", b"", MAC) == b"\x00"
        assert await lab.command(apdu.INS_GET_CARD_UID) == UID


# (key, instruction, header, data, mode, refusal) of commands that a session refuses.
REFUSED_IN_SESSION = [
    (0, apdu.INS_GET_KEY_VERSION, "10", "", MAC, "919E"),
    (0, apdu.INS_GET_KEY_VERSION, "05", "", MAC, "9140"),
    (0, apdu.INS_GET_KEY_VERSION, "01", "", PLAIN, "911E"),  # no MAC where one is due
    (0, apdu.INS_GET_KEY_VERSION, "01", "00", MAC, "917E"),  # a right MAC over data that may not be there
    (0, apdu.INS_GET_CARD_UID, "", "00", FULL, "917E"),
    (0, apdu.INS_GET_CARD_UID, "", "", PLAIN, "911E"),
    (0, apdu.INS_GET_FILE_SETTINGS, "09", "", MAC, "91F0"),
    (0, apdu.INS_GET_FILE_COUNTERS, "02", "", FULL, "919D"),
    (1, apdu.INS_CHANGE_KEY, "01", "00" * 21, FULL, "91AE"),
    (1, apdu.INS_SET_CONFIGURATION, "00", "02", FULL, "91AE"),
    (1, apdu.INS_CHANGE_FILE_SETTINGS, "02", "00E0EE", FULL, "91AE"),
    (0, apdu.INS_CHANGE_KEY, "45", "00" * 21, FULL, "919E"),
    (0, apdu.INS_CHANGE_KEY, "05", "00" * 21, FULL, "9140"),
    (0, apdu.INS_CHANGE_KEY, "01", "00" * 20, FULL, "917E"),
    (0, apdu.INS_CHANGE_KEY, "00", "00" * 21, FULL, "917E"),
    (0, apdu.INS_CHANGE_KEY, "01", "00" * 21, FULL, "911E"),  # its checksum is wrong
    (0, apdu.INS_CHANGE_KEY, "01", "00" * 21, MAC, "911E"),  # not encrypted
    (0, apdu.INS_SET_CONFIGURATION, "00", "0200", FULL, "917E"),
    (0, apdu.INS_SET_CONFIGURATION, "00", "", FULL, "917E"),
    (0, apdu.INS_SET_CONFIGURATION, "01", "02", FULL, "919E"),
    (0, apdu.INS_SET_CONFIGURATION, "00", "03", FULL, "919E"),
    (0, apdu.INS_SET_CONFIGURATION, "00", "82", FULL, "919E"),
    (0, apdu.INS_SIGN_CHARGE, "", "00" * 31, MAC, "91AE"),
    (1, apdu.INS_SIGN_CHARGE, "", "00" * 31, MAC, "919E"),
    (1, apdu.INS_SIGN_CHARGE, "", "01" * 30, MAC, "917E"),
    (1, apdu.INS_SIGN_CHARGE, "", "01" * 31, PLAIN, "911E"),
]


async def test_refusals_in_a_session_are_bare_and_end_it(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        for key_no, ins, header, data, mode, expected in REFUSED_IN_SESSION:
            await lab.select()
            await lab.auth(key_no)
            answer = await lab.refusal(ins, bytes.fromhex(header), bytes.fromhex(data), mode)
            assert answer == expected, f"{ins:02X} {header} {data}"
            assert await lab.raw("9051000000") == "91AE", f"session outlived {expected} of {ins:02X}"


async def test_the_same_command_twice_is_a_wrong_mac(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        assert lab.channel is not None
        capdu = lab.channel.command(apdu.INS_GET_CARD_UID).hex()
        assert (await lab.raw(capdu)).endswith("9100")
        assert await lab.raw(capdu) == "911E"
        assert await lab.raw(capdu) == "91AE"


async def test_authentication_part_2_refusals(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        for part2, expected in (("00" * 32, "91AE"), ("00" * 31, "917E"), ("00" * 33, "917E"), ("", "917E")):
            assert (await lab.raw("9071000002000000")).endswith("91AF")
            capdu = f"90AF0000{len(part2) // 2:02X}{part2}00" if part2 else "90AF000000"
            assert await lab.raw(capdu) == expected
            assert await lab.raw(capdu) == "911C"
            assert await lab.raw("9051000000") == "91AE"


async def test_first_part_1_ends_a_running_session_and_nonfirst_keeps_its_counter(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        assert lab.channel is not None
        await lab.command(apdu.INS_GET_CARD_UID)
        ti = lab.channel.ti
        await lab.auth(3, first=False)
        assert (lab.channel.ti, lab.channel.ctr, lab.channel.key_no) == (ti, 1, 3)
        await lab.command(apdu.INS_GET_CARD_UID)
        await lab.write(3, 0, b"\x01")  # key 3's right
        assert (await lab.raw("9071000002000000")).endswith("91AF")
        assert await lab.raw("90AF000020" + "00" * 32 + "00") == "91AE"
        # A NonFirst that fails costs the session as well.
        await lab.auth(0)
        with pytest.raises(StatusError) as refused:
            await lab.auth(1, bytes([1] * 16), first=False)
        assert refused.value.sw == apdu.SW_AUTH
        assert await lab.raw("9051000000") == "91AE"


async def test_reader_capabilities_are_cut_or_padded_and_echoed(tmp_path: Path) -> None:
    from bandwire.aes import ZERO16
    from steward.adapters.aes import HostAes

    aes = HostAes()
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        for caps, echoed in (("", "00" * 6), ("AABB", "AABB00000000"), ("0102030405060708", "010203040506")):
            data = f"00{len(caps) // 2:02X}{caps}"
            answer = await lab.raw(f"90710000{len(data) // 2:02X}{data}00")
            rnd_b = aes.cbc_decrypt(FACTORY_KEY, ZERO16, bytes.fromhex(answer[:32]))
            proof = aes.cbc_encrypt(FACTORY_KEY, ZERO16, ZERO16 + rnd_b[1:] + rnd_b[:1])
            answer = await lab.raw(f"90AF000020{proof.hex()}00")
            plain = aes.cbc_decrypt(FACTORY_KEY, ZERO16, bytes.fromhex(answer[:64]))
            assert plain[20:].hex().upper() == "00" * 6 + echoed


async def test_change_key_with_a_wrong_old_key_changes_nothing(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        data = change_key_data(3, bytes(range(16)), 7, bytes([9] * 16))
        assert await lab.refusal(apdu.INS_CHANGE_KEY, b"\x03", data, FULL) == "911E"
        assert await lab.raw("90640000010300") == "009100"
        await lab.auth(3)


async def test_command_counter_runs_out(tmp_path: Path) -> None:
    """65,535 commands fit in a session; the next one fails as a wrong MAC would."""
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        plain = [bytes.fromhex("90AD0000070200000001000000")] * 65535
        answers = await lab.band.apdus(plain)
        assert set(answers) == {bytes.fromhex("009100")}
        assert await lab.raw(plain[0].hex()) == "911E"
        # Without a session the same bytes are an ordinary open read.
        assert await lab.raw(plain[0].hex()) == "009100"
        assert await lab.raw("9051000000") == "91AE"


async def test_random_id_hides_the_uid_from_the_next_activation_on(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        assert await lab.command(apdu.INS_SET_CONFIGURATION, b"\x00", b"\x00") == b""
        assert (await lab.raw("9060000000"))[-4:] == "911E"  # the session wants a MAC
        for _ in range(2):
            assert (await lab.raw("9060000000")).endswith("91AF")
            assert (await lab.raw("90AF000000")).endswith("91AF")
            assert (await lab.raw("90AF000000"))[:14] == UID.hex().upper()
        await lab.auth(0)
        assert await lab.command(apdu.INS_SET_CONFIGURATION, b"\x00", b"\x02") == b""
        assert await lab.command(apdu.INS_GET_CARD_UID) == UID
        await lab.band.kill()
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.raw("9060000000")
        await lab.raw("90AF000000")
        assert await lab.raw("90AF000000") == "00" * 14 + "9100"
        await lab.auth(0)
        assert await lab.command(apdu.INS_GET_CARD_UID) == UID
