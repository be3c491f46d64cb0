"""What the purser's desk keeps beyond the ledger: approvals by a second person."""

from __future__ import annotations

from typing import Protocol


class DeskTx(Protocol):
    """Part of ports.Tx."""
