"""Is the gateway well? The store takes a write, its own tasks run, the disk has room, the clock is believed.

A reader that is unplugged is no reason to call the whole gateway ill: readers are shown by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from steward.errors import Busy, StoreUnavailable
from steward.ports import Clock, Store, Tx
from steward.services.supervise import TaskState, TaskStatus

FRESH_MS = 5000  # a write is good for this long, so that asking often does not write often
STORE_WAIT_S = 10.0
_MARK = "health.checked_s"


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the disk and the store say of themselves. All zero if the folder cannot be looked at."""

    disk_free_bytes: int = 0
    disk_total_bytes: int = 0
    database_bytes: int = 0  # with its log
    commits: int = 0  # since the start
    writes: int = 0  # carried out in them
    write_failures: int = 0  # commits that failed


@dataclass(frozen=True, slots=True)
class Versions:
    gateway: str
    python: str
    schema: int
    keys: tuple[int, ...]  # key versions in use, newest first


@dataclass(frozen=True, slots=True)
class Machine:
    """What the gateway knows of what it runs on."""

    versions: Versions
    vitals: Callable[[], Vitals]
    tasks: Callable[[], Mapping[str, TaskStatus]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason why the gateway is not well."""

    where: str  # "store" | "disk" | "clock" | "task <name>"
    code: str


class HealthService:
    """readers: names of tasks that serve readers, which are not judged here."""

    def __init__(
        self, store: Store, clock: Clock, machine: Machine, readers: Collection[str], disk_floor_bytes: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._machine = machine
        self._readers = frozenset(readers)
        self.disk_floor_bytes = disk_floor_bytes
        self._lock = asyncio.Lock()
        self._written: tuple[float, tuple[Trouble, ...]] | None = None

    async def check(self) -> tuple[Trouble, ...]:
        """What is wrong now; empty if nothing is. Callers at the same time share one write."""
        async with self._lock:
            now_ms = self._clock.monotonic_ms()
            if self._written is None or not 0 <= now_ms - self._written[0] < FRESH_MS:
                self._written = (now_ms, await _troubles(self._store.write(self._mark)))
            store = self._written[1] or await _troubles(self._store.read(lambda tx: tx.meta(_MARK)))
        return (*store, *self._check_disk(), *self._check_clock(), *self._check_tasks())

    def _mark(self, tx: Tx) -> None:
        tx.set_meta(_MARK, str(self._clock.now().unix_s))

    def _check_disk(self) -> tuple[Trouble, ...]:
        free = self._machine.vitals().disk_free_bytes
        return (Trouble("disk", "disk_low"),) if free < self.disk_floor_bytes else ()

    def _check_clock(self) -> tuple[Trouble, ...]:
        return () if self._clock.now().trusted else (Trouble("clock", "clock_lost"),)

    def _check_tasks(self) -> tuple[Trouble, ...]:
        return tuple(
            Trouble(f"task {name}", "task_failing")
            for name, status in self._machine.tasks().items()
            if name not in self._readers and status.state is not TaskState.RUNNING
        )


async def _troubles(asked: Awaitable[object]) -> tuple[Trouble, ...]:
    """What the store says to this, if it is nothing good."""
    try:
        async with asyncio.timeout(STORE_WAIT_S):
            await asked
    except (StoreUnavailable, Busy) as error:
        return (Trouble("store", error.code),)
    except TimeoutError:
        return (Trouble("store", "store_slow"),)
    return ()
