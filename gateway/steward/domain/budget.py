"""Bytes of a class in a day of the ship, both ways at the socket. Safety and money are counted and never held.

A quarter of the day's budget may go at once, the rest as the day goes on: one bad hour does not silence the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steward.domain.tally import LINK, SPENDERS
from steward.domain.topics import CLASS_WORDS, CLASSES, MONEY, SAFETY

DAY_S = 86_400
NEVER_HELD = (SAFETY, MONEY)
AT_ONCE = 0.25
SPENDER_WORDS = {**CLASS_WORDS, LINK: "link"}


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
        self._spent = dict.fromkeys(SPENDERS, 0)
        self._unsaved: dict[int, int] = {}

    @property
    def day(self) -> int | None:
        """The day being counted; None before `begin`."""
        return self._day

    def begin(self, day: int, spent: Mapping[int, int]) -> None:
        """Count on from what is kept of this day. Save `unsaved` first: what was not saved counts as this day's."""
        self._day = day
        self._spent = {cls: spent.get(cls, 0) + self._unsaved.get(cls, 0) for cls in SPENDERS}

    def spend(self, shares: Mapping[int, int]) -> None:
        """Bytes by class, and of LINK."""
        for cls, size in shares.items():
            self._spent[cls] += size
            self._unsaved[cls] = self._unsaved.get(cls, 0) + size

    def spent(self) -> dict[int, int]:
        """Today's bytes by class, every class and LINK named."""
        return dict(self._spent)

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

    def not_saved(self, day: int | None, unsaved: Mapping[int, int]) -> None:
        """They could not be kept after all: to be given out again, if it is still that day."""
        if day == self._day:
            for cls, size in unsaved.items():
                self._unsaved[cls] = self._unsaved.get(cls, 0) + size

    def _left(self, cls: int, at: ShipTime) -> float:
        released = min(AT_ONCE + at.second / DAY_S, 1.0)
        return self._limits[cls] * released - self._spent[cls]
