"""The radio of a guest's own band, and of their children's: on, quiet, find it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from steward.domain.guestsession import Level
from steward.domain.ids import Uid
from steward.domain.presence import BandRadio
from steward.errors import NotFound
from steward.services.findme import FINDS_PER_S
from steward.services.ownband import BY_GUEST, OwnBand
from steward.web.bundle import Services
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute
from steward.web.pages.searches import Search, Searches

BAND = "/me/band"
_RADIO = BAND + "/radio/{uid}"
SHOWN = BAND + "#radio"  # where the page says how it is
AGAIN_S = round(1 / FINDS_PER_S)  # after which one more search is free at the latest
_UID = re.compile(r"04[0-9A-F]{12}")


class GuestRadioPages:
    """Forms of the page /me/band, which goes on saying how things are."""

    def __init__(self, services: Services, searches: Searches) -> None:
        self._services = services
        self._searches = searches

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("POST", _RADIO + "/on", Level.PROVEN, self.switch_on),
            GuestRoute("POST", _RADIO + "/off", Level.BAND, self.switch_off),
            GuestRoute("POST", _RADIO + "/find", Level.PROVEN, self.find),
        ]

    def nav(self) -> list[GuestNav]:
        return []

    async def switch_on(self, call: GuestCall) -> Response:
        await self._services.radio_wishes.say(call.session.ref, _uid(call), True, BY_GUEST)
        return call.go(SHOWN)

    async def switch_off(self, call: GuestCall) -> Response:
        uid = _uid(call)
        await self._services.radio_wishes.say(call.session.ref, uid, False, BY_GUEST)
        self._services.find_me.hush(uid)
        return call.go(SHOWN)

    async def find(self, call: GuestCall) -> Response:
        """Answers once it has begun: the page says how far it is."""
        await self._searches.begin(call.session.ref, _uid(call))
        return call.go(SHOWN)


def radio_facts(call: GuestCall, bands: Sequence[OwnBand], searches: Searches) -> list[dict[str, Any]]:
    """Of bands in use that may have a radio. found: what is told of the search, and looking: whether it goes on."""
    facts = []
    for own in bands:
        if own.band.active:
            search = searches.of(call.session.ref, own.band.uid)
            facts.append(
                {
                    "uid": own.band.uid,
                    "number": own.band.serial,
                    "state": state(own.radio),
                    "found": _search_words(call, search) if search is not None else _told(call, own.band.uid),
                    "looking": search is not None and search.goes_on,
                }
            )
    return facts


def state(radio: BandRadio | None) -> str:
    """ "on", "off", "to_on" or "to_off": the last two until the band says so. "none": it said that it has none."""
    if radio is None:
        return "off"
    if not radio.has and radio.wish is None:
        return "none"
    if radio.wish is None:
        return "on" if radio.is_on else "off"
    return "to_on" if radio.wish else "to_off"


def _search_words(call: GuestCall, search: Search) -> str:
    return call.t(f"guest_band.find.{search.state}", zone=search.zone, seconds=AGAIN_S)


def _told(call: GuestCall, uid: Uid) -> str:
    """What came of the last search, for a few minutes."""
    found = call.services.find_me.told(call.session.ref, uid)
    if found is None:
        return ""
    at = call.time(found.at_s)
    return call.t(f"guest_band.find.{found.finding}", zone=found.zone or call.t("guest_band.find.nowhere"), at=at)


def _uid(call: GuestCall) -> Uid:
    uid = call.path["uid"]
    if not _UID.fullmatch(uid):
        raise NotFound("band", "of this address")
    return Uid(uid)
