"""Whose name is it: resolves a second for 10,000 bands, and the table that makes it so, against what could not be less.

Peers: a resolver that works each name out anew, band by band, as one without a table must; and the AES that the table
needs, done in one go, which is its floor. Beside the build, the longest time the event loop was held up by it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from steward.adapters.eidaes import encrypt_blocks
from steward.domain.eidtable import PERIOD_S, ClockWord, EidTable, Tagged, is_now, make_table, names_of
from steward.domain.ids import Uid

BANDS = 10_000
NAMES = 200_000
SCANNED_NAMES = 3  # by the peer: each costs it thousands of bands
NOW_S = 1_800_000_000


def run() -> dict[str, Any]:
    rng = random.Random(6)
    bands = [
        Tagged(Uid(f"04{n:012X}"), rng.randbytes(16), ClockWord(rng.randrange(900), NOW_S - rng.randrange(86_400)))
        for n in range(BANDS)
    ]
    build_s, cpu_s, stall_ms, table = asyncio.run(_build(bands))
    by_uid = {band.uid: band for band in bands}
    true_names = [name for name, named in table.names.items() if named.period in by_uid[named.uid].periods(NOW_S)]
    heard = [rng.choice(true_names) if rng.random() < 0.5 else rng.randbytes(8) for _ in range(NAMES)]
    began, found = time.perf_counter(), 0
    for name in heard:
        named = table.names.get(name) or table.late.get(name)
        found += named is not None and is_now(by_uid[named.uid], named.period, NOW_S)
    resolve_s = time.perf_counter() - began
    assert found >= NAMES * 0.45
    return {
        "bands": BANDS,
        "names_in_table": len(table.names),
        "late_names": len(table.late),
        "build_s": build_s,
        "build_cpu_s": cpu_s,
        "loop_stall_ms": stall_ms,
        "floor_s": _floor(2 * BANDS + len(table.names) + len(table.late)),
        "resolves_per_s": NAMES / resolve_s,
        "scan_resolves_per_s": _scan(bands, true_names),
        "period_s": PERIOD_S,
    }


async def _build(bands: list[Tagged]) -> tuple[float, float, float, Any]:
    """In a thread, as the gateway does it; how long the loop was kept from its next turn meanwhile."""
    worst, done = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not done.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - before - 0.001)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    began = time.perf_counter()
    cpu_s, table = await asyncio.to_thread(_made, bands)
    build_s = time.perf_counter() - began
    done.set()
    await watching
    return build_s, cpu_s, worst * 1000, table


def _made(bands: list[Tagged]) -> tuple[float, EidTable]:
    began = time.thread_time()
    table = make_table(bands, NOW_S, encrypt_blocks)
    return time.thread_time() - began, table


def _floor(blocks: int) -> float:
    """So many blocks of AES under one key."""
    key, data = os.urandom(16), os.urandom(16 * blocks)
    began = time.perf_counter()
    encrypt_blocks(key, data)
    return time.perf_counter() - began


def _scan(bands: list[Tagged], true_names: list[bytes]) -> float:
    """Without a table: every band's names of now, until one fits."""
    began = time.perf_counter()
    for name in random.Random(7).sample(true_names, SCANNED_NAMES):
        for band in bands:
            if any(own == name for _, own in names_of(band.key, band.periods(NOW_S), encrypt_blocks)):
                break
    return SCANNED_NAMES / (time.perf_counter() - began)


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Names of {figures['bands']:,} bands ({figures['names_in_table']:,} in the table)")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("beside it", justify="right")
    resolves, scanned = figures["resolves_per_s"], figures["scan_resolves_per_s"]
    table.add_row("resolves a second", f"{resolves:,.0f}", f"without a table {scanned:,.1f}")
    build, floor = figures["build_s"], figures["floor_s"]
    table.add_row(
        f"table, once in {figures['period_s']:,} s",
        f"{build * 1000:,.0f} ms ({figures['build_cpu_s'] * 1000:,.0f} of a processor)",
        f"its AES alone {floor * 1000:,.1f} ms",
    )
    table.add_row("event loop held up meanwhile", f"{figures['loop_stall_ms']:,.1f} ms", "")
    console.print(table)
