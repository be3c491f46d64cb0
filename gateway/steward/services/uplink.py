"""Sends the event log to a peer, shore or the ship's folio authority, until the peer has said that it has it.

The decisions are domain/uplink.py's; here are the store, the clock and the pipe. Everything may be killed between any
two steps: what counts is in the log and in what the peer answers, and each connection begins with asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from steward.domain.batches import (
    BATCH_BYTES_MAX,
    BadBatch,
    Batch,
    BatchTooLarge,
    decode_ack,
    encode_batch,
)
from steward.domain.budget import ShipTime, ship_time
from steward.domain.digest import DIGEST_EVENTS_MAX, Compare, compare_range, next_range
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.recipients import Mark, Projection
from steward.domain.tally import LINK
from steward.domain.topics import CLASSES, TELEMETRY, ack_topic, up_topic
from steward.domain.uplink import Ask, Load, Progress, Uplink, UplinkLimits, fill, question
from steward.ports import Clock, Entropy, Store, Tx
from steward.ports.sync import LinkBytes, LinkDown, Pipe, PipeMessage, Waiting
from steward.services.backlog import Lane, Span, look
from steward.services.spending import Spending

_LOG = logging.getLogger(__name__)
_NO_BYTES = LinkBytes(0, 0)

POLL_S = 0.2  # how soon a new event is seen
PUBLISH_MAX_S = 120.0
SAVE_EVERY_MS = 10_000.0  # bytes spent, when no acknowledgement is being saved anyway
SETTLE_EVERY_MS = 1_000.0  # whose the bytes at the socket are, when no acknowledgement comes
COMPARE_EVERY_MS = 60_000.0  # between questions for a digest that got no answer
COMPARE_TRIES = 3
BUSY_EVENTS = 100  # from so many in a batch on, the line is slower than compressing harder
LEVEL_IDLE, LEVEL_BUSY = 3, 9
_MARK = "projection.{}"


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """ship, gateway: as in topics. budget: bytes a day by class, both ways; safety and money are only counted.

    projection: what of an event the peer is sent. Without a default: who forgets it must not send everything.
    """

    ship: str
    gateway: str
    peer: str
    version: str
    projection: Projection
    budget: Mapping[int, int] = field(default_factory=dict)
    utc_offset_s: int = 0
    limits: UplinkLimits = field(default_factory=UplinkLimits)


@dataclass(frozen=True, slots=True)
class UplinkSnapshot:
    """How the link to a peer is doing. Counts are since this process started.

    bytes_today, bytes_total: by class and LINK, both ways at the socket, since the ship's midnight and since the start;
    bytes_total adds up to `socket`.
    """

    peer: str
    connected: bool
    answering: bool  # the peer has answered over this connection
    connected_since_s: int | None
    waiting: Waiting
    rtt_ms: float | None
    window_bytes: int
    in_flight_bytes: int
    batches: int
    lost: int  # batches that were sent once more
    rewound: int  # times the peer had less than before
    diverged: int  # ranges that the peer has otherwise
    bytes_today: Mapping[int, int]
    held_by_budget: frozenset[int]  # classes
    budget: Mapping[int, int] = field(default_factory=dict)  # bytes a day by class; others are not limited
    bytes_total: Mapping[int, int] = field(default_factory=dict)
    socket: LinkBytes = _NO_BYTES


@dataclass(slots=True)
class _Comparing:
    """The daily comparison: up to where each epoch is to be compared, and the question that is open."""

    day: int
    targets: dict[int, int]
    asked: tuple[int, Compare] | None = None
    asked_ms: float = 0.0
    tries: int = 0


class UplinkService:
    """Hand `receive` every message under `topic`, and `overheard` all of the pipe; run `run` under a supervisor."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy, pipe: Pipe, settings: UplinkSettings) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._pipe = pipe
        self._settings = settings
        self.topic = ack_topic(settings.ship, settings.gateway, settings.peer)
        self._uplink: Uplink | None = None
        self._spending = Spending(pipe, settings.peer, settings.budget)
        self._backlog: Mapping[Lane, Span] = {}
        self._anchor: tuple[float, float] | None = None  # unix seconds and monotonic ms, as last believed
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._generation = 0
        self._connected_s: int | None = None
        self._epochs: tuple[tuple[int, int], ...] = ()
        self._mark = Mark()
        self._saved_ms = 0.0
        self._unsaved: dict[tuple[int, int], int] = {}  # what the peer has, and the store does not know yet
        self._comparing: _Comparing | None = None
        self._rewound = 0
        self._diverged = 0

    async def run(self) -> None:
        """Send for ever. Raises what the store raises; started again, it begins with asking the peer."""
        self._uplink = uplink = await self._begin()
        self._generation = 0
        try:
            while True:
                if self._pipe.is_connected:
                    await self._turn(uplink)
                else:
                    await self._away(uplink)
        finally:
            for task in self._sending:
                task.cancel()

    async def receive(self, message: PipeMessage) -> None:
        """An acknowledgement. Raises what the store raises."""
        uplink = self._uplink
        if uplink is None:
            return
        try:
            ack = decode_ack(message.payload)
        except BadBatch as error:
            self._spending.received(message)
            _LOG.warning("uplink.bad_ack peer=%s detail=%s", self._settings.peer, error)
            return
        self._spending.received(message, ack.answers)
        self._spending.settle(self._clock.monotonic_ms())
        progress = uplink.acknowledge(ack, self._clock.monotonic_ms())
        if progress.rewound:
            self._rewound += 1
            _LOG.warning("uplink.rewound peer=%s epoch=%d", self._settings.peer, ack.epoch)
        if progress.covered or progress.digest is not None:
            await self._save(progress)
        self._wake.set()

    def overheard(self, message: PipeMessage) -> None:
        """Of every message on the pipe: the bytes of one that is not for us are no class's."""
        if message.topic != self.topic:
            self._spending.received(message)

    async def save(self) -> None:
        """Keep what was spent until now. Raises what the store raises; it is tried again with the next saving."""
        self._saved_ms = self._clock.monotonic_ms()
        self._spending.settle(self._saved_ms)
        with self._spending.saving() as unsaved:
            if unsaved:
                await self._store.write(unsaved.keep)

    async def snapshot(self) -> UplinkSnapshot:
        uplink, now_ms = self._uplink, self._clock.monotonic_ms()
        self._spending.settle(now_ms)
        known = self._backlog
        waiting, self._backlog = await self._store.read(lambda tx: look(tx, self._settings.peer, known))
        classes = uplink.waiting(now_ms) if uplink is not None else frozenset()
        return UplinkSnapshot(
            peer=self._settings.peer,
            connected=self._pipe.is_connected,
            answering=self._pipe.is_connected and uplink is not None and uplink.is_known,
            connected_since_s=self._connected_s,
            waiting=waiting,
            rtt_ms=None if uplink is None else uplink.pacing.rtt_ms,
            window_bytes=0 if uplink is None else uplink.pacing.window,
            in_flight_bytes=0 if uplink is None else uplink.in_flight(),
            batches=0 if uplink is None else uplink.sent_batches,
            lost=0 if uplink is None else uplink.lost_batches,
            rewound=self._rewound,
            diverged=self._diverged,
            bytes_today=self._spending.budget.spent(),
            held_by_budget=self._spending.budget.held(self._ship_time(now_ms), classes),
            budget=self._settings.budget,
            bytes_total=self._spending.totals(),
            socket=self._spending.socket,
        )

    async def _begin(self) -> Uplink:
        await self.save()
        peer, at = self._settings.peer, self._ship_time(self._clock.monotonic_ms())
        first_number = int.from_bytes(self._entropy.token_bytes(4), "big") + 1

        def work(tx: Tx) -> Uplink:
            uplink = Uplink(first_number, tx.covered(peer), self._settings.limits)
            self._epochs = tuple(tx.epochs())
            self._mark = _marked(tx, peer, self._settings.projection, self._epochs[-1])
            for epoch, head in self._epochs:
                uplink.learn(epoch, head, {cls: tx.newest_of_class(epoch, cls) for cls in CLASSES})
            self._spending.budget.begin(at.day, tx.bytes_spent(peer, at.day))
            return uplink

        return await self._store.write(work)

    async def _away(self, uplink: Uplink) -> None:
        """Wait for a connection; what was spent on trying is kept meanwhile."""
        if self._connected_s is not None:
            self._spending.settle(self._clock.monotonic_ms())
            self._spending.forget()
        uplink.disconnected()
        self._connected_s = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAVE_EVERY_MS / 1000):
                await self._pipe.connected()
        now_ms = self._clock.monotonic_ms()
        await self._keep_budget(self._ship_time(now_ms), now_ms)

    async def _turn(self, uplink: Uplink) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._pipe.generation != self._generation:
            self._generation = self._pipe.generation
            self._connected_s = self._clock.now().unix_s
            self._spending.forget()
            self._spending.settle(now_ms)
            uplink.connected(now_ms)
        elif now_ms - self._spending.settled_ms >= SETTLE_EVERY_MS:
            self._spending.settle(now_ms)
        self._wake.clear()
        await self._learn(uplink)
        at = self._ship_time(now_ms)
        await self._keep_budget(at, now_ms)
        step = await self._compare(uplink, at, now_ms) or uplink.next(now_ms, self._spending.budget.allowed(at))
        if isinstance(step, Ask):
            self._ask(step)
        elif isinstance(step, Load):
            await self._send(uplink, step)
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()

    async def _learn(self, uplink: Uplink) -> None:
        """What is new in the log."""
        epoch, known = self._epochs[-1]

        def work(tx: Tx) -> tuple[int, dict[int, int]] | None:
            head = tx.newest_seq(epoch)
            return None if head == known else (head, {cls: tx.newest_of_class(epoch, cls) for cls in CLASSES})

        found = await self._store.read(work)
        if found is not None:
            self._epochs = (*self._epochs[:-1], (epoch, found[0]))
            uplink.learn(epoch, *found)

    # Sending

    def _ask(self, ask: Ask) -> None:
        settings = self._settings
        head = dict(self._epochs)[ask.epoch]
        batch = question(ask, settings.ship, settings.gateway, head, settings.version, self._epochs)
        self._post(TELEMETRY, encode_batch(batch), LINK)

    async def _send(self, uplink: Uplink, load: Load) -> None:
        settings = self._settings

        def work(tx: Tx) -> tuple[Batch, bytes]:
            events = [settings.projection.of(e) for e in tx.events_of(load.cls, load.epoch, load.prev, load.limit)]
            batch = fill(load, settings.ship, settings.gateway, tx.newest_seq(load.epoch), events)
            return _encode(batch)

        batch, payload = await self._store.read(work)  # encoded there too: off the event loop
        uplink.sent(load, batch.last, len(batch.events), len(payload), self._clock.monotonic_ms())
        if batch.events:
            self._post(load.cls, payload, load.cls, load.number)

    def _post(self, cls: int, payload: bytes, spender: int, number: int | None = None) -> None:
        """Without waiting for the broker: on a long line several are on the way. The window bounds how many."""
        topic = up_topic(self._settings.ship, self._settings.gateway, cls)
        self._spending.sent(spender, topic, payload, number)
        task = asyncio.create_task(self._publish(topic, payload))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _publish(self, topic: str, payload: bytes) -> None:
        with contextlib.suppress(LinkDown, TimeoutError):  # it may have arrived; the next connection asks
            async with asyncio.timeout(PUBLISH_MAX_S):
                await self._pipe.publish(topic, payload)

    # Keeping

    async def _save(self, progress: Progress) -> None:
        peer, at_s = self._settings.peer, self._clock.now().unix_s
        compared = self._judge(progress)
        self._unsaved.update(progress.covered)
        covered = dict(self._unsaved)

        def work(tx: Tx) -> None:
            for (epoch, cls), seq in covered.items():
                tx.set_covered(peer, epoch, cls, seq)
            unsaved.keep(tx)
            if compared is not None:
                epoch, (first, last), alike = compared
                tx.set_compared(peer, epoch, last)
                if not alike:
                    tx.append_event(_diverged(at_s, peer, epoch, first, last))

        with self._spending.saving() as unsaved:
            await self._store.write(work)
        self._saved_ms = self._clock.monotonic_ms()
        for lane, seq in covered.items():
            if self._unsaved.get(lane) == seq:
                del self._unsaved[lane]

    async def _keep_budget(self, at: ShipTime, now_ms: float) -> None:
        """Save what was spent from time to time, and begin a new day when there is one."""
        peer, day = self._settings.peer, self._spending.budget.day
        if at.day == day and now_ms - self._saved_ms < SAVE_EVERY_MS:
            return
        await self.save()
        if at.day != day:
            self._spending.budget.begin(at.day, await self._store.read(lambda tx: tx.bytes_spent(peer, at.day)))

    def _ship_time(self, now_ms: float) -> ShipTime:
        """By the wall clock while it is believed, else by how long ago that was."""
        reading = self._clock.now()
        if reading.trusted or self._anchor is None:
            self._anchor = (reading.unix_s, now_ms)
        unix_s, then_ms = self._anchor
        return ship_time(int(unix_s + (now_ms - then_ms) / 1000), self._settings.utc_offset_s)

    # Comparing

    async def _compare(self, uplink: Uplink, at: ShipTime, now_ms: float) -> Ask | None:
        """Once a day of the ship, and once after a start: is what the peer has what we have?"""
        if not uplink.is_known:
            return None
        if self._comparing is None or self._comparing.day != at.day:
            self._comparing = _Comparing(at.day, {epoch: uplink.complete_to(epoch) for epoch, _ in self._epochs})
        comparing = self._comparing
        if not comparing.targets or (comparing.asked and now_ms - comparing.asked_ms < COMPARE_EVERY_MS):
            return None
        epoch, target = next(iter(comparing.targets.items()))
        comparing.tries += 1
        ours = await self._store.read(lambda tx: self._own(tx, epoch, target))
        if ours is None or comparing.tries > COMPARE_TRIES:
            del comparing.targets[epoch]
            comparing.asked, comparing.tries = None, 0
            return None
        comparing.asked, comparing.asked_ms = (epoch, ours), now_ms
        return uplink.compare(epoch, ours, now_ms)

    def _own(self, tx: Tx, epoch: int, target: int) -> Compare | None:
        """Ours over the next range. Payloads count where it is certain in which form the peer was sent them."""
        projection, mark, compared = self._settings.projection, self._mark, tx.compared(self._settings.peer, epoch)
        if epoch == mark.epoch and compared < mark.seq:
            target = min(target, mark.seq)
        span = next_range(compared, target)
        if span is None:
            return None
        first, last = span
        events = tx.events_in(epoch, first - 1, min(last - first + 1, DIGEST_EVENTS_MAX))
        whole = projection.fields is None or (epoch == mark.epoch and first > mark.seq)
        return compare_range(first, last, [projection.of(event) for event in events], whole=whole)

    def _judge(self, progress: Progress) -> tuple[int, tuple[int, int], bool] | None:
        """(epoch, the range, whether the peer has the same), if this answers the open question."""
        comparing, theirs = self._comparing, progress.digest
        if theirs is None or comparing is None or comparing.asked is None:
            return None
        epoch, ours = comparing.asked
        if (theirs.first, theirs.last) != ours.span:
            return None
        comparing.asked, comparing.tries = None, 0
        alike = ours.is_alike(theirs)
        if not alike:
            self._diverged += 1
            _LOG.error("uplink.diverged peer=%s epoch=%d first=%d last=%d", self._settings.peer, epoch, *ours.span)
        return epoch, ours.span, alike


def _diverged(at_s: int, peer: str, epoch: int, first: int, last: int) -> NewEvent:
    return fact(EventType.PEER_DIVERGED, at_s, peer=peer, epoch=epoch, first=first, last=last)


def _marked(tx: Tx, peer: str, projection: Projection, newest: tuple[int, int]) -> Mark:
    """From where in the log the peer is sent what this program sends, kept for the next one."""
    key = _MARK.format(peer)
    before = Mark.decode(tx.meta(key))
    mark = before.at_start(projection, *newest)
    if mark != before:
        tx.set_meta(key, mark.encode())
    return mark


def _encode(batch: Batch) -> tuple[Batch, bytes]:
    """The batch, or as much of its beginning as goes into one message."""
    while True:
        with contextlib.suppress(BatchTooLarge):
            payload = encode_batch(batch, LEVEL_BUSY if len(batch.events) >= BUSY_EVENTS else LEVEL_IDLE)
            if len(payload) <= BATCH_BYTES_MAX:
                return batch, payload
        batch = batch.first_half()
