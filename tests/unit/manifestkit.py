"""Manifests and photos made for tests: every value is one that a real file could hold."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Mapping, Sequence

from steward.domain.manifest_cells import COLUMNS

GUEST: Mapping[str, str] = {
    "booking": "R-1",
    "guest": "1",
    "cabin": "5012",
    "cabin_2": "",
    "zones": "gangway",
    "preferred_name": "Mia",
    "full_name": "Mia Example",
    "language": "nb",
    "age_group": "adult",
    "crew_role": "",
    "crew_outlets": "",
    "from": "2026-07-25",
    "to": "2026-08-01",
    "currency": "EUR",
    "stay_minor": "150000",
    "day_minor": "50000",
    "verify_above_minor": "20000",
    "allergies": "nuts milk",
    "diet": "",
    "photo": "",
    "consents": "",
    "company": "",
}
HEADER = tuple(column.name for column in COLUMNS)


def guest(**changes: str) -> dict[str, str]:
    return {**GUEST, **{name.rstrip("_"): value for name, value in changes.items()}}


def party(count: int, **changes: str) -> list[dict[str, str]]:
    """As many guests of bookings and cabins of their own."""
    return [guest(booking=f"R-{n}", cabin=str(n), preferred_name=f"G{n}", **changes) for n in range(1, count + 1)]


def manifest(*rows: Mapping[str, str], header: Sequence[str] = HEADER, delimiter: str = ",", end: str = "\n") -> bytes:
    out = io.StringIO()
    # Left to itself the writer puts a lone line break of another kind into a cell without quotes.
    broken = any("\r" in cell or "\n" in cell for row in rows for cell in row.values())
    quoting = csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(header)
    for row in rows:
        writer.writerow([row[name] for name in header])
    return out.getvalue().encode()


# Photos: small, whole, and with what a camera adds.

SECRET = b"59.9139N 10.7522E phone-7 "


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def exif(orientation: int, *, big: bool = True) -> bytes:
    """An Exif block with the orientation, a place and a device."""
    order = "big" if big else "little"

    def entry(tag: int, kind: int, count: int, value: int, size: int) -> bytes:
        packed = value.to_bytes(size, order) + bytes(4 - size)
        return tag.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order) + packed

    entries = entry(0x0110, 2, 4, 0x41424344, 4) + entry(0x0112, 3, 1, orientation, 2) + entry(0x8825, 4, 1, 40, 4)
    head = (b"MM\x00\x2a" if big else b"II\x2a\x00") + (8).to_bytes(4, order) + (3).to_bytes(2, order)
    return b"Exif\x00\x00" + head + entries + bytes(4) + SECRET


def jpeg(
    width: int = 600, height: int = 800, *, scan: bytes = b"\x12\xff\x00\x34\xff\xd0\x56", orientation: int = 1
) -> bytes:
    """The structure of a JPEG, with a place in every corner that can hold one."""
    frame = b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\x00"
    parts = [
        b"\xff\xd8",
        segment(0xE0, b"JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x01\x01" + b"\x99\x99\x99"),  # with a thumbnail
        segment(0xE1, exif(orientation)),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + SECRET),
        segment(0xE2, b"MPF\x00" + SECRET),
        segment(0xED, b"Photoshop 3.0\x00" + SECRET),
        segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x01" + SECRET),
        segment(0xFE, SECRET),
        segment(0xF7, SECRET),
        segment(0xDB, b"\x00" + bytes(range(1, 65))),
        segment(0xC0, frame),
        segment(0xC4, b"\x00" + bytes(16)),
        segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + scan,
        segment(0xFE, SECRET),  # between two scans
        segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + scan,
        b"\xff\xd9",
        SECRET + b"\xff\xd8\xff\xd9",  # and behind the end
    ]
    return b"".join(parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def png(width: int = 32, height: int = 32) -> bytes:
    """A grey picture that any program can show, with text, time and Exif."""
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    data = zlib.compress(b"".join(b"\x00" + bytes([row % 256] * width) for row in range(height)))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"tEXt", b"Comment\x00" + SECRET),
            chunk(b"eXIf", SECRET) + chunk(b"tIME", b"\x07\xea\x07\x19\x0c\x00\x00") + chunk(b"iTXt", SECRET),
            chunk(b"IDAT", data) + chunk(b"IEND", b"") + SECRET,
        )
    )
