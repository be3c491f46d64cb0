"""What a board's flash costs: the image, its build, and the bytes and seconds on the line beside what the line can do.

esptool itself, unmodified, writes to the tests' double of the chip's ROM. The double counts bytes by line speed, and
the time that erasing and writing take by the flash chip's data sheet; a board takes between the larger of the two and
their sum. MicroPython's own firmware is not part of this checkout: made-up bytes of its size and density stand for it.
"""

from __future__ import annotations

import asyncio
import random
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.workshop.rombootkit import Chip, RomDouble

from bandtool.flash import BAUD, Part, flash
from bandtool.flash import Chip as Found
from bandtool.image import BASE_OFFSET, BuildOrder, build
from bandtool.lfs import FLASH_OFFSET
from bandtool.sources import firmware_folder

SPEEDS = (115_200, BAUD, 921_600)
BUILDS = 5
_BASE_PAGES, _PAGE, _DENSE = 424, 4096, 2800  # 1.7 MB, of which a third compresses away
_BITS_A_BYTE = 10


@dataclass(frozen=True, slots=True)
class Row:
    """Of one line speed. limit_s: the compressed bytes alone. chip_s: erasing and writing."""

    baud: int
    line_bytes: int
    line_s: float
    limit_s: float
    chip_s: float


def run() -> dict[str, Any]:
    order = BuildOrder(firmware_folder(), production=True, public=bytes(32))
    build_s = []
    for _ in range(BUILDS):
        start_s = time.perf_counter()
        made = build(order, lambda done, of: None)
        build_s.append(time.perf_counter() - start_s)
    body = made.manifest()
    parts = [(FLASH_OFFSET, made.image), (BASE_OFFSET, _base())]
    rows = [asyncio.run(_flashed(parts, baud)) for baud in SPEEDS]
    return {
        "build_s": sorted(build_s)[BUILDS // 2],
        "files": len(made.files),
        "sizes": body["sizes"],
        "compressed": {"image": len(zlib.compress(parts[0][1], 9)), "base": len(zlib.compress(parts[1][1], 9))},
        "rows": [asdict(row) for row in rows],
    }


def show(result: dict[str, Any], console: Console) -> None:
    sizes = result["sizes"]
    console.print(
        f"Image: {result['files']} files, {sizes['total']:,} bytes, {sizes['flash']:,} of flash; "
        f"built in {result['build_s']:.2f} s"
    )
    table = Table("baud", "bytes on the line", "s on the line", "limit, s", "of the limit", "s erasing and writing")
    for row in result["rows"]:
        table.add_row(
            f"{row['baud']:,}",
            f"{row['line_bytes']:,}",
            f"{row['line_s']:.1f}",
            f"{row['limit_s']:.1f}",
            f"{row['limit_s'] / row['line_s']:.0%}",
            f"{row['chip_s']:.1f}",
        )
    console.print(table)


async def _flashed(parts: Sequence[Part], baud: int) -> Row:
    async def prepare(_: Found) -> Sequence[Part]:
        return parts

    chip = Chip()
    double = RomDouble(chip)
    try:
        await flash(double.name, prepare, lambda percent: None, baud)
    finally:
        double.stop()
    compressed = sum(len(zlib.compress(data, 9)) for _, data in parts)
    return Row(baud, sum(chip.line_bytes.values()), chip.line_s, compressed * _BITS_A_BYTE / baud, chip.flash_s)


def _base() -> bytes:
    source = random.Random(2)
    return b"\xe9" + b"".join(source.randbytes(_DENSE) + bytes(_PAGE - _DENSE) for _ in range(_BASE_PAGES))
