"""What a till says of its outlet's stock, over the API of a real gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.gatewaykit import Aboard, aboard

from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.ids import OutletId

TILL = "bar"


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running


async def test_a_till_says_what_its_outlet_has_not_and_no_other_outlet_does(ship: Aboard) -> None:
    def item(name: str, outlet: str) -> Item:
        return Item(ItemId(name), OutletId(outlet), {"en": name.title()}, "drink", (), (), (), 900, "EUR")

    items = (item("lager", "bar"), item("oil", "spa"))
    await ship.gateway.parts.store.write(lambda tx: tx.put_catalogue(Catalogue(1, items)))
    free = {"item": "lager", "title": "Lager", "gone": None, "until_s": None}
    assert (await ship.call(TILL, "GET", "/v1/stock")).json() == {"outlet": "bar", "items": [free]}
    until_s = ship.gateway.parts.services.clock.now().unix_s + 3600
    for _ in range(2):
        said = await ship.call(TILL, "PUT", "/v1/stock/lager", {"gone": "sold_out", "until_s": until_s})
        assert (said.status_code, said.json()) == (200, free | {"gone": "sold_out", "until_s": until_s})
    full = (await ship.call(TILL, "PUT", "/v1/stock/lager", {"gone": "full"})).json()
    assert full["gone"] == "full"
    assert 0 < full["until_s"] - until_s + 3600 <= 86_400  # the end of the ship's day
    for body, status, code in (
        ({"gone": "stolen"}, 422, "request_invalid"),
        ({}, 422, "request_invalid"),
        ({"gone": "full", "until_s": "soon"}, 422, "request_invalid"),
        ({"gone": "full", "until_s": -1}, 422, "request_invalid"),
        ({"gone": "full", "until_s": 2**53}, 422, "request_invalid"),
        ({"gone": "full", "outlet": "spa"}, 422, "request_invalid"),
        ({"gone": "full", "until_s": until_s - 3601}, 409, "until_invalid"),
        ({"gone": "full", "until_s": until_s + 8 * 86_400}, 409, "until_invalid"),
    ):
        refused = await ship.call(TILL, "PUT", "/v1/stock/lager", body)
        assert (refused.status_code, refused.json()["code"]) == (status, code), body
    for path in ("/v1/stock/oil", "/v1/stock/unheard-of", "/v1/stock/..%2Foil"):
        for method, body in (("PUT", {"gone": "full"}), ("DELETE", None)):
            assert (await ship.call(TILL, method, path, body)).status_code == 404, path
    for _ in range(2):
        assert (await ship.call(TILL, "DELETE", "/v1/stock/lager")).json() == free
    assert (await ship.call("spa", "GET", "/v1/stock")).json()["items"][0]["gone"] is None
