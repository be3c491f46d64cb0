"""What the link keeps in a store: the outbox by class, cursors, bytes, versions from above."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.conftest import OpenStore
from tests.contract.lives import with_store
from tests.contract.makers import AT_S
from tests.typical import Ship
from tests.vaultkit import DATA_KEY

from steward.adapters.memory import MemoryStore
from steward.adapters.sqlite import sync
from steward.adapters.sqlite.backup import backup, restore
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.store_rules import BYTES_DAYS_KEPT, DOWNS_KEPT, ReadOnlyError, encode_payload
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.tally import LINK
from steward.domain.topics import CLASSES, INSIGHT, class_of
from steward.errors import Conflict, Refused
from steward.ports import Store, Tx
from steward.ports.sync import DownRecord, Waiting
from steward.services.backlog import Span, look

EVENTS = [NewEvent(event.type, event.at_s, event.payload) for event in Ship(7).events(60)]
RECORD = DownRecord("deny", 3, AT_S, AT_S + 1, b"s" * 32, b"body")


def waits(tx: Tx, peer: str) -> Waiting:
    """Counted from nothing."""
    return look(tx, peer, {})[0]


async def fill(store: Store) -> None:
    await store.write(lambda tx: [tx.append_event(event) for event in EVENTS])


async def test_a_class_is_read_in_order_and_in_pages(store: Store) -> None:
    await fill(store)
    everything = await store.read(lambda tx: list(tx.events(0, 999)))
    for cls in CLASSES:
        own = [event for event in everything if class_of(event.type) == cls]
        assert await store.read(lambda tx, cls=cls: list(tx.events_of(cls, tx.epoch(), 0, 999))) == own  # type: ignore[misc]
        newest = await store.read(lambda tx, cls=cls: tx.newest_of_class(tx.epoch(), cls))  # type: ignore[misc]
        assert newest == (own[-1].seq if own else 0)
    doors = [event for event in everything if class_of(event.type) == INSIGHT]
    pages = await store.read(lambda tx: [list(tx.events_of(INSIGHT, tx.epoch(), n, 4)) for n in (-1, doors[3].seq, 60)])
    assert pages == [doors[:4], doors[4:8], []]
    assert await store.read(lambda tx: list(tx.events_of(INSIGHT, tx.epoch(), 0, -1))) == []
    assert await store.read(lambda tx: list(tx.events_of(INSIGHT, tx.epoch() + 1, 0, 9))) == []


async def test_newest_and_epochs_of_an_empty_log_and_of_one_in_use(store: Store) -> None:
    epoch = await store.read(lambda tx: tx.epoch())
    assert await store.read(lambda tx: (tx.epochs(), tx.newest_seq(epoch))) == ([(epoch, 0)], 0)
    await fill(store)
    assert await store.read(lambda tx: (tx.epochs(), tx.newest_seq(epoch))) == ([(epoch, 60)], 60)
    assert await store.read(lambda tx: tx.newest_seq(epoch + 1)) == 0
    everything = await store.read(lambda tx: list(tx.events_in(epoch, 0, 999)))
    assert await store.read(lambda tx: list(tx.events_in(epoch, 5, 3))) == everything[5:8]
    assert await store.read(lambda tx: list(tx.events_in(epoch + 1, 0, 3))) == []


async def test_cursors_are_of_a_peer_an_epoch_and_a_class_and_may_go_back(store: Store) -> None:
    def work(tx: Tx) -> None:
        tx.set_covered("shore", 1, 2, 50)
        tx.set_covered("ship", 1, 2, 7)
        tx.set_covered("shore", 1, 2, 40)
        tx.set_covered("shore", 9, 5, 1)
        tx.set_compared("shore", 1, 30)

    await store.write(work)
    assert await store.read(lambda tx: tx.covered("shore")) == {(1, 2): 40, (9, 5): 1}
    assert await store.read(lambda tx: tx.covered("ship")) == {(1, 2): 7}
    assert await store.read(lambda tx: tx.covered("other")) == {}
    assert await store.read(lambda tx: [tx.compared(p, e) for p, e in (("shore", 1), ("shore", 2), ("ship", 1))]) == [
        30,
        0,
        0,
    ]


async def test_what_waits_is_counted_by_what_is_covered(store: Store) -> None:
    await fill(store)
    everything = await store.read(lambda tx: list(tx.events(0, 999)))
    waiting = await store.read(lambda tx: waits(tx, "shore"))
    assert waiting.events == 60
    assert waiting.bytes == sum(len(encode_payload(event.payload)) for event in everything)
    assert waiting.oldest_at_s == everything[0].at_s
    doors = [event for event in everything if class_of(event.type) == INSIGHT]

    def cover(tx: Tx) -> None:
        for cls in CLASSES:
            tx.set_covered("shore", tx.epoch(), cls, doors[-3].seq if cls == INSIGHT else 60)

    await store.write(cover)
    waiting = await store.read(lambda tx: waits(tx, "shore"))
    assert (waiting.events, waiting.oldest_at_s) == (2, doors[-2].at_s)
    assert waiting.bytes == sum(len(encode_payload(event.payload)) for event in doors[-2:])
    assert (await store.read(lambda tx: waits(tx, "ship"))).events == 60


async def test_the_size_of_a_long_queue_is_judged_by_its_beginning(store: Store) -> None:
    await store.write(lambda tx: [tx.append_event(fact(EventType.DOOR_OPENED, AT_S, serial=n)) for n in range(1200)])
    waiting = await store.read(lambda tx: waits(tx, "shore"))
    assert waiting.events == 1200
    assert 1200 * 9 <= waiting.bytes <= 1200 * 11


async def test_counting_on_gives_what_counting_anew_gives_whatever_happened_between(store: Store) -> None:
    """Events come, acknowledgements come and go back, a look is skipped: the same figure."""
    draw, known = random.Random(3), dict[tuple[int, int], Span]()

    def step(tx: Tx) -> None:
        for event in draw.choices(EVENTS, k=draw.randrange(20)):
            tx.append_event(event)
        for cls in draw.sample(CLASSES, 2):
            tx.set_covered("shore", tx.epoch(), cls, draw.randrange(tx.newest_seq(tx.epoch()) + 10))

    for _ in range(60):
        await store.write(step)
        if draw.random() < 0.7:
            counted, known = await store.read(lambda tx, known=known: look(tx, "shore", known))  # type: ignore[misc]
            assert counted == await store.read(lambda tx: waits(tx, "shore"))
            assert all(span.count >= 0 for span in known.values())


async def test_a_look_at_a_long_queue_counts_only_what_is_new(store: Store) -> None:
    class Counting:
        steps = 0

        def __init__(self, tx: Tx) -> None:
            self._tx = tx

        def __getattr__(self, name: str) -> object:
            return getattr(self._tx, name)

        def count_of(self, cls: int, epoch: int, after_seq: int, upto_seq: int) -> int:
            found = self._tx.count_of(cls, epoch, after_seq, upto_seq)
            Counting.steps += found
            return found

    await store.write(lambda tx: [tx.append_event(event) for event in EVENTS * 20])
    _, known = await store.read(lambda tx: look(tx, "shore", {}))
    await store.write(lambda tx: [tx.append_event(event) for event in EVENTS[:7]])
    counted, _ = await store.read(lambda tx: look(Counting(tx), "shore", known))  # type: ignore[arg-type]
    assert (counted.events, Counting.steps) == (len(EVENTS) * 20 + 7, 7)


async def test_bytes_add_up_by_day_and_class_and_old_days_are_forgotten(store: Store) -> None:
    def work(tx: Tx) -> None:
        for day, cls, count in ((10, 2, 5), (10, 2, 6), (10, 4, 1), (11, 2, 9), (10, LINK, 3), (10, LINK, 4)):
            tx.spend_bytes("shore", day, cls, count)
        tx.spend_bytes("ship", 10, 2, 100)

    await store.write(work)
    assert await store.read(lambda tx: tx.bytes_spent("shore", 10)) == {2: 11, 4: 1, LINK: 7}
    assert await store.read(lambda tx: tx.bytes_spent("shore", 11)) == {2: 9}
    await store.write(lambda tx: [tx.spend_bytes("shore", 11 + BYTES_DAYS_KEPT, cls, 1) for cls in (2, LINK)])
    assert await store.read(lambda tx: [tx.bytes_spent("shore", day) for day in (10, 11)]) == [{}, {2: 9}]
    assert await store.read(lambda tx: tx.bytes_spent("ship", 10)) == {2: 100}


async def test_versions_from_above_only_grow(store: Store) -> None:
    assert await store.read(lambda tx: tx.down("deny")) is None
    await store.write(lambda tx: tx.put_down(RECORD))
    for version in (3, 2):
        with pytest.raises(Conflict, match="a version as high"):
            await store.write(lambda tx, v=version: tx.put_down(replace(RECORD, version=v, body=b"other")))  # type: ignore[misc]
    await store.write(lambda tx: tx.put_down(replace(RECORD, kind="freeze", version=1)))
    await store.write(lambda tx: tx.put_down(replace(RECORD, version=9)))
    assert await store.read(lambda tx: tx.down("deny")) == replace(RECORD, version=9)
    assert await store.read(lambda tx: tx.downs("deny", 5)) == [replace(RECORD, version=9), RECORD]
    assert await store.read(lambda tx: tx.downs("deny", 1)) == [replace(RECORD, version=9)]
    assert await store.read(lambda tx: tx.downs("deny", -1)) == []


async def test_only_the_last_versions_are_kept(store: Store) -> None:
    for version in range(1, DOWNS_KEPT + 5):
        await store.write(lambda tx, v=version: tx.put_down(replace(RECORD, version=v)))  # type: ignore[misc]
    kept = await store.read(lambda tx: [record.version for record in tx.downs("deny", 99)])
    assert kept == list(range(DOWNS_KEPT + 4, 4, -1))


@pytest.mark.parametrize(
    "wrong", [{"version": 0}, {"kind": ""}, {"sha256": b"short"}, {"body": bytes(128 * 1024 + 1)}], ids=str
)
async def test_a_record_that_cannot_be_is_refused(store: Store, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="needed"):
        await store.write(lambda tx: tx.put_down(replace(RECORD, **wrong)))  # type: ignore[arg-type]
    assert await store.read(lambda tx: tx.downs("deny", 9)) == []


WRITES = {
    "set_covered": lambda tx: tx.set_covered("shore", 1, 2, 50),
    "set_compared": lambda tx: tx.set_compared("shore", 1, 30),
    "spend_bytes": lambda tx: tx.spend_bytes("shore", 10, 2, 5),
    "put_down": lambda tx: tx.put_down(RECORD),
}


def everything(tx: Tx) -> tuple[object, ...]:
    return tx.covered("shore"), tx.compared("shore", 1), tx.bytes_spent("shore", 10), tx.downs("deny", 9)


@pytest.mark.parametrize("name", WRITES)
async def test_a_failed_closure_leaves_nothing_and_a_read_writes_nothing(store: Store, name: str) -> None:
    before = await store.read(everything)

    def fail(tx: Tx) -> None:
        WRITES[name](tx)
        assert everything(tx) != before
        raise Refused("late")

    with pytest.raises(Refused):
        await store.write(fail)
    assert await store.read(everything) == before
    with pytest.raises(ReadOnlyError):
        await store.read(WRITES[name])
    await store.write(WRITES[name])
    assert await store.read(everything) != before


# Epochs before a restore


def outbox(tx: Tx) -> tuple[object, ...]:
    epochs = list(tx.epochs())
    by_class = [list(tx.events_of(cls, epoch, 0, 99)) for epoch, _ in epochs for cls in CLASSES]
    newest = [tx.newest_of_class(epoch, cls) for epoch, _ in epochs for cls in CLASSES]
    return epochs, by_class, newest, [list(tx.events_in(e, 0, 99)) for e, _ in epochs], waits(tx, "shore")


async def test_old_epochs_are_served_alike_by_both_stores(tmp_path: Path) -> None:
    path, copy = tmp_path / "steward.db", tmp_path / "backup.db"
    sqlite: Store = SqliteStore.open(path, DATA_KEY)
    await fill(sqlite)
    await sqlite.write(lambda tx: tx.set_covered("shore", 1, 2, 20))
    await sqlite.close()
    backup(path, copy)
    memory = MemoryStore()
    await fill(memory)
    await memory.write(lambda tx: tx.set_covered("shore", 1, 2, 20))
    for epoch in (AT_S, AT_S + 5):
        restore(copy, path, DATA_KEY, at_s=epoch)
        copy.unlink()
        backup(path, copy)
        memory = memory.restored(epoch, epoch)
    sqlite = SqliteStore.open(path, DATA_KEY)
    try:
        found = await sqlite.read(outbox)
        assert found == await memory.read(outbox)
        assert found[0] == [(1, 60), (AT_S, 1), (AT_S + 5, 1)]
    finally:
        await sqlite.close()


async def test_a_restored_memory_store_is_a_store_of_its_own(open_store: OpenStore) -> None:
    store = MemoryStore()
    await fill(store)
    copy = store.restored(5, AT_S)
    await copy.write(lambda tx: tx.append_event(EVENTS[0]))
    assert await store.read(lambda tx: tx.epochs()) == [(1, 60)]
    assert await copy.read(lambda tx: tx.epochs()) == [(1, 60), (5, 2)]
    (first,) = await copy.read(lambda tx: tx.events(0, 1))
    assert first.type is EventType.STORE_RESTORED
    assert first.payload == {"epoch": 5, "backup_epoch": 1, "backup_seq": 60}


# SQLite's own

PLANS = {
    "EVENTS_OF": "USING INDEX event_by_class (epoch=? AND <expr>=? AND seq>?)",
    "EVENTS_IN": "USING PRIMARY KEY (epoch=? AND seq>?)",
    "NEWEST_SEQ": "USING PRIMARY KEY (epoch=?)",
    "NEWEST_OF_CLASS": "USING COVERING INDEX event_by_class (epoch=? AND <expr>=?)",
    "COUNT_OF": "USING COVERING INDEX event_by_class (epoch=? AND <expr>=? AND seq>? AND seq<?)",
    "SIZES_OF": "USING INDEX event_by_class (epoch=? AND <expr>=? AND seq>?)",
    "COVERED": "peer_covered USING PRIMARY KEY (peer=?)",
    "COMPARED": "USING PRIMARY KEY (peer=? AND epoch=?)",
    "BYTES_SPENT": "USING PRIMARY KEY (peer=? AND day=?)",
    "FORGET_BYTES": "USING PRIMARY KEY (peer=? AND day<?)",
    "DOWNS": "USING PRIMARY KEY (kind=?)",
    "FORGET_DOWNS": "down_record USING PRIMARY KEY (kind=? AND version<?)",
    "EPOCHS": "SEARCH e USING COVERING INDEX event_by_class (epoch>?)",
}


def test_no_query_of_the_link_reads_the_whole_log(tmp_path: Path) -> None:
    path = tmp_path / "steward.db"
    with_store(path, *[_thousand] * 100)
    connection = sqlite3.connect(path)
    try:
        connection.execute("ANALYZE")
        for name, expected in PLANS.items():
            query = getattr(sync, name)
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", (1,) * query.count("?"))]
            assert any(expected in line for line in plan), (name, plan)
            assert not [line for line in plan if line.startswith("SCAN event") or "TEMP B-TREE" in line], (name, plan)
        for name, values in (("EPOCHS", ()), ("NEWEST_OF_CLASS", (1, 2)), ("EVENTS_OF", (1, 2, 99_000, 5))):
            assert _steps(connection, getattr(sync, name), values) < 500, name
    finally:
        connection.close()


def _thousand(tx: Tx) -> None:
    for n in range(1000):
        told = fact(EventType.LOOKED_UP, AT_S, look=n) if n % 2 else fact(EventType.STAFF_ALERT, AT_S, taps=n)
        tx.append_event(told)


def _steps(connection: sqlite3.Connection, query: str, values: tuple[int, ...]) -> int:
    """Steps of SQLite's machine."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(tick, 1)
    connection.execute(query, values).fetchall()
    connection.set_progress_handler(None, 1)
    return count


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE down_record SET body = x'00'",
        "UPDATE down_record SET version = 99",
        "DELETE FROM down_record",
        "INSERT INTO down_record VALUES ('deny', 2, 0, 0, zeroblob(32), x'')",
        "INSERT OR REPLACE INTO down_record VALUES ('deny', 3, 0, 0, zeroblob(32), x'')",
        "INSERT INTO peer_covered VALUES ('shore', 1, 6, 1)",
        "INSERT INTO bytes_spent VALUES ('shore', 1, 2, -1)",
    ],
)
def test_the_database_itself_refuses(tmp_path: Path, attack: str) -> None:
    path = tmp_path / "steward.db"
    with_store(path, lambda tx: tx.put_down(RECORD))
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(attack)
        assert connection.execute("SELECT kind, version FROM down_record").fetchall() == [("deny", 3)]
    finally:
        connection.close()
