"""Several gateways of one ship on stores in memory, and a network between them that does what the test says.

Nothing runs by itself: a test sends, delivers, loses, repeats and reorders by hand, so that it can be replayed.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import cbor2
from tests.unit.moneykit import AES, CountingEntropy, FakeBand, HandClock, ring

from steward.adapters.keyfile import Role
from steward.adapters.memory import MemoryStore
from steward.domain.allowance import Escrow, Sizing, spendable
from steward.domain.batches import Batch, decode_ack, encode_batch
from steward.domain.charges import Charge, ChargeRequest
from steward.domain.events import EventType, StoredEvent
from steward.domain.guests import CabinStay, Guest, Limits, PinHash
from steward.domain.ids import GuestRef, OutletId, TapId, TillId
from steward.domain.lanwire import encode_ask
from steward.domain.replica import MemberRole, ask_topic, changes_topic
from steward.domain.topics import CLASSES, ROOT, ack_topic, up_topic
from steward.ports import Store, Tx
from steward.ports.sync import LinkBytes, LinkDown, PipeMessage
from steward.services.allowances import AllowanceBook, AllowanceSettings, Bell, EscrowDesk, Member
from steward.services.chargebook import ChargeBook, PaymentSettings
from steward.services.checkin import CheckinService
from steward.services.folio import FolioService
from steward.services.payments import PaymentService
from steward.services.peerbooks import PeerBooks
from steward.services.peers import Peers, Watched
from steward.services.pins import PinService
from steward.services.replica import Replica

SHIP = "aurora"
SETTINGS = AllowanceSettings(
    Sizing(advance_minor=300, grant_minor=400, low_minor=100, percent_max=25), settle_wait_ms=0
)


@dataclass
class Lan:
    """What was sent and has not arrived, in the order it was sent. A gateway in `cut` sends and hears nothing."""

    flight: list[tuple[str, bytes]] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)


class LanPipe:
    """ports.sync.Pipe by hand."""

    generation = 1

    def __init__(self, lan: Lan, name: str) -> None:
        self._lan = lan
        self._name = name

    @property
    def is_connected(self) -> bool:
        return self._name not in self._lan.cut

    async def connected(self) -> None:
        return None

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if not self.is_connected:
            raise LinkDown("cut")
        self._lan.flight.append((topic, payload))

    async def subscribe(self, *filters: str) -> None:
        return None

    async def messages(self) -> AsyncIterator[PipeMessage]:
        return
        yield

    def counted(self) -> LinkBytes:
        return LinkBytes(0, 0)

    async def close(self) -> None:
        return None


class Authority:
    """The folio authority, with a till of its own."""

    name = "gw1"

    def __init__(self, lan: Lan, members: Sequence[Member], store: Store | None = None) -> None:
        self.lan = lan
        self.members = members
        self.clock = HandClock()
        self.entropy = CountingEntropy()
        self.disk: Store = store or MemoryStore()
        self.alerts: list[str] = []
        self._numbers = itertools.count(1)
        self.restart()

    def restart(self) -> None:
        changed = Bell(self.clock)
        self.store: Store = Watched(self.disk, changed)
        self.settings = PaymentSettings(has_peers=True)
        pins = PinService(self.entropy)
        self.book = ChargeBook(self.settings)
        self.allowances = AllowanceBook(self.store, self.clock, self.book, {m.name: m for m in self.members}, SETTINGS)
        keyring = ring()
        self.books = PeerBooks(
            self.store, self.clock, self.entropy, keyring, AES, self.allowances, True, self.alerts.append
        )
        self.pipe = LanPipe(self.lan, self.name)
        self.peers = Peers(
            SHIP, self.members, self.store, self.clock, keyring, self.pipe, self.allowances, self.books, changed
        )
        self.payments = PaymentService(self.store, self.clock, self.entropy, keyring, AES, self.settings, pins)
        self.folio = FolioService(self.store, self.clock, self.settings, self.allowances)
        self.desk = CheckinService(self.store, self.clock, self.entropy, pins, {})

    async def guest(
        self,
        stay_minor: int = 10_000,
        day_minor: int = 5_000,
        verify_above_minor: int = 100_000,
        *,
        child: bool = False,
        cabin: int = 8104,
        pin: PinHash | None = None,
    ) -> GuestRef:
        ref = GuestRef(f"{next(self._numbers):016x}")
        guest = Guest(
            ref=ref,
            booking="B-1",
            cabins=(CabinStay(cabin, 1),),
            zones=0,
            child=child,
            crew=False,
            not_before_s=0,
            not_after_s=4_000_000_000,
            currency="EUR",
            limits=Limits(stay_minor, day_minor, verify_above_minor),
            serial=1,
            pin=pin,
        )
        await self.store.write(lambda tx: tx.put_guest(guest))
        return ref


class Follower:
    """Any other gateway."""

    def __init__(self, lan: Lan, member: Member, number: int, store: Store | None = None) -> None:
        self.lan = lan
        self.member = member
        self.name = member.name
        self.clock = HandClock()
        self.entropy = CountingEntropy()
        self.disk: Store = store or MemoryStore(first_epoch=number)
        self._boots = itertools.count(number * 1000)
        self.pipe = LanPipe(lan, self.name)
        self._wanted: tuple[GuestRef, int] | None = None
        self.restart()

    @property
    def store(self) -> Store:
        return self.disk

    def restart(self) -> None:
        settings = PaymentSettings(on_allowance=True)
        self.pins = PinService(self.entropy)
        self.book = ChargeBook(settings)
        role = self.member.role
        self.desk = EscrowDesk(self.store, self.clock, self.entropy, self.book, SETTINGS)
        boot = _Boot(next(self._boots))
        keyring = ring(Role(role.value))
        till = role is MemberRole.TILL
        self.replica = Replica(
            SHIP, self.name, role, self.store, self.clock, boot, keyring, self.pipe, self.desk if till else None
        )
        self.payments = PaymentService(self.store, self.clock, self.entropy, keyring, AES, settings, self.pins)
        self.checkin = CheckinService(self.store, self.clock, self.entropy, self.pins, {}, follows=True)
        self.folio = FolioService(self.store, self.clock, settings)

    async def ask(self) -> None:
        """One question, if there is a connection."""
        question = await self.replica.question()
        if self.pipe.is_connected:
            await self.pipe.publish(ask_topic(SHIP, self.name), encode_ask(question))
            self.desk.asked()
            if self._wanted is not None:
                self.desk.unwant(*self._wanted)

    async def want(self, ref: GuestRef, amount_minor: int) -> int:
        """Say in the next question what a charge of this amount needs; what is short."""

        def look(tx: Tx) -> tuple[Escrow, int]:
            held_minor = sum(charge.request.amount_minor for charge in tx.held_of(ref))
            return tx.escrow(ref) or Escrow(ref), held_minor

        escrow, held_minor = await self.store.read(look)
        short = amount_minor - spendable(escrow, held_minor, self.clock.unix_s)
        if short > 0:
            self._wanted = (ref, 1 + next(self._boots))
            self.desk.want(escrow, short, self._wanted[1])
        return short

    async def left(self, ref: GuestRef) -> int:
        escrow = await self.store.read(lambda tx: tx.escrow(ref))
        return 0 if escrow is None else escrow.left_minor

    async def send_up(self, limit: int = 50) -> None:
        """A batch of each class that has something to tell."""
        if not self.pipe.is_connected:
            return
        for cls in CLASSES:
            batch = await self.store.read(partial(self._batch, cls=cls, limit=limit))
            if batch.events:
                await self.pipe.publish(up_topic(SHIP, self.name, cls), encode_batch(batch))

    def _batch(self, tx: Tx, cls: int, limit: int) -> Batch:
        epoch = tx.epoch()
        prev = tx.covered("ship").get((epoch, cls), 0)
        events = tuple(tx.events_of(cls, epoch, prev, limit))
        return Batch(SHIP, self.name, epoch, 1, cls, events, tx.newest_seq(epoch), prev)

    async def acknowledged(self, payload: bytes) -> None:
        ack = decode_ack(payload)

        def work(tx: Tx) -> None:
            for cls, seq in zip(CLASSES, ack.covered, strict=True):
                if seq > tx.covered("ship").get((ack.epoch, cls), 0):
                    tx.set_covered("ship", ack.epoch, cls, seq)

        await self.store.write(work)

    async def behind(self) -> int:
        def count(tx: Tx) -> int:
            return sum(len(self._batch(tx, cls, 1000).events) for cls in CLASSES)

        return await self.store.read(count)


@dataclass
class _Boot:
    """Entropy for the name of one process's life."""

    number: int

    def token_bytes(self, n: int) -> bytes:
        return self.number.to_bytes(n, "big")


class Fleet:
    """One authority, and followers by name."""

    def __init__(self, *members: Member) -> None:
        self.lan = Lan()
        self.members = members or (
            Member("bar", MemberRole.TILL, frozenset({TillId("bar-1")})),
            Member("spa", MemberRole.TILL, frozenset({TillId("spa-1")})),
            Member("deck", MemberRole.DOOR),
        )
        self.authority = Authority(self.lan, self.members)
        self.followers = {m.name: Follower(self.lan, m, 1 + n) for n, m in enumerate(self.members)}
        self._taps = itertools.count(1)
        self._uids = itertools.count(1)

    def __getitem__(self, name: str) -> Follower:
        return self.followers[name]

    def band(self, ref: GuestRef, *, active: bool = True) -> FakeBand:
        return FakeBand(b"\x04" + next(self._uids).to_bytes(6, "big"), ref, active)

    def ask(self, till: str, amount_minor: int, **more: object) -> ChargeRequest:
        base = ChargeRequest(
            TapId(f"{next(self._taps):032x}"), TillId(till), OutletId("bar"), amount_minor, "EUR", "Two coffees"
        )
        return replace(base, allow_duplicate=True, **more)  # type: ignore[arg-type]

    async def charge(self, till: str, band: FakeBand, amount_minor: int, **more: object) -> Charge:
        """A tap at a till of one of the gateways, decided with what is there."""
        payments = self.payments_at(till)
        request = self.ask(till, amount_minor, **more)
        return await payments.book(request, band.tap(request))

    def payments_at(self, till: str) -> PaymentService:
        for member in self.members:
            if TillId(till) in member.tills:
                return self.followers[member.name].payments
        return self.authority.payments

    # the network

    async def deliver(self, topic: str, payload: bytes) -> None:
        """Hand a message to whom it is for; lost if that one is cut off."""
        for name, follower in self.followers.items():
            if name not in self.lan.cut:
                if topic == changes_topic(SHIP, name):
                    await follower.replica.hear(payload)
                elif topic == ack_topic(SHIP, name, "ship"):
                    await follower.acknowledged(payload)
        if topic.endswith("/ask") or topic.split("/")[-2] == "up":
            try:
                await self.authority.peers.hear(topic, payload)
            except LinkDown:
                return

    async def deliver_all(self) -> None:
        while self.lan.flight:
            await self.deliver(*self.lan.flight.pop(0))

    async def sync(self, *names: str) -> None:
        """Everything that these gateways, or all, have to tell and to hear."""
        for name in names or tuple(self.followers):
            follower = self.followers[name]
            for _ in range(50):
                await follower.ask()
                await self.deliver_all()
                await self.authority.peers.tell()
                await self.deliver_all()
                await follower.send_up()
                await self.deliver_all()
                if name in self.lan.cut or not await follower.behind():
                    break
            await self.authority.peers.tell()
            await self.deliver_all()

    async def settle_down(self) -> None:
        """Heal the network and let everything converge."""
        self.lan.cut.clear()
        for _ in range(4):
            await self.sync()

    # what there is

    async def events(self, *types: EventType) -> list[StoredEvent]:
        found = await self.authority.store.read(lambda tx: tx.events(0, 100_000))
        return [event for event in found if not types or event.type in types]

    async def alerts(self) -> list[str]:
        return [str(event.payload["alert"]) for event in await self.events(EventType.STAFF_ALERT)]

    async def booked(self, tap_id: TapId) -> Charge | None:
        return await self.authority.store.read(lambda tx: tx.charge(tap_id))

    async def outstanding(self, ref: GuestRef) -> int:
        return await self.authority.store.read(lambda tx: tx.outstanding(ref))


def up(name: str, cls: int = 3) -> str:
    return f"{ROOT}/{SHIP}/{name}/up/{ {1: 'identity', 2: 'safety', 3: 'money', 4: 'telemetry', 5: 'insight'}[cls] }"


def signed_row(row: list[object]) -> bytes:
    """A change set of this one row, whatever it is, truly signed."""
    body = cbor2.dumps([SHIP, "bar", 1, 0, 5, 0, [row], [], False])
    version, signature = ring().sign_lan(body)
    return bytes((1, version)) + signature + body
