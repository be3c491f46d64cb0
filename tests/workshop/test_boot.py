"""From the build to the first key: flashed by esptool, started by MicroPython from that flash, keyed on a cable."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.workshop.benchkit import ENROLLED, ENROLMENT, on_port, workbench
from tests.workshop.bootkit import BootedBoard
from tests.workshop.imagekit import BASE, KEY, built, put
from tests.workshop.rombootkit import Chip, RomDouble

from bandtool.flashing import ENROL_FILE, FlashBench, flash_board, order
from bandtool.journal import BandStage
from bandtool.lfs import FLASH_OFFSET, pack, unpack
from bandtool.provision import provision
from bandtool.serialcard import SerialCard
from bandwire.about import KEYED, PRODUCTION, TAKES_UPDATES
from steward.adapters.system import SystemClock

MAC = Chip().mac
UID = b"\x04" + MAC
SELECT = bytes.fromhex("00A4040007D276000085010100")
OPEN, SHUT = [-1, 3], [-1, -1]  # Ctrl-C, as boot.py leaves it and as main.py does


def on_disk(folder: Path, flash: bytes, name: str = "flash.img") -> Path:
    path = folder / name
    path.write_bytes(flash)
    return path


async def test_a_board_from_the_box_becomes_a_band(tmp_path: Path) -> None:
    chip = Chip()
    (tmp_path / "base.bin").write_bytes(BASE)
    work = order(
        put(tmp_path / "image", built()),
        tmp_path / "base.bin",
        public=KEY.public,
        base_sha256=None,
        development=False,
    )
    double = RomDouble(chip)
    async with workbench(tmp_path) as bench:
        try:
            how = FlashBench(bench.journal, SystemClock(), ENROLMENT.file)
            await flash_board(work, how, double.name, lambda percent: None)
        finally:
            double.stop()
        flash = on_disk(tmp_path, bytes(chip.flash[FLASH_OFFSET:]))

        board = BootedBoard(flash, MAC)
        await board.power_on()
        async with on_port(board.plug_in()) as line:
            card = await SerialCard.greet(line)
            about = await card.about()
            assert (about.board, about.slot, about.flags) == ("esp32", "a", PRODUCTION | TAKES_UPDATES)
            assert await card.exchange(SELECT) == b"\x90\x00"
            done = await provision(bench, card, ENROLLED, lambda step: None)
            assert (done.stage, done.uid) == (BandStage.DONE, UID.hex().upper())
            await card.restart()
        assert await board.ended() == {"ended": "reset", "keys": SHUT, "fault": 0, "said": ""}
        await board.power_off()
    assert ENROL_FILE not in unpack(flash.read_bytes())

    again = BootedBoard(flash, MAC)
    await again.power_on()
    async with on_port(again.plug_in()) as line:
        card = await SerialCard.greet(line)
        assert (await card.about()).flags == PRODUCTION | TAKES_UPDATES | KEYED
        assert await card.exchange(SELECT) == b"\x90\x00"
        await card.restart()
    assert (await again.ended())["ended"] == "reset"
    await again.power_off()


async def ended(path: Path, mac: bytes = MAC) -> dict[str, object]:
    board = BootedBoard(path, mac)
    await board.power_on()
    try:
        return await board.ended()
    finally:
        await board.power_off()


async def test_a_band_in_service_never_gives_its_prompt(tmp_path: Path) -> None:
    """Whatever is wrong with it: not enrolled, another chip's flash, a part of its program damaged."""
    born = built().image
    others = {ENROL_FILE: ENROLMENT.file(b"\x04" + bytes(6))}
    cases: dict[str, dict[str, bytes]] = {
        "not enrolled": {},
        "another chip's": others,
        "another kind of program": {"a/band/loop.mpy": b"M\x05" + built().files["a/band/loop.mpy"][2:]},
        "no program": {"a/band/app.mpy": b""},
    }
    for name, change in cases.items():
        seen = await ended(on_disk(tmp_path, pack(change, onto=born)))
        assert (seen["ended"], seen["keys"]) == ("reset", SHUT), name
        if name in ("not enrolled", "another chip's"):
            assert seen["fault"] == 1, name


@pytest.mark.parametrize("text", [b"", b"PRODUCTION = Fal", b"PRODUCTION = (", b"\xff\xff\xff"])
async def test_a_damaged_mark_keeps_the_console_shut(text: bytes, tmp_path: Path) -> None:
    flash = pack({"build.py": text, ENROL_FILE: ENROLMENT.file(UID)}, onto=built(production=False).image)
    seen = await ended(on_disk(tmp_path, flash))
    assert (seen["ended"], seen["keys"]) == ("reset", SHUT)


async def test_a_developers_board_does(tmp_path: Path) -> None:
    """Another chip's flash: it says so and leaves its developer at the prompt."""
    flash = pack({ENROL_FILE: ENROLMENT.file(b"\x04" + bytes(6))}, onto=built(production=False).image)
    seen = await ended(on_disk(tmp_path, flash))
    assert (seen["ended"], seen["keys"]) == ("prompt", OPEN)
    assert str(seen["said"]).strip().startswith("error ")
