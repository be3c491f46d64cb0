"""Fetches the file of the release that shore signed last, where nobody has carried it aboard: slowly, part by part.

What is fetched is believed by its hash alone, and services/modelwatch.py takes it from there. Bytes of a day are
bounded, and spread over it as the link's least urgent class is (domain/budget.py); what broke off goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from steward.domain.budget import Budget, ship_time
from steward.domain.modelfile import MANIFEST_BYTES_MAX, NETWORK_BYTES_MAX
from steward.domain.shorebodies import ModelRelease, decode_releases
from steward.domain.topics import TELEMETRY
from steward.domain.trial import begin
from steward.ports import Clock, Store, Tx
from steward.ports.fetching import Arrivals, Source, SourceFailed
from steward.services.modelwatch import LOOK_EVERY_S, MODEL
from steward.services.ranking import Ranking

_LOG = logging.getLogger(__name__)

PART_BYTES = 32 * 1024
PAUSE_S = 1.0  # after each part: other classes go first
AGAIN_FIRST_S, AGAIN_MAX_S = 5.0, 3600.0
SIZE_MAX = MANIFEST_BYTES_MAX + NETWORK_BYTES_MAX
_PEER = "models"  # under which its bytes are kept, apart from the link's own


@dataclass(frozen=True, slots=True)
class FetchSettings:
    bytes_per_day: int
    utc_offset_s: int = 0


class ModelFetch:
    """here: whether the file of this SHA-256 has come. `run` belongs to a supervisor."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ranking: Ranking,
        here: Callable[[str], Awaitable[bool]],
        source: Source,
        arrivals: Arrivals,
        settings: FetchSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ranking = ranking
        self._here = here
        self._source = source
        self._arrivals = arrivals
        self._settings = settings
        self._budget = Budget({TELEMETRY: settings.bytes_per_day})
        self._failed = 0
        self._said = ""

    async def run(self) -> None:
        try:
            while True:
                wait_s = await self.step()
                await asyncio.sleep(wait_s)
        finally:
            await self._source.close()

    async def step(self) -> float:
        """Fetch one part of what is missing, if anything is; how many seconds to wait before the next."""
        release, wanted = await self._store.read(self._wanted)
        if release is None or await self._here(release.sha256):
            await self._arrivals.keep_only(wanted)
            return LOOK_EVERY_S
        try:
            return await self._fetch(release)
        except SourceFailed as error:
            self._say(release, str(error))
            self._failed += 1
            return min(math.ldexp(AGAIN_FIRST_S, min(self._failed - 1, 20)), AGAIN_MAX_S)

    async def _fetch(self, release: ModelRelease) -> float:
        """Raises SourceFailed."""
        if not 0 < release.size <= SIZE_MAX:
            raise SourceFailed(f"a model's file has up to {SIZE_MAX} bytes, and this release says {release.size}")
        have = await self._arrivals.begun(release.sha256)
        if have < release.size:
            if not await self._may_spend():
                return LOOK_EVERY_S
            if not await self._arrivals.room(release.size - have):
                raise SourceFailed("no room on the disk: free some, or lower [monitor] disk_floor_mb")
            part = await self._source.fetch(release.url, have, min(PART_BYTES, release.size - have), release.size)
            await self._spend(part.cost)
            if not part.data:
                raise SourceFailed("the source sent nothing")
            await self._arrivals.add(release.sha256, part)
            have = part.offset + len(part.data)
        if have < release.size:
            self._failed = 0
            return PAUSE_S
        if not await self._arrivals.finish(release.sha256):
            self._say(release, "not the file that shore signed: it is thrown away, and fetched anew in an hour")
            return AGAIN_MAX_S
        self._failed, self._said = 0, ""
        _LOG.info("model.fetched model=%s version=%s bytes=%d", release.sha256[:12], release.version, release.size)
        return LOOK_EVERY_S

    def _wanted(self, tx: Tx) -> tuple[ModelRelease | None, frozenset[str]]:
        """The release to fetch, if it names an address and is still to be tried; and whatever must stay."""
        trial, record = self._ranking.read(tx), tx.down("release")
        told = () if record is None else decode_releases(record.body)
        newest = next((release for release in told if release.name == MODEL), None)
        wanted = frozenset(trial.wants()) | ({newest.sha256} if newest is not None else set())
        if newest is None or not newest.url:
            return None, wanted
        new_or_lost = begin(trial, newest.sha256) is not trial or newest.sha256 in trial.wants()
        return newest if new_or_lost else None, wanted

    async def _may_spend(self) -> bool:
        at = ship_time(self._clock.now().unix_s, self._settings.utc_offset_s)
        if self._budget.day != at.day:
            self._budget.begin(at.day, await self._store.read(lambda tx: tx.bytes_spent(_PEER, at.day)))
        return TELEMETRY in self._budget.allowed(at)

    async def _spend(self, count: int) -> None:
        day = self._budget.day
        assert day is not None
        self._budget.spend({TELEMETRY: count})
        unsaved = self._budget.unsaved()[TELEMETRY]
        await self._store.write(lambda tx: tx.spend_bytes(_PEER, day, TELEMETRY, unsaved))

    def _say(self, release: ModelRelease, problem: str) -> None:
        """Once, until it is another."""
        if self._said != problem:
            self._said = problem
            _LOG.warning("model.not_fetched model=%s problem=%s", release.sha256[:12], problem)
