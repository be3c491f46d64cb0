"""The wristband: an ESP32 with a status light, a fault light, a haptic motor, a button and one lithium-polymer cell.

Everything here is the real hardware's. There is no way to preset keys, UID or random numbers on it.
"""

import os
import time

import bluetooth
from machine import ADC, Pin, unique_id

from band.battery import percent_of
from band.board import FAULT, IDLE, IN_FIELD
from band.entropy import Pool
from band.errors import BoardError
from band.fileflash import FileFlash
from band.nfc import NfcPort
from bandwire.condition import BATTERY_UNKNOWN

_FOLDER = "/card"  # on the LittleFS partition MicroPython mounts at /
_PIN_STATUS = 25
_PIN_FAULT = 26
_PIN_HAPTIC = 27
_PIN_BUTTON = 33
_PIN_CELL = 35  # an input of the first converter: the second is the radio's
_PIN_CHARGER = 32  # the charger's open-drain status, low while it charges
# The divider between cell and input, in ohms: 4.2 V comes in as 2.1 V, well inside what the converter sees at 11 dB.
_CELL_UPPER_OHM = 1_000_000
_CELL_LOWER_OHM = 1_000_000
_CELL_READINGS = 4  # their mean: the converter is noisy
_SEED_BYTES = 32
_VENDOR = b"\x04"  # first UID byte of the chip family we stand in for


class Esp32Board:
    active = True

    def __init__(self, nfc: NfcPort | None = None) -> None:
        self._status = Pin(_PIN_STATUS, Pin.OUT, value=0)
        self._fault = Pin(_PIN_FAULT, Pin.OUT, value=0)
        self._haptic = Pin(_PIN_HAPTIC, Pin.OUT, value=0)
        self._button = Pin(_PIN_BUTTON, Pin.IN, Pin.PULL_UP)
        self._cell = ADC(Pin(_PIN_CELL, Pin.IN), atten=ADC.ATTN_11DB)
        self._charger = Pin(_PIN_CHARGER, Pin.IN, Pin.PULL_UP)
        if nfc is None:
            self.signal(FAULT)
            raise BoardError("this image has no NFC chip driver: build it with one and flash it again")
        self._nfc = nfc
        self._pool = Pool(os.urandom, _seed())

    def flash(self) -> FileFlash:
        return FileFlash(_FOLDER)

    def nfc(self) -> NfcPort:
        return self._nfc

    def random(self, size: int) -> bytes:
        return self._pool.draw(size)

    def uid(self) -> bytes:
        """Vendor byte and the chip's own 6-byte address."""
        return _VENDOR + unique_id()[:6]

    def battery_percent(self) -> int:
        """From the cell's voltage: too high while it charges, so not known then."""
        if self.charging():
            return BATTERY_UNKNOWN
        total_uv = 0
        for _ in range(_CELL_READINGS):
            total_uv += self._cell.read_uv()
        input_mv = total_uv // (_CELL_READINGS * 1000)
        return percent_of(input_mv * (_CELL_UPPER_OHM + _CELL_LOWER_OHM) // _CELL_LOWER_OHM)

    def charging(self) -> bool:
        return not self._charger.value()

    def sleep_ms(self, duration_ms: int) -> None:
        time.sleep_ms(duration_ms)

    def signal(self, what: int) -> None:
        self._status.value(what == IN_FIELD)
        self._haptic.value(what == IN_FIELD)
        if what not in (IDLE, IN_FIELD):
            self._fault.value(1)

    def button_pressed(self) -> bool:
        return not self._button.value()


def _seed() -> bytes:
    """Drawn with the radio on, the only time the chip's generator is truly random."""
    radio = bluetooth.BLE()
    was_on = radio.active()
    radio.active(True)
    seed = os.urandom(_SEED_BYTES)
    radio.active(was_on)
    return seed
