"""A gateway's side of the link in a few lines: a log of events, and batches of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tests.typical import Ship

from steward.domain.batches import Ack, Batch, decode_ack, encode_batch
from steward.domain.events import StoredEvent
from steward.domain.topics import CLASSES, class_of, up_topic
from steward.errors import StoreUnavailable
from steward.ports import ClockReading
from steward.shore.arrivals import events_in
from steward.shore.ingest import Ingest
from steward.shore.registry import add_ship, begin
from steward.shore.script import Script, rows
from steward.shore.store import ShoreStore

NOW_S = 1_800_100_000
BOOT = b"boot-one"


class FixedClock:
    def __init__(self, now_s: int = NOW_S) -> None:
        self.now_s = now_s

    def now(self) -> ClockReading:
        return ClockReading(self.now_s, True)

    def monotonic_ms(self) -> float:
        return self.now_s * 1000.0


@dataclass
class Sender:
    """One gateway's log of one epoch, cut into batches by class."""

    events: Sequence[StoredEvent]
    ship: str = "aurora"
    gateway: str = "gw1"
    version: str = "1.2.3"
    sent: int = 0
    covered: list[int] = field(default_factory=lambda: [0] * len(CLASSES))

    @property
    def epoch(self) -> int:
        return self.events[0].epoch

    def batches(self, size: int) -> Iterator[Batch]:
        """Everything that is not covered yet, class after class."""
        for cls in CLASSES:
            own = [e for e in self.events if class_of(e.type) == cls and e.seq > self.covered[cls - 1]]
            prev = self.covered[cls - 1]
            for at in range(0, len(own), size):
                part = tuple(own[at : at + size])
                yield self.batch(cls, part, prev)
                prev = part[-1].seq

    def batch(self, cls: int, events: tuple[StoredEvent, ...], prev: int) -> Batch:
        self.sent += 1
        head = self.events[-1].seq
        return Batch(self.ship, self.gateway, self.epoch, self.sent, cls, events, head, prev, self.version)

    def shuffled(self, size: int, seed: int, twice: float = 0.3) -> list[tuple[str, bytes]]:
        """Topics and bytes of all batches in disorder, some of them twice."""
        draw = random.Random(seed)
        made = list(self.batches(size))
        made += [replace(batch) for batch in made if draw.random() < twice]
        draw.shuffle(made)
        return [wire(batch) for batch in made]

    def heed(self, ack: Ack) -> None:
        """Forget what is acknowledged, as far as it goes beyond what was known."""
        self.covered = [max(old, new) for old, new in zip(self.covered, ack.covered, strict=True)]

    @property
    def done(self) -> bool:
        newest = {cls: max((e.seq for e in self.events if class_of(e.type) == cls), default=0) for cls in CLASSES}
        return all(self.covered[cls - 1] >= newest[cls] for cls in CLASSES)


def wire(batch: Batch) -> tuple[str, bytes]:
    return up_topic(batch.ship, batch.gateway, batch.cls), encode_batch(batch)


def typical(count: int, seed: int = 1, epoch: int | None = None) -> list[StoredEvent]:
    events = Ship(seed).events(count)
    return events if epoch is None else [replace(event, epoch=epoch) for event in events]


async def prepared(store: ShoreStore, **gateways: Sequence[str]) -> ShoreStore:
    """A store that has begun, with ships and their gateways; without any named, aurora's gw1 and gw2."""
    await store.write(begin(BOOT, NOW_S))
    for ship, names in (gateways or {"aurora": ("gw1", "gw2")}).items():
        await store.write(add_ship(ship, names, NOW_S))
    return store


async def deliver(ingest: Ingest, sender: Sender, size: int = 100) -> list[Ack]:
    """Send everything once, in order, heeding the acknowledgements."""
    acks = []
    for batch in sender.batches(size):
        reply = await ingest.batch(*wire(batch))
        assert reply is not None
        acks.append(decode_ack(reply.payload))
    for ack in acks:
        sender.heed(ack)
    return acks


async def deliver_until_done(ingest: Ingest, sender: Sender, size: int = 100, rounds: int = 50) -> None:
    """As often as it takes, whatever the store refuses meanwhile."""
    for _ in range(rounds):
        if sender.done:
            return
        for batch in sender.batches(size):
            try:
                reply = await ingest.batch(*wire(batch))
            except StoreUnavailable:
                break
            assert reply is not None
            sender.heed(decode_ack(reply.payload))
    assert sender.done


async def stored(store: ShoreStore, sender: Sender) -> list[StoredEvent]:
    return await store.read(events_in(sender.ship, sender.gateway, sender.epoch, 1, 1 << 40))


def table(sql: str, *values: str | int) -> Script[list[tuple[object, ...]]]:
    """Rows of any statement, for looking behind the scripts."""
    return (yield from rows(sql, *values))
