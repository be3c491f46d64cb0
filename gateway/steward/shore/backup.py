"""Backup of the SQLite store while the service runs, and restore while it is stopped.

A restored store has another name (boot), so gateways see that it may have forgotten something and send it again.
PostgreSQL has tools of its own; after restoring with those, `steward shore restored` draws the new name.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steward.adapters.sqlite.connect import (
    DATABASE_ERRORS,
    check_folder,
    connect,
    connect_file,
    create_file,
    store_error,
)
from steward.adapters.sqlite.copying import copy_database
from steward.errors import StoreUnavailable
from steward.shore.sqlite import APPLICATION_ID


@dataclass(frozen=True, slots=True)
class Copied:
    """A checked copy. events: how many are in it."""

    path: Path
    size_bytes: int
    events: int


def backup(database: Path, target: Path) -> Copied:
    """Copy the database, in use or not, to `target`, in the place of an older backup. Raises StoreUnavailable."""
    check_folder(target)
    if not database.exists():
        raise StoreUnavailable(f"{database} does not exist: there is nothing to back up")
    if target.resolve() in {database.resolve(), *(database.with_name(database.name + end) for end in ("-wal", "-shm"))}:
        raise StoreUnavailable(f"{target} is the database itself: choose another name")
    with _closing(connect(database, query_only=True)) as source:
        copy_database(source, target, check=_check)
    return _describe(target)


def restore(source: Path, database: Path, boot: bytes) -> Path:
    """Put a backup's contents into the database's place, under the new name `boot`; where the replaced ones are kept.

    The service must be stopped. Cut short at any moment it leaves the old contents or the restored ones.
    Raises StoreUnavailable.
    """
    _check(source)
    part, kept = database.with_name(database.name + ".restored"), database.with_name(database.name + ".replaced")
    try:
        with _closing(connect_file(source)) as opened:
            copy_database(opened, part)
        with _closing(connect(part)) as opened:
            opened.execute("UPDATE shore SET boot = ?", (boot,))
        create_file(database)
        with _closing(connect(database)) as target:
            copy_database(target, kept)
            with _closing(connect(part, query_only=True)) as opened:
                opened.backup(target)  # all pages in one transaction of the target
    except DATABASE_ERRORS as error:
        raise store_error(error, str(database)) from error
    finally:
        for end in ("", "-wal", "-shm"):
            part.with_name(part.name + end).unlink(missing_ok=True)
    return kept


def _check(path: Path) -> None:
    """Raises StoreUnavailable if this is no whole copy of a shore's database."""
    if not path.is_file():
        raise StoreUnavailable(f"{path} is no file: check the path")
    try:
        with _closing(connect_file(path)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                raise StoreUnavailable(f"{path} is no backup of a shore's store: check the path")
            (state,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if state != "ok":
                raise StoreUnavailable(f"{path} is damaged: use another backup")
    except DATABASE_ERRORS as error:
        raise store_error(error, str(path)) from error


def _describe(path: Path) -> Copied:
    with _closing(connect_file(path)) as connection:
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
    return Copied(path, path.stat().st_size, events)


@contextlib.contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()
