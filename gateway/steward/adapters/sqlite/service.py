"""Profiles, look-ups, notes, recovery cases, crew, catalogue, offers: ports.service on SQLite."""

from __future__ import annotations

from steward.adapters.sqlite.crew import CrewTx
from steward.adapters.sqlite.lookups import LookUpTx
from steward.adapters.sqlite.offers import OfferTx


class ServiceTx(LookUpTx, CrewTx, OfferTx):
    """Part of SqliteTx."""
