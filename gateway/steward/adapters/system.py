"""The machine's clock, and how far it can be believed; randomness from the operating system."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from steward.ports import ClockReading

# Written before any release: a clock that reads earlier has lost its battery, whatever the store remembers.
BUILD_FLOOR_S = 1_735_689_600  # 2025-01-01T00:00:00Z
BACK_TOLERANCE_S = 120
JUMP_TOLERANCE_S = 300


class ClockState(StrEnum):
    """Why the clock is or is not believed, for the operator's page."""

    OK = "ok"
    BEHIND = "behind"  # earlier than something already recorded, or than the software itself
    JUMPED = "jumped"  # moved against the monotonic clock while we ran


def _boot_seconds() -> float:
    """Seconds since boot, counting sleep where the kernel can: a suspended gateway must not look like a jump."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class SystemClock:
    """Wall time with a verdict. Safe to call from any thread.

    Behind: the wall reads below `floor_s`, or more than 120 s below the latest time known (`high_water_s`, the
    mark kept in the store, raised by every believed reading). It is believed again when it is ahead of that mark, so
    a gateway that booted without a battery recovers by itself when network time arrives.
    Jumped: between two readings the wall moved over 300 s more or less than the monotonic clock. It is believed
    again when the wall is back in line, or when an operator has looked at it and calls `confirm`.
    """

    def __init__(
        self,
        *,
        high_water_s: int = 0,
        floor_s: int = BUILD_FLOOR_S,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = _boot_seconds,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._floor_s = floor_s
        self._mark_s = float(high_water_s)
        self._anchor: tuple[float, float] | None = None  # (wall, monotonic) of the last believed reading
        self._state = ClockState.OK
        self._lock = threading.Lock()

    @property
    def state(self) -> ClockState:
        """The verdict of the latest reading."""
        return self._state

    def now(self) -> ClockReading:
        with self._lock:
            wall, mono = self._wall(), self._monotonic()
            self._state = self._judge(wall, mono)
            if self._state is ClockState.OK:
                self._anchor = (wall, mono)
                self._mark_s = max(self._mark_s, wall)
            return ClockReading(int(wall), self._state is ClockState.OK)

    def monotonic_ms(self) -> float:
        return self._monotonic() * 1000

    def confirm(self) -> ClockReading:
        """An operator says the wall clock is right as it stands. A time below the floor stays unbelieved."""
        with self._lock:
            self._mark_s = self._wall()
            self._anchor = None
            self._state = ClockState.OK
        return self.now()

    def _judge(self, wall: float, mono: float) -> ClockState:
        # Once behind, only reaching the mark itself counts as ahead again: no flicker at the tolerance's edge.
        tolerance_s = 0 if self._state is ClockState.BEHIND else BACK_TOLERANCE_S
        if wall < self._floor_s or wall < self._mark_s - tolerance_s:
            return ClockState.BEHIND
        if self._state is ClockState.BEHIND or self._anchor is None:
            return ClockState.OK
        moved_s = (wall - self._anchor[0]) - (mono - self._anchor[1])
        return ClockState.JUMPED if abs(moved_s) > JUMP_TOLERANCE_S else ClockState.OK


class OsEntropy:
    """Random bytes fit for keys, from the operating system."""

    def token_bytes(self, n: int) -> bytes:
        return secrets.token_bytes(n)
