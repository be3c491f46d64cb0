"""What several gateways of one ship share: replicated records, events taken in from peers, escrowed allowances."""

from __future__ import annotations

from typing import Protocol


class ShipTx(Protocol):
    """Part of ports.Tx."""
