"""The serial line of a board: MicroPython's own console, as raw bytes."""

import select
import sys

import micropython

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_GATHER_MAX = 256
_LOOK_MS = 500  # how long a pulled cable goes unnoticed


class ConsoleLine:
    """plugged: whether the cable gives power; without it the line is gone, and no station can be there."""

    def __init__(self, plugged: "Callable[[], bool]") -> None:
        self._plugged = plugged
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self, wait_ms: int) -> bytes | None:
        if not self._poll.poll(min(wait_ms, _LOOK_MS)):
            return None if self._plugged() else b""
        data = bytearray()
        try:
            while True:
                byte = sys.stdin.buffer.read(1)
                data += byte
                if not byte or len(data) >= _GATHER_MAX or not self._poll.poll(0):
                    return bytes(data)
        except OSError:
            return bytes(data)

    def claim(self) -> None:
        """Byte 03 of a frame is not Ctrl-C. There is no way back but a reset."""
        if sys.platform == "esp32":
            micropython.kbd_intr(-1)

    def write(self, data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
        except OSError:
            pass  # the cable was pulled: whoever comes back asks again
