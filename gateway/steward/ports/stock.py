"""What the store keeps of what is sold out or full: one word for each item, the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from steward.domain.catalogue import ItemId
from steward.domain.ids import OutletId
from steward.domain.stock import StockWord


class StockTx(Protocol):
    """Part of ports.Tx. Other gateways of the ship are told of each change, and of none that is forgotten."""

    def put_stock(self, word: StockWord) -> None:
        """Insert or replace by outlet and item."""
        ...

    def stock(self, outlet: OutletId, item: ItemId) -> StockWord | None:
        """None: nothing was said of it, or it is forgotten."""
        ...

    def stock_at(self, outlet: OutletId) -> Sequence[StockWord]:
        """Of this outlet, by item."""
        ...

    def drop_stock(self, outlet: OutletId, item: ItemId) -> None:
        """Forget what does not count any more."""
        ...
