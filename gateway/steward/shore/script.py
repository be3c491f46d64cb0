"""Transactions as generators: a script yields statements and is sent their rows, and does no I/O itself.

So one script, written once, runs inline on SQLite and awaited on PostgreSQL. Its SQL stays inside what both know;
values are marked `?`. The first statement of a script that changes something takes the lock of the row it is about.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
V = TypeVar("V", bound=int | str)

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = list[Row]


@dataclass(frozen=True, slots=True)
class Ask:
    """One statement; or, with `many`, the same statement for each row of values, giving no rows back.

    copy: the table and columns, for a statement that only inserts: a store may load `many` in its own quicker way.
    """

    sql: str
    values: Sequence[Value] = ()
    many: Sequence[Sequence[Value]] | None = None
    copy: str | None = None


Script: TypeAlias = Generator[Ask, Rows, T]


def rows(sql: str, *values: Value) -> Script[Rows]:
    """Every row."""
    return (yield Ask(sql, values))


def first(sql: str, *values: Value) -> Script[Row | None]:
    """The first row, or None."""
    found = yield Ask(sql, values)
    return found[0] if found else None


def one(sql: str, *values: Value) -> Script[Row]:
    """The one row that a statement such as an aggregate always has."""
    found = yield Ask(sql, values)
    assert found, "this statement always has a row"
    return found[0]


def change(sql: str, *values: Value) -> Script[None]:
    """A statement that writes, its rows not wanted."""
    yield Ask(sql, values)


def change_many(sql: str, many: Sequence[Sequence[Value]]) -> Script[None]:
    """The same write for each row of values."""
    if many:
        yield Ask(sql, many=many)


def insert_many(table: str, columns: Sequence[str], many: Sequence[Sequence[Value]]) -> Script[None]:
    """New rows without None. Raises Conflict, with nothing of the script kept, if one of them is there already."""
    if many:
        into = f"{table} ({', '.join(columns)})"
        yield Ask(f"INSERT INTO {into} VALUES ({', '.join('?' * len(columns))})", many=many, copy=into)  # noqa: S608


def among(values: Sequence[V]) -> tuple[str, list[V]]:
    """`(?, ?, ...)` and its values, at least one. In few different lengths, so that statements stay prepared."""
    count = 1 << (len(values) - 1).bit_length()
    return f"({', '.join('?' * count)})", [*values, *[values[-1]] * (count - len(values))]
