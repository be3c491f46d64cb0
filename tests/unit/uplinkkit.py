"""A gateway's uplink over a rough pipe, with its peer ashore: what the tests of the service share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from tests.linkkit import CLEAR, Faults, Hub, LoopClock, Peer, SeededEntropy

from steward.adapters.memory import MemoryStore
from steward.domain.batches import Batch, decode_batch
from steward.domain.events import EventType, NewEvent, StoredEvent, fact
from steward.domain.recipients import WHOLE
from steward.errors import StoreUnavailable
from steward.ports import Store
from steward.services.backlog import look
from steward.services.router import MessageRouter
from steward.services.uplink import UplinkService, UplinkSettings

SETTINGS = UplinkSettings("aurora", "gw1", "shore", "1.2.3", WHOLE)
DAY_S = 86_400


class World:
    """A gateway's uplink and a shore on one hub. `power` starts the gateway's process, `kill` ends it anywhere."""

    def __init__(self, faults: Faults = CLEAR, seed: int = 0, settings: UplinkSettings = SETTINGS) -> None:
        self.hub = Hub(seed, faults)
        self.store = MemoryStore(first_epoch=100, queue_max=100_000)
        self.clock = LoopClock()
        self.settings = settings
        self.pipe = self.hub.pipe()
        self.shore = Peer(self.hub.pipe())
        self.batches: list[Batch] = []
        self.entropy = SeededEntropy(seed)
        self.tasks: list[asyncio.Task[None]] = []
        self._shore_task = asyncio.create_task(self.shore.run())
        self._listen()

    def _listen(self) -> None:
        """Everything that is sent up, in the order in which it leaves."""
        publish = self.pipe.publish

        async def heard(topic: str, payload: bytes, *, retain: bool = False) -> None:
            self.batches.append(decode_batch(payload))
            await publish(topic, payload, retain=retain)

        self.pipe.publish = heard  # type: ignore[method-assign]

    def power(self) -> None:
        self.service = UplinkService(self.store, self.clock, self.entropy, self.pipe, self.settings)
        router = MessageRouter(self.pipe, self.service.overheard)
        router.on(self.service.topic, self.service.receive)
        self.tasks = [asyncio.create_task(self.service.run()), asyncio.create_task(router.run())]

    async def kill(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.pipe.cut(True)
        self.pipe.cut(False)

    async def append(self, *events: NewEvent) -> None:
        await self.store.write(lambda tx: [tx.append_event(event) for event in events])

    async def until(self, reached: Callable[[], bool], within_s: float = 3600.0) -> float:
        """Wait for it; returns how long that took. A process that failed is a failure of the test."""
        begun_s = asyncio.get_running_loop().time()
        while not reached():
            for task in self.tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.02)
            assert asyncio.get_running_loop().time() - begun_s < within_s, "it never came"
        return asyncio.get_running_loop().time() - begun_s

    async def all_ashore(self, within_s: float = 3600.0) -> float:
        epochs = await self.store.read(lambda tx: tx.epochs())

        def there() -> bool:
            streams = self.shore.held.streams.get(("aurora", "gw1"), {})
            likely = all(epoch in streams and streams[epoch].count >= head for epoch, head in epochs)
            return likely and all(self.shore.seqs(epoch) >= set(range(1, head + 1)) for epoch, head in epochs)

        return await self.until(there, within_s)

    async def known_ashore(self) -> None:
        """Until the gateway's own store says that nothing waits."""
        await drained(self.store)


async def drained(store: Store) -> None:
    """Until the store says that nothing waits."""
    for _ in range(1_000):
        if (await store.read(lambda tx: look(tx, "shore", {})[0])).events == 0:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came")


@contextlib.asynccontextmanager
async def world(faults: Faults = CLEAR, seed: int = 0, settings: UplinkSettings = SETTINGS) -> AsyncIterator[World]:
    made = World(faults, seed, settings)
    try:
        yield made
    finally:
        await made.kill()
        made._shore_task.cancel()
        await asyncio.gather(made._shore_task, return_exceptions=True)


def telemetry(n: int) -> NewEvent:
    return fact(EventType.DOWN_APPLIED, 1_800_000_000 + n, kind="catalogue", version=n)


def door(n: int) -> NewEvent:
    return fact(EventType.DOOR_OPENED, 1_800_000_000 + n, place="gangway", code="granted", serial=n)


def freeze(n: int) -> NewEvent:
    return fact(EventType.BAND_FROZEN, 1_800_000_000 + n, uid=f"{n:014X}", reason="lost")


def charge(n: int) -> NewEvent:
    return fact(EventType.CHARGE_POSTED, 1_800_000_000 + n, amount_minor=n, currency="EUR")


def as_new(event: StoredEvent) -> NewEvent:
    return NewEvent(event.type, event.at_s, event.payload)


def sent_events(batches: list[Batch], cls: int) -> int:
    return sum(len(batch.events) for batch in batches if batch.cls == cls)


class Failing(MemoryStore):
    """Takes nothing while `broken`, as a store whose disk is full."""

    broken = False

    async def write(self, work):  # type: ignore[no-untyped-def]
        if self.broken:
            raise StoreUnavailable("the disk is full")
        return await super().write(work)
