"""Whose turn it is: safety at once, the others in proportion to their weights, nobody never."""

from __future__ import annotations

from collections.abc import Collection

from steward.domain.topics import IDENTITY, INSIGHT, MONEY, SAFETY, TELEMETRY

WEIGHTS = {MONEY: 8, IDENTITY: 4, INSIGHT: 2, TELEMETRY: 1}
SAFETY_RUN_MAX = 8  # batches of safety in a row, while others wait


class Turns:
    """Start-time fair queueing by bytes. Safety goes first, but for one batch of the others in every nine."""

    def __init__(self) -> None:
        self._sent = dict.fromkeys(WEIGHTS, 0.0)  # bytes over weight
        self._clock = 0.0
        self._safety_run = 0

    def choose(self, waiting: Collection[int]) -> int | None:
        """One of the classes that have something to send."""
        others = [cls for cls in WEIGHTS if cls in waiting]
        if SAFETY in waiting and (not others or self._safety_run < SAFETY_RUN_MAX):
            return SAFETY
        return min(others, key=self._start, default=None)  # of equals, the first of WEIGHTS

    def used(self, cls: int, size: int) -> None:
        """A batch of `size` bytes of this class has left."""
        if cls == SAFETY:
            self._safety_run += 1
            return
        self._safety_run = 0
        self._clock = self._start(cls)
        self._sent[cls] = self._clock + size / WEIGHTS[cls]

    def _start(self, cls: int) -> float:
        """Who had nothing to send meanwhile has saved nothing up."""
        return max(self._sent[cls], self._clock)
