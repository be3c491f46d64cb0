"""Connections with the settings every one of them needs, and sqlite3's errors turned into ours."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from steward.errors import Conflict, StewardError, StoreUnavailable

BUSY_TIMEOUT_MS = 5000
STATEMENT_CACHE_COUNT = 256
SQLITE_VERSION_MIN = (3, 38, 0)  # STRICT tables, RETURNING, JSON built in
JOURNAL_BYTES_KEPT = 64 * 1024 * 1024
CHECKPOINT_PAGES = 4000  # 16 MB of log: four times the default, so fewer commits wait for a checkpoint
CACHE_KIB = 16 * 1024
FILE_MODE = 0o600
# What a damaged file may make of any statement: Python cannot decode SQLite's message if it quotes a damaged schema.
DATABASE_ERRORS = (sqlite3.Error, UnicodeDecodeError)

# FULL: a commit is on disk before it is acknowledged. NORMAL loses committed payments in a power cut.
_PRAGMAS = (
    f"busy_timeout = {BUSY_TIMEOUT_MS}",
    "synchronous = FULL",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "secure_delete = ON",
    "temp_store = MEMORY",
    f"journal_size_limit = {JOURNAL_BYTES_KEPT}",
    f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"cache_size = -{CACHE_KIB}",
)
_HINTS = {
    sqlite3.SQLITE_BUSY: "another program holds it: close that program",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the path and its permissions",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore the last backup",
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write: check the disk and its free space",
    sqlite3.SQLITE_LOCKED: "another program holds it: close that program",
    sqlite3.SQLITE_NOTADB: "the file is not a database: check the path, or restore the last backup",
    sqlite3.SQLITE_READONLY: "the file or its folder may not be written: check their permissions",
}


def primary_code(error: sqlite3.Error | UnicodeDecodeError) -> int | None:
    """SQLite's primary result code, or None for an error of the Python module itself."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def store_error(error: sqlite3.Error | UnicodeDecodeError, where: str = "the database") -> StewardError:
    """Our error for one of sqlite3's: Conflict for a broken constraint, StoreUnavailable for all else."""
    if isinstance(error, UnicodeDecodeError):
        return StoreUnavailable(f"{where}: {_HINTS[sqlite3.SQLITE_CORRUPT]}")
    code = primary_code(error)
    if code == sqlite3.SQLITE_CONSTRAINT:
        return Conflict(str(error))
    hint = _HINTS.get(code) if code is not None else None
    return StoreUnavailable(f"{where}: {error}" + (f" ({hint})" if hint else ""))


def check_folder(path: Path) -> None:
    """Raises StoreUnavailable: a mistyped path must not start an empty ledger in a folder made for it."""
    if not path.parent.is_dir():
        raise StoreUnavailable(f"{path}: there is no folder {path.parent}: make it, or correct the path")


def create_file(path: Path) -> None:
    """Make an empty database file readable by its owner only, and make its name durable.

    Not through a symbolic link: the lock file beside the link would not be the one beside the database.
    """
    check_folder(path)
    if path.is_symlink():
        raise StoreUnavailable(f"{path} is a symbolic link: name the folder that the database is really in")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            os.fchmod(descriptor, FILE_MODE)  # whatever the umask, and whoever made it before us
        finally:
            os.close(descriptor)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreUnavailable(f"{path}: cannot be made: {error.strerror}") from error


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make renames and new names in this folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(path: Path, *, query_only: bool = False) -> sqlite3.Connection:
    """A connection to an existing file. WAL, durable, autocommit: transactions are begun by hand.

    Raises StoreUnavailable. It may be used from any one thread at a time.
    """
    connection = _open(path, "mode=rw")
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnavailable(f"{path}: no write-ahead log on this file system ({mode}): use a local disk")
        if query_only:
            connection.execute("PRAGMA query_only = ON")
    except DATABASE_ERRORS as error:
        connection.close()
        raise store_error(error, str(path)) from error
    except StoreUnavailable:
        connection.close()
        raise
    return connection


def connect_file(path: Path) -> sqlite3.Connection:
    """A connection that only reads a file nobody writes, such as a backup. Leaves no log beside it."""
    connection = _open(path, "mode=ro&immutable=1")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    return connection


def connect_plain(path: Path) -> sqlite3.Connection:
    """A connection to an existing file as it is: nothing is set up, nothing read yet."""
    connection = _open(path, "mode=rw")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _open(path: Path, parameters: str) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        needed = ".".join(map(str, SQLITE_VERSION_MIN))
        raise StoreUnavailable(f"SQLite {sqlite3.sqlite_version} is too old: {needed} or newer is needed")
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?{parameters}",
            uri=True,
            timeout=BUSY_TIMEOUT_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENT_CACHE_COUNT,
        )
    except sqlite3.Error as error:
        raise store_error(error, str(path)) from error
