"""Random bytes that stay unpredictable if the hardware generator later weakens."""

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK = 32


class Pool:
    """A seed drawn while the hardware source was at its best, stirred with fresh output at every draw.

    An ESP32's generator is truly random only while a radio runs, and a band at rest runs none.
    """

    def __init__(self, source: "Callable[[int], bytes]", seed: bytes) -> None:
        self._source = source
        self._state = seed

    def draw(self, size: int) -> bytes:
        out = b""
        while len(out) < size:
            mixed = self._state + self._source(_BLOCK)
            out += hashlib.sha256(b"\x01" + mixed).digest()
            self._state = hashlib.sha256(b"\x02" + mixed).digest()
        return out[:size]
