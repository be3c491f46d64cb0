"""Bytes a class may send in a day of the ship. Safety and money are counted and never held.

A quarter of the day's budget may go at once, the rest as the day goes on: one bad hour does not silence the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steward.domain.topics import CLASSES, MONEY, SAFETY

DAY_S = 86_400
NEVER_HELD = (SAFETY, MONEY)
AT_ONCE = 0.25


@dataclass(frozen=True, slots=True)
class ShipTime:
    """The ship's day, counted from 1970, and how many seconds of it are over."""

    day: int
    second: int


def ship_time(unix_s: int, utc_offset_s: int) -> ShipTime:
    return ShipTime(*divmod(unix_s + utc_offset_s, DAY_S))


class Budget:
    """limits: bytes a day by class; a class that is not in it is not limited."""

    def __init__(self, limits: Mapping[int, int]) -> None:
        self._limits = {cls: limit for cls, limit in limits.items() if cls not in NEVER_HELD}
        self._day: int | None = None
        self._spent: dict[int, int] = {}
        self._unsaved: dict[int, int] = {}

    @property
    def day(self) -> int | None:
        """The day being counted; None before `begin`."""
        return self._day

    def begin(self, day: int, spent: Mapping[int, int]) -> None:
        """Count on from what is known of this day. Take `unsaved` first: what was not saved is forgotten."""
        self._day = day
        self._spent = dict(spent)
        self._unsaved = {}

    def spend(self, cls: int, size: int) -> None:
        self._spent[cls] = self._spent.get(cls, 0) + size
        self._unsaved[cls] = self._unsaved.get(cls, 0) + size

    def spent(self) -> dict[int, int]:
        """Today's bytes by class, every class named."""
        return {cls: self._spent.get(cls, 0) for cls in CLASSES}

    def allowed(self, at: ShipTime) -> frozenset[int]:
        """The classes that may send now."""
        return frozenset(cls for cls in CLASSES if cls not in self._limits or self._left(cls, at) > 0)

    def held(self, at: ShipTime, waiting: Iterable[int]) -> frozenset[int]:
        """Those of the waiting classes that the budget holds."""
        return frozenset(waiting) - self.allowed(at)

    def unsaved(self) -> dict[int, int]:
        """What was spent since the last call, to be added to what is kept."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved

    def _left(self, cls: int, at: ShipTime) -> float:
        released = min(AT_ONCE + at.second / DAY_S, 1.0)
        return self._limits[cls] * released - self._spent.get(cls, 0)
