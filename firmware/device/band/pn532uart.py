"""The NFC chip on a UART: its high-speed UART interface (chapter 6.2.5 of UM0701-02), 8N1, 115,200 baud after reset."""

import time

from machine import UART, Pin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Nap = Callable[[int, Callable[[], int]], None]

BAUD = 115_200
# Two 55 wake a chip that has powered down; the zeros after them pass the time its clock needs, and mean nothing.
_WAKE = b"\x55\x55" + bytes(26)
_RESET_MS = 1  # the pin has to be low for 20 microseconds
_BOOT_MS = 10  # the chip takes 2 ms
_BUFFER = 512  # the longest frame, and an ACK before it
_SPIN_US = 100
_EARLY_MS = 10


class UartLine:
    """nap: sleeps at most so many milliseconds, less if the chip pulls its interrupt pin low or the board has work.

    It also takes a function that says whether bytes are there: the pin is low for as long as they come, and no longer.
    """

    def __init__(self, uart: UART, reset: Pin, irq: Pin, nap: "Nap") -> None:
        self._uart = uart
        self._reset = reset
        self._irq = irq
        self._nap = nap

    def write(self, frame: bytes, asleep: bool = False) -> None:
        self._uart.write(_WAKE + frame if asleep else frame)

    def read(self, wait_ms: int) -> bytes:
        until = time.ticks_add(time.ticks_ms(), wait_ms)
        while not self._uart.any():
            if time.ticks_diff(until, time.ticks_ms()) <= 0:
                return b""
            time.sleep_us(_SPIN_US)
        return self._uart.read(_BUFFER) or b""

    def rest(self, limit_ms: int) -> bool:
        """Bytes that come in light sleep are lost, and the pin may be high again by then: waking early says enough."""
        began = time.ticks_ms()
        if not self._uart.any() and self._irq.value():
            self._nap(limit_ms, self._uart.any)
        early = limit_ms - time.ticks_diff(time.ticks_ms(), began) >= _EARLY_MS
        return early or not self._irq.value() or self._uart.any() > 0

    def restart(self) -> None:
        self._reset.value(0)
        time.sleep_ms(_RESET_MS)
        self._reset.value(1)
        time.sleep_ms(_BOOT_MS)


def open_line(port: int, tx: int, rx: int, reset: Pin, irq: Pin, nap: "Nap") -> UartLine:
    return UartLine(UART(port, BAUD, tx=Pin(tx), rx=Pin(rx), rxbuf=_BUFFER), reset, irq, nap)
