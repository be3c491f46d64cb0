"""Forgetting a guest of whom the log holds 10,000 events, among 10,000 guests' rows and a hundred thousand events.

The peer, in the same run and file: 10,000 rows of the same size in a plain table, deleted by their owner's index. So
what the figures differ by is what forgetting is more than deleting: the log stays whole, and the keys go. Taps wait
while it runs: `longest_wait_ms` is that of a small write which was asked for together with it.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.keyring import FileKeyRing
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.tx import SqliteTx
from steward.adapters.system import OsEntropy, SystemClock
from steward.adapters.vault import DataKey
from steward.domain.erasure import Part
from steward.domain.events import EventType, fact
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef
from steward.domain.profiles import Profile
from steward.services.erasure import BY_GUEST, ErasureService, Scene

ROUNDS = 5
EVENTS, OTHERS, OTHER_EVENTS = 10_000, 10_000, 100_000
_AT_ONCE = 2_000
_PLAIN = """
CREATE TABLE plain (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, type INTEGER NOT NULL, payload BLOB NOT NULL) STRICT
"""
_PUT_PLAIN = "INSERT INTO plain (owner, type, payload) SELECT ?1, type, payload FROM event WHERE guest = ?2"
_DROP_PLAIN = "DELETE FROM plain WHERE owner = ?"


@dataclass(frozen=True, slots=True)
class Row:
    """In milliseconds, the median of the rounds; longest_wait_ms: the worst of them."""

    what: str
    rows: int
    p50_ms: float
    worst_ms: float
    longest_wait_ms: float


def run(
    rounds: int = ROUNDS, events: int = EVENTS, others: int = OTHERS, other_events: int = OTHER_EVENTS
) -> dict[str, Any]:
    """In a folder of its own beside the current one, removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="bench-erase-", dir=Path.cwd()))
    try:
        rows = asyncio.run(_measure(place, rounds, events, others, other_events))
    finally:
        shutil.rmtree(place)
    return {
        "events": events,
        "guests": others,
        "log": other_events,
        "rounds": rounds,
        "rows": [asdict(row) for row in rows],
    }


async def _measure(place: Path, rounds: int, events: int, others: int, other_events: int) -> list[Row]:
    entropy, clock = OsEntropy(), SystemClock()
    keys = keyfile.new_key_file(1, entropy, clock.now().unix_s)
    store = SqliteStore.open(place / "steward.db", DataKey(entropy.token_bytes(32)))
    try:
        erasures = ErasureService(store, clock, FileKeyRing(keys, HostAes()), Scene("bench", "bench"))
        now_s = clock.now().unix_s
        await _fill(store, others, other_events, now_s)
        await store.write(lambda tx: tx._change(_PLAIN, ()) or tx._change("CREATE INDEX plain_of ON plain (owner)", ()))
        forgot: list[tuple[float, float]] = []
        deleted: list[tuple[float, float]] = []
        for round_ in range(rounds):
            ref, owner = GuestRef(f"{2**40 + round_:016x}"), f"owner-{round_}"
            await _events(store, ref, events, now_s)
            await store.write(lambda tx, o=owner, r=ref: tx._change(_PUT_PLAIN, (o, r)))  # type: ignore[misc]
            deleted.append(await _timed(store, lambda tx, o=owner: tx._change(_DROP_PLAIN, (o,))))  # type: ignore[misc]
            begun = time.perf_counter()
            work = asyncio.create_task(erasures.erase(ref, BY_GUEST))
            await asyncio.sleep(0)
            wait_ms = await _waited(store)
            erasure = await work
            forgot.append((1000 * (time.perf_counter() - begun), wait_ms))
            if erasure.part is not Part.ALL or erasure.done[0].counts.get("event") != events:
                raise RuntimeError(f"not all was forgotten: {erasure}")
    finally:
        await store.close()
    return [_row("plain rows deleted", events, deleted), _row("guest forgotten", events, forgot)]


async def _timed(store: SqliteStore, work: Callable[[SqliteTx], object]) -> tuple[float, float]:
    begun = time.perf_counter()
    task = asyncio.create_task(store.write(work))
    await asyncio.sleep(0)
    wait_ms = await _waited(store)
    await task
    return 1000 * (time.perf_counter() - begun), wait_ms


async def _waited(store: SqliteStore) -> float:
    """How long a small write takes that is asked for now."""
    begun = time.perf_counter()
    await store.write(lambda tx: tx.set_meta("bench", "1"))
    return 1000 * (time.perf_counter() - begun)


async def _fill(store: SqliteStore, others: int, other_events: int, now_s: int) -> None:
    refs = [GuestRef(f"{number:016x}") for number in range(others)]
    for first in range(0, others, _AT_ONCE):
        part = refs[first : first + _AT_ONCE]

        def put(tx: SqliteTx, part: list[GuestRef] = part) -> None:
            for ref in part:
                _put(tx, ref, now_s)

        await store.write(put)
    for first in range(0, other_events, _AT_ONCE):

        def append(tx: SqliteTx, first: int = first) -> None:
            for number in range(first, min(first + _AT_ONCE, other_events)):
                _opened(tx, refs[number * 7919 % others], number, now_s)

        await store.write(append)


async def _events(store: SqliteStore, ref: GuestRef, events: int, now_s: int) -> None:
    """Somebody who has left: nothing holds the erasure up."""
    await store.write(lambda tx: _put(tx, ref, now_s))
    for first in range(0, events, _AT_ONCE):

        def append(tx: SqliteTx, first: int = first) -> None:
            for number in range(first, min(first + _AT_ONCE, events)):
                _opened(tx, ref, number, now_s)

        await store.write(append)


def _put(tx: SqliteTx, ref: GuestRef, now_s: int) -> None:
    limits, stay = Limits(2**30, 2**30, 2**30), (CabinStay(1 + int(ref, 16) % 60_000, 1),)
    tx.put_guest(Guest(ref, f"R-{ref[-6:]}", stay, 0, False, False, 0, now_s - 1, "EUR", limits, 1))
    tx.put_profile(Profile(ref, "Example", f"Example {ref}", "en"))


def _opened(tx: SqliteTx, ref: GuestRef, number: int, now_s: int) -> None:
    place = f"cabin {5000 + number % 900}"
    tx.append_event(fact(EventType.DOOR_OPENED, now_s, guest=ref, serial=1, place=place, reader="r", code="granted"))


def _row(what: str, rows: int, times: list[tuple[float, float]]) -> Row:
    took = [took_ms for took_ms, _ in times]
    return Row(what, rows, statistics.median(took), max(took), max(wait_ms for _, wait_ms in times))


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Forgetting a guest with {figures['events']:,} events, among {figures['guests']:,} guests")
    table.add_column("")
    for heading in ("rows", "p50 ms", "worst ms", "a tap waited at most, ms"):
        table.add_column(heading, justify="right")
    for row in figures["rows"]:
        numbers = (f"{row['p50_ms']:.0f}", f"{row['worst_ms']:.0f}", f"{row['longest_wait_ms']:.0f}")
        table.add_row(row["what"], f"{row['rows']:,}", *numbers)
    console.print(table)
