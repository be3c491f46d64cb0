"""Backup of a database in use, and restore: whole or not at all, and never an old event number again."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from tests.contract.lives import pay, state_of, with_store
from tests.contract.makers import AT_S, guest
from tests.vaultkit import DATA_KEY, lend_keys

from steward.adapters.sqlite import backup as backups
from steward.adapters.sqlite.backup import backup, restore
from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import verify_file
from steward.domain.events import EventType, StoredEvent
from steward.errors import StoreUnavailable
from steward.ports import Tx

LATER_S = AT_S + 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "steward.db"


# Backup


async def test_a_backup_under_load_is_whole_and_ends(path: Path) -> None:
    copy = path.with_name("backup.db")
    store = SqliteStore.open(path, DATA_KEY)
    steps: list[tuple[int, int]] = []
    done = asyncio.Event()
    paid = 0

    async def keep_paying() -> None:
        nonlocal paid
        while not done.is_set():
            paid += 1
            await store.write(pay(paid))

    def fill(tx: Tx) -> None:
        for number in range(1500):
            tx.set_meta(str(number), "x" * 3000)

    try:
        await store.write(fill)
        payer = asyncio.create_task(keep_paying())
        await asyncio.sleep(0.05)
        made = await asyncio.to_thread(backup, path, copy, progress=lambda at, of: steps.append((at, of)))
        done.set()
        await payer
    finally:
        await store.close()
    assert verify_file(copy) == made.schema_version == SCHEMA_VERSION
    assert made.size_bytes == copy.stat().st_size
    assert 0 < made.last_seq <= paid
    assert len(steps) > 2
    assert steps == sorted(steps)  # it never had to begin again
    assert steps[-1][0] == steps[-1][1]
    lend_keys(path, copy)
    balance, epoch, found = await asyncio.to_thread(state_of, copy)
    assert (balance, epoch) == (450 * made.last_seq, made.epoch)
    assert len(found) == min(made.last_seq, 99)


def test_a_backup_is_replaced_only_by_a_whole_one(path: Path) -> None:
    copy = path.with_name("backup.db")
    with_store(path, pay(1))
    backup(path, copy)
    kept = copy.read_bytes()
    _break_ledger(path)
    with pytest.raises(StoreUnavailable, match="do not balance"):
        backup(path, copy)
    assert copy.read_bytes() == kept
    assert not copy.with_name("backup.db.part").exists()


@pytest.mark.parametrize("name", ["steward.db", "steward.db-wal", "steward.db.lock"])
def test_a_backup_does_not_overwrite_the_database_itself(path: Path, name: str) -> None:
    with_store(path, pay(1))
    with pytest.raises(StoreUnavailable, match="belongs to the database itself"):
        backup(path, path.parent / "." / name)
    with pytest.raises(StoreUnavailable, match="belongs to the database itself"):
        restore(path.parent / name, path, DATA_KEY, at_s=LATER_S)
    assert state_of(path)[0] == 450


def test_a_backup_of_nothing_says_so(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        backup(path, path.with_name("backup.db"))
    path.touch()
    with pytest.raises(StoreUnavailable, match="nothing to back up"):
        backup(path, path.with_name("backup.db"))
    with pytest.raises(StoreUnavailable, match="there is no folder"):
        backup(path, path.parent / "typo" / "backup.db")


# Restore


def _backed_up(path: Path) -> Path:
    """Two payments, a backup, then a third payment that the backup does not know."""
    copy = path.with_name("backup.db")
    with_store(path, pay(1), pay(2))
    backup(path, copy)
    with_store(path, pay(3))
    return copy


def _break_ledger(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("DROP TRIGGER posting_never_changes; UPDATE posting SET amount_minor = 7;")
    connection.close()


def _assert_restored(path: Path, epoch: int) -> None:
    balance, now, found = state_of(path)
    assert (balance, now) == (900, epoch)
    facts = {"epoch": epoch, "backup_epoch": 1, "backup_seq": 2}
    assert found == [StoredEvent(epoch, 1, EventType.STORE_RESTORED, LATER_S, facts)]


def test_a_restore_brings_the_data_back_in_a_new_epoch(path: Path) -> None:
    copy = _backed_up(path)
    kept = copy.read_bytes()
    done = restore(copy, path, DATA_KEY, at_s=LATER_S)
    assert done.epoch == LATER_S
    _assert_restored(path, LATER_S)
    assert copy.read_bytes() == kept
    assert done.replaced is not None
    lend_keys(path, done.replaced)
    balance, epoch, found = state_of(done.replaced)
    assert (balance, epoch, len(found)) == (1350, 1, 3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_epoch_is_used_twice_even_when_the_clock_is_lost(path: Path) -> None:
    copy = _backed_up(path)
    first = restore(copy, path, DATA_KEY, at_s=LATER_S)
    with_store(path, pay(4))
    second = restore(copy, path, DATA_KEY, at_s=0)
    third = restore(copy, path, DATA_KEY, at_s=-1)
    assert [first.epoch, second.epoch, third.epoch] == [LATER_S, LATER_S + 1, LATER_S + 2]
    assert len({first.replaced, second.replaced, third.replaced}) == 3


def test_events_of_before_stay_in_the_log(path: Path) -> None:
    restore(_backed_up(path), path, DATA_KEY, at_s=LATER_S)
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT epoch, seq FROM event ORDER BY epoch, seq").fetchall()
    connection.close()
    assert rows == [(1, 1), (1, 2), (LATER_S, 1)]


def test_a_restore_onto_a_new_disk(path: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "new" / "steward.db"
    fresh.parent.mkdir()
    copy = _backed_up(path)
    with pytest.raises(StoreUnavailable, match=r"steward.guest-keys.db is missing"):
        restore(copy, fresh, DATA_KEY, at_s=LATER_S)
    assert not fresh.exists()
    lend_keys(path, fresh)
    done = restore(copy, fresh, DATA_KEY, at_s=LATER_S)
    assert done.replaced is None
    _assert_restored(fresh, LATER_S)


def test_a_damaged_database_is_replaced_and_kept_with_its_log(path: Path) -> None:
    copy = _backed_up(path)
    path.write_bytes(b"\x00" * 10_000)
    log = path.with_name(path.name + "-wal")
    log.write_bytes(b"what is left of it")
    done = restore(copy, path, DATA_KEY, at_s=LATER_S)
    _assert_restored(path, LATER_S)
    assert done.replaced is not None
    assert done.replaced.read_bytes() == b"\x00" * 10_000
    assert done.replaced.with_name(done.replaced.name + "-wal").exists()


async def test_a_restore_waits_for_nobody_who_uses_the_database(path: Path) -> None:
    copy = await asyncio.to_thread(_backed_up, path)
    store = SqliteStore.open(path, DATA_KEY)
    try:
        with pytest.raises(StoreUnavailable, match="in use by process"):
            restore(copy, path, DATA_KEY, at_s=LATER_S)
        assert await store.write(pay(4)) == 4
    finally:
        await store.close()


def test_a_restore_notices_another_program(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = _backed_up(path)
    reader = sqlite3.connect(path)
    assert reader.execute("SELECT count(*) FROM event").fetchone() == (3,)
    monkeypatch.setattr("steward.adapters.sqlite.connect.BUSY_TIMEOUT_MS", 1)
    with pytest.raises(StoreUnavailable, match="in use by another program"):
        restore(copy, path, DATA_KEY, at_s=LATER_S)
    reader.close()
    assert restore(copy, path, DATA_KEY, at_s=LATER_S).epoch == LATER_S


@pytest.mark.parametrize("damage", ["cut", "bytes", "ledger", "foreign", "empty", "missing", "newer", "log beside"])
def test_a_bad_backup_is_refused_and_the_database_stays(path: Path, damage: str) -> None:
    copy = _backed_up(path)
    if damage == "cut":
        os.truncate(copy, copy.stat().st_size // 2)
    elif damage == "bytes":
        data = bytearray(copy.read_bytes())
        data[20_000:60_000] = os.urandom(40_000)
        copy.write_bytes(data)
    elif damage == "ledger":
        _break_ledger(copy)
    elif damage == "foreign":
        copy.unlink()
        connection = sqlite3.connect(copy)
        connection.execute("CREATE TABLE recipe (name TEXT)")
        connection.close()
    elif damage == "empty":
        copy.write_bytes(b"")
    elif damage == "missing":
        copy.unlink()
    elif damage == "newer":
        connection = sqlite3.connect(copy)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        connection.close()
    else:
        copy.with_name(copy.name + "-wal").write_bytes(b"x")
    with pytest.raises(StoreUnavailable) as caught:
        restore(copy, path, DATA_KEY, at_s=LATER_S)
    assert str(copy) in str(caught.value)
    balance, epoch, found = state_of(path)
    assert (balance, epoch, len(found)) == (1350, 1, 3)
    assert [f.name for f in path.parent.iterdir() if "restoring" in f.name or "replaced" in f.name] == []


_STEPS = ("_begin_epoch", "_swap", "rename database", "rename log", "replace")


@pytest.mark.parametrize("step", _STEPS)
def test_a_restore_cut_short_is_noticed_and_can_be_run_again(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut is a BaseException, so no handler of ours tidies up: as after a power cut."""
    copy = _backed_up(path)
    damaged = bytes(5000)
    path.write_bytes(damaged)
    path.with_name(path.name + "-wal").write_bytes(b"what is left of it")

    class CutError(BaseException):
        pass

    def cut(*_: object) -> None:
        raise CutError

    real_rename = os.rename

    def rename_or_cut(source: Path, target: Path) -> None:
        if (source.name.endswith("-wal")) == (step == "rename log"):
            raise CutError
        real_rename(source, target)

    with monkeypatch.context() as patched:
        if step.startswith("_"):
            patched.setattr(backups, step, cut)
        elif step == "replace":
            real_replace = os.replace
            patched.setattr(os, "replace", lambda a, b: cut() if b == path else real_replace(a, b))
        else:
            patched.setattr(os, "rename", rename_or_cut)
        with pytest.raises(CutError):
            restore(copy, path, DATA_KEY, at_s=LATER_S)
    with pytest.raises(StoreUnavailable, match="run the restore again"):
        SqliteStore.open(path, DATA_KEY)
    done = restore(copy, path, DATA_KEY, at_s=LATER_S)
    assert done.epoch >= LATER_S
    _assert_restored(path, done.epoch)
    aside = [f for f in path.parent.iterdir() if "replaced" in f.name and not f.name.endswith(("-wal", "-shm"))]
    assert [f.read_bytes() for f in aside] == [damaged]


def test_a_copied_guest_is_the_same_guest(path: Path, tmp_path: Path) -> None:
    with_store(path, lambda tx: tx.put_guest(guest()))
    backup(path, tmp_path / "backup.db")
    moved = tmp_path / "moved.db"
    shutil.copy(tmp_path / "backup.db", moved)
    lend_keys(path, moved)
    assert with_store(moved, lambda tx: tx.guest(guest().ref)) == [guest()]
