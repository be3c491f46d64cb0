"""A guest's photo without what a camera adds: place, time, device, thumbnails, and whatever follows the picture.

JPEG (ISO/IEC 10918-1) and PNG (ISO/IEC 15948) are taken apart and put together again from the parts that make the
picture. Of Exif only the orientation is kept, or a photo taken upright would lie on its side. Cleaning twice changes
nothing more.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from steward.domain.profiles import PHOTO_BYTES_MAX

SIDE_MIN, SIDE_MAX = 32, 3000  # pixels
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"sRGB", b"gAMA", b"IDAT", b"IEND")
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
_APP0, _APP1, _APP14 = 0xE0, 0xE1, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD})  # Huffman, arithmetic, quantisation, lines, restarts
_EXIF = b"Exif\x00\x00"
_ORIENTATION = 0x0112


class BadPhoto(Exception):
    """This photo cannot be kept. `what` is wrong, `remedy` is what to do; neither repeats any of its bytes."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    content: bytes


def clean_photo(raw: bytes) -> bytes:
    """The picture alone. Raises BadPhoto: neither JPEG nor PNG, damaged, of odd measures, or still too large."""
    if raw.startswith(b"\xff\xd8\xff"):
        cleaned = _clean_jpeg(raw)
    elif raw.startswith(_PNG_MAGIC):
        cleaned = _clean_png(raw)
    else:
        raise BadPhoto("is neither a JPEG nor a PNG", "save it as JPEG")
    if len(cleaned) > PHOTO_BYTES_MAX:
        raise BadPhoto(
            f"has {len(cleaned) // 1000} kB, at most {PHOTO_BYTES_MAX // 1000} are kept",
            "make it smaller: 600 by 800 pixels are plenty",
        )
    return cleaned


def _clean_jpeg(raw: bytes) -> bytes:
    out = bytearray(b"\xff\xd8")
    at, framed, scanned = 2, False, False
    while True:
        marker, at = _marker(raw, at)
        if marker == _EOI:
            break
        segment, at = _segment(raw, marker, at)
        if marker in _FRAMES:
            _check_frame(segment)
            framed = True
        out += _kept(segment)
        if marker == _SOS:
            end = _scan_end(raw, at)
            out += raw[at:end]
            at, scanned = end, True
    if not (framed and scanned):
        raise _damaged()
    return bytes(out + b"\xff\xd9")


def _marker(raw: bytes, at: int) -> tuple[int, int]:
    """The marker at `at` and the place behind it. FF bytes before it are filling."""
    if at >= len(raw) or raw[at] != 0xFF:
        raise _damaged()
    while at < len(raw) and raw[at] == 0xFF:
        at += 1
    if at >= len(raw) or raw[at] in (0x00, _TEM, _SOI) or raw[at] in _RESTARTS:
        raise _damaged()
    return raw[at], at + 1


def _segment(raw: bytes, marker: int, at: int) -> tuple[_Segment, int]:
    length = int.from_bytes(raw[at : at + 2], "big")
    end = at + length
    if length < 2 or end > len(raw):
        raise _damaged()
    return _Segment(marker, raw[at + 2 : end]), end


def _scan_end(raw: bytes, at: int) -> int:
    """Where the picture's data end: at the next marker that is no restart."""
    while True:
        at = raw.find(b"\xff", at)
        if at < 0 or at + 1 >= len(raw):
            raise _damaged()
        following = raw[at + 1]
        if following == 0x00 or following in _RESTARTS:
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at


def _check_frame(segment: _Segment) -> None:
    if len(segment.content) < 6:
        raise _damaged()
    _check_sides(int.from_bytes(segment.content[3:5], "big"), int.from_bytes(segment.content[1:3], "big"))


def _kept(segment: _Segment) -> bytes:
    """The segment as it is kept; nothing if it is not."""
    marker, content = segment.marker, segment.content
    if marker == _APP0:
        # Without its thumbnail: version, density, and no pixels.
        content = content[:12] + b"\x00\x00" if content.startswith(b"JFIF\x00") and len(content) >= 14 else b""
    elif marker == _APP1:
        content = _only_orientation(content)
    elif marker == _APP14:
        content = content[:12] if content.startswith(b"Adobe") and len(content) >= 12 else b""  # how colours are coded
    elif marker not in _FRAMES | _TABLES and marker != _SOS:
        content = b""
    if not content:
        return b""
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def _only_orientation(content: bytes) -> bytes:
    """An Exif block that says how the picture lies, and nothing else; empty if it lies as it is."""
    if not content.startswith(_EXIF):
        return b""
    turned = _orientation(content[len(_EXIF) :])
    if not 2 <= turned <= 8:
        return b""
    entry = _ORIENTATION.to_bytes(2, "big") + b"\x00\x03\x00\x00\x00\x01" + turned.to_bytes(2, "big") + b"\x00\x00"
    return _EXIF + b"MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"


def _orientation(tiff: bytes) -> int:
    """From the first directory of Exif's TIFF block; 1, as it is, where that cannot be read."""
    if tiff[:4] == b"MM\x00\x2a":
        big = True
    elif tiff[:4] == b"II\x2a\x00":
        big = False
    else:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], "big" if big else "little")

    directory = number(4, 4)
    for index in range(min(number(directory, 2), 64)):
        at = directory + 2 + 12 * index
        if number(at, 2) == _ORIENTATION and number(at + 2, 2) == 3 and number(at + 4, 4) == 1:
            return number(at + 8, 2)
    return 1


def _clean_png(raw: bytes) -> bytes:
    out, at = bytearray(_PNG_MAGIC), len(_PNG_MAGIC)
    kinds: list[bytes] = []
    while not kinds or kinds[-1] != b"IEND":
        length = int.from_bytes(raw[at : at + 4], "big")
        end = at + 12 + length
        if end > len(raw):
            raise _damaged()
        kind, content = raw[at + 4 : at + 8], raw[at + 8 : end - 4]
        if zlib.crc32(kind + content) != int.from_bytes(raw[end - 4 : end], "big"):
            raise _damaged()
        if not kinds:
            if kind != b"IHDR" or length != 13:
                raise _damaged()
            _check_sides(int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big"))
        if kind in _PNG_KEPT:
            out += raw[at:end]
        kinds.append(kind)
        at = end
    if b"IDAT" not in kinds:
        raise _damaged()
    return bytes(out)


def _check_sides(width: int, height: int) -> None:
    if not (SIDE_MIN <= width <= SIDE_MAX and SIDE_MIN <= height <= SIDE_MAX):
        raise BadPhoto(
            f"has {width} by {height} pixels, each side may have {SIDE_MIN} to {SIDE_MAX}",
            "scale it: 600 by 800 is plenty",
        )


def _damaged() -> BadPhoto:
    return BadPhoto("is damaged or cut off", "open it and save it again as JPEG")
