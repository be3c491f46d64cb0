"""Machines of the simulated ship and shore: the real services over simulated hardware, killed and started at will."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.sim.bands import SimReader
from tests.sim.machines import Disk, SeededEntropy, Wall, clock_of
from tests.sim.network import LAN, SATELLITE, SimBroker, SimPipe, Weather

from steward.adapters.aes import HostAes
from steward.adapters.keyfile import Role
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import SystemClock
from steward.domain.access import Place
from steward.domain.batches import BOOT_LENGTH
from steward.domain.consent import ConsentPurpose
from steward.domain.downs import decode_freeze
from steward.domain.ids import GuestRef, TillId, Uid
from steward.domain.recipients import WHOLE
from steward.domain.replica import MemberRole
from steward.domain.shorebodies import ConsentChange
from steward.domain.topics import ROOT
from steward.ports import DoorSignal, Store
from steward.ports.sync import PipeMessage
from steward.services.allowances import AllowanceBook, AllowanceSettings, Bell, EscrowDesk, Member
from steward.services.board import TapBoard
from steward.services.chargebook import ChargeBook, PaymentSettings
from steward.services.checkin import CheckinService
from steward.services.consents import ConsentService
from steward.services.context import ContextService
from steward.services.doors import DoorService
from steward.services.downlink import DownlinkService, DownlinkSettings
from steward.services.encoder import EncodeService, EncodeSettings
from steward.services.feed import TapFeed
from steward.services.folio import FolioService
from steward.services.fromshore import APPLIERS
from steward.services.lookups import LookupService
from steward.services.payments import PaymentService
from steward.services.peerbooks import PeerBooks
from steward.services.peers import Peers, Watched
from steward.services.pins import PinService
from steward.services.replica import Replica
from steward.services.router import MessageRouter
from steward.services.signals import SignalService
from steward.services.supervise import Supervisor
from steward.services.taps import TapHandler, TapLoop
from steward.services.tills import TillService
from steward.services.uplink import UplinkService, UplinkSettings
from steward.shore import decisions, registry
from steward.shore.backup import backup, restore
from steward.shore.decisions import Signer
from steward.shore.downs import newest_body
from steward.shore.ingest import Ingest
from steward.shore.sqlite import SqliteShore
from steward.shore.work import LinkIntake, Presence, Publisher

SHIP = "aurora"
SITE = 7
WORKERS = 2  # of shore
DAY_START_HOUR = 4
ZONES = {"gangway": 0, "pool": 1}
SUN_TEMPLATE = "ship.example/t?e={picc}&c={mac}"
AES = HostAes()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a gateway is for. Tills and doors are names of readers."""

    name: str
    role: Role
    tills: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()


@dataclass
class Doors:
    """ports.Actuator: hands each signal to whoever watches."""

    watch: Callable[[DoorSignal], None]

    async def show(self, signal: DoorSignal) -> None:
        self.watch(signal)


class Running:
    """One life of a gateway's process: everything in it dies together."""

    def __init__(self, gateway: Gateway, store: Store) -> None:
        loop = asyncio.get_running_loop()
        self.clock: SystemClock = clock_of(gateway.wall)
        self._changed = Bell(self.clock)
        if gateway.is_authority:
            store = Watched(store, self._changed)
        self.store: Store = store
        self.pipes: list[SimPipe] = []
        self.readers: dict[str, SimReader] = {}
        self.supervisor = Supervisor(loop.time)
        self.board = TapBoard()
        self._gateway = gateway
        plan, entropy, keyring = gateway.plan, gateway.entropy, gateway.keyring
        settings = PaymentSettings(
            day_start_hour=DAY_START_HOUR,
            has_peers=gateway.is_authority,
            on_allowance=plan.role is Role.TILL,
            second_person_above_minor=100_000,
        )
        book = ChargeBook(settings)
        pins = PinService(entropy)
        self.desk = CheckinService(store, self.clock, entropy, pins, ZONES)
        self.encoder = EncodeService(
            store, self.clock, entropy, keyring, AES, EncodeSettings(SITE, SUN_TEMPLATE, random_id=True)
        )
        self.allowances = AllowanceBook(store, self.clock, book, gateway.members, AllowanceSettings())
        self.escrow = EscrowDesk(store, self.clock, entropy, book, AllowanceSettings())
        funds = self.allowances if gateway.is_authority else self.escrow if plan.role is Role.TILL else None
        self.payments = PaymentService(store, self.clock, entropy, keyring, AES, settings, pins, funds)
        self.folio = FolioService(store, self.clock, settings)
        self.consents = ConsentService(store, self.clock, not gateway.is_authority)
        self.signals = SignalService(store, self.clock, not gateway.is_authority)
        self.context = ContextService(store, self.clock, not gateway.is_authority)
        self.lookups = LookupService(store, self.clock, TapFeed())
        self._start_readers()
        self._start_lan()
        self._start_shore()

    def _start_readers(self) -> None:
        plan = self._gateway.plan
        entropy, keyring = self._gateway.entropy, self._gateway.keyring
        for name in plan.doors:
            handler = DoorService(self.store, self.clock, entropy, keyring, AES, SUN_TEMPLATE)
            self._reader(name, Place(name, SITE, None, ZONES["gangway"]), handler)
        for name in plan.tills:
            till = TillService(TillId(name), self.payments, self.store, self.clock, entropy, keyring, AES, SUN_TEMPLATE)
            self._reader(name, Place(name, SITE), till)
        if self._gateway.is_authority:
            self._reader("desk", Place("desk", SITE), self.encoder.handler("desk"))

    def _reader(self, name: str, place: Place, handler: TapHandler) -> None:
        reader = self.readers[name] = SimReader(name)
        doors = Doors(lambda signal: self._gateway.on_door(self._gateway, signal))
        loop = TapLoop(reader, place, handler, self.clock, doors, self.board)
        self.supervisor.start(name, loop.run)

    def _start_lan(self) -> None:
        gateway = self._gateway
        pipe = self._pipe(gateway.lan, "lan", gateway.lan_weather)
        router = MessageRouter(pipe)
        if gateway.is_authority:
            books = PeerBooks(
                self.store, self.clock, gateway.entropy, gateway.keyring, AES, self.allowances, True, self.board.alert
            )
            members = list(gateway.members.values())
            peers = Peers(
                *(SHIP, members, self.store, self.clock, gateway.keyring, pipe),
                *(self.allowances, books, self._changed),
            )
            for topic in peers.topics:
                router.on(topic, peers.receive)
            self.supervisor.start("peers", peers.run)
        else:
            role = MemberRole(gateway.plan.role.value)
            desk = self.escrow if gateway.plan.role is Role.TILL else None
            replica = Replica(
                *(SHIP, gateway.plan.name, role, self.store, self.clock, gateway.entropy, gateway.keyring, pipe),
                desk,
            )
            router.on(replica.topic, replica.receive)
            self.supervisor.start("replica", replica.run)
            self._uplink(pipe, router, "ship")
        self.supervisor.start("router ship", router.run)

    def _start_shore(self) -> None:
        gateway = self._gateway
        pipe = self._pipe(gateway.shore_broker, "shore", gateway.shore_weather)
        router = MessageRouter(pipe)
        self._uplink(pipe, router, "shore")
        if gateway.is_authority:
            down = DownlinkService(self.store, self.clock, DownlinkSettings(SHIP, gateway.shore_keys), APPLIERS)

            async def receive(message: PipeMessage) -> None:
                await down.receive(message)

            router.on(f"{ROOT}/{SHIP}/down/+", receive)
        self.supervisor.start("router shore", router.run)

    def _uplink(self, pipe: SimPipe, router: MessageRouter, peer: str) -> None:
        gateway = self._gateway
        settings = UplinkSettings(SHIP, gateway.plan.name, peer, "sim", WHOLE)
        uplink = UplinkService(self.store, self.clock, gateway.entropy, pipe, settings)
        router.on(uplink.topic, uplink.receive)
        self.supervisor.start(f"uplink {peer}", uplink.run)

    def _pipe(self, broker: SimBroker, what: str, weather: Weather) -> SimPipe:
        pipe = SimPipe(broker, f"{self._gateway.plan.name}-{what}", self._gateway.rng, weather)
        self.pipes.append(pipe)
        return pipe

    async def die(self) -> None:
        """Everything at once: no goodbye is said, nothing is finished."""
        for pipe in self.pipes:
            pipe.vanish()
        for reader in self.readers.values():
            await reader.close()
        await self.supervisor.stop(grace_s=0.0)


@dataclass
class Gateway:
    """A machine that may run. `on_door` hears every door signal."""

    plan: Plan
    rng: random.Random
    keyring: FileKeyRing
    lan: SimBroker
    shore_broker: SimBroker
    members: dict[str, Member]
    shore_keys: tuple[bytes, ...]
    on_door: Callable[[Gateway, DoorSignal], None]
    lan_weather: Weather = LAN
    shore_weather: Weather = SATELLITE
    wall: Wall = field(default_factory=Wall)
    running: Running | None = None

    def __post_init__(self) -> None:
        self.entropy = SeededEntropy(self.rng)
        self.disk = Disk(self.rng, SeededEntropy(random.Random(self.plan.name)))  # one that moves no other draw

    @property
    def is_authority(self) -> bool:
        return self.plan.role is Role.AUTHORITY

    def boot(self) -> None:
        if self.running is None:
            self.running = Running(self, self.disk.open())

    async def kill(self) -> None:
        if self.running is not None:
            dying, self.running = self.running, None
            self.disk.cut()
            await dying.die()

    def set_lan(self, weather: Weather) -> None:
        self.lan_weather = weather
        self._apply()

    def set_shore(self, weather: Weather) -> None:
        self.shore_weather = weather
        self._apply()

    def _apply(self) -> None:
        for pipe in self.running.pipes if self.running is not None else ():
            pipe.weather = self.shore_weather if pipe.broker is self.shore_broker else self.lan_weather


class Shore:
    """The shore service's tasks over its broker, in one life after the other."""

    def __init__(self, path: Path, broker: SimBroker, rng: random.Random, gateways: list[str]) -> None:
        self._path = path
        self._broker = broker
        self._rng = rng
        self._gateways = gateways
        self._key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        self.wall = Wall()
        self.store: SqliteShore | None = None
        self._supervisor: Supervisor | None = None
        self._pipe: SimPipe | None = None

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def create(self) -> None:
        store = SqliteShore.open(self._path, create=True, inline=True)
        await store.write(registry.begin(self._rng.randbytes(BOOT_LENGTH), 1))
        await store.write(registry.add_ship(SHIP, self._gateways, 1))
        await store.close()

    async def boot(self) -> None:
        if self.store is not None:
            return
        clock = clock_of(self.wall)
        self.store = SqliteShore.open(self._path, inline=True)
        self._pipe = SimPipe(self._broker, "shore-service", self._rng)
        intake = LinkIntake(self._pipe, Ingest(self.store, clock), Presence(), workers=WORKERS, up=True)
        self._supervisor = Supervisor(asyncio.get_running_loop().time)
        self._supervisor.start("link", intake.read)
        self._supervisor.start("publisher", Publisher(self.store, self._pipe, clock).run)
        for number in range(WORKERS):
            self._supervisor.start(f"worker {number}", intake.work)

    async def kill(self) -> None:
        if self.store is None or self._supervisor is None or self._pipe is None:
            return
        store, self.store = self.store, None
        self._pipe.vanish()
        await self._supervisor.stop(grace_s=0.0)
        await store.close()

    async def freeze(self, uid: Uid) -> bool:
        """The office ashore freezes a band. Whether that was decided: shore may be down."""
        if self.store is None:
            return False
        signer = Signer(self._key, "office", clock_of(self.wall).now().unix_s)
        await self.store.write(decisions.freeze(signer, SHIP, [uid], [], "lost"))
        return True

    async def consent(self, ref: GuestRef, purpose: ConsentPurpose, given: bool) -> None:
        """A guest says it ashore, if shore is there to hear it."""
        if self.store is None:
            return
        now_s = clock_of(self.wall).now().unix_s
        said = ConsentChange(ref, purpose.value, given, now_s)
        await self.store.write(decisions.change_consent(Signer(self._key, "office", now_s), SHIP, said))

    async def frozen(self) -> set[Uid]:
        """What the database ashore says is frozen."""
        assert self.store is not None
        body = await self.store.read(newest_body(SHIP, "freeze"))
        return set() if body is None else {uid for uid, _ in decode_freeze(body).bands}

    def back_up(self) -> None:
        backup(self._path, self._path.with_suffix(".backup"))

    async def restore(self) -> None:
        """Go back to the last backup, as after the loss of the disk."""
        copy = self._path.with_suffix(".backup")
        if copy.exists():
            await self.kill()
            restore(copy, self._path, self._rng.randbytes(BOOT_LENGTH))
