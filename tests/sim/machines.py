"""What stands for one machine's hardware: its clock, its randomness, its disk; all faulty on request, all seeded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from steward.adapters.memory import MemoryStore
from steward.adapters.system import SystemClock
from steward.errors import StoreUnavailable
from steward.ports import Entropy, Tx

T = TypeVar("T")

START_S = 1_800_000_000  # the unix second at which every run begins


class SeededEntropy:
    """Random bytes that come again with the seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def token_bytes(self, n: int) -> bytes:
        return self._rng.randbytes(n)


class Wall:
    """A machine's wall clock: simulated time with an offset that faults move."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def read(self) -> float:
        return START_S + asyncio.get_running_loop().time() + self.offset_s


def clock_of(wall: Wall, high_water_s: int = 0) -> SystemClock:
    """The gateway's real clock over this wall."""
    return SystemClock(
        high_water_s=high_water_s, wall=wall.read, monotonic=lambda: asyncio.get_running_loop().time() + 1000.0
    )


class Disk:
    """A store's medium. What was acknowledged survives a power cut; what was only accepted may or may not.

    `open` after a cut gives a new store over what is there. While `full`, writes are refused and nothing is kept.
    """

    def __init__(self, rng: random.Random, entropy: Entropy) -> None:
        """entropy: for salts and keys. Salts travel, and how long a message takes is a matter of its bytes."""
        self._rng = rng
        self._store = MemoryStore(entropy=entropy)
        self._live: SimStore | None = None
        self.full = False

    def open(self) -> SimStore:
        assert self._live is None, "one process at a time"
        self._live = SimStore(self._store, self, self._rng)
        return self._live

    def cut(self) -> None:
        """The machine loses power: its process can neither read nor write any more."""
        if self._live is not None:
            self._live.dead = True
            self._live = None

    def look(self, work: Callable[[Tx], T]) -> T:
        """What is on the medium, whoever is running: for checkers, no simulated time passes."""
        return self._store.look(work)


class SimStore:
    """ports.Store over a Disk: each write takes a few milliseconds, and a cut can come before or after it is kept."""

    def __init__(self, store: MemoryStore, disk: Disk, rng: random.Random) -> None:
        self._store = store
        self._disk = disk
        self._rng = rng
        self.dead = False

    async def write(self, work: Callable[[Tx], T]) -> T:
        self._check()
        await asyncio.sleep(self._rng.uniform(0.0002, 0.003))  # waiting for its group
        self._check()
        if self._disk.full:
            raise StoreUnavailable("the disk is full")
        result = await self._store.write(work)
        await asyncio.sleep(self._rng.uniform(0.0002, 0.004))  # the way of the answer
        self._check()
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        self._check()
        await asyncio.sleep(0)
        self._check()
        return await self._store.read(work)

    async def close(self) -> None:
        self._disk.cut()

    def _check(self) -> None:
        if self.dead:
            raise StoreUnavailable("this machine has no power")
