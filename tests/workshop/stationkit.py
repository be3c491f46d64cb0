"""A hub of ports that a test holds in hand, and what a station told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from bandtool.bands import Place, Result
from bandtool.station import PortSeen, StationLimits

QUICK = StationLimits(poll_s=0.01, pause_s=0)
_LIMIT_S = 60.0


class Hub:
    """A station.PortLister."""

    def __init__(self) -> None:
        self._there: dict[str, PortSeen] = {}
        self._mark = 0
        self._looks = 0

    def plug(self, *names: str) -> None:
        for name in names:
            self._mark += 1
            self._there[name] = PortSeen(name, self._mark)

    def pull(self, *names: str) -> None:
        for name in names:
            del self._there[name]

    def swap(self, old: str, new: str) -> None:
        """Between two looks."""
        self._mark += 1
        self._there = {name: seen for name, seen in self._there.items() if name != old} | {
            new: PortSeen(new, self._mark)
        }

    def ports(self) -> Sequence[PortSeen]:
        self._looks += 1
        return list(self._there.values())

    async def looked(self) -> None:
        """The station has looked twice: what it saw, it has begun with."""
        until = self._looks + 2
        async with asyncio.timeout(_LIMIT_S):
            while self._looks < until:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


class Seen:
    """A station.Watcher."""

    def __init__(self) -> None:
        self.left: list[Place] = []
        self._ended: dict[int, Place] = {}
        self._moved = asyncio.Event()

    def changed(self, place: Place) -> None:
        if place.result is not Result.RUNNING:
            self._ended[id(place)] = place
        self._moved.set()

    def gone(self, place: Place) -> None:
        self.left.append(place)
        self._moved.set()

    async def ended(self, count: int) -> None:
        """So many, ever."""
        await self.waiting_for(lambda: len(self._ended) >= count)

    async def waiting_for(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(_LIMIT_S):
            while not what():
                self._moved.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self._moved.wait()
                except TimeoutError:
                    continue
