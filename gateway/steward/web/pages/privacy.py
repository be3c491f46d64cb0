"""The privacy officer's page: who looked at whom, for what, newest first; what was opened in an emergency stands out.

It shows references, never names. Whose name it is can be looked up as anybody else's, and that is a look-up too.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.ids import GuestRef
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, allowed
from steward.errors import NotFound, Refused
from steward.services.lookups import NOT_PERMITTED
from steward.web.bundle import Services
from steward.web.pages.base import NavItem, PageCall, PageRoute
from steward.web.pages.purser_facts import outlet_title, who

LOG = "/privacy/log"
OFFICERS = frozenset({CrewRole.PRIVACY_OFFICER})
ROWS = 50
_REF, _SEQ = re.compile(r"[0-9a-f]{16}"), re.compile(r"[0-9]{1,15}")
_BEFORE_ALL = 2**53


class PrivacyPages:
    def __init__(self, services: Services) -> None:
        self._desk = services.desk

    def routes(self) -> list[PageRoute]:
        table = (("GET", LOG, self.show_log), ("GET", LOG + "/{ref}", self.show_guest))
        return [PageRoute(method, path, OFFICERS, handler, shift=True) for method, path, handler in table]

    def nav(self) -> list[NavItem]:
        return [NavItem(LOG, "purser.nav.log", "eye", OFFICERS)]

    async def show_log(self, call: PageCall) -> Response:
        _watching(call)
        glass = call.request.query_params.get("only") == "emergencies"
        looks = await self._desk.looks(_before(call), ROWS, only_glass=glass)
        return await self._page(call, looks, glass=glass, guest="")

    async def show_guest(self, call: PageCall) -> Response:
        """Everything that was looked at of one guest."""
        _watching(call)
        ref = call.path["ref"]
        if not _REF.fullmatch(ref):
            raise NotFound("guest", "of this address")
        looks = await self._desk.looks(_before(call), ROWS, guest=GuestRef(ref))
        return await self._page(call, looks, glass=False, guest=ref)

    async def _page(self, call: PageCall, looks: list[LookUp], *, glass: bool, guest: str) -> Response:
        numbers = await self._desk.crew_numbers([look.actor for look in looks])
        rows = [_row(call, look, numbers) for look in looks]
        older = looks[-1].seq if len(looks) == ROWS else 0
        return call.page("privacy_log.html", rows=rows, older=older, glass=glass, guest=guest)


def _row(call: PageCall, look: LookUp, numbers: dict[str, str]) -> dict[str, Any]:
    fields = sorted(look.fields, key=list(Field).index)
    return {
        "seq": look.seq,
        "at": call.t.day_time(look.at_s, call.services.identity.utc_offset_min),
        "who": who(call, look.actor, numbers),
        "role": call.t.known(f"words.role.{look.role}", look.role),
        "outlet": outlet_title(call, look.outlet),
        "purpose": call.t(f"words.purpose.{look.purpose}"),
        "guest": look.guest,
        "fields": ", ".join(call.t(f"words.field.{field}") for field in fields),
        "way": call.t(f"purser.way.{look.way.value}"),
        "glass": look.broke_glass,
        "reason": look.reason,
    }


def _watching(call: PageCall) -> None:
    viewer = call.viewer()
    if viewer.purpose is not Purpose.PRIVACY or not allowed(viewer):
        raise Refused(NOT_PERMITTED, "the look-up log is for privacy: choose that shift")


def _before(call: PageCall) -> int:
    text = call.request.query_params.get("before", "")
    return int(text) if _SEQ.fullmatch(text) else _BEFORE_ALL
