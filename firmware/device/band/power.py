"""When the band may sleep, and how deep; and the watchdog that sees whether it wakes.

Light sleep between a reader's visits: memory and pins stay, a few milliseconds to wake. Not while a radio is on: the
chip's sleep stops it, and MicroPython has no way to let it wake the chip. Not on a cable either: the serial line sleeps
too. Nor while a light or the motor plays.

Deep sleep, from which the band starts anew: with an empty cell, until it is charged; and after a day in a drawer, until
a reader or the button comes. What ends a sleep is the board's: its NFC chip, button and charger pull a pin low.

A radio empties the battery in hours, and without it the band opens doors for days: so the last fifth is kept for that.
"""

from bandwire import faults

from .board import WATCHDOG_MS
from .signals import LOW_BATTERY, RADIO_OFF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board
    from .errorring import ErrorRing
    from .signals import Signals

FEED_MS = WATCHDOG_MS // 4
DRAWER_MS = 24 * 3600 * 1000
_CELL_EACH_MS = 60_000
_TIMES = 3  # that the cell is seen so: a motor or radio pulls the voltage down for a moment
_LOW_PERCENT = 10
RESERVE_PERCENT = 20


class Power:
    """run() is a duty. came() and gone() tell of readers. spare: switches the radio, if the band has one."""

    def __init__(self, board: "Board", shows: "Signals", ring: "ErrorRing") -> None:
        self._board = board
        self._shows = shows
        self._ring = ring
        self._used_ms = board.now_ms()
        self._cell_ms = self._used_ms
        self._reader = False
        self._low = self._empty = 0  # looks at the cell in a row
        self.spare: Callable[[bool], bool] | None = None

    def came(self) -> None:
        """A reader has: until it goes nothing is switched off under it."""
        self._reader = True
        self._used_ms = self._board.now_ms()

    def gone(self) -> None:
        """The reader has: a low battery is shown while somebody looks."""
        self._reader = False
        self._used_ms = self._board.now_ms()
        if self._board.battery_percent() <= _LOW_PERCENT and not self._shows.playing:
            self._shows.play(LOW_BATTERY)

    def run(self) -> int:
        board = self._board
        board.feed_watchdog()
        radio = board.ble()
        radio_on = radio is not None and bool(radio.active())
        powered = board.powered()
        now_ms = board.now_ms()
        if powered:
            self._used_ms = now_ms
        board.may_sleep = not (powered or radio_on or self._shows.playing)
        if self._reader:
            return FEED_MS
        if now_ms - self._cell_ms >= _CELL_EACH_MS:
            self._cell_ms = now_ms
            self._look_at_cell(powered, radio_on)
        if board.may_sleep and now_ms - self._used_ms >= DRAWER_MS:
            self._ring.close()
            board.deep_sleep(True)
        return FEED_MS

    def _look_at_cell(self, powered: bool, radio_on: bool) -> None:
        percent = self._board.battery_percent()
        self._low = self._low + 1 if percent <= RESERVE_PERCENT and not powered else 0
        self._empty = self._empty + 1 if percent == 0 and not powered else 0
        if radio_on and self._low >= _TIMES and self.spare is not None:
            self.spare(False)
            self._shows.play(RADIO_OFF)
        if self._empty >= _TIMES:
            self._ring.note(faults.BATTERY_EMPTY)
            self._ring.close()
            self._board.deep_sleep(False)
