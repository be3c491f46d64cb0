"""Milliseconds since the start, from a counter that wraps."""

import time


class Uptime:
    def __init__(self) -> None:
        self._last = time.ticks_ms()
        self._elapsed_ms = 0

    def now_ms(self) -> int:
        """To be asked at least once in six days, half the counter's round; a band's duties ask each minute."""
        ticks = time.ticks_ms()
        self._elapsed_ms += time.ticks_diff(ticks, self._last)
        self._last = ticks
        return self._elapsed_ms
