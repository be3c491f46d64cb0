"""Guests' keys, wrapped by the data key, in a database of their own beside the store's: a chest of adapters/vault.py.

It is no part of the store and of none of its backups: that is what makes an erased guest's data unreadable in every
copy of the store there is. What was destroyed is remembered for ever, so that a copy restored later is swept.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from steward.adapters.sqlite.connect import DATABASE_ERRORS, check_folder, connect, create_file, store_error
from steward.adapters.sqlite.copying import copy_database
from steward.adapters.vault import GENERATION_MAX, KEY_BYTES, DataKey, GuestKey, NameCache
from steward.domain.ids import GuestRef
from steward.errors import StoreUnavailable
from steward.ports import Entropy

APPLICATION_ID = 0x53545756  # "STWV"
SCHEMA_VERSION = 1
CACHED_MAX = 65_536
ROWS_AT_ONCE = 1000
_CHECK = GuestRef("data key")
ID_BYTES = 16

_SCHEMA = """
BEGIN EXCLUSIVE;
-- id: that of the store whose keys these are. proof: opens with the right data key alone.
CREATE TABLE vault (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    proof BLOB NOT NULL
) STRICT;
CREATE TABLE guest_key (
    ref TEXT NOT NULL CHECK (ref <> ''),
    generation INTEGER NOT NULL CHECK (generation BETWEEN 1 AND 254),
    wrapped BLOB NOT NULL,
    PRIMARY KEY (ref, generation)
) STRICT, WITHOUT ROWID;
-- Every generation up to this one is gone; 255: the ref can never have a key again.
CREATE TABLE destroyed (
    ref TEXT PRIMARY KEY CHECK (ref <> ''),
    upto INTEGER NOT NULL CHECK (upto BETWEEN 0 AND 255)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER destroyed_is_for_ever BEFORE DELETE ON destroyed
BEGIN
    SELECT RAISE(ABORT, 'vault: what was destroyed stays destroyed');
END;
CREATE TRIGGER destroyed_never_less BEFORE UPDATE ON destroyed WHEN NEW.upto < OLD.upto OR NEW.ref <> OLD.ref
BEGIN
    SELECT RAISE(ABORT, 'vault: what was destroyed stays destroyed');
END;
CREATE TRIGGER destroyed_takes_keys AFTER INSERT ON destroyed
BEGIN
    DELETE FROM guest_key WHERE ref = NEW.ref AND generation <= NEW.upto;
END;
CREATE TRIGGER destroyed_takes_more_keys AFTER UPDATE ON destroyed
BEGIN
    DELETE FROM guest_key WHERE ref = NEW.ref AND generation <= NEW.upto;
END;
CREATE TRIGGER destroyed_gets_no_key BEFORE INSERT ON guest_key
WHEN EXISTS (SELECT 1 FROM destroyed WHERE ref = NEW.ref AND upto >= NEW.generation)
BEGIN
    SELECT RAISE(ABORT, 'vault: this key was destroyed for ever');
END;
CREATE TRIGGER guest_key_never_changes BEFORE UPDATE ON guest_key
BEGIN
    SELECT RAISE(ABORT, 'vault: a key never changes');
END;
COMMIT;
"""
_PUT_DESTROYED = """
INSERT INTO destroyed (ref, upto) VALUES (?, ?) ON CONFLICT (ref) DO UPDATE SET upto = max(upto, excluded.upto)
"""
_PUT_KEY = "INSERT INTO guest_key (ref, generation, wrapped) VALUES (?, ?, ?)"
_REPLACE_KEY = "REPLACE INTO guest_key (ref, generation, wrapped) VALUES (?, ?, ?)"  # a trigger forbids changing one
_WRAPPED_AFTER = """
SELECT ref, generation, wrapped FROM guest_key WHERE (ref, generation) > (?, ?) ORDER BY ref, generation LIMIT ?
"""
_NEWEST_AFTER = """
SELECT ref, max(generation) FROM guest_key WHERE ref > ?1 GROUP BY ref ORDER BY ref LIMIT ?3
"""


def keys_path(database: Path) -> Path:
    """The keys' database of a store's: `steward.db` has `steward.guest-keys.db`."""
    return database.with_name(f"{database.stem}.guest-keys.db")


class _OtherDataKey(StoreUnavailable):
    """These keys are wrapped by another data key."""


class GuestKeys:
    """Thread-safe. Keys are unwrapped when first asked for, and the last ones used are held in memory."""

    def __init__(self, path: Path, connection: sqlite3.Connection, data_key: DataKey, entropy: Entropy) -> None:
        self.path = path
        self.data_key = data_key
        self._connection = connection
        self._entropy = entropy
        self._guard = threading.RLock()
        self._cached: OrderedDict[tuple[GuestRef, int], GuestKey] = OrderedDict()
        self._newest: dict[GuestRef, int] = {}
        self._destroyed: dict[GuestRef, int] = dict(self._rows("SELECT ref, upto FROM destroyed"))
        self.names = NameCache()
        self._late: dict[GuestRef, int] = {}  # destroyed in the store, not yet here: the disk refused
        self._late_drops: set[GuestRef] = set()
        self._lost: dict[GuestRef, int] = {}
        self._log_held = False  # the log could not be emptied: another program reads it
        self.id: bytes = self._rows("SELECT id FROM vault")[0][0]

    @classmethod
    def open(cls, database: Path, data_key: DataKey, entropy: Entropy, *, expected: bytes | None) -> GuestKeys:
        """The keys of this database; made if there are none. Hold the database's lock.

        expected: the id that the database knows; None: it has not sealed anything yet. Raises StoreUnavailable, with
        nothing written, if these are not its keys or the data key is not theirs.
        """
        path = keys_path(database)
        if not path.exists() and expected is not None:
            raise StoreUnavailable(
                f"{path} is missing: what {database} keeps of guests is sealed with the keys in it. Put it back from "
                "where it was moved, or from the copy made by: steward backup --keys"
            )
        if not path.exists() or not path.stat().st_size:
            _make(path, data_key, entropy)
        connection = connect(path)
        try:
            _check(connection, path, data_key, expected)
            return cls(path, connection, data_key, entropy)
        except DATABASE_ERRORS as error:
            connection.close()
            raise store_error(error, str(path)) from error
        except StoreUnavailable:
            connection.close()
            raise

    def find(self, ref: GuestRef, generation: int) -> GuestKey | None:
        with self._guard:
            found = self._cached.get((ref, generation))
            if found is not None:
                return found
            rows = self._rows("SELECT wrapped FROM guest_key WHERE ref = ? AND generation = ?", (ref, generation))
            if not rows or generation <= self.destroyed(ref):
                return None
            key = self._unwrapped(ref, generation, rows[0][0])
            self._remember(ref, key)
            return key

    def newest(self, ref: GuestRef) -> int:
        with self._guard:
            known = self._newest.get(ref)
            if known is None:
                rows = self._rows("SELECT max(generation) FROM guest_key WHERE ref = ?", (ref,))
                known = int(rows[0][0] or 0)
                if known:
                    self._newest[ref] = known
            return known

    def destroyed(self, ref: GuestRef) -> int:
        return self._destroyed.get(ref, 0)

    def lost(self, ref: GuestRef) -> int:
        return self._lost.get(ref, 0)

    def note_lost(self, lost: Mapping[GuestRef, int]) -> None:
        """Found in the database: refs, and the newest generation of theirs that there is no key of."""
        self._lost = dict(lost)

    def all_destroyed(self) -> dict[GuestRef, int]:
        return dict(self._destroyed)

    def keep(self, made: Mapping[tuple[GuestRef, int], GuestKey]) -> None:
        """On disk when this returns. Raises sqlite3.Error or StoreUnavailable: then none of them is kept."""
        if not made:
            return
        with self._guard:
            rows = [self._wrapped(self.data_key, ref, key) for (ref, _), key in made.items()]
            with self._transaction():
                self._connection.executemany(_PUT_KEY, rows)
            for (ref, _), key in made.items():
                self._remember(ref, key)
                self._newest[ref] = max(key.generation, self._newest.get(ref, 0))

    def forget(self, destroyed: Mapping[GuestRef, int], dropped: Iterable[GuestRef] = ()) -> None:
        """For ever, and gone from the file when this returns.

        Raises sqlite3.Error: nobody can use these keys any more, and they go from the file the next time.
        """
        with self._guard:
            for ref, upto in destroyed.items():
                self._destroyed[ref] = max(upto, self._destroyed.get(ref, 0))
                self._late[ref] = self._destroyed[ref]
            self._late_drops.update(dropped)
            self.names.drop(destroyed)
            for ref, generation in list(self._cached):
                if generation <= self.destroyed(ref) or ref in self._late_drops:
                    del self._cached[ref, generation]
            for ref in self._late_drops:
                self._newest.pop(ref, None)
            with self._transaction():
                self._connection.executemany(_PUT_DESTROYED, list(self._late.items()))
                self._connection.executemany(
                    "DELETE FROM guest_key WHERE ref = ?", [(ref,) for ref in self._late_drops]
                )
            if self._late or self._log_held:
                self._empty_log()
            self._late.clear()
            self._late_drops.clear()

    def rewrap(self, new: DataKey) -> int:
        """Wrap every key by this data key, and begin a new generation of each; how many refs have one.

        What was sealed stays readable; what is sealed from now on does not open with any key of before. Nobody else may
        write meanwhile. Raises sqlite3.Error or StoreUnavailable: then the file says itself whose keys are in it.
        """
        with self._guard:
            with self._transaction():
                for rows in self._pages(_WRAPPED_AFTER):
                    keys = [(ref, self._unwrapped(ref, generation, wrapped)) for ref, generation, wrapped in rows]
                    self._connection.executemany(_REPLACE_KEY, [self._wrapped(new, ref, key) for ref, key in keys])
                count = sum(self._begin_generation(new, rows) for rows in self._pages(_NEWEST_AFTER))
                proof = new.wrap(_CHECK, 0, self.id, self._entropy)
                self._connection.execute("UPDATE vault SET proof = ?", (proof,))
            self.data_key = new
            self._newest.clear()
            return count

    def begin(self) -> None:
        """At a start: a power cut may have left keys in the log that were destroyed. What is held now goes later."""
        with self._guard:
            try:
                self._empty_log()
            except sqlite3.OperationalError:
                self._log_held = True

    def clean(self) -> None:
        """Leave nothing of what was replaced in the file or its log. Raises sqlite3.Error."""
        with self._guard:
            self._connection.execute("VACUUM")
            self._empty_log()

    @property
    def late(self) -> bool:
        """Whether keys are to be destroyed that the disk refused to forget."""
        return bool(self._late) or self._log_held

    def copy_to(self, target: Path) -> None:
        """One file with the keys as they are now. Raises StoreUnavailable."""
        with self._guard:
            copy_database(self._connection, target)

    def close(self) -> None:
        with self._guard:
            self._cached.clear()
            self._connection.close()

    def _rows(self, sql: str, values: tuple[str | int, ...] = ()) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except DATABASE_ERRORS as error:
            raise store_error(error, str(self.path)) from error

    def _pages(self, sql: str) -> Iterator[list[Any]]:
        """Rows in order, so many at once; each begins with a ref and a generation."""
        ref, generation = "", 0
        while rows := self._connection.execute(sql, (ref, generation, ROWS_AT_ONCE)).fetchall():
            yield rows
            ref, generation = rows[-1][:2]

    def _begin_generation(self, new: DataKey, rows: list[tuple[GuestRef, int]]) -> int:
        """rows: refs and their newest generation. The last one there can be stays in use."""
        last = [(ref, max(newest, self.lost(ref))) for ref, newest in rows]
        keys = [
            (ref, GuestKey.of(number + 1, self._entropy.token_bytes(KEY_BYTES)))
            for ref, number in last
            if number < GENERATION_MAX
        ]
        self._connection.executemany(_PUT_KEY, [self._wrapped(new, ref, key) for ref, key in keys])
        return len(rows)

    def _wrapped(self, data_key: DataKey, ref: GuestRef, key: GuestKey) -> tuple[GuestRef, int, bytes]:
        return ref, key.generation, data_key.wrap(ref, key.generation, key.material, self._entropy)

    def _unwrapped(self, ref: GuestRef, generation: int, wrapped: bytes) -> GuestKey:
        material = self.data_key.unwrap(ref, generation, wrapped)
        if material is None or len(material) != KEY_BYTES:
            raise StoreUnavailable(f"{self.path}: the key of {ref} is damaged: restore the copy of this file")
        return GuestKey.of(generation, material)

    def _remember(self, ref: GuestRef, key: GuestKey) -> None:
        self._cached[ref, key.generation] = key
        if len(self._cached) > CACHED_MAX:
            self._cached.popitem(last=False)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _empty_log(self) -> None:
        """What was overwritten with zeros in the file must not stay in its log."""
        (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError(f"{self.path}: another program reads it: close that program")
        self._log_held = False


def are_wrapped_by(path: Path, data_key: DataKey) -> bool:
    """Whether the keys in this file open with this data key. Raises StoreUnavailable."""
    connection = connect(path)
    try:
        _check(connection, path, data_key, None)
    except _OtherDataKey:
        return False
    except DATABASE_ERRORS as error:
        raise store_error(error, str(path)) from error
    finally:
        connection.close()
    return True


def _make(path: Path, data_key: DataKey, entropy: Entropy) -> None:
    """Whole or not at all, whenever the power goes."""
    check_folder(path)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    create_file(part)
    own = entropy.token_bytes(ID_BYTES)
    try:
        connection = connect(part)
        try:
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            proof = data_key.wrap(_CHECK, 0, own, entropy)
            connection.execute("INSERT INTO vault (only, id, proof) VALUES (1, ?, ?)", (own, proof))
            copy_database(connection, path)
        finally:
            connection.close()
    except DATABASE_ERRORS as error:
        raise store_error(error, str(path)) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            part.with_name(part.name + suffix).unlink(missing_ok=True)


def _check(connection: sqlite3.Connection, path: Path, data_key: DataKey, expected: bytes | None) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version != SCHEMA_VERSION:
        raise StoreUnavailable(f"{path} is no file of guests' keys that this program knows: check the path")
    rows = connection.execute("SELECT id, proof FROM vault").fetchall()
    if len(rows) != 1:
        raise StoreUnavailable(f"{path} is damaged: restore the copy made by: steward backup --keys")
    ((own, proof),) = rows
    if data_key.unwrap(_CHECK, 0, proof) != own:
        raise _OtherDataKey(
            f"{path} does not open with this data key: put the data key file back that belongs to it "
            "([gateway] data_key_file)"
        )
    if expected is not None and own != expected:
        raise StoreUnavailable(f"{path} holds the keys of another database: put this one's own keys there")
