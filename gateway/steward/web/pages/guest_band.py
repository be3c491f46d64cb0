"""A guest's own bands: what is on them, freezing one, no-tracking, the phones that are signed in."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.guests import BandState, Guest
from steward.domain.guestsession import Level
from steward.domain.ids import GuestRef, Uid
from steward.errors import NotFound
from steward.services.ownband import BY_GUEST, OwnBand
from steward.web.bundle import Services
from steward.web.pages.base import PageError
from steward.web.pages.guest_radio import radio_facts
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute
from steward.web.pages.searches import Searches

BAND, FROZEN = "/me/band", "/me/frozen"
_UID, _REF = re.compile(r"04[0-9A-F]{12}"), re.compile(r"[0-9a-f]{16}")


class GuestBandPages:
    def __init__(self, services: Services, searches: Searches) -> None:
        self._services = services
        self._searches = searches

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", BAND, Level.BAND, self.show),
            GuestRoute("POST", BAND + "/freeze/{uid}", Level.BAND, self.freeze),
            GuestRoute("GET", FROZEN, None, self.show_frozen),
            GuestRoute("POST", BAND + "/untracked", Level.BAND, self.hide),
            GuestRoute("POST", BAND + "/tracked", Level.PROVEN, self.unhide),
            GuestRoute("POST", BAND + "/untracked/{ref}", Level.BAND, self.hide_child),
            GuestRoute("POST", BAND + "/tracked/{ref}", Level.PROVEN, self.unhide_child),
        ]

    def nav(self) -> list[GuestNav]:
        return [GuestNav(BAND, "guest_frame.nav.band", "band")]

    async def show(self, call: GuestCall) -> Response:
        ref = call.session.ref
        own, tracking = self._services.own_band, self._services.no_tracking
        guest, bands = await own.bands(ref)
        proven = call.session.level is Level.PROVEN
        last = await own.last_heard(ref) if proven else None
        radios = radio_facts(call, [each for each in bands if each.band.state is BandState.ISSUED], self._searches)
        childrens = await own.childrens(ref)
        children_radios = {child: radio_facts(call, each, self._searches) for child, each in childrens.items()}
        return call.page(
            "guest_band.html",
            bands=[_band(call, each) for each in bands],
            stored=_stored(call, guest) if proven else _stored_briefly(call, guest),
            has_desk=own.desk is not None,
            untracked=await tracking.is_on(ref),
            is_child=guest.child,
            children=[(each.ref, each.name if proven else "", each.untracked) for each in await tracking.children(ref)],
            radios=radios,
            children_radios=children_radios,
            looking=proven and any(radio["looking"] for part in (radios, *children_radios.values()) for radio in part),
            last_zone="" if last is None else last.zone,
            last_heard="" if last is None else call.time(last.seen_s),
            phones=await self._services.guest_access.phone_count(ref),
        )

    async def freeze(self, call: GuestCall) -> Response:
        """Also ends the session if it began with this band: what follows is a page for everybody."""
        uid = call.path["uid"]
        if not _UID.fullmatch(uid):
            raise NotFound("band", "of this address")
        wanted = call.t("guest_band.freeze.case") if call.form.get("new") == "1" else ""
        await self._services.own_band.freeze(call.session.ref, Uid(uid), wanted)
        return call.go(FROZEN)

    async def show_frozen(self, call: GuestCall) -> Response:
        return call.page("guest_frozen.html")

    # no-tracking

    async def hide(self, call: GuestCall) -> Response:
        await self._services.no_tracking.say(call.session.ref, True, BY_GUEST)
        return call.go(BAND)

    async def unhide(self, call: GuestCall) -> Response:
        await self._services.no_tracking.say(call.session.ref, False, BY_GUEST)
        return call.go(BAND)

    async def hide_child(self, call: GuestCall) -> Response:
        await self._services.no_tracking.say(_child(call), True, BY_GUEST, call.session.ref)
        return call.go(BAND)

    async def unhide_child(self, call: GuestCall) -> Response:
        await self._services.no_tracking.say(_child(call), False, BY_GUEST, call.session.ref)
        return call.go(BAND)


def _child(call: GuestCall) -> GuestRef:
    """Whom the path names: whether the guest speaks for them is the service's to check."""
    ref = call.path["ref"]
    if not _REF.fullmatch(ref):
        raise PageError(404, "not_found")
    return GuestRef(ref)


def _band(call: GuestCall, own: OwnBand) -> dict[str, Any]:
    band, condition = own.band, own.condition
    battery = None if condition is None else condition.battery_percent
    return {
        "uid": band.uid,
        "number": band.serial,
        "state": band.state.value,
        "works": band.state is BandState.ISSUED,
        "kind": "active" if band.active else "passive",
        "battery": "" if battery is None else f"{battery} %",
        "charging": condition is not None and condition.charging,
        "last": "" if condition is None else call.time(condition.last_tap_s),
    }


def _stored(call: GuestCall, guest: Guest) -> dict[str, Any]:
    """The signed body of the newest band's token, field by field, in words."""
    zones = [name for name, bit in sorted(call.services.zones.items()) if guest.zones >> bit & 1]
    cabins = ", ".join(str(stay.cabin) for stay in guest.cabins)
    return _stored_briefly(call, guest) | {"ref": guest.ref, "cabins": cabins, "zones": ", ".join(zones)}


def _stored_briefly(call: GuestCall, guest: Guest) -> dict[str, Any]:
    """Without what whoever finds the band must not learn: which doors it opens."""
    offset_min = call.services.identity.utc_offset_min
    return {
        "from": call.t.day_time(guest.not_before_s, offset_min),
        "until": call.t.day_time(guest.not_after_s, offset_min),
        "number": guest.serial,
        "child": guest.child,
        "crew": guest.crew,
    }
