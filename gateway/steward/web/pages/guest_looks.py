"""Who looked me up: role, outlet, purpose, time and fields, newest first, each with a proof. Crew are never named.

Looks that were made at other gateways are among them. What one of those has not told yet cannot be listed, so the page
says which of them was last heard when.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import Response

from steward.domain.guestsession import Level
from steward.domain.replica import MemberRole
from steward.domain.viewing import Field, LookUp
from steward.errors import NotFound
from steward.web.bundle import GatewayStatus, Services
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
        status = await call.services.ship()
        others = () if status is None else status.gateways
        return call.page(
            "guest_looks.html",
            rows=rows,
            older=older,
            newest=before == _BEFORE_ALL,
            others=bool(others),
            waits=[said for other in others if (said := _waits(call, other))],
        )

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


def _waits(call: GuestCall, other: GatewayStatus) -> str:
    """Why looks that were made at this gateway may be missing; empty if it tells of them as they are made.

    A gateway of doors is told of no guest, so nobody looks there.
    """
    if other.role == MemberRole.DOOR:
        return ""
    if other.heard_ago_s is None:
        return call.t("guest_data.looks.unheard", gateway=other.name)
    if not other.here:
        heard_s = call.services.clock.now().unix_s - other.heard_ago_s
        at = call.t.day_time(heard_s, call.services.identity.utc_offset_min)
        return call.t("guest_data.looks.until", gateway=other.name, at=at)
    return call.t("guest_data.looks.coming", gateway=other.name) if other.queue_events else ""


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
        "gateway": look.gateway,
        "purpose": t(f"words.purpose.{look.purpose.value}"),
        "fields": ", ".join(t(f"words.field.{field.value}") for field in Field if field in look.fields),
        "way": t(f"guest_data.looks.way.{look.way.value}"),
        "glass": look.broke_glass,
        "proof": f"{LOOKS}/{look.seq}.json",
    }
