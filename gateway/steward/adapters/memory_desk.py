"""The purser's approvals: ports.desk in memory."""

from __future__ import annotations

from steward.adapters.memory_tables import Tables


class DeskState:
    """What this part of the store keeps."""


class MemoryDeskTx(Tables):
    """Part of MemoryTx."""
