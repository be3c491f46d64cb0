"""What other gateways still hold when a folio is settled, and the charges that come in from them afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from steward.domain.ids import GuestRef
from steward.services.allowances import AllowancesOut
from steward.services.desk import LATE_MAX
from steward.web.bundle import GatewayStatus, Services, ShipStatus
from steward.web.pages.base import PageCall, PageRoute
from steward.web.pages.purser import CHARGE, FOLIO, FOLIOS, HOME, PURSERS, billing, ref_of, tap_of
from steward.web.pages.purser_facts import charge_row, person_facts

LATE = HOME + "/late"


class LatePages:
    def __init__(self, services: Services) -> None:
        self._desk = services.desk
        self._folio = services.folio
        self._ship = services.ship

    def routes(self) -> list[PageRoute]:
        table = (
            ("POST", FOLIO + "/settle", self.settle),
            ("GET", LATE, self.list_late),
            ("POST", CHARGE + "/collect", self.collect),
        )
        return [PageRoute(method, path, PURSERS, handler, shift=True) for method, path, handler in table]

    async def settle(self, call: PageCall) -> Response:
        """If a gateway that may still spend for this guest does not answer, the page asks whether to go on."""
        billing(call)
        ref, despite_away = ref_of(call), call.form.get("despite_away") == "on"
        try:
            await self._folio.settle(ref, by=call.signed_in.crew, despite_away=despite_away)
        except AllowancesOut as out:
            return await self._ask(call, ref, out)
        return call.go(f"{FOLIOS}/{ref}")

    async def list_late(self, call: PageCall) -> Response:
        found = await self._desk.late(billing(call))
        rows = [
            {
                "person": person_facts(call, person),
                "charge": charge_row(call, late.charge),
                "open": call.t.money(late.open_minor, late.charge.request.currency),
            }
            for person, late in found
        ]
        return call.page("purser_late.html", rows=rows, more=len(rows) >= LATE_MAX)

    async def collect(self, call: PageCall) -> Response:
        billing(call)
        await self._folio.collect_late(tap_of(call), call.signed_in.crew)
        return call.go(LATE)

    async def _ask(self, call: PageCall, ref: GuestRef, out: AllowancesOut) -> Response:
        found = await self._desk.folio(billing(call), ref)
        rows = away_rows(call, await heard_of(self._ship), {n: {found.guest.currency: m} for n, m in out.out.items()})
        return call.page("purser_away.html", 409, person=person_facts(call, found.person), rows=rows)


async def heard_of(ship: Callable[[], Awaitable[ShipStatus | None]]) -> dict[str, GatewayStatus]:
    """The other gateways of this ship by name, as far as the authority hears of them."""
    status = await ship()
    return {} if status is None else {gateway.name: gateway for gateway in status.gateways}


def away_rows(
    call: PageCall, heard: dict[str, GatewayStatus], out_minor: dict[str, dict[str, int]]
) -> list[dict[str, Any]]:
    """Each gateway with what it may still hold and since when it is silent."""
    rows = []
    for name, sums in out_minor.items():
        gateway = heard.get(name)
        heard_s = None if gateway is None else gateway.heard_ago_s
        rows.append(
            {
                "name": name,
                "amounts": [call.t.money(minor, currency) for currency, minor in sums.items()],
                "here": gateway is not None and gateway.here,
                "heard": "" if heard_s is None else call.time(call.now_s() - heard_s),
            }
        )
    return rows
