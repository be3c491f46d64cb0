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
from steward.services.findme import Found
from steward.services.ownband import BY_GUEST, OwnBand
from steward.web.bundle import Services
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute

BAND = "/me/band"
_RADIO = BAND + "/radio/{uid}"
SHOWN = BAND + "#radio"  # where the page says how it is
_UID = re.compile(r"04[0-9A-F]{12}")


class GuestRadioPages:
    """Forms of the page /me/band, which goes on saying how things are."""

    def __init__(self, services: Services) -> None:
        self._services = services

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
        """Answers when it is found, or not: some seconds."""
        await self._services.find_me.find_own(call.session.ref, _uid(call))
        return call.go(SHOWN)


def radio_facts(call: GuestCall, bands: Sequence[OwnBand]) -> list[dict[str, Any]]:
    """Of bands in use that may have a radio."""
    find_me = call.services.find_me
    return [
        {
            "uid": own.band.uid,
            "number": own.band.serial,
            "state": state(own.radio),
            "found": found_words(call, find_me.told(call.session.ref, own.band.uid)),
        }
        for own in bands
        if own.band.active
    ]


def state(radio: BandRadio | None) -> str:
    """ "on", "off", "to_on" or "to_off": the last two until the band says so. "none": it said that it has none."""
    if radio is None:
        return "off"
    if not radio.has and radio.wish is None:
        return "none"
    if radio.wish is None:
        return "on" if radio.is_on else "off"
    return "to_on" if radio.wish else "to_off"


def found_words(call: GuestCall, found: Found | None) -> str:
    if found is None:
        return ""
    at = call.time(found.at_s)
    return call.t(f"guest_band.find.{found.finding}", zone=found.zone or call.t("guest_band.find.nowhere"), at=at)


def _uid(call: GuestCall) -> Uid:
    uid = call.path["uid"]
    if not _UID.fullmatch(uid):
        raise NotFound("band", "of this address")
    return Uid(uid)
