"""What the status page shows: counts since the start, and how long the last taps took. No guest or card ids come out.

Everything is bounded: the last `SAMPLES_MAX` taps are kept for percentiles, `RECENT_MAX` for the list, the last tap of
`BANDS_MAX` bands, and an unheard-of code beyond `CODES_MAX` is counted as "other". Used from the event loop only, so
it needs no lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from steward.domain.ids import Uid

SAMPLES_MAX = 4096
RECENT_MAX = 20
CODES_MAX = 64
BANDS_MAX = 20_000
OTHER = "other"

OPENED = "granted"
POSTED = "posted"
HELD = frozenset({"held", "verification_required"})  # a charge that waits for a PIN or a look at the photo
SUCCESSES = frozenset({OPENED, POSTED, "encoded", "crew_login", "announced"}) | HELD  # taps that did what they were for
# Nothing was asked of the card, so nothing was refused either.
NEUTRAL = frozenset({"idle"})
# Upper bounds of the tap times that are counted, in seconds: around a tenth of a second is where a tap feels slow.
LATENCY_BOUNDS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
# How long ago a band was last tapped: names and upper bounds in seconds.
AGES: tuple[tuple[str, int], ...] = (("minutes_5", 300), ("hour", 3600), ("day", 86_400), ("older", 2**62))


@dataclass(frozen=True, slots=True)
class TapRecord:
    """One tap as the tap loop saw it. Milliseconds: talking with the card, deciding, writing it down."""

    at_s: int
    reader: str
    purpose: str  # "door" | "till" | "encoder" | "crew"
    place: str
    code: str
    exchange_ms: float
    compute_ms: float
    commit_ms: float
    apdus: int
    bytes_up: int
    bytes_down: int

    @property
    def total_ms(self) -> float:
        return self.exchange_ms + self.compute_ms + self.commit_ms


class Percentiles(TypedDict):
    p50: float
    p99: float


class FlowApdus(TypedDict):
    count_p50: int
    bytes_p50: int


class RecentTap(TypedDict):
    at_s: int
    reader: str
    place: str
    purpose: str
    code: str
    ms: float


class BoardSnapshot(TypedDict):
    taps: int
    doors_opened: int
    charges_posted: int
    refusals: dict[str, int]
    alerts: dict[str, int]
    tap_ms: Percentiles
    split_ms: dict[str, Percentiles]
    apdus: dict[str, FlowApdus]
    recent: list[RecentTap]


@dataclass(slots=True)
class Histogram:
    """Tap times of one purpose: how many were at most each of LATENCY_BOUNDS_S but above the one before."""

    counts: list[int]  # one more than bounds: those above the last
    sum_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class TapBoard:
    """Counters and a bounded memory of recent taps. A snapshot is computed once a change, however often asked."""

    def __init__(self) -> None:
        self._results: Counter[tuple[str, str]] = Counter()
        self._latency: dict[str, Histogram] = {}
        self._last_taps: dict[Uid, int] = {}  # oldest first
        self._taps = 0
        self._doors_opened = 0
        self._charges_posted = 0
        self._refusals: Counter[str] = Counter()
        self._alerts: Counter[str] = Counter()
        self._samples: deque[TapRecord] = deque(maxlen=SAMPLES_MAX)
        self._version = 0
        self._cached: tuple[int, BoardSnapshot] | None = None

    def record(self, tap: TapRecord) -> None:
        """Count one tap. A charge that is only held counts as posted later, through `charge_posted`."""
        self._version += 1
        self._taps += 1
        self._samples.append(tap)
        self._results[tap.purpose, _result(tap.code)] += 1
        self._latency.setdefault(tap.purpose, Histogram([0] * (len(LATENCY_BOUNDS_S) + 1))).add(tap.total_ms / 1000)
        if tap.code not in SUCCESSES | NEUTRAL:
            _count(self._refusals, tap.code)
        elif tap.code == OPENED and tap.purpose == "door":
            self._doors_opened += 1
        elif tap.code == POSTED:
            self._charges_posted += 1

    def seen(self, uid: Uid, at_s: int) -> None:
        """A band proved itself at a reader."""
        self._last_taps.pop(uid, None)
        self._last_taps[uid] = at_s
        if len(self._last_taps) > BANDS_MAX:
            del self._last_taps[next(iter(self._last_taps))]

    def tap_ages(self, now_s: int) -> dict[str, int]:
        """How many bands were last tapped how long ago, by the names of AGES; since the gateway started."""
        ages = dict.fromkeys((name for name, _ in AGES), 0)
        for at_s in self._last_taps.values():
            ages[next(name for name, bound in AGES if now_s - at_s <= bound)] += 1
        return ages

    def results(self) -> Mapping[tuple[str, str], int]:
        """Taps by purpose and result: done, held, idle or refused."""
        return self._results

    def latency(self) -> Mapping[str, Histogram]:
        """Tap times by purpose."""
        return self._latency

    def alert(self, kind: str) -> None:
        """Count something the staff should look at, such as a forged token or a lost clock."""
        self._version += 1
        _count(self._alerts, kind)

    def charge_posted(self) -> None:
        """Count a held charge that a PIN or a look at the photo has just posted."""
        self._version += 1
        self._charges_posted += 1

    def snapshot(self) -> BoardSnapshot:
        """The figures as plain data. Treat it as read-only: callers share it."""
        if self._cached is None or self._cached[0] != self._version:
            self._cached = (self._version, self._compute())
        return self._cached[1]

    def _compute(self) -> BoardSnapshot:
        taps = tuple(self._samples)
        # Making a band is thirty exchanges, not a tap anyone waits at: it would hide the doors' times.
        timed = [tap for tap in taps if tap.purpose != "encoder"]
        return {
            "taps": self._taps,
            "doors_opened": self._doors_opened,
            "charges_posted": self._charges_posted,
            "refusals": dict(self._refusals.most_common()),
            "alerts": dict(self._alerts.most_common()),
            "tap_ms": _percentiles(tap.total_ms for tap in timed),
            "split_ms": {
                "exchange": _percentiles(tap.exchange_ms for tap in timed),
                "compute": _percentiles(tap.compute_ms for tap in timed),
                "commit": _percentiles(tap.commit_ms for tap in timed),
            },
            "apdus": _flows(taps),
            "recent": [_recent(tap) for tap in reversed(taps[-RECENT_MAX:])],
        }


def _result(code: str) -> str:
    if code in HELD:
        return "held"
    return "done" if code in SUCCESSES else "idle" if code in NEUTRAL else "refused"


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile of an ascending sequence: the least value with `percent` % at or below it.

    0.0 for an empty sequence. Always one of the values, never between two.
    """
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]


def _percentiles(values: Iterable[float]) -> Percentiles:
    ordered = sorted(values)
    return {"p50": round(percentile(ordered, 50), 3), "p99": round(percentile(ordered, 99), 3)}


def _flows(taps: Sequence[TapRecord]) -> dict[str, FlowApdus]:
    """Per purpose, over the taps that ended well: a torn one says nothing about what a flow costs."""
    flows: dict[str, list[TapRecord]] = {}
    for tap in taps:
        if tap.code in SUCCESSES:
            flows.setdefault(tap.purpose, []).append(tap)
    return {
        purpose: {
            "count_p50": int(percentile(sorted(tap.apdus for tap in flow), 50)),
            "bytes_p50": int(percentile(sorted(tap.bytes_up + tap.bytes_down for tap in flow), 50)),
        }
        for purpose, flow in sorted(flows.items())
    }


def _recent(tap: TapRecord) -> RecentTap:
    return {
        "at_s": tap.at_s,
        "reader": tap.reader,
        "place": tap.place,
        "purpose": tap.purpose,
        "code": tap.code,
        "ms": round(tap.total_ms, 1),
    }


def _count(counter: Counter[str], key: str) -> None:
    counter[key if key in counter or len(counter) < CODES_MAX else OTHER] += 1
