"""The link while the day goes on: figures for the screen, and an outage on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voyage.client import Gateway, Refused, Unreachable
from voyage.observed import Observed, OutageSeen
from voyage.relay import Relay
from voyage.shore import Shore, sent_events

LOOK_EVERY_S = 0.5
CATCH_UP_LIMIT_S = 120.0
_WAITING = "steward_link_queue_events"


@dataclass(slots=True)
class LinkFigures:
    """ashore: events at shore. waiting: events at the gateway that shore has not acknowledged."""

    ashore: int = 0
    waiting: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    connected: bool = False
    cut: bool = False

    @property
    def per_event(self) -> float:
        return self.up_bytes / self.ashore if self.ashore else 0.0


class LinkWatch:
    """Looks at both ends of the link, from outside."""

    def __init__(self, http: Gateway, shore: Shore, relay: Relay, figures: LinkFigures) -> None:
        self._http = http
        self._shore = shore
        self._relay = relay
        self.figures = figures

    async def look(self) -> LinkFigures:
        metrics, ship = await asyncio.gather(self._http.metrics(), self._shore.ship())
        seen = self.figures
        seen.ashore = sent_events(ship)
        seen.waiting = int(metrics.get(_WAITING, 0))
        seen.connected = bool(metrics.get("steward_link_connected", 0))
        seen.up_bytes, seen.down_bytes, seen.cut = self._relay.up_bytes, self._relay.down_bytes, self._relay.is_cut
        return seen

    async def keep_looking(self) -> None:
        while True:
            with contextlib.suppress(Refused, Unreachable):  # busy, or about to end: whoever watches it tells
                await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def outage(
        self, seconds: float, at: Callable[[], Awaitable[None]], seen: Observed, tell: Callable[[str, str], None]
    ) -> None:
        """Wait for `at`, cut the link for so long, mend it, and wait until shore has everything."""
        await at()
        before, cut_s = (await self.look()).waiting, time.monotonic()
        self._relay.cut()
        passed = self._passed()
        tell(f"link · cut for {seconds:g} s; the ship goes on", "bad")
        most = before
        while (left_s := cut_s + seconds - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, LOOK_EVERY_S))
            most = max(most, (await self.look()).waiting)
        passed, cut_for_s = self._passed() - passed, time.monotonic() - cut_s
        self._relay.mend()
        mended_s = time.monotonic()
        tell(f"link · whole again, {most} events wait", "plain")
        after, caught_up_s = await self._catch_up(mended_s, self.figures.ashore + self.figures.waiting)
        if caught_up_s is not None:
            tell(f"link · caught up after {caught_up_s:.1f} s", "good")
        seen.outage = OutageSeen(seconds, cut_for_s, before, most, after, passed, caught_up_s)

    async def _catch_up(self, since_s: float, events: int) -> tuple[int, float | None]:
        """Until so many events are ashore; (how many are missing, seconds it took). The ship makes more meanwhile."""
        while (passed_s := time.monotonic() - since_s) < CATCH_UP_LIMIT_S:
            if (await self.look()).ashore >= events:
                return 0, passed_s
            await asyncio.sleep(LOOK_EVERY_S)
        return events - self.figures.ashore, None

    def _passed(self) -> int:
        return self._relay.up_bytes + self._relay.down_bytes
