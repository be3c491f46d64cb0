"""What is sold out or full: ports.stock among the small facts of SQLite, under stock/OUTLET/ITEM.

The change log moves with each word, in the same method: there is no other way to write one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from steward.adapters.sqlite.events import META, SET_META
from steward.adapters.sqlite.statements import Statements
from steward.domain.catalogue import ItemId
from steward.domain.ids import OutletId
from steward.domain.replica import Kind
from steward.domain.stock import Gone, StockWord

_ROOT = "stock/"
STOCK_AT = "SELECT key, value FROM meta WHERE key > ? AND key < ? ORDER BY key"
DROP_STOCK = "DELETE FROM meta WHERE key = ?"
NEXT_REVISION = "UPDATE ship_revision SET revision = revision + 1"
TELL = """
INSERT INTO ship_change (kind, name, revision) VALUES (?, ?, (SELECT revision FROM ship_revision))
ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision
"""


class StockTx(Statements):
    """Part of SqliteTx."""

    def put_stock(self, word: StockWord) -> None:
        name = f"{word.outlet}/{word.item}"
        self._change(SET_META, (_ROOT + name, json.dumps([word.gone, word.said_s, word.until_s])))
        self._change(NEXT_REVISION, ())
        self._change(TELL, (int(Kind.STOCK), name))

    def stock(self, outlet: OutletId, item: ItemId) -> StockWord | None:
        row = self._one(META, (f"{_ROOT}{outlet}/{item}",))
        return None if row is None else _word(outlet, item, row[0])

    def stock_at(self, outlet: OutletId) -> Sequence[StockWord]:
        begin, end = f"{_ROOT}{outlet}/", f"{_ROOT}{outlet}0"  # 0 comes after /
        return [_word(outlet, key.removeprefix(begin), value) for key, value in self._all(STOCK_AT, (begin, end))]

    def drop_stock(self, outlet: OutletId, item: ItemId) -> None:
        self._change(DROP_STOCK, (f"{_ROOT}{outlet}/{item}",))


def _word(outlet: OutletId, item: str, value: str) -> StockWord:
    gone, said_s, until_s = json.loads(value)
    return StockWord(outlet, ItemId(item), None if gone is None else Gone(gone), said_s, until_s)
