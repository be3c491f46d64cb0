"""A guest asks to be forgotten: what goes at once, what has to wait and why, what is kept, and the paper of it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from starlette.responses import Response

from steward.domain.guestsession import Level
from steward.domain.signedrecord import file_of
from steward.errors import NotFound
from steward.services.erasure import BY_GUEST, BY_PARENT
from steward.web.bundle import Services
from steward.web.pages.guest_take import check_sure, children_of, whom
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute

ERASE, PAPER = "/me/erase", "/me/paper"
_CERTIFICATE = re.compile(r"[0-9a-f]{32}")


class GuestErasePages:
    def __init__(self, services: Services) -> None:
        self._erasures = services.erasures

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", ERASE, Level.BAND, self.show),
            GuestRoute("POST", ERASE + "/now", Level.PROVEN, self.erase),
            GuestRoute("GET", PAPER + "/{certificate}", None, self.show_paper),
            GuestRoute("GET", PAPER + "/{certificate}/file", None, self.give_paper),
        ]

    def nav(self) -> list[GuestNav]:
        return []

    async def show(self, call: GuestCall) -> Response:
        ref = call.session.ref
        asked = await self._erasures.asked(ref)
        return call.page(
            "guest_erase.html",
            waits=[wait.value for wait in await self._erasures.standing(ref)],
            paper="" if asked is None else f"{PAPER}/{asked.certificate}",
            is_child=await self._erasures.is_child(ref),
            children=await children_of(call),
        )

    async def erase(self, call: GuestCall) -> Response:
        """What follows is a page for everybody: the session is gone with the rest."""
        check_sure(call)
        own, child = call.session.ref, whom(call)
        if child is None:
            erasure = await self._erasures.erase(own, BY_GUEST)
        else:
            erasure = await self._erasures.erase(child, BY_PARENT, parent=own)
        return call.go(f"{PAPER}/{erasure.certificate}")

    async def show_paper(self, call: GuestCall) -> Response:
        """Whoever has its address may see it: it names nobody."""
        record = await self._record(call)
        body = record["body"]
        return call.page(
            "guest_paper.html",
            body=body,
            done=[_done(call, done) for done in body["done"]],
            kept=[{"what": kept["what"], "until": _day(call, kept["until"])} for kept in body["kept"]],
            gateways=[{"name": each["gateway"], "at": _day(call, each["at"])} for each in body["gateways"]],
            ashore={"state": body["ashore"]["state"], "at": _day(call, body["ashore"]["at"])},
            fingerprint=record["signature"]["fingerprint"],
            file=f"{PAPER}/{body['certificate']}/file",
        )

    async def give_paper(self, call: GuestCall) -> Response:
        record = await self._record(call)
        name = f"steward-erasure-{record['body']['certificate'][:8]}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(file_of(record), media_type="application/json", headers=headers)

    async def _record(self, call: GuestCall) -> dict[str, Any]:
        certificate = call.path["certificate"]
        if not _CERTIFICATE.fullmatch(certificate):
            raise NotFound("certificate", "of this address")
        return await self._erasures.certificate_of(certificate)


def _done(call: GuestCall, done: dict[str, Any]) -> dict[str, Any]:
    return {
        "part": done["part"],
        "at": _day(call, done["at"]),
        "key": done["key"],
        "destroyed": [(call.t.known(f"guest_erase.table.{table}", table), n) for table, n in done["destroyed"].items()],
    }


def _day(call: GuestCall, at: str | None) -> str:
    """Ship's time of a time in UTC; empty for none."""
    if at is None:
        return ""
    unix_s, offset_min = int(datetime.fromisoformat(at).timestamp()), call.services.identity.utc_offset_min
    return call.t.date_time(unix_s, offset_min)
