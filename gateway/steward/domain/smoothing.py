"""From signal strengths to the one zone a band is in, without jumping rooms. Pure, deterministic.

A body in between costs 10 to 20 dB, so single packets say little. Per zone the levels of its scanners are smoothed;
the band moves to another zone only when that is clearly stronger, for a while. When nothing is strong enough, or
nothing was heard for a while, the answer is None: not known is better than wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

RSSI_MIN, RSSI_MAX = -127, 20


@dataclass(frozen=True, slots=True)
class Smoothing:
    """tau_ms: time constant of the mean. margin_db, dwell_ms: how much stronger, for how long, another zone must be."""

    tau_ms: float = 10_000.0
    margin_db: float = 5.0
    dwell_ms: float = 6_000.0
    floor_db: float = -92.0  # below, a zone is not heard: it may be behind a bulkhead
    silent_ms: float = 45_000.0  # a scanner that has not heard the band for so long says nothing
    fresh_ms: float = 12_000.0  # a level this old is as good as new; then it fades
    fade_db_s: float = 2.0
    packets_min: int = 3  # fewer are an echo from somewhere


DEFAULT = Smoothing()
_ALPHA_MIN = 0.05  # however short after the last packet, each counts a little


@dataclass(slots=True)
class _Level:
    db: float
    at_ms: float
    packets: int = 1


class ZoneFilter:
    """One band. Times never go backwards: what comes late counts as now."""

    __slots__ = ("_challenger", "_levels", "_since_ms", "_smoothing", "_zones", "at_ms", "zone")

    def __init__(self, smoothing: Smoothing = DEFAULT) -> None:
        self._smoothing = smoothing
        self._levels: dict[str, _Level] = {}  # by scanner
        self._zones: dict[str, str] = {}
        self._challenger: str | None = None
        self._since_ms = 0.0
        self.zone: str | None = None
        self.at_ms = 0.0

    def hear(self, scanner: str, zone: str, rssi: int, at_ms: float) -> str | None:
        """One packet; the zone after it."""
        self.at_ms = max(self.at_ms, at_ms)
        db = float(min(max(rssi, RSSI_MIN), RSSI_MAX))
        known = self._levels.get(scanner)
        if known is None or self.at_ms - known.at_ms > self._smoothing.silent_ms:
            self._levels[scanner] = _Level(db, self.at_ms)
        else:
            passed = self.at_ms - known.at_ms
            alpha = max(passed / (passed + self._smoothing.tau_ms), _ALPHA_MIN)
            known.db += alpha * (db - known.db)
            known.at_ms = self.at_ms
            known.packets += 1
        self._zones[scanner] = zone
        return self._decide()

    def look(self, at_ms: float) -> str | None:
        """The zone as of now, with nothing new heard."""
        self.at_ms = max(self.at_ms, at_ms)
        return self._decide()

    def _decide(self) -> str | None:
        heard = self._by_zone()
        best = max(heard, key=lambda zone: (heard[zone], zone), default=None)
        if self.zone not in heard:
            self.zone = None
        if best is None or best == self.zone:
            self._challenger = None
            return self.zone
        if self.zone is not None and heard[best] < heard[self.zone] + self._smoothing.margin_db:
            self._challenger = None
            return self.zone
        if self._challenger != best:
            self._challenger, self._since_ms = best, self.at_ms
        if self.at_ms - self._since_ms >= self._smoothing.dwell_ms:
            self.zone, self._challenger = best, None
        return self.zone

    def _by_zone(self) -> dict[str, float]:
        """The strongest scanner of each zone, if it is heard now."""
        gone = [name for name, level in self._levels.items() if self.at_ms - level.at_ms > self._smoothing.silent_ms]
        for name in gone:
            del self._levels[name], self._zones[name]
        zones: dict[str, float] = {}
        for name, level in self._levels.items():
            db = (
                level.db
                - max(self.at_ms - level.at_ms - self._smoothing.fresh_ms, 0.0) / 1000 * self._smoothing.fade_db_s
            )
            if db >= self._smoothing.floor_db and level.packets >= self._smoothing.packets_min:
                zone = self._zones[name]
                zones[zone] = max(db, zones.get(zone, db))
        return zones
