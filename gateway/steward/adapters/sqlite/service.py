"""Profiles, look-ups, notes, recovery cases, consent, crew, catalogue, offers: ports.service on SQLite."""

from __future__ import annotations

from steward.adapters.sqlite.consent import ConsentTx
from steward.adapters.sqlite.crew import CrewTx
from steward.adapters.sqlite.lookups import LookUpTx
from steward.adapters.sqlite.offers import OfferTx


class ServiceTx(LookUpTx, ConsentTx, CrewTx, OfferTx):
    """Part of SqliteTx."""
