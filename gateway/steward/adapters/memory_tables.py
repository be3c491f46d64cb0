"""What the memory store's transactions are made of: tables as dicts, with an undo log. Values are immutable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from steward.adapters.store_rules import ReadOnlyError, TransactionOverError
from steward.adapters.vault import TxKeys
from steward.domain.ids import GuestRef
from steward.errors import Erased

K = TypeVar("K")
V = TypeVar("V")
P = TypeVar("P")


class Parts:
    """The parts of a store's state, one object of each class, made when first asked for."""

    def __init__(self) -> None:
        self._parts: dict[type, Any] = {}

    def part(self, kind: type[P]) -> P:
        found = self._parts.get(kind)
        if found is None:
            found = self._parts[kind] = kind()
        assert isinstance(found, kind)
        return found


class Stamps:
    """Beside a row that is about a guest: its name, sealed with the guest's key."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bytes] = {}


class Tables:
    """Changes of one transaction, each with what undoes it."""

    def __init__(self, parts: Parts, keys: TxKeys, *, read_only: bool) -> None:
        self._keys = keys
        self._parts: Parts | None = parts
        self._read_only = read_only
        self._undo: list[Callable[[], None]] = []

    def end(self, *, keep: bool) -> None:
        """Forget the undo log, or run it backwards. The transaction is of no use afterwards."""
        if not keep:
            for undo in reversed(self._undo):
                undo()
        self._undo.clear()
        self._parts = None

    def _part(self, kind: type[P]) -> P:
        """This part of the state. Raises TransactionOverError after the end."""
        if self._parts is None:
            raise TransactionOverError
        return self._parts.part(kind)

    def _stamp(self, ref: GuestRef, kind: str, row: str) -> None:
        """Rows are objects here and stay so. One whose stamp does not open any more reads as if it were not there.

        Raises Erased.
        """
        self._put(self._part(Stamps).rows, (kind, row), self._keys.seal(ref, kind, row.encode()))

    def _holds(self, ref: GuestRef, kind: str, row: str) -> bool:
        """Whether this row was stamped, and can still be read."""
        stamp = self._part(Stamps).rows.get((kind, row))
        try:
            return stamp is not None and self._keys.unseal(ref, kind, stamp) == row.encode()
        except Erased:
            return False

    def _check_writes(self) -> None:
        if self._read_only:
            raise ReadOnlyError

    def _put(self, table: dict[K, V], key: K, value: V) -> None:
        if self._read_only:
            raise ReadOnlyError
        if key in table:
            old = table[key]
            self._undo.append(lambda: table.__setitem__(key, old))
        else:
            self._undo.append(lambda: table.__delitem__(key))
        table[key] = value

    def _drop(self, table: dict[K, V], key: K) -> None:
        """Remove a row if it is there. Undone, it comes last in the table: sort what is listed."""
        if self._read_only:
            raise ReadOnlyError
        if key in table:
            old = table.pop(key)
            self._undo.append(lambda: table.__setitem__(key, old))

    def _add(self, table: dict[K, list[V]], key: K, value: V) -> None:
        """Append to an index."""
        if self._read_only:
            raise ReadOnlyError
        known = table.setdefault(key, [])
        known.append(value)
        self._undo.append(lambda: known.__delitem__(-1))
