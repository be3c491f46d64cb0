"""Is this database whole? SQLite's own checks, then the promises of our schema."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from steward.adapters.sqlite.connect import DATABASE_ERRORS, connect_file
from steward.adapters.sqlite.migrations import read_version
from steward.errors import StoreUnavailable

FINDINGS_MAX = 20

_LEDGER_SUM = "SELECT coalesce(sum(amount_minor), 0) FROM posting"
_UNBALANCED = """
SELECT count(*) FROM (
    SELECT 1 FROM posting GROUP BY transaction_seq HAVING count(*) < 2 OR sum(amount_minor) <> 0
)
"""
_MISSING_POSTINGS = """
SELECT count(*) FROM ledger_transaction AS t, json_each(t.entries) AS entry
WHERE NOT EXISTS (
    SELECT 1 FROM posting AS p
    WHERE p.account = entry.key AND p.transaction_seq = t.seq AND p.amount_minor = entry.value
)
"""
_STRAY_POSTINGS = """
SELECT count(*) FROM posting AS p LEFT JOIN ledger_transaction AS t ON t.seq = p.transaction_seq
WHERE t.seq IS NULL OR NOT EXISTS (
    SELECT 1 FROM json_each(t.entries) AS entry WHERE entry.key = p.account AND entry.value = p.amount_minor
)
"""
_WRONG_BALANCES = """
SELECT count(*) FROM (
    SELECT account, currency, sum(amount) AS difference FROM (
        SELECT account, currency, balance_minor AS amount FROM account_balance
        UNION ALL
        SELECT p.account, t.currency, -p.amount_minor
        FROM posting AS p JOIN ledger_transaction AS t ON t.seq = p.transaction_seq
    ) GROUP BY account, currency HAVING difference <> 0
)
"""
_EVENT_GAPS = "SELECT count(*) FROM (SELECT epoch FROM event GROUP BY epoch HAVING count(*) <> max(seq))"


def find_damage(connection: sqlite3.Connection, version: int) -> list[str]:
    """What is wrong, in words; empty if nothing is."""
    found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({FINDINGS_MAX})")]
    if found != ["ok"]:
        return [f"integrity check: {finding}" for finding in found]
    checks = [
        ("ledger postings sum to {0}, not to zero", _LEDGER_SUM),
        ("{0} ledger transactions do not balance", _UNBALANCED),
        ("{0} postings of the ledger are missing", _MISSING_POSTINGS),
        ("{0} postings do not belong to their transaction", _STRAY_POSTINGS),
        ("{0} epochs of the event log have holes", _EVENT_GAPS),
    ]
    if version >= 2:
        checks.append(("{0} account balances differ from their postings", _WRONG_BALANCES))
    problems = []
    for words, query in checks:
        (count,) = connection.execute(query).fetchone()
        if count:
            problems.append(words.format(count))
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        problems.append("a record names another one that is not there")
    return problems


def verify_file(path: Path) -> int:
    """Check a database file that nobody writes, such as a backup; return its schema version.

    Raises StoreUnavailable, which says what is wrong.
    """
    if not path.is_file():
        raise StoreUnavailable(f"{path}: there is no such file")
    connection = connect_file(path)
    try:
        version = read_version(connection, path)
        if version == 0:
            raise StoreUnavailable(f"{path} is an empty database, not a backup")
        problems = find_damage(connection, version)
    except DATABASE_ERRORS as error:
        raise StoreUnavailable(f"{path} cannot be read as a database: {error}") from error
    finally:
        connection.close()
    if problems:
        raise StoreUnavailable(f"{path} is damaged: " + "; ".join(problems[:FINDINGS_MAX]))
    return version
