"""From an empty folder to a settled ship and back to nothing: starts everything, lets the day happen, ends it all."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from steward.errors import StewardError
from voyage import day, evidence, night
from voyage.aboard import Aboard, admit_all, import_guests, seat_purser, tell_the_day
from voyage.acts import Acts, StepFailed
from voyage.bandproc import BandProcessError, find_micropython
from voyage.cast import DOOR, ENCODER, Cast, build_cast
from voyage.checks import run_checks
from voyage.client import Admin, Client, Desk, Gateway, Purser, Refused, Unreachable
from voyage.control import DoorControllers
from voyage.guard import Guard
from voyage.handheld import Handheld
from voyage.link import LinkWatch
from voyage.observed import Observed
from voyage.outcome import Outcome, Settings, Trouble
from voyage.pcscd import PcscdError
from voyage.pcscreaders import PcscReaders
from voyage.plan import DAY_ENDS, DAY_STARTS, FILL_MAX, Plan, build_plan
from voyage.process import ShipError
from voyage.profiles import make_up
from voyage.reasons import try_reasons
from voyage.relay import Relay
from voyage.report import build_report, micropython_version, write_report
from voyage.scene import Lamp
from voyage.screen import Screen
from voyage.seek import ZONE, try_find
from voyage.ship import (
    HOST,
    AirGatewayProcess,
    LinkPlan,
    check_writable,
    free_port,
    make_ship,
    own_folder,
    page_port,
    settings_text,
)
from voyage.shore import Shore, ShoreProcess, make_shore, name_authority
from voyage.tending import first_trouble, in_background, unless_one_dies
from voyage.trust import GUEST, try_trust
from voyage.untracked import Untracking, look_for_optional, may_ask
from voyage.verdict import Check
from voyage.watching import taps_by_hand
from voyage.workshop import Workshop, bring_aboard, look_at_stock
from voyage.wrists import VirtualBand, close_all, start_all

BOARD_EVERY_S = 0.5
OUTAGE_AT = 12 * 60  # ship's time
SECONDS_PER_FILL = 5  # a longer day has more ordinary taps
CHOSEN = ("pcsc", "bands", "seed", "seconds", "outage", "untracked")  # settings that the report names
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
        self._seen = Observed(doors=doors, steps_planned=self._plan.steps + len(self._plan.boarding))
        self._seen.outage_asked = settings.outage is not None
        self._seen.untracked_asked = settings.untracked
        self._checks: list[Check] = []
        self._seconds: dict[str, float] = {}
        self._gateway: AirGatewayProcess | None = None
        self._by_hand: set[str] = set()  # people whose bands were tapped by hand

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
            if (first := first_trouble(group, _TROUBLES)) is None:
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
        port = page_port(settings.port)
        if settings.report is not None:
            check_writable(settings.report)
        guard = stack.enter_context(Guard())
        folder = stack.enter_context(self._ship_folder())
        controllers = DoorControllers(self._scene.light_up)
        await controllers.start(self._seen.doors)
        stack.push_async_callback(controllers.close)
        pcsc = await stack.enter_async_context(PcscReaders(self._cast)) if settings.pcsc else None
        if pcsc is not None and pcsc.pid is not None:
            guard.add(pcsc.pid)
        await stack.enter_async_context(self._screen)
        self._set_scene(port, pcsc)
        aboard = await self._launch(stack, guard, folder, controllers, pcsc, port)
        work = self._whole_day(aboard, micropython)
        await unless_one_dies((aboard.gateway, aboard.ashore), work)

    async def _launch(
        self,
        stack: AsyncExitStack,
        guard: Guard,
        folder: Path,
        controllers: DoorControllers,
        pcsc: PcscReaders | None,
        port: int,
    ) -> Aboard:
        """Shore's folder, the ship's, then both services; the relay stands between the gateway and its broker."""
        scene, screen = self._scene, self._screen
        scene.begin("making the ship and the shore")
        broker_port = free_port(0)
        relay = await stack.enter_async_context(Relay(broker_port))
        shore_folder = await make_shore(folder, broker_port)
        link = LinkPlan(broker_port, relay.port, shore_folder.key)
        names = pcsc.names if pcsc else {}
        text = settings_text(self._cast, port, controllers.addresses, names, datetime.now(UTC), link)
        workshop = Workshop(folder, self._cast, folder / "bands")
        stack.push_async_callback(workshop.close)
        config, tokens = make_ship(folder, self._cast, text + workshop.trusted)
        workshop.begin()
        await name_authority(shore_folder.config, folder)

        scene.begin("starting the gateway")
        air_port = free_port(0)
        environment = pcsc.environment() if pcsc else None
        gateway = AirGatewayProcess(config, folder / "gateway.log", environment, air_port, ZONE)
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        self._gateway = gateway
        guard.add(gateway.pid)
        http = Gateway(self._address(port))
        stack.push_async_callback(http.close)
        with self._timed("gateway"):
            await gateway.wait_healthy(http.healthy)
        screen.plain(f"gateway process {gateway.pid}, log {gateway.log}")

        scene.begin("starting shore")
        ashore = ShoreProcess(shore_folder.config, folder / "shore.log")
        stack.push_async_callback(ashore.stop)
        await ashore.start()
        guard.add(ashore.pid)
        with self._timed("shore"):
            scene.fleet = await ashore.address()
        fleet = Gateway(scene.fleet)
        stack.push_async_callback(fleet.close)
        screen.plain(f"shore process {ashore.pid}, log {ashore.log}")
        with self._timed("workshop"):
            self._seen.workshop = await bring_aboard(workshop, tokens.desk, self._address(port), scene)
        found = self._cast.person(GUEST).band
        airs = {found: f"{HOST}:{air_port}/{found}"}
        bands = [VirtualBand(band, folder / "bands", airs.get(band.key)) for band in self._cast.bands]
        stack.push_async_callback(close_all, bands)
        handhelds = {p.key: Handheld(self._address(port), p.duty) for p in self._cast.crew if p.duty is not None}
        for handheld in handhelds.values():
            stack.push_async_callback(handheld.close)
        return Aboard(
            folder=folder,
            gateway=gateway,
            ashore=ashore,
            http=http,
            shore=Shore(fleet, shore_folder),
            relay=relay,
            tokens=tokens,
            controllers=controllers,
            bands=bands,
            pcsc_ports=pcsc.ports if pcsc else {},
            desk=Desk(http, tokens.desk),
            admin=Admin(http, tokens.admin),
            purser=Purser(http, tokens.purser),
            handhelds=handhelds,
            profiles=make_up(self._cast.people),
        )

    async def _whole_day(self, aboard: Aboard, micropython: str) -> None:
        """Boarding, the day, settlement, checks; then, unless it is for once, the night."""
        scene, seen = self._scene, self._seen
        monitor = Client(aboard.http, aboard.tokens.monitor)
        watch = LinkWatch(aboard.http, aboard.shore, aboard.relay, scene.link)
        untracking = Untracking(self._cast, aboard.bands, scene.address.rstrip("/"))
        acts = await self._muster(aboard, monitor, untracking)
        by_hand = taps_by_hand(aboard, acts, self._cast, self._screen, self._by_hand, watched=not self._settings.once)
        async with by_hand, in_background(self._poll_board(monitor), watch.keep_looking()):
            scene.begin("boarding", len(self._plan.boarding))
            with self._timed("boarding"):
                await day.board(self._plan, acts, len(self._cast.of(ENCODER)), scene.advance)
            scene.begin("at sea")
            with self._timed("day"):
                await self._at_sea(acts, watch)
            scene.begin("settling folios", len(acts.refs))
            with self._timed("settlement"):
                await day.settle(acts, aboard.purser, seen, scene.advance, scene.tell)
            with self._timed("reasons"):
                seen.suggestions, seen.arms = await try_reasons(aboard, acts.refs, scene)
            scene.begin("comparing with shore")
            with self._timed("comparing"):
                await evidence.collect(aboard, acts.refs, self._by_hand, seen)
                if seen.untracked_asked:
                    guests = {key: ref for key, ref in acts.refs.items() if may_ask(self._cast.person(key))}
                    seen.untracked = await asyncio.to_thread(
                        look_for_optional, aboard.folder, guests, untracking.asked, seen.events
                    )
            scene.figures = await monitor.get("/v1/board")
            seen.workshop = await look_at_stock(seen.workshop, monitor)
            await watch.look()
            if not seen.untracked_asked:
                with self._timed("find me"):
                    seen.found = await try_find(aboard, self._cast, acts, scene)
            with self._timed("trust"):
                seen.trust = await try_trust(aboard, self._cast, acts, seen, scene)
            self._conclude(aboard, acts, micropython)
            if not self._settings.once:
                scene.begin("the day is over; doors and the bar stay in use")
                await night.stroll(self._cast, acts, random.Random(self._settings.seed))

    async def _muster(self, aboard: Aboard, monitor: Client, untracking: Untracking) -> Acts:
        """Bands are started, guests imported, and shore sends the catalogue."""
        scene, base_url = self._scene, self._scene.address.rstrip("/")
        scene.begin("starting bands, importing guests", len(aboard.bands))
        with self._timed("bands"):
            async with asyncio.TaskGroup() as group:
                group.create_task(start_all(aboard.bands, scene.advance))
                imported = group.create_task(import_guests(aboard, self._cast, base_url))
                catalogue = group.create_task(aboard.shore.publish_catalogue())
        aboard.catalogue = catalogue.result()
        readers = (await monitor.get("/v1/readers"))["items"]
        aboard.ports = {reader["name"]: reader["port"] for reader in readers} | dict(aboard.pcsc_ports)
        await seat_purser(aboard)
        await tell_the_day(aboard.desk)
        acts = Acts(
            self._cast,
            {band.band.key: band for band in aboard.bands},
            aboard.ports,
            aboard.controllers,
            aboard.systems(self._cast),
            self._seen,
            scene.tell,
            aboard.pcsc_ports,
            untracking.ask if self._seen.untracked_asked else None,
        )
        await admit_all(acts, self._cast, imported.result())
        scene.tell(f"manifest · {len(imported.result())} made-up guests and crew imported, with photos", "good")
        return acts

    async def _at_sea(self, acts: Acts, watch: LinkWatch) -> None:
        """The day, and the outage in the middle of it if one was asked for."""
        seconds, outage_s = self._settings.seconds, self._settings.outage or 0.0
        async with asyncio.TaskGroup() as group:
            living = day.live(self._plan, acts, self._clock, seconds + outage_s, self._seen, self._scene.tell)
            group.create_task(living)
            if outage_s:
                noon = lambda: self._clock.until(OUTAGE_AT)  # noqa: E731 the clock starts with the day
                group.create_task(watch.outage(outage_s, noon, self._seen, self._scene.tell))

    def _conclude(self, aboard: Aboard, acts: Acts, micropython: str) -> None:
        seen = self._seen
        seen.stray_signals = list(aboard.controllers.stray)
        seen.bands = [band.facts(acts.truth.wearer.get(band.band.key, "")) for band in aboard.bands]
        self._checks = run_checks(seen)
        self._scene.checks = self._checks
        if self._settings.report is not None:
            chosen = {name: getattr(self._settings, name) for name in CHOSEN}
            report = build_report(
                seen,
                self._checks,
                self._scene.figures,
                micropython=micropython_version(micropython),
                settings=chosen,
                seconds=self._seconds,
            )
            write_report(self._settings.report, report)

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
        scene.address = f"{self._address(port)}/"
        scene.note = "Ctrl-C ends the demo"
        scene.lamps = {door: Lamp() for door in self._seen.doors}

    def _day_part(self) -> float:
        scene = self._scene
        if scene.total:
            return scene.done / scene.total
        return min(1.0, (self._clock.now() - DAY_STARTS) / (DAY_ENDS - DAY_STARTS))

    def _address(self, port: int) -> str:
        return f"http://{HOST}:{port}"

    def _figures(self) -> str:
        figures, seen = self._scene.figures, self._seen
        tap = figures.get("tap_ms", {})
        lines = [
            f"{figures.get('taps', 0)} taps by {len(seen.bands)} bands: {figures.get('doors_opened', 0)} doors opened, "
            f"{figures.get('charges_posted', 0)} charges, {sum(figures.get('refusals', {}).values())} refusals.",
            f"Half of all taps took {tap.get('p50', 0):.0f} ms, 99 in 100 at most {tap.get('p99', 0):.0f} ms.",
        ]
        if (link := seen.link) is not None:
            lines.append(
                f"{link.events} events ashore over a link of {link.up_bytes / 1000:.1f} kB up and "
                f"{link.down_bytes / 1000:.1f} kB down: {link.per_event:.0f} bytes an event."
            )
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
            yield own_folder(kept)
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
