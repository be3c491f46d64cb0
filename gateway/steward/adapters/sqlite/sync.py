"""The outbox, cursors, what came down the link: ports.sync on SQLite."""

from __future__ import annotations

from steward.adapters.sqlite.statements import Statements


class SyncTx(Statements):
    """Part of SqliteTx."""
