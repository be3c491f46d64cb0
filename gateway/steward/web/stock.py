"""Calls of a till about what its outlet has none left of, or no place in. Its token says which outlet that is."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from steward.domain.catalogue import ItemId
from steward.domain.ids import OutletId, TillId
from steward.domain.stock import HELD_S_MAX, Gone
from steward.errors import NotFound
from steward.services.stock import Shelved
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.roles import Principal, Role
from steward.web.schemas import Body

_TILL = frozenset({Role.TILL})
_ALL = "/v1/stock"
_ONE = _ALL + "/{item}"
ItemPath = Annotated[str, Path(max_length=32, description="The item, as the catalogue has it.", examples=["lager"])]


class StockBody(Body):
    gone: Annotated[Gone, Field(strict=False, description="`sold_out` or `full`.")]
    until_s: Annotated[
        int | None,
        Field(
            ge=0,
            le=2**53 - 1,
            description=f"Until when, at most {HELD_S_MAX // 86_400} days ahead. Left out: the end of the ship's day.",
        ),
    ] = None


class ItemView(BaseModel):
    """An item of the outlet. `gone` and `until_s` are null while it is to be had."""

    item: str
    title: str
    gone: str | None
    until_s: int | None

    @classmethod
    def of(cls, shelved: Shelved) -> ItemView:
        item, word = shelved.item, shelved.word
        gone = None if word is None or word.gone is None else word.gone.value
        return cls(item=item.id, title=item.title("en"), gone=gone, until_s=None if word is None else word.until_s)


class StockView(BaseModel):
    outlet: str
    items: list[ItemView]


class StockApi:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._stock = services.stock

    def endpoints(self) -> list[Endpoint]:
        missing = {404: "No such item at this till's outlet, or no reader serves this till."}
        late = {409: "The time has passed already, or is too far ahead."}
        calls = (
            ("GET", _ALL, self.list_stock, "What this outlet has, and has not", missing),
            ("PUT", _ONE, self.hold_item_back, "Say that it is sold out or full", missing | late),
            ("DELETE", _ONE, self.bring_item_back, "Say that it is to be had", missing),
        )
        return [
            Endpoint(method, path, _TILL, handler, summary, "till", problems=problems)
            for method, path, handler, summary, problems in calls
        ]

    async def list_stock(self, caller: Caller) -> StockView:
        """Every item that this till's outlet offers, and what of it is sold out or full now."""
        outlet = self._outlet(caller)
        return StockView(outlet=outlet, items=[ItemView.of(one) for one in await self._stock.shelf(outlet)])

    async def hold_item_back(self, item: ItemPath, body: StockBody, caller: Caller) -> ItemView:
        """Nobody is offered it from now on, at any gateway of the ship, until that time. A till still charges for it.
        Sent again it changes nothing; another word or another time takes its place.
        """
        outlet = self._outlet(caller)
        said = await self._stock.hold_back(outlet, ItemId(item), body.gone, body.until_s, f"token:{caller.id}")
        return ItemView.of(said)

    async def bring_item_back(self, item: ItemPath, caller: Caller) -> ItemView:
        """It may be offered again at once. Sent again it changes nothing."""
        return ItemView.of(await self._stock.bring_back(self._outlet(caller), ItemId(item), f"token:{caller.id}"))

    def _outlet(self, caller: Principal) -> OutletId:
        outlet = self._services.tills.get(TillId(str(caller.till)))
        if outlet is None:
            raise NotFound("reader for till", str(caller.till))
        return OutletId(outlet)
