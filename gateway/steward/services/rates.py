"""How often somebody may do something: a burst, then so many a second. Bounded, in memory."""

from __future__ import annotations

from steward.ports import Clock


class Rate:
    """burst: at once. per_s: how fast that comes back. kept: of so many callers, then the oldest is forgotten."""

    def __init__(self, clock: Clock, burst: int, per_s: float, kept: int = 4096) -> None:
        self._clock = clock
        self._burst = float(burst)
        self._per_s = per_s
        self._kept = kept
        self._left: dict[str, tuple[float, float]] = {}  # what a caller may still do, and as of when; oldest first

    def take(self, who: str) -> bool:
        """Count one. False: too often."""
        left = self._now(who)
        self._left.pop(who, None)
        self._left[who] = (left - 1 if left >= 1 else left, self._clock.monotonic_ms())
        if len(self._left) > self._kept:
            del self._left[next(iter(self._left))]
        return left >= 1

    def _now(self, who: str) -> float:
        left, as_of_ms = self._left.get(who, (self._burst, 0.0))
        return min(self._burst, left + (self._clock.monotonic_ms() - as_of_ms) / 1000 * self._per_s)
