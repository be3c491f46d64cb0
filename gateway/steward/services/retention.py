"""What the register says is over is deleted, rule by rule, in small batches, and each batch says what it deleted.

Retention goes by a time of its own, which no clock that is set back or forward can stop or drag along: see
domain/retention.py. The gateway's clock is asked only while it is believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from steward.domain.crew import SESSION_IDLE_S, SESSION_S
from steward.domain.events import EventType, fact
from steward.domain.ids import GuestRef
from steward.domain.presence import KEPT_S as PRESENCE_KEPT_S
from steward.domain.retention import (
    DAY_S,
    UNKNOWN_STAY_DAYS,
    EventRule,
    Part,
    Passage,
    RetentionRun,
    Rule,
    confirmed,
    event_cutoff,
    passed,
)
from steward.domain.topics import CLASSES
from steward.errors import Refused
from steward.ports import Clock, Store, Tx

_LOG = logging.getLogger(__name__)

EVERY_S = 180.0
GUESTS_AT_ONCE = 10  # of which everything of one part goes in one transaction
ROWS_AT_ONCE = 200
BATCHES_MAX = 50  # of one rule in one round: the rest waits for the next, and taps never wait for all of it
_PASSAGE = "retention.passage"
_EXPIRED_NOTES, _EXPIRED_SESSIONS, _EXPIRED_PLACES = "expired:note", "expired:session", "expired:presence"

_ALL = "guest"  # the rule by which whoever is left is forgotten altogether

Believed = Callable[[Tx], int]
Forget = Callable[[GuestRef], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Due:
    """What one rule would delete now. before_s: of everything older. held: a peer's queue keeps some of it back."""

    rule: str
    count: int
    before_s: int
    held: bool


class RetentionService:
    """rules: of the register. peers: who must acknowledge an event before it may be made unreadable.

    believed: the latest time that was believed, of a store that has no time of retention's own yet. forget: erases a
    guest, `all_days` after the stay, when nothing that is kept of them has time left; None at a gateway that is told.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rules: Sequence[Rule],
        peers: Sequence[str],
        believed: Believed,
        forget: Forget | None = None,
        all_days: int = 0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._peers = peers
        self._believed = believed
        self._forget = forget
        self._all_days = all_days
        self._looked_ms: float | None = None

    async def run(self, every_s: float = EVERY_S) -> None:
        """Sweep for ever."""
        while True:
            if swept := await self.sweep():
                _LOG.info("retention.swept rows=%d", swept)
            await asyncio.sleep(every_s)

    async def sweep(self) -> int:
        """One round: how many rows were deleted or made unreadable."""
        passage, swept = await self._advance()
        if passage.mark_s == 0:
            return 0  # no clock was ever believed
        for rule in self._rules:
            swept += await self._apply(rule, passage.mark_s)
        return swept + await self._forget_left(passage.mark_s)

    async def due(self) -> tuple[Passage, list[Due]]:
        """What the next round would delete, changing nothing."""

        def work(tx: Tx) -> tuple[Passage, list[Due]]:
            passage = self._passed(tx)
            oldest_s = self._oldest_waiting(tx)
            rules = [rule for rule in self._rules if _is_countable(rule)] if passage.mark_s else []
            due = [self._due(tx, rule, passage.mark_s, oldest_s) for rule in rules]
            return passage, [each for each in due if each.count]

        return await self._store.read(work)

    async def passage(self) -> Passage | None:
        """Retention's time as it stands; None before the first round."""
        return await self._store.read(read_passage)

    async def confirm(self) -> int:
        """Somebody says that the gateway's clock is right: retention goes by it from now on. Returns its time.

        Raises Refused clock_not_believed.
        """
        reading = self._clock.now()
        if not reading.trusted:
            raise Refused("clock_not_believed", "set the machine's clock, then run `steward confirm-clock`")

        def work(tx: Tx) -> int:
            known = read_passage(tx)
            confirm_in(tx, reading.unix_s)
            before_s = 0 if known is None else known.mark_s
            tx.append_event(fact(EventType.CLOCK_CONFIRMED, reading.unix_s, believed_before_s=before_s))
            return reading.unix_s

        return await self._store.write(work)

    async def _advance(self) -> tuple[Passage, int]:
        """Retention's time as of now, and how much carried its own end, which is over."""

        def work(tx: Tx) -> tuple[Passage, int]:
            passage = self._passed(tx)
            _keep(tx, passage)
            return passage, self._expired(tx, passage.mark_s) if passage.mark_s else 0

        found = await self._store.write(work)
        self._looked_ms = self._clock.monotonic_ms()
        return found

    def _passed(self, tx: Tx) -> Passage:
        known = read_passage(tx)
        if known is None and (believed_s := self._believed(tx)):
            known = Passage(believed_s)
        elapsed_ms = 0.0 if self._looked_ms is None else self._clock.monotonic_ms() - self._looked_ms
        reading = self._clock.now()
        return passed(known, reading.unix_s, trusted=reading.trusted, elapsed_s=int(elapsed_ms // 1000))

    def _expired(self, tx: Tx, now_s: int) -> int:
        """What carries its own end, or has hours: notes until then, sessions of crew, where bands were heard last."""
        swept = 0
        sessions = tx.sweep_sessions(now_s - SESSION_IDLE_S, now_s - SESSION_S)
        places = tx.sweep_presence(now_s - PRESENCE_KEPT_S)
        expired = ((_EXPIRED_NOTES, tx.sweep_notes(now_s)), (_EXPIRED_SESSIONS, sessions), (_EXPIRED_PLACES, places))
        for rule, count in expired:
            _say(tx, RetentionRun(now_s, rule, count, now_s))
            swept += count
        return swept

    async def _apply(self, rule: Rule, now_s: int) -> int:
        swept = 0
        if _is_countable(rule) and not await self._store.read(partial(self._count, rule=rule, now_s=now_s)):
            return 0  # as a rule: what only reads holds nobody up
        for _ in range(BATCHES_MAX):
            count = await self._store.write(partial(self._batch, rule=rule, now_s=now_s))
            if count == 0:
                break
            swept += count
        return swept

    async def _forget_left(self, now_s: int) -> int:
        """Some guests of whom nothing has time left: erased as if they had asked, with what the law keeps apart."""
        if self._forget is None:
            return 0
        before_s = now_s - self._all_days * DAY_S
        refs = await self._store.read(lambda tx: tx.forgotten_next(before_s, GUESTS_AT_ONCE))
        if not refs:
            return 0
        for ref in refs:
            with contextlib.suppress(Refused):  # somebody who has become crew since
                await self._forget(ref)
        await self._store.write(lambda tx: _say(tx, RetentionRun(now_s, _ALL, len(refs), before_s)))
        return len(refs)

    def _batch(self, tx: Tx, rule: Rule, now_s: int) -> int:
        before_s, held = self._before(tx, rule, now_s)
        count = _drop(tx, rule, before_s)
        _say(tx, RetentionRun(now_s, rule.id, count, before_s, held))
        return count

    def _count(self, tx: Tx, rule: Rule, now_s: int) -> int:
        return self._due(tx, rule, now_s, self._oldest_waiting(tx)).count

    def _due(self, tx: Tx, rule: Rule, now_s: int, oldest_s: int | None) -> Due:
        if isinstance(rule, EventRule):
            before_s, held = event_cutoff(now_s, rule.days, oldest_s)
            return Due(rule.id, _count_events(tx, rule, before_s), before_s, held)
        before_s = now_s - rule.days * DAY_S
        count = tx.count_aged(rule.part, before_s) if rule.aged else tx.count_left_with(rule.part, before_s)
        return Due(rule.id, count, before_s, held=False)

    def _before(self, tx: Tx, rule: Rule, now_s: int) -> tuple[int, bool]:
        if isinstance(rule, EventRule):
            return event_cutoff(now_s, rule.days, self._oldest_waiting(tx))
        return now_s - rule.days * DAY_S, False

    def _oldest_waiting(self, tx: Tx) -> int | None:
        """The time of the oldest event that some peer has not acknowledged."""
        oldest = []
        for peer in self._peers:
            covered = tx.covered(peer)
            for lane in itertools.product((epoch for epoch, _ in tx.epochs()), CLASSES):
                count, _, at_s = tx.sizes_of(lane[1], lane[0], covered.get(lane, 0), 1)
                oldest += [at_s] if count else []
        return min(oldest, default=None)


def read_passage(tx: Tx) -> Passage | None:
    text = tx.meta(_PASSAGE)
    if text is None:
        return None
    mark_s, ahead_s, waits_s = json.loads(text)
    return Passage(mark_s, ahead_s, waits_s)


def _is_countable(rule: Rule) -> bool:
    """Whether a connection that only reads can tell what is due: of what implies health it is told nothing."""
    return isinstance(rule, EventRule) or rule.part is not Part.HEALTH


def is_waiting(tx: Tx) -> bool:
    """Whether the clock has jumped, and waits for somebody to confirm it."""
    passage = read_passage(tx)
    return passage is not None and passage.waits_s is not None


def confirm_in(tx: Tx, unix_s: int) -> None:
    """In the caller's transaction: somebody says that it is this late."""
    _keep(tx, confirmed(unix_s))


def _keep(tx: Tx, passage: Passage) -> None:
    tx.set_meta(_PASSAGE, json.dumps([passage.mark_s, passage.ahead_s, passage.waits_s]))


def _drop(tx: Tx, rule: Rule, before_s: int) -> int:
    if isinstance(rule, EventRule):
        if rule.by_stay:
            return tx.redact_left(rule.type, before_s, before_s - UNKNOWN_STAY_DAYS * DAY_S, ROWS_AT_ONCE)
        return tx.redact_events_before(rule.type, before_s, ROWS_AT_ONCE)
    if rule.aged:
        return tx.drop_aged(rule.part, before_s, ROWS_AT_ONCE)
    return sum(tx.drop_part(rule.part, ref) for ref in tx.left_with(rule.part, before_s, GUESTS_AT_ONCE))


def _count_events(tx: Tx, rule: EventRule, before_s: int) -> int:
    if rule.by_stay:
        return tx.count_events_left(rule.type, before_s, before_s - UNKNOWN_STAY_DAYS * DAY_S)
    return tx.count_events_before(rule.type, before_s)


def _say(tx: Tx, run: RetentionRun) -> None:
    """What was deleted, in the transaction that deleted it."""
    if not run.deleted:
        return
    tx.put_run(run)
    tx.append_event(fact(EventType.RETENTION_RUN, run.at_s, rule=run.rule, deleted=run.deleted, before_s=run.before_s))
