"""Tap to decision: a real band on MicroPython, a loopback reader, the real services, SQLite with FULL durability.

Split into the exchange with the band, the gateway's own compute, and the commit. Beside it the physical floor: the
time the same bytes need on the air at 106 and 424 kbit/s, which no software can beat.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.air import RATES_KBIT, exchange_ms
from steward.adapters.linkreader import LinkReader
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.vault import DataKey
from steward.domain.access import Place
from steward.domain.ids import TillId
from steward.ports import Card
from steward.services.board import TapRecord, percentile
from steward.services.doors import DoorService
from steward.services.payments import PaymentSettings
from steward.services.tills import TillService
from voyage.bandproc import BandOptions, BandProcess
from voyage.rig import LIMITS, SITE, SUN_TEMPLATE, Rig

TAPS = 200


class _SizedCard:
    def __init__(self, card: Card, sizes: list[tuple[int, int]]) -> None:
        self.card = card
        self._sizes = sizes

    @property
    def anticollision_id(self) -> bytes:
        return self.card.anticollision_id

    async def exchange(self, capdu: bytes) -> bytes:
        rapdu = await self.card.exchange(capdu)
        self._sizes.append((len(capdu), len(rapdu)))
        return rapdu


class _SizedReader:
    """A socket reader that remembers the sizes of the last card's APDUs."""

    def __init__(self, name: str) -> None:
        self.link = LinkReader(name)
        self.sizes: list[tuple[int, int]] = []

    @property
    def name(self) -> str:
        return self.link.name

    async def connect(self) -> Card:
        card = await self.link.connect()
        self.sizes = []
        return _SizedCard(card, self.sizes)

    async def disconnect(self, card: Card) -> None:
        await self.link.disconnect(card.card if isinstance(card, _SizedCard) else card)

    async def close(self) -> None:
        await self.link.close()


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """One flow, milliseconds."""

    flow: str
    taps: int
    total_p50: float
    total_p99: float
    exchange_p50: float
    exchange_p99: float
    compute_p50: float
    compute_p99: float
    commit_p50: float
    commit_p99: float
    apdus: int
    bytes_up: int
    bytes_down: int
    air_106_ms: float
    air_424_ms: float


async def measure(taps: int = TAPS) -> list[FlowFigures]:
    """Door and charge, for an active and a passive band."""
    out: list[FlowFigures] = []
    with tempfile.TemporaryDirectory() as folder:
        for passive in (False, True):
            kind = "passive" if passive else "active"
            store = SqliteStore.open(Path(folder) / f"{kind}.db", DataKey(bytes(32)))
            settings = PaymentSettings(duplicate_window_s=0)
            async with Rig(store, settings=settings) as rig:
                options = BandOptions(state=Path(folder) / kind, passive=passive)
                async with await BandProcess.start(options, "field") as band:
                    out += await _flows(rig, band, kind, taps)
            await store.close()
    return out


async def _flows(rig: Rig, band: BandProcess, kind: str, taps: int) -> list[FlowFigures]:
    await rig.add_encoder()
    door, till = _SizedReader("door"), _SizedReader("till")
    for reader in (door, till):
        await reader.link.start()
        rig.ports[reader.name] = reader.link.port
    ring = (rig.store, rig.clock, rig.entropy, rig.keyring, rig.aes, SUN_TEMPLATE)
    await rig.add_reader("door", Place("door", SITE, cabin=5012), DoorService(*ring), door)
    await rig.add_reader("till", Place("till", SITE), TillService(TillId("till"), rig.payments, *ring), till)
    limits = type(LIMITS)(stay_minor=2**30, day_minor=2**30, verify_above_minor=2**30)
    await rig.issue(await rig.check_in(limits=limits), band)
    doors = [await rig.tap(band, "door") for _ in range(taps)]
    door_sizes = door.sizes
    charges = []
    for amount in range(taps):
        await rig.payments.request(rig.ask("till", 100 + amount))
        charges.append(await rig.tap(band, "till"))
    _need(doors, "granted")
    _need(charges, "posted")
    return [_figures(f"door, {kind} band", doors, door_sizes), _figures(f"charge, {kind} band", charges, till.sizes)]


def _need(records: list[TapRecord], code: str) -> None:
    wrong = sorted({r.code for r in records} - {code})
    if wrong:
        raise RuntimeError(f"expected every tap to end as {code}, saw also {wrong}")


def _figures(flow: str, records: list[TapRecord], sizes: list[tuple[int, int]]) -> FlowFigures:
    warm = records[len(records) // 10 :]  # the first taps fill caches

    def at(name: str, percent: int) -> float:
        return round(percentile(sorted(getattr(r, name) for r in warm), percent), 2)

    return FlowFigures(
        flow=flow,
        taps=len(warm),
        total_p50=at("total_ms", 50),
        total_p99=at("total_ms", 99),
        exchange_p50=at("exchange_ms", 50),
        exchange_p99=at("exchange_ms", 99),
        compute_p50=at("compute_ms", 50),
        compute_p99=at("compute_ms", 99),
        commit_p50=at("commit_ms", 50),
        commit_p99=at("commit_ms", 99),
        apdus=int(statistics.median(r.apdus for r in warm)),
        bytes_up=sum(up for up, _ in sizes),
        bytes_down=sum(down for _, down in sizes),
        air_106_ms=round(exchange_ms(sizes, RATES_KBIT[0]), 1),
        air_424_ms=round(exchange_ms(sizes, RATES_KBIT[1]), 1),
    )


def run(taps: int = TAPS) -> dict[str, object]:
    """The figures as plain data."""
    return {"flows": [asdict(f) for f in asyncio.run(measure(taps))]}


def show(figures: dict[str, object], console: Console) -> None:
    table = Table(title="Tap to decision, ms (p50 / p99), and the floor set by the air")
    for column in ("flow", "total", "exchange", "compute", "commit", "APDUs", "bytes", "air 106 k", "air 424 k"):
        table.add_column(column, justify="left" if column == "flow" else "right")
    flows = figures["flows"]
    assert isinstance(flows, list)
    for f in flows:
        parts = [
            f"{f[f'{name}_p50']:.1f} / {f[f'{name}_p99']:.1f}" for name in ("total", "exchange", "compute", "commit")
        ]
        size = f"{f['bytes_up']} + {f['bytes_down']}"
        table.add_row(f["flow"], *parts, str(f["apdus"]), size, f"{f['air_106_ms']}", f"{f['air_424_ms']}")
    console.print(table)
