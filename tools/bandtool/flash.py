"""Flash one board: MicroPython's firmware and the band's image, by esptool in a process of its own (flashworker)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bandtool.image import CHIP
from steward.errors import CardRefused, CardRemoved, ReaderFault

BAUD = 460_800
VENDOR = b"\x04"  # first UID byte of the chip family the band stands in for: band/boards/esp32.py
WRONG_CHIP, LOCKED, MISMATCH = "wrong_chip", "flash_locked", "flash_mismatch"
LIMIT_S = 300.0  # of one board: ten times what it takes
_FLASH, _IDENTIFY = "flash", "identify"
_LINE_MAX = 65_536
_WORDS_MAX = 200
_LEAVE_S = 5.0  # for the process to let the board go

Part = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Chip:
    """What answers in a ROM bootloader. mac: 6 bytes of this chip, from which its UID follows."""

    name: str
    mac: bytes

    @property
    def uid(self) -> bytes:
        return VENDOR + self.mac


async def flash(
    port: str,
    prepare: Callable[[Chip], Awaitable[Sequence[Part]]],
    progress: Callable[[int], None],
    baud: int = BAUD,
) -> Chip:
    """Write what prepare() gives for this chip, (offset, bytes) each, checked by the chip's own MD5.

    prepare: may refuse the board by raising; then nothing was written. The part that starts the chip comes last.
    progress: percent of all bytes.

    Raises CardRefused wrong_chip, flash_locked or flash_mismatch: set the board aside. CardRemoved: the line was lost
    or too noisy; a board that is cut off in the middle starts nothing, and is flashed again from the beginning.
    ReaderFault: no bootloader answers at this port.
    """
    async with _working(port, baud, _FLASH) as worker:
        chip = await worker.chip()
        parts = await prepare(chip)
        await worker.give(parts)
        await worker.end(progress)
    return chip


async def identify(port: str) -> Chip:
    """Ask a board in its ROM bootloader what it is, and start it again. Raises as flash()."""
    async with _working(port, BAUD, _IDENTIFY) as worker:
        chip = await worker.chip()
        await worker.end(lambda percent: None)
    return chip


class _Worker:
    """The process, as it is spoken to."""

    def __init__(self, port: str, process: asyncio.subprocess.Process) -> None:
        self._port = port
        self._process = process

    async def chip(self) -> Chip:
        said = await self._said()
        if "chip" not in said:
            raise self._failure(said)
        return Chip(said["chip"], bytes.fromhex(said["mac"]))

    async def give(self, parts: Sequence[Part]) -> None:
        assert self._process.stdin is not None
        head = {"parts": [[offset, len(data)] for offset, data in parts]}
        try:
            self._process.stdin.write(json.dumps(head).encode() + b"\n")
            for _, data in parts:
                self._process.stdin.write(data)
                await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended, and its last word says why

    async def end(self, progress: Callable[[int], None]) -> None:
        while "outcome" not in (said := await self._said()):
            progress(said["percent"])
        if said["outcome"] != "done":
            raise self._failure(said)

    async def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.startswith(b"{"):  # and not a word of esptool's own
                said: dict[str, Any] = json.loads(line)
                return said
        last = await self._last_words()
        return {"outcome": "ended", "detail": f"the flashing process ended: {last or 'without a word'}"}

    async def _last_words(self) -> str:
        assert self._process.stderr is not None
        words = (await self._process.stderr.read()).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(words) if line.strip()), "")[:_WORDS_MAX]

    def _failure(self, said: dict[str, Any]) -> Exception:
        outcome, detail = said["outcome"], said["detail"]
        if outcome == "silent":
            return ReaderFault(
                f"no bootloader answers at {self._port}: hold BOOT while you plug the board in, or press RESET while "
                f"BOOT is held, and try again ({detail})"
            )
        if outcome == "closed":
            return ReaderFault(
                f"no bootloader: {self._port} cannot be opened: see `bandtool ports`, and close "
                f"other programs that use it ({detail})"
            )
        if outcome in (WRONG_CHIP, LOCKED, MISMATCH):
            return CardRefused(outcome, detail)
        return CardRemoved(f"flashing at {self._port} was cut off: flash the board again. ({detail})")


@asynccontextmanager
async def _working(port: str, baud: int, what: str) -> AsyncIterator[_Worker]:
    """Whatever happens here, the process has ended afterwards."""
    command = [sys.executable, "-m", "bandtool.flashworker", port, str(baud), what, CHIP]
    pipe = asyncio.subprocess.PIPE
    # A session of its own: Ctrl-C is for whoever flashes, who then lets it finish or ends it.
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, limit=_LINE_MAX, start_new_session=True
    )
    limit = asyncio.timeout(LIMIT_S)
    try:
        async with limit:
            yield _Worker(port, process)
    except TimeoutError:
        if not limit.expired():
            raise
        raise CardRemoved(f"flashing at {port} took more than {LIMIT_S:g} s: flash the board again") from None
    finally:
        await _leave(process)


async def _leave(process: asyncio.subprocess.Process) -> None:
    """With its stdin closed the process lets the board go and ends; one that is busy writing is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_LEAVE_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
