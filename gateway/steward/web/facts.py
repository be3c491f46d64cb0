"""What the status page and /metrics read from the store: counts only, and not more often than every few seconds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from steward.domain.condition import LOW_PERCENT, UNSEEN_S, BandCondition
from steward.domain.guests import BandState
from steward.domain.requests import DueCounts
from steward.domain.rulecheck import Kind
from steward.domain.trial import Phase
from steward.errors import Busy, StoreUnavailable
from steward.ports import Tx
from steward.services.bandreleases import ReleaseStatus
from steward.services.blanks import BlankCount
from steward.services.requests import due_in
from steward.services.retention import is_waiting
from steward.web.bundle import LinkStatus, Services, ShipStatus

FRESH_MS = 3000
LOOKS_AT_ONCE = 2000  # of the log, read at one time
LISTED_MAX = 20  # bands of each list
_BEYOND = 2**53


@dataclass(frozen=True, slots=True)
class RankerFacts:
    """Who ranks for guests who agreed, and what is on trial beside it. None: its file is not at hand."""

    shown: str | None
    beside: str | None = None
    on_trial: bool = False


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """readable False: the store did not answer; the counts are then those of before."""

    bands: Mapping[tuple[BandState, bool], int] = field(default_factory=dict)
    batteries: Mapping[tuple[bool, int | None], int] = field(default_factory=dict)  # of bands issued or tapped here
    low: tuple[BandCondition, ...] = ()  # batteries below LOW_PERCENT, lowest first
    low_count: int = 0
    unseen: tuple[BandCondition, ...] = ()  # not tapped here for UNSEEN_S, the longest away first
    unseen_count: int = 0
    approvals_pending: int = 0
    recovery_open: int = 0
    requests: DueCounts = field(default_factory=DueCounts)  # of guests by right: how many wait, are due soon, are late
    glass_unreviewed: int = 0
    retention_waits: bool = False  # for somebody to confirm the clock
    look_ups: Mapping[str, int] = field(default_factory=dict)  # by role, the whole log
    rule_findings: Mapping[Kind, int] = field(default_factory=dict)  # what is wrong with the rules of suggestions
    ranker: RankerFacts | None = None
    link: LinkStatus | None = None
    ship: ShipStatus | None = None
    band_release: ReleaseStatus | None = None  # None: none is ordered, or this gateway brings none
    blanks: Sequence[BlankCount] = ()  # the stock of keyed bands
    readable: bool = True


class FactReader:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = asyncio.Lock()
        self._read: tuple[float, StoreFacts] | None = None
        self._looks: Counter[str] = Counter()
        self._counted: int | None = None  # up to which look-up

    async def get(self) -> StoreFacts:
        """Callers at the same time share one reading."""
        async with self._lock:
            now_ms = self._services.clock.monotonic_ms()
            if self._read is None or not 0 <= now_ms - self._read[0] < FRESH_MS:
                self._read = (now_ms, await self._fresh())
            return self._read[1]

    async def _fresh(self) -> StoreFacts:
        try:
            counts = await self._services.store.read(self._count)
            releases = self._services.band_releases
            release = None if releases is None else await releases.status()
            link, ship = await self._services.link(), await self._services.ship()
            blanks = await self._services.blanks.count()
            return replace(counts, link=link, ship=ship, band_release=release, blanks=blanks)
        except (StoreUnavailable, Busy):
            return replace(self._read[1] if self._read is not None else StoreFacts(), readable=False)

    def _count(self, tx: Tx) -> StoreFacts:
        """On a thread of the store's; nobody else counts meanwhile, the lock is held."""
        if self._counted is None:
            newest = tx.looks_before(_BEYOND, 1)
            self._looks.update(tx.look_up_counts())
            self._counted = newest[0].seq if newest else 0
        for look in tx.look_ups(self._counted, LOOKS_AT_ONCE):
            if not look.gateway:  # that one counts its own
                self._looks[look.role] += 1
            self._counted = look.seq
        now_s = self._services.clock.now().unix_s
        since_s = now_s - UNSEEN_S
        return StoreFacts(
            bands=dict(tx.band_counts()),
            batteries=dict(tx.battery_counts()),
            low=tuple(tx.low_batteries(LOW_PERCENT, now_s, LISTED_MAX)),
            low_count=tx.low_count(LOW_PERCENT, now_s),
            unseen=tuple(tx.unseen(since_s, now_s, LISTED_MAX)),
            unseen_count=tx.unseen_count(since_s, now_s),
            approvals_pending=len(tx.pending_approvals()),
            recovery_open=len(tx.open_cases(None)),
            requests=due_in(tx, now_s),
            glass_unreviewed=tx.unreviewed_glass(),
            retention_waits=is_waiting(tx),
            look_ups=dict(self._looks),
            rule_findings=Counter(found.kind for found in self._services.rule_watch.look(tx)),
            ranker=self._ranker(tx),
        )

    def _ranker(self, tx: Tx) -> RankerFacts:
        ranking = self._services.offers.ranking
        trial = ranking.read(tx)
        on_trial = trial.phase is not Phase.NONE
        return RankerFacts(ranking.name(trial.shown), ranking.name(trial.other) if on_trial else None, on_trial)
