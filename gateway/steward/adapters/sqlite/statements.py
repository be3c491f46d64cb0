"""The one way a transaction talks to SQLite. The concerns of ports.Tx are built on it, one class each."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.connect import DATABASE_ERRORS, store_error
from steward.adapters.store_rules import ReadOnlyError, TransactionOverError
from steward.errors import Conflict, StoreUnavailable

Value = str | int | bytes | None


class Statements:
    """Runs SQL for one closure. sqlite3 keeps each statement prepared, keyed by its text."""

    def __init__(self, connection: sqlite3.Connection, *, read_only: bool) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._read_only = read_only
        self.failure: StoreUnavailable | None = None  # the database gave out: nothing of this closure may be kept

    def end(self) -> None:
        """The closure is over; a copy of this object that it kept is of no use."""
        self._connection = None

    def _all(self, sql: str, values: Sequence[Value] = ()) -> list[Any]:
        if self._connection is None:
            raise TransactionOverError
        try:
            return self._connection.execute(sql, values).fetchall()
        except DATABASE_ERRORS as error:
            ours = store_error(error)
            if not isinstance(ours, Conflict):
                self.failure = StoreUnavailable(str(ours))
            raise ours from error

    def _one(self, sql: str, values: Sequence[Value] = ()) -> Any:
        """The first row, or None."""
        rows = self._all(sql, values)
        return rows[0] if rows else None

    def _change(self, sql: str, values: Sequence[Value]) -> list[Any]:
        """Run a statement that writes; rows only if it has RETURNING."""
        if self._read_only:
            raise ReadOnlyError
        return self._all(sql, values)


def select(columns: Sequence[str], rest: str) -> str:
    """SELECT these columns, and the rest of the statement. For constants: no value ever goes in here."""
    return " ".join(("SELECT", ", ".join(columns), rest))


def upsert(table: str, keys: Sequence[str], columns: Sequence[str]) -> str:
    """INSERT of keys then columns, or an update of the columns where the keys exist: the row keeps its place."""
    names = (*keys, *columns)
    return " ".join(
        (
            *("INSERT INTO", table, "(", ", ".join(names), ") VALUES (", ", ".join("?" * len(names)), ")"),
            *("ON CONFLICT (", ", ".join(keys), ") DO UPDATE SET"),
            ", ".join(f"{name} = excluded.{name}" for name in columns),
        )
    )
