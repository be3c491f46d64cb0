"""A band in service is updated by radio: over a paired link that drops, tried after its restart, and kept."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.radio.radiokit import Gateway, Wearer, wearing
from tests.workshop.slotkit import QUICK, SlottedBoard, program, released

from bandwire import radio
from bandwire import release as wire
from steward.domain.bandrelease import BandRelease, read_told
from voyage import bandproc
from voyage.bandproc import BandOptions, find_micropython

PIECE = 900
RADIO = Path(bandproc.__file__).parent / "radio"
NOT_WORN = ("pn532", "selftest", "hexline")  # modules that this band does not load, left out to be quick


@pytest.fixture
def slotted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlottedBoard:
    """Bands start by the loader, from the slots of this board."""
    board = SlottedBoard(tmp_path / "flash", program())

    def command_line(options: BandOptions, link: str) -> tuple[list[str], dict[str, str]]:
        assert options.air is not None
        line = [find_micropython(), "-X", f"heapsize={options.heap}", str(board.root / "main.py")]
        environment = {**os.environ, "MICROPYPATH": f".frozen:{RADIO}", "VOYAGE_AIR": options.air}
        return line + options.arguments(link), environment

    monkeypatch.setattr(bandproc, "command_line", command_line)
    return board


async def told_by(gateway: Gateway) -> bytes:
    status, told = await gateway.ask(radio.VERSION)
    assert status == radio.DONE
    return told


async def send(gateway: Gateway, made: BandRelease, at: int, until: int) -> int:
    while at < until:
        code, at = await asked(gateway, radio.UPDATE_DATA, made.piece(at, PIECE))
        assert code == wire.OK
    return at


async def asked(gateway: Gateway, kind: int, payload: bytes) -> tuple[int, int]:
    status, answer = await gateway.ask(kind, payload)
    assert status == radio.DONE
    return wire.read_answer(answer)


async def met(wearer: Wearer, period: int) -> Gateway:
    await wearer.until(lambda: wearer.shown() is not None)
    gateway = Gateway(wearer.air, f"F0:00:00:00:01:{os.urandom(1).hex().upper()}")
    await gateway.__aenter__()
    await gateway.meet(wearer, period)
    return gateway


async def test_an_update_by_radio_survives_drop_outs_and_is_kept(slotted: SlottedBoard, tmp_path: Path) -> None:
    files = {path: data for path, data in program(QUICK).items() if not any(name in path for name in NOT_WORN)}
    made = released(9, 8, files=files)
    async with wearing(tmp_path) as wearer:
        (wearer.state / "battery").write_text("80")
        await wearer.switch_on()
        gateway = await met(wearer, 0)
        assert read_told(await told_by(gateway)).number == 7
        assert await asked(gateway, radio.UPDATE_BEGIN, made.begin()) == (wire.OK, 0)
        half = await send(gateway, made, 0, len(made.content) // 2)
        await gateway.__aexit__()  # out of reach
        gateway = await met(wearer, 0)
        assert await asked(gateway, radio.UPDATE_BEGIN, made.begin()) == (wire.OK, half)
        async with wearer.field.tapping(wearer.process) as tap:
            waits = asyncio.create_task(asked(gateway, radio.UPDATE_DATA, made.piece(half, PIECE)))
            await tap.authenticate()
            assert await tap.read_uid() == wearer.options.uid  # a reader comes first
            assert not waits.done()
        assert await waits == (wire.OK, half + PIECE)
        await send(gateway, made, half + PIECE, len(made.content))
        assert await asked(gateway, radio.UPDATE_END, b"") == (wire.OK, len(made.content))
        await gateway.__aexit__()
        await wearer.until(lambda: wearer.name not in wearer.air.bands)  # it restarts by itself
        assert slotted.slot("b") == files
        await wearer.restart()
        gateway = await met(wearer, 1)
        assert read_told(await told_by(gateway)).running == 1
        await wearer.until(lambda: slotted.number == 9)
        told = read_told(await told_by(gateway))
        assert (told.running, told.number, told.minimum) == (1, 9, 8)
        await gateway.__aexit__()
        await wearer.tap()  # and a door still knows it
