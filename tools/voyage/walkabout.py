"""Guests walking about a deck, and how strongly its radios hear their bands: a model with every number written out.

Received power is log-distance path loss with bulkheads, a slow shadow, the wearer's own body, and fast fading:

    rssi = P_1M - 10 N log10(d) - bulkheads - shadow - body - crowd + fading

P_1M   -59 dBm at 1 m, as an Eddystone beacon at 0 dBm is calibrated to (-41 dBm at 0 m less 18)
N      2.2 in a furnished room; 2.0 is free space
wall   9 dB for each bulkhead between zones: light partitions. Steel is 20 and more, so this is the hard case
shadow zero-mean, 4 dB, changes as the wearer moves (half of it is new after 3 m)
body   0 or 12 dB, turns about every 20 s: the arm is on one side of the body, 2.4 GHz does not go through it
crowd  1 dB for each 2 m of path in a crowd of one person a square metre
fading Rayleigh: exponential power, one draw a packet; a packet below the radio's floor of -95 dBm is not heard
lost   a share of packets collides in a crowded air, whoever sends them

Deck: zones in a row, 14 m by 10 m, one radio in the middle of each ceiling. Guests stay 4 to 20 minutes, drift about at
0.3 m/s, then walk to a zone beside theirs at 1.2 m/s.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from steward.domain.smoothing import ZoneFilter

ZONES = ("bow-bar", "pool", "spa", "stern-bar")
WIDTH_M, DEPTH_M, CEILING_M = 14.0, 10.0, 1.5  # above the wrist
P_1M, N, WALL_DB, SHADOW_DB, SHADOW_M = -59.0, 2.2, 9.0, 4.0, 4.3
BODY_DB, TURN_S, FLOOR_DB = 12.0, 20.0, -95.0
DRIFT_M_S, WALK_M_S = 0.3, 1.2
STAY_S = (240, 1200)


@dataclass(frozen=True, slots=True)
class Airtime:
    """bursts: packets at once; every_s: from one to the next. lost: the share that nobody hears. crowded: people."""

    bursts: int = 1
    every_s: float = 1.0
    lost: float = 0.05
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class Packet:
    at_s: float
    true_zone: str
    moving: bool
    heard: tuple[tuple[str, int], ...]  # (zone of the radio, rssi)


@dataclass(slots=True)
class Outcome:
    """Shares of the time after the first half minute. settled: only while the guest stays, 20 s after coming."""

    wrong: float
    unknown: float
    wrong_settled: float
    jumps_per_hour: float  # of what was said, while the guest stayed


class Walker:
    """One guest. Every draw comes from the seed."""

    def __init__(self, seed: int, airtime: Airtime) -> None:
        self._rng = random.Random(seed)
        self._airtime = airtime
        self._at = self._rng.randrange(len(ZONES))
        self.x, self.y = (self._at + 0.5) * WIDTH_M, DEPTH_M / 2
        self._shadow = {zone: self._rng.gauss(0, SHADOW_DB) for zone in ZONES}
        self._facing = {zone: self._rng.random() < 0.5 for zone in ZONES}

    def packets(self, duration_s: float) -> Iterator[Packet]:
        at_s = self._rng.random() * self._airtime.every_s
        until_s, goal = self._stay(at_s)
        while at_s < duration_s:
            moving = self._step(self._airtime.every_s, goal, at_s >= until_s)
            if at_s >= until_s and not moving:
                until_s, goal = self._stay(at_s)
            for n in range(self._airtime.bursts):
                yield Packet(at_s + n * 0.1, self.zone, moving, tuple(self._received()))
            at_s += self._airtime.every_s * self._rng.uniform(0.97, 1.03)

    @property
    def zone(self) -> str:
        return ZONES[min(max(int(self.x // WIDTH_M), 0), len(ZONES) - 1)]

    def _stay(self, at_s: float) -> tuple[float, float]:
        """Until when, and where then: the middle of a zone beside."""
        beside = [n for n in (self._at - 1, self._at + 1) if 0 <= n < len(ZONES)]
        self._at = self._rng.choice(beside)
        return at_s + self._rng.uniform(*STAY_S), (self._at + self._rng.uniform(0.2, 0.8)) * WIDTH_M

    def _step(self, duration_s: float, goal: float, leaving: bool) -> bool:
        """Whether the guest is on the way."""
        far = WALK_M_S * duration_s if leaving else DRIFT_M_S * duration_s
        if leaving and abs(goal - self.x) > far:
            self.x += math.copysign(far, goal - self.x)
        else:
            left = (self.x // WIDTH_M) * WIDTH_M
            self.x = min(max(self.x + self._rng.uniform(-far, far), left + 0.3), left + WIDTH_M - 0.3)
            leaving = False
        self.y = min(max(self.y + self._rng.uniform(-far, far), 0.3), DEPTH_M - 0.3)
        keep = math.exp(-far / SHADOW_M)
        for zone in ZONES:
            fresh = self._rng.gauss(0, SHADOW_DB)
            self._shadow[zone] = keep * self._shadow[zone] + math.sqrt(1 - keep * keep) * fresh
            if self._rng.random() < duration_s / TURN_S:
                self._facing[zone] = self._rng.random() < 0.5
        return leaving

    def _received(self) -> Iterator[tuple[str, int]]:
        if self._rng.random() < self._airtime.lost:
            return
        for n, zone in enumerate(ZONES):
            middle = (n + 0.5) * WIDTH_M
            far = math.dist((self.x, self.y, 0.0), (middle, DEPTH_M / 2, CEILING_M))
            walls = abs(n - ZONES.index(self.zone))
            level = P_1M - 10 * N * math.log10(max(far, 0.5)) - WALL_DB * walls + self._shadow[zone]
            level -= 0.0 if self._facing[zone] else BODY_DB
            level -= far / 2 if self._airtime.crowded else 0.0
            level += 10 * math.log10(max(self._rng.expovariate(1.0), 1e-6))
            if level >= FLOOR_DB:
                yield zone, round(level)


class Strongest:
    """What one would do first: wherever the strongest packet of the last two seconds was heard."""

    def __init__(self) -> None:
        self._heard: list[tuple[float, str, int]] = []

    def hear(self, zone: str, rssi: int, at_s: float) -> None:
        self._heard.append((at_s, zone, rssi))

    def look(self, at_s: float, every_s: float) -> str | None:
        self._heard = [each for each in self._heard if at_s - each[0] <= max(2.0, 2 * every_s)]
        return max(self._heard, key=lambda each: (each[2], each[1]))[1] if self._heard else None


def walk(seed: int, airtime: Airtime, duration_s: float = 7200.0, *, smoothed: bool = True) -> Outcome:
    """One guest for two hours, looked at once a second of air time."""
    zone_filter, strongest = ZoneFilter(), Strongest()
    looks = wrong = unknown = settled = wrong_settled = jumps = 0
    last: str | None = None
    since_s, there = 0.0, ""
    for packet in Walker(seed, airtime).packets(duration_s):
        for zone, rssi in packet.heard:
            zone_filter.hear(zone, zone, rssi, packet.at_s * 1000)
            strongest.hear(zone, rssi, packet.at_s)
        said = zone_filter.look(packet.at_s * 1000) if smoothed else strongest.look(packet.at_s, airtime.every_s)
        if packet.true_zone != there:
            since_s, there = packet.at_s, packet.true_zone
        if packet.at_s < 30:
            continue
        looks += 1
        wrong += said not in (None, packet.true_zone)
        unknown += said is None
        if packet.at_s - since_s >= 20 + 2 * airtime.every_s and not packet.moving:
            settled += 1
            wrong_settled += said not in (None, packet.true_zone)
            jumps += last is not None and said is not None and said != last
        last = said if said is not None else last
    hours = max(settled * airtime.every_s / airtime.bursts / 3600, 1e-9)
    return Outcome(wrong / looks, unknown / looks, wrong_settled / max(settled, 1), jumps / hours)


def average(guests: int, airtime: Airtime, *, smoothed: bool = True) -> Outcome:
    """Over so many guests, each with a seed of their own."""
    found = [walk(seed, airtime, smoothed=smoothed) for seed in range(guests)]
    return Outcome(
        sum(each.wrong for each in found) / guests,
        sum(each.unknown for each in found) / guests,
        sum(each.wrong_settled for each in found) / guests,
        sum(each.jumps_per_hour for each in found) / guests,
    )
