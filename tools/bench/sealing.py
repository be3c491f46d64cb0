"""What sealing costs: an event sealed and in clear, a permitted read with its log beside a plain row, a name searched.

Each beside its peer in the same run: the event beside one that names no guest, the read beside a bare SELECT of one
row, sealing itself beside AES-GCM alone for the same bytes. `python -m bench.sealing [--seconds 2] [--json]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console
from rich.table import Table

from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy
from steward.adapters.vault import DataKey, KeyChanges, MemoryChest, TxKeys
from steward.domain.events import EventType, fact
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import OutletKind
from steward.domain.profiles import Allergen, Profile
from steward.domain.viewing import CrewRole, Field, Purpose, Viewer, look_at
from steward.ports import Tx

SECONDS = 1.0
GUESTS = 10_000
EVENTS_PER_CLOSURE = 200
PAYLOAD_BYTES = 200
AT_S = 1_800_000_000
_WAITER = Viewer("c1", CrewRole.SERVICE, OutletId("bar"), OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK)
_FIELDS = frozenset({Field.PREFERRED_NAME, Field.LANGUAGE})


@dataclass(frozen=True, slots=True)
class Row:
    """One operation: microseconds each, by the median of many rounds."""

    name: str
    us: float
    rounds: int


def run(seconds: float = SECONDS) -> dict[str, Any]:
    """In a folder of its own, removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="bench-sealing-", dir=Path.cwd()))
    try:
        rows = [*_alone(seconds), *asyncio.run(_stored(place, seconds))]
    finally:
        shutil.rmtree(place)
    return {"guests": GUESTS, "payload_bytes": PAYLOAD_BYTES, "rows": [asdict(row) for row in rows]}


def _alone(seconds: float) -> list[Row]:
    ref, plain = GuestRef("00000000000000aa"), os.urandom(PAYLOAD_BYTES)
    cipher, keys = AESGCM(os.urandom(32)), TxKeys(MemoryChest(DataKey(bytes(32))), OsEntropy(), KeyChanges())
    sealed = keys.seal(ref, "event 1 1", plain)
    nonce = os.urandom(12)
    boxed = cipher.encrypt(nonce, plain, b"event 1 1")
    return [
        _timed("AES-GCM alone, seal", seconds, lambda: cipher.encrypt(os.urandom(12), plain, b"event 1 1")),
        _timed("seal with a guest's key", seconds, lambda: keys.seal(ref, "event 1 1", plain)),
        _timed("AES-GCM alone, open", seconds, lambda: cipher.decrypt(nonce, boxed, b"event 1 1")),
        _timed("open with a guest's key", seconds, lambda: keys.unseal(ref, "event 1 1", sealed)),
    ]


async def _stored(place: Path, seconds: float) -> list[Row]:
    store = SqliteStore.open(place / "steward.db", DataKey(os.urandom(32)))
    try:
        for first in range(0, GUESTS, 500):
            await store.write(lambda tx, first=first: _fill(tx, first))  # type: ignore[misc]
        rows = await store.write(lambda tx: _in_one(tx, place / "steward.db", seconds))
    finally:
        await store.close()
    return rows


def _fill(tx: Tx, first: int) -> None:
    for number in range(first, first + 500):
        ref = GuestRef(f"{number:016x}")
        stay, limits = (CabinStay(1 + number, 1),), Limits(100_000, 50_000, 20_000)
        guest = Guest(
            ref=ref,
            booking=f"R-{number}",
            cabins=stay,
            zones=0,
            child=False,
            crew=False,
            not_before_s=0,
            not_after_s=AT_S * 2,
            currency="EUR",
            limits=limits,
            serial=0,
        )
        tx.put_guest(guest)
        tx.put_profile(Profile(ref, f"Guest{number}", f"Guest{number} Family{number}", "nb", (Allergen.MILK,), ()))


def _in_one(tx: Tx, database: Path, seconds: float) -> list[Row]:
    """In one transaction, so that what is measured is not the disk."""
    numbers = count(1)
    other = sqlite3.connect(database)

    def ref() -> GuestRef:
        return GuestRef(f"{next(numbers) % GUESTS:016x}")

    def plain_row() -> None:
        other.execute("SELECT ref, cabin_a, zones FROM guest WHERE ref = ?", (ref(),)).fetchone()

    found = [
        _timed(
            "event that names no guest", seconds, lambda: tx.append_event(fact(EventType.DOOR_OPENED, 5, place=ref()))
        ),
        _timed("event sealed", seconds, lambda: tx.append_event(fact(EventType.DOOR_OPENED, 5, guest=ref()))),
        _timed("bare SELECT of one row", seconds, plain_row),
        _timed("guest by reference", seconds, lambda: tx.guest(ref())),
        _timed(
            "permitted read: unsealed, logged, in the tree",
            seconds,
            lambda: tx.disclose(look_at(_WAITER, ref(), _FIELDS, AT_S)),
        ),
        _timed("search by name, the first", 0.0, lambda: tx.search(_WAITER, "Family4711", AT_S, 5)),
        _timed("search by name", seconds, lambda: tx.search(_WAITER, "Family4711", AT_S, 5)),
    ]
    other.close()
    return found


def _timed(name: str, seconds: float, once: Callable[[], object]) -> Row:
    """The median of rounds; one round at least."""
    times: list[float] = []
    started = now = time.perf_counter()
    while not times or now - started < seconds:
        once()
        after = time.perf_counter()
        times.append(after - now)
        now = after
    return Row(name, sorted(times)[len(times) // 2] * 1e6, len(times))


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the figures as a table."""
    table = Table(title=f"Sealing ({figures['payload_bytes']} bytes, {figures['guests']:,} guests)")
    table.add_column("operation")
    table.add_column("microseconds, median", justify="right")
    table.add_column("rounds", justify="right")
    for row in figures["rows"]:
        table.add_row(row["name"], f"{row['us']:,.1f}", f"{row['rounds']:,}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sealing", description="What sealing costs.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each row of the table")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    figures = run(options.seconds)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures, Console())


if __name__ == "__main__":
    main()
