"""One band keyed over a cable: round trips, bytes and seconds, beside what its commands alone weigh and the line takes.

The real firmware on MicroPython behind a pseudo-terminal, which has no baud rate: the line's own time at 115,200 baud
is computed from the bytes, ten bits each. On a chip its AES and its flash come on top.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bandtool.config import FILE, StationSettings, load
from bandtool.line import BAUD, PortLine
from bandtool.provision import Bench, provision
from bandtool.serialcard import ASK_STARTING, SerialCard
from bandtool.setup import new_station
from bandtool.wiring import open_bench
from steward.adapters import keyfile
from steward.adapters.system import OsEntropy
from steward.services.board import percentile
from voyage.bandproc import BandOptions
from voyage.workshop import on_cable

BANDS = 20
_BITS_A_BYTE = 10
_SITE = 7


@dataclass(frozen=True, slots=True)
class Row:
    """Of one way to come to the bench; times in milliseconds."""

    name: str
    round_trips: int
    up: int
    down: int
    commands: int  # bytes of the APDUs alone, both ways
    p50_ms: float
    p99_ms: float

    @property
    def line_ms(self) -> float:
        return (self.up + self.down) * _BITS_A_BYTE * 1000 / BAUD


class CountedLine:
    """A bandtool.line.Line that counts."""

    def __init__(self, line: PortLine) -> None:
        self._line = line
        self.name = line.name
        self.up = self.down = 0

    async def read(self) -> bytes:
        data = await self._line.read()
        self.down += len(data)
        return data

    async def write(self, data: bytes) -> None:
        self.up += len(data)
        await self._line.write(data)

    async def close(self) -> None:
        await self._line.close()


class CountedCard(SerialCard):
    """asked: questions; apdus: bytes of commands and answers."""

    asked = 0
    apdus = 0

    async def exchange(self, capdu: bytes) -> bytes:
        rapdu = await super().exchange(capdu)
        self.apdus += len(capdu) + len(rapdu)
        return rapdu

    async def ask(self, kind: int, payload: bytes = b"") -> bytes:
        self.asked += 1
        return await super().ask(kind, payload)


def run(bands: int = BANDS) -> dict[str, Any]:
    """In a folder of its own, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bench-provisioning-", dir=Path.cwd()))
    try:
        rows = asyncio.run(_measure(folder, bands))
    finally:
        shutil.rmtree(folder)
    return {"bands": bands, "baud": BAUD, "rows": [asdict(row) | {"line_ms": row.line_ms} for row in rows]}


async def _measure(folder: Path, bands: int) -> list[Row]:
    settings = new_bench(folder)
    seen: dict[str, list[tuple[CountedLine, CountedCard, float]]] = {"a new band": [], "a finished band again": []}
    async with open_bench(settings) as bench:
        for number in range(bands):
            uid = b"\x04" + number.to_bytes(6, "big")
            state = folder / str(number)
            state.mkdir()
            (state / "enrol").write_bytes(bench.enrolment.file(uid))
            async with on_cable(BandOptions(state, uid=uid)) as port:
                for name in seen:
                    seen[name].append(await _one(bench, port))
    return [_row(name, found) for name, found in seen.items()]


def new_bench(folder: Path) -> StationSettings:
    """A station with keys of a ship, for bands that run from source."""
    settings = new_station(folder / "bench", "bench-1", "ship.example/t", None, OsEntropy())
    file = settings.folder / FILE
    file.write_text(file.read_text().replace("# development = false", "development = true"))
    authority = keyfile.new_key_file(_SITE, OsEntropy(), 0)
    keys = keyfile.export(authority, keyfile.Role.STATION, 0)
    keyfile.create(settings.key_file, keys, settings.secret(), OsEntropy())
    return load(settings.folder)


async def _one(bench: Bench, port: str) -> tuple[CountedLine, CountedCard, float]:
    line = CountedLine(await PortLine.open(port))
    try:
        await CountedCard.greet(line, ASK_STARTING)  # until it is there: that is its start, not its keying
        line.up = line.down = 0
        start_s = time.perf_counter()
        card = await CountedCard.greet(line)
        await provision(bench, card, bench.enrolled, lambda _: None)
        return line, card, (time.perf_counter() - start_s) * 1000
    finally:
        await line.close()


def _row(name: str, found: list[tuple[CountedLine, CountedCard, float]]) -> Row:
    line, card, _ = found[-1]
    times = sorted(ms for _, _, ms in found)
    p50, p99 = percentile(times, 50), percentile(times, 99)
    return Row(name, card.asked + 1, line.up, line.down, card.apdus, p50, p99)


def show(result: dict[str, Any], console: Console) -> None:
    table = Table(title=f"provisioning a band over a cable, {result['bands']} bands")
    for column in (
        "",
        "round trips",
        "bytes up + down",
        "APDUs alone",
        f"line at {result['baud']:,} baud",
        "p50 / p99 ms",
    ):
        table.add_column(column, justify="left" if not column else "right")
    for row in result["rows"]:
        table.add_row(
            row["name"],
            str(row["round_trips"]),
            f"{row['up']:,} + {row['down']:,}",
            f"{row['commands']:,}",
            f"{row['line_ms']:.0f} ms",
            f"{row['p50_ms']:.0f} / {row['p99_ms']:.0f}",
        )
    console.print(table)
