"""The wristband: an ESP32 with a status light, a fault light, a haptic motor and a button.

Everything here is the real hardware's. There is no way to preset keys, UID or random numbers on it.
"""

import os
import time

import bluetooth
from machine import Pin, unique_id

from band.board import FAULT, IDLE, IN_FIELD
from band.entropy import Pool
from band.errors import BoardError
from band.fileflash import FileFlash
from band.nfc import NfcPort

_FOLDER = "/card"  # on the LittleFS partition MicroPython mounts at /
_PIN_STATUS = 25
_PIN_FAULT = 26
_PIN_HAPTIC = 27
_PIN_BUTTON = 33
_SEED_BYTES = 32
_VENDOR = b"\x04"  # first UID byte of the chip family we stand in for


class Esp32Board:
    active = True

    def __init__(self, nfc: NfcPort | None = None) -> None:
        self._status = Pin(_PIN_STATUS, Pin.OUT, value=0)
        self._fault = Pin(_PIN_FAULT, Pin.OUT, value=0)
        self._haptic = Pin(_PIN_HAPTIC, Pin.OUT, value=0)
        self._button = Pin(_PIN_BUTTON, Pin.IN, Pin.PULL_UP)
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
