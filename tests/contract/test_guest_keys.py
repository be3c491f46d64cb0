"""The file of guests' keys beside the database: what is wrong with it is said, and nothing is written meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.lives import with_store
from tests.contract.makers import ANNA, BOB, guest
from tests.contract.serviceparts import profile
from tests.vaultkit import DATA_KEY, guest_keys

from steward.adapters.sqlite.backup import backup, backup_keys, restore, restore_keys
from steward.adapters.sqlite.guestkeys import keys_path
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.vault import DataKey
from steward.errors import StoreUnavailable
from steward.ports import Tx

OTHER_KEY = DataKey(b"\x07" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    with_store(folder / "steward.db", lambda tx: tx.put_profile(profile(ANNA)))
    return folder / "steward.db"


def names(tx: Tx) -> bool:
    return tx.has_profile(ANNA) and tx.has_key(ANNA)


def refused(path: Path, data_key: DataKey, match: str) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith(".lock")}
    with pytest.raises(StoreUnavailable, match=match):
        SqliteStore.open(path, data_key)
    after = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    logs = ("-wal", "-shm", ".lock")
    assert {name: raw for name, raw in after.items() if not name.endswith(logs)} == before
    assert not any(raw for name, raw in after.items() if name.endswith("-wal"))


def test_the_wrong_data_key_opens_nothing(path: Path) -> None:
    refused(path, OTHER_KEY, "does not open with this data key")
    assert with_store(path, names) == [True]


def test_missing_keys_are_named_and_none_are_made(path: Path) -> None:
    keys_path(path).rename(path.parent.parent / "moved")
    refused(path, DATA_KEY, r"steward\.guest-keys\.db is missing.*steward backup --keys")
    (path.parent.parent / "moved").rename(keys_path(path))
    assert with_store(path, names) == [True]


def test_keys_of_another_database_are_refused(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with_store(other, lambda tx: tx.put_profile(profile(ANNA)))
    shutil.copy(keys_path(other), keys_path(path))
    refused(path, DATA_KEY, "keys of another database")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"\x00" * len(raw),
        lambda raw: raw[:4096],
        lambda _raw: b"hello",
    ],
    ids=["cut", "zeros", "one page", "text"],
)
def test_a_damaged_file_of_keys_is_refused(path: Path, spoil: Callable[[bytes], bytes]) -> None:
    file = keys_path(path)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(StoreUnavailable):
        with_store(path, names, lambda tx: tx.seal(ANNA, "x", b"y"))


def test_a_changed_key_is_damage_and_not_another_key(path: Path) -> None:
    with sqlite3.connect(keys_path(path)) as connection:
        connection.execute("DROP TRIGGER guest_key_never_changes")
        connection.execute("UPDATE guest_key SET wrapped = zeroblob(60)")
    with pytest.raises(StoreUnavailable, match="is damaged"):
        with_store(path, lambda tx: tx.seal(ANNA, "x", b"y"))


def test_a_key_in_another_guest_s_place_is_damage(path: Path) -> None:
    """Else whoever may write the file could read an erased guest's copy with the key of somebody who stays."""
    with_store(path, lambda tx: tx.put_profile(profile(BOB)))
    with sqlite3.connect(keys_path(path)) as connection:
        connection.execute("DROP TRIGGER guest_key_never_changes")
        mine = "(SELECT wrapped FROM guest_key WHERE ref = ?)"
        connection.execute(f"UPDATE guest_key SET wrapped = {mine} WHERE ref = ?", (BOB, ANNA))
    assert with_store(path, lambda tx: len(tx.seal(BOB, "x", b"y")) > 1) == [True]
    with pytest.raises(StoreUnavailable, match="is damaged"):
        with_store(path, lambda tx: tx.seal(ANNA, "x", b"y"))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM destroyed",
        "UPDATE destroyed SET upto = 0",
        "UPDATE destroyed SET ref = 'x'",
        f"INSERT INTO guest_key VALUES ('{BOB}', 1, x'00')",
        "INSERT OR REPLACE INTO destroyed VALUES ('b', 300)",
        "UPDATE guest_key SET wrapped = x'00'",
    ],
)
def test_the_file_itself_keeps_what_was_destroyed(path: Path, sql: str) -> None:
    with_store(path, lambda tx: tx.destroy_key(BOB))
    connection = sqlite3.connect(keys_path(path), isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(sql)
    connection.close()


def test_only_the_owner_may_read_the_keys(path: Path) -> None:
    assert stat.S_IMODE(keys_path(path).stat().st_mode) == 0o600


def test_a_making_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "steward.db"
    part = keys_path(path).with_name(keys_path(path).name + ".part")
    part.write_bytes(b"half of it")
    keys_path(path).touch()
    with_store(path, lambda tx: tx.seal(ANNA, "x", b"y"))
    assert not part.exists()


def test_keys_wait_for_their_rows_and_rows_never_for_their_keys(path: Path) -> None:
    """A disk that does not take the keys takes nothing of that commit."""
    with sqlite3.connect(keys_path(path)) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON guest_key BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(StoreUnavailable):
        with_store(path, lambda tx: tx.put_profile(profile(BOB)))
    assert with_store(path, lambda tx: (tx.has_profile(BOB), tx.has_key(BOB), names(tx))) == [(False, False, True)]


def test_a_key_that_the_disk_does_not_let_go_goes_at_the_next_start(path: Path) -> None:
    with sqlite3.connect(keys_path(path)) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON destroyed BEGIN SELECT RAISE(ABORT, 'full'); END")

    async def erase() -> bool:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            with pytest.raises(StoreUnavailable, match="goes on trying"):
                await store.write(lambda tx: tx.destroy_key(ANNA))
            return await store.read(lambda tx: tx.has_key(ANNA))
        finally:
            await store.close()

    assert asyncio.run(erase()) is False
    with sqlite3.connect(keys_path(path)) as connection:
        assert connection.execute("SELECT count(*) FROM guest_key WHERE ref = ?", (ANNA,)).fetchone() == (1,)
        connection.execute("DROP TRIGGER full")
    assert with_store(path, names) == [False]
    with guest_keys(path) as keys:
        assert keys.newest(ANNA) == 0
        assert keys.destroyed(ANNA) == 255


# copies


def test_a_lost_disk_comes_back_with_the_copy_of_the_keys(path: Path, tmp_path: Path) -> None:
    copy, keys, fresh = tmp_path / "copy.db", tmp_path / "keys", tmp_path / "new" / "steward.db"
    fresh.parent.mkdir()
    backup(path, copy)
    backup_keys(path, DATA_KEY, keys)
    backup_keys(path, DATA_KEY, keys)  # over the one there was
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    restore_keys(keys, fresh)
    restore(copy, fresh, DATA_KEY, at_s=5)
    assert with_store(fresh, names) == [True]


def test_keys_that_are_there_are_never_replaced_by_a_copy(path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    backup_keys(path, DATA_KEY, keys)
    with pytest.raises(StoreUnavailable, match="knows of every erasure"):
        restore_keys(keys, path)


def test_keys_are_not_copied_onto_the_database_or_themselves(path: Path) -> None:
    for target in (path, keys_path(path), path.with_name("steward.db-wal")):
        with pytest.raises(StoreUnavailable, match="belongs to the database itself"):
            backup_keys(path, DATA_KEY, target)


def test_no_key_is_in_a_backup(path: Path, tmp_path: Path) -> None:
    backup(path, tmp_path / "copy.db")
    connection = sqlite3.connect(keys_path(path))
    wrapped = [row[0] for row in connection.execute("SELECT wrapped FROM guest_key")]
    connection.close()
    raw = (tmp_path / "copy.db").read_bytes()
    assert wrapped
    assert [key for key in wrapped if key in raw] == []


def test_a_key_is_not_shown_or_pickled() -> None:
    import pickle

    assert repr(DATA_KEY) == "DataKey()"
    with pytest.raises(TypeError):
        pickle.dumps(DATA_KEY)
    with pytest.raises(ValueError, match="32 bytes"):
        DataKey(b"short")


def test_a_guest_who_was_only_put_has_a_key(path: Path) -> None:
    with_store(path, lambda tx: tx.put_guest(guest(BOB)))
    assert with_store(path, lambda tx: tx.has_key(BOB)) == [True]
