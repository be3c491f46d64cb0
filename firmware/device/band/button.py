"""The one button. Short: how full the battery is. Held for three seconds and let go: quiet mode, on or off.

A press counts when it is let go, so that a button that sticks never does anything: it is told once and passed over
until it has been free for a second.
"""

from bandwire import faults

from . import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board

SETTLE_MS = 30  # contacts bounce for less
LONG_MS = 3_000
STUCK_MS = 20_000
_FREE_MS = 1_000
_WATCH_MS = 20  # while something is pressed


class Button:
    """run() is a duty. pressed(long): what else a press is for; for a long one whether the radio is on now."""

    def __init__(self, board: "Board", shows: signals.Signals, note: "Callable[[int, int], None]") -> None:
        self._board = board
        self._shows = shows
        self._note = note
        self.pressed: Callable[[bool], bool] | None = None
        self._down = self._long_told = self._stuck = False
        self._since_ms = -SETTLE_MS  # of the last change that counted
        self._free_since_ms = 0

    def run(self) -> int:
        down = self._board.button_pressed()
        now_ms = self._board.now_ms()
        if self._stuck:
            return self._wait_until_free(down, now_ms)
        if down != self._down:
            if now_ms - self._since_ms < SETTLE_MS:
                return SETTLE_MS  # bouncing: looked at again once it has settled
            held_ms = now_ms - self._since_ms
            self._down, self._since_ms = down, now_ms
            if not down:
                self._let_go(held_ms)
        elif down:
            self._hold(now_ms - self._since_ms)
        return _WATCH_MS if self._down else self._board.button_poll_ms

    def _let_go(self, held_ms: int) -> None:
        self._long_told = False
        if held_ms >= LONG_MS:
            if self.pressed is None:
                self._shows.play(signals.REFUSED)
            else:
                self._shows.play(signals.RADIO_ON if self.pressed(True) else signals.RADIO_OFF)
        elif self.pressed is None or not self.pressed(False):
            self._shows.play(signals.level(self._board.battery_percent()))

    def _hold(self, held_ms: int) -> None:
        if held_ms >= STUCK_MS:
            self._stuck = True
            self._down = self._long_told = False
            self._free_since_ms = -1
            self._note(faults.BUTTON_STUCK, 0)
        elif held_ms >= LONG_MS and not self._long_told:
            self._long_told = True
            self._shows.play(signals.LET_GO)

    def _wait_until_free(self, down: bool, now_ms: int) -> int:
        if down:
            self._free_since_ms = -1
        elif self._free_since_ms < 0:
            self._free_since_ms = now_ms
        elif now_ms - self._free_since_ms >= _FREE_MS:
            self._stuck = False
            self._since_ms = now_ms
        return _FREE_MS
