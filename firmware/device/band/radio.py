"""The radio's switch and clock: off until the guest wants it, and off again with the next guest's keys.

The clock counts seconds from 0 with each new key 0. A period's number is in flash before its name is on the air, and
after a reset the band goes on one period later, so no name comes back. What the radio does while it is on is in
beacon.py and gatt.py, which a band whose radio is off does not even load.

Stored (card.py): flags 1, bit 0 on | number of the last period LE2 | end of a quiet time LE4, in seconds of the clock.
"""

import gc

from bandwire import faults
from bandwire.condition import RADIO_OFF
from bandwire.radio import PERIOD_EXPONENT, PERIOD_S, PERIODS

from .duties import NEVER_MS
from .errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bluetooth import BLE

    from .beacon import Beacon
    from .board import Board
    from .card import Card
    from .signals import Signals
    from .updates import Updates

_ON = 0x01
_RECORD_SIZE = 7
_RETRY_MS = 60_000  # after flash or radio failed
_TAP_MS_MAX = 5_000  # so long the radio waits for a reader; one that keeps the band powered is no tap any more
_HELD_MS_MAX = 30_000  # nor are readers that come one upon another


class Radio:
    """run() is a duty. note: see errorring.py."""

    def __init__(
        self,
        ble: "BLE",
        board: "Board",
        card: "Card",
        signals: "Signals",
        updates: "Updates",
        note: "Callable[[int, int], None]",
    ) -> None:
        self.ble = ble
        self.board = board
        self.card = card
        self.signals = signals
        self.updates = updates
        self.note = note
        self.on = False
        self._owed = False  # it is off, and flash does not know
        self._beacon: Beacon | None = None
        self._period = -1  # the last one in flash
        self._quiet_s = 0
        self._start_s = 0  # of the clock, at `_start_ms`
        self._start_ms = 0
        self._wait_ms = 0  # nothing is done before: a reader has the band, or something failed
        self._retry_ms = 0  # the latter alone
        self._turn_ms = 0  # when the radio last had its turn
        self._load()

    def _load(self) -> None:
        """From flash, at start and whenever key 0 may be another one."""
        self._owed = False
        record = self.card.radio
        known = len(record) == _RECORD_SIZE
        self.on = known and bool(record[0] & _ON)
        self._period = record[1] | record[2] << 8 if known else -1
        self._quiet_s = int.from_bytes(record[3:], "little") if known else 0
        self._start_s = (self._period + 1) << PERIOD_EXPONENT
        self._start_ms = self.board.now_ms()

    # What others ask.

    def clock_s(self) -> int:
        return self._start_s + (self.board.now_ms() - self._start_ms) // 1000

    def reader_came(self) -> int:
        """The radio waits. For the band's condition: the number of the period, or RADIO_OFF."""
        hold_ms = min(self.board.now_ms() + _TAP_MS_MAX, self._turn_ms + _HELD_MS_MAX)
        self._wait_ms = max(self._retry_ms, hold_ms)
        return min(self.clock_s() >> PERIOD_EXPONENT, PERIODS - 1) if self.on else RADIO_OFF

    def reader_went(self, wish: bool | None) -> None:
        """wish: what the tap brought, if anything."""
        self._wait_ms = self._retry_ms
        self._forget_last_guest()
        if wish is not None:
            self.switch(wish)

    def switch(self, on: bool) -> bool:
        """Off is off at once, and written down as soon as flash lets it; on only once that is stored. Whether it is."""
        if on == self.on:
            return on
        if not on:
            self._stop()
        self._wait_ms = self._retry_ms = 0
        try:
            self._store(on, self._period, 0)
            self.on = on
        except StoreError:
            self.note(faults.CARD_WRITE, 0)
            self._owed = self.on
            self.on = False
        return self.on

    def pressed(self, long: bool) -> bool:
        """The button. Short: whether it ended a buzz. Long: the radio is switched; whether it is on now."""
        if long:
            return self.switch(not self.on)
        return self._beacon is not None and self._beacon.gatt.end_buzz()

    def quiet(self, minutes: int) -> None:
        """Off the air so long; survives a reset. StoreError."""
        quiet_s = self.clock_s() + minutes * 60
        self._store(True, self._period, quiet_s)

    # The duty.

    def run(self) -> int:
        if not self.on and not self._owed:
            return NEVER_MS
        now_ms = self.board.now_ms()
        if now_ms < self._wait_ms:
            return self._wait_ms - now_ms
        self._turn_ms = now_ms
        try:
            self._forget_last_guest()
            if self._owed:
                self._store(False, self._period, 0)
            return self._work() if self.on else NEVER_MS
        except StoreError:
            self.note(faults.CARD_WRITE, 0)
        except OSError as err:
            self.note(faults.RADIO_OFF, (err.errno or 0) & 0xFF)
        except MemoryError:
            self.note(faults.OUT_OF_MEMORY, 0)
        self._stop()
        gc.collect()
        self._wait_ms = self._retry_ms = self.board.now_ms() + _RETRY_MS
        return _RETRY_MS

    def _work(self) -> int:
        """Raises StoreError, OSError."""
        clock_s = self.clock_s()
        period = clock_s >> PERIOD_EXPONENT
        if period >= PERIODS:
            self.switch(False)
            return NEVER_MS
        if clock_s < self._quiet_s and not self._answering():
            self._stop()
            return min(NEVER_MS, (self._quiet_s - clock_s) * 1000)
        if self._beacon is not None and self._beacon.gatt.exposed and period != self._period:
            self._beacon.gatt.new_period()
            self._stop()  # the stack draws another identity key as it starts, so two periods are not linked by that
        if self._beacon is None:
            from .beacon import Beacon  # here: it takes memory that a band with its radio off has for other things

            self._beacon = Beacon(self)
            self._beacon.start()
        if period != self._period:
            self._beacon.gatt.drop()
            self._store(True, period, self._quiet_s)
        until_ms = (((period + 1) << PERIOD_EXPONENT) - self._start_s) * 1000 + self._start_ms - self.board.now_ms()
        return min(NEVER_MS, until_ms, self._beacon.run(period * PERIOD_S))

    def _forget_last_guest(self) -> None:
        """If key 0 is another one, nothing of the radio under the last one remains."""
        if self._period >= 0 and not self.card.radio:
            self._stop()
            self._load()

    def _answering(self) -> bool:
        return self._beacon is not None and self._beacon.gatt.closing

    def _store(self, on: bool, period: int, quiet_s: int) -> None:
        """Raises StoreError: then nothing has changed."""
        shown = max(period, 0)
        flags = _ON if on else 0
        self.card.put_radio(bytes((flags, shown & 0xFF, shown >> 8)) + quiet_s.to_bytes(4, "little"))
        self._period = shown
        self._quiet_s = quiet_s
        self._owed = False

    def _stop(self) -> None:
        if self._beacon is not None:
            self._beacon.stop()
            self._beacon = None
