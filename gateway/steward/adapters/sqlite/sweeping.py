"""What an erasure leaves to be done at a start: one that was cut short, and copies that it has to reach as well."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from steward.adapters.sqlite.connect import DATABASE_ERRORS, connect_file, store_error
from steward.adapters.sqlite.erasure import DROP_GUEST, DROP_TRACES
from steward.adapters.sqlite.guestkeys import GuestKeys
from steward.adapters.sqlite.lookups import FORGET_LOOK_UPS
from steward.adapters.sqlite.vault import ERASED_BYTES, NOTE_DESTROYED, REDACT_EVENTS
from steward.adapters.vault import FOR_EVER
from steward.domain.ids import GuestRef

# Rows in which a guest is more than a number. What the law keeps has no name in it and stays.
_DROPS = ("DELETE FROM profile WHERE ref = ?", "DELETE FROM photo WHERE ref = ?", *DROP_TRACES, *DROP_GUEST)
_COPIES = ("before-v*", "replaced-*")
_SEALED_VERSION = 12


def sweep_destroyed(connection: sqlite3.Connection, path: Path, keys: GuestKeys) -> None:
    """Make the database and the file of keys agree on what was destroyed. Raises StoreUnavailable.

    The database may have been restored from a copy of before an erasure; the keys may not have heard of the last one.
    """
    try:
        known: dict[GuestRef, int] = dict(connection.execute("SELECT ref, upto FROM key_destroyed").fetchall())
        gone = keys.all_destroyed()
        late = {ref: upto for ref, upto in known.items() if upto > gone.get(ref, 0)}
        if late:
            keys.forget(late)
        news = [(ref, upto) for ref, upto in gone.items() if upto > known.get(ref, 0)]
        if not news:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            for ref, upto in news:
                connection.execute(NOTE_DESTROYED, (ref, upto))
                if upto == FOR_EVER:
                    connection.execute(REDACT_EVENTS, (ERASED_BYTES, ref))
                    connection.execute(FORGET_LOOK_UPS, (ref,))
                    for statement in _DROPS:
                        connection.execute(statement, (ref,))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except DATABASE_ERRORS as error:
        raise store_error(error, str(path)) from error


def drop_open_copies(path: Path) -> None:
    """Delete the copies beside the database of before it was sealed: they would outlive every erasure."""
    for pattern in _COPIES:
        for copy in path.parent.glob(f"{path.name}.{pattern}"):
            if _is_open(copy):
                copy.unlink(missing_ok=True)


def _is_open(copy: Path) -> bool:
    if copy.name.endswith(("-wal", "-shm", "-journal")):
        return False
    try:
        connection = connect_file(copy)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        finally:
            connection.close()
    except DATABASE_ERRORS:
        return True  # damaged, and nobody can say what is in it
    return int(version) < _SEALED_VERSION
