"""The one way a transaction talks to SQLite. The concerns of ports.Tx are built on it, one class each."""

from __future__ import annotations

import binascii
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.connect import DATABASE_ERRORS, store_error
from steward.adapters.store_rules import ReadOnlyError, TransactionOverError
from steward.adapters.vault import TxKeys
from steward.domain.ids import GuestRef
from steward.errors import Conflict, Erased, StoreUnavailable

Value = str | int | bytes | None


class Statements:
    """Runs SQL for one closure. sqlite3 keeps each statement prepared, keyed by its text."""

    def __init__(self, connection: sqlite3.Connection, keys: TxKeys, *, read_only: bool) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._keys = keys
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

    # what was sealed

    def _seal_text(self, ref: GuestRef, kind: str, text: str) -> str:
        """For a column of text. An empty one stays empty. Raises Erased."""
        return b64encode(self._keys.seal(ref, kind, text.encode())).decode("ascii") if text else ""

    def _text(self, ref: GuestRef, kind: str, sealed: str) -> str:
        """The text; empty once it was forgotten."""
        try:
            raw = b64decode(sealed, validate=True)
        except binascii.Error as error:
            raise StoreUnavailable(f"the database: {kind} of {ref} is damaged: restore the last backup") from error
        found = self._bytes(ref, kind, raw) if raw else None
        return "" if found is None else found.decode()

    def _bytes(self, ref: GuestRef, kind: str, sealed: bytes) -> bytes | None:
        """What was sealed; None once it was forgotten."""
        try:
            return self._keys.unseal(ref, kind, sealed)
        except Erased:
            return None


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
