"""Bands an hour of one station with 1, 8 and 16 ports, beside what the lines alone would allow in the same run.

Every band is the real firmware on MicroPython behind a pseudo-terminal whose bytes are let through at 115,200 baud, ten
bits each, both ways at once. A port gets its next band the moment one is done: what a technician's hands take comes on
top, and on a chip its AES and its flash. Flashing is not run here: its line time at 460,800 baud follows from the
image, compressed as esptool sends it; MicroPython's own firmware comes on top.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
import tty
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bandtool import flash, image, line, selftest
from bandtool.bands import Place, Result
from bandtool.makers import CableMaker, CableWork
from bandtool.provision import Bench
from bandtool.sources import firmware_folder
from bandtool.station import PortSeen, Station, StationLimits
from bandtool.wiring import open_bench
from bench.provisioning import new_bench
from voyage.bandproc import BandOptions, command_line

PORTS = {1: 4, 8: 3, 16: 2}  # ports -> bands one after the other at each
_BITS_A_BYTE = 10
_HOUR_S = 3600
_LIMIT_S = 120.0
_CHUNK = 256
_PIPE, _NOWHERE = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL


@dataclass(frozen=True, slots=True)
class Row:
    """up, down: bytes of one band, over its line. waits_s: what the self-test waits for on purpose."""

    ports: int
    bands: int
    an_hour: float
    up: float
    down: float
    waits_s: float
    flash_bytes: int  # of one board's image, compressed

    @property
    def line_s(self) -> float:
        """For one band: questions and answers take turns, so nothing on this line is quicker."""
        return (self.up + self.down) * _BITS_A_BYTE / line.BAUD

    @property
    def flash_s(self) -> float:
        return self.flash_bytes * _BITS_A_BYTE / flash.BAUD

    @property
    def limit_an_hour(self) -> float:
        """Of the lines and the test's waits; no time for anything else."""
        return self.ports * _HOUR_S / (self.line_s + self.waits_s)

    @property
    def limit_flashed_an_hour(self) -> float:
        return self.ports * _HOUR_S / (self.line_s + self.waits_s + self.flash_s)


class _Cable:
    """Counts and paces."""

    def __init__(self) -> None:
        self.up = self.down = 0


class _Ports:
    """A technician who is never late: a done band is exchanged for the next. A lister and a watcher of the station."""

    def __init__(self, ports: Sequence[Sequence[str]]) -> None:
        self._left = [list(names) for names in ports]
        self.faulty: list[str] = []
        self.done = 0
        self.all_done = asyncio.Event()
        self._count = sum(len(names) for names in ports)

    def ports(self) -> Sequence[PortSeen]:
        return [PortSeen(names[0]) for names in self._left if names]

    def changed(self, place: Place) -> None:
        if place.result is Result.RUNNING:
            return
        if place.result is Result.FAULTY:
            self.faulty.append(f"{place.code}: {place.detail}")
        for names in self._left:
            if names and names[0] == place.port:
                names.pop(0)
                self.done += 1
        if self.done == self._count:
            self.all_done.set()

    def gone(self, place: Place) -> None:
        """It was exchanged."""


def run() -> dict[str, Any]:
    """In a folder of its own, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bench-station-", dir=Path.cwd()))
    try:
        rows = asyncio.run(_measure(folder))
    finally:
        shutil.rmtree(folder)
    limits = ("line_s", "flash_s", "limit_an_hour", "limit_flashed_an_hour")
    return {"rows": [asdict(row) | {name: getattr(row, name) for name in limits} for row in rows]}


async def _measure(folder: Path) -> list[Row]:
    order = image.BuildOrder(firmware_folder(), production=True)
    built = image.build(order, lambda done, of: None)
    flashed = len(zlib.compress(built.image, 9))
    rows = []
    async with open_bench(new_bench(folder)) as bench:
        for ports, each in PORTS.items():
            rows.append(await _row(bench, folder / str(ports), ports, each, flashed))
    return rows


async def _row(bench: Bench, folder: Path, ports: int, each: int, flash_bytes: int) -> Row:
    async with AsyncExitStack() as stack:
        cables, names = [], []
        for port in range(ports):
            made = [await stack.enter_async_context(_band(bench, folder, port, number)) for number in range(each)]
            names.append([name for name, _ in made])
            cables += [cable for _, cable in made]
        technician = _Ports(names)
        work = CableWork(bench, selftest.self_test, selftest.show_verdict)
        limits = StationLimits(at_once=ports, poll_s=0.02)
        station = Station(technician, CableMaker(work), bench.journal, technician, limits)
        stop, start_s = asyncio.Event(), time.perf_counter()
        running = asyncio.create_task(station.run(stop))
        async with asyncio.timeout(_LIMIT_S):
            await technician.all_done.wait()
        spent_s = time.perf_counter() - start_s
        stop.set()
        await running
    if technician.faulty:
        raise RuntimeError(f"a band was set aside: {technician.faulty[0]}")
    bands = ports * each
    up, down = (sum(getattr(cable, way) for cable in cables) / bands for way in ("up", "down"))
    return Row(ports, bands, bands * _HOUR_S / spent_s, up, down, selftest.CLOCK_S, flash_bytes)


@asynccontextmanager
async def _band(bench: Bench, folder: Path, port: int, number: int) -> AsyncIterator[tuple[str, _Cable]]:
    """A band that has its power already, at the end of a line of 115,200 baud."""
    uid = bytes((4, 0xBE, len(folder.name), int(folder.name), port, number, 1))
    state = folder / f"{port}-{number}"
    state.mkdir(parents=True)
    (state / "enrol").write_bytes(bench.enrolment.file(uid))
    command, environment = command_line(BandOptions(state, uid=uid), "station")
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=_PIPE, stdout=_PIPE, stderr=_NOWHERE, start_new_session=True
    )
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    cable = _Cable()
    pumps = [asyncio.create_task(_up(master, process, cable)), asyncio.create_task(_down(master, process, cable))]
    try:
        yield os.ttyname(slave), cable
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(master)
        os.close(slave)


async def _up(master: int, process: asyncio.subprocess.Process, cable: _Cable) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    assert process.stdin is not None
    loop.add_reader(master, ready.set)
    try:
        while True:
            await ready.wait()
            ready.clear()
            with contextlib.suppress(BlockingIOError):
                while data := os.read(master, _CHUNK):
                    cable.up += len(data)
                    await asyncio.sleep(len(data) * _BITS_A_BYTE / line.BAUD)
                    process.stdin.write(data)
    finally:
        loop.remove_reader(master)


async def _down(master: int, process: asyncio.subprocess.Process, cable: _Cable) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(_CHUNK):
        cable.down += len(data)
        await asyncio.sleep(len(data) * _BITS_A_BYTE / line.BAUD)
        os.write(master, data)


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title="Bands an hour of one station: keyed, proven and tested, lines at 115,200 baud")
    heads = (
        "ports",
        "bands",
        "an hour",
        "the lines allow",
        "bytes a band",
        "line s",
        "image line s",
        "with the image, allow",
    )
    for head in heads:
        table.add_column(head, justify="right")
    for row in figures["rows"]:
        table.add_row(
            *(str(row["ports"]), str(row["bands"]), f"{row['an_hour']:,.0f}", f"{row['limit_an_hour']:,.0f}"),
            *(f"{row['up']:,.0f} + {row['down']:,.0f}", f"{row['line_s']:.2f}", f"{row['flash_s']:.1f}"),
            f"{row['limit_flashed_an_hour']:,.0f}",
        )
    console.print(table)
