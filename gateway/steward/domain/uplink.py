"""The sender's side of the link, pure: what to send now, and what an acknowledgement means. Times in monotonic ms.

A lane is one class of one epoch, sent in the order of its seqs. The peer's acknowledgement says up to where it has
each lane; nothing else counts as delivered. What is on the way and what the peer holds out of order are spans; what
lies between them is sent next, so a loss is just a gap that shows again. A connection begins by asking where the peer
stands. So does silence: questions are small, and what they find out is never sent twice for nothing.

An acknowledgement that answers something sent after an earlier one was read cannot be older than that one. If it
nevertheless knows less, the peer has lost what it had (a restored backup): the lane goes back. Any other
acknowledgement that knows less is a late one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from steward.domain.batches import OLDER_MAX, Ack, Batch
from steward.domain.columns import EVENTS_MAX
from steward.domain.digest import Compare, Digest
from steward.domain.events import StoredEvent
from steward.domain.pacing import Departure, Pacing
from steward.domain.topics import CLASSES, SAFETY, TELEMETRY
from steward.domain.turns import Turns

ASKED_MAX = 8  # questions remembered, for their answers
PROBE_MS = 300_000.0  # of quiet, then ask again: a peer that was restored meanwhile has lost something
RETRY_MAX_MS = 60_000.0
GRACE_MS = 50.0  # beyond half a round trip more, for what was overtaken on the way
EVENT_BYTES_FIRST = 64.0  # a guess, until batches were measured
SAFETY_FLIGHTS_MIN = 2  # batches of safety that may be on the way however full the window is
LOSSES_FREE = 3  # of one batch, sent again at once


@dataclass(frozen=True, slots=True)
class UplinkLimits:
    batch_events: int = 512
    batch_bytes: int = 24 * 1024  # aimed at; what is urgent waits behind one of these
    window_batches: int = 12  # on the way at most, where the path holds so much


@dataclass(frozen=True, slots=True)
class Ask:
    """Send an empty batch: where do you stand with this epoch?"""

    epoch: int
    number: int
    introduce: bool  # say which program and which older epochs this is
    compare: Compare | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Read events of a lane and send them: seq > prev, at most `limit`, none beyond `upto`."""

    epoch: int
    cls: int
    number: int
    prev: int
    limit: int
    upto: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What an acknowledgement changed; `covered` by (epoch, class), to be kept durably."""

    covered: Mapping[tuple[int, int], int]
    rewound: bool = False
    digest: Digest | None = None  # the peer's, over the range that was asked about


@dataclass(slots=True)
class _Flight:
    number: int
    prev: int
    last: int
    events: int
    size: int
    left: Departure


@dataclass(slots=True)
class _Lane:
    covered: int = 0
    learned: int = 0  # `covered` was learned before this number was given out
    heard: int = 0  # the number answered by the newest acknowledgement that was used
    newest: int = 0  # seq in our log
    held: tuple[tuple[int, int], ...] = ()
    flights: list[_Flight] = field(default_factory=list)
    losses: int = 0  # since `covered` last grew
    not_before_ms: float = 0.0

    def gap(self) -> tuple[int, int | None]:
        """Where to go on: (prev, upto)."""
        at = self.covered
        for after, last in sorted([*self.held, *((flight.prev, flight.last) for flight in self.flights)]):
            if after > at:
                return at, after
            at = max(at, last)
        return at, None

    def is_waiting(self, now_ms: float) -> bool:
        """A peer may hold more than we have: what was lost with our disk. Before that may be a gap nobody can fill."""
        return self.covered < self.newest and now_ms >= self.not_before_ms and self.gap()[0] < self.newest


@dataclass(slots=True)
class _Epoch:
    head: int = 0
    known: bool = False  # the peer has answered over this connection
    asked_ms: float | None = None
    asks: int = 0  # since the last answer
    lanes: dict[int, _Lane] = field(default_factory=lambda: {cls: _Lane() for cls in CLASSES})


class Uplink:
    """first_number: drawn at random, so that answers to an earlier process are not taken for ours."""

    def __init__(
        self, first_number: int, covered: Mapping[tuple[int, int], int], limits: UplinkLimits | None = None
    ) -> None:
        self._limits = limits or UplinkLimits()
        self._first = self._number = self._barrier = first_number
        self._epochs: dict[int, _Epoch] = {}
        self._durable = dict(covered)
        self._asked: dict[int, tuple[int, Departure]] = {}
        self._answered = 0  # the highest number answered
        self._boot: bytes | None = None
        self._heard_ms = 0.0
        self._is_up = False
        self._turns = Turns()
        self._event_bytes = dict.fromkeys(CLASSES, EVENT_BYTES_FIRST)
        size = self._limits.batch_bytes
        self.pacing = Pacing(2 * size, self._limits.window_batches * size)
        self.sent_batches = 0
        self.lost_batches = 0

    # What the store and the pipe say

    def learn(self, epoch: int, head: int, newest: Mapping[int, int]) -> None:
        """What is in the log: of an epoch the newest seq, and the newest of each class."""
        known = self._epochs.get(epoch)
        if known is None:
            known = self._epochs[epoch] = _Epoch()
            for cls, lane in known.lanes.items():
                lane.covered = self._durable.get((epoch, cls), 0)
                lane.learned = self._number
        known.head = head
        for cls, seq in newest.items():
            known.lanes[cls].newest = seq

    def connected(self, now_ms: float) -> None:
        """There is a new connection: ask before anything else is sent."""
        self._is_up = True
        self._heard_ms = now_ms
        self.pacing.forget_path()
        self.ask_again()

    def disconnected(self) -> None:
        self._is_up = False

    def ask_again(self) -> None:
        """The peer may have changed: find out where it stands, in every epoch."""
        for epoch in self._epochs.values():
            epoch.known, epoch.asked_ms, epoch.asks = False, None, 0

    # What to do

    def next(self, now_ms: float, allowed: Collection[int] = CLASSES) -> Ask | Load | None:
        """The next thing to send; None: nothing now. allowed: the classes that the budget lets go."""
        if not self._is_up or not self._epochs:
            return None
        self._expire(now_ms)
        current = max(self._epochs)
        if not self._epochs[current].known:
            return self._ask(current, now_ms)
        if now_ms - self._heard_ms >= PROBE_MS and not self._asked:
            self._heard_ms = now_ms
            self._epochs[current].known = False
            return self._ask(current, now_ms)
        for number, epoch in sorted(self._epochs.items()):
            if not epoch.known and (question := self._ask(number, now_ms)) is not None:
                return question
        return self._load(now_ms, allowed)

    def compare(self, epoch: int, ours: Compare, now_ms: float) -> Ask:
        """Ask for the peer's digest of the same range."""
        return self._question(epoch, now_ms, ours)

    def sent(self, load: Load, last: int, events: int, size: int, now_ms: float) -> None:
        """The batch that `load` asked for is on its way. last: of its seqs; events may be 0, then nothing was sent."""
        lane = self._epochs[load.epoch].lanes[load.cls]
        if events == 0:  # nothing of this class lies there, whatever made it look so
            lane.held = (*lane.held, (load.prev, load.upto or lane.newest))
            return
        lane.flights.append(_Flight(load.number, load.prev, last, events, size, self.pacing.depart(now_ms)))
        known = self._event_bytes[load.cls]
        self._event_bytes[load.cls] = known + (size / events - known) * 0.25
        self._turns.used(load.cls, size)
        self.sent_batches += 1

    def acknowledge(self, ack: Ack, now_ms: float) -> Progress:
        """Take the peer's word. One that answers nothing of ours, or is older than a rewinding, changes nothing."""
        epoch = self._epochs.get(ack.epoch)
        if epoch is None or not self._barrier <= ack.answers < self._number:
            return Progress({})
        self._heard_ms = max(self._heard_ms, now_ms)
        left = self._departure(ack.answers, epoch)
        lanes = [(lane, cls, ack.covered[cls - 1]) for cls, lane in epoch.lanes.items()]
        rewound = any(seq < lane.covered and ack.answers >= lane.learned for lane, _, seq in lanes)
        changed = {}
        for lane, cls, seq in lanes:
            if ack.answers >= lane.heard or rewound:
                lane.heard = ack.answers
                lane.held = tuple((after, last) for held_cls, after, last in ack.held if held_cls == cls)
            if seq > lane.covered or (seq < lane.covered and rewound):
                changed[ack.epoch, cls] = lane.covered = seq
                lane.learned, lane.losses, lane.not_before_ms = self._number, 0, 0.0
            self._land(lane, ack.answers, now_ms)
        if left is not None:
            self.pacing.answered(left, now_ms)
        self._answered = max(self._answered, ack.answers)
        epoch.known, epoch.asked_ms, epoch.asks = True, None, 0
        self._notice_restore(ack, rewound)
        return Progress(changed, rewound, ack.digest)

    def _notice_restore(self, ack: Ack, rewound: bool) -> None:
        """Answers to what was sent before a rewinding say nothing any more, and every epoch may have gone back."""
        if rewound:
            self._barrier = self._number
        if rewound or self._boot not in (None, ack.boot):
            self.ask_again()
        self._boot = ack.boot

    # What is known

    @property
    def is_known(self) -> bool:
        """Whether the peer has answered over this connection."""
        return self._is_up and bool(self._epochs) and self._epochs[max(self._epochs)].known

    def complete_to(self, epoch: int) -> int:
        """Up to this seq the peer has every event of the epoch."""
        known = self._epochs[epoch]
        return min([known.head, *(lane.covered for lane in known.lanes.values() if lane.covered < lane.newest)])

    def waiting(self, now_ms: float) -> frozenset[int]:
        """The classes that have something to send now."""
        lanes = ((cls, lane) for epoch in self._epochs.values() for cls, lane in epoch.lanes.items())
        return frozenset(cls for cls, lane in lanes if lane.is_waiting(now_ms))

    def in_flight(self) -> int:
        """Bytes on the way."""
        return sum(flight.size for lane in self._lanes() for flight in lane.flights)

    def _lanes(self) -> Iterator[_Lane]:
        for epoch in self._epochs.values():
            yield from epoch.lanes.values()

    # Asking

    def _ask(self, epoch: int, now_ms: float) -> Ask | None:
        known = self._epochs[epoch]
        pause_ms = min(self.pacing.rto_ms * 2 ** min(known.asks - 1, 8), RETRY_MAX_MS) if known.asks else 0.0
        if known.asked_ms is not None and now_ms - known.asked_ms < pause_ms:
            return None
        known.asked_ms, known.asks = now_ms, known.asks + 1
        return self._question(epoch, now_ms, None)

    def _question(self, epoch: int, now_ms: float, compare: Compare | None) -> Ask:
        while len(self._asked) >= ASKED_MAX:
            del self._asked[min(self._asked)]
        number = self._take_number()
        self._asked[number] = (epoch, self.pacing.depart(now_ms))
        return Ask(epoch, number, introduce=epoch == max(self._epochs) and compare is None, compare=compare)

    def _take_number(self) -> int:
        self._number += 1
        return self._number - 1

    # Sending

    def _load(self, now_ms: float, allowed: Collection[int]) -> Load | None:
        open_lanes: dict[int, tuple[int, _Lane]] = {}
        for number, epoch in sorted(self._epochs.items(), reverse=True):  # the oldest is written last, and stays
            for cls, lane in epoch.lanes.items():
                if epoch.known and cls in allowed and lane.is_waiting(now_ms) and self._has_room(cls):
                    open_lanes[cls] = (number, lane)
        chosen = self._turns.choose(open_lanes)
        if chosen is None:
            return None
        number, lane = open_lanes[chosen]
        prev, upto = lane.gap()
        return Load(number, chosen, self._take_number(), prev, self._batch_events(chosen), upto)

    def _has_room(self, cls: int) -> bool:
        """One window for all, and who is next is for Turns to say; safety always has some batches beyond it."""
        flights = [flight for lane in self._lanes() for flight in lane.flights]
        if cls == SAFETY:
            own = sum(len(epoch.lanes[SAFETY].flights) for epoch in self._epochs.values())
            if own < SAFETY_FLIGHTS_MIN:
                return True
        return len(flights) < self._limits.window_batches and sum(f.size for f in flights) < self.pacing.window

    def _batch_events(self, cls: int) -> int:
        fit = int(self._limits.batch_bytes / max(self._event_bytes[cls], 1.0))
        return max(1, min(fit, self._limits.batch_events, EVENTS_MAX))

    # Losing

    def _expire(self, now_ms: float) -> None:
        """Silence: ask. Something sent later was answered: what was sent before and is not there is lost."""
        rtt_ms = self.pacing.rtt_ms
        overtaken_ms = self.pacing.rto_ms if rtt_ms is None else 1.5 * rtt_ms + GRACE_MS
        for epoch in self._epochs.values():
            for lane in epoch.lanes.values():
                for flight in list(lane.flights):
                    age_ms = now_ms - flight.left.at_ms
                    if self._answered > flight.number and age_ms >= overtaken_ms:
                        self._lose(lane, flight, now_ms)
                    elif age_ms >= self.pacing.rto_ms and epoch.known:
                        epoch.known = False
        for number, (_, left) in list(self._asked.items()):
            if now_ms - left.at_ms >= RETRY_MAX_MS:
                del self._asked[number]

    def _lose(self, lane: _Lane, flight: _Flight, now_ms: float) -> None:
        """It will be sent again; what gets no further again and again comes ever more seldom."""
        lane.flights.remove(flight)
        self.lost_batches += 1
        if flight.prev <= lane.covered:  # the one that the others wait for
            lane.losses += 1
            if lane.losses > LOSSES_FREE:
                pause_ms = self.pacing.rto_ms * 2 ** min(lane.losses - LOSSES_FREE - 1, 8)
                lane.not_before_ms = now_ms + min(pause_ms, RETRY_MAX_MS)

    def _departure(self, number: int, epoch: _Epoch) -> Departure | None:
        """When what is answered left; it is answered only once."""
        if number in self._asked:
            return self._asked.pop(number)[1]
        for lane in epoch.lanes.values():
            for flight in lane.flights:
                if flight.number == number:
                    return flight.left
        return None

    def _land(self, lane: _Lane, answers: int, now_ms: float) -> None:
        """Forget the flights that the peer has. If it answers one and has it not, it missed what went before."""
        refused = False
        for flight in list(lane.flights):
            if flight.last <= lane.covered or any(a <= flight.prev and flight.last <= z for a, z in lane.held):
                lane.flights.remove(flight)
                self.pacing.delivered(flight.size)
            else:
                refused = refused or flight.number == answers
        for flight in list(lane.flights):
            if refused and flight.number <= answers:
                self._lose(lane, flight, now_ms)


def question(ask: Ask, ship: str, gateway: str, head: int, version: str, epochs: Sequence[tuple[int, int]]) -> Batch:
    """The empty batch for an Ask. epochs: (epoch, newest seq) of all that the store has."""
    batch = Batch(ship, gateway, ask.epoch, ask.number, TELEMETRY, (), head)
    if ask.compare is not None:
        batch = replace(batch, digest=ask.compare.full, bare=ask.compare.bare)
    if not ask.introduce:
        return batch
    older = tuple((epoch, last) for epoch, last in epochs if epoch < ask.epoch)[-OLDER_MAX:]
    return replace(batch, version=version, older=older)


def fill(load: Load, ship: str, gateway: str, head: int, events: Sequence[StoredEvent]) -> Batch:
    """The batch for a Load. events: of its lane, after its prev; those beyond its upto are left out."""
    fit = tuple(event for event in events if load.upto is None or event.seq <= load.upto)
    return Batch(ship, gateway, load.epoch, load.number, load.cls, fit, head, load.prev)
