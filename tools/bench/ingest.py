"""Events a second that come ashore: shore's real ingest on SQLite and on PostgreSQL, and through a NATS cluster.

Batches of eight gateways are made beforehand. On one node, workers are tasks of one process that share one store, and
the broker is left out: what is measured is decoding, deciding and committing. Beside it the floor: the same rows
inserted with nothing else, one commit a batch. On the cluster, each worker is a process of its own, with the
service's own cluster code: batches are in a stream of three replicas before the clock starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cbor2
from rich.console import Console
from rich.table import Table

from bench.linkbytes import batches, level_of
from bench.postgres import PostgresMissing, postgres
from bench.typical import EPOCH, Ship
from steward.adapters.sqlite.connect import connect, create_file
from steward.adapters.system import SystemClock
from steward.domain.batches import Batch, encode_batch
from steward.domain.topics import up_topic
from steward.services.board import percentile
from steward.shore.ingest import Ingest
from steward.shore.registry import add_ship, begin
from steward.shore.sqlite import SqliteShore
from steward.shore.store import ShoreStore

SECONDS = 2.5
GATEWAYS = 8
EVENTS = 60_000  # of all gateways together: more than any row takes in its time, or it ends early
BATCH_EVENTS = 100
WORKERS = (1, 2)
WORKER_START_S = 30.0
SHIP = "aurora"
_INSERT = "INSERT INTO event (ship, gateway, epoch, seq, type, at_s, payload) VALUES (?, ?, ?, ?, ?, ?, ?)"
_TABLE = (
    "CREATE TABLE event (ship TEXT, gateway TEXT, epoch {integer}, seq {integer}, type {integer}, at_s {integer}, "
    "payload {bytes}, PRIMARY KEY (ship, gateway, epoch, seq))"
)

Message = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Row:
    """One way in. Batch times are from a worker taking it up to its acknowledgement; None where nobody sees that."""

    what: str
    workers: int
    per_s: float
    per_worker_s: float
    batches: int
    p50_ms: float | None
    p99_ms: float | None


def run(seconds: float = SECONDS, events: int = EVENTS) -> dict[str, Any]:
    """Each row for at most `seconds`, in a folder of its own, removed afterwards. off: what could not be measured."""
    place = Path(tempfile.mkdtemp(prefix="bench-ingest-", dir=Path.cwd()))
    try:
        rows, off = asyncio.run(_measure(place, seconds, made_batches(events)))
    finally:
        shutil.rmtree(place)
    return {"seconds_each": seconds, "batch_events": BATCH_EVENTS, "rows": [asdict(row) for row in rows], "off": off}


def made_batches(events: int) -> list[Batch]:
    """Of all gateways in turn, so that workers next to each other seldom want the same gateway's row."""
    each = [list(batches(Ship(seed).events(events // GATEWAYS), BATCH_EVENTS, SHIP, f"gw{seed}")) for seed in _seeds()]
    longest = max(len(own) for own in each)
    return [own[number] for number in range(longest) for own in each if number < len(own)]


def _seeds() -> range:
    return range(1, GATEWAYS + 1)


def messages(made: Sequence[Batch]) -> list[Message]:
    """As they come over the link."""
    level = level_of(BATCH_EVENTS)
    return [(up_topic(batch.ship, batch.gateway, batch.cls), encode_batch(batch, level)) for batch in made]


def missing(*modules: str) -> str | None:
    """Why rows that need these are off."""
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(absent)} (extra `fleet`)" if absent else None


async def _measure(place: Path, seconds: float, made: list[Batch]) -> tuple[list[Row], dict[str, str]]:
    sent, off = messages(made), dict[str, str]()
    rows = [await _insert_sqlite(place, seconds, made)]
    for workers in WORKERS:
        store = SqliteShore.open(place / f"shore-{workers}.db", create=True)
        rows.append(await _ingest("SQLite, one node", store, workers, seconds, sent))
    why = missing("psycopg")
    if why is None:
        try:
            rows += await _on_postgres(place, seconds, made, sent, off)
        except PostgresMissing as error:
            why = str(error)
    if why is not None:
        off["PostgreSQL, one node"] = off["PostgreSQL, three-node cluster"] = why
    return rows, off


async def _on_postgres(
    place: Path, seconds: float, made: list[Batch], sent: list[Message], off: dict[str, str]
) -> list[Row]:
    from steward.shore.postgres import PostgresShore

    with postgres() as url:
        rows = [await _insert_postgres(url, seconds, made)]
        for workers in WORKERS:
            store = await PostgresShore.open(await _database(url, f"one{workers}"), connection_count=workers + 1)
            rows.append(await _ingest("PostgreSQL, one node", store, workers, seconds, sent))
        why = missing("nats")
        if why is not None:
            off["PostgreSQL, three-node cluster"] = why
            return rows
        from bench.natsnodes import nats_nodes

        async with nats_nodes(place) as servers:
            for workers in WORKERS:
                database = await _database(url, f"many{workers}")
                store = await PostgresShore.open(database, connection_count=1)
                await _begin(store)
                await store.close()
                rows.append(await _through_cluster(servers, database, workers, seconds, sent))
    return rows


async def _begin(store: ShoreStore) -> None:
    await store.write(begin(b"boot-one", EPOCH))
    await store.write(add_ship(SHIP, [f"gw{seed}" for seed in _seeds()], EPOCH))


async def _ingest(what: str, store: ShoreStore, workers: int, seconds: float, sent: list[Message]) -> Row:
    await _begin(store)
    ingest, waiting, times_s = Ingest(store, SystemClock()), deque(sent), list[float]()
    began_s = time.perf_counter()

    async def work() -> None:
        while waiting and (taken_s := time.perf_counter()) - began_s < seconds:
            if await ingest.batch(*waiting.popleft()) is None:
                raise RuntimeError("shore did not acknowledge a batch")
            times_s.append(time.perf_counter() - taken_s)

    await asyncio.gather(*(work() for _ in range(workers)))
    took_s = time.perf_counter() - began_s
    events = ingest.counts["events"]
    await store.close()
    return _row(what, workers, events, took_s, len(times_s), times_s)


def _row(what: str, workers: int, events: int, took_s: float, count: int, times_s: Sequence[float] = ()) -> Row:
    ordered = sorted(times_s)
    p50_ms, p99_ms = (percentile(ordered, percent) * 1000 if ordered else None for percent in (50, 99))
    return Row(what, workers, events / took_s, events / took_s / workers, count, p50_ms, p99_ms)


# the floor: rows and commits, nothing else


def _values(batch: Batch) -> list[tuple[str | int | bytes, ...]]:
    head = (batch.ship, batch.gateway, batch.epoch)
    return [(*head, e.seq, int(e.type), e.at_s, cbor2.dumps(dict(e.payload), canonical=True)) for e in batch.events]


async def _insert(what: str, seconds: float, made: list[Batch], insert: Callable[[Batch], Awaitable[None]]) -> Row:
    """insert: returns when the batch's rows are committed."""
    times_s, events = list[float](), 0
    began_s = now_s = time.perf_counter()
    for batch in made:
        await insert(batch)
        events += len(batch.events)
        after_s = time.perf_counter()
        times_s.append(after_s - now_s)
        now_s = after_s
        if now_s - began_s >= seconds:
            break
    return _row(what, 1, events, now_s - began_s, len(times_s), times_s)


async def _insert_sqlite(place: Path, seconds: float, made: list[Batch]) -> Row:
    path = place / "floor.db"
    create_file(path)
    connection = connect(path)
    connection.execute(_TABLE.format(integer="INTEGER", bytes="BLOB") + " STRICT, WITHOUT ROWID")

    async def insert(batch: Batch) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_INSERT, _values(batch))
        connection.execute("COMMIT")

    with contextlib.closing(connection):
        return await _insert("SQLite, bare rows", seconds, made, insert)


async def _insert_postgres(url: str, seconds: float, made: list[Batch]) -> Row:
    import psycopg

    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(_TABLE.format(integer="BIGINT", bytes="BYTEA").encode())
        await connection.commit()
        sql = _INSERT.replace("?", "%s").encode()

        async def insert(batch: Batch) -> None:
            async with connection.cursor() as cursor:
                await cursor.executemany(sql, _values(batch))
            await connection.commit()

        return await _insert("PostgreSQL, bare rows", seconds, made, insert)


async def _database(url: str, name: str) -> str:
    """A fresh database on the same server."""
    import psycopg

    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}".encode())
    return url.replace("///postgres?", f"///{name}?")


# the cluster


async def _through_cluster(servers: Sequence[str], url: str, workers: int, seconds: float, sent: list[Message]) -> Row:
    """Fill the stream, then let the workers loose for `seconds` or until it is empty."""
    from bench.ingest_worker import fill

    await fill(servers, sent)
    async with contextlib.AsyncExitStack() as started:
        running = [
            await started.enter_async_context(_worker(url, servers, number, seconds)) for number in range(workers)
        ]
        for process in running:
            await _line(process, "ready")
        for process in running:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
        found = [json.loads(await _line(process, "{")) for process in running]
    events, count = (sum(one[name] for one in found) for name in ("events", "batches"))
    if not events or any(one["again"] or one["failures"] for one in found):
        raise RuntimeError(f"the cluster's workers say {found}")
    took_s = max(one["last_s"] for one in found) - min(one["first_s"] for one in found)
    return _row("PostgreSQL, three-node cluster", workers, events, took_s, count)


@contextlib.asynccontextmanager
async def _worker(
    url: str, servers: Sequence[str], number: int, seconds: float
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.ingest_worker", url, ",".join(servers), str(number), str(seconds)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process, beginning: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(WORKER_START_S):
        line = (await process.stdout.readline()).decode()
    if not line.startswith(beginning):
        raise RuntimeError(f"a worker said {line!r}")
    return line


def show(figures: dict[str, Any], console: Console) -> None:
    title = f"Events a second that come ashore, in batches of {figures['batch_events']}, every commit on disk"
    table = Table(title=title)
    for heading in ("way in", "workers", "events/s", "per worker", "batch p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading == "way in" else "right")
    for row in figures["rows"]:
        times = ("" if row[name] is None else f"{row[name]:.1f}" for name in ("p50_ms", "p99_ms"))
        rates = (f"{row[name]:,.0f}" for name in ("per_s", "per_worker_s"))
        table.add_row(row["what"], str(row["workers"]), *rates, *times)
    for what, why in figures["off"].items():
        table.add_row(what, "", "off", why, "", "")
    console.print(table)
