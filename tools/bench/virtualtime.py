"""An event loop whose time is the simulation's: when nothing is ready, the clock moves to the next timer at once.

No real waiting, no sockets of ours, no threads: what services hand to a thread runs on the spot. So a seed replays.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LATEST_S = 30 * 86_400.0  # a run that gets here waits for something that never comes


class Stalled(AssertionError):
    """Nothing is left that could ever happen, or simulated time has run out."""


class _NoWaiting(selectors.BaseSelector):
    """Knows the loop's own wake-up socket, and lets time pass instead of waiting for anything."""

    def __init__(self) -> None:
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self.now_s = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, number, events, data)
        self._keys[number] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stalled("no task can go on and no timer is set")
        self.now_s += max(timeout, 0.0)
        if self.now_s > LATEST_S:
            raise Stalled("simulated time has run out")
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds since the start of the run, by `time()`."""

    def __init__(self) -> None:
        self._virtual = _NoWaiting()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """On this thread, so that the order of things never depends on a thread."""

        async def work() -> T:
            return func(*args)

        return self.create_task(work())


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
