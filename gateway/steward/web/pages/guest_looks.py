"""Who looked me up: role, outlet, purpose, time and fields, newest first, each with a proof. Crew are never named."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import Response

from steward.domain.guestsession import Level
from steward.domain.viewing import Field, LookUp
from steward.errors import NotFound
from steward.web.bundle import Services
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute

LOOKS = "/me/looks"
ROWS = 30
_SEQ = re.compile(r"[0-9]{1,15}")
_BEFORE_ALL = 2**53


class LookPages:
    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._proofs = services.look_proofs

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", LOOKS, Level.BAND, self.show),
            GuestRoute("GET", LOOKS + "/{seq}.json", Level.BAND, self.proof),
        ]

    def nav(self) -> list[GuestNav]:
        return []  # it is reached from "my data": the bar of a phone holds five

    async def show(self, call: GuestCall) -> Response:
        asked = call.request.query_params.get("before", "")
        before = int(asked) if _SEQ.fullmatch(asked) else _BEFORE_ALL
        looks = await self._looks(call, before, ROWS + 1)
        rows = [_row(call, look) for look in looks[:ROWS]]
        older = looks[ROWS - 1].seq if len(looks) > ROWS else 0
        return call.page("guest_looks.html", rows=rows, older=older, newest=before == _BEFORE_ALL)

    async def proof(self, call: GuestCall) -> Response:
        """Of a look at this very guest."""
        asked = call.path["seq"]
        looks = await self._looks(call, int(asked) + 1, 1) if _SEQ.fullmatch(asked) else []
        if not looks or looks[0].seq != int(asked):
            raise NotFound("look-up", "of this address")
        content = json.dumps(await self._proofs.proof_of(looks[0].seq), ensure_ascii=False, indent=2)
        headers = {"Content-Disposition": f'attachment; filename="look-{asked}.json"', "Cache-Control": "no-store"}
        return Response(content, media_type="application/json", headers=headers)

    async def _looks(self, call: GuestCall, before: int, limit: int) -> list[LookUp]:
        ref = call.session.ref
        return list(await self._store.read(lambda tx: tx.looks_before(before, limit, guest=ref)))


def _row(call: GuestCall, look: LookUp) -> dict[str, Any]:
    t = call.t
    outlet = call.services.outlets.get(look.outlet)
    role = t.known(f"words.role.{look.role}", look.role)
    program = look.actor.startswith("token:")
    return {
        "seq": look.seq,
        "at": t.day_time(look.at_s, call.services.identity.utc_offset_min),
        "role": t("guest_data.looks.program", role=role) if program else role,
        "outlet": outlet.title if outlet is not None else "",
        "purpose": t(f"words.purpose.{look.purpose.value}"),
        "fields": ", ".join(t(f"words.field.{field.value}") for field in Field if field in look.fields),
        "way": t(f"guest_data.looks.way.{look.way.value}"),
        "glass": look.broke_glass,
        "proof": f"{LOOKS}/{look.seq}.json",
    }
