"""Profiles, look-ups, notes, recovery cases, crew, catalogue, offers: ports.service in memory."""

from __future__ import annotations

from steward.adapters.memory_tables import Tables


class ServiceState:
    """What this part of the store keeps."""


class MemoryServiceTx(Tables):
    """Part of MemoryTx."""
