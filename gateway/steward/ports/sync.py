"""What the link needs: the outbox read by class, cursors of each peer, what came down, and the pipe itself."""

from __future__ import annotations

from typing import Protocol


class SyncTx(Protocol):
    """Part of ports.Tx."""
