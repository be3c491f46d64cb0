"""Durable payments per second, beside what the disk and SQLite can do at most in the same run.

A payment is one closure: a ledger transaction with two postings, the charge with its tap, and the event.
`python -m bench.store [--seconds 3] [--folder DIR] [--json]`; the folder must be on the disk that matters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from steward.adapters.sqlite.connect import connect, create_file
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.vault import DataKey
from steward.domain import ledger
from steward.domain.charges import Charge, ChargeRequest, ChargeState, TapEvidence
from steward.domain.events import EventType, NewEvent
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid
from steward.ports import Tx

SECONDS = 3.0
IN_FLIGHT = (1, 16, 64)
GUEST_COUNT = 500
RECORD_BYTES = 256
AT_S = 1_800_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One way of writing: how many a second, and how long each took until it was durable."""

    name: str
    in_flight: int
    per_s: float
    p50_ms: float
    p99_ms: float
    per_commit: float  # closures that shared a commit


def run(seconds: float = SECONDS, folder: Path | None = None) -> dict[str, Any]:
    """Measure each way for `seconds` in a folder of its own, removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="bench-store-", dir=folder or Path.cwd()))
    try:
        rows = [_append(place, seconds), _one_row(place, seconds)]
        rows += [asyncio.run(_payments(place, seconds, in_flight)) for in_flight in IN_FLIGHT]
    finally:
        shutil.rmtree(place)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "seconds_each": seconds,
        "rows": [asdict(row) for row in rows],
    }


def _append(place: Path, seconds: float) -> Row:
    descriptor = os.open(place / "append", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    record = bytes(RECORD_BYTES)

    def once() -> None:
        os.write(descriptor, record)
        os.fdatasync(descriptor)

    try:
        return _alone("raw fdatasync append", seconds, once)
    finally:
        os.close(descriptor)


def _one_row(place: Path, seconds: float) -> Row:
    path = place / "raw.db"
    create_file(path)
    connection = connect(path)
    connection.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, body BLOB)")
    record = bytes(RECORD_BYTES)
    try:
        return _alone(
            "raw SQLite, one row, FULL",
            seconds,
            lambda: connection.execute("INSERT INTO record (body) VALUES (?)", (record,)),
        )
    finally:
        connection.close()


def _alone(name: str, seconds: float, once: Callable[[], object]) -> Row:
    times: list[float] = []
    started = now = time.perf_counter()
    while now - started < seconds:
        once()
        after = time.perf_counter()
        times.append(after - now)
        now = after
    return _row(name, 1, now - started, times, 1.0)


async def _payments(place: Path, seconds: float, in_flight: int) -> Row:
    store = SqliteStore.open(place / f"store-{in_flight}.db", DataKey(bytes(32)))
    numbers = count(1)
    times: list[float] = []
    started = time.perf_counter()

    async def till() -> None:
        while (before := time.perf_counter()) - started < seconds:
            await store.write(payment(next(numbers)))
            times.append(time.perf_counter() - before)

    try:
        await asyncio.gather(*(till() for _ in range(in_flight)))
        took = time.perf_counter() - started
        counts = store.counts
        charged, total = await store.read(lambda tx: (tx.balance(ledger.revenue_account(_OUTLET)), tx.ledger_sum()))
    finally:
        await store.close()
    if total != 0 or -charged != sum(map(_amount, range(1, len(times) + 1))):
        raise RuntimeError("the ledger does not hold what was acknowledged")
    return _row("payment", in_flight, took, times, counts.closures / counts.commits)


_OUTLET = OutletId("pool-bar")
_TILL = TillId("BAR00001")


def _amount(number: int) -> int:
    return 100 + number % 900


def payment(number: int) -> Callable[[Tx], int]:
    """The closure that books payment `number`, all of its ids derived from it; returns the event's seq."""
    guest = GuestRef(f"{number % GUEST_COUNT:016x}")
    uid = Uid(f"04{number % GUEST_COUNT:012X}")
    tap_id = TapId(f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}")
    amount_minor = _amount(number)
    request = ChargeRequest(tap_id, _TILL, _OUTLET, amount_minor, "EUR", "coffee")
    evidence = TapEvidence(uid, guest, 1, 1, True, number, bytes(31), bytes(8), True, "reader 1")
    sale = ledger.Sale(tap_id, guest, _OUTLET, "EUR")

    def work(tx: Tx) -> int:
        tx.post(ledger.charge(sale, amount_minor, AT_S))
        tx.put_charge(Charge(request, AT_S, ChargeState.POSTED, "posted", evidence))
        return tx.append_event(
            NewEvent(
                EventType.CHARGE_POSTED,
                AT_S,
                {"tap_id": tap_id, "guest": guest, "amount_minor": amount_minor, "currency": "EUR"},
            )
        )

    return work


def _row(name: str, in_flight: int, took_s: float, times_s: list[float], per_commit: float) -> Row:
    ordered = sorted(times_s)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000

    return Row(name, in_flight, len(ordered) / took_s, at(0.5), at(0.99), per_commit)


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the figures as a table."""
    title = f"Durable writes ({figures['machine']}, SQLite {figures['sqlite']})"
    table = Table(title=title)
    table.add_column("write path")
    for heading in ("in flight", "per second", "p50 ms", "p99 ms", "per commit"):
        table.add_column(heading, justify="right")
    for row in figures["rows"]:
        table.add_row(
            row["name"],
            str(row["in_flight"]),
            f"{row['per_s']:,.0f}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['per_commit']:.1f}",
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.store", description="Durable payments per second.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each row of the table")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: the current folder")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    figures = run(options.seconds, options.folder)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures, Console())


if __name__ == "__main__":
    main()
