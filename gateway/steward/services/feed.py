"""Guests' taps as they happen, outlet by outlet, to whoever is looking at that outlet's handheld.

Nothing of the guest goes through here but the reference; showing the guest is a look-up of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from steward.domain.ids import GuestRef, OutletId
from steward.errors import Busy

SUBSCRIBERS_MAX = 256
WAITING_MAX = 8  # announcements kept for a slow subscriber; the oldest go first
RECENT_MAX = 32  # kept for each outlet, to tell a guest who is here from one who was looked for
RECENT_S = 300


@dataclass(frozen=True, slots=True)
class Announcement:
    """A guest's band was read at this reader."""

    ref: GuestRef
    at_s: int
    reader: str


class Subscription:
    """An endless async iterator of announcements. Close it, or use it as a context manager."""

    def __init__(self, feed: TapFeed, outlet: OutletId) -> None:
        self._feed = feed
        self._outlet = outlet
        self._waiting: deque[Announcement] = deque(maxlen=WAITING_MAX)
        self._bell = asyncio.Event()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Announcement:
        while not self._waiting:
            self._bell.clear()
            await self._bell.wait()
        return self._waiting.popleft()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._feed.leave(self._outlet, self)

    def hear(self, announcement: Announcement) -> None:
        self._waiting.append(announcement)
        self._bell.set()


class TapFeed:
    """Publishes on the event loop's thread; a subscriber that does not listen costs nobody anything."""

    def __init__(self) -> None:
        self._subscribers: dict[OutletId, list[Subscription]] = {}
        self._recent: dict[OutletId, deque[Announcement]] = {}

    @property
    def subscriber_count(self) -> int:
        return sum(len(listening) for listening in self._subscribers.values())

    def publish(self, outlet: OutletId, announcement: Announcement) -> None:
        self._recent.setdefault(outlet, deque(maxlen=RECENT_MAX)).append(announcement)
        for subscription in self._subscribers.get(outlet, ()):
            subscription.hear(announcement)

    def subscribe(self, outlet: OutletId) -> Subscription:
        """Hears what is published from now on. Raises Busy if too many listen already."""
        if self.subscriber_count >= SUBSCRIBERS_MAX:
            raise Busy(f"{SUBSCRIBERS_MAX} handhelds listen already: close one")
        subscription = Subscription(self, outlet)
        self._subscribers.setdefault(outlet, []).append(subscription)
        return subscription

    def leave(self, outlet: OutletId, subscription: Subscription) -> None:
        """Hear nothing more. Idempotent."""
        listening = [other for other in self._subscribers.get(outlet, ()) if other is not subscription]
        if listening:
            self._subscribers[outlet] = listening
        else:
            self._subscribers.pop(outlet, None)

    def recent(self, outlet: OutletId) -> Sequence[Announcement]:
        """The last announcements of an outlet, oldest first: for a handheld that was cut off for a moment."""
        return tuple(self._recent.get(outlet, ()))

    def is_here(self, outlet: OutletId, ref: GuestRef, now_s: int) -> bool:
        """Whether this guest tapped at this outlet just now."""
        recent = self._recent.get(outlet, ())
        return any(heard.ref == ref and now_s - heard.at_s <= RECENT_S for heard in recent)
