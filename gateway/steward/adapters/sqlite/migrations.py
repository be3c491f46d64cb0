"""Schema versions: each script in one transaction, a copy of the database kept before the first of them.

SQLite's user_version holds the schema version; application_id says that the file is ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from steward.adapters.sqlite.connect import DATABASE_ERRORS, check_folder, connect, create_file, store_error
from steward.adapters.sqlite.copying import copy_database
from steward.adapters.sqlite.guestkeys import GuestKeys
from steward.adapters.sqlite.lock import DatabaseLock, check_not_restoring
from steward.adapters.sqlite.sealing import Sealing
from steward.adapters.system import OsEntropy
from steward.adapters.vault import DataKey
from steward.errors import StoreUnavailable
from steward.ports import Entropy

APPLICATION_ID = 0x53545744  # "STWD"
_SCRIPTS = tuple(f"schema_v{version}.sql" for version in range(1, 20))
SCHEMA_VERSION = len(_SCRIPTS)
SEALED_VERSION = 12  # what is older holds names in clear


@dataclass(frozen=True, slots=True)
class Migration:
    """What was done: versions before (0: a new database) and after, and the copy kept, if any."""

    before: int
    after: int
    kept: Path | None


def scripts() -> tuple[str, ...]:
    """The scripts in order; the first makes version 1 of an empty database."""
    folder = files("steward.adapters.sqlite")
    return tuple(folder.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)


def check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StoreUnavailable if the file is the database of another program. sqlite3.Error passes through."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (tables or version or application):
        raise StoreUnavailable(f"{path} is the database of some other program: check the path")


def read_version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version, 0 if the database is empty. Raises StoreUnavailable if we cannot use it."""
    try:
        check_ours(connection, path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except DATABASE_ERRORS as error:
        raise store_error(error, str(path)) from error
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{path} has schema version {version} and this program knows versions up to {SCHEMA_VERSION}: "
            "run the newer program, or restore a backup made before it was installed"
        )
    return int(version)


def open_keys(connection: sqlite3.Connection, path: Path, data_key: DataKey, entropy: Entropy) -> GuestKeys:
    """The guests' keys of this database. Hold its lock. Raises StoreUnavailable, with nothing written."""
    expected = None
    if read_version(connection, path) >= SEALED_VERSION:
        ((expected,),) = connection.execute("SELECT id FROM vault_state").fetchall()
    return GuestKeys.open(path, data_key, entropy, expected=expected)


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    sealing: Sealing,
    *,
    steps: Sequence[str] | None = None,
    keep_copy: bool = True,
) -> Migration:
    """Bring the database to the last version. What fails leaves the version before it, whole.

    The copy of an existing database is made beside it, named `<name>.before-v<n>`. Raises StoreUnavailable.
    """
    steps = scripts() if steps is None else steps
    before = read_version(connection, path)
    kept = None
    if keep_copy and 0 < before < len(steps):
        kept = path.with_name(f"{path.name}.before-v{len(steps)}")
        copy_database(connection, kept)
    for version in range(before + 1, len(steps) + 1):
        _apply(connection, path, version, steps[version - 1], sealing)
    if before < SEALED_VERSION <= len(steps):
        clean(connection, path, is_new=before == 0)
    return Migration(before, max(before, len(steps)), kept)


def clean(connection: sqlite3.Connection, path: Path, *, is_new: bool = False) -> None:
    """Leave nothing in the file or its log of what was there before it was sealed. Raises StoreUnavailable.

    is_new: it was made just now, and never held anything.
    """
    try:
        ((is_clean,),) = connection.execute("SELECT clean FROM vault_state").fetchall()
        if not is_clean:
            if not is_new:
                connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.execute("UPDATE vault_state SET clean = 1")
    except DATABASE_ERRORS as error:
        raise store_error(error, f"{path} is sealed, but not yet rid of what it held before") from error


def migrate_file(path: Path, data_key: DataKey) -> Migration:
    """Migrate a database that nobody has open, making it if there is none. Raises StoreUnavailable."""
    check_folder(path)
    lock = DatabaseLock(path)
    try:
        check_not_restoring(path)
        create_file(path)
        connection = connect(path)
        try:
            entropy = OsEntropy()
            keys = open_keys(connection, path, data_key, entropy)
            try:
                return migrate(connection, path, Sealing(keys, entropy))
            finally:
                keys.close()
        finally:
            connection.close()
    finally:
        lock.release()


def _apply(connection: sqlite3.Connection, path: Path, version: int, script: str, sealing: Sealing) -> None:
    try:
        sealing.lend(connection)
        connection.executescript(
            f"BEGIN EXCLUSIVE;\n{script}\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {version};"
        )
        sealing.keep()
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise StoreUnavailable(
            f"{path}: cannot be brought to schema version {version}: {error}. Nothing was changed"
        ) from error
