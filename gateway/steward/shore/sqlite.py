"""ShoreStore on one SQLite file: durable before it is acknowledged, one writer, reads beside it on a snapshot.

`inline` runs scripts on the caller's thread at the moment they are awaited: for a simulator with its own clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from steward.adapters.sqlite.connect import DATABASE_ERRORS, connect, create_file, store_error
from steward.adapters.store_register import check_columns
from steward.errors import Busy, StoreUnavailable
from steward.shore.script import Rows, Script
from steward.shore.store import SCHEMA_VERSION, ShoreStore, schema_scripts

T = TypeVar("T")

APPLICATION_ID = 0x53545753  # "STWS"
WAITING_MAX = 1024


class SqliteShore:
    """Open it with `open`. Several processes may have the same file open: the service, and commands beside it."""

    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection, *, inline: bool) -> None:
        self._writer, self._reader = _Lane(writer, inline), _Lane(reader, inline)

    @classmethod
    def open(cls, path: Path, *, create: bool = False, inline: bool = False) -> SqliteShore:
        """Open the database, brought to this program's schema; with `create`, made if there is none. Blocks.

        Raises StoreUnavailable: without `create` a mistyped path must not start an empty fleet.
        """
        if create:
            create_file(path)
        elif not path.exists():
            raise StoreUnavailable(f"{path} does not exist: make it with `steward shore init`, or correct the path")
        with contextlib.ExitStack() as opened:
            writer = connect(path)
            opened.callback(writer.close)
            _migrate(writer, path)
            check_columns(writer, path, prefix="shore.")
            reader = connect(path, query_only=True)
            opened.pop_all()
        return cls(writer, reader, inline=inline)

    async def write(self, script: Script[T]) -> T:
        """See ShoreStore."""
        return await self._writer.run("BEGIN IMMEDIATE", script)

    async def read(self, script: Script[T]) -> T:
        """See ShoreStore."""
        return await self._reader.run("BEGIN", script)

    async def scrub(self) -> bool:
        """See ShoreStore. Pages are overwritten when they change; what is left of them is in the log beside."""
        return await self._writer.call(self._writer.truncate_log)

    async def close(self) -> None:
        """See ShoreStore."""
        await self._reader.close()
        await self._writer.close()


class _Lane:
    """One connection and, unless inline, the one thread that uses it."""

    def __init__(self, connection: sqlite3.Connection, inline: bool) -> None:
        self._connection = connection
        self._thread = None if inline else ThreadPoolExecutor(1, thread_name_prefix="steward-shore-store")
        self._waiting = 0
        self._closed = False

    async def run(self, begin: str, script: Script[T]) -> T:
        return await self.call(partial(self._transact, begin, script))

    async def call(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._thread is None:
            return work()
        if self._waiting >= WAITING_MAX:
            raise Busy(f"{self._waiting} transactions are waiting already: try again")
        self._waiting += 1
        try:
            future: Future[T] = self._thread.submit(work)
        except RuntimeError:  # the process is ending
            self._waiting -= 1
            raise StoreUnavailable("the store is closed") from None
        waiter = asyncio.wrap_future(future)
        waiter.add_done_callback(self._over)
        return await waiter

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()

    def truncate_log(self) -> bool:
        """Everything into the database, and the log to no length; False if a reader is in the way."""
        try:
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except DATABASE_ERRORS as error:
            raise store_error(error) from error
        return not busy

    def _over(self, _future: object) -> None:
        self._waiting -= 1

    def _transact(self, begin: str, script: Script[T]) -> T:
        connection = self._connection
        try:
            connection.execute(begin)
            try:
                result = _drive(connection, script)
                connection.execute("COMMIT")
            finally:
                script.close()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except DATABASE_ERRORS as error:
            raise store_error(error) from error
        return result


def _drive(connection: sqlite3.Connection, script: Script[T]) -> T:
    rows: Rows | None = None
    try:
        while True:
            ask = next(script) if rows is None else script.send(rows)
            if ask.many is None:
                rows = connection.execute(ask.sql, ask.values).fetchall()
            else:
                connection.executemany(ask.sql, ask.many)
                rows = []
    except StopIteration as done:
        result: T = done.value
        return result


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    try:
        # Within one exclusive transaction: two processes may open a new file at the same moment.
        connection.execute("BEGIN EXCLUSIVE")
        try:
            version = _version(connection, path)
            for number, script in enumerate(schema_scripts()[version:], version + 1):
                for statement in statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except DATABASE_ERRORS as error:
        connection.close()
        raise store_error(error, str(path)) from error


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (tables or version or application):
        raise StoreUnavailable(f"{path} is the database of something else: check the path")
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{path} has schema version {version} and this program knows versions up to {SCHEMA_VERSION}: "
            "run the newer program, or restore a backup made before it was installed"
        )
    return int(version)


def statements(script: str) -> list[str]:
    """The statements of a schema script, which has no `;` but at their ends and only whole-line comments."""
    plain = "\n".join(line for line in script.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip() for part in plain.split(";") if part.strip()]


if TYPE_CHECKING:

    def _is_a_store(store: SqliteShore) -> ShoreStore:
        return store
