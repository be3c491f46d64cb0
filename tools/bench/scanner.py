"""A gateway's radio in a crowded air: 500 advertisements a second through bleak to zones, and how often those err.

Load: bleak's own dispatch with 500 devices, the gateway's scanner behind it, names of 10,000 bands resolved and
smoothed; beside it the same through bleak to nobody, which is the floor. Errors: the model of voyage/walkabout.py,
beside the strongest packet of the last two seconds, which is what one would do first.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from bleak import BleakScanner
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from rich.console import Console
from rich.table import Table

from bandwire import eid
from steward.adapters.blescan import SERVICE, BleRadio
from steward.adapters.eidaes import encrypt_blocks
from steward.adapters.system import SystemClock
from steward.domain.eidtable import ClockWord, Tagged, make_table
from steward.domain.ids import Uid
from steward.domain.smoothing import ZoneFilter
from voyage.walkabout import Airtime, Outcome, average

PER_S, SECONDS, DEVICES, BANDS, GUESTS = 500, 4, 500, 10_000, 10
TICK_S = 0.02
NOW_S = 1_800_000_000


class _Crowd(BaseBleakScanner):
    """PER_S advertisements a second from DEVICES devices, in step with the clock."""

    said: list[tuple[str, AdvertisementData]]

    def __init__(self, callback: Any, uuids: list[str] | None, _mode: str, **_: object) -> None:
        super().__init__(callback, uuids)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._talk())

    async def stop(self) -> None:
        self._task.cancel()

    async def _talk(self) -> None:
        began, sent = time.perf_counter(), 0
        while True:
            due = int((time.perf_counter() - began) * PER_S)
            for n in range(sent, due):
                address, data = self.said[n % len(self.said)]
                self.call_detection_callbacks(self.create_or_update_device(address, address, None, None, data), data)
            sent = max(sent, due)
            await asyncio.sleep(TICK_S)


class _NoLink:
    async def ask(self, *_: object) -> tuple[int, bytes]:
        raise AssertionError("nobody is asked here")


def run() -> dict[str, Any]:
    rng = random.Random(6)
    bands = [Tagged(Uid(f"04{n:012X}"), rng.randbytes(16), ClockWord(3, NOW_S)) for n in range(BANDS)]
    table = make_table(bands, NOW_S, encrypt_blocks)
    names = rng.sample(sorted(table.names), DEVICES // 2) + [rng.randbytes(8) for _ in range(DEVICES // 2)]
    _Crowd.said = [(f"C0:00:00:00:{n >> 8:02X}:{n & 255:02X}", _data(name)) for n, name in enumerate(names)]
    heard, dropped, full = asyncio.run(_listen(table.names))
    floor = asyncio.run(_nobody())
    fair, crowd = Airtime(), Airtime(lost=0.4, crowded=True)
    return {
        "per_s": PER_S,
        "heard": heard,
        "expected": PER_S * SECONDS,
        "dropped": dropped,
        "cpu_percent": full,
        "bleak_alone_percent": floor,
        "zones": [
            {"air": air, "way": way, **_figures(average(GUESTS, airtime, smoothed=way == "smoothed"))}
            for air, airtime in (("quiet", fair), ("crowded", crowd))
            for way in ("smoothed", "strongest packet")
        ],
    }


def _data(name: bytes) -> AdvertisementData:
    said = bytes((eid.FRAME_TYPE, 0xD7)) + name
    return AdvertisementData(None, {}, {SERVICE: said}, [SERVICE], None, -60, ())


async def _listen(known: Any) -> tuple[int, int, float]:
    """Through the gateway's scanner to a zone for each band; heard, dropped, percent of one processor."""
    ears = BleRadio("gw1", "pool", SystemClock(), _NoLink(), backend=_Crowd)  # type: ignore[arg-type]
    filters: dict[Uid, ZoneFilter] = {}

    def take() -> None:
        for sighting in ears.take():
            named = known.get(sighting.name)
            if named is not None:
                filters.setdefault(named.uid, ZoneFilter()).hear("gw1", "pool", sighting.rssi, sighting.at_ms)

    running = asyncio.create_task(ears.run())
    percent = await _busy(take)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    state = ears.status()
    return state.heard, state.dropped, percent


async def _nobody() -> float:
    async with BleakScanner(lambda _device, _said: None, [SERVICE], backend=_Crowd):
        return await _busy(lambda: None)


async def _busy(each_half_second: Callable[[], None]) -> float:
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < SECONDS:
        await asyncio.sleep(0.5)
        each_half_second()
    return 100 * (time.process_time() - cpu) / (time.perf_counter() - began)


def _figures(found: Outcome) -> dict[str, float]:
    return {
        "wrong_percent": 100 * found.wrong,
        "unknown_percent": 100 * found.unknown,
        "wrong_settled_percent": 100 * found.wrong_settled,
        "jumps_per_hour": found.jumps_per_hour,
    }


def show(figures: dict[str, Any], console: Console) -> None:
    load = Table(title=f"A radio in a crowded air ({figures['per_s']} advertisements a second)")
    for column in ("heard", "dropped", "of one processor", "bleak alone"):
        load.add_column(column, justify="right")
    percents = (f"{figures['cpu_percent']:.1f} %", f"{figures['bleak_alone_percent']:.1f} %")
    load.add_row(f"{figures['heard']:,}", f"{figures['dropped']:,}", *percents)
    console.print(load)
    zones = Table(title="Zones: four in a row, two hours a guest (model in voyage/walkabout.py)")
    zones.add_column("air, way")
    for column in ("wrong", "wrong while staying", "not known", "jumps an hour"):
        zones.add_column(column, justify="right")
    for row in figures["zones"]:
        shares = (f"{row[key]:.1f} %" for key in ("wrong_percent", "wrong_settled_percent", "unknown_percent"))
        zones.add_row(f"{row['air']}, {row['way']}", *shares, f"{row['jumps_per_hour']:.0f}")
    console.print(zones)
