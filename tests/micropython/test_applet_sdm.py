"""SUN: what a reader without a session sees in file 02, and when its counter steps."""

from pathlib import Path

from tests.micropython.bandlab import AES, FULL, KEYS, UID, Lab, open_lab, read_record, write_record

from bandwire import apdu, ndef, sdm
from bandwire.keys import FACTORY_KEY

K_META = bytes(range(0x20, 0x30))
K_FILE = bytes(range(0x10, 0x20))
WORKED_KEYS = [FACTORY_KEY, K_FILE, K_META, FACTORY_KEY, FACTORY_KEY]
URL = "ship.example/t?e={picc}&c={mac}"
CONTENT, PICC, MAC_AT = ndef.url_file(URL)
SUN = "40 00E0 C1 F121 180000 3B0000 3B0000"
SELECT_NDEF = "00A4000C02E104"
READ_NATIVE = "90AD0000070200000000000000"
READ_ISO = "00B0000000"


async def _set_up(lab: Lab, settings: str = SUN, key: bytes = FACTORY_KEY) -> None:
    """Write the URL, apply the settings, leave without a session."""
    await lab.select()
    await lab.raw(SELECT_NDEF)
    assert await lab.raw(f"00D60000{len(CONTENT):02X}{CONTENT.hex()}") == "9000"
    await lab.auth(0, key)
    await lab.change_settings(2, settings)
    await lab.select()


async def _counter(lab: Lab, key_no: int = 1, key: bytes = K_FILE) -> int:
    await lab.auth(key_no, key)
    answer = await lab.command(apdu.INS_GET_FILE_COUNTERS, b"\x02")
    assert answer[3:] == b"\x00\x00"
    await lab.select()
    return int.from_bytes(answer[:3], "little")


async def _sun(lab: Lab, how: str = "native") -> tuple[bytes, int]:
    """(UID, counter) of a tap, its MAC checked."""
    if how == "native":
        shown = bytes.fromhex((await lab.raw(READ_NATIVE))[:-4])
    else:
        await lab.raw(SELECT_NDEF)
        shown = bytes.fromhex((await lab.raw(READ_ISO))[:-4])
    enc, mac = sdm.read_sun(shown, PICC, MAC_AT)
    uid, ctr = sdm.open_picc(AES, K_META, enc)
    assert sdm.verify_sun(AES, K_FILE, uid, ctr, mac)
    return uid, ctr


async def test_the_worked_example_byte_for_byte(tmp_path: Path) -> None:
    enc = "3E63F71FD1A190C1E5C60AA99749559C"
    for name, settings, mac in (
        ("empty", SUN, "D1E373D67DE12734"),
        ("covered", "40 00E0 C1 F121 180000 180000 3B0000", "6B21C4D907712923"),
    ):
        state = tmp_path / name
        lab = await open_lab(state, keys=WORKED_KEYS)
        async with lab.band:
            await _set_up(lab, settings)
        lab = await open_lab(state, random=bytes.fromhex("A0A1A2A3A4"))
        async with lab.band:
            await lab.select()
            await lab.raw(SELECT_NDEF)
            assert await lab.raw("00B0000002") == "00499000"
            shown = bytes.fromhex((await lab.raw("00B0000249"))[:-4])
            assert ndef.read_url(CONTENT[:2] + shown) == f"https://ship.example/t?e={enc}&c={mac}"


async def test_the_counter_steps_once_per_run_of_reads(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=WORKED_KEYS)
    async with lab.band:
        await _set_up(lab)
        assert await _counter(lab) == 0
        assert await _sun(lab) == (UID, 1)
        first = await lab.raw(READ_NATIVE)
        assert await lab.raw(READ_NATIVE) == first, "a run of reads repeats one view, padding and all"
        assert await lab.raw("90AD000007" + "02180000200000" + "00") == first[48:112] + "9100"
        assert await lab.raw(SELECT_NDEF) == "9000"
        assert (await _sun(lab, "iso"))[1] == 2
        iso = await lab.raw(READ_ISO)
        assert await lab.raw("00B0001820") == iso[48:112] + "9000"
        assert (await _sun(lab))[1] == 3, "the other kind of read begins a new run"
        assert (await lab.raw("9060000000")).endswith("91AF")
        for _ in range(2):
            await lab.raw("90AF000000")
        assert (await _sun(lab))[1] == 4
        # Errors of range or access do not count, but they end the run.
        assert await lab.raw("90AD0000070200000001010000") == "917E"
        assert await lab.raw("90AD000007" + "02000100010000" + "00") == "91BE"
        assert await _counter(lab) == 4
        assert (await _sun(lab))[1] == 5
        await lab.raw(SELECT_NDEF)
        for wrong in ("00B0010000", "00B07FFF00", "00B00000"):
            assert (await lab.raw(wrong))[:1] == "6"
        assert await _counter(lab) == 5
        assert (await _sun(lab))[1] == 6
        await lab.band.kill()
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        assert (await _sun(lab))[1] == 7, "after a power cut the counter goes on"


async def test_a_session_sees_the_file_as_it_is(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=WORKED_KEYS)
    async with lab.band:
        await _set_up(lab, "43 00E0 C1 F121 180000 3B0000 3B0000")
        for key_no, key, mode in ((1, K_FILE, 0), (0, FACTORY_KEY, FULL)):
            await lab.auth(key_no, key)
            assert await lab.read(2, 0, len(CONTENT), mode) == CONTENT
        assert await _counter(lab) == 0


async def test_the_counter_has_its_own_right(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=WORKED_KEYS)
    async with lab.band:
        await _set_up(lab)
        assert await lab.raw("90F60000010200") == "91AE"
        await lab.auth(0)
        assert await lab.refusal(apdu.INS_GET_FILE_COUNTERS, b"\x02") == "91AE"
        await lab.auth(0)
        await lab.change_settings(2, "40 00E0 C1 FE21 180000 3B0000 3B0000")  # free: Plain, session or none
        await lab.select()
        assert (await _sun(lab))[1] == 1
        assert await lab.raw("90F60000010200") == "01000000009100"
        await lab.auth(0)
        assert await lab.command(apdu.INS_GET_FILE_COUNTERS, b"\x02", b"", 0) == bytes.fromhex("0100000000")
        await lab.change_settings(2, "40 00E0 C1 FF21 180000 3B0000 3B0000")
        assert await lab.refusal(apdu.INS_GET_FILE_COUNTERS, b"\x02") == "919D"


async def test_switching_on_restarts_the_counter_and_changing_keeps_it(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=WORKED_KEYS)
    async with lab.band:
        await _set_up(lab)
        assert (await _sun(lab))[1] == 1
        await lab.auth(0)
        await lab.change_settings(2, "40 00E0 E1 F121 180000 3B0000 3B0000 020000")
        await lab.select()
        assert (await _sun(lab))[1] == 2
        await lab.auth(0)
        await lab.change_settings(2, "00 00E0")
        assert await lab.refusal(apdu.INS_GET_FILE_COUNTERS, b"\x02") == "919D"
        assert await lab.raw(READ_NATIVE) == (CONTENT + bytes(256 - len(CONTENT))).hex().upper() + "9100"
        await lab.auth(0)
        # Off to on: the limit is compared with the counter's new start, zero.
        await lab.change_settings(2, "40 00E0 E1 F121 180000 3B0000 3B0000 010000")
        await lab.select()
        assert await _counter(lab) == 0
        assert (await _sun(lab))[1] == 1


async def test_the_read_limit(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    lab = await open_lab(state, keys=WORKED_KEYS)
    async with lab.band:
        await _set_up(lab, "40 00E0 E1 F121 180000 3B0000 3B0000 020000")
        assert (await _sun(lab))[1] == 1
        await lab.raw(SELECT_NDEF)
        assert (await _sun(lab, "iso"))[1] == 2
        assert (await lab.raw("00B0000002")) == "00499000", "later chunks of the last allowed read still pass"
        assert await lab.raw(READ_NATIVE) == "919D"
        assert await lab.raw(READ_ISO) == "6982"
        assert await _counter(lab) == 2
        await lab.auth(0)
        assert await lab.read(2, 0, 2, 0) == CONTENT[:2], "reads in a session stay possible"
        settings = "40 00E0 E1 F121 180000 3B0000 3B0000"
        header = b"\x02"
        for limit in ("020000", "010000"):
            await lab.auth(0)
            data = bytes.fromhex(settings + limit)
            assert await lab.refusal(apdu.INS_CHANGE_FILE_SETTINGS, header, data) == "919E"
        await lab.auth(0)
        await lab.change_settings(2, settings + "030000")
        await lab.select()
        assert (await _sun(lab))[1] == 3


async def test_the_counter_overflows_without_repeating(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    lab = await open_lab(state, keys=WORKED_KEYS)
    async with lab.band:
        await _set_up(lab)
        assert (await _sun(lab))[1] == 1
    hot = read_record(state, "hot")
    assert hot[2:5] == bytes.fromhex("010000")
    write_record(state, "hot", hot[:2] + bytes.fromhex("FEFFFF") + hot[5:])
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        assert (await _sun(lab))[1] == 0xFFFFFF
        await lab.select()
        assert await lab.raw(READ_NATIVE) == "911E"
        await lab.raw(SELECT_NDEF)
        assert await lab.raw(READ_ISO) == "6982"


async def test_plain_mirrors_and_encrypted_file_data(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=WORKED_KEYS)
    async with lab.band:
        # UID and counter in clear, no MAC: free reads only, because no file read key grants them.
        await _set_up(lab, "40 00E0 C1 FFEF 180000 300000")
        shown = bytes.fromhex((await lab.raw(READ_NATIVE))[:-4])
        assert shown[0x18:0x26] == UID.hex().upper().encode()
        assert shown[0x30:0x36] == b"000001"
        assert shown[0x3B:0x4B] == CONTENT[0x3B:0x4B]
        # Counted but not shown.
        await lab.auth(0)
        await lab.change_settings(2, "40 00E0 C1 FFEF 180000 FFFFFF")
        await lab.select()
        shown = bytes.fromhex((await lab.raw(READ_NATIVE))[:-4])
        assert shown[0x30:0x36] == CONTENT[0x30:0x36]
        await lab.auth(0)
        await lab.change_settings(2, "40 00E0 C1 FFEF 180000 300000")
        await lab.select()
        assert bytes.fromhex((await lab.raw(READ_NATIVE))[:-4])[0x30:0x36] == b"000003"
        # Half of the placeholder is encrypted, all of it replaced.
        await lab.auth(0)
        await lab.change_settings(2, "40 00E0 D1 F121 180000 400000 400000 200000 600000")
        await lab.select()
        shown = bytes.fromhex((await lab.raw(READ_NATIVE))[:-4])
        uid, ctr = sdm.open_picc(AES, K_META, bytes.fromhex(shown[0x18:0x38].decode()))
        kenc, kmac = sdm.sdm_keys(AES, K_FILE, uid, ctr.to_bytes(3, "little"))
        assert (uid, ctr) == (UID, 4)
        stored = (CONTENT + bytes(256))[:256]
        assert sdm.decrypt_file(AES, kenc, ctr, bytes.fromhex(shown[0x40:0x60].decode())) == stored[0x40:0x50]
        assert shown[0x60:0x70] == sdm.sdm_mac(AES, kmac, shown[0x40:0x60]).hex().upper().encode()


async def test_file_data_is_encrypted_also_where_the_counter_is_not_shown(tmp_path: Path) -> None:
    """Its key is bound to UID and counter all the same; only the MAC's key leaves out what is not shown."""
    lab = await open_lab(tmp_path / "flash", keys=WORKED_KEYS)
    async with lab.band:
        await _set_up(lab, "40 00E0 D1 F1E1 000000 FFFFFF 200000 200000 200000 400000")
        for ctr in (1, 2):
            await lab.select()
            shown = bytes.fromhex((await lab.raw(READ_NATIVE))[:-4])
            kenc, _ = sdm.sdm_keys(AES, K_FILE, UID, ctr.to_bytes(3, "little"))
            _, kmac = sdm.sdm_keys(AES, K_FILE, UID, b"")
            assert shown[:14] == UID.hex().upper().encode()
            stored = (CONTENT + bytes(256))[:256]
            assert sdm.decrypt_file(AES, kenc, ctr, bytes.fromhex(shown[0x20:0x40].decode())) == stored[0x20:0x30]
            assert shown[0x40:0x50] == sdm.sdm_mac(AES, kmac, shown[0x20:0x40]).hex().upper().encode()


async def test_a_file_read_key_opens_a_file_that_is_otherwise_closed(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=WORKED_KEYS)
    async with lab.band:
        await _set_up(lab, "40 F0FF C1 F121 180000 3B0000 3B0000")
        assert (await _sun(lab)) == (UID, 1)
        assert (await _sun(lab, "iso")) == (UID, 2)
        await lab.auth(0)
        assert await lab.refusal(apdu.INS_READ_DATA, apdu.file_range(2, 0, 1)) == "919D"
        # Mirrors without a file read key do not open it.
        await lab.auth(0)
        await lab.change_settings(2, "40 F0FF C1 FF2F 180000")
        await lab.select()
        assert await lab.raw(READ_NATIVE) == "919D"
        await lab.raw(SELECT_NDEF)
        assert await lab.raw(READ_ISO) == "6982"


async def test_a_reader_finds_a_hidden_uid(tmp_path: Path) -> None:
    """Random ID, all keys changed: select, open read, and key 2 tells who it is."""
    lab = await open_lab(tmp_path / "flash", keys=[KEYS[0], K_FILE, K_META, KEYS[3], KEYS[4]])
    async with lab.band:
        await _set_up(lab, key=KEYS[0])
        await lab.auth(0, KEYS[0])
        assert await lab.command(apdu.INS_SET_CONFIGURATION, b"\x00", b"\x02") == b""
        await lab.band.reset()
        await lab.select()
        assert await _sun(lab) == (UID, 1)
