"""The boards: what an image for real hardware holds and refuses, and the heap the whole firmware needs."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.micropython.bandlab import FULL, KEYS, MAC, open_lab
from tests.micropython.suitekit import HERE, told_by

from bandwire import apdu, charge, faults
from voyage.bandproc import HEAP, BandOptions, BandProcess, BandStopped, find_micropython

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ROOT / "firmware" / "device"
DESKTOP_ONLY = {
    "boards/desktop.py",
    "boards/desktopparts.py",
    *(f"links/{name}.py" for name in ("__init__", "field", "heap", "hexline", "lines")),
}


def test_an_image_has_every_file_but_the_desktops() -> None:
    frozen = set(re.findall(r'"([\w/]+\.py)",', (DEVICE / "manifest.py").read_text()))
    package = {str(path.relative_to(DEVICE / "band")) for path in (DEVICE / "band").rglob("*.py")}
    assert frozen == package - DESKTOP_ONLY
    for name in frozen:
        text = (DEVICE / "band" / name).read_text()
        for preset in ("--random", "--keys", "--uid"):
            assert preset not in text, f"{name} knows {preset}"
        assert "links" not in re.findall(r"^(?:from|import) .*", text, re.MULTILINE)


def test_start_files_are_short() -> None:
    """They are never updated: what may change is behind them."""
    for name, lines_max in (("boot.py", 15), ("main.py", 12)):
        assert len((DEVICE / name).read_text().splitlines()) <= lines_max


def test_the_esp32_board_on_a_real_micropython(tmp_path: Path) -> None:
    seen = told_by(HERE / "esp32_suite.py", str(tmp_path / "card"))
    # Four tries of the chip's reset and first command, SAMConfiguration, and then the band goes on without it.
    assert seen["noted"] == [[faults.NFC_RESTARTED, 0x14]] * 3 + [[faults.NFC_SILENT, 0x14]]
    assert seen["works"] is False
    assert seen["fault light"] == 1
    assert seen["radio"] == [True, False], "the seed is drawn with the radio on, which is then put back"
    assert seen["seeded apart"]
    assert seen["lengths"] == [0, 4, 16, 33]
    assert seen["button"] is False
    assert seen["cells"] == [44, 100, 0, 255, 255], "half the cell's voltage comes in; no cell and no divider are told"
    assert seen["on the charger"] == [True, 255]
    assert seen["armed"] == ["04246f28010203"] * 3
    # The challenge of the first activation is gone in the second, and so is the application.
    assert seen["answers"] == ["9000", "91af", "911c", "9140", "9000"]
    assert seen["lights"] == [0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0]
    assert seen["extended"] >= 1
    assert seen["no fault"] == 0
    assert seen["out of memory"] == ["6581", 1]
    assert "another band's data" in seen["foreign flash"]
    assert seen["foreign light"] == 1


async def test_the_whole_command_set_fits_the_heap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hard limit: the interpreter has no more. Biggest answers, SUN, charge, and 300 taps on one heap."""
    lab = await open_lab(tmp_path / "flash", keys=KEYS)
    async with lab.band:
        await lab.select()
        await lab.auth(0, KEYS[0])
        await lab.change_settings(2, "43 00E0 D1 F121 180000 400000 400000 200000 600000")
        await lab.write(2, 0, bytes(239))
        await lab.change_settings(3, "03 4041")
        assert await lab.read(2, 0, 239) == bytes(239)
        request = charge.pack_request(1, "EUR", "T", bytes(16))
        for _ in range(300):
            await lab.band.reset()
            await lab.select()
            assert len(await lab.raw("90AD0000070200000000000000")) == 516
            await lab.auth(1, KEYS[1])
            await lab.command(apdu.INS_SIGN_CHARGE, b"", request, MAC)
            await lab.auth(4, KEYS[4], first=False)
            assert await lab.read(3, 0, 128, FULL) == bytes(128)
            await lab.write(3, 112, bytes(16))
        use = await lab.band.mem()
    with capsys.disabled():
        print(f"\nband heap: peak {use.peak} B, live {use.used} B of {use.heap} B (-X heapsize={HEAP})")
    assert use.heap <= 259 * 1024
    assert use.peak <= 256 * 1024
    assert use.used < use.peak


@pytest.mark.parametrize("link", ["hex", "field"])
async def test_a_tenth_of_the_heap_is_spare(tmp_path: Path, link: str) -> None:
    """Source is compiled at start, which wants more than the running does: keep room for the next feature."""
    for passive in (False, True):
        options = BandOptions(tmp_path / f"{link}{passive}", passive=passive, heap="230k")
        async with await BandProcess.start(options, link) as band:
            use = await band.mem()
            assert use.used < 220 * 1024


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--board", "esp32"], "board desktop"),
        (["--nonsense"], "--nonsense is unknown"),
        (["--uid", "04"], "--uid wants 7 bytes"),
        (["--uid", "xy"], "--uid is not hex"),
        (["--keys", "00"], "five keys"),
        (["--cut", "x"], "--cut wants"),
        (["--link", "radio"], "--link is"),
        (["--state", "/dev/null/x"], "cannot use flash folder"),
        (["--state", ""], "--state DIR is needed"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(tmp_path: Path, extra: list[str], told: str) -> None:
    folders = [ROOT / "firmware" / "shared", DEVICE]
    done = subprocess.run(
        [find_micropython(), str(DEVICE / "main.py"), "--state", str(tmp_path / "flash"), *extra],
        env={**os.environ, "MICROPYPATH": os.pathsep.join([".frozen", *map(str, folders)])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_a_dead_band_says_why(tmp_path: Path) -> None:
    band = await BandProcess.start(BandOptions(tmp_path / "flash", random=bytes(3)))
    for raw in ("00A4040007D276000085010100",):
        await band.apdu(bytes.fromhex(raw))
    with pytest.raises(BandStopped, match="--random is used up: 16 bytes wanted, 3 left"):
        await band.apdu(bytes.fromhex("9071000002000000"))
    with pytest.raises(BandStopped, match="used up"):
        await band.apdu(b"\x00")
    await band.close()
    await band.kill()
