"""How long to wait for an answer, and how much may be on the way: from measured round trips and delivery."""

from __future__ import annotations

from dataclasses import dataclass

RTO_FIRST_MS = 10_000.0
RTO_MIN_MS = 3_000.0  # a broker's cluster may stall for seconds without losing anything
RTO_MAX_MS = 60_000.0
RATE_KEPT = 0.95  # of the best delivery rate, at each slower sample
WINDOW_GAIN = 2.0  # times what the path holds: keeps it full while answers travel


@dataclass(frozen=True, slots=True)
class Departure:
    """What pacing knew when a message left."""

    at_ms: float
    delivered: int


class Pacing:
    """Times in ms of a monotonic clock, sizes in bytes."""

    def __init__(self, window_min: int, window_max: int) -> None:
        self._window_min = window_min
        self._window_max = window_max
        self._srtt_ms: float | None = None
        self._var_ms = 0.0
        self._min_rtt_ms = 0.0
        self._rate = 0.0  # bytes a millisecond
        self._delivered = 0

    @property
    def rtt_ms(self) -> float | None:
        """Smoothed; None before the first answer."""
        return self._srtt_ms

    @property
    def rto_ms(self) -> float:
        if self._srtt_ms is None:
            return RTO_FIRST_MS
        return min(max(self._srtt_ms + 4 * self._var_ms, RTO_MIN_MS), RTO_MAX_MS)

    @property
    def window(self) -> int:
        """Bytes that may be on the way."""
        return int(min(max(WINDOW_GAIN * self._rate * self._min_rtt_ms, self._window_min), self._window_max))

    def depart(self, now_ms: float) -> Departure:
        return Departure(now_ms, self._delivered)

    def delivered(self, size: int) -> None:
        """The peer has these bytes."""
        self._delivered += size

    def answered(self, left: Departure, now_ms: float) -> None:
        """An answer to what left then; tell `delivered` first."""
        rtt_ms = max(now_ms - left.at_ms, 0.1)
        if self._srtt_ms is None:
            self._srtt_ms, self._var_ms, self._min_rtt_ms = rtt_ms, rtt_ms / 2, rtt_ms
        else:
            self._var_ms = 0.75 * self._var_ms + 0.25 * abs(self._srtt_ms - rtt_ms)
            self._srtt_ms = 0.875 * self._srtt_ms + 0.125 * rtt_ms
            self._min_rtt_ms = min(self._min_rtt_ms, rtt_ms)
        rate = (self._delivered - left.delivered) / rtt_ms
        self._rate = rate if rate >= self._rate else max(rate, self._rate * RATE_KEPT)

    def forget_path(self) -> None:
        """A new connection may go another way: the next answer measures it afresh."""
        self._srtt_ms = None
        self._rate = 0.0
