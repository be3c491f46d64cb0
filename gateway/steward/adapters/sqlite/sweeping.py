"""What an erasure leaves to be done at a start: one that was cut short, and copies that it has to reach as well."""

from __future__ import annotations

import binascii
import contextlib
import logging
import sqlite3
from base64 import b64decode
from pathlib import Path

from steward.adapters.sqlite.connect import DATABASE_ERRORS, connect_file, store_error
from steward.adapters.sqlite.erasure import DROP_GUEST, DROP_TRACES
from steward.adapters.sqlite.guestkeys import GuestKeys
from steward.adapters.sqlite.lookups import FORGET_LOOK_UPS
from steward.adapters.sqlite.vault import ERASED_BYTES, NOTE_DESTROYED, REDACT_EVENTS
from steward.adapters.vault import FOR_EVER
from steward.domain.ids import GuestRef
from steward.domain.lookleaf import SWEPT

_LOG = logging.getLogger(__name__)

# Rows in which a guest is more than a number. What the law keeps has no name in it and stays.
_DROPS = ("DELETE FROM profile WHERE ref = ?", "DELETE FROM photo WHERE ref = ?", *DROP_TRACES, *DROP_GUEST)
_ADD_SWEPT = """
INSERT INTO meta (key, value) VALUES (?, ?)
ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + ? AS TEXT)
"""
_COPIES = ("before-v*", "replaced-*")
_SEALED_VERSION = 12
# Whoever has a sealed row anywhere has one here too, or is on the list of guests. Of events one look a guest.
_SEALED_REFS = """
WITH RECURSIVE named (guest) AS (
    SELECT min(guest) FROM event WHERE guest IS NOT NULL
    UNION ALL SELECT (SELECT min(e.guest) FROM event AS e WHERE e.guest > named.guest) FROM named
    WHERE named.guest IS NOT NULL
)
SELECT guest FROM named WHERE guest IS NOT NULL UNION SELECT ref FROM guest
UNION SELECT seal_key FROM folio_archive UNION SELECT 'house' WHERE EXISTS (SELECT 1 FROM charge_words)
"""
# The first byte of what is sealed is its generation.
_SEALED_BYTES = """
SELECT max(substr(payload, 1, 1)) FROM event WHERE guest = ?1
UNION ALL SELECT max(substr(sealed, 1, 1)) FROM folio_archive WHERE seal_key = ?1
"""
_SEALED_TEXTS = """
SELECT substr(booking, 1, 4) FROM guest WHERE ref = ?1 AND booking <> ''
UNION ALL SELECT substr(words, 1, 4) FROM charge_words WHERE ?1 = 'house' AND words <> ''
"""


def sweep_destroyed(connection: sqlite3.Connection, path: Path, keys: GuestKeys) -> None:
    """Make the database and the file of keys agree on what was destroyed. Raises StoreUnavailable.

    The database may have been restored from a copy of before an erasure; the keys may not have heard of the last one.
    """
    try:
        keys.begin()
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
                    blanked = len(connection.execute(FORGET_LOOK_UPS, (ref,)).fetchall())
                    connection.execute(_ADD_SWEPT, (SWEPT, str(blanked), blanked))
                    for statement in _DROPS:
                        connection.execute(statement, (ref,))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except DATABASE_ERRORS as error:
        raise store_error(error, str(path)) from error


def note_lost(connection: sqlite3.Connection, path: Path, keys: GuestKeys) -> None:
    """Find the guests whose keys are not in the file: it is a copy that is older than the database.

    What was sealed for them is read as gone. What is sealed from now on must not pass for it: it gets a generation that
    no row has, and one more, for a row that nothing here tells of. Raises StoreUnavailable.
    """
    try:
        refs = [GuestRef(ref) for (ref,) in connection.execute(_SEALED_REFS)]
        without = [ref for ref in refs if keys.newest(ref) <= keys.destroyed(ref) < FOR_EVER]
        sealed = {ref: _newest_sealed(connection, ref) for ref in without}
        lost = {ref: newest + 1 for ref, newest in sealed.items() if newest > keys.destroyed(ref)}
    except DATABASE_ERRORS as error:
        raise store_error(error, str(path)) from error
    if lost:
        _LOG.error(
            "store.keys_missing guests=%d detail=%s is older than the database: stop the gateway and put the newest "
            "copy of it back, or what was sealed for them stays unreadable",
            len(lost),
            keys.path,
        )
        keys.note_lost(lost)


def _newest_sealed(connection: sqlite3.Connection, ref: GuestRef) -> int:
    """The newest generation that a row of this ref was sealed with; 0 if there is none."""
    found = [first for (first,) in connection.execute(_SEALED_BYTES, (ref,)) if first]
    for (text,) in connection.execute(_SEALED_TEXTS, (ref,)):
        with contextlib.suppress(binascii.Error):  # damaged: whoever reads it will be told
            found.append(b64decode(text, validate=True))
    return max((first[0] for first in found if first), default=0)


def finish_erasures(path: Path, keys: GuestKeys) -> None:
    """At a start, after a cut: whoever was erased is in no copy in clear either."""
    if keys.all_destroyed():
        try:
            drop_open_copies(path)
        except OSError as error:
            _LOG.error("store.copies_not_deleted detail=%s", error)


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
