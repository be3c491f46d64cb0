"""From an empty folder to a settled ship and back to nothing: starts everything, lets the day happen, ends it all."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from steward.errors import StewardError
from voyage import day, night
from voyage.acts import Acts, StepFailed
from voyage.bandproc import BandProcessError, find_micropython
from voyage.cast import DOOR, ENCODER, TILL, Cast, build_cast
from voyage.checks import Check, run_checks
from voyage.client import Client, Desk, Gateway, Purser, Refused, Till, Unreachable
from voyage.control import DoorControllers
from voyage.guard import Guard
from voyage.observed import Observed, Signal
from voyage.pcscd import PcscdError
from voyage.pcscreaders import PcscReaders
from voyage.plan import DAY_ENDS, DAY_STARTS, FILL_MAX, Plan, build_plan
from voyage.report import build_report, micropython_version, write_report
from voyage.scene import Lamp
from voyage.screen import Screen
from voyage.ship import (
    HOST,
    GatewayProcess,
    ShipError,
    Tokens,
    check_writable,
    free_port,
    make_ship,
    settings_text,
)
from voyage.wrists import VirtualBand, close_all, start_all

BOARD_EVERY_S = 0.5
DEATH_LIMIT_S = 2.0  # a gateway that stops answering may be about to end
SECONDS_PER_FILL = 6  # a longer day has more ordinary taps
_TROUBLES = (
    ShipError,
    BandProcessError,
    PcscdError,
    StewardError,
    StepFailed,
    Refused,
    Unreachable,
    OSError,
    TimeoutError,
)


class Trouble(Exception):
    """Why there is no demo, or no more; the text is for people. under_way: guests were on board already."""

    def __init__(self, text: str, under_way: bool) -> None:
        super().__init__(text)
        self.under_way = under_way


class Outcome(Enum):
    GOOD = "all checks hold"
    BAD = "a check failed"
    INTERRUPTED = "ended before the day was over"


@dataclass(frozen=True, slots=True)
class Settings:
    once: bool
    report: Path | None
    pcsc: bool
    bands: int
    seed: int
    port: int
    seconds: float
    keep: Path | None


@dataclass(slots=True)
class Aboard:
    """What is running once the ship is ready."""

    gateway: GatewayProcess
    http: Gateway
    tokens: Tokens
    controllers: DoorControllers
    bands: list[VirtualBand]
    pcsc_ports: Mapping[str, int]
    ports: dict[str, int] = field(default_factory=dict)  # place -> where a band enters its field


class Sailing:
    """One demo, from start to end."""

    def __init__(self, settings: Settings, screen: Screen) -> None:
        self._settings = settings
        self._screen = screen
        self._scene = screen.scene
        self._cast: Cast = build_cast(settings.bands)
        fill = min(FILL_MAX, int(settings.seconds // SECONDS_PER_FILL))
        self._plan: Plan = build_plan(self._cast, settings.seed, fill)
        self._clock = day.ShipClock(settings.seconds)
        doors = tuple(place.name for place in self._cast.of(DOOR))
        self._seen = Observed(doors=doors, steps_planned=self._plan.steps + 2 * len(self._plan.boarding))
        self._checks: list[Check] = []
        self._seconds: dict[str, float] = {}
        self._gateway: GatewayProcess | None = None

    async def sail(self, stop: asyncio.Event) -> Outcome:
        """Until the day is over (once), or `stop` is set. Raises Trouble."""
        work = asyncio.create_task(self._work())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        stopped.cancel()
        await asyncio.wait((work, stopped))
        if not work.cancelled():
            work.result()
        if not self._checks:
            return Outcome.INTERRUPTED
        self._screen.summary(self._checks, self._figures())
        return Outcome.GOOD if all(check.ok for check in self._checks) else Outcome.BAD

    async def _work(self) -> None:
        """Everything, with trouble told in one way."""
        try:
            async with AsyncExitStack() as stack:
                await self._voyage(stack)
        except _TROUBLES as error:
            raise self._trouble(error) from error
        except ExceptionGroup as group:
            if (first := _first_trouble(group)) is None:
                raise
            raise self._trouble(first) from group

    def _trouble(self, error: Exception) -> Trouble:
        text = str(error) or type(error).__name__
        if self._gateway is not None and not isinstance(error, ShipError):
            text = f"{text}\n{self._gateway.last_words()}"
        return Trouble(text, bool(self._seen.steps_done))

    async def _voyage(self, stack: AsyncExitStack) -> None:
        """Start what a ship needs, one thing after the other; the stack ends it in reverse order."""
        settings = self._settings
        micropython = find_micropython()
        port = free_port(settings.port)
        if settings.report is not None:
            check_writable(settings.report)
        guard = stack.enter_context(Guard())
        folder = stack.enter_context(self._ship_folder())
        controllers = DoorControllers(self._light_up)
        await controllers.start(self._seen.doors)
        stack.push_async_callback(controllers.close)
        pcsc = await stack.enter_async_context(PcscReaders(self._cast)) if settings.pcsc else None
        if pcsc is not None and pcsc.pid is not None:
            guard.add(pcsc.pid)
        text = settings_text(self._cast, port, controllers.addresses, pcsc.names if pcsc else {}, datetime.now(UTC))
        config, tokens = make_ship(folder, self._cast, text)

        await stack.enter_async_context(self._screen)
        self._set_scene(port, pcsc)
        gateway = GatewayProcess(config, folder / "gateway.log", pcsc.environment() if pcsc else None)
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        self._gateway = gateway
        guard.add(gateway.pid)
        self._screen.plain(f"gateway process {gateway.pid}, log {gateway.log}")
        self._screen.plain(f"status page {self._scene.address}")
        http = Gateway(f"http://{HOST}:{port}")
        stack.push_async_callback(http.close)
        bands = [VirtualBand(band, folder / "bands") for band in self._cast.bands]
        stack.push_async_callback(close_all, bands)
        aboard = Aboard(gateway, http, tokens, controllers, bands, pcsc.ports if pcsc else {})
        await _unless_it_dies(gateway, self._whole_day(aboard, micropython))

    async def _whole_day(self, aboard: Aboard, micropython: str) -> None:
        """Boarding, the day, settlement, checks; then, unless it is for once, the night."""
        scene, seen = self._scene, self._seen
        scene.begin("starting the gateway")
        with self._timed("gateway"):
            await aboard.gateway.wait_healthy(aboard.http.healthy)
        scene.begin("starting bands", len(aboard.bands))
        with self._timed("bands"):
            await start_all(aboard.bands, scene.advance)
        monitor = Client(aboard.http, aboard.tokens.monitor)
        readers = (await monitor.get("/v1/readers"))["items"]
        aboard.ports = {reader["name"]: reader["port"] for reader in readers} | dict(aboard.pcsc_ports)
        acts = self._acts(aboard)
        async with _in_background(self._poll_board(monitor)):
            scene.begin("boarding", len(self._plan.boarding))
            with self._timed("boarding"):
                await day.board(self._plan, acts, len(self._cast.of(ENCODER)), scene.advance)
            scene.begin("at sea")
            with self._timed("day"):
                await day.live(self._plan, acts, self._clock, self._settings.seconds, seen, scene.tell)
            scene.begin("settling folios", len(acts.refs))
            with self._timed("settlement"):
                await day.settle(acts, Purser(aboard.http, aboard.tokens.purser), seen, scene.advance, scene.tell)
            scene.figures = await monitor.get("/v1/board")
            self._conclude(aboard, acts, micropython)
            if not self._settings.once:
                scene.begin("the day is over; the doors stay in use")
                await night.stroll(self._cast, acts, random.Random(self._settings.seed))

    def _conclude(self, aboard: Aboard, acts: Acts, micropython: str) -> None:
        seen = self._seen
        seen.stray_signals = list(aboard.controllers.stray)
        seen.bands = [band.facts(acts.truth.wearer.get(band.band.key, "")) for band in aboard.bands]
        self._checks = run_checks(seen)
        self._scene.checks = self._checks
        if self._settings.report is not None:
            chosen = {name: getattr(self._settings, name) for name in ("pcsc", "bands", "seed", "seconds")}
            report = build_report(
                seen,
                self._checks,
                self._scene.figures,
                micropython=micropython_version(micropython),
                settings=chosen,
                seconds=self._seconds,
            )
            write_report(self._settings.report, report)

    def _acts(self, aboard: Aboard) -> Acts:
        tills = {
            place.name: Till(aboard.http, aboard.tokens.tills[place.name], place.name, place.outlet or "")
            for place in self._cast.of(TILL)
        }
        return Acts(
            self._cast,
            {band.band.key: band for band in aboard.bands},
            aboard.ports,
            aboard.controllers,
            Desk(aboard.http, aboard.tokens.desk),
            Purser(aboard.http, aboard.tokens.purser),
            tills,
            self._seen,
            self._scene.tell,
            aboard.pcsc_ports,
        )

    async def _poll_board(self, monitor: Client) -> None:
        while True:
            self._scene.figures = await monitor.get("/v1/board")
            await asyncio.sleep(BOARD_EVERY_S)

    def _set_scene(self, port: int, pcsc: PcscReaders | None) -> None:
        scene, cast = self._scene, self._cast
        scene.clock = lambda: str(self._clock)
        scene.day_part = self._day_part
        scene.bands, scene.passive = len(cast.bands), sum(band.passive for band in cast.bands)
        real = f", {len(pcsc.ports)} of them PC/SC" if pcsc else ""
        scene.readers = f"{len(cast.places)} readers{real}"
        scene.address = f"http://{HOST}:{port}/"
        scene.note = "Ctrl-C ends the demo"
        scene.lamps = {door: Lamp() for door in self._seen.doors}

    def _day_part(self) -> float:
        scene = self._scene
        if scene.total:
            return scene.done / scene.total
        return (self._clock.now() - DAY_STARTS) / (DAY_ENDS - DAY_STARTS)

    def _light_up(self, door: str, signal: Signal) -> None:
        self._scene.light_up(door, signal)

    def _figures(self) -> str:
        figures, seen = self._scene.figures, self._seen
        tap = figures.get("tap_ms", {})
        lines = [
            f"{figures.get('taps', 0)} taps by {len(seen.bands)} bands: {figures.get('doors_opened', 0)} doors opened, "
            f"{figures.get('charges_posted', 0)} charges, {sum(figures.get('refusals', {}).values())} refusals.",
            f"Half of all taps took {tap.get('p50', 0):.0f} ms, 99 in 100 at most {tap.get('p99', 0):.0f} ms.",
        ]
        if self._settings.report is not None:
            lines.append(f"Report: {self._settings.report}")
        return "\n".join(lines)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[phase] = time.monotonic() - start

    @contextmanager
    def _ship_folder(self) -> Iterator[Path]:
        """The ship's folder. One of our own making goes in the end, unless something went wrong in it."""
        kept = self._settings.keep
        if kept is not None:
            yield _own_folder(kept)
            return
        folder = Path(tempfile.mkdtemp(prefix="voyage-"))
        try:
            yield folder
        except (*_TROUBLES, ExceptionGroup):
            raise  # the log in it tells why
        except asyncio.CancelledError:
            self._clear(folder)
            raise
        self._clear(folder)

    def _clear(self, folder: Path) -> None:
        if all(check.ok for check in self._checks):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            self._screen.note(f"The ship's folder is kept for a look: {folder}")


def _own_folder(path: Path) -> Path:
    """A folder to keep: new or empty, so that nothing of another voyage is mixed in."""
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise ShipError(f"{path} is not empty: name a new folder with --keep")
    return path.resolve()


async def _unless_it_dies(gateway: GatewayProcess, work: Coroutine[Any, Any, None]) -> None:
    """Do the work; if the gateway's process ends meanwhile, that is what went wrong."""
    working, dying = asyncio.create_task(work), asyncio.create_task(gateway.ended())
    try:
        await asyncio.wait((working, dying), return_when=asyncio.FIRST_COMPLETED)
        if working.done() and not working.cancelled() and working.exception() is not None:
            await asyncio.wait((dying,), timeout=DEATH_LIMIT_S)
        if dying.done():
            raise dying.result()
        await working
    finally:
        working.cancel()
        dying.cancel()
        await asyncio.wait((working, dying))


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Keep `work` running meanwhile; if it fails, so does the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        yield
        task.cancel()


def _first_trouble(group: BaseExceptionGroup[Any]) -> Exception | None:
    """The first error of the group that is a known trouble; None if any of them is not: that is a bug."""
    _, unknown = group.split(_TROUBLES)
    if unknown is not None:
        return None
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else None
