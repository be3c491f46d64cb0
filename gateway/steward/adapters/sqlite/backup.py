"""Backup of a live database, and restore into a stopped gateway."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from steward.adapters.sqlite.connect import (
    DATABASE_ERRORS,
    check_folder,
    connect,
    connect_file,
    connect_plain,
    primary_code,
    store_error,
    sync_file,
    sync_folder,
)
from steward.adapters.sqlite.copying import Progress, copy_database
from steward.adapters.sqlite.guestkeys import GuestKeys, keys_path
from steward.adapters.sqlite.lock import DatabaseLock, restoring_path
from steward.adapters.sqlite.migrations import SEALED_VERSION, check_ours, migrate, open_keys, read_version
from steward.adapters.sqlite.sealing import Sealing
from steward.adapters.sqlite.sweeping import sweep_destroyed
from steward.adapters.sqlite.tx import SqliteTx
from steward.adapters.sqlite.verify import verify_file
from steward.adapters.system import OsEntropy
from steward.adapters.vault import DataKey, KeyChanges, TxKeys
from steward.domain.events import EventType, NewEvent
from steward.errors import StoreUnavailable
from steward.ports import Entropy

_MAGIC = b"SQLite format 3\x00"
_LOG_SUFFIXES = ("-wal", "-shm", "-journal")
_OWN_SUFFIXES = ("", ".lock", ".restoring", *_LOG_SUFFIXES)
_LAST_EVENT = """
SELECT s.epoch, (SELECT coalesce(max(e.seq), 0) FROM event AS e WHERE e.epoch = s.epoch) FROM store_state AS s
"""


@dataclass(frozen=True, slots=True)
class Backup:
    """A verified backup: where, how large, and the last event in it."""

    path: Path
    size_bytes: int
    schema_version: int
    epoch: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Restore:
    """A finished restore: the epoch that events have from now on, and where the replaced database is kept."""

    database: Path
    epoch: int
    replaced: Path | None


def backup(database: Path, target: Path, *, progress: Progress | None = None) -> Backup:
    """Copy the database to `target` while a gateway may be using it; blocks for as long as that takes.

    The copy is checked (SQLite's integrity check, the ledger, the event log) before it takes its name, replacing an
    older backup of that name. Mode 0600. Raises StoreUnavailable.
    """
    check_folder(target)
    _check_not_own(target, database)
    connection = connect(database, query_only=True)
    try:
        if read_version(connection, database) == 0:
            raise StoreUnavailable(f"{database} is empty: there is nothing to back up")
        copy_database(connection, target, check=lambda part: _verified(part, target), progress=progress)
    finally:
        connection.close()
    return _describe(target)


def backup_keys(database: Path, data_key: DataKey, target: Path) -> None:
    """Copy the guests' keys of this database to `target`, over the copy there was: only the newest may be kept.

    A gateway may be using them meanwhile. Raises StoreUnavailable.
    """
    check_folder(target)
    _check_not_own(target, database)
    if not database.exists():
        raise StoreUnavailable(f"{database} does not exist: the gateway has never run with these settings")
    connection = connect(database, query_only=True)
    try:
        keys = open_keys(connection, database, data_key, OsEntropy())
    finally:
        connection.close()
    try:
        keys.copy_to(target)
    finally:
        keys.close()


def restore_keys(source: Path, database: Path) -> None:
    """Put a copy of the guests' keys beside this database, which has none.

    Never in the place of others: what was destroyed since the copy was made is known to them alone. Raises
    StoreUnavailable.
    """
    target = keys_path(database)
    if target.exists():
        raise StoreUnavailable(f"{target} is there already, and knows of every erasure: leave --keys out")
    if not source.is_file():
        raise StoreUnavailable(f"{source}: there is no such copy of guests' keys")
    check_folder(target)
    connection = connect_file(source)
    try:
        copy_database(connection, target)
    finally:
        connection.close()


def restore(
    source: Path,
    database: Path,
    data_key: DataKey,
    *,
    at_s: int,
    progress: Progress | None = None,
) -> Restore:
    """Put a backup in the database's place. Its event log goes on in a new epoch, with STORE_RESTORED at `at_s`.

    The replaced database is kept beside it. Guests who were erased since stay erased: their keys are gone, and their
    rows are swept from the restored database before it takes its place. Cut short at any moment, it leaves the old
    database, the restored one, or a store that refuses to open until the restore is run again. Raises
    StoreUnavailable, also if a gateway or any other program has the database open.
    """
    check_folder(database)
    _check_not_own(source, database)
    if not source.is_file():
        raise StoreUnavailable(f"{source}: there is no such backup")
    for suffix in _LOG_SUFFIXES:
        if source.with_name(source.name + suffix).exists():
            raise StoreUnavailable(f"{source} has a {suffix} file beside it: it is in use, not a finished backup")
    lock = DatabaseLock(database)
    try:
        return _restore(source, database, _Vault(database, data_key, OsEntropy()), at_s, progress)
    finally:
        lock.release()


class _Vault:
    """What the restored database is opened with."""

    def __init__(self, database: Path, data_key: DataKey, entropy: Entropy) -> None:
        self._database = database
        self._data_key = data_key
        self.entropy = entropy

    def open(self, expected: bytes | None) -> GuestKeys:
        return GuestKeys.open(self._database, self._data_key, self.entropy, expected=expected)


def _restore(source: Path, database: Path, vault: _Vault, at_s: int, progress: Progress | None) -> Restore:
    incoming = restoring_path(database)
    interrupted = incoming.exists()
    used_epoch = max(_settle(database), _epoch_of(incoming))
    verify_file(source)
    vault.open(_vault_id(source)).close()  # before anything is changed
    try:
        connection = connect_file(source)
        try:
            copy_database(connection, incoming, check=lambda part: _verified(part, source), progress=progress)
        finally:
            connection.close()
        # The time as well: after a lost disk nothing here knows which epochs were used.
        epoch = max(used_epoch + 1, _epoch_of(incoming) + 1, at_s)
        _begin_epoch(incoming, vault, epoch, at_s)
        replaced = _swap(incoming, database, epoch)
    except OSError as error:
        raise StoreUnavailable(f"{database}: cannot be replaced: {error.strerror}. Run the restore again") from error
    except (sqlite3.Error, StoreUnavailable) as error:
        if not interrupted:
            _remove(incoming)
        raise store_error(error, str(database)) if isinstance(error, sqlite3.Error) else error from error
    return Restore(database, epoch, replaced)


def _settle(database: Path) -> int:
    """Make the old database one file that nobody has open; return its epoch, 0 if it is missing or unreadable."""
    if not database.exists() or not _is_sqlite(database):  # opening what is no database would remove its log
        return 0
    connection = connect_plain(database)
    try:
        check_ours(connection, database)
        (epoch,) = connection.execute("SELECT epoch FROM store_state").fetchone()
        # Folds the log into the file, and fails if any other connection is open.
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except DATABASE_ERRORS as error:
        if primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreUnavailable(f"{database} is in use by another program: stop it first") from error
        return 0  # damaged: what is being replaced
    finally:
        connection.close()
    return int(epoch)


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise StoreUnavailable(f"{path}: cannot be read: {error.strerror}") from error


def _epoch_of(path: Path) -> int:
    if not path.exists():
        return 0
    connection = connect_file(path)
    try:
        (epoch,) = connection.execute("SELECT epoch FROM store_state").fetchone()
    except DATABASE_ERRORS:
        return 0
    finally:
        connection.close()
    return int(epoch)


def _vault_id(source: Path) -> bytes | None:
    """Of the keys that a backup was sealed with; None: it is older, and in clear."""
    connection = connect_file(source)
    try:
        if read_version(connection, source) < SEALED_VERSION:
            return None
        ((known,),) = connection.execute("SELECT id FROM vault_state").fetchall()
        return bytes(known)
    finally:
        connection.close()


def _begin_epoch(incoming: Path, vault: _Vault, epoch: int, at_s: int) -> None:
    keys = vault.open(_vault_id(incoming))
    try:
        connection = connect(incoming)
        try:
            migrate(connection, incoming, Sealing(keys, vault.entropy), keep_copy=False)  # the backup is the copy
            sweep_destroyed(connection, incoming, keys)
            connection.execute("BEGIN IMMEDIATE")
            before, last_seq = connection.execute(_LAST_EVENT).fetchone()
            connection.execute("UPDATE store_state SET epoch = ?", (epoch,))
            facts = {"epoch": epoch, "backup_epoch": before, "backup_seq": last_seq}
            tx = SqliteTx(connection, TxKeys(keys, vault.entropy, KeyChanges()), read_only=False)
            tx.append_event(NewEvent(EventType.STORE_RESTORED, at_s, facts))
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        finally:
            connection.close()
    finally:
        keys.close()
    sync_file(incoming)


def _swap(incoming: Path, database: Path, epoch: int) -> Path | None:
    """While `incoming` exists the store refuses to open, so no order of the renames can be caught half done."""
    replaced = database.with_name(f"{database.name}.replaced-{epoch}")
    had_one = database.exists()
    for suffix in ("", *_LOG_SUFFIXES):  # a damaged database may have left its log, which must not meet the new file
        old = database.with_name(database.name + suffix)
        if old.exists():
            os.rename(old, replaced.with_name(replaced.name + suffix))
    sync_folder(database.parent)
    os.replace(incoming, database)
    sync_folder(database.parent)
    return replaced if had_one else None


def _remove(incoming: Path) -> None:
    for suffix in ("", *_LOG_SUFFIXES):
        incoming.with_name(incoming.name + suffix).unlink(missing_ok=True)


def _check_not_own(path: Path, database: Path) -> None:
    own = {
        file.with_name(file.name + suffix)
        for file in (database.resolve(), keys_path(database.resolve()))
        for suffix in _OWN_SUFFIXES
    }
    if path.resolve() in own:
        raise StoreUnavailable(f"{path} belongs to the database itself: choose another file")


def _verified(part: Path, named: Path) -> None:
    """Verify a copy; the error names the file that the operator knows."""
    try:
        verify_file(part)
    except StoreUnavailable as error:
        raise StoreUnavailable(str(error).replace(str(part), str(named))) from error


def _describe(target: Path) -> Backup:
    connection = connect_file(target)
    try:
        epoch, last_seq = connection.execute(_LAST_EVENT).fetchone()
        return Backup(target, target.stat().st_size, read_version(connection, target), epoch, last_seq)
    finally:
        connection.close()
