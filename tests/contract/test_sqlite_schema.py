"""The schema keeps its promises by itself: raw SQL is refused, with foreign keys on or off; hot queries use indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.contract import makers
from tests.contract.serviceparts import offer
from tests.vaultkit import DATA_KEY, lay_store

from steward.adapters.sqlite import access, charges, events, guests, ledger, offers
from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import find_damage
from steward.domain.offers import OfferId, OfferState
from steward.ports import Tx

_TRANSACTION = """
INSERT {} INTO ledger_transaction (id, kind, at_s, currency, memo, entries) VALUES ('{}', 'charge', 1, 'EUR', '', '{}')
"""
ATTACKS = {
    "lone posting": "INSERT INTO posting VALUES ('guest:x', 99, 5)",
    "posting added later": "INSERT INTO posting VALUES ('guest:x', 1, 5)",
    "posting repeated": "INSERT OR REPLACE INTO posting VALUES ('guest:00000000000000aa', 1, 450)",
    "posting enlarged": "INSERT OR REPLACE INTO posting VALUES ('guest:00000000000000aa', 1, 451)",
    "posting changed": "UPDATE posting SET amount_minor = 1",
    "posting removed": "DELETE FROM posting WHERE account = 'revenue:pool-bar'",
    "transaction changed": "UPDATE ledger_transaction SET memo = 'x'",
    "transaction replaced": _TRANSACTION.format("OR REPLACE", "0" * 31 + "1", '{"a":1,"b":-1}'),
    "transaction ignored": _TRANSACTION.format("OR IGNORE", "0" * 31 + "1", '{"a":1,"b":-1}'),
    "sequence replaced": """
        INSERT OR REPLACE INTO ledger_transaction (seq, id, kind, at_s, currency, memo, entries)
        VALUES (1, 'n', 'charge', 1, 'EUR', '', '{"a":1,"b":-1}')
    """,
    "transaction removed": "DELETE FROM ledger_transaction",
    "upsert": _TRANSACTION.format("", "0" * 31 + "1", '{"a":1,"b":-1}') + "ON CONFLICT DO UPDATE SET memo = 'x'",
    "unbalanced": _TRANSACTION.format("", "n", '{"a":1,"b":-2}'),
    "one posting": _TRANSACTION.format("", "n", '{"a":1}'),
    "no posting": _TRANSACTION.format("", "n", "{}"),
    "zero posting": _TRANSACTION.format("", "n", '{"a":0,"b":0}'),
    "account twice": _TRANSACTION.format("", "n", '{"a":1,"a":-1}'),
    "fractions": _TRANSACTION.format("", "n", '{"a":0.5,"b":-0.5}'),
    "text amounts": _TRANSACTION.format("", "n", '{"a":"1","b":"-1"}'),
    "truth amounts": _TRANSACTION.format("", "n", '{"a":true,"b":-1}'),
    "null amounts": _TRANSACTION.format("", "n", '{"a":null,"b":1,"c":-1}'),
    "too large": _TRANSACTION.format("", "n", '{"a":9007199254740992,"b":-9007199254740992}'),
    "overflow": _TRANSACTION.format("", "n", '{"a":9223372036854775807,"b":9223372036854775807,"c":2}'),
    "nested": _TRANSACTION.format("", "n", '{"a":[1],"b":{"c":-1}}'),
    "a list": _TRANSACTION.format("", "n", "[1,-1]"),
    "no account": _TRANSACTION.format("", "n", '{"":1,"b":-1}'),
    "not JSON": _TRANSACTION.format("", "n", '{"a":1,"b":-1'),
    "too many": _TRANSACTION.format("", "n", "{" + ",".join(f'"a{n}":{1 if n % 2 else -1}' for n in range(102)) + "}"),
    "another currency": _TRANSACTION.format("", "n", '{"guest:00000000000000bb":1,"b":-1}'),
    "guest's currency": "UPDATE guest SET currency = 'NOK'",
    "event changed": "UPDATE event SET at_s = 0",
    "event removed": "DELETE FROM event",
    "event replaced": "INSERT OR REPLACE INTO event SELECT epoch, 1, 101, 0, x'a0' FROM store_state",
    "event gap": "INSERT INTO event SELECT epoch, 3, 101, 0, x'a0' FROM store_state",
    "event of another epoch": "INSERT INTO event SELECT epoch + 1, 1, 101, 0, x'a0' FROM store_state",
    "epoch back": "UPDATE store_state SET epoch = 0",
    "epoch gone": "DELETE FROM store_state",
    "second epoch": "INSERT INTO store_state VALUES (2, 9)",
    "charge of nothing": "UPDATE charge SET amount_minor = 0",
    "refund of more": "UPDATE charge SET refunded_minor = amount_minor + 1",
    "wrong type": "UPDATE charge SET at_s = 'noon'",
}


@pytest_asyncio.fixture
async def filled(tmp_path: Path) -> AsyncIterator[Path]:
    """A database with a little of everything, closed."""
    path = lay_store(tmp_path / "steward.db")
    store = SqliteStore.open(path, DATA_KEY)

    def fill(tx: Tx) -> None:
        tx.put_guest(makers.guest())
        tx.put_guest(makers.guest(makers.BOB, currency="SEK"))
        tx.post(makers.transaction())
        tx.put_charge(makers.charge())
        tx.append_event(makers.event())

    await store.write(fill)
    await store.close()
    yield path


def _dump(connection: sqlite3.Connection) -> list[str]:
    return list(connection.iterdump())


@pytest.mark.parametrize("foreign_keys", ["ON", "OFF"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_raw_sql_cannot_break_the_records(filled: Path, attack: str, foreign_keys: str) -> None:
    connection = sqlite3.connect(filled, isolation_level=None)
    try:
        connection.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        before = _dump(connection)
        with pytest.raises(sqlite3.Error):
            connection.execute(ATTACKS[attack])
        assert _dump(connection) == before
        assert find_damage(connection, SCHEMA_VERSION) == []
    finally:
        connection.close()


@pytest.mark.parametrize("conflict", ["", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ABORT", "OR ROLLBACK"])
def test_a_sound_transaction_by_raw_sql_keeps_balances_right(filled: Path, conflict: str) -> None:
    connection = sqlite3.connect(filled, isolation_level=None)
    try:
        entries = '{"guest:00000000000000aa":50,"revenue:pool-bar":-50}'
        connection.execute(_TRANSACTION.format(conflict, "n", entries))
        rows = connection.execute("SELECT account, balance_minor FROM account_balance ORDER BY account").fetchall()
        assert rows == [("guest:00000000000000aa", 500), ("revenue:pool-bar", -500)]
        assert find_damage(connection, SCHEMA_VERSION) == []
    finally:
        connection.close()


def test_every_table_is_strict(filled: Path) -> None:
    connection = sqlite3.connect(filled)
    try:
        loose = "SELECT name FROM pragma_table_list WHERE strict = 0 AND type <> 'view' AND name NOT LIKE 'sqlite_%'"
        assert connection.execute(loose).fetchall() == []
        assert len(connection.execute("SELECT name FROM pragma_table_list WHERE strict = 1").fetchall()) >= 14
    finally:
        connection.close()


PLANS = {
    "spent_since": (charges.SPENT_SINCE, "USING COVERING INDEX charge_of_guest (guest=? AND at_s>?)"),
    "similar_charge": (charges.SIMILAR_CHARGE, "USING INDEX charge_of_guest (guest=? AND at_s>?)"),
    "held_of": (charges.HELD_OF, "USING INDEX charge_of_guest (guest=?)"),
    "charges_of": (charges.CHARGES_OF, "USING INDEX charge_of_guest (guest=?)"),
    "charge": (charges.CHARGE, "(tap_id=?)"),
    "balance": (ledger.BALANCE, "account_balance USING PRIMARY KEY (account=?)"),
    "ledger_of": (ledger.LEDGER_OF, "USING PRIMARY KEY (account=?)"),
    "events": (events.EVENTS, "USING PRIMARY KEY (epoch=? AND seq>?)"),
    "next_event": (events.NEXT_EVENT, "USING PRIMARY KEY (epoch=?)"),
    "meta": (events.META, "USING PRIMARY KEY (key=?)"),
    "guest": (guests.GUEST, "(ref=?)"),
    "band": (guests.BAND, "USING PRIMARY KEY (uid=?)"),
    "bands_of": (guests.BANDS_OF, "USING INDEX band_of_guest (guest=?)"),
    "key_changes": (guests.KEY_CHANGES, "USING PRIMARY KEY (uid=?)"),
    "stay_of": (access.STAY_OF, "(rowid=?)"),
    "serial_of": (access.SERIAL_OF, "USING PRIMARY KEY (guest=?)"),
    "denied_at": (access.DENIED_AT, "USING PRIMARY KEY (uid=?)"),
    "deny_epoch": (access.DENY_EPOCH, "SEARCH denied USING COVERING INDEX denied_by_epoch"),
    "charge_counter": (access.CHARGE_COUNTER, "USING PRIMARY KEY (uid=? AND kind=?)"),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_query_of_a_decision_uses_an_index(filled: Path, name: str) -> None:
    query, expected = PLANS[name]
    connection = sqlite3.connect(filled)
    try:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", (1,) * query.count("?")).fetchall()
    finally:
        connection.close()
    plan = [row[3] for row in rows]
    assert any(expected in line for line in plan), plan
    scans = [line for line in plan if line.startswith("SCAN") and line not in ("SCAN s", "SCAN store_state")]
    assert scans == []  # store_state has one row
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan  # sorting what came in the same second is all right


async def test_the_last_of_a_guest_cost_the_same_however_many_there_are(filled: Path) -> None:
    """In steps of SQLite's machine. A few offers among them are never wanted again."""
    limit = 20

    async def add(from_: int, to: int) -> None:
        def fill(tx: Tx) -> None:
            for n in range(from_, to):
                tx.put_charge(makers.charge(100 + n, at_s=makers.AT_S + n))
                state = OfferState.WRONG if n < 200 and n % 40 == 0 else OfferState.SHOWN
                tx.put_offer(offer(OfferId(f"{n:032x}"), at_s=makers.AT_S + n, state=state))

        store = SqliteStore.open(filled, DATA_KEY)
        await store.write(fill)
        await store.close()

    def steps(query: str) -> tuple[int, int]:
        connection, counted = sqlite3.connect(filled, isolation_level=None), [0]

        def tick() -> int:
            counted[0] += 1
            return 0

        values = (*(makers.ANNA,) * (query.count("?") - 1), limit)
        try:
            connection.execute(query, values).fetchall()  # the first use of a connection also reads the schema
            connection.set_progress_handler(tick, 1)
            return len(connection.execute(query, values).fetchall()), counted[0]
        finally:
            connection.close()

    await add(0, 200)
    before = {query: steps(query) for query in (charges.LAST_CHARGES_OF, offers.LAST_OFFERS_OF)}
    await add(200, 5000)
    after = {query: steps(query) for query in before}
    assert [rows for rows, _ in after.values()] == [limit, limit + 5]
    for query, (_, count) in after.items():
        assert count <= before[query][1] * 1.5


def test_balances_do_not_slow_down_with_the_ledger(filled: Path) -> None:
    """The work of a balance, in steps of SQLite's machine, is the same after a thousand more postings."""
    connection = sqlite3.connect(filled, isolation_level=None)

    def steps() -> int:
        count = 0

        def tick() -> int:
            nonlocal count
            count += 1
            return 0

        connection.set_progress_handler(tick, 1)
        connection.execute(ledger.BALANCE, (makers.BARS_ACCOUNT,)).fetchall()
        connection.set_progress_handler(None, 1)
        return count

    try:
        steps()  # the first use of a connection also reads the schema
        before = steps()
        entries = '{"guest:00000000000000aa":50,"revenue:pool-bar":-50}'
        connection.execute("BEGIN")
        for number in range(500):
            connection.execute(_TRANSACTION.format("", f"n{number}", entries))
        connection.execute("COMMIT")
        assert steps() == before
    finally:
        connection.close()
