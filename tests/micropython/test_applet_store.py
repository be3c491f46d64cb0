"""The record store under the applet: restarts, damage, a full disk, a flash that is another band's."""

from pathlib import Path

import pytest
from tests.micropython.bandlab import FULL, KEYS, MAC, UID, open_lab, read_record, read_slot, write_record

from bandwire import apdu, charge
from voyage.bandproc import BandOptions, BandProcess, BandStopped

RECORDS = ("id", "keys", "hot", "s1", "s2", "s3", "f1", "f2", "f3")
READ_CC = "90AD0000070100000002000000"
REQUEST = charge.pack_request(1, "EUR", "T", bytes(16))


def snapshot(state: Path) -> dict[str, bytes]:
    """The card's records; the record of faults is a folder of its own."""
    return {path.name: path.read_bytes() for path in sorted(state.iterdir()) if path.is_file()}


def spoil(state: Path, name: str) -> None:
    """Flip a bit of both slots of a record."""
    for slot in (0, 1):
        path = state / f"{name}.{slot}"
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 0x10
        path.write_bytes(raw)


async def test_a_restart_keeps_everything_and_writes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    lab = await open_lab(state)
    await lab.select()
    await lab.auth(3)
    await lab.write(3, 5, b"hello")
    await lab.auth(0)
    await lab.change_settings(3, "03 4041")
    await lab.change_key(4, KEYS[4], 9)
    await lab.band.kill()
    before = snapshot(state)
    lab = await open_lab(state)
    async with lab.band:
        assert snapshot(state) == before
        await lab.select()
        assert await lab.raw("90640000010400") == "099100"
        assert await lab.raw("90F50000010300") == "000340418000009100"
        await lab.auth(4, KEYS[4])
        assert await lab.read(3, 0, 12) == bytes(5) + b"hello" + bytes(2)


async def test_one_bad_slot_is_survived_and_the_next_write_heals_it(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    lab = await open_lab(state)
    await lab.select()
    await lab.auth(3)
    await lab.write(3, 0, b"one")
    await lab.write(3, 0, b"two")
    await lab.band.close()
    older = min((0, 1), key=lambda slot: (read_slot(state, "f3", slot) or (0, b""))[0])
    (state / f"f3.{older}").write_bytes(b"torn")
    lab = await open_lab(state)
    await lab.select()
    await lab.auth(3)
    assert await lab.read(3, 0, 3) == b"two"
    await lab.write(3, 0, b"six")
    await lab.band.close()
    assert read_slot(state, "f3", 0) is not None
    assert read_slot(state, "f3", 1) is not None
    assert read_record(state, "f3")[:3] == b"six"


@pytest.mark.parametrize("name", RECORDS)
async def test_a_damaged_record_is_told_and_never_reset(tmp_path: Path, name: str) -> None:
    """Both slots gone: what needs it answers 91EE or 6581, the rest goes on, and flash stays as it is."""
    state = tmp_path / "flash"
    lab = await open_lab(state)
    await lab.select()
    await lab.auth(0)  # leaves the sequence of `hot` behind factory state
    await lab.band.close()
    spoil(state, name)
    before = snapshot(state)
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        await lab.raw("9060000000")
        await lab.raw("90AF000000")
        got = {
            "version": (await lab.raw("90AF000000"))[-4:],
            "key version": (await lab.raw("90640000010000"))[-4:],
            "settings 1": (await lab.raw("90F50000010100"))[-4:],
            "settings 2": (await lab.raw("90F50000010200"))[-4:],
            "settings 3": (await lab.raw("90F50000010300"))[-4:],
            "read 1": (await lab.raw(READ_CC))[-4:],
            "read 2": (await lab.raw(READ_CC.replace("AD00000701", "AD00000702")))[-4:],
        }
        await lab.raw("00A4000C02E103")
        got["binary 1"] = (await lab.raw("00B0000002"))[-4:]
        await lab.raw("00A4000C02E104")
        got["binary 2"] = (await lab.raw("00B0000002"))[-4:]
        got["update 2"] = (await lab.raw("00D6000001AA"))[-4:]
        got["challenge"] = (await lab.raw("9071000002000000"))[-4:]
    hit = {
        "id": {"version"},
        "keys": {"key version", "challenge"},
        "hot": {"challenge"},
        "s1": {"settings 1", "read 1", "binary 1"},
        "s2": {"settings 2", "read 2", "binary 2", "update 2"},
        "s3": {"settings 3"},
        "f1": {"read 1", "binary 1"},
        "f2": {"read 2", "binary 2", "update 2"},
        "f3": set(),
    }[name]
    hurt = {what for what, sw in got.items() if sw in ("91EE", "6581")}
    assert hurt == hit
    after = snapshot(state)
    assert after[f"{name}.0"] == before[f"{name}.0"]
    assert after[f"{name}.1"] == before[f"{name}.1"]


async def test_a_damaged_file_3_is_told_too(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    await (await open_lab(state)).band.close()
    spoil(state, "f3")
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        for ins, data in ((apdu.INS_READ_DATA, b""), (apdu.INS_WRITE_DATA, b"x")):
            await lab.auth(3)
            assert await lab.refusal(ins, apdu.file_range(3, 0, 1), data, FULL) == "91EE"


async def test_everything_lost_is_not_a_new_band(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    await (await open_lab(state)).band.close()
    for name in RECORDS:
        spoil(state, name)
    (state / "made.0").write_bytes(b"")
    before = snapshot(state)
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        assert await lab.raw("9071000002000000") == "91EE"
        assert snapshot(state) == before


async def test_a_lost_marker_does_not_make_a_used_band_new(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    lab = await open_lab(state)
    await lab.select()
    await lab.auth(0)
    await lab.change_key(4, KEYS[4], 9)
    await lab.band.close()
    (state / "made.0").unlink()
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        assert await lab.raw("90640000010400") == "099100"


async def test_a_refused_write_changes_nothing_in_ram_or_flash(tmp_path: Path) -> None:
    """Every kind of write once, each with the disk full at just that moment."""
    state = tmp_path / "flash"
    lab = await open_lab(state)
    await lab.select()
    await lab.auth(0)
    await lab.change_settings(2, "40 00E0 C1 F123 180000 3B0000 3B0000")
    await lab.band.close()
    for key_no, ins, header, data, mode in (
        (3, apdu.INS_WRITE_DATA, apdu.file_range(3, 0, 3), b"abc", FULL),
        (0, apdu.INS_CHANGE_FILE_SETTINGS, b"\x03", bytes.fromhex("034041"), FULL),
        (0, apdu.INS_CHANGE_KEY, b"\x00", KEYS[0] + b"\x05", FULL),
        (0, apdu.INS_SET_CONFIGURATION, b"\x00", b"\x02", FULL),
        (1, apdu.INS_SIGN_CHARGE, b"", REQUEST, MAC),
    ):
        before = {name: read_record(state, name) for name in RECORDS}
        lab = await open_lab(state, flash_fail=3)  # after the two of the authentication
        await lab.select()
        await lab.auth(key_no)
        assert await lab.refusal(ins, header, data, mode) == "91EE"
        assert {name: read_record(state, name) for name in RECORDS} == before
        # RAM agrees: keys, settings, file and counters are those of before.
        assert await lab.raw("90640000010000") == "009100"
        assert await lab.raw("90F50000010300") == "000330238000009100"
        await lab.auth(3)
        assert await lab.read(3, 0, 3) == bytes(3)
        await lab.auth(1)
        counter, _ = charge.unpack_response(await lab.command(apdu.INS_SIGN_CHARGE, b"", REQUEST, MAC))
        assert counter == int.from_bytes(before["hot"][5:9], "little") + 1
        await lab.band.close()


async def test_a_refused_write_of_a_counter_stops_what_needs_it(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    lab = await open_lab(state)
    await lab.select()
    await lab.auth(0)
    await lab.change_settings(2, "40 00E0 C1 F123 180000 3B0000 3B0000")
    await lab.band.close()
    for first, failing, fail_at in (
        ("00A4000C02E104", "00B0000000", 1),
        (None, "90AD0000070200000000000000", 1),
        (None, "9071000002000000", 1),
    ):
        lab = await open_lab(state, flash_fail=fail_at)
        async with lab.band:
            await lab.select()
            if first:
                await lab.raw(first)
            assert await lab.raw(failing) == ("6581" if failing.startswith("00") else "91EE")
            if first:
                assert (await lab.raw(failing)).endswith("9000")
    # Part 2 is refused if its success cannot be kept; no session then.
    lab = await open_lab(state, flash_fail=2)
    async with lab.band:
        await lab.select()
        with pytest.raises(Exception, match="91EE"):
            await lab.auth(0)
        assert await lab.raw("9051000000") == "91AE"
        await lab.auth(0)


async def test_a_disk_that_is_full_at_the_first_start_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    for fail_at in (1, 10, 19):
        with pytest.raises(BandStopped, match="flash refused record"):
            await open_lab(state, flash_fail=fail_at)
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        await lab.auth(0)


async def test_presets_only_for_a_new_band(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    await (await open_lab(state, keys=KEYS)).band.close()
    await (await open_lab(state, keys=KEYS, uid=UID)).band.close()
    for wrong, told in (
        ({"keys": KEYS[::-1]}, "other keys"),
        ({"uid": bytes.fromhex("04000000000000")}, "another band's data"),
    ):
        with pytest.raises(BandStopped, match=told):
            await BandProcess.start(BandOptions(state, **wrong))
    # Without presets a band draws a UID of its own and keeps it.
    uids = set()
    for name in ("a", "b", "a"):
        band = await BandProcess.start(BandOptions(tmp_path / name))
        async with band:
            for raw in ("9060000000", "90AF000000"):
                await band.apdu(bytes.fromhex(raw))
            uids.add((await band.apdu(bytes.fromhex("90AF000000")))[:7])
    assert len(uids) == 2
    assert all(uid[0] == 4 for uid in uids)


async def test_the_highest_sequence_is_not_passed(tmp_path: Path) -> None:
    """A record whose sequence is used up refuses writes instead of wrapping into its own past."""
    state = tmp_path / "flash"
    await (await open_lab(state)).band.close()
    payload = read_record(state, "f3")
    write_record(state, "f3", payload, 0xFFFFFFFE)
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        await lab.auth(3)
        assert await lab.refusal(apdu.INS_WRITE_DATA, apdu.file_range(3, 0, 1), b"x", FULL) == "91EE"
