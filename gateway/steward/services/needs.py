"""How often a till gateway may be granted at once what it says that a charge needs, beyond its fair part.

An honest one asks no oftener than guests stand at its tills. Who holds a stolen one's key could otherwise reserve all
that every guest has left in a minute. In memory: a restart of the authority gives each gateway a new start.
"""

from __future__ import annotations

from collections.abc import Mapping

from steward.domain.allowance import Report
from steward.domain.ids import GuestRef
from steward.ports import Clock

BURST, PER_TILL_S = 60, 0.5
KEPT_MAX = 1024


class Needs:
    """tills: of each gateway, how many it has."""

    def __init__(self, clock: Clock, tills: Mapping[str, int]) -> None:
        self._clock = clock
        self._per_ms = {name: count * PER_TILL_S / 1000 for name, count in tills.items()}
        self._left: dict[str, tuple[float, float]] = {}  # by gateway: how many more, and as of when
        self._counted: dict[tuple[str, GuestRef], int] = {}  # the newest question of each, which is asked repeatedly

    def may(self, gateway: str, report: Report) -> bool:
        """Whether this report's want may be met as a need. One that is wanted in good time always may be told."""
        key, now_ms = (gateway, report.ref), self._clock.monotonic_ms()
        if not report.number or self._counted.get(key) == report.number:
            return True
        left, since_ms = self._left.get(gateway, (float(BURST), now_ms))
        left = min(BURST, left + (now_ms - since_ms) * self._per_ms.get(gateway, 0.0))
        self._left[gateway] = (left - 1 if left >= 1 else left, now_ms)
        if left < 1:
            return False
        if len(self._counted) >= KEPT_MAX:
            del self._counted[next(iter(self._counted))]
        self._counted[key] = report.number
        return True
