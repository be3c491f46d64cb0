"""Long polls: a caller may wait for news, but only so many at once, and none longer than it stays connected."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from starlette.requests import Request

from steward.web.errors import Problem

T = TypeVar("T")

WAIT_MAX_S = 30.0
WAITERS_MAX = 64
WAITERS_EACH_MAX = 8


class LongPolls:
    """Places to wait: WAITERS_MAX in all, WAITERS_EACH_MAX for one token. closing: set when the gateway stops."""

    def __init__(self, closing: asyncio.Event) -> None:
        self._closing = closing
        self._waiting: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self._waiting.total()

    async def run(self, request: Request, who: str, wait: Callable[[], Awaitable[T]]) -> T | None:
        """What `wait` returns; None if the caller hung up or the gateway stops first, which ends the wait.

        Raises Problem 429 if too many wait already, and whatever `wait` raises.
        """
        with self._place(who):
            work = asyncio.ensure_future(wait())
            ends: list[asyncio.Future[Any]] = [
                asyncio.ensure_future(_gone(request)),
                asyncio.ensure_future(self._closing.wait()),
            ]
            try:
                await asyncio.wait([work, *ends], return_when=asyncio.FIRST_COMPLETED)
                return work.result() if work.done() else None
            finally:
                for future in (work, *ends):
                    future.cancel()
                await asyncio.gather(work, *ends, return_exceptions=True)

    @contextlib.contextmanager
    def _place(self, who: str) -> Iterator[None]:
        if self.count >= WAITERS_MAX or self._waiting[who] >= WAITERS_EACH_MAX:
            raise Problem(
                429,
                "too_many_waits",
                f"{WAITERS_EACH_MAX} requests of one token may wait at once, {WAITERS_MAX} in all: ask without wait_s",
                headers={"Retry-After": "1"},
            )
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]


async def _gone(request: Request) -> None:
    """Return when the caller has hung up. The request's body has been read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
