"""The NFC chip on I2C (chapter 6.2.4 of UM0701-02): every read begins with a byte that says whether there is a frame.

One read takes one frame from its first byte on; what was not read of it is lost. Most frames are short, so a short
read comes first, and a NACK gets a longer frame once more, to be read whole.
"""

import time

from machine import I2C, Pin

from . import pn532frames as frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = 0x24
FREQUENCY = 400_000
STRETCH_US = 10_000  # how long the chip may hold the clock low: it does so while it wakes, for up to 2 ms
_READY = 0x01
_ACK_SIZE = len(frames.ACK_FRAME)
_SHORT = 40  # a status, most commands of a tap: 0.9 ms on the bus
_WAKE_MS = 3
_RESET_MS = 1
_BOOT_MS = 10
_AGAIN_MS = 30  # for a frame that was asked for again
_WRITE_TRIES = 3


class I2cLine:
    """nap: sleeps at most so many milliseconds, less if the chip pulls its interrupt pin low or the board has work."""

    def __init__(self, bus: I2C, reset: Pin, irq: Pin, nap: "Callable[[int], None]") -> None:
        self._bus = bus
        self._reset = reset
        self._irq = irq
        self._nap = nap
        self._expected = _SHORT  # how much to read at first

    def write(self, frame: bytes, asleep: bool = False) -> None:
        """A chip that is busy or waking does not take its address: it is tried again, then left to the caller."""
        self._expected = _SHORT if frame == frames.NACK_FRAME else _ACK_SIZE
        for _ in range(_WRITE_TRIES):
            if asleep:
                self._touch()
            try:
                self._bus.writeto(ADDRESS, frame)
                return
            except OSError:
                asleep = True

    def read(self, wait_ms: int) -> bytes:
        if not self._ready(wait_ms):
            return b""
        data = self._fetch(self._expected)
        self._expected = _SHORT
        if frames.first_end(data) <= len(data):
            return data[: frames.first_end(data)]
        try:
            self._bus.writeto(ADDRESS, frames.NACK_FRAME)
        except OSError:
            return data
        return self._fetch(frames.first_end(data)) if self._ready(_AGAIN_MS) else data

    def rest(self, limit_ms: int) -> bool:
        if self._irq.value():
            self._nap(limit_ms)
        return not self._irq.value()

    def restart(self) -> None:
        self._reset.value(0)
        time.sleep_ms(_RESET_MS)
        self._reset.value(1)
        time.sleep_ms(_BOOT_MS)

    def _touch(self) -> None:
        """Its own address wakes it; it may not answer to it."""
        try:
            self._bus.writeto(ADDRESS, b"\x00")
        except OSError:
            pass
        time.sleep_ms(_WAKE_MS)

    def _ready(self, wait_ms: int) -> bool:
        """Whether the chip pulls its pin low, within that time."""
        until = time.ticks_add(time.ticks_ms(), wait_ms)
        while self._irq.value():
            if time.ticks_diff(until, time.ticks_ms()) <= 0:
                return False
            time.sleep_us(100)
        return True

    def _fetch(self, size: int) -> bytes:
        """The frame's bytes; nothing if the chip does not answer or is not ready after all."""
        try:
            data = self._bus.readfrom(ADDRESS, 1 + size)
        except OSError:
            return b""
        return data[1:] if data[0] == _READY else b""


def open_line(bus: int, scl: int, sda: int, reset: Pin, irq: Pin, nap: "Callable[[int], None]") -> I2cLine:
    wires = I2C(bus, scl=Pin(scl), sda=Pin(sda), freq=FREQUENCY, timeout=STRETCH_US)
    return I2cLine(wires, reset, irq, nap)
