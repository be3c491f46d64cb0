"""Pictures for made-up guests: a head and shoulders in two colours, drawn here. Nobody ever looked like that."""

from __future__ import annotations

import colorsys
import struct
import zlib

WIDTH, HEIGHT = 96, 120
_HEAD_X, _HEAD_Y, _HEAD_R = 48, 46, 24
_SHOULDERS_Y, _SHOULDERS_RX, _SHOULDERS_RY = 122, 42, 44
_GOLDEN = 0.618034  # a hue step that never comes back to where it was


def portrait(number: int) -> bytes:
    """A PNG file; every number has its own colours."""
    hue = number * _GOLDEN % 1.0
    back, skin, coat = _colour(hue, 0.25, 0.92), _colour(0.07, 0.35, 0.55 + number % 5 * 0.09), _colour(hue, 0.6, 0.5)
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)  # no filter
        for x in range(WIDTH):
            rows += skin if _in_head(x, y) else coat if _in_shoulders(x, y) else back
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(rows), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _in_head(x: int, y: int) -> bool:
    return (x - _HEAD_X) ** 2 + ((y - _HEAD_Y) * 0.85) ** 2 <= _HEAD_R**2


def _in_shoulders(x: int, y: int) -> bool:
    return ((x - _HEAD_X) / _SHOULDERS_RX) ** 2 + ((y - _SHOULDERS_Y) / _SHOULDERS_RY) ** 2 <= 1


def _colour(hue: float, saturation: float, value: float) -> bytes:
    return bytes(round(part * 255) for part in colorsys.hsv_to_rgb(hue, saturation, min(value, 1.0)))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
