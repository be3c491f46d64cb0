"""The writer thread: what shares a commit, what happens when the disk refuses, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.contract.makers import ANNAS_ACCOUNT, charge, event, guest, transaction
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.connect import connect
from steward.adapters.sqlite.store import SqliteStore, StoreLimits
from steward.adapters.sqlite.tx import SqliteTx
from steward.errors import Busy, Conflict, StoreUnavailable

WAIT_S = 60.0


def add(number: int) -> Callable[[SqliteTx], int]:
    return lambda tx: tx.append_event(event(number))


@asynccontextmanager
async def stalled(store: SqliteStore) -> AsyncIterator[None]:
    """The writer is inside a closure for as long as this lasts, so further writes must queue."""
    entered, leave = threading.Event(), threading.Event()

    def hold(tx: SqliteTx) -> bool:
        entered.set()
        return leave.wait(WAIT_S)

    task = asyncio.create_task(store.write(hold))
    await asyncio.to_thread(entered.wait, WAIT_S)
    yield
    leave.set()
    assert await task


def start(store: SqliteStore, *works: Callable[[SqliteTx], object]) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(store.write(work)) for work in works]


def sql(statement: str) -> Callable[[SqliteTx], object]:
    """A closure that goes behind the port's back, as only a test may."""

    def run(tx: SqliteTx) -> object:
        return tx._all(statement)

    return run


async def test_what_waits_shares_one_commit_in_order(sqlite_store: SqliteStore) -> None:
    before = sqlite_store.counts
    async with stalled(sqlite_store):
        tasks = start(sqlite_store, *(add(n) for n in range(1, 31)))
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == list(range(1, 31))
    assert sqlite_store.counts.commits - before.commits == 2  # the stalled one, then all the others
    assert sqlite_store.counts.closures - before.closures == 31
    found = await sqlite_store.read(lambda tx: [e.payload["serial"] for e in tx.events(0, 99)])
    assert found == list(range(1, 31))


async def test_a_batch_is_bounded(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY, limits=StoreLimits(batch_max=8))
    try:
        async with stalled(store):
            tasks = start(store, *(add(n) for n in range(1, 21)))
            await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == list(range(1, 21))
        assert store.counts.commits == 1 + 3
    finally:
        await store.close()


async def test_the_queue_is_bounded_exactly(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY, limits=StoreLimits(write_queue_max=6))
    try:
        async with stalled(store):
            tasks = start(store, *(add(n) for n in range(1, 11)))
            await asyncio.sleep(0)
            assert [task.done() for task in tasks] == [False] * 5 + [True] * 5  # the stalled one counts too
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(o) for o in outcomes] == [int] * 5 + [Busy] * 5
        assert await store.write(add(99)) == 6
    finally:
        await store.close()


async def test_reads_are_bounded_and_see_only_what_is_committed(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY, limits=StoreLimits(reader_count=1, read_queue_max=2))
    entered, leave = threading.Event(), threading.Event()

    def slow(tx: SqliteTx) -> tuple[int, int]:
        first = len(tx.events(0, 9))
        entered.set()
        leave.wait(WAIT_S)
        return first, len(tx.events(0, 9))

    try:
        first = asyncio.create_task(store.read(slow))
        await asyncio.to_thread(entered.wait, WAIT_S)
        second = asyncio.create_task(store.read(lambda tx: len(tx.events(0, 9))))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="reads"):
            await store.read(lambda tx: tx.epoch())
        await store.write(add(1))
        leave.set()
        assert await first == (0, 0)  # its snapshot is older than the write
        assert await second == 1
        assert await store.read(lambda tx: len(tx.events(0, 9))) == 1
    finally:
        await store.close()


async def test_a_reader_does_not_wait_for_the_writer_nor_see_its_work(sqlite_store: SqliteStore) -> None:
    async with stalled(sqlite_store):
        pending = start(sqlite_store, add(1))
        await asyncio.sleep(0)
        assert await sqlite_store.read(lambda tx: len(tx.events(0, 9))) == 0
    assert await asyncio.gather(*pending) == [1]
    assert await sqlite_store.read(lambda tx: len(tx.events(0, 9))) == 1


async def test_a_cancelled_read_gives_its_place_back(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY, limits=StoreLimits(reader_count=1, read_queue_max=2))
    entered, leave = threading.Event(), threading.Event()

    def slow(tx: SqliteTx) -> bool:
        entered.set()
        return leave.wait(WAIT_S)

    try:
        running = asyncio.create_task(store.read(slow))
        await asyncio.to_thread(entered.wait, WAIT_S)
        waiting = asyncio.create_task(store.read(lambda tx: tx.epoch()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        again = asyncio.create_task(store.read(lambda tx: tx.epoch()))
        await asyncio.sleep(0)
        leave.set()
        assert await running
        assert await again == 1
    finally:
        await store.close()


async def test_a_full_disk_refuses_keeps_nothing_and_recovers(sqlite_store: SqliteStore) -> None:
    async def pages(limit: int) -> None:
        await sqlite_store.write(sql(f"PRAGMA max_page_count = {limit}"))

    def big(number: int) -> Callable[[SqliteTx], int]:
        def work(tx: SqliteTx) -> int:
            tx.post(transaction(number))
            for part in range(20):
                tx.set_meta(f"{number}.{part}", "x" * 4000)
            return number

        return work

    await sqlite_store.write(big(1))
    await pages(1)  # no smaller than the file is: it is full now
    outcomes = await asyncio.gather(*(sqlite_store.write(big(n)) for n in (2, 3)), return_exceptions=True)
    assert [type(o) for o in outcomes] == [StoreUnavailable] * 2
    assert "disk is full" in str(outcomes[0])
    assert await sqlite_store.read(lambda tx: (tx.balance(ANNAS_ACCOUNT), tx.meta("2.0"))) == (450, None)
    await pages(2**30)
    assert await sqlite_store.write(big(2)) == 2
    assert await sqlite_store.read(lambda tx: tx.balance(ANNAS_ACCOUNT)) == 900


async def test_a_closure_cannot_shrug_off_a_database_that_gave_out(sqlite_store: SqliteStore) -> None:
    def carry_on(tx: SqliteTx) -> str:
        tx.append_event(event(1))
        with pytest.raises(StoreUnavailable):
            tx._all("SELECT no_such_function()")
        return "all is well"

    async with stalled(sqlite_store):
        tasks = start(sqlite_store, carry_on, add(2))
        await asyncio.sleep(0)
    failed, kept = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(failed, StoreUnavailable)
    assert kept == 1
    assert [e.payload["serial"] for e in await sqlite_store.read(lambda tx: tx.events(0, 9))] == [2]


async def test_when_sqlite_drops_the_transaction_the_whole_batch_is_told(sqlite_store: SqliteStore) -> None:
    async with stalled(sqlite_store):
        tasks = start(sqlite_store, add(1), sql("ROLLBACK"), add(2))
        await asyncio.sleep(0)
    # The stalled closure was committed before; these three shared a batch.
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(o) for o in outcomes] == [StoreUnavailable] * 3
    assert sqlite_store.counts.failures == 1
    assert await sqlite_store.write(add(3)) == 1
    assert await sqlite_store.read(lambda tx: len(tx.events(0, 9))) == 1


async def test_a_refusal_decided_on_lost_work_is_lost_with_it(sqlite_store: SqliteStore) -> None:
    """The second closure refuses because of the first. The commit fails, so that was never true."""

    def refuse_if_there(tx: SqliteTx) -> None:
        assert len(tx.events(0, 9)) == 1
        raise ValueError("there already")

    async with stalled(sqlite_store):
        tasks = start(sqlite_store, add(1), refuse_if_there, sql("ROLLBACK"))
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(o) for o in outcomes] == [StoreUnavailable] * 3


async def test_another_program_that_holds_the_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "steward.db"
    store = SqliteStore.open(path, DATA_KEY)
    other = connect(path)
    try:
        other.execute("BEGIN IMMEDIATE")
        store._writer._connection.execute("PRAGMA busy_timeout = 1")
        with pytest.raises(StoreUnavailable, match="another program holds it"):
            await store.write(add(1))
        other.execute("ROLLBACK")
        assert await store.write(add(1)) == 1
    finally:
        other.close()
        await store.close()


@pytest.mark.parametrize("statement", ["UPDATE charge SET amount_minor = 0", "DELETE FROM store_state"])
async def test_constraints_of_the_schema_come_back_as_conflicts(sqlite_store: SqliteStore, statement: str) -> None:
    await sqlite_store.write(lambda tx: tx.put_charge(charge()))
    with pytest.raises(Conflict):
        await sqlite_store.write(sql(statement))
    assert await sqlite_store.write(add(1)) == 1


def test_a_loop_that_is_gone_does_not_stop_the_writer(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
    left = threading.Event()

    async def ask_and_leave() -> None:
        store._writer.submit(lambda tx: (left.wait(WAIT_S), tx.append_event(event(1))))

    async def ask_again() -> int:
        return await store.write(add(2))

    asyncio.run(ask_and_leave())
    left.set()
    assert asyncio.run(ask_again()) == 2
    asyncio.run(store.close())


async def test_if_the_writer_dies_nobody_waits_for_ever(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours in the thread itself: it must end loudly, with every waiter told."""
    loud: queue.SimpleQueue[type[BaseException]] = queue.SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", lambda args: loud.put(args.exc_type))

    def broken(_batch: object) -> None:
        raise MemoryError

    async with stalled(sqlite_store):
        tasks = start(sqlite_store, *(add(n) for n in range(5)))
        await asyncio.sleep(0)
        monkeypatch.setattr(sqlite_store._writer, "_commit", broken)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(o) for o in outcomes] == [StoreUnavailable] * 5
    assert loud.get(timeout=WAIT_S) is MemoryError
    with pytest.raises(StoreUnavailable):
        await sqlite_store.write(add(9))
    assert await sqlite_store.read(lambda tx: len(tx.events(0, 9))) == 0


async def test_close_says_so_when_a_closure_does_not_end(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY, limits=StoreLimits(close_timeout_s=0.01))
    async with stalled(store):
        with pytest.raises(StoreUnavailable, match="has not ended"):
            await store.close()
    await asyncio.to_thread(store._writer._thread.join, WAIT_S)
    await store.close()


_SMALL_DISK = """
import asyncio, json, resource, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[2])
from steward.adapters.sqlite.store import SqliteStore
from steward.errors import StoreUnavailable
from tests.contract.makers import ANNAS_ACCOUNT, event, transaction
from tests.vaultkit import DATA_KEY

path = Path(sys.argv[1])
SIZE = resource.RLIMIT_FSIZE

def pay(number):
    def work(tx):
        tx.post(transaction(number))
        return tx.append_event(event(number))
    return work

async def main():
    store = SqliteStore.open(path, DATA_KEY)
    await store.write(pay(1))
    log = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(SIZE, (log + 5000, resource.RLIM_INFINITY))
    outcomes = await asyncio.gather(*(store.write(pay(n)) for n in range(2, 12)), return_exceptions=True)
    refused = [type(o) is StoreUnavailable for o in outcomes]
    kept = await store.read(lambda tx: (tx.balance(ANNAS_ACCOUNT), tx.ledger_sum(), len(tx.events(0, 99))))
    resource.setrlimit(SIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = await asyncio.gather(*(store.write(pay(n)) for n in range(2, 12)))
    after = await store.read(lambda tx: (tx.balance(ANNAS_ACCOUNT), tx.ledger_sum(), len(tx.events(0, 99))))
    failures = store.counts.failures
    await store.close()
    print(json.dumps([refused, kept, again, after, failures, str(outcomes[0])]))

asyncio.run(main())
"""


def test_a_commit_the_disk_refuses_is_nobodys(tmp_path: Path) -> None:
    """A real refusal by the kernel in the middle of COMMIT: the process may not make its files any longer."""
    paths = json.dumps([p for p in sys.path if p] + [str(Path(__file__).parents[2])])
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SMALL_DISK, str(tmp_path / "steward.db"), paths],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert child.returncode == 0, child.stderr
    refused, kept, again, after, failures, why = json.loads(child.stdout)
    assert refused == [True] * 10
    assert kept == [450, 0, 1]
    assert again == list(range(2, 12))
    assert after == [450 * 11, 0, 11]
    assert failures >= 1
    assert "disk" in why


async def test_settings_of_every_connection(sqlite_store: SqliteStore) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "trusted_schema", "query_only")

    def settings(tx: SqliteTx) -> list[object]:
        return [tx._one(f"PRAGMA {name}")[0] for name in names]

    assert await sqlite_store.write(settings) == ["wal", 2, 1, 5000, 0, 0]
    assert await sqlite_store.read(settings) == ["wal", 2, 1, 5000, 0, 1]


async def test_a_prepared_statement_is_used_again(sqlite_store: SqliteStore) -> None:
    """SQLite compiles each statement once, however often it runs: the authorizer is asked at compile time only."""
    asked: list[int] = []
    connection: sqlite3.Connection = sqlite_store._writer._connection

    def authorize(action: int, *_: str | None) -> int:
        asked.append(action)
        return sqlite3.SQLITE_OK

    def pay(number: int) -> Callable[[SqliteTx], None]:
        def work(tx: SqliteTx) -> None:
            tx.put_guest(guest())
            tx.post(transaction(number))
            tx.put_charge(charge(number))
            tx.append_event(event(number))

        return work

    connection.set_authorizer(authorize)
    await sqlite_store.write(pay(1))
    asked.clear()
    await sqlite_store.write(pay(2))
    assert asked == []
