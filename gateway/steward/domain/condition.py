"""What a band last told of itself, and when it was last held to a reader here. Never leaves the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from steward.domain.ids import Uid

REFRESH_S = 15 * 60  # the time of a tap is kept this exactly: a write less for most taps
KEPT_S = 30 * 86_400  # a band not seen for so long is forgotten
LOW_PERCENT = 20  # below: charge it before it is a dead key
UNSEEN_S = 48 * 3600
# Of an active band that told one: the lowest percent of each.
BATTERY_BOUNDS = MappingProxyType({"under_20": 0, "20_39": LOW_PERCENT, "40_59": 40, "60_79": 60, "80_100": 80})
UNKNOWN, PASSIVE = "unknown", "passive"
BATTERIES = (*BATTERY_BOUNDS, UNKNOWN, PASSIVE)


@dataclass(frozen=True, slots=True)
class BandCondition:
    """battery_percent: None if it told none, as a passive band never does. active: as its token says."""

    uid: Uid
    active: bool
    battery_percent: int | None
    charging: bool
    last_tap_s: int


def worth_writing(known: BandCondition | None, told: BandCondition) -> bool:
    """Whether a tap says more than is known: another battery, or a time far enough from the one kept."""
    if known is None or abs(told.last_tap_s - known.last_tap_s) >= REFRESH_S:
        return True
    return (told.active, told.battery_percent, told.charging) != (known.active, known.battery_percent, known.charging)


def battery_name(active: bool, battery_percent: int | None) -> str:
    """Which of BATTERIES a band counts as."""
    if not active:
        return PASSIVE
    if battery_percent is None:
        return UNKNOWN
    return max(BATTERY_BOUNDS, key=lambda name: (BATTERY_BOUNDS[name] <= battery_percent, BATTERY_BOUNDS[name]))
