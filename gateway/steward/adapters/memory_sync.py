"""The outbox, cursors, what came down the link: ports.sync in memory."""

from __future__ import annotations

from steward.adapters.memory_tables import Tables


class SyncState:
    """What this part of the store keeps."""


class MemorySyncTx(Tables):
    """Part of MemoryTx."""
