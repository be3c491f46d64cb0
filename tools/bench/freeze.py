"""A freeze at the folio authority until fifty door gateways refuse the band, beside one MQTT round trip.

One process holds the authority and the doors, each with its SQLite store (`synchronous=FULL`) and its own connection
to the embedded broker on loopback. Timed from the return of the freeze call until each door has committed the entry:
from then on it refuses the next tap. Fifty doors share one interpreter and one disk here, so aboard it is faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from steward.adapters.aes import HostAes
from steward.adapters.broker import BrokerSetup, EmbeddedBroker
from steward.adapters.brokerrights import Grant, identity, ship_broker
from steward.adapters.keyfile import Role, export, new_key_file
from steward.adapters.keyring import FileKeyRing
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy, SystemClock
from steward.adapters.vault import DataKey
from steward.domain.guests import Band, BandState, CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, Uid
from steward.domain.replica import MemberRole
from steward.ports import Store, Tx
from steward.services.allowances import AllowanceBook, AllowanceSettings, Bell, Member
from steward.services.board import percentile
from steward.services.chargebook import ChargeBook, PaymentSettings
from steward.services.checkin import CheckinService
from steward.services.peerbooks import PeerBooks
from steward.services.peers import Peers, Watched
from steward.services.pins import PinService
from steward.services.replica import Replica
from steward.services.router import MessageRouter

T = TypeVar("T")

DOORS = 50
FREEZES = 20
ECHOES = 200
LIMIT_S = 30.0
PAUSE_S = 0.1
SHIP, AUTHORITY, SITE = "aurora", "gw1", 7
_ECHO_USER, _ECHO_TOPIC = "echo", "bench/echo"
_CLOCK, _ENTROPY, _AES = SystemClock(high_water_s=0), OsEntropy(), HostAes()


class Noticing:
    """A store that tells when a band's freeze was committed to it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.refused_s: dict[Uid, float] = {}
        self.wanted: Uid | None = None
        self.came = asyncio.Event()

    async def write(self, work: Callable[[Tx], T]) -> T:
        """See ports.Store."""
        wanted = self.wanted

        def noticing(tx: Tx) -> tuple[T, bool]:
            result = work(tx)
            return result, wanted is not None and tx.denied_at(wanted) is not None

        result, refuses = await self._store.write(noticing)
        if refuses and wanted is not None and wanted not in self.refused_s:
            self.refused_s[wanted] = time.perf_counter()
            self.came.set()
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        """See ports.Store."""
        return await self._store.read(work)

    async def close(self) -> None:
        await self._store.close()


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds."""

    what: str
    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def spread(what: str, times_ms: Sequence[float]) -> Spread:
    """Nearest-rank percentiles of all of them."""
    ordered = sorted(times_ms)
    return Spread(what, len(ordered), percentile(ordered, 50), percentile(ordered, 99), ordered[-1])


def run(doors: int = DOORS, freezes: int = FREEZES) -> dict[str, Any]:
    """In a folder of its own, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bench-freeze-", dir=Path.cwd()))
    try:
        rows = asyncio.run(_measure(folder, doors, freezes))
    finally:
        shutil.rmtree(folder)
    return {"doors": doors, "freezes": freezes, "rows": [asdict(row) for row in rows]}


async def _measure(folder: Path, doors: int, freezes: int) -> list[Spread]:
    names = [f"door-{number}" for number in range(1, doors + 1)]
    echo = Grant(_ECHO_USER, (_ECHO_TOPIC,), (_ECHO_TOPIC,))
    grants = (*ship_broker(SHIP, [AUTHORITY, *names], AUTHORITY), echo)
    async with _broker(BrokerSetup("bench-freeze", folder / "broker", grants)) as broker, _Ship(folder, broker) as ship:
        desk = await ship.authority(names, freezes)
        for name in names:
            await ship.door(name)
        await ship.until_all_follow()
        echoes = await _round_trips(broker)
        all_ms: list[float] = []
        last_ms: list[float] = []
        for number in range(freezes):
            took_ms = await ship.freeze(desk, _uid(number))
            all_ms += took_ms
            last_ms.append(max(took_ms))
            await asyncio.sleep(PAUSE_S)
    return [
        spread("one MQTT round trip, QoS 1", echoes),
        spread("freeze until a door refuses", all_ms),
        spread(f"freeze until the last of {doors} refuses", last_ms),
    ]


def _uid(number: int) -> Uid:
    return Uid(f"04{number:012X}")


class _Ship:
    """The gateways of a ship, all in this process. Use as an async context manager."""

    def __init__(self, folder: Path, broker: EmbeddedBroker) -> None:
        self._folder = folder
        self._broker = broker
        self._keys = new_key_file(SITE, _ENTROPY, _CLOCK.now().unix_s)
        self._doors: list[Noticing] = []
        self._followers: list[Replica] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stores: list[SqliteStore] = []

    async def __aenter__(self) -> _Ship:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for store in self._stores:
            await store.close()

    async def authority(self, doors: Sequence[str], freezes: int) -> CheckinService:
        members = [Member(name, MemberRole.DOOR) for name in doors]
        pipe, settings, changed = self._pipe(AUTHORITY), PaymentSettings(has_peers=True), Bell(_CLOCK)
        store, keyring = Watched(self._store(AUTHORITY), changed), FileKeyRing(self._keys, _AES)
        book = AllowanceBook(
            store, _CLOCK, ChargeBook(settings), {member.name: member for member in members}, AllowanceSettings()
        )
        books = PeerBooks(store, _CLOCK, _ENTROPY, keyring, _AES, book, True, lambda alert: None)
        peers = Peers(SHIP, members, store, _CLOCK, keyring, pipe, book, books, changed)
        router = MessageRouter(pipe)
        for topic in peers.topics:
            router.on(topic, peers.receive)
        await store.write(lambda tx: _aboard(tx, freezes))
        self._run(pipe.run, router.run, peers.run)
        return CheckinService(store, _CLOCK, _ENTROPY, PinService(_ENTROPY), {})

    async def door(self, name: str) -> None:
        pipe, store = self._pipe(name), Noticing(self._store(name))
        keyring = FileKeyRing(export(self._keys, Role.DOOR, _CLOCK.now().unix_s), _AES)
        replica = Replica(SHIP, name, MemberRole.DOOR, store, _CLOCK, _ENTROPY, keyring, pipe, None)
        router = MessageRouter(pipe)
        router.on(replica.topic, replica.receive)
        self._run(pipe.run, router.run, replica.run)
        self._doors.append(store)
        self._followers.append(replica)

    async def until_all_follow(self) -> None:
        """Every door is connected, and has been told what there is."""
        async with asyncio.timeout(LIMIT_S):
            for store, follower in zip(self._doors, self._followers, strict=True):
                while follower.heard_ago_ms is None or not await store.read(_knows):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    async def freeze(self, desk: CheckinService, uid: Uid) -> list[float]:
        """Milliseconds from the freeze's return until each door refuses."""
        for door in self._doors:
            door.wanted = uid
            door.came.clear()
        await desk.freeze(uid, "lost", "bench")
        decided_s = time.perf_counter()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*(door.came.wait() for door in self._doors))
        return [(door.refused_s[uid] - decided_s) * 1000 for door in self._doors]

    def _store(self, name: str) -> SqliteStore:
        store = SqliteStore.open(self._folder / f"{name}.db", DataKey(bytes(32)))
        self._stores.append(store)
        return store

    def _pipe(self, name: str) -> MqttPipe:
        return MqttPipe(_settings(self._broker, identity(SHIP, name)))

    def _run(self, *runs: Callable[[], Awaitable[None]]) -> None:
        self._tasks += [asyncio.ensure_future(run()) for run in runs]


_GUEST = GuestRef("1" * 16)


def _aboard(tx: Tx, count: int) -> None:
    """A guest with as many bands as will be frozen, the newest of which every door learns about."""
    tx.put_guest(Guest(_GUEST, "B1", (CabinStay(5012, 1),), 0, False, False, 0, 2**32 - 1, "EUR", Limits(0, 0, 0), 1))
    tx.adopt_serial(_GUEST, 1)
    for number in range(count):
        tx.put_band(Band(_uid(number), _GUEST, 1, True, 1, True, BandState.ISSUED))


def _knows(tx: Tx) -> bool:
    return tx.serial_of(_GUEST) == 1


def _settings(broker: EmbeddedBroker, user: str) -> MqttSettings:
    client_id = f"bench-{user.replace('/', '-')}"
    return MqttSettings("127.0.0.1", broker.port, client_id, login=(user, broker.password(user)))


async def _round_trips(broker: EmbeddedBroker) -> list[float]:
    """Milliseconds of messages sent to oneself, one after the other, over the same broker with all doors connected."""
    pipe = MqttPipe(_settings(broker, _ECHO_USER))
    await pipe.subscribe(_ECHO_TOPIC)
    running = asyncio.create_task(pipe.run())
    took_ms: list[float] = []
    try:
        async with asyncio.timeout(LIMIT_S):
            await pipe.connected()
            messages = pipe.messages()
            for _ in range(ECHOES):
                began_s = time.perf_counter()
                sending = asyncio.create_task(pipe.publish(_ECHO_TOPIC, bytes(256)))
                await anext(messages)
                took_ms.append((time.perf_counter() - began_s) * 1000)
                await sending
    finally:
        running.cancel()
        await asyncio.wait([running])
    return took_ms


@contextlib.asynccontextmanager
async def _broker(setup: BrokerSetup) -> AsyncIterator[EmbeddedBroker]:
    broker = await EmbeddedBroker.open(setup)
    life = asyncio.create_task(broker.run())
    try:
        await broker.ready.wait()
        yield broker
    finally:
        life.cancel()
        await asyncio.wait([life])
        broker.close()


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"A freeze until {figures['doors']} door gateways refuse, ms, one process, real broker")
    for heading in ("what", "samples", "p50", "p99", "max"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row in figures["rows"]:
        times = (f"{row[name]:.1f}" for name in ("p50_ms", "p99_ms", "max_ms"))
        table.add_row(row["what"], f"{row['samples']:,}", *times)
    console.print(table)
