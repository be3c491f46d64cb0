"""Sold out at one till's gateway, known at every other that sells: over a real broker, also after a cut."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.test_several_gateways import CLOCK, Aurora, Node, aurora
from tests.unit.servicekit import item

from steward.domain.catalogue import Catalogue, ItemId
from steward.domain.ids import OutletId
from steward.domain.stock import Gone, StockWord
from steward.services.situation import OfferSettings
from steward.services.stock import StockService

BAR, LAGER, TONIC = OutletId("bar"), ItemId("lager"), ItemId("tonic")
WAIT_S = 60.0


def at(node: Node) -> StockService:
    return StockService(node.store, CLOCK, OfferSettings())


async def words(node: Node) -> Sequence[StockWord]:
    return await node.store.read(lambda tx: tx.stock_at(BAR))


async def until(ship: Aurora, names: Sequence[str], *expected: Gone | None) -> None:
    """Wait until each of these gateways has these words, and all of them the very same."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = [list(await words(ship.nodes[name])) for name in names]
            if [word.gone for word in found[0]] == list(expected) and all(each == found[0] for each in found):
                return
            await asyncio.sleep(0.02)


async def test_every_till_hears_of_it_and_those_cut_off_when_they_are_back(tmp_path: Path) -> None:
    sellers = ("gw1", "bar", "spa")
    async with aurora(tmp_path) as ship:
        for node in ship.nodes.values():
            await node.store.write(lambda tx: tx.put_catalogue(Catalogue(1, (item("lager"), item("tonic")))))
        await at(ship.nodes["bar"]).hold_back(BAR, LAGER, Gone.SOLD_OUT, None, "t1")
        await until(ship, sellers, Gone.SOLD_OUT)
        await ship.nodes["spa"].cut()
        await at(ship.nodes["gw1"]).hold_back(BAR, TONIC, Gone.FULL, None, "c1")
        await at(ship.nodes["bar"]).bring_back(BAR, LAGER, "t1")
        await until(ship, ("gw1", "bar"), None, Gone.FULL)
        assert [word.gone for word in await words(ship.nodes["spa"])] == [Gone.SOLD_OUT]
        ship.nodes["spa"].plug_in()
        await until(ship, sellers, None, Gone.FULL)
        assert await words(ship.nodes["deck"]) == []
        assert ship.alerts == []
