"""ReadData, WriteData and ChangeFileSettings: modes, sizes, bounds, rights, and every rule on settings."""

from pathlib import Path

import pytest
from tests.micropython.bandlab import FULL, MAC, PLAIN, Lab, open_lab

from bandwire import apdu
from bandwire.errors import StatusError

COUNT = bytes(range(256))


def _range(number: int, offset: int, length: int) -> str:
    return apdu.file_range(number, offset, length).hex()


async def _refused(lab: Lab, key_no: int, number: int, offset: int, length: int, mode: int) -> str:
    await lab.auth(key_no)
    return await lab.refusal(apdu.INS_READ_DATA, apdu.file_range(number, offset, length), b"", mode)


async def test_sizes_and_bounds_without_a_session(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        for start in range(0, 256, 128):
            chunk = COUNT[start : start + 128]
            answer = await lab.raw(f"908D000087{_range(2, start, 128)}{chunk.hex()}00")
            assert answer == "9100"
        whole = COUNT.hex().upper() + "9100"
        for offset, length, expected in (
            (0, 0, whole),
            (0, 256, whole),
            (255, 0, "FF9100"),
            (255, 1, "FF9100"),
            (128, 4, "808182839100"),
            (0, 257, "917E"),  # more than an answer holds, before it is more than the file holds
            (1, 256, "91BE"),
            (256, 0, "91BE"),
            (256, 1, "91BE"),
            (0xFFFFFF, 1, "91BE"),
            (255, 2, "91BE"),
        ):
            assert await lab.raw(f"90AD000007{_range(2, offset, length)}00") == expected, (offset, length)
        for header, data, expected in (
            (_range(2, 0, 0), "", "917E"),
            (_range(2, 0, 2), "AA", "917E"),
            (_range(2, 0, 1), "AABB", "917E"),
            (_range(2, 256, 1), "AA", "91BE"),
            (_range(2, 255, 2), "AABB", "91BE"),
            (_range(2, 0, 248), "33" * 248, "9100"),
        ):
            size = (len(header) + len(data)) // 2
            assert await lab.raw(f"908D0000{size:02X}{header}{data}00") == expected, header
        assert await lab.raw(f"90AD000007{_range(2, 247, 2)}00") == "33F89100"


async def test_every_mode_carries_its_most_bytes_and_no_more(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        for mode, most_read, most_write in ((MAC, 248, 240), (FULL, 239, 239)):
            await lab.auth(0)
            await lab.change_settings(2, f"0{mode} F011")  # read and write with key 1, change with key 0
            await lab.auth(1)
            data = COUNT[:most_write]
            await lab.write(2, 0, data, mode)
            await lab.write(2, most_write, COUNT[most_write:], mode)
            assert await lab.read(2, 0, most_read, mode) == COUNT[:most_read]
            assert await lab.read(2, 256 - most_read, 0, mode) == COUNT[256 - most_read :]
            assert await _refused(lab, 1, 2, 0, most_read + 1, mode) == "917E"
            assert await _refused(lab, 1, 2, 0, 0, mode) == "917E"  # to the end of the file is too much too
            assert await _refused(lab, 1, 2, 255, 2, mode) == "91BE"
            assert await _refused(lab, 0, 2, 0, 1, mode) == "91AE"


async def test_the_right_that_grants_decides_the_mode(tmp_path: Path) -> None:
    """Factory file 03: Full, read key 2 or 3, write key 3. A free right means Plain, whatever the file's mode."""
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(3)
        await lab.write(3, 0, b"secret")
        assert await lab.read(3, 0, 6) == b"secret"
        await lab.auth(2)
        assert await lab.read(3, 0, 6) == b"secret"
        assert await _refused(lab, 2, 3, 0, 6, PLAIN) == "911E"
        with pytest.raises(StatusError) as refused:
            await lab.auth(2)
            await lab.write(3, 0, b"x")
        assert refused.value.sw == apdu.SW_AUTH
        # Free for all: Plain inside a session too, and counted.
        await lab.auth(4)
        assert await lab.read(1, 0, 2, PLAIN) == b"\x00\x17"
        assert await lab.command(apdu.INS_GET_CARD_UID)
        # Read free, read-write key 1, mode Full: key 1 speaks Full, everyone else Plain.
        await lab.auth(0)
        await lab.change_settings(3, "03 10EF")
        await lab.auth(1)
        assert await lab.read(3, 0, 6, FULL) == b"secret"
        await lab.auth(2)
        assert await lab.read(3, 0, 6, PLAIN) == b"secret"
        await lab.select()
        assert await lab.raw(f"90AD000007{_range(3, 0, 6)}00") == b"secret".hex().upper() + "9100"
        # Every right that would grant it is F: not a matter of keys.
        await lab.auth(0)
        await lab.change_settings(3, "03 F0EF")
        await lab.auth(0)
        header = apdu.file_range(3, 0, 1)
        assert await lab.refusal(apdu.INS_WRITE_DATA, header, b"x", FULL) == "919D"
        await lab.auth(0)
        await lab.change_settings(3, "03 F0FF")
        assert await _refused(lab, 0, 3, 0, 1, FULL) == "919D"
        assert await lab.raw(f"90AD000007{_range(3, 0, 6)}00") == "919D"


async def test_a_right_nobody_has_closes_the_settings_for_good(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        await lab.change_settings(1, "00 0FE0")
        assert await lab.refusal(apdu.INS_CHANGE_FILE_SETTINGS, b"\x01", bytes.fromhex("0000E0"), FULL) == "919D"
        assert await lab.raw("905F0000040100" + "00E0" + "00") == "919D"
        # A free right to change: Plain, with or without a session.
        await lab.auth(0)
        await lab.change_settings(3, "00 2E00")
        await lab.select()
        assert await lab.raw("905F000004" + "03" + "00" + "3E00" + "00") == "9100"
        await lab.auth(2)
        await lab.change_settings(3, "03 3023", PLAIN)
        await lab.select()
        assert await lab.raw("90F50000010300") == "00033023800000" + "9100"


# (file, CmdData, refusal). SDM layouts are for file 02 of 256 bytes.
SETTINGS = [
    (2, "0000", "917E"),
    (2, "00E0EE00", "917E"),
    (2, "40E0EE", "917E"),
    (2, "04E0EE", "919E"),
    (2, "80E0EE", "919E"),
    (2, "00E5EE", "919E"),
    (2, "00E0DE", "919E"),
    (2, "0050EE", "919E"),
    (3, "40E0EEC1F121180000 3B0000 3B0000", "919D"),
    (1, "40E0EEC1F121180000 3B0000 3B0000", "919D"),
    (2, "40E0EEC1F121180000 3B0000", "917E"),
    (2, "40E0EEC1F121180000 3B0000 3B0000 00", "917E"),
    (2, "40E0EEC1F121180000 3C0000 3B0000", "919E"),  # MAC input after the MAC
    (2, "40E0EEC1F121180000 F10000 F10000", "919E"),  # MAC past the end
    (2, "40E0EEC1F121E10000 3B0000 3B0000", "919E"),  # PICC data past the end
    (2, "40E0EEC1F121180000 370000 370000", "919E"),  # overlap
    (2, "40E0EEC3F121180000 3B0000 3B0000", "919E"),  # reserved option bits
    (2, "40E0EEC0F121180000 3B0000 3B0000", "919E"),  # not ASCII
    (2, "40E0EEC1E121180000 3B0000 3B0000", "919E"),  # reserved rights nibble
    (2, "40E0EEC1F151 3B0000 3B0000", "919E"),  # meta read right names no key
    (2, "40E0EEC1F125180000", "919E"),  # file read right names no key
    (2, "40E0EEC1F12E180000", "919E"),  # nor may it be free
    (2, "40E0EEC1F521180000 3B0000 3B0000", "919E"),  # counter right names no key
    (2, "40E0EEC1F1E1000000 000000 3B0000 3B0000", "919E"),  # UID and counter in one place
    (2, "40E0EE01F121180000 3B0000 3B0000", "919E"),  # meta without UID or counter
    (2, "40E0EE81F1F13B0000 3B0000", "919E"),  # a UID nobody may read
    (2, "40E0EE81F121180000 3B0000 3B0000", "919E"),  # counter right without a counter
    (2, "40E0EE91FF21180000 3B0000 3B0000 200000 5B0000", "919E"),  # encryption wants UID and counter
    (2, "40E0EEA1FF21180000 3B0000 3B0000 010000", "919E"),  # limit without a counter
    (2, "40E0EEE1F121180000 3B0000 3B0000 000000", "919E"),  # limit not above the counter
    (2, "40E0EED1F121180000 3B0000 3B0000 100000 6B0000", "919E"),  # encrypted length
    (2, "40E0EED1F121180000 3B0000 3B0000 200000 5A0000", "919E"),  # runs into the MAC
]


async def test_settings_that_break_a_rule_change_nothing(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        for number, data, expected in SETTINGS:
            await lab.auth(0)
            header = bytes([number])
            answer = await lab.refusal(apdu.INS_CHANGE_FILE_SETTINGS, header, bytes.fromhex(data), FULL)
            assert answer == expected, data
            assert await lab.raw("90F50000010200") == "0000E0EE0001009100"
        await lab.auth(0)
        await lab.change_settings(2, "40E0EEC1F121180000 3B0000 3B0000")
