"""How long an exchange keeps the air busy, from its bytes alone (ISO/IEC 14443-3 and -4, type A).

A byte on the air is 9 bits (8 and parity); a frame adds start and end (2 bits' time) and carries prologue and CRC
(3 bytes). APDUs longer than the card's frame (128 bytes: FSCI 7 of the NTAG 424's ATS) are chained, each link
answered by a 3-byte R-block. Between frames in either direction at least 1172/13.56 MHz = 86 us pass.
The card's own thinking time is not in it: this is the physical floor of a tap.
"""

from __future__ import annotations

from collections.abc import Iterable

FRAME_BYTES_MAX = 128
BLOCK_OVERHEAD = 3
FRAME_GAP_US = 1172 / 13.56
RATES_KBIT = (106, 424)


def frame_us(size: int, kbit_s: int) -> float:
    """Time on air of one frame of `size` bytes, and the gap after it."""
    return (size * 9 + 2) / kbit_s * 1000 + FRAME_GAP_US


def message_us(size: int, kbit_s: int) -> float:
    """One APDU of `size` bytes in one direction, chained if need be."""
    room = FRAME_BYTES_MAX - BLOCK_OVERHEAD
    total, left = 0.0, size
    while left > room:
        total += frame_us(FRAME_BYTES_MAX, kbit_s) + frame_us(BLOCK_OVERHEAD, kbit_s)
        left -= room
    return total + frame_us(left + BLOCK_OVERHEAD, kbit_s)


def exchange_ms(sizes: Iterable[tuple[int, int]], kbit_s: int) -> float:
    """Air time of a whole flow; `sizes` are (command bytes, response bytes) of each APDU."""
    return sum(message_us(up, kbit_s) + message_us(down, kbit_s) for up, down in sizes) / 1000
