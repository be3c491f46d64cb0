"""Searches for bands that go on after the page has answered, and how far each of them is.

A search lasts up to half a minute (services/findme.py). The page that began it answers once it has begun, and the next
one says where it stands.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from steward.domain.ids import GuestRef, Uid
from steward.errors import Busy
from steward.services.findme import FRESH_MS, Found
from steward.services.supervise import describe
from steward.web.bundle import Services

_LOG = logging.getLogger(__name__)

ANSWER_S = 1.0  # what is known at once is told at once: a radio that is off, somebody else's band
BROKEN_MAX = 512
_Key = tuple[GuestRef, Uid]


@dataclass(frozen=True, slots=True)
class Search:
    """state: "listening", "calling" (heard in that zone, and asked to buzz), "too_often" or "broken"."""

    state: str
    zone: str = ""

    @property
    def goes_on(self) -> bool:
        return self.state in ("listening", "calling")


class Searches:
    """By who looks for which band: of one search, however often it is pressed."""

    def __init__(self, services: Services) -> None:
        self._find_me = services.find_me
        self._presence = services.presence
        self._clock = services.clock
        self._running: dict[_Key, asyncio.Task[Found]] = {}
        self._ended: dict[_Key, Search] = {}  # those that found no answer

    async def begin(self, asker: GuestRef, uid: Uid) -> None:
        """Raises NotFound and Refused as FindMe.find_own."""
        key = (asker, uid)
        if key in self._running:
            return
        self._ended.pop(key, None)
        task = asyncio.create_task(self._find_me.find_own(asker, uid))
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key))
        done, _ = await asyncio.wait({task}, timeout=ANSWER_S)
        if not done:
            task.add_done_callback(lambda task: self._note_late(key, task))
            return
        try:
            task.result()
        except Busy:
            self._keep(key, Search("too_often"))

    def of(self, asker: GuestRef, uid: Uid) -> Search | None:
        """None: nothing goes on, and FindMe.told knows what came of the last one."""
        key = (asker, uid)
        if key not in self._running:
            return self._ended.get(key)
        heard = self._presence.where(uid)
        if heard is None or heard.at_ms < self._clock.monotonic_ms() - FRESH_MS:
            return Search("listening")
        return Search("calling", heard.zone or heard.radio.zone)

    def _note_late(self, key: _Key, task: asyncio.Task[Found]) -> None:
        """Nobody waits for it any more: the page says it when it is looked at next."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not isinstance(error, Busy):
            _LOG.error("find.broken error=%s", describe(error))
        self._keep(key, Search("too_often" if isinstance(error, Busy) else "broken"))

    def _keep(self, key: _Key, search: Search) -> None:
        self._ended[key] = search
        if len(self._ended) > BROKEN_MAX:
            del self._ended[next(iter(self._ended))]
