"""A guest takes their data along: as a file for programs, as a table for a spreadsheet, or to be read here."""

from __future__ import annotations

import re

from starlette.responses import Response, StreamingResponse

from steward.domain.guestsession import Level
from steward.domain.ids import GuestRef
from steward.errors import NotFound
from steward.services.takeout import TakeOut
from steward.web.bundle import Services
from steward.web.pages.base import PageError
from steward.web.pages.guest_taken import readable
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute

TAKE = "/me/take"
BY_GUEST, BY_PARENT = "guest", "parent"
_REF = re.compile(r"[0-9a-f]{16}")


class GuestTakePages:
    def __init__(self, services: Services) -> None:
        self._takeouts = services.takeouts
        self._offers = services.own_offers

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", TAKE, Level.BAND, self.show),
            GuestRoute("POST", TAKE + "/file", Level.PROVEN, self.take_file),
            GuestRoute("POST", TAKE + "/table", Level.PROVEN, self.take_table),
            GuestRoute("POST", TAKE + "/read", Level.PROVEN, self.read_here),
        ]

    def nav(self) -> list[GuestNav]:
        return []

    async def show(self, call: GuestCall) -> Response:
        return call.page("guest_take.html", children=await children_of(call))

    async def take_file(self, call: GuestCall) -> Response:
        taken = await self._take(call)
        return StreamingResponse(taken.chunks(), media_type="application/json", headers=_named("steward-my-data.json"))

    async def take_table(self, call: GuestCall) -> Response:
        taken = await self._take(call)
        return Response(
            taken.csv.encode(), media_type="text/csv; charset=utf-8", headers=_named("steward-my-folio.csv")
        )

    async def read_here(self, call: GuestCall) -> Response:
        document = (await self._take(call)).document
        offers = await self._offers.of(whom(call) or call.session.ref)
        made = call.t.date_time(call.now_s(), call.services.identity.utc_offset_min)
        uses = readable(call, document, offers.items)
        return call.page("guest_taken.html", made=made, uses=uses, shortened=document["shortened"])

    async def _take(self, call: GuestCall) -> TakeOut:
        own, child = call.session.ref, whom(call)
        if child is None:
            return await self._takeouts.export(own, BY_GUEST)
        return await self._takeouts.export(child, BY_PARENT, parent=own)


def whom(call: GuestCall) -> GuestRef | None:
    """The child a form is about; None: the guest's own data."""
    child = call.form.get("child", "")
    if child and not _REF.fullmatch(child):
        raise NotFound("guest", "of this form")
    return GuestRef(child) if child else None


async def children_of(call: GuestCall) -> list[dict[str, str]]:
    """For whom this guest may ask. Whoever found the band learns no child's name from it."""
    proven = call.session.level is Level.PROVEN
    children = await call.services.no_tracking.children(call.session.ref)
    return [{"ref": child.ref, "name": child.name if proven else ""} for child in children]


def check_sure(call: GuestCall) -> None:
    """Raises PageError unless the box was ticked."""
    if call.form.get("sure") != "1":
        raise PageError(409, "not_sure")


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
