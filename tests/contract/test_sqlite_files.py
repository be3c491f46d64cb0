"""The database as files: who may open it, and who may read it."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.contract.lives import pay, with_store
from tests.contract.makers import ANNAS_ACCOUNT, AT_S, event
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.backup import backup
from steward.adapters.sqlite.store import SqliteStore
from steward.errors import StoreUnavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "steward.db"


async def test_a_database_is_opened_once(path: Path) -> None:
    store = SqliteStore.open(path, DATA_KEY)
    with pytest.raises(StoreUnavailable) as caught:
        SqliteStore.open(path, DATA_KEY)
    assert str(path) in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    assert await store.write(pay(1)) == 1
    await store.close()
    again = SqliteStore.open(path, DATA_KEY)
    assert await again.read(lambda tx: tx.balance(ANNAS_ACCOUNT)) == 450
    await again.close()


async def test_another_process_is_kept_out_too(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from steward.adapters.sqlite.store import SqliteStore\n"
        "from steward.adapters.vault import DataKey\n"
        "from steward.errors import StoreUnavailable\n"
        "try: SqliteStore.open(Path(sys.argv[1]), DataKey(bytes(32)))\n"
        "except StoreUnavailable as error: print(error)\n"
    )
    store = SqliteStore.open(path, DATA_KEY)
    try:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", script, str(path)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=True,
        )
        assert f"{path} is in use by process {os.getpid()}" in run.stdout
    finally:
        await store.close()


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="there is no folder"):
        SqliteStore.open(tmp_path / "typo" / "steward.db", DATA_KEY)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"dear diary, " * 500)
    with pytest.raises(StoreUnavailable, match="not a database"):
        SqliteStore.open(path, DATA_KEY)
    assert path.read_bytes() == b"dear diary, " * 500
    path.unlink()
    with_store(path, pay(1))  # the lock was let go


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipe (name TEXT)")
    connection.close()
    with pytest.raises(StoreUnavailable, match="some other program"):
        SqliteStore.open(path, DATA_KEY)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("recipe",)]
    connection.close()


async def test_only_the_owner_may_read(path: Path) -> None:
    mask = os.umask(0)
    try:
        await asyncio.to_thread(path.touch, 0o666)
        store = SqliteStore.open(path, DATA_KEY)
        await store.write(pay(1))
        await asyncio.to_thread(backup, path, path.with_name("copy.db"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        await store.close()
    finally:
        os.umask(mask)
    keys = ("steward.guest-keys.db", "steward.guest-keys.db-wal", "steward.guest-keys.db-shm")
    names = ("steward.db", "steward.db-wal", "steward.db-shm", "steward.db.lock", "copy.db")
    assert modes == dict.fromkeys((*names, *keys), 0o600)


def test_a_new_event_log_begins_where_it_is_told_and_an_old_one_goes_on(path: Path) -> None:
    assert with_store(path, lambda tx: tx.epoch(), first_epoch=AT_S) == [AT_S]
    assert with_store(path, lambda tx: tx.epoch(), pay(1), first_epoch=AT_S + 5) == [AT_S + 5, 1]
    assert with_store(path, lambda tx: tx.epoch(), pay(2), first_epoch=AT_S + 9) == [AT_S + 5, 2]


def test_closing_leaves_the_database_its_keys_and_the_lock(path: Path) -> None:
    with_store(path, pay(1))
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "steward.db",
        "steward.db.lock",
        "steward.guest-keys.db",
    ]


async def test_a_full_disk_keeps_no_number_in_the_lock_and_the_lock_holds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    store = SqliteStore.open(path, DATA_KEY)
    with pytest.raises(StoreUnavailable, match="is in use by process unknown"):
        SqliteStore.open(path, DATA_KEY)
    await store.close()
    await SqliteStore.open(path, DATA_KEY).close()


@pytest.mark.parametrize("name", ["steward.db", "steward.db.lock"])
def test_nothing_is_opened_through_a_link(path: Path, name: str) -> None:
    other = path.with_name("other")
    other.write_bytes(b"somebody's")
    other.chmod(0o644)
    path.with_name(name).symlink_to(other)
    with pytest.raises(StoreUnavailable, match=name):
        SqliteStore.open(path, DATA_KEY)
    assert (other.read_bytes(), stat.S_IMODE(other.stat().st_mode)) == (b"somebody's", 0o644)


async def test_a_damaged_schema_is_told_as_damage(path: Path) -> None:
    await SqliteStore.open(path, DATA_KEY).close()
    raw = path.read_bytes()
    name, statement = b"triggerevent_in_order", b"CREATE TRIGGER event_in_order"
    assert name in raw
    assert statement in raw
    raw = raw.replace(name, b"triggerevent\x9cin_order")  # which SQLite quotes in its message
    path.write_bytes(raw.replace(statement, b"CREATE TRIGGXR event_in_order"))
    with pytest.raises(StoreUnavailable, match="restore the last backup"):
        SqliteStore.open(path, DATA_KEY)
    with pytest.raises(StoreUnavailable):
        backup(path, path.with_name("copy.db"))


async def test_a_damaged_event_is_told_as_damage(path: Path) -> None:
    store = SqliteStore.open(path, DATA_KEY)
    await store.write(lambda tx: tx.append_event(event()))
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER event_is_only_redacted")
        connection.execute("UPDATE event SET payload = x'61ff'")
        connection.commit()
    store = SqliteStore.open(path, DATA_KEY)
    with pytest.raises(StoreUnavailable, match=r"event 1 of epoch \d+ is damaged"):
        await store.read(lambda tx: tx.events(0, 10))
    await store.close()
