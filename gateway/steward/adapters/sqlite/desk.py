"""The purser's approvals: ports.desk on SQLite."""

from __future__ import annotations

from steward.adapters.sqlite.statements import Statements


class DeskTx(Statements):
    """Part of SqliteTx."""
