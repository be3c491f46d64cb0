"""Replicated records, peers, allowances: ports.ship in memory."""

from __future__ import annotations

from steward.adapters.memory_tables import Tables


class ShipState:
    """What this part of the store keeps."""


class MemoryShipTx(Tables):
    """Part of MemoryTx."""
