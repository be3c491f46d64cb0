"""Profiles, look-ups, notes, recovery cases, crew, catalogue, offers: ports.service on SQLite."""

from __future__ import annotations

from steward.adapters.sqlite.statements import Statements


class ServiceTx(Statements):
    """Part of SqliteTx."""
