"""Schema versions: a database of each old version is migrated with its data, and nothing is ever half done.

tests/data/store_v1.db was filled under schema version 1: two guests with a band each, a lost band, a deposit, and a
charge in every state; store_v2.db is the same one version on. They are never made anew.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from tests.vaultkit import DATA_KEY, sealing

from steward.adapters.sqlite.backup import restore
from steward.adapters.sqlite.connect import connect, create_file
from steward.adapters.sqlite.migrations import SCHEMA_VERSION, migrate, migrate_file, read_version, scripts
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import verify_file
from steward.domain.charges import ChargeState
from steward.domain.events import EventType
from steward.domain.guests import CabinStay
from steward.domain.ids import AccountId, GuestRef, TapId, TillId, Uid
from steward.errors import StoreUnavailable
from steward.ports import Tx

T = TypeVar("T")
DATA = Path(__file__).parents[1] / "data"
OLD = DATA / "store_v1.db"
SHIPPED = [OLD, DATA / "store_v2.db"]
AT_S = 1_790_000_000
ADULT, CHILD = GuestRef("5f1c9a02b7d34e80"), GuestRef("0a77c1d2e3f40516")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    copy = tmp_path / "steward.db"
    shutil.copy(OLD, copy)
    return copy


def visit(path: Path, work: Callable[[Tx], T]) -> T:
    async def live() -> T:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            return await store.write(work)
        finally:
            await store.close()

    return asyncio.run(live())


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version)
    finally:
        connection.close()


def schema_of(path: Path) -> list[tuple[str, str, str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    finally:
        connection.close()


def test_an_old_database_opens_with_everything_in_it(path: Path) -> None:
    def look(tx: Tx) -> None:
        adult, child = tx.guest(ADULT), tx.guest(CHILD)
        assert adult is not None
        assert child is not None
        assert adult.cabins == (CabinStay(8104, 3), CabinStay(8106, 9))
        assert adult.pin is not None
        assert (adult.pin.salt, adult.pin.digest) == (b"\x01" * 16, b"\x02" * 32)
        assert (child.child, child.cabins, child.pin) == (True, (CabinStay(8104, 3),), None)
        assert [b.uid for b in tx.bands_of(ADULT)] == [Uid("04A1B2C3D4E5F6")]
        assert [(c.key_no, c.new_version, c.done) for c in tx.key_changes(Uid("04112233445566"))] == [
            (n, 3, True) for n in range(5)
        ]
        assert (tx.stay_of(8104), tx.serial_of(ADULT), tx.deny_epoch()) == (3, 1, 4)
        assert tx.denied_at(Uid("04DEADBEEF0001")) == 4
        assert tx.meta("site") == "7"
        assert [e.seq for e in tx.events(0, 99)] == list(range(1, 14))
        assert [e.type for e in tx.events(12, 1)] == [EventType.CHARGE_DISPUTED]
        disputed = tx.charge(TapId(f"{7:032x}"))
        assert disputed is not None
        assert (disputed.state, disputed.reason) == (ChargeState.DISPUTED, "")

    visit(path, look)


def test_balances_are_made_from_the_postings_there_were(path: Path) -> None:
    accounts = [f"guest:{ADULT}", f"guest:{CHILD}", "revenue:aft-bar", "clearing:deposit", "guest:none"]
    found = visit(path, lambda tx: [tx.balance(AccountId(account)) for account in accounts])
    assert found == [-90_100, 22_400, -32_300, 100_000, 0]
    assert visit(path, lambda tx: tx.ledger_sum()) == 0
    assert verify_file(path) == SCHEMA_VERSION


def test_an_old_database_goes_on_being_used(path: Path) -> None:
    def work(tx: Tx) -> tuple[int, int, int]:
        tx.set_charge_counter(Uid("04A1B2C3D4E5F6"), "charge", 99)
        similar = tx.similar_charge(CHILD, TillId("BAR00001"), 9900, AT_S)
        assert similar is not None
        assert similar.request.tap_id == TapId(f"{3:032x}")
        return tx.spent_since(ADULT, 0), tx.spent_since(CHILD, 0), tx.charge_counter(Uid("04A1B2C3D4E5F6"), "charge")

    assert visit(path, work) == (9900, 12_500 + 9900 + 9900, 99)


def test_a_copy_of_the_old_database_is_kept_beside_it(path: Path) -> None:
    done = migrate_file(path, DATA_KEY)
    assert (done.before, done.after) == (1, SCHEMA_VERSION)
    assert done.kept == path.with_name(f"steward.db.before-v{SCHEMA_VERSION}")
    assert stat.S_IMODE(done.kept.stat().st_mode) == 0o600
    assert verify_file(done.kept) == 1
    old, kept = sqlite3.connect(OLD), sqlite3.connect(done.kept)
    try:
        assert list(kept.iterdump()) == list(old.iterdump())
    finally:
        old.close()
        kept.close()


def test_a_second_migration_does_nothing(path: Path) -> None:
    migrate_file(path, DATA_KEY)
    before = path.read_bytes()
    again = migrate_file(path, DATA_KEY)
    assert (again.before, again.after, again.kept) == (SCHEMA_VERSION, SCHEMA_VERSION, None)
    assert path.read_bytes() == before


def test_a_migrated_database_and_a_new_one_are_made_alike(path: Path) -> None:
    new = path.with_name("new.db")
    assert migrate_file(new, DATA_KEY).before == 0
    migrate_file(path, DATA_KEY)
    assert schema_of(path) == schema_of(new)


@pytest.mark.parametrize("old", SHIPPED, ids=lambda old: old.stem)
def test_a_shipped_script_is_never_edited(old: Path, tmp_path: Path) -> None:
    copy, made = tmp_path / "copy.db", tmp_path / "made.db"
    shutil.copy(old, copy)
    create_file(made)
    connection = connect(made)
    with sealing(made) as functions:
        migrate(connection, made, functions, steps=scripts()[: version_of(copy)])
    connection.close()
    assert schema_of(made) == schema_of(copy)


@pytest.mark.parametrize("old", SHIPPED, ids=lambda old: old.stem)
def test_every_shipped_version_comes_to_the_last_with_its_books(old: Path, tmp_path: Path) -> None:
    copy = tmp_path / "steward.db"
    shutil.copy(old, copy)
    before = version_of(copy)
    assert visit(copy, lambda tx: (tx.balance(AccountId("clearing:deposit")), tx.ledger_sum())) == (100_000, 0)
    assert (before, version_of(copy)) == (SHIPPED.index(old) + 1, SCHEMA_VERSION)


def test_a_newer_database_is_refused_and_left_alone(path: Path) -> None:
    migrate_file(path, DATA_KEY)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 5}")
    connection.close()
    for opener in (SqliteStore.open, migrate_file):
        with pytest.raises(StoreUnavailable) as caught:
            opener(path, DATA_KEY)
        assert f"schema version {SCHEMA_VERSION + 5}" in str(caught.value)
        assert "run the newer program" in str(caught.value)
    assert version_of(path) == SCHEMA_VERSION + 5


@pytest.mark.parametrize(
    "bad_step",
    [
        "CREATE TABLE extra (id INTEGER) STRICT; INSERT INTO no_such_table VALUES (1);",
        "DELETE FROM charge; DELETE FROM ledger_transaction;",
        "CREATE TABLE extra (id INTEGER) STRICT; this is not SQL;",
    ],
)
def test_a_migration_that_fails_leaves_the_version_before_it_whole(path: Path, bad_step: str) -> None:
    connection = connect(path)
    try:
        with (
            sealing(path) as functions,
            pytest.raises(StoreUnavailable, match=rf"schema version {SCHEMA_VERSION + 1}: .* Nothing was changed"),
        ):
            migrate(connection, path, functions, steps=[*scripts(), bad_step])
        assert not connection.in_transaction
        assert read_version(connection, path) == SCHEMA_VERSION
        assert connection.execute("SELECT count(*) FROM charge").fetchone() == (7,)
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").fetchone() == (0,)
    finally:
        connection.close()
    assert visit(path, lambda tx: tx.balance(AccountId("clearing:deposit"))) == 100_000


def test_a_failed_copy_stops_the_migration(path: Path) -> None:
    path.with_name(f"steward.db.before-v{SCHEMA_VERSION}").mkdir()
    with pytest.raises(StoreUnavailable, match="before-v"):
        migrate_file(path, DATA_KEY)
    assert version_of(path) == 1


def test_a_backup_of_an_old_version_is_restored_and_migrated(path: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    backup = tmp_path / "backup.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    path.rename(backup)
    done = restore(backup, fresh, DATA_KEY, at_s=AT_S)
    assert version_of(fresh) == SCHEMA_VERSION
    assert version_of(backup) == 1
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "backup.db",
        "fresh.db",
        "fresh.db.lock",
        "fresh.guest-keys.db",
    ]
    assert visit(fresh, lambda tx: (tx.epoch(), tx.balance(AccountId("clearing:deposit")))) == (done.epoch, 100_000)
