"""What the store keeps of the bands' batteries and last taps. It goes with the band, and to nobody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from steward.domain.condition import BandCondition
from steward.domain.ids import Uid


class ConditionTx(Protocol):
    """Part of ports.Tx.

    The store itself drops a band's condition when the band is returned or retired. Frozen bands, and those of stays
    that are over, are in none of the lists.
    """

    def put_condition(self, condition: BandCondition) -> None:
        """Insert or replace by uid."""
        ...

    def condition(self, uid: Uid) -> BandCondition | None: ...
    def forget_conditions(self, before_s: int) -> None:
        """Drop those of bands last tapped before that."""
        ...

    def battery_counts(self) -> Mapping[tuple[bool, int | None], int]:
        """How many bands are issued, or were tapped here, by whether they are active and the battery they told."""
        ...

    def low_batteries(self, below_percent: int, now_s: int, limit: int) -> Sequence[BandCondition]:
        """Lowest first."""
        ...

    def low_count(self, below_percent: int, now_s: int) -> int: ...
    def unseen(self, since_s: int, now_s: int, limit: int) -> Sequence[BandCondition]:
        """Bands that were tapped here, but not at or after `since_s`; the longest away first."""
        ...

    def unseen_count(self, since_s: int, now_s: int) -> int: ...
