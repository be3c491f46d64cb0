"""The approval tables keep their promises by themselves, and an older database's refunds are taken over."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.contract import makers
from tests.contract.test_store_approvals import P1, P2, approval, done, posted
from tests.vaultkit import DATA_KEY, lay_store, sealing

from steward.adapters.sqlite import desk
from steward.adapters.sqlite.connect import connect
from steward.adapters.sqlite.migrations import migrate, scripts
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.approvals import GivenAlone
from steward.ports import Tx

_INSERT = "INSERT {} INTO approval SELECT {}, '{}', kind, tap_id, guest, amount_minor, currency, '{}', reason, "
_INSERT += "asked_by, said_by, asked_at_s, expires_at_s, '{}', {} FROM approval WHERE seq = 2"
_CORRECTION = "INSERT {} INTO correction SELECT {}, {}, tap_id, guest, {}, {}, second, {}, at_s FROM correction"
ATTACKS = {
    "approved by the one who asked": f"UPDATE approval SET state='done', decided_by='{P1}', decided_at_s=1",
    "approved by the one who was named": "UPDATE approval SET state='done', decided_by='c117', decided_at_s=1",
    "approved by nobody": "UPDATE approval SET state='done', decided_at_s=1",
    "approved at no time": f"UPDATE approval SET state='done', decided_by='{P2}' WHERE seq = 2",
    "amount raised": "UPDATE approval SET amount_minor = 99999 WHERE seq = 2",
    "asker changed": f"UPDATE approval SET asked_by = '{P2}' WHERE seq = 2",
    "decided again": "UPDATE approval SET state='refused', decided_at_s=3 WHERE seq = 1",
    "made pending again": "UPDATE approval SET state='pending', decided_by='', decided_at_s=NULL WHERE seq = 1",
    "removed": "DELETE FROM approval",
    "inserted done": _INSERT.format("", 9, "9" * 32, "x", "done", f"'{P2}', 1"),
    "pending twice": _INSERT.format("", 9, "9" * 32, "r2", "pending", "'', NULL"),
    "pending replaced": _INSERT.format("OR REPLACE", 9, "9" * 32, "r2", "pending", "'', NULL"),
    "done replaced": _INSERT.format("OR REPLACE", 1, "9" * 32, "x", "pending", "'', NULL"),
    "id replaced": _INSERT.format("OR REPLACE", 9, approval(1).id, "x", "pending", "'', NULL"),
    "correction changed": f"UPDATE correction SET by = '{P2}'",
    "correction removed": "DELETE FROM correction",
    "correction twice": _CORRECTION.format("", 9, "id", "amount_minor", "by", "approval"),
    "correction replaced": _CORRECTION.format("OR REPLACE", "seq", "'x'", "amount_minor", "by", "NULL"),
    "correction of nothing": _CORRECTION.format("", 9, "'x'", "amount_minor", "by", "NULL"),
    "correction of another amount": _CORRECTION.format("", 9, "'x'", 1, "by", "NULL"),
    "correction by nobody": _CORRECTION.format("", 9, "'x'", "amount_minor", "''", "NULL"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "steward.db"


async def fill(path: Path) -> None:
    def work(tx: Tx) -> None:
        tx.put_approval(approval(1, tap_id=makers.tap_id(1), amount_minor=50, refund_id="r10"))
        tx.put_approval(approval(2))
        tx.put_approval(done(approval(1, tap_id=makers.tap_id(1), amount_minor=50, refund_id="r10")))
        made = posted(tx, 10, 50)
        tx.put_correction(made)

    store = SqliteStore.open(lay_store(path), DATA_KEY)
    await store.write(work)
    await store.close()


@pytest.mark.parametrize("foreign_keys", [0, 1])
@pytest.mark.parametrize("attack", ATTACKS)
async def test_raw_sql_is_refused(path: Path, attack: str, foreign_keys: int) -> None:
    await fill(path)
    connection = sqlite3.connect(path)
    try:
        connection.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        before = list(connection.iterdump())
        with pytest.raises(sqlite3.IntegrityError):
            connection.executescript(ATTACKS[attack])
        connection.rollback()
        assert list(connection.iterdump()) == before
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("query", "values", "index"),
    [
        (desk.NEWEST_APPROVAL, ("t", "refund", "r"), "approval_of_correction"),
        (desk.PENDING_APPROVALS, (), "USING INDEX approval_pending "),
        (desk.ALONE_OF_TAP, ("t",), "COVERING INDEX correction_of_tap"),
        (desk.ALONE_TO_GUEST, ("g",), "COVERING INDEX correction_of_guest"),
    ],
)
async def test_queries_use_indexes(path: Path, query: str, values: tuple[str, ...], index: str) -> None:
    await fill(path)
    connection = sqlite3.connect(path)
    try:
        plan = " ".join(f"{row[3]} " for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values))
    finally:
        connection.close()
    assert index in plan


async def test_refunds_made_before_there_were_approvals_count_for_their_charge(path: Path) -> None:
    """Written by schema version 4, which knew no corrections."""
    path.touch(0o600)
    connection = connect(path)
    with sealing(path) as functions:
        migrate(connection, path, functions, steps=scripts()[:4])
    connection.close()
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO ledger_transaction (id, kind, at_s, currency, tap_id, memo, entries) "
        f"""VALUES ('{"e" * 32}', 'refund', 5, 'EUR', '{makers.tap_id(1)}', '', """
        f"""'{{"guest:{makers.ANNA}":-300,"revenue:bar":300}}')"""
    )
    connection.commit()
    connection.close()
    store = SqliteStore.open(path, DATA_KEY)
    assert await store.read(lambda tx: tx.given_alone(makers.tap_id(1), makers.ANNA, P1)) == GivenAlone(300, 0)
    (old,) = await store.read(lambda tx: tx.corrections_of(makers.tap_id(1)))
    assert (old.by, old.second, old.amount_minor) == ("", "", 300)
    await store.close()
