"""An in-process broker with faults, pipes to it, and a peer that takes events in: for tests of both ends of the link.

Rougher than MQTT with QoS 1: what a broker took may be lost all the same, nothing waits for who is away, and messages
overtake each other. Everything random comes from one seed; time is the running loop's.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from steward.domain.batches import BadBatch, Batch, decode_batch, encode_ack
from steward.domain.digest import Digest, answer_digest
from steward.domain.events import StoredEvent
from steward.domain.intake import Stream, acknowledge, end_older, take
from steward.domain.recipients import lesser
from steward.domain.topics import ack_topic, matches
from steward.ports import ClockReading
from steward.ports.sync import LinkBytes, LinkDown, PipeMessage

INBOX_MAX = 10_000
UP = "steward/1/+/+/up/+"


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates are of messages. A message takes a time between the two delays: unequal ones reorder."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay_s: tuple[float, float] = (0.001, 0.001)
    refuse: float = 0.0  # the publisher hears LinkDown; half of these arrive
    bytes_per_s: float | None = None  # of each pipe, upwards


CLEAR = Faults()
ROUGH = Faults(loss=0.1, duplicate=0.1, delay_s=(0.01, 0.9), refuse=0.05)
SATELLITE = Faults(delay_s=(0.35, 0.35), bytes_per_s=32_000)


class Hub:
    """The broker. `retained` outlives everything."""

    def __init__(self, seed: int = 0, faults: Faults = CLEAR) -> None:
        self.draw = random.Random(seed)
        self.faults = faults
        self.retained: dict[str, bytes] = {}
        self.published: Counter[str] = Counter()
        self.pipes: list[KitPipe] = []

    def pipe(self) -> KitPipe:
        made = KitPipe(self)
        self.pipes.append(made)
        return made

    def carry(self, topic: str, payload: bytes) -> None:
        """To everyone who listens, each at his own time, if at all."""
        for pipe in self.pipes:
            if any(matches(wanted, topic) for wanted in pipe.filters):
                for _ in range(1 + (self.draw.random() < self.faults.duplicate)):
                    if self.draw.random() >= self.faults.loss:
                        later_s = self.draw.uniform(*self.faults.delay_s)
                        asyncio.get_running_loop().call_later(later_s, pipe.arrive, PipeMessage(topic, payload))


class KitPipe:
    """ports.sync.Pipe. `cut` takes it off the line and puts it back."""

    def __init__(self, hub: Hub) -> None:
        self.filters: list[str] = []
        self._hub = hub
        self._inbox: asyncio.Queue[PipeMessage] = asyncio.Queue(INBOX_MAX)
        self._up = asyncio.Event()
        self._generation = 0
        self._sent = self._received = 0
        self._free_s = 0.0
        self.cut(False)

    @property
    def is_connected(self) -> bool:
        return self._up.is_set()

    @property
    def generation(self) -> int:
        return self._generation

    def cut(self, is_cut: bool) -> None:
        if is_cut:
            self._up.clear()
        elif not self.is_connected:
            self._generation += 1
            self._up.set()
            self._give_retained(self.filters)

    async def connected(self) -> None:
        await self._up.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if not self.is_connected:
            raise LinkDown("cut")
        hub, now_s = self._hub, asyncio.get_running_loop().time()
        size = len(topic) + len(payload)
        self._sent += size
        hub.published[topic] += 1
        if hub.faults.bytes_per_s is not None:
            self._free_s = max(self._free_s, now_s) + size / hub.faults.bytes_per_s
            await asyncio.sleep(self._free_s - now_s)
        refused = hub.draw.random() < hub.faults.refuse
        if not self.is_connected or (refused and hub.draw.random() < 0.5):
            raise LinkDown("lost on the way")
        if retain:
            hub.retained[topic] = payload
        hub.carry(topic, payload)
        if refused:
            raise LinkDown("its answer was lost")

    async def subscribe(self, *filters: str) -> None:
        fresh = [wanted for wanted in filters if wanted not in self.filters]
        self.filters += fresh
        if self.is_connected:
            self._give_retained(fresh)

    async def messages(self) -> AsyncIterator[PipeMessage]:
        while True:
            yield await self._inbox.get()

    def counted(self) -> LinkBytes:
        return LinkBytes(self._sent, self._received)

    async def close(self) -> None:
        self.cut(True)
        self._hub.pipes.remove(self)

    def arrive(self, message: PipeMessage) -> None:
        if self.is_connected:
            self._received += len(message.topic) + len(message.payload)
            self._inbox.put_nowait(message)

    def _give_retained(self, filters: list[str]) -> None:
        for topic, payload in sorted(self._hub.retained.items()):
            if any(matches(wanted, topic) for wanted in filters):
                self.arrive(PipeMessage(topic, payload, retained=True))


class LoopClock:
    """ports.Clock: monotonic time is the running loop's; the wall can be set, and not be believed."""

    def __init__(self, start_s: int = 1_800_000_000) -> None:
        self.wall_s = float(start_s)
        self.trusted = True

    def now(self) -> ClockReading:
        return ClockReading(int(self.wall_s + asyncio.get_running_loop().time()), self.trusted)

    def monotonic_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000


class SeededEntropy:
    """ports.Entropy that replays."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def token_bytes(self, n: int) -> bytes:
        return self._draw.randbytes(n)


@dataclass
class Held:
    """What a peer has on its disk."""

    streams: dict[tuple[str, str], dict[int, Stream]] = field(default_factory=dict)
    events: dict[tuple[str, str, int, int], StoredEvent] = field(default_factory=dict)
    boot: bytes = bytes(8)


class Peer:
    """Shore, or the folio authority, in a dozen lines: takes batches, keeps events, acknowledges."""

    def __init__(self, pipe: KitPipe, name: str = "shore", *, in_order: bool = False) -> None:
        self.held = Held()
        self.repeated = 0
        self.arrivals: list[StoredEvent] = []  # fresh ones, as they were taken
        self.alarms: list[StoredEvent] = []  # other content under a known key
        self._pipe = pipe
        self._name = name
        self._in_order = in_order

    async def run(self) -> None:
        await self._pipe.subscribe(UP)
        async for message in self._pipe.messages():
            try:
                await self._take(message)
            except (BadBatch, LinkDown):
                continue

    def backup(self) -> Held:
        return copy.deepcopy(self.held)

    def restore(self, held: Held, boot: bytes | None = None) -> None:
        self.held = copy.deepcopy(held)
        self.held.boot = boot or self.held.boot

    def seqs(self, epoch: int) -> set[int]:
        return {seq for _, _, of_epoch, seq in self.held.events if of_epoch == epoch}

    async def _take(self, message: PipeMessage) -> None:
        batch = decode_batch(message.payload)
        key = batch.ship, batch.gateway
        streams = self.held.streams.setdefault(key, {})
        taken = take(streams.get(batch.epoch, Stream()), batch, in_order=self._in_order)
        for event in taken.fresh:
            assert (*key, event.epoch, event.seq) not in self.held.events
            self.held.events[*key, event.epoch, event.seq] = event
            self.arrivals.append(event)
        for event in taken.again:
            self.repeated += 1
            kept = lesser(self.held.events[*key, event.epoch, event.seq], event)
            if kept is None:
                self.alarms.append(event)
            else:
                self.held.events[*key, event.epoch, event.seq] = kept
        streams |= end_older(streams, batch) | {batch.epoch: taken.stream}
        ack = acknowledge(taken.stream, batch, self.held.boot, self._digest(key, batch))
        await self._pipe.publish(ack_topic(*key, self._name), encode_ack(ack))

    def _digest(self, key: tuple[str, str], batch: Batch) -> Digest | None:
        asked = batch.digest or batch.bare
        if asked is None:
            return None
        found = (self.held.events.get((*key, batch.epoch, seq)) for seq in range(asked.first, asked.last + 1))
        answer = answer_digest(batch.digest, batch.bare, [event for event in found if event is not None])
        return None if answer is None else answer[1]
