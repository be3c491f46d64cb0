"""How long the certificates of this process are good for: shown all the time, and said in the log before they end.

An expired certificate of the link cuts a ship off from shore, and one of the broker all gateways from each other:
nobody is near to see it, so it is told while there is still time to send another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from steward.errors import CertificateError
from steward.ports import Clock

_LOG = logging.getLogger(__name__)

SOON_DAYS = 21
CRITICAL_DAYS = 3
DAY_S = 86_400
LOOK_EVERY_S = 600.0


class Urgency(StrEnum):
    GOOD = "good"
    SOON = "soon"  # fewer than SOON_DAYS
    CRITICAL = "critical"  # fewer than CRITICAL_DAYS, expired, or not to be read


@dataclass(frozen=True, slots=True)
class CertificateLife:
    """not_after_s and days_left (whole days, negative once it has ended) are None if it cannot be read."""

    name: str  # "http", "link", "ship-link", "broker"
    not_after_s: int | None
    days_left: int | None
    urgency: Urgency


class CertificateWatch:
    """ends: by name, what gives the unix second at which the certificate in use ends, or raises CertificateError.

    `run` belongs to a supervisor. A clock that is not believed makes nothing urgent: the days are by it all the same.
    """

    def __init__(self, clock: Clock, ends: Mapping[str, Callable[[], int]]) -> None:
        self._clock = clock
        self._ends = ends
        self._said: dict[str, tuple[Urgency, int]] = {}  # and the day

    def look(self) -> tuple[CertificateLife, ...]:
        return tuple(self._life(name) for name in self._ends)

    async def run(self) -> None:
        while True:
            self.warn()
            await asyncio.sleep(LOOK_EVERY_S)

    def warn(self) -> None:
        """Say what ends soon, once a day, and again when it becomes more urgent."""
        today = self._clock.now().unix_s // DAY_S
        for life in self.look():
            if life.urgency is Urgency.GOOD:
                self._said.pop(life.name, None)
            elif self._said.get(life.name) != (life.urgency, today):
                self._said[life.name] = life.urgency, today
                level = logging.ERROR if life.urgency is Urgency.CRITICAL else logging.WARNING
                left = "unreadable" if life.days_left is None else life.days_left
                remedy = "steward tls issue --replace"
                _LOG.log(level, "tls.expires certificate=%s days=%s remedy=%s", life.name, left, remedy)

    def _life(self, name: str) -> CertificateLife:
        now = self._clock.now()
        try:
            ends_s = self._ends[name]()
        except CertificateError:
            return CertificateLife(name, None, None, Urgency.CRITICAL)
        days = (ends_s - now.unix_s) // DAY_S
        urgency = Urgency.GOOD
        if now.trusted and days < SOON_DAYS:
            urgency = Urgency.CRITICAL if days < CRITICAL_DAYS else Urgency.SOON
        return CertificateLife(name, ends_s, days, urgency)
