"""The database that tests are given prepared is the one that a first start makes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.vaultkit import DATA_KEY, lay_store

from steward.adapters.sqlite.guestkeys import keys_path
from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.store import SqliteStore

OWN = ('INSERT INTO "vault_state"', 'INSERT INTO "vault"')  # each database has an id, and its keys' proof


def held(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        versions = [str(connection.execute(f"PRAGMA {name}").fetchone()) for name in ("user_version", "application_id")]
        return versions + [line for line in connection.iterdump() if not line.startswith(OWN)]
    finally:
        connection.close()


async def test_it_holds_what_a_first_start_makes(tmp_path: Path) -> None:
    laid, made = lay_store(tmp_path / "laid.db"), tmp_path / "made.db"
    for path in (laid, made):
        await SqliteStore.open(path, DATA_KEY, first_epoch=1_800_000_000).close()
    assert held(laid) == held(made)
    assert held(keys_path(laid)) == held(keys_path(made))
    assert [path.stat().st_mode for path in (laid, keys_path(laid))] == [
        path.stat().st_mode for path in (made, keys_path(made))
    ]


async def test_there_is_nothing_left_to_migrate_and_the_log_begins_where_it_is_told(tmp_path: Path) -> None:
    store = SqliteStore.open(lay_store(tmp_path / "steward.db"), DATA_KEY, first_epoch=1_800_000_000)
    assert (store.migration.before, store.migration.after, store.migration.kept) == (
        SCHEMA_VERSION,
        SCHEMA_VERSION,
        None,
    )
    assert await store.read(lambda tx: tx.epoch()) == 1_800_000_000
    await store.close()


def test_it_never_takes_the_place_of_another(tmp_path: Path) -> None:
    lay_store(tmp_path / "steward.db")
    with pytest.raises(FileExistsError):
        lay_store(tmp_path / "steward.db")
