"""The virtual bands of the demo: one MicroPython process each, worn on a wrist or lying in a drawer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

from voyage.bandproc import BandOptions, BandProcess, BandProcessError
from voyage.cast import Band
from voyage.observed import BandFacts

HOST = "127.0.0.1"
STARTING_MAX = 8  # at once: each takes a processor for some 20 ms
_LIGHTS = "lights"  # beside it
_EMPTIEST, _CELL = 4, "battery"  # percent; the file that stands for a band's cell, in its flash folder


class VirtualBand:
    """A band of the cast. Its flash is a folder and outlives kill(). air: where its radio is; None: it has none."""

    def __init__(self, band: Band, folder: Path, air: str | None = None) -> None:
        self.band = band
        self._options = BandOptions(folder / band.key, passive=band.passive, air=air)
        self._process: BandProcess | None = None

    @property
    def process(self) -> BandProcess:
        if self._process is None:
            raise BandProcessError(f"band {self.band.key} is not running")
        return self._process

    @property
    def battery_percent(self) -> int:
        """Of its cell, the same in every run; a passive band has none to tell of."""
        return _EMPTIEST + zlib.crc32(f"percent {self.band.key}".encode()) % (101 - _EMPTIEST)

    def lights(self) -> str:
        """What its light and its motor do now, as the board writes it down."""
        file = self._options.state / _LIGHTS
        return file.read_text() if file.exists() else ""

    async def start(self) -> None:
        self._options.state.mkdir(parents=True, exist_ok=True)
        (self._options.state / _CELL).write_text(str(self.battery_percent))
        if self._options.air is not None:
            (self._options.state / _LIGHTS).touch()
        self._process = await BandProcess.start(self._options, "field")

    async def enter(self, port: int) -> None:
        await self.process.enter(HOST, port)

    async def leave(self) -> None:
        await self.process.leave()

    def kill(self) -> None:
        """kill -9, this instant."""
        os.kill(self.process.pid, signal.SIGKILL)

    async def restart(self) -> None:
        # Not kill() again: Popen would reap the dead process itself, and asyncio would warn that it is gone.
        await self.process.close()
        await self.start()

    async def close(self) -> None:
        if self._process is not None:
            await self._process.close()
            self._process = None

    def facts(self, person: str) -> BandFacts:
        pid = self.process.pid
        return BandFacts(self.band.key, pid, self.band.passive, _program(pid), person)


async def start_all(bands: list[VirtualBand], started: Callable[[], None]) -> None:
    """Raises BandProcessError if one of them does not start."""
    gate = asyncio.Semaphore(STARTING_MAX)

    async def start(band: VirtualBand) -> None:
        async with gate:
            await band.start()
        started()

    async with asyncio.TaskGroup() as group:
        for band in bands:
            group.create_task(start(band))


async def close_all(bands: list[VirtualBand]) -> None:
    await asyncio.gather(*(band.close() for band in bands), return_exceptions=True)


def _program(pid: int) -> str:
    """What runs under this process id, as the operating system says.

    The wheel's MicroPython is a library in a process that a few lines of CPython begin, so it is looked for among
    the mapped files first.
    """
    try:
        mapped = Path(f"/proc/{pid}/maps").read_text().split()
        libraries = {path for path in mapped if "micropython" in path.rpartition("/")[2]}
        return min(libraries, default=None) or os.readlink(f"/proc/{pid}/exe")
    except OSError:  # no /proc here
        command = ["ps", "-o", "command=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
