"""SELECT, READ BINARY and UPDATE BINARY."""

from pathlib import Path

from tests.micropython.bandlab import FULL, Lab, open_lab

from bandwire import apdu

SELECT_DF = "00A4040007D276000085010100"
SELECT_NDEF = "00A4000C02E104"
CC = "001720010000FF0406E104010000000506E10500808283" + "00" * 9

# From the MF. `mf`, `df` or `ef` is where the command leaves the card, seen from outside.
SELECTS = [
    ("00A4040007D276000085010100", "9000", "df"),
    ("00A4040C07D276000085010100", "9000", "df"),
    ("00A4040C07D2760000850101", "9000", "df"),
    ("00A4040007D276000085010000", "9000", "mf"),
    ("00A4000C02E110", "9000", "df"),
    ("00A4010002E110", "9000", "df"),
    ("00A4000C023F00", "9000", "mf"),
    ("00A40000", "9000", "mf"),
    ("00A4000000", "9000", "mf"),
    ("00A40300", "9000", "mf"),
    ("00A4030C", "9000", "mf"),
    ("00A4000002E104", "6A82", "mf"),  # no EF without the application
    ("00A4020002E104", "6A82", "mf"),
    ("00A4020002E110", "6A82", "mf"),
    ("00A40100023F00", "6A82", "mf"),
    ("00A4040007D276000085010200", "6A82", "mf"),
    ("00A4040006D27600008501", "6A82", "mf"),
    ("00A4040001D2", "6A82", "mf"),
    ("00A40500", "6A86", "mf"),
    ("00A40001", "6A86", "mf"),
    ("00A40404", "6A86", "mf"),
    ("00A4000001E1", "6A87", "mf"),
    ("00A4010000", "6A87", "mf"),
    ("00A40200", "6A87", "mf"),
    ("00A40300023F00", "6A87", "mf"),
    ("00A40400", "6A87", "mf"),
    ("00A4040011" + "D2" * 17, "6A87", "mf"),
    ("00A4040009D276000085010100", "6700", "mf"),
    ("00A40400000007D2760000850101", "6700", "mf"),
    ("00CA000000", "6D00", "mf"),
    ("00A4", "6700", "mf"),
]


async def _where(lab: Lab) -> str:
    if await lab.raw("90F50000010100") == "919D":
        return "mf"
    return "df"


async def test_select_finds_or_keeps(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        assert await lab.raw("00B0000000") == "6985", "nothing is selected after power-up"
        for capdu, expected, where in SELECTS:
            await lab.band.reset()
            assert await lab.raw(capdu) == expected, capdu
            assert await _where(lab) == where, capdu
        # A failed SELECT leaves the application and the file selected.
        await lab.band.reset()
        assert await lab.raw(SELECT_DF) == "9000"
        assert await lab.raw("00A4000C02E103") == "9000"
        for wrong in ("00A4000C02E106", "00A40500", "00A4000001E1"):
            assert (await lab.raw(wrong)).startswith("6A")
            assert await lab.raw("00B000000F") == CC[:30] + "9000"
        # Selecting the application again clears the file.
        assert await lab.raw(SELECT_DF) == "9000"
        assert await lab.raw("00B000000F") == "6985"


async def test_select_and_the_session(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        for target, ends in ((SELECT_NDEF, False), (SELECT_DF, True), ("00A4000C023F00", True)):
            await lab.select()
            await lab.auth(0)
            assert await lab.raw(target) == "9000"
            answer = (await lab.refusal(apdu.INS_GET_CARD_UID))[-4:]
            assert answer == ("91AE" if ends else "9100"), target
        for wrong in ("00A4000C02E106", "00B0000000", "00D600000100", "00CA000000", "00B00000"):
            await lab.select()
            await lab.raw(SELECT_NDEF)
            await lab.auth(0)
            assert (await lab.raw(wrong))[:1] == "6"
            assert await lab.raw("9051000000") == "91AE", f"session outlived the error of {wrong}"


async def test_read_binary(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.raw("00A4000C02E103")
        for capdu, expected in (
            ("00B0000000", CC + "9000"),  # Le 00 is up to 256: the file has 32
            ("00B0000020", CC + "9000"),
            ("00B00000FF", CC + "9000"),
            ("00B000001F", CC[:62] + "9000"),
            ("00B0001F00", "009000"),
            ("00B0002000", "6A86"),
            ("00B07FFF00", "6A86"),
            ("00B00000", "6700"),
            ("00B0000001FF00", "6700"),
            ("00B00000000010", "6700"),
            ("00B0800010", CC[:32] + "9000"),  # short id 00: the current file
            ("00B0800201", CC[4:6] + "9000"),
            ("00B0810010", "6A82"),
            ("00B09E0010", "6A82"),
            ("00B09F0010", "6A86"),
            ("00B0A00010", "6A86"),
            ("00B0C00010", "6A86"),
        ):
            assert await lab.raw(capdu) == expected, capdu
        await lab.raw("00A4000C02E105")
        assert await lab.raw("00B0000010") == "6982", "file 03 is for keys only"
        assert await lab.raw("00B0800010") == "6982"
        await lab.raw(SELECT_DF)
        assert await lab.raw("00B0800010") == "6985"
        assert await lab.raw("00B0810010") == "6A82"


async def test_update_binary(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        assert await lab.raw("00D6000001AA") == "6985"
        await lab.raw("00A4000C02E103")
        assert await lab.raw("00D6000001AA") == "6982"
        await lab.raw(SELECT_NDEF)
        for capdu, expected in (
            ("00D6000002AABB", "9000"),
            ("00D6000201CC00", "9000"),  # one published example appends Le 00
            ("00D6000201CC01", "6700"),
            ("00D6000000", "6700"),
            ("00D60000", "6700"),
            ("00D600FF01EE", "9000"),
            ("00D600FF02EEEE", "6985"),
            ("00D6010001EE", "6985"),
            ("00D6800301DD", "9000"),
            ("00D6810001DD", "6A82"),
            ("00D69F0001DD", "6A86"),
            ("00D60000FF" + "11" * 254, "6700"),
        ):
            assert await lab.raw(capdu) == expected, capdu
        assert await lab.raw("00B0000005") == "AABBCCDD009000"
        assert await lab.raw("00B000FF00") == "EE9000"
        assert await lab.raw("00D60000FF" + "22" * 255) == "9000"
        assert await lab.raw("00B0000000") == "22" * 255 + "EE" + "9000"
        await lab.auth(0)
        assert await lab.raw("00D600000111") == "6982"
        assert await lab.raw("00B0000001") == "229000"
        # Locked by its access rights, it reads but no longer takes data.
        await lab.auth(0)
        await lab.change_settings(2, "00 00E0")
        await lab.select()
        await lab.raw(SELECT_NDEF)
        assert await lab.raw("00B0000001") == "229000"
        assert await lab.raw("00D600000111") == "6982"
        await lab.auth(0)
        await lab.change_settings(2, "03 0000")
        await lab.select()
        await lab.raw(SELECT_NDEF)
        assert await lab.raw("00B0000001") == "6982"
        await lab.auth(0)
        assert await lab.read(2, 0, 1, FULL) == b"\x22"
