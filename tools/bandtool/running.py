"""A station put to work: its ports and readers, its screen, and the report at its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bandtool import selftest
from bandtool.config import StationSettings
from bandtool.files import write_whole
from bandtool.flashing import FlashBench, FlashOrder, flash_board
from bandtool.makers import CableMaker, CableWork, Flasher, NamedPorts, UsbPorts
from bandtool.passive import ReaderStand, Together, find_readers
from bandtool.provision import Bench
from bandtool.report import NOT_TESTED, report_of, signed_file, table
from bandtool.screen import LiveScreen, PlainScreen, Tally, quit_key
from bandtool.station import PortLister, Station, StationLimits
from bandtool.wiring import open_bench
from steward.domain.records import key_fingerprint
from steward.domain.stationreport import Outcome

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class StationPlan:
    """What a technician asked for. ports: AUTO, names, or none. reader: AUTO, a name, or none."""

    ports: Sequence[str]
    reader: str | None
    limits: StationLimits
    flash: FlashOrder | None
    goal: int | None


async def run_station(settings: StationSettings, plan: StationPlan, out: Path, write: Callable[[str], None]) -> None:
    """Until q, Ctrl-C or SIGTERM; then the report. write: a line on stdout. Raises as open_bench() and Station."""
    tally = Tally(time.monotonic, plan.goal)
    console = Console()
    title = f"station {settings.name}"
    screen = LiveScreen(tally, console, title) if console.is_terminal else PlainScreen(tally, write)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(open_bench(settings))
        stands = [ReaderStand(reader, bench) for reader in (find_readers(plan.reader) if plan.reader else ())]
        for stand in stands:
            stack.push_async_callback(stand.close)
            await stack.enter_async_context(_in_background(stand.run()))
        work = CableWork(bench, selftest.self_test, selftest.show_verdict, _flasher(bench, plan.flash))
        places = Together(_cables(plan.ports), CableMaker(work), stands)
        station = Station(places, places, bench.journal, screen, plan.limits)
        stack.enter_context(quit_key(stop))
        stack.enter_context(_signals(stop))
        async with _in_background(screen.run()):
            await station.run(stop)
        write(tally.line())
        write(await _report(settings, bench, out))


async def report_now(settings: StationSettings, out: Path) -> str:
    """Write the signed report of all that was ever on this bench, and its table beside it. What to tell of it.

    Raises ConfigError, and as open_bench().
    """
    async with open_bench(settings) as bench:
        return await _report(settings, bench, out)


async def _report(settings: StationSettings, bench: Bench, out: Path) -> str:
    bands = await bench.journal.bands()
    report = report_of(settings.name, bench.factory.site, bench.sun_template, bench.clock.now().unix_s, bands)
    write_whole(out, signed_file(report, bench.signer))
    write_whole(out.with_suffix(".csv"), table(report))
    done = sum(band.outcome is Outcome.DONE for band in report.bands)
    untested = sum(band.reason == NOT_TESTED for band in report.bands)
    left = f" {untested} keyed and not tested: plug them in at `bandtool station`." if untested else ""
    return (
        f"{out}: {len(report.bands)} bands, {done} done, signed by {settings.name}.{left}\n"
        f"Its key, for the gateway's settings: {key_fingerprint(bench.signer.public)}"
    )


def _cables(ports: Sequence[str]) -> PortLister | None:
    if not ports:
        return None
    return UsbPorts() if list(ports) == [AUTO] else NamedPorts(ports)


def _flasher(bench: Bench, order: FlashOrder | None) -> Flasher | None:
    if order is None:
        return None
    flashing = FlashBench(bench.journal, bench.clock, bench.enrolment.file)
    return lambda port, progress: flash_board(order, flashing, port, progress)


@asynccontextmanager
async def _in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """What ends a program ends the station in good order; asked twice, it ends at once."""
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)
    if sys.platform == "win32":
        yield
        return
    work = asyncio.current_task()
    assert work is not None

    def asked() -> None:
        if stop.is_set():
            work.cancel()
        stop.set()

    for name in names:
        loop.add_signal_handler(name, asked)
    try:
        yield
    finally:
        for name in names:
            loop.remove_signal_handler(name)
