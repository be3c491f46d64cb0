"""ShoreStore on PostgreSQL (extra `fleet`): several ingest workers, in one process or many, share one database.

A few connections, each remade when it is found broken, so a database that was restarted is used again by itself.
What serialises two workers on one gateway is the lock of that gateway's row, which every script takes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from steward.errors import Busy, Conflict, StewardError, StoreUnavailable
from steward.shore.script import Rows, Script
from steward.shore.store import SCHEMA_VERSION, ShoreStore, schema_scripts

T = TypeVar("T")

CONNECTIONS_MAX = 64
WAITING_MAX = 1024
WAIT_MAX_S = 30.0  # for a free connection
COPY_FROM = 4  # rows: fewer are inserted one by one, in one round trip
_MIGRATION_LOCK = 0x73746577617264  # any number all versions agree on
# A hung server or network must not hold a worker for ever: the gateway sends again whatever was not acknowledged.
_CONNECTION = {
    "application_name": "steward-shore",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "options": "-c statement_timeout=60s -c lock_timeout=30s -c idle_in_transaction_session_timeout=60s",
}
# A commit is on disk before it is acknowledged, whatever the server's default is.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TYPES = (
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    (re.compile(r"\) STRICT(, WITHOUT ROWID)?"), ")"),
)


_COPIED: Mapping[type, str] = {str: "text", int: "int8", bytes: "bytea"}


class PostgresShore:
    """Open it with `open`; up to `connection_count` scripts run at once."""

    def __init__(self, conninfo: str, connection_count: int) -> None:
        self._conninfo = conninfo
        self._idle: asyncio.Queue[AsyncConnection[Any] | None] = asyncio.Queue()
        for _ in range(connection_count):
            self._idle.put_nowait(None)
        self._count = connection_count
        self._waiting = 0
        self._closed = False

    @classmethod
    async def open(cls, url: str, *, password: str | None = None, connection_count: int = 8) -> PostgresShore:
        """Connect once and bring the schema to this program's version. Raises StoreUnavailable."""
        assert 1 <= connection_count <= CONNECTIONS_MAX
        store = cls(_conninfo(url, password), connection_count)
        try:
            async with store._connection() as connection:
                await _migrate(connection)
        except StewardError:
            await store.close()
            raise
        return store

    async def write(self, script: Script[T]) -> T:
        """See ShoreStore."""
        return await self._run("BEGIN", script)

    async def read(self, script: Script[T]) -> T:
        """See ShoreStore."""
        return await self._run(_READ, script)

    async def scrub(self) -> bool:
        """See ShoreStore. The server's own vacuum does it, when it runs."""
        return True

    async def close(self) -> None:
        """See ShoreStore. Waits for scripts that run, which the server's own time-outs bound."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self._count):
            connection = await self._idle.get()
            if connection is not None:
                await connection.close()

    async def _run(self, begin: str, script: Script[T]) -> T:
        try:
            async with self._connection() as connection:
                await _execute(connection, begin)
                try:
                    result = await _drive(connection, script)
                except StewardError:  # the script's own no: the connection is as good as before
                    await _execute(connection, "ROLLBACK")
                    raise
                await _execute(connection, "COMMIT")
                return result
        finally:
            script.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for one transaction. One that breaks, or is left in mid-air, is not used again."""
        connection = await self._take()
        try:
            if connection is None:
                connection = await _connect(self._conninfo)
            yield connection
        except psycopg.Error as error:
            raise _ours(error) from error
        finally:
            self._idle.put_nowait(_reusable(connection))

    async def _take(self) -> AsyncConnection[Any] | None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._waiting >= WAITING_MAX:
            raise Busy(f"{self._waiting} transactions are waiting already: try again")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_MAX_S):
                return await self._idle.get()
        except TimeoutError:
            raise Busy(f"no database connection became free within {WAIT_MAX_S:.0f} s: try again") from None
        finally:
            self._waiting -= 1


async def _connect(conninfo: str) -> AsyncConnection[Any]:
    connection = await AsyncConnection.connect(conninfo, autocommit=True)
    with contextlib.ExitStack() as unless_done:
        unless_done.callback(connection.pgconn.finish)
        await connection.execute(_DURABLE)
        unless_done.pop_all()
    return connection


def _reusable(connection: AsyncConnection[Any] | None) -> AsyncConnection[Any] | None:
    """The connection, or None if it is in the middle of anything: then it is closed, and made anew when needed.

    Not awaiting: whoever was cancelled must still give back its place.
    """
    if connection is None or connection.closed:
        return None
    if connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
        return connection
    connection.pgconn.finish()
    return None


async def _drive(connection: AsyncConnection[Any], script: Script[T]) -> T:
    rows: Rows | None = None
    try:
        while True:
            ask = next(script) if rows is None else script.send(rows)
            if ask.many is None:
                rows = await _execute(connection, ask.sql, ask.values)
            elif ask.copy is not None and len(ask.many) >= COPY_FROM:
                await _copy(connection, ask.copy, ask.many)
                rows = []
            else:
                async with connection.cursor() as cursor:
                    await cursor.executemany(_dialect(ask.sql), ask.many)
                rows = []
    except StopIteration as done:
        result: T = done.value
        return result


async def _execute(connection: AsyncConnection[Any], sql: str, values: Sequence[object] = ()) -> Rows:
    cursor = await connection.execute(_dialect(sql), values)
    return [] if cursor.description is None else await cursor.fetchall()


async def _copy(connection: AsyncConnection[Any], into: str, many: Sequence[Sequence[object]]) -> None:
    """COPY keeps what INSERT keeps, and refuses what it refuses; it asks twice of the server instead of once a row."""
    async with connection.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.set_types([_COPIED[type(value)] for value in many[0]])
        for row in many:
            await copy.write_row(row)


def _dialect(sql: str) -> bytes:
    """Our statements hold no `?` and no `%` but the marks of their values. Bytes: they are constants, never input."""
    return sql.replace("?", "%s").encode()


async def _migrate(connection: AsyncConnection[Any]) -> None:
    """In one transaction, one process at a time: the others wait, then find it done."""
    await _execute(connection, "BEGIN")
    await _execute(connection, "SELECT pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))
    await _execute(connection, "CREATE TABLE IF NOT EXISTS steward_schema (version BIGINT PRIMARY KEY)")
    ((version,),) = await _execute(connection, "SELECT coalesce(max(version), 0) FROM steward_schema")
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"the database has schema version {version} and this program knows versions up to {SCHEMA_VERSION}: "
            "run the newer program"
        )
    for number, script in enumerate(schema_scripts()[version:], version + 1):
        for pattern, word in _TYPES:
            script = pattern.sub(word, script)
        await connection.execute(script.encode())
        await _execute(connection, "INSERT INTO steward_schema (version) VALUES (?)", (number,))
    await _execute(connection, "COMMIT")


def _conninfo(url: str, password: str | None) -> str:
    """Raises StoreUnavailable for what libpq cannot read; the text of its error could repeat a password."""
    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
        return make_conninfo("", **{**_CONNECTION, **given, **({"password": password} if password else {})})
    except psycopg.ProgrammingError:
        raise StoreUnavailable("the database URL cannot be read: write postgresql://user@host/name") from None


def _ours(error: psycopg.Error) -> StewardError:
    """Without the error's DETAIL, which may quote rows."""
    what = error.diag.message_primary or str(error).strip().splitlines()[0]
    if isinstance(error, psycopg.IntegrityError):
        return Conflict(what)
    return StoreUnavailable(f"PostgreSQL: {what} ({type(error).__name__})")


if TYPE_CHECKING:

    def _is_a_store(store: PostgresShore) -> ShoreStore:
        return store
