"""A ship of four gateways in one process: real bands, real sockets, a real broker; each with a store of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.vaultkit import DATA_KEY
from typer.testing import CliRunner

from steward.adapters.aes import HostAes
from steward.adapters.broker import BrokerSetup, EmbeddedBroker
from steward.adapters.brokerrights import identity, ship_broker
from steward.adapters.keyfile import KeyFile, Role, export, new_key_file
from steward.adapters.keyring import FileKeyRing
from steward.adapters.memory import MemoryStore
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_verify import app as verify
from steward.domain.allowance import Sizing
from steward.domain.charges import ChargeState
from steward.domain.events import EventType, StoredEvent
from steward.domain.guests import Limits
from steward.domain.ids import GuestRef, OutletId, TillId
from steward.domain.ledger import guest_account
from steward.domain.outlets import OutletKind
from steward.domain.recipients import WHOLE
from steward.domain.replica import MemberRole
from steward.domain.viewing import CrewRole, Field, Purpose, Viewer, look_at
from steward.ports import Store, Tx
from steward.services.allowances import AllowanceBook, AllowanceSettings, Bell, EscrowDesk, Member
from steward.services.audit import check_ledger
from steward.services.chargebook import ChargeBook, PaymentSettings
from steward.services.folio import FolioService
from steward.services.lookcheck import LookChecker, TrustedKeys
from steward.services.lookheads import LookHeads
from steward.services.lookproof import LookProofs
from steward.services.peerbooks import PeerBooks
from steward.services.peers import Peers, Watched
from steward.services.replica import Replica
from steward.services.router import MessageRouter
from steward.services.uplink import UplinkService, UplinkSettings
from voyage.bandproc import BandOptions, BandProcess
from voyage.rig import SITE, Rig

SHIP, DOOR = "aurora", "cabin-5012"
MEMBERS = (
    Member("bar", MemberRole.TILL, frozenset({TillId("bar-1")})),
    Member("spa", MemberRole.TILL, frozenset({TillId("spa-1")})),
    Member("deck", MemberRole.DOOR),
)
ALLOWANCES = AllowanceSettings(Sizing(advance_minor=1000, grant_minor=1000, low_minor=0), wait_ms=5000)
CLOCK, ENTROPY, AES = SystemClock(high_water_s=0), OsEntropy(), HostAes()


@dataclass
class Node:
    """One gateway: its rig, and its tasks on the network."""

    rig: Rig
    pipe: MqttPipe
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    line: asyncio.Task[None] | None = None

    def plug_in(self) -> None:
        self.line = asyncio.create_task(self.pipe.run())

    async def cut(self) -> None:
        """The cable is pulled; everything else goes on."""
        assert self.line is not None
        self.line.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.line

    @property
    def store(self) -> Store:
        return self.rig.store


class Aurora:
    def __init__(self, broker: EmbeddedBroker, keys: KeyFile) -> None:
        self._broker = broker
        self._keys = keys
        self.nodes: dict[str, Node] = {}
        self.alerts: list[str] = []

    def pipe(self, name: str) -> MqttPipe:
        user = identity(SHIP, name)
        settings = MqttSettings(
            "127.0.0.1", self._broker.port, f"{SHIP}-{name}-ship-test", login=(user, self._broker.password(user))
        )
        return MqttPipe(settings)

    def authority(self) -> Node:
        changed, pipe, settings = Bell(CLOCK), self.pipe("gw1"), PaymentSettings(has_peers=True)
        store, keyring = Watched(MemoryStore(), changed), FileKeyRing(self._keys, AES)
        book = AllowanceBook(store, CLOCK, ChargeBook(settings), {m.name: m for m in MEMBERS}, ALLOWANCES)
        books = PeerBooks(store, CLOCK, ENTROPY, keyring, AES, book, True, self.alerts.append)
        peers = Peers(SHIP, MEMBERS, store, CLOCK, keyring, pipe, book, books, changed)
        router = MessageRouter(pipe)
        for topic in peers.topics:
            router.on(topic, peers.receive)
        self.folio = FolioService(store, CLOCK, settings, book)
        rig = Rig(store, keys=self._keys, settings=settings, funds=book)
        return self._start("gw1", rig, pipe, router.run, peers.run)

    def follower(self, member: Member) -> Node:
        store, pipe, settings = MemoryStore(), self.pipe(member.name), PaymentSettings(on_allowance=True)
        keyring = FileKeyRing(export(self._keys, Role(member.role.value), 0), AES)
        till = member.role is MemberRole.TILL
        desk = EscrowDesk(store, CLOCK, ENTROPY, ChargeBook(settings), ALLOWANCES) if till else None
        replica = Replica(SHIP, member.name, member.role, store, CLOCK, ENTROPY, keyring, pipe, desk)
        uplink = UplinkService(store, CLOCK, ENTROPY, pipe, UplinkSettings(SHIP, member.name, "ship", "test", WHOLE))
        router = MessageRouter(pipe)
        router.on(replica.topic, replica.receive)
        router.on(uplink.topic, uplink.receive)
        rig = Rig(store, keys=self._keys, keyring=keyring, settings=settings, funds=desk)
        return self._start(member.name, rig, pipe, router.run, replica.run, uplink.run)

    def _start(self, name: str, rig: Rig, pipe: MqttPipe, *runs: Callable[[], Awaitable[None]]) -> Node:
        node = self.nodes[name] = Node(rig, pipe)
        node.tasks = [asyncio.ensure_future(run()) for run in runs]  # type: ignore[arg-type]
        node.plug_in()
        return node

    async def stop(self) -> None:
        for node in self.nodes.values():
            for task in node.tasks:
                task.cancel()
            results = await asyncio.gather(*node.tasks, return_exceptions=True)
            await node.cut()
            failed = [r for r in results if isinstance(r, Exception)]
            assert failed == []


@asynccontextmanager
async def aurora(tmp_path: Path) -> AsyncIterator[Aurora]:
    names = ["gw1", *(member.name for member in MEMBERS)]
    setup = BrokerSetup("aurora-test", tmp_path / "broker", ship_broker(SHIP, names, "gw1"))
    broker = await EmbeddedBroker.open(setup)
    running = asyncio.create_task(broker.run())
    ship = Aurora(broker, new_key_file(SITE, ENTROPY, 1_800_000_000))
    try:
        await broker.ready.wait()
        ship.authority()
        for member in MEMBERS:
            ship.follower(member)
        async with contextlib.AsyncExitStack() as rigs:
            for node in ship.nodes.values():
                await rigs.enter_async_context(node.rig)
            await ship.nodes["gw1"].rig.add_encoder("desk")
            await ship.nodes["bar"].rig.add_till("bar-1")
            await ship.nodes["spa"].rig.add_till("spa-1")
            await ship.nodes["deck"].rig.add_door(DOOR, cabin=5012)
            try:
                yield ship
            finally:
                await ship.stop()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        broker.close()


async def until(store: Store, look: Callable[[Tx], bool]) -> None:
    """Wait for something to come true in a store."""
    async with asyncio.timeout(30):
        while not await store.read(look):  # noqa: ASYNC110 there is nothing to wait on in a store
            await asyncio.sleep(0.02)


async def test_a_ship_of_several_gateways(tmp_path: Path) -> None:
    async with (
        aurora(tmp_path) as ship,
        await BandProcess.start(BandOptions(tmp_path / "a"), "field") as wrist,
        await BandProcess.start(BandOptions(tmp_path / "p", passive=True), "field") as plain,
    ):
        authority, bar, spa, deck = (ship.nodes[name] for name in ("gw1", "bar", "spa", "deck"))
        limits = Limits(stay_minor=12_000, day_minor=12_000, verify_above_minor=20_000)
        guest = await authority.rig.check_in(limits=limits)
        other = await authority.rig.check_in("B2", (5013,))
        job = await authority.rig.issue(guest, wrist)
        await authority.rig.issue(other, plain)
        uid, account = job.uid, guest_account(guest.ref)
        assert uid is not None
        for node in (bar, spa):
            await until(node.store, lambda tx: tx.escrow(guest.ref) is not None)
            await until(node.store, lambda tx: tx.escrow(other.ref) is not None)

        # the door knows the newest band, and nobody's name
        await until(deck.store, lambda tx: tx.serial_of(guest.ref) == 1)
        assert (await deck.rig.tap(wrist, DOOR)).code == "granted"
        assert await deck.store.read(lambda tx: tx.guests()) == []

        # a charge out of the allowance, and one that has to ask for more
        small = await bar.rig.charge(wrist, "bar-1", 700, description="Two coffees")
        large = await spa.rig.charge(wrist, "spa-1", 5_000)
        passive = await spa.rig.charge(plain, "spa-1", 900)
        assert [c.code for c in (small, large, passive)] == ["posted"] * 3
        await until(authority.store, lambda tx: tx.balance(account) == 5_700)
        await until(authority.store, lambda tx: tx.balance(guest_account(other.ref)) == 900)

        def described(tx: Tx) -> bool:
            charge = tx.charge(small.request.tap_id)
            return charge is not None and charge.request.description == "Two coffees"

        await until(authority.store, described)
        booked = await authority.store.read(lambda tx: [tx.charge(c.request.tap_id) for c in (small, large, passive)])
        assert [(c.state, c.evidence.verified) for c in booked if c and c.evidence] == [(ChargeState.POSTED, True)] * 3

        # the bar's cable is pulled: it spends what it has and not a cent more
        await bar.cut()
        left = await bar.store.read(lambda tx: tx.escrow(guest.ref).left_minor)  # type: ignore[union-attr]
        assert 0 < left < 3_000
        cut = [await bar.rig.charge(wrist, "bar-1", amount) for amount in (left, 1)]
        assert [c.code for c in cut] == ["posted", "allowance_exceeded"]
        # meanwhile what the bar may have spent is counted as spent: nobody can tell whether it was
        refused = await spa.rig.charge(wrist, "spa-1", 12_000 - 5_700 - left + 1)
        assert refused.code == "allowance_exceeded"
        bar.plug_in()
        await until(authority.store, lambda tx: tx.balance(account) == 5_700 + left)

        # a freeze reaches every gateway, and is acted on at the next tap
        await authority.rig.desk.freeze(uid, "lost", "desk")
        for node in (bar, spa, deck):
            await until(node.store, lambda tx: tx.denied_at(uid) is not None)
        assert (await deck.rig.tap(wrist, DOOR)).code == "frozen"
        assert (await spa.rig.charge(wrist, "spa-1", 100)).code == "frozen"

        # the end: what is out comes back, and the folio is settled to zero
        async with asyncio.timeout(30):
            settled = await ship.folio.settle(guest.ref, "purser")
        assert settled.settled_minor == 5_700 + left
        assert await authority.store.read(lambda tx: tx.outstanding(guest.ref)) == 0
        check = await authority.store.read(check_ledger)
        assert check.ok
        told = [e.payload["alert"] for e in await events(authority) if e.type is EventType.STAFF_ALERT]
        assert told == []
        await until(authority.store, lambda tx: len(ship.alerts) == 2)
        assert ship.alerts == ["frozen_band_used"] * 2


async def test_a_look_at_a_till_gateway_is_on_the_guests_list(tmp_path: Path) -> None:
    async with aurora(tmp_path) as ship:
        authority, bar, spa = (ship.nodes[name] for name in ("gw1", "bar", "spa"))
        guest = await authority.rig.check_in()
        heads = LookHeads(bar.store, CLOCK, DATA_KEY, SHIP, "bar")
        for node in (bar, spa):
            await until(node.store, lambda tx: tx.guest(guest.ref) is not None)
        await look(spa, guest.ref, {Field.AGE_GROUP})
        await look(bar, guest.ref, {Field.PREFERRED_NAME})
        await heads.sign()
        await until(authority.store, lambda tx: len(tx.look_ups_of(guest.ref, 9)) == 2)

        # the bar's cable is pulled: what it looks at meanwhile is told when it is back, once
        await bar.cut()
        await look(bar, guest.ref, {Field.AGE_GROUP})
        await heads.sign()
        assert len(await authority.store.read(lambda tx: tx.look_ups_of(guest.ref, 9))) == 2
        bar.plug_in()
        await until(authority.store, lambda tx: len(tx.peer_heads(("", 0, 0), 9)) == 2)
        await until(authority.store, lambda tx: len(tx.look_ups_of(guest.ref, 9)) == 3)
        told = await authority.store.read(lambda tx: tx.look_ups(0, 9))
        assert sorted((row.gateway, sorted(row.fields)) for row in told) == [
            *(("bar", ["age_group"]), ("bar", ["preferred_name"]), ("spa", ["age_group"])),
        ]

        # each has a proof to take home, and the log fits what the others told
        ours = LookHeads(authority.store, CLOCK, DATA_KEY, SHIP, "gw1")
        file = tmp_path / "look.json"
        file.write_text(json.dumps(await LookProofs(authority.store, CLOCK, ours).proof_of(3)))
        shown = CliRunner().invoke(verify, ["lookup", str(file)])
        assert (shown.exit_code, "made at the gateway bar" in shown.stdout) == (0, True), shown.output
        found = await authority.store.read(lambda tx: LookChecker(tx, "gw1", TrustedKeys((), ())).check())
        assert (found.fits, found.told, found.peer_heads, found.peer_open) == (True, 3, 2, 0)
        assert ship.alerts == []


async def look(node: Node, ref: GuestRef, fields: set[Field]) -> None:
    """Crew at this gateway look at a guest."""
    viewer = Viewer(
        "c0ffee00c0ffee00", CrewRole.SERVICE, OutletId("bar"), OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK
    )
    await node.store.write(lambda tx: tx.log_look_up(look_at(viewer, ref, fields, CLOCK.now().unix_s)))


async def events(node: Node) -> list[StoredEvent]:
    return list(await node.store.read(lambda tx: tx.events(0, 10_000)))
