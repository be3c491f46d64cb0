"""One seeded voyage: guests tap and buy, crew look up, machines and lines fail; then all mend, the books are checked.

`sail(seed, folder)` raises Broken with what was wrong. Everything random comes from the seed, and time is simulated.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.sim import checkers
from tests.sim.bands import Band
from tests.sim.machines import START_S, SeededEntropy
from tests.sim.network import LAN, SATELLITE, SimBroker
from tests.sim.nodes import AES, SITE, Gateway, Plan, Shore

from steward.adapters.keyfile import Role, export, new_key_file
from steward.adapters.keyring import FileKeyRing
from steward.domain.charges import ChargeRequest
from steward.domain.consent import ConsentPurpose
from steward.domain.features import Signal, Weather
from steward.domain.guests import Guest, Limits
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid, uid_from
from steward.domain.replica import MemberRole
from steward.domain.viewing import Field
from steward.errors import StewardError
from steward.ports import DoorSignal
from steward.services.allowances import Member
from steward.services.checkin import CheckinForm
from steward.services.encoder import JobState

STAY_MINOR, DAY_MINOR = 9_000, 6_000  # a few rounds: limits are reached in every run
PRICES = (150, 400, 900, 1_500, 2_600, 4_200)
TAP_LIMIT_S = 30.0
PLANS = (
    Plan("authority", Role.AUTHORITY, tills=("pursr-1",), doors=("bridge",)),
    Plan("till-a", Role.TILL, tills=("bar-a",)),
    Plan("till-b", Role.TILL, tills=("bar-b", "shop-b")),
    Plan("door-a", Role.DOOR, doors=("gangway", "pool")),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens in a run. Seconds are simulated."""

    guests: int = 4
    busy_s: float = 240.0
    pause_s: float = 4.0  # between a guest's acts, on average
    fault_s: float = 16.0  # between faults, on average
    mend_s: float = 3 * 3600.0  # everything has come together by then, or never will


@dataclass
class Wearer:
    """A guest with a band, as the outside world knows them."""

    guest: Guest
    band: Band
    uid: Uid
    frozen: bool = False


@dataclass
class Seen:
    """What people outside the machines saw: the checkers hold the books against it."""

    posted: dict[TapId, int] = field(default_factory=dict)  # tills that were told "posted", amount
    looked: int = 0  # cards that were shown at the authority
    with_consent: int = 0  # cards that showed what needs consent
    opened: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class World:
    def __init__(self, seed: int, folder: Path, size: Size) -> None:
        self.seed = seed
        self.size = size
        self.rng = random.Random(seed)
        self.seen = Seen()
        self.lan, self.shore_broker = SimBroker(), SimBroker()
        self.wearers: list[Wearer] = []
        self._at_door: dict[str, tuple[Wearer, int | None]] = {}
        entropy = SeededEntropy(random.Random(self.rng.random()))
        keys = new_key_file(SITE, entropy, START_S)
        members = {
            plan.name: Member(plan.name, MemberRole(plan.role.value), frozenset(TillId(till) for till in plan.tills))
            for plan in PLANS
            if plan.role is not Role.AUTHORITY
        }
        self.shore = Shore(
            folder / f"shore-{seed}.db",
            self.shore_broker,
            random.Random(self.rng.random()),
            [plan.name for plan in PLANS],
        )
        self.gateways = {
            plan.name: Gateway(
                plan,
                random.Random(self.rng.random()),
                FileKeyRing(keys if plan.role is Role.AUTHORITY else export(keys, plan.role, START_S), AES),
                self.lan,
                self.shore_broker,
                members,
                (self.shore.public_key,),
                self._door_signal,
            )
            for plan in PLANS
        }
        self.authority = self.gateways["authority"]

    # the day

    async def begin(self) -> None:
        await self.shore.create()
        await self.shore.boot()
        for gateway in self.gateways.values():
            gateway.boot()
        for number in range(self.size.guests):
            self.wearers.append(await self._come_aboard(number))

    async def _come_aboard(self, number: int) -> Wearer:
        running = self.authority.running
        assert running is not None
        form = CheckinForm(
            booking=f"B{number}",
            cabins=(5000 + number,),
            zones=("gangway",),
            child=False,
            crew=False,
            not_before_s=START_S - 3600,
            not_after_s=START_S + 7 * 86_400,
            currency="EUR",
            limits=Limits(STAY_MINOR, DAY_MINOR, verify_above_minor=100_000),
        )
        guest = await running.desk.check_in(form)
        band = Band(bytes((0x04, *self.rng.randbytes(6))), self.rng, active=self.rng.random() < 0.7)
        job = await running.encoder.request(guest.ref, "desk")
        await running.readers["desk"].present(band.enter(None))
        if running.encoder.job(job).state is not JobState.DONE:
            raise checkers.Broken([f"a band was not encoded: {running.encoder.job(job).code}"])
        return Wearer(guest, band, uid_from(band.uid))

    async def live(self) -> None:
        """Everybody does what they do, and things go wrong, until the busy time is over."""
        end_s = asyncio.get_running_loop().time() + self.size.busy_s
        acts = [self._guest_day(wearer, random.Random(self.rng.random()), end_s) for wearer in self.wearers]
        acts.append(self._crew_day(random.Random(self.rng.random()), end_s))
        acts.append(self._purser_day(random.Random(self.rng.random()), end_s))
        acts.append(self._bad_luck(random.Random(self.rng.random()), end_s))
        acts.append(self._consent_day(random.Random(self.rng.random()), end_s))
        acts.append(self._watch(end_s))
        await asyncio.gather(*acts)

    async def _guest_day(self, wearer: Wearer, rng: random.Random, end_s: float) -> None:
        while asyncio.get_running_loop().time() < end_s:
            await asyncio.sleep(rng.expovariate(1 / self.size.pause_s))
            torn_at = rng.randrange(6) if rng.random() < 0.08 else None
            if rng.random() < 0.4:
                await self._tap_door(wearer, rng, torn_at)
            else:
                await self._buy(wearer, rng, torn_at)

    async def _tap_door(self, wearer: Wearer, rng: random.Random, torn_at: int | None) -> None:
        gateway, door = rng.choice([(g, door) for g in self.gateways.values() for door in g.plan.doors])
        if gateway.running is None or door in self._at_door:
            return
        denied = gateway.disk.look(lambda tx: tx.denied_at(wearer.uid))
        self._at_door[door] = (wearer, denied)
        try:
            async with asyncio.timeout(TAP_LIMIT_S):
                await gateway.running.readers[door].present(wearer.band.enter(torn_at))
        except TimeoutError:
            self.seen.problems.append(f"door {door} did not serve a card in {TAP_LIMIT_S:g} s")
        finally:
            self._at_door.pop(door, None)

    def _door_signal(self, gateway: Gateway, signal: DoorSignal) -> None:
        self.seen.opened += signal.open
        self.seen.refused += not signal.open
        wearer, denied = self._at_door.get(signal.door, (None, None))
        if signal.open and wearer is not None and denied is not None:
            self.seen.problems.append(f"door {signal.door} opened for {wearer.uid}, frozen before the tap")

    async def _buy(self, wearer: Wearer, rng: random.Random, torn_at: int | None) -> None:
        gateway, till = rng.choice([(g, till) for g in self.gateways.values() for till in g.plan.tills])
        tap_id = TapId(rng.randbytes(16).hex())
        request = ChargeRequest(
            tap_id, TillId(till), OutletId("bar"), rng.choice(PRICES), "EUR", "a drink", allow_duplicate=True
        )
        running = gateway.running
        if running is None:
            return
        try:
            async with asyncio.timeout(TAP_LIMIT_S):
                await running.payments.request(request)
                await running.readers[till].present(wearer.band.enter(torn_at))
        except (StewardError, TimeoutError):
            pass  # not known what came of it: asked below, and never charged again by itself
        await self._ask(gateway, tap_id, request.amount_minor)

    async def _ask(self, gateway: Gateway, tap_id: TapId, amount_minor: int) -> None:
        """The till asks what came of its tap, as often as it needs to; then it lets go of it."""
        for _ in range(20):
            running = gateway.running
            if running is not None:
                try:
                    status = await running.payments.status(tap_id)
                    if status.code == "waiting":
                        status = await running.payments.cancel(tap_id)
                    if status.code == "posted":
                        self.seen.posted[tap_id] = amount_minor
                    return
                except StewardError as error:
                    if error.code == "not_found":
                        return
            await asyncio.sleep(5.0)

    async def _crew_day(self, rng: random.Random, end_s: float) -> None:
        while asyncio.get_running_loop().time() < end_s:
            await asyncio.sleep(rng.expovariate(1 / self.size.pause_s))
            running = self.authority.running
            if running is None:
                continue
            wearer = rng.choice(self.wearers)
            try:
                await running.lookups.card(checkers.VIEWER, wearer.guest.ref, tapped=False)
            except StewardError:
                continue  # nothing was shown
            self.seen.looked += 1

    async def _consent_day(self, rng: random.Random, end_s: float) -> None:
        """Guests give and take back consent, at the desk and ashore; crew of any gateway look, and see what counts."""
        while asyncio.get_running_loop().time() < end_s:
            await asyncio.sleep(rng.expovariate(1 / self.size.pause_s))
            ref, purpose = rng.choice(self.wearers).guest.ref, rng.choice(tuple(ConsentPurpose))
            desk, given = self.authority.running, rng.random() < 0.5
            try:
                if rng.random() < 0.3:
                    await self.shore.consent(ref, purpose, given)
                elif desk is not None:
                    await desk.consents.say(ref, {purpose: given}, "desk")
                    await desk.signals.say(ref, {rng.choice(tuple(Signal)): given}, "desk")
                    await desk.context.say_weather(rng.choice((*Weather, None)), "bridge")
            except StewardError:
                pass  # not recorded: it does not count
            await self._look_with_consent(rng, rng.choice(self.wearers).guest.ref)

    async def _look_with_consent(self, rng: random.Random, ref: GuestRef) -> None:
        gateway = rng.choice([g for g in self.gateways.values() if g.plan.role is not Role.DOOR])
        if gateway.running is None:
            return
        before = checkers.agreed(gateway, ref)
        try:
            await gateway.running.lookups.card(checkers.CASHIER, ref, tapped=False)
        except StewardError:
            return  # nothing was shown
        self.seen.looked += gateway.is_authority
        shown = checkers.newest_look(gateway, ref)
        self.seen.with_consent += Field.NOTES in shown
        if Field.NOTES in shown and not before and not checkers.agreed(gateway, ref):
            self.seen.problems.append(f"{gateway.plan.name} showed the notes of {ref} without consent")

    async def _purser_day(self, rng: random.Random, end_s: float) -> None:
        """Voids, refunds, disputes, and now and then a lost band."""
        while asyncio.get_running_loop().time() < end_s:
            await asyncio.sleep(rng.expovariate(1 / (4 * self.size.pause_s)))
            running = self.authority.running
            if running is None:
                continue
            wearer = rng.choice(self.wearers)
            charges = self.authority.disk.look(lambda tx, ref=wearer.guest.ref: list(tx.charges_of(ref)))
            try:
                if rng.random() < 0.15 and not wearer.frozen:
                    wearer.frozen = True
                    if rng.random() < 0.5 or not await self.shore.freeze(wearer.uid):
                        await running.desk.freeze(wearer.uid, "lost", "purser")
                elif charges:
                    await self._correct(rng, rng.choice(charges).request)
            except StewardError:
                continue

    async def _correct(self, rng: random.Random, request: ChargeRequest) -> None:
        running = self.authority.running
        assert running is not None
        act = rng.randrange(3)
        if act == 0:
            await running.payments.void(request.tap_id, "wrong drink", "purser")
        elif act == 1:
            amount_minor = rng.randint(1, request.amount_minor)
            refund_id = rng.randbytes(16).hex()
            await running.payments.refund(request.tap_id, amount_minor, "cold", "purser", refund_id)
        else:
            await running.payments.dispute(request.tap_id, "not mine", "guest")

    async def _watch(self, end_s: float) -> None:
        """Safety is looked at while it happens, not only at the end."""
        while asyncio.get_running_loop().time() < end_s:
            await asyncio.sleep(7.0)
            self.seen.problems += checkers.limits(self)
            self.seen.problems += checkers.ledgers(self)
            if self.seen.problems:
                raise checkers.Broken(self.seen.problems)

    # what goes wrong

    async def _bad_luck(self, rng: random.Random, end_s: float) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while loop.time() < end_s:
                await asyncio.sleep(rng.expovariate(1 / self.size.fault_s))
                group.create_task(self._fault(rng, rng.expovariate(1 / 15)))

    async def _fault(self, rng: random.Random, for_s: float) -> None:
        kinds = (self._lan_cut, self._lan_poor, self._no_shore, self._poor_shore, self._dead_gateway)
        kinds += (self._dead_broker, self._dead_shore, self._full_disk, self._wrong_clock, self._shore_restored)
        kind = rng.choice(kinds)
        gateway = rng.choice(list(self.gateways.values()))
        at_s = asyncio.get_running_loop().time()
        self.seen.faults.append(f"{at_s:.0f} s {kind.__name__.strip('_')} {gateway.plan.name} {for_s:.0f} s")
        await kind(gateway, rng, for_s)

    async def _lan_cut(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        gateway.set_lan(replace(gateway.lan_weather, up=False))
        await asyncio.sleep(for_s * 3)
        gateway.set_lan(LAN)

    async def _lan_poor(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        gateway.set_lan(replace(LAN, delay_s=0.05, jitter_s=0.4, loss=0.2, duplicate=0.3))
        await asyncio.sleep(for_s)
        gateway.set_lan(LAN)

    async def _no_shore(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        for each in self.gateways.values():
            each.set_shore(replace(each.shore_weather, up=False))
        await asyncio.sleep(for_s * 3)
        for each in self.gateways.values():
            each.set_shore(SATELLITE)

    async def _poor_shore(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        gateway.set_shore(replace(SATELLITE, jitter_s=2.0, loss=0.3, duplicate=0.3))
        await asyncio.sleep(for_s * 2)
        gateway.set_shore(SATELLITE)

    async def _dead_gateway(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        await gateway.kill()
        await asyncio.sleep(for_s)
        gateway.boot()

    async def _dead_broker(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        broker = rng.choice((self.lan, self.shore_broker))
        broker.crash()
        await asyncio.sleep(for_s)
        broker.restart()

    async def _dead_shore(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        await self.shore.kill()
        await asyncio.sleep(for_s)
        await self.shore.boot()

    async def _full_disk(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        gateway.disk.full = True
        await asyncio.sleep(for_s)
        gateway.disk.full = False

    async def _wrong_clock(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        gateway.wall.offset_s += rng.choice((-86_400, -3_600, 3_600, 2 * 86_400))
        await asyncio.sleep(for_s)
        gateway.wall.offset_s = 0.0

    async def _shore_restored(self, gateway: Gateway, rng: random.Random, for_s: float) -> None:
        self.shore.back_up()
        await asyncio.sleep(for_s)
        await self.shore.restore()
        await self.shore.boot()

    # and after

    async def mend(self) -> None:
        """No more faults: everything must come together by itself, and within a bounded time."""
        self.lan.restart()
        self.shore_broker.restart()
        for gateway in self.gateways.values():
            gateway.set_lan(LAN)
            gateway.set_shore(SATELLITE)
            gateway.wall.offset_s = 0.0
            gateway.disk.full = False
            gateway.boot()
        await self.shore.boot()
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self.size.mend_s
        while problems := await checkers.apart(self):
            if loop.time() > end_s:
                raise checkers.Broken([f"still apart {self.size.mend_s / 3600:g} h after all was mended", *problems])
            await asyncio.sleep(5.0)

    async def end(self) -> None:
        for gateway in self.gateways.values():
            await gateway.kill()
        await self.shore.kill()

    def digest(self) -> str:
        """What came of the run, in short: two runs of a seed agree on it."""
        summary = hashlib.sha256()
        for name, gateway in sorted(self.gateways.items()):
            events = gateway.disk.look(lambda tx: tx.events(0, 1_000_000))
            for event in events:
                summary.update(f"{name} {event.seq} {event.type} {event.at_s} {sorted(event.payload.items())}".encode())
        return summary.hexdigest()


@dataclass(frozen=True, slots=True)
class Voyage:
    """What a run was like."""

    seed: int
    digest: str
    events: int
    charges: int
    doors: int
    looked: int
    faults: tuple[str, ...]
    simulated_s: float


async def sail(seed: int, folder: Path, size: Size | None = None) -> Voyage:
    """One whole run. Raises checkers.Broken."""
    world = World(seed, folder, size or Size())
    try:
        await world.begin()
        await world.live()
        await world.mend()
        problems = world.seen.problems + await checkers.final(world)
    except checkers.Broken as broken:
        broken.seed, broken.faults = seed, tuple(world.seen.faults)
        raise
    finally:
        await world.end()
    if problems:
        raise checkers.Broken(problems, seed, tuple(world.seen.faults))
    counts = [gateway.disk.look(lambda tx: len(tx.events(0, 1_000_000))) for gateway in world.gateways.values()]
    return Voyage(
        seed,
        world.digest(),
        sum(counts),
        len(world.seen.posted),
        world.seen.opened,
        world.seen.looked,
        tuple(world.seen.faults),
        asyncio.get_running_loop().time(),
    )
