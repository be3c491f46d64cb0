"""What every store asks of the register of use cases before it keeps anything: nothing undeclared is written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from steward.adapters.sqlite.connect import DATABASE_ERRORS, store_error
from steward.domain.events import ERASED_PAYLOAD, NewEvent
from steward.domain.usecases import REGISTER, Register, Sort
from steward.errors import StoreUnavailable

_COLUMNS = """
SELECT s.name, c.name FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c
WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY s.name, c.cid
"""


def check_declared(event: NewEvent, register: Register = REGISTER) -> None:
    """Raises ValueError for a payload that holds what no use case names: the mistake of whoever wrote it."""
    unknown = event.payload.keys() - register.keys_of(event.type)
    if unknown and event.payload != ERASED_PAYLOAD:
        named = ", ".join(sorted(map(str, unknown)))
        raise ValueError(f"event {event.type.name} holds {named}, which usecases.toml does not name: declare it there")


def columns_of(connection: sqlite3.Connection, prefix: str = "") -> list[str]:
    """Every column of this database as the register names it, "guest.booking". prefix: "shore." of the fleet's."""
    return [f"{prefix}{table}.{column}" for table, column in connection.execute(_COLUMNS)]


def check_columns(connection: sqlite3.Connection, path: Path, register: Register = REGISTER, prefix: str = "") -> None:
    """Raises StoreUnavailable: a store that holds what nobody declared is not opened."""
    known = register.names(Sort.COLUMN)
    try:
        unknown = [name for name in columns_of(connection, prefix) if name not in known]
    except DATABASE_ERRORS as error:
        raise store_error(error, str(path)) from error
    if unknown:
        raise StoreUnavailable(
            f"{path} has {', '.join(unknown[:9])}, which no use case names: data without a use is not held. "
            f"Declare it in usecases.toml, or restore a backup from before another program changed the database"
        )
