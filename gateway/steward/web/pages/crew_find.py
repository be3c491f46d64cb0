"""A guest who wants to be found, for crew: where their band was heard last, and making it buzz. Each look is logged."""

from __future__ import annotations

import re

from starlette.responses import Response

from steward.domain.ids import GuestRef
from steward.domain.presence import Presence
from steward.domain.viewing import Field
from steward.errors import NotFound
from steward.services.findme import Found
from steward.web.bundle import Services
from steward.web.pages.base import PageCall, PageRoute
from steward.web.pages.crew import GUEST, roles_seeing

SEEKERS = roles_seeing(Field.PRESENCE)
_REF = re.compile(r"[0-9a-f]{16}")


class CrewFindPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[PageRoute]:
        return [
            PageRoute("GET", GUEST + "/find", SEEKERS, self.show, shift=True),
            PageRoute("POST", GUEST + "/find", SEEKERS, self.find, shift=True),
        ]

    async def show(self, call: PageCall) -> Response:
        ref = _ref(call)
        return _page(call, ref, await self._services.find_me.last_of(call.viewer(), ref), None)

    async def find(self, call: PageCall) -> Response:
        """Shown once, at no address. Answers when it is found, or not: some seconds."""
        ref = _ref(call)
        found = await self._services.find_me.find_for(call.viewer(), ref)
        return _page(call, ref, None, found)


def _page(call: PageCall, ref: GuestRef, last: Presence | None, found: Found | None) -> Response:
    said = ""
    if found is not None:
        zone = found.zone or call.t("guest_band.find.nowhere")
        said = call.t(f"guest_band.find.{found.finding}", zone=zone, at=call.time(found.at_s))
    where = "" if last is None else call.t("crew.find.last", zone=last.zone, at=call.time(last.seen_s))
    return call.page("crew_find.html", ref=ref, where=where, found=said)


def _ref(call: PageCall) -> GuestRef:
    ref = call.path["ref"]
    if not _REF.fullmatch(ref):
        raise NotFound("guest", "of this address")
    return GuestRef(ref)
