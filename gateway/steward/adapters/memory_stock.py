"""What is sold out or full: ports.stock in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.domain.catalogue import ItemId
from steward.domain.ids import OutletId
from steward.domain.replica import Kind
from steward.domain.stock import StockWord


class StockState:
    def __init__(self) -> None:
        self.words: dict[tuple[OutletId, ItemId], StockWord] = {}


class MemoryStockTx(Tables):
    if TYPE_CHECKING:

        def _told(self, kind: Kind, name: str) -> None:
            """Of MemoryShipTx."""
            ...

    def put_stock(self, word: StockWord) -> None:
        self._put(self._part(StockState).words, (word.outlet, word.item), word)
        self._told(Kind.STOCK, f"{word.outlet}/{word.item}")

    def stock(self, outlet: OutletId, item: ItemId) -> StockWord | None:
        return self._part(StockState).words.get((outlet, item))

    def stock_at(self, outlet: OutletId) -> Sequence[StockWord]:
        words = [word for word in self._part(StockState).words.values() if word.outlet == outlet]
        return sorted(words, key=lambda word: word.item)

    def drop_stock(self, outlet: OutletId, item: ItemId) -> None:
        self._drop(self._part(StockState).words, (outlet, item))
