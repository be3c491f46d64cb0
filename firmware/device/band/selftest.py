"""The band tries its own parts, one when a station asks. See bandwire.selftest.

Each test is short and bounded, and leaves nothing behind but a scratch record. What fails is counted as a fault too.
"""

import gc

from bandwire import faults, selftest
from bandwire.selftest import ABSENT, ASK, FAILED, PASSED, Finding

from .board import FAULT_LIGHT, HAPTIC, LIGHT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board
    from .signals import Signals
    from .store import LogFlash

# Patterns for a technician's eyes: does the part work, and what the station found.
TRY_LIGHT = bytes((5, LIGHT, 50, FAULT_LIGHT, 50))
TRY_HAPTIC = bytes((5, HAPTIC, 50, 0, 50))
GOOD = bytes((1, LIGHT, 250, LIGHT, 250))
BAD = bytes((10, FAULT_LIGHT, 25, 0, 25))

_SCRATCH = "scratch"
_SCRATCH_BYTES = 1024
_FLASH_MIN_BYTES = 64 * 1024  # a released update and the record of faults must fit beside all else
_RAM_BYTES = 4096
_RAM_PATTERNS = (0x00, 0xFF, 0x55, 0xAA)
_HEAP_MIN_BYTES = 16 * 1024
# What a lithium-polymer cell shows in health, on a charger or not.
_CELL_MIN_MV, _CELL_MAX_MV = 3000, 4350
_ADDRESS_BYTES = 6


class SelfTest:
    def __init__(self, board: "Board", shows: "Signals", note: "Callable[[int, int], None]") -> None:
        self._board = board
        self._shows = shows
        self._note = note
        self._seen = 0  # of the button: 0 let go and waiting, 1 pressed, 2 pressed and let go
        self._tests: dict[int, Callable[[int], Finding]] = {
            selftest.FLASH: self._flash,
            selftest.RAM: self._ram,
            selftest.NFC: self._nfc,
            selftest.RADIO: self._radio,
            selftest.BATTERY: self._battery,
            selftest.LIGHT: self._light,
            selftest.HAPTIC: self._haptic,
            selftest.CLOCK: self._clock,
            selftest.BUTTON: self._button,
            selftest.SHOW: self._show,
        }

    def answer(self, payload: bytes) -> bytes:
        """The station's service of kind TEST. BadFrame for a test that this firmware does not know."""
        test, step = selftest.open_request(payload)
        finding = self._tests[test](step)
        if finding.outcome == FAILED:
            self._note(finding.code, 0)
        return selftest.pack_finding(finding)

    def _flash(self, _: int) -> Finding:
        """A record is written, read back, and written over with its complement."""
        flash = self._board.log_flash()
        try:
            right = _round_trip(flash, 0x5A) and _round_trip(flash, 0xA5)
            free = flash.free_bytes()
        except OSError:
            right, free = False, 0
        if not right:
            return Finding(selftest.FLASH, FAILED, faults.FLASH_SELFTEST)
        if free < _FLASH_MIN_BYTES:
            return Finding(selftest.FLASH, FAILED, faults.FLASH_FULL, free)
        return Finding(selftest.FLASH, PASSED, 0, min(free, 0xFFFFFFFF))

    def _ram(self, _: int) -> Finding:
        gc.collect()
        try:
            block = self._board.memory(_RAM_BYTES)
        except MemoryError:
            return Finding(selftest.RAM, FAILED, faults.HEAP_SHORT)
        for pattern in _RAM_PATTERNS:
            for at in range(_RAM_BYTES):
                block[at] = pattern
            for at in range(_RAM_BYTES):
                if block[at] != pattern:
                    return Finding(selftest.RAM, FAILED, faults.RAM_SELFTEST, at)
        del block
        gc.collect()
        free = gc.mem_free()
        if free < _HEAP_MIN_BYTES:
            return Finding(selftest.RAM, FAILED, faults.HEAP_SHORT, free)
        return Finding(selftest.RAM, PASSED, 0, free)

    def _nfc(self, _: int) -> Finding:
        works = self._board.nfc_works()
        if works is None:
            return Finding(selftest.NFC, ABSENT)
        return Finding(selftest.NFC, PASSED) if works else Finding(selftest.NFC, FAILED, faults.NFC_SELFTEST)

    def _radio(self, _: int) -> Finding:
        """It starts, has an address that is not all the same, and is left as it was."""
        try:
            radio = self._board.ble()
            if radio is None:
                return Finding(selftest.RADIO, ABSENT)
            was_on = radio.active()
            radio.active(True)
            address = bytes(radio.config("mac")[1])
            radio.active(was_on)
        except OSError:
            return Finding(selftest.RADIO, FAILED, faults.RADIO_SELFTEST)
        if len(address) != _ADDRESS_BYTES or address in (bytes(_ADDRESS_BYTES), b"\xff" * _ADDRESS_BYTES):
            return Finding(selftest.RADIO, FAILED, faults.RADIO_SELFTEST)
        return Finding(selftest.RADIO, PASSED)

    def _battery(self, _: int) -> Finding:
        cell_mv = self._board.battery_mv()
        if cell_mv is None:
            return Finding(selftest.BATTERY, ABSENT)
        if not _CELL_MIN_MV <= cell_mv <= _CELL_MAX_MV:
            return Finding(selftest.BATTERY, FAILED, faults.BATTERY_ODD, cell_mv)
        return Finding(selftest.BATTERY, PASSED, 0, cell_mv)

    def _light(self, _: int) -> Finding:
        self._shows.play(TRY_LIGHT)
        return Finding(selftest.LIGHT, ASK)

    def _haptic(self, _: int) -> Finding:
        self._shows.play(TRY_HAPTIC)
        return Finding(selftest.HAPTIC, ASK)

    def _clock(self, _: int) -> Finding:
        return Finding(selftest.CLOCK, ASK, 0, self._board.now_ms() & 0xFFFFFFFF)

    def _button(self, step: int) -> Finding:
        pressed = self._board.button_pressed()
        if step == selftest.START:
            self._seen = 0
            if pressed:
                return Finding(selftest.BUTTON, FAILED, faults.BUTTON_STUCK)
        elif pressed:
            self._seen = max(self._seen, 1)
        elif self._seen == 1:
            self._seen = 2
        return Finding(selftest.BUTTON, ASK, 0, 1 if self._seen == 2 else 0)

    def _show(self, step: int) -> Finding:
        self._shows.play(GOOD if step else BAD)
        return Finding(selftest.SHOW, PASSED)


def _round_trip(flash: "LogFlash", filler: int) -> bool:
    data = bytes((at & 0xFF) ^ filler for at in range(_SCRATCH_BYTES))
    flash.write(_SCRATCH, 0, data)
    return flash.read(_SCRATCH, 0) == data
