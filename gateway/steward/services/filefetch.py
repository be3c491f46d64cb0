"""Fetches a file that shore has signed for by its hash, where nobody has carried it aboard: slowly, part by part.

What is fetched is believed by its hash alone. Bytes of a day are bounded, and spread over it as the link's least urgent
class is (domain/budget.py); what broke off goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from steward.domain.budget import Budget, ship_time
from steward.domain.topics import TELEMETRY
from steward.ports import Clock, Store, Tx
from steward.ports.fetching import Arrivals, Source, SourceFailed

_LOG = logging.getLogger(__name__)

PART_BYTES = 32 * 1024
PAUSE_S = 1.0  # after each part: other classes go first
AGAIN_FIRST_S, AGAIN_MAX_S = 5.0, 3600.0
LOOK_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class FetchSettings:
    bytes_per_day: int
    utc_offset_s: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file. version: for the log."""

    sha256: str
    size: int
    url: str
    version: str


@dataclass(frozen=True, slots=True)
class What:
    """Files of one kind. name: for the log. peer: under which their bytes are kept, apart from the link's own."""

    name: str
    peer: str
    size_max: int


class FileFetch:
    """wanted: the file to fetch, if any, and the hashes of all that must stay. here: whether one has come.

    `run` belongs to a supervisor.
    """

    def __init__(
        self,
        what: What,
        store: Store,
        clock: Clock,
        wanted: Callable[[Tx], tuple[Wanted | None, frozenset[str]]],
        here: Callable[[str], Awaitable[bool]],
        source: Source,
        arrivals: Arrivals,
        settings: FetchSettings,
    ) -> None:
        self._what = what
        self._store = store
        self._clock = clock
        self._wanted = wanted
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
        file, kept = await self._store.read(self._wanted)
        if file is None or await self._here(file.sha256):
            await self._arrivals.keep_only(kept)
            return LOOK_EVERY_S
        try:
            return await self._fetch(file)
        except SourceFailed as error:
            self._say(file, str(error))
            self._failed += 1
            return min(math.ldexp(AGAIN_FIRST_S, min(self._failed - 1, 20)), AGAIN_MAX_S)

    async def _fetch(self, file: Wanted) -> float:
        """Raises SourceFailed."""
        most = self._what.size_max
        if not 0 < file.size <= most:
            raise SourceFailed(f"a {self._what.name}'s file has up to {most} bytes, and this release says {file.size}")
        have = await self._arrivals.begun(file.sha256)
        if have < file.size:
            if not await self._may_spend():
                return LOOK_EVERY_S
            if not await self._arrivals.room(file.size - have):
                raise SourceFailed("no room on the disk: free some, or lower [monitor] disk_floor_mb")
            part = await self._source.fetch(file.url, have, min(PART_BYTES, file.size - have), file.size)
            await self._spend(part.cost)
            if not part.data:
                raise SourceFailed("the source sent nothing")
            await self._arrivals.add(file.sha256, part)
            have = part.offset + len(part.data)
        if have < file.size:
            self._failed = 0
            return PAUSE_S
        if not await self._arrivals.finish(file.sha256):
            self._say(file, "not the file that shore signed: it is thrown away, and fetched anew in an hour")
            return AGAIN_MAX_S
        self._failed, self._said = 0, ""
        name = self._what.name
        _LOG.info("%s.fetched %s=%s version=%s bytes=%d", name, name, file.sha256[:12], file.version, file.size)
        return LOOK_EVERY_S

    async def _may_spend(self) -> bool:
        at = ship_time(self._clock.now().unix_s, self._settings.utc_offset_s)
        if self._budget.day != at.day:
            peer = self._what.peer
            self._budget.begin(at.day, await self._store.read(lambda tx: tx.bytes_spent(peer, at.day)))
        return TELEMETRY in self._budget.allowed(at)

    async def _spend(self, count: int) -> None:
        day, peer = self._budget.day, self._what.peer
        assert day is not None
        self._budget.spend({TELEMETRY: count})
        unsaved = self._budget.unsaved()[TELEMETRY]
        await self._store.write(lambda tx: tx.spend_bytes(peer, day, TELEMETRY, unsaved))

    def _say(self, file: Wanted, problem: str) -> None:
        """Once, until it is another."""
        if self._said != problem:
            self._said = problem
            name = self._what.name
            _LOG.warning("%s.not_fetched %s=%s problem=%s", name, name, file.sha256[:12], problem)
