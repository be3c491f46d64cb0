"""A statement as a table for a spreadsheet: codes and whole minor units, so that no program has to guess. Pure.

RFC 4180, UTF-8. A text that a spreadsheet would take for a formula gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from steward.domain.statement import Statement

COLUMNS = ("at", "kind", "text", "outlet", "tap_id", "amount_minor", "balance_minor", "currency", "disputed")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def statement_csv(statement: Statement) -> str:
    """A head and one row a line. at: UTC, ISO 8601. amount_minor: positive is owed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in statement.lines:
        at = datetime.fromtimestamp(line.at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        sale = (_plain(line.text), _plain(line.outlet), line.tap_id or "")
        amounts = (line.amount_minor, line.balance_minor, statement.currency)
        writer.writerow((at, line.kind.value, *sale, *amounts, "yes" if line.disputed else "no"))
    return out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
