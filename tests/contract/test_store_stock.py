"""What is sold out or full, in both stores: one word an item, told to other gateways, forgotten without a trace."""

from __future__ import annotations

import pytest

from steward.domain.catalogue import ItemId
from steward.domain.ids import OutletId
from steward.domain.replica import Change, Kind
from steward.domain.stock import Gone, StockWord
from steward.ports import Store, Tx

BAR, BARBER = OutletId("bar"), OutletId("bar0")  # the second begins as the first does
LAGER, TONIC = ItemId("lager"), ItemId("tonic")


def word(
    item: ItemId = LAGER, gone: Gone | None = Gone.SOLD_OUT, outlet: OutletId = BAR, until_s: int = 200
) -> StockWord:
    return StockWord(outlet, item, gone, 100, until_s)


async def test_a_word_comes_back_whole_and_the_last_one_counts(store: Store) -> None:
    for said in (word(), word(gone=Gone.FULL, until_s=300), word(gone=None)):
        await store.write(lambda tx, said=said: tx.put_stock(said))
        assert await store.read(lambda tx: tx.stock(BAR, LAGER)) == said
    assert await store.read(lambda tx: (tx.stock(BAR, TONIC), tx.stock(BARBER, LAGER))) == (None, None)


async def test_an_outlets_words_are_listed_by_item_and_no_others(store: Store) -> None:
    words = [word(TONIC), word(), word(outlet=BARBER), word(outlet=OutletId("ba")), word(outlet=OutletId("bar-1"))]

    def fill(tx: Tx) -> None:
        for each in words:
            tx.put_stock(each)
        tx.set_meta("stock", "not one")
        tx.set_meta("stock/", "nor this")

    await store.write(fill)
    assert list(await store.read(lambda tx: tx.stock_at(BAR))) == [word(), word(TONIC)]
    assert list(await store.read(lambda tx: tx.stock_at(BARBER))) == [word(outlet=BARBER)]
    assert list(await store.read(lambda tx: tx.stock_at(OutletId("spa")))) == []


async def test_each_word_moves_the_change_log_and_forgetting_does_not(store: Store) -> None:
    before = await store.read(lambda tx: tx.revision())
    await store.write(lambda tx: tx.put_stock(word()))
    await store.write(lambda tx: tx.put_stock(word(TONIC)))
    await store.write(lambda tx: tx.put_stock(word(gone=None)))
    found = [Change(before + 2, Kind.STOCK, "bar/tonic"), Change(before + 3, Kind.STOCK, "bar/lager")]
    assert list(await store.read(lambda tx: tx.changes(before, 9))) == found
    await store.write(lambda tx: tx.drop_stock(BAR, LAGER))
    await store.write(lambda tx: tx.drop_stock(BAR, ItemId("never-there")))
    assert list(await store.read(lambda tx: tx.changes(before, 9))) == found
    assert await store.read(lambda tx: (tx.stock(BAR, LAGER), list(tx.stock_at(BAR)))) == (None, [word(TONIC)])


async def test_a_word_of_a_transaction_that_failed_was_never_said(store: Store) -> None:
    class Stop(Exception):
        pass

    before = await store.read(lambda tx: tx.revision())

    def work(tx: Tx) -> None:
        tx.put_stock(word())
        tx.drop_stock(BAR, LAGER)
        tx.put_stock(word(TONIC))
        raise Stop

    with pytest.raises(Stop):
        await store.write(work)
    assert await store.read(lambda tx: (list(tx.stock_at(BAR)), tx.revision())) == ([], before)
