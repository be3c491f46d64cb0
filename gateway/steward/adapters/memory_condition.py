"""Batteries and last taps: ports.condition in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.domain.condition import BandCondition
from steward.domain.guests import Band, BandState, Guest
from steward.domain.ids import GuestRef, Uid

_GONE = (BandState.RETIRED, BandState.RETURNED)


class ConditionState:
    """What this part of the store keeps."""

    def __init__(self) -> None:
        self.conditions: dict[Uid, BandCondition] = {}


class MemoryConditionTx(Tables):
    """Part of MemoryTx."""

    if TYPE_CHECKING:

        def band(self, uid: Uid) -> Band | None: ...
        def guest(self, ref: GuestRef) -> Guest | None: ...
        def all_bands(self) -> Sequence[Band]: ...
        def drop_radio(self, uid: Uid) -> None:
            """Of MemoryPresenceTx."""
            ...

        def forget_radio(self, uid: Uid) -> None: ...
        def drop_band_update(self, uid: Uid) -> None:
            """Of MemoryBandUpdatesTx."""
            ...

    @property
    def _conditions(self) -> dict[Uid, BandCondition]:
        return self._part(ConditionState).conditions

    def put_condition(self, condition: BandCondition) -> None:
        self._put(self._conditions, condition.uid, condition)

    def condition(self, uid: Uid) -> BandCondition | None:
        return self._conditions.get(uid)

    def forget_conditions(self, before_s: int) -> None:
        for uid in [each.uid for each in self._conditions.values() if each.last_tap_s < before_s]:
            self._drop(self._conditions, uid)
            self.forget_radio(uid)

    def battery_counts(self) -> Mapping[tuple[bool, int | None], int]:
        counts: Counter[tuple[bool, int | None]] = Counter()
        for band in self.all_bands():
            if band.state is BandState.ISSUED:
                told = self._conditions.get(band.uid)
                counts[band.active, told.battery_percent if told else None] += 1
        for told in self._conditions.values():
            if self.band(told.uid) is None:
                counts[told.active, told.battery_percent] += 1
        return counts

    def low_batteries(self, below_percent: int, now_s: int, limit: int) -> Sequence[BandCondition]:
        told = [(each.battery_percent, each.uid, each) for each in self._in_use(now_s)]
        low = [(percent, uid, each) for percent, uid, each in told if percent is not None and percent < below_percent]
        return [each for _, _, each in sorted(low)][: max(limit, 0)]

    def low_count(self, below_percent: int, now_s: int) -> int:
        return len(self.low_batteries(below_percent, now_s, len(self._conditions)))

    def unseen(self, since_s: int, now_s: int, limit: int) -> Sequence[BandCondition]:
        away = [each for each in self._in_use(now_s) if each.last_tap_s < since_s]
        return sorted(away, key=lambda each: (each.last_tap_s, each.uid))[: max(limit, 0)]

    def unseen_count(self, since_s: int, now_s: int) -> int:
        return sum(each.last_tap_s < since_s for each in self._in_use(now_s))

    def _in_use(self, now_s: int) -> list[BandCondition]:
        """Of bands that are issued, or unknown here; of stays that are not over."""
        found = []
        for each in self._conditions.values():
            band = self.band(each.uid)
            guest = None if band is None else self.guest(band.guest)
            over = guest is not None and guest.not_after_s < now_s
            if (band is None or band.state is BandState.ISSUED) and not over:
                found.append(each)
        return found

    def _band_changed(self, band: Band) -> None:
        """Of MemoryTx: a band was put."""
        if band.state in _GONE:
            self._drop(self._conditions, band.uid)
            self.drop_radio(band.uid)
            self.drop_band_update(band.uid)
