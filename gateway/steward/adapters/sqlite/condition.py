"""Batteries and last taps: ports.condition on the table band_condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.domain.condition import BandCondition
from steward.domain.ids import Uid

_CONDITION = ("uid", "active", "battery_percent", "charging", "last_tap_s")
_OF_CONDITION = tuple(f"c.{name}" for name in _CONDITION)
# Bands in use: issued, or unknown here as at a door's gateway; of a stay that is not over.
_IN_USE = """
FROM band_condition AS c LEFT JOIN band AS b ON b.uid = c.uid LEFT JOIN guest AS g ON g.ref = b.guest
WHERE coalesce(b.state, 'issued') = 'issued' AND coalesce(g.not_after_s >= ?, 1)
"""
PUT_CONDITION = upsert("band_condition", ("uid",), _CONDITION[1:])
CONDITION = select(_CONDITION, "FROM band_condition WHERE uid = ?")
FORGET_CONDITIONS = "DELETE FROM band_condition WHERE last_tap_s < ?"
BATTERY_COUNTS = """
SELECT active, battery_percent, count(*) FROM (
    SELECT b.active, c.battery_percent
    FROM band AS b LEFT JOIN band_condition AS c ON c.uid = b.uid WHERE b.state = 'issued'
    UNION ALL
    SELECT c.active, c.battery_percent
    FROM band_condition AS c LEFT JOIN band AS b ON b.uid = c.uid WHERE b.uid IS NULL
) GROUP BY active, battery_percent
"""
LOW_BATTERIES = select(_OF_CONDITION, f"{_IN_USE} AND c.battery_percent < ? ORDER BY c.battery_percent, c.uid LIMIT ?")
LOW_COUNT = select(("count(*)",), f"{_IN_USE} AND c.battery_percent < ?")
UNSEEN = select(_OF_CONDITION, f"{_IN_USE} AND c.last_tap_s < ? ORDER BY c.last_tap_s, c.uid LIMIT ?")
UNSEEN_COUNT = select(("count(*)",), f"{_IN_USE} AND c.last_tap_s < ?")


class ConditionTx(Statements):
    """Part of SqliteTx."""

    def put_condition(self, condition: BandCondition) -> None:
        told = (condition.active, condition.battery_percent, condition.charging)
        self._change(PUT_CONDITION, (condition.uid, *told, condition.last_tap_s))

    def condition(self, uid: Uid) -> BandCondition | None:
        row = self._one(CONDITION, (uid,))
        return None if row is None else _condition(row)

    def forget_conditions(self, before_s: int) -> None:
        self._change(FORGET_CONDITIONS, (before_s,))

    def battery_counts(self) -> Mapping[tuple[bool, int | None], int]:
        return {(bool(active), percent): count for active, percent, count in self._all(BATTERY_COUNTS)}

    def low_batteries(self, below_percent: int, now_s: int, limit: int) -> Sequence[BandCondition]:
        return [_condition(row) for row in self._all(LOW_BATTERIES, (now_s, below_percent, max(limit, 0)))]

    def low_count(self, below_percent: int, now_s: int) -> int:
        count: int = self._one(LOW_COUNT, (now_s, below_percent))[0]
        return count

    def unseen(self, since_s: int, now_s: int, limit: int) -> Sequence[BandCondition]:
        return [_condition(row) for row in self._all(UNSEEN, (now_s, since_s, max(limit, 0)))]

    def unseen_count(self, since_s: int, now_s: int) -> int:
        count: int = self._one(UNSEEN_COUNT, (now_s, since_s))[0]
        return count


def _condition(row: Sequence[Any]) -> BandCondition:
    uid, active, percent, charging, last_tap_s = row
    return BandCondition(Uid(uid), bool(active), percent, bool(charging), last_tap_s)
