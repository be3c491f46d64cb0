"""Replicated records, peers, allowances: ports.ship on SQLite."""

from __future__ import annotations

from steward.adapters.sqlite.statements import Statements


class ShipTx(Statements):
    """Part of SqliteTx."""
