"""The production image in its own flash, updated over a cable: LittleFS, the band's own board, loader and reset."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.workshop.benchkit import ENROLMENT, NEVER
from tests.workshop.bootkit import BootedBoard
from tests.workshop.imagekit import built
from tests.workshop.slotkit import QUICK, compiled, released

from bandtool import update
from bandtool.flashing import ENROL_FILE
from bandtool.image import SLOT
from bandtool.lfs import pack, unpack
from bandtool.line import PortLine
from bandtool.serialcard import ASK_STARTING, SerialCard
from bandtool.update import Connect, ask_told, bring, tried
from bandwire import release as wire
from steward.domain.bandrelease import Told
from steward.errors import CardRemoved

MAC = bytes.fromhex("112233445566")
OLD = 3  # the number of built()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "_PAUSE_S", 0.05)


def program(path: str, old: str, new: str) -> dict[str, bytes]:
    """The image's own, with one change."""
    top = f"{SLOT}/"
    files = {name.removeprefix(top): data for name, data in built().files.items() if name.startswith(top)}
    return files | {path.removesuffix(".py") + ".mpy": compiled(path, old, new)}


def on(board: BootedBoard, cut_after: int = NEVER) -> Connect:
    @asynccontextmanager
    async def connect() -> AsyncIterator[SerialCard]:
        line = await PortLine.open(board.plug_in(cut_after))
        try:
            yield await SerialCard.greet(line, ASK_STARTING)
        finally:
            await line.close()

    return connect


async def told_by(board: BootedBoard) -> Told:
    async with on(board)() as card:
        return await ask_told(card)


@asynccontextmanager
async def booted(folder: Path) -> AsyncIterator[tuple[BootedBoard, Callable[[], dict[str, bytes]]]]:
    """And what is in its flash."""
    flash = folder / "flash.img"
    flash.write_bytes(pack({ENROL_FILE: ENROLMENT.file(b"\x04" + MAC)}, onto=built().image))
    board = BootedBoard(flash, MAC)
    await board.power_on()
    try:
        yield board, lambda: unpack(flash.read_bytes())
    finally:
        await board.power_off()


async def test_the_image_in_flash_is_updated_through_a_power_cut_tried_and_kept(tmp_path: Path) -> None:
    files = program("band/slots.py", *QUICK["band/slots.py"])
    esp32 = "band/boards/esp32.mpy"  # this board has no NFC chip to try: as if it answered
    files[esp32] = program("band/boards/esp32.py", "return self._nfc_chip(_unnoted).start()", "return True")[esp32]
    made = released(9, 8, files=files, board="esp32")
    async with booted(tmp_path) as (board, inside):
        assert await told_by(board) == Told(0, 0, wire.NOTHING, OLD, 0, 1)
        with pytest.raises(CardRemoved):
            await bring(on(board, 60_000), made, lambda at: None, plug_in_s=0)
        await board.power_off()
        await board.power_on()
        steps: list[int] = []
        await bring(on(board), made, steps.append)
        assert steps[0] > 45_000
        assert (await board.ended())["ended"] == "reset"
        assert {name[2:]: data for name, data in inside().items() if name.startswith("b/")} == files
        await board.power_on()
        assert await tried(on(board), 9)
        await board.power_off()
        await board.power_on()
        assert await told_by(board) == Told(1, 1, wire.NOTHING, 9, OLD, 8)


async def test_a_program_that_ends_resets_at_once_and_the_old_one_is_back(tmp_path: Path) -> None:
    made = released(9, files=program("band/loop.py", "    slots = Slots()", "    raise MemoryError"), board="esp32")
    async with booted(tmp_path) as (board, _):
        await bring(on(board), made, lambda at: None)
        await board.ended()
        await board.power_on()
        assert (await board.ended())["ended"] == "reset"
        await board.power_on()
        told = await told_by(board)
        assert told.failed(9)
        assert (told.running, told.number) == (0, OLD)
