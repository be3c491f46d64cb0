"""Keeps long-running tasks alive: one that fails is started again after a pause that doubles, up to a cap.

The only place with a broad `except`: one bad card or a pulled reader must not end the other doors. What failed
is named by class and source line, not by its message, so nothing a peer sent can reach the log from here.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from steward.errors import Busy, StewardError, StoreUnavailable

_LOG = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
PAUSE_MAX_S = 30.0
HEALTHY_AFTER_S = 60.0
TASKS_MAX = 256


class TaskState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"  # failed, and waits before the next attempt
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between attempts. A task that ran for `healthy_after_s` starts from `first_s` again."""

    first_s: float = FIRST_PAUSE_S
    max_s: float = PAUSE_MAX_S
    healthy_after_s: float = HEALTHY_AFTER_S

    def pause_s(self, failures: int) -> float:
        """The pause after the `failures`-th failure in a row, counted from 1."""
        return float(min(self.first_s * 2 ** min(failures - 1, 32), self.max_s))


@dataclass(slots=True)
class TaskStatus:
    """How a supervised task is doing. `error` names the last failure: a stable code, or a class name."""

    state: TaskState = TaskState.RUNNING
    failures: int = 0
    restarts: int = 0
    error: str = ""


class Supervisor:
    """Starts tasks, restarts those that fail, and stops all of them within a bounded time.

    now_s: a monotonic clock in seconds. sleep: as asyncio.sleep; replaced in tests.
    """

    def __init__(
        self,
        now_s: Callable[[], float],
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now_s = now_s
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._status: dict[str, TaskStatus] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run()` for ever under `name`. A `run` that returns is finished and not started again."""
        if name in self._tasks or len(self._tasks) >= TASKS_MAX:
            raise ValueError(f"task {name} runs already, or more than {TASKS_MAX} tasks")
        self._status[name] = TaskStatus()
        self._tasks[name] = asyncio.create_task(self._keep_alive(name, run), name=name)

    def status(self, name: str) -> TaskStatus | None:
        return self._status.get(name)

    def statuses(self) -> Mapping[str, TaskStatus]:
        """Every task by name."""
        return self._status

    async def stop(self, grace_s: float) -> list[str]:
        """Cancel every task and wait up to `grace_s` for them to end; returns the names that did not.

        A task that must finish something first (a tap in flight) catches the cancellation and ends by itself.
        """
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=grace_s)
        late = [name for name, task in self._tasks.items() if not task.done()]
        for name in late:
            _LOG.warning("task.late name=%s grace_s=%s", name, grace_s)
        return late

    async def _keep_alive(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        status = self._status[name]
        try:
            while not await self._attempt(name, run, status):
                pause_s = self._backoff.pause_s(status.failures)
                _LOG.warning(
                    "task.failed name=%s error=%s failures=%d retry_in_s=%s",
                    name,
                    status.error,
                    status.failures,
                    pause_s,
                )
                status.state = TaskState.PAUSED
                await self._sleep(pause_s)
                status.restarts += 1
        finally:
            status.state = TaskState.STOPPED

    async def _attempt(self, name: str, run: Callable[[], Awaitable[None]], status: TaskStatus) -> bool:
        """Run once. True if it ended by itself, False if it failed."""
        started_s = self._now_s()
        status.state = TaskState.RUNNING
        try:
            await run()
        except Exception as error:  # noqa: BLE001 see the module's first lines
            if self._now_s() - started_s >= self._backoff.healthy_after_s:
                status.failures = 0
            status.failures += 1
            status.error = describe(error)
            return False
        _LOG.info("task.finished name=%s", name)
        return True


async def look_again(look: Callable[[], Awaitable[object]], every_s: float) -> None:
    """For ever. A store that is not to be had now is told in the log, and the next look comes no later for it."""
    while True:
        try:
            await look()
        except (StoreUnavailable, Busy) as error:
            _LOG.error("store.unavailable detail=%s", error)
        await asyncio.sleep(every_s)


def describe(error: BaseException) -> str:
    """Our own errors by their stable code; anything else by class and the line that raised it."""
    if isinstance(error, StewardError):
        return error.code
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    where = f"@{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
