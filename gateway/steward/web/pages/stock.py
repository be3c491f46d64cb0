"""What an outlet has: its crew say what is sold out or full, until when, and when it is back. No guest is on it."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.catalogue import ItemId
from steward.domain.stock import Gone, next_time_s
from steward.domain.viewing import Field, allowed
from steward.errors import Refused
from steward.services.stock import Shelved
from steward.web.bundle import Services
from steward.web.pages.base import NavItem, PageCall, PageError, PageRoute
from steward.web.pages.crew import SELLERS

STOCK = "/crew/stock"
BACK = "back"
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class StockPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[PageRoute]:
        return [
            PageRoute("GET", STOCK, SELLERS, self.show, shift=True),
            PageRoute("POST", STOCK + "/{item}", SELLERS, self.say, shift=True),
        ]

    def nav(self) -> list[NavItem]:
        return [NavItem(STOCK, "crew.nav.stock", "shelf", SELLERS)]

    async def show(self, call: PageCall) -> Response:
        """What is gone first, then by title."""
        viewer, t = call.viewer(), call.t
        shelf = await self._services.stock.shelf(viewer.outlet)
        ordered = sorted(shelf, key=lambda one: (one.word is None, one.item.title(t.language).casefold(), one.item.id))
        place = self._services.outlets.get(viewer.outlet)
        outlet = viewer.outlet if place is None else place.title
        return call.page("crew_stock.html", items=[_facts(one, call) for one in ordered], outlet=outlet)

    async def say(self, call: PageCall) -> Response:
        """Without a time: until the end of the ship's day. A time is the next one that the ship's clock shows."""
        viewer, said, item = call.viewer(), call.form.get("gone", ""), ItemId(call.path["item"])
        if Field.SUGGESTIONS not in allowed(viewer):  # who may offer here may say what there is
            raise Refused("not_permitted", f"{viewer.role} makes no offers for {viewer.purpose}")
        if said == BACK:
            await self._services.stock.bring_back(viewer.outlet, item, viewer.actor)
            return call.go(STOCK)
        until = _TIME.fullmatch(call.form.get("until", ""))
        if said not in set(Gone) or (call.form.get("until") and until is None):
            raise PageError(400, "form_unreadable")
        offset_s = self._services.identity.utc_offset_min * 60
        until_s = None
        if until is not None:
            until_s = next_time_s(int(until[1]) * 60 + int(until[2]), call.now_s(), offset_s)
        await self._services.stock.hold_back(viewer.outlet, item, Gone(said), until_s, viewer.actor)
        return call.go(STOCK)


def _facts(one: Shelved, call: PageCall) -> dict[str, Any]:
    item, word = one.item, one.word
    state = None
    if word is not None and word.gone is not None:
        state = call.t(f"crew.stock.is_{word.gone}", time=call.time(word.until_s))
    return {"id": item.id, "title": item.title(call.t.language), "state": state}
