"""A guest's way in: the band's link, what to do without one, proving who it is, signing out, the language."""

from __future__ import annotations

import re

from starlette.responses import Response

from steward.domain.guestsession import Level
from steward.domain.ids import OutletId
from steward.errors import Refused
from steward.services.guestaccess import LINK_REFUSED
from steward.web.bundle import Services
from steward.web.pages import cookies
from steward.web.pages.common import in_language
from steward.web.pages.guestbase import HOME, PROVE, SIGN_IN, GuestCall, GuestNav, GuestRoute
from steward.web.pages.language import spoken_by

_OWN_PATH = re.compile(r"/(?:me(?:/[a-z0-9_-]+)*|verify)")
_AGAIN = frozenset({"pin_wrong", "pin_invalid", "pin_locked", "pin_not_set"})
_OUTLET_REFUSALS = frozenset({"no_such_place", "prove_contested"})


class GuestSignInPages:
    def __init__(self, services: Services) -> None:
        self._access = services.guest_access
        self._outlets = services.outlets
        self._data = services.my_data

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", self._access.link_path, None, self.open_link),
            GuestRoute("GET", SIGN_IN, None, self.show_way_in),
            GuestRoute("POST", "/me/language", None, self.set_language),
            GuestRoute("GET", PROVE, Level.BAND, self.show_prove),
            GuestRoute("POST", PROVE + "/pin", Level.BAND, self.prove_by_pin),
            GuestRoute("POST", PROVE + "/ask", Level.BAND, self.ask_tap),
            GuestRoute("POST", PROVE + "/tapped", Level.BAND, self.prove_by_tap),
            GuestRoute("POST", "/me/out", Level.BAND, self.sign_out),
            GuestRoute("POST", "/me/out/others", Level.BAND, self.sign_out_others),
        ]

    def nav(self) -> list[GuestNav]:
        return []

    # the way in

    async def open_link(self, call: GuestCall) -> Response:
        """Use the link up and leave its address at once: it stays in no history and goes to no other page."""
        asked = call.request.query_params
        caller = call.request.client
        try:
            secret = await self._access.open_link(
                asked.get("e", ""), asked.get("c", ""), caller.host if caller is not None else ""
            )
        except Refused as refused:
            status = 403 if refused.code == LINK_REFUSED else 429
            return call.page("guest_signin.html", status, problem=refused.code)
        response = call.go(HOME)
        cookies.set_cookie(call.request, response, cookies.GUEST, secret)
        cookies.clear_cookie(call.request, response, cookies.VISIT)
        session = await self._access.session(secret)
        remember_language(call, response, await self._data.language(session.ref))
        return response

    async def show_way_in(self, call: GuestCall) -> Response:
        return call.go(HOME) if call.signed_in is not None else call.page("guest_signin.html", problem="")

    async def sign_out(self, call: GuestCall) -> Response:
        await self._access.sign_out(call.session)
        response = call.go(SIGN_IN)
        cookies.clear_cookie(call.request, response, cookies.GUEST)
        cookies.clear_cookie(call.request, response, cookies.SPOKEN)
        return response

    async def sign_out_others(self, call: GuestCall) -> Response:
        await self._access.sign_out_others(call.session)
        return call.go("/me/band")

    async def set_language(self, call: GuestCall) -> Response:
        return in_language(call, _OWN_PATH)

    # proving who it is

    async def show_prove(self, call: GuestCall) -> Response:
        after = _after(call.request.query_params.get("next", ""))
        return call.go(after) if call.session.level is Level.PROVEN else await self._ways(call, after)

    async def prove_by_pin(self, call: GuestCall) -> Response:
        after = _after(call.form.get("next", ""))
        try:
            await self._access.prove_by_pin(call.session, call.form.get("pin", ""))
        except Refused as refused:
            if refused.code not in _AGAIN:
                raise
            return await self._ways(call, after, refused.code)
        return call.go(after)

    async def ask_tap(self, call: GuestCall) -> Response:
        after = _after(call.form.get("next", ""))
        try:
            self._access.ask_tap(call.session, OutletId(call.form.get("place", "")))
        except Refused as refused:
            if refused.code not in _OUTLET_REFUSALS:
                raise
            return await self._ways(call, after, refused.code)
        return call.go(f"{PROVE}?next={after}")

    async def prove_by_tap(self, call: GuestCall) -> Response:
        after = _after(call.form.get("next", ""))
        if await self._access.prove_by_tap(call.session):
            return call.go(after)
        return await self._ways(call, after, "no_tap_yet")

    async def _ways(self, call: GuestCall, after: str, problem: str = "") -> Response:
        waits_at = self._access.waits_at(call.session)
        return call.page(
            "guest_prove.html",
            409 if problem else 200,
            after=after,
            problem=problem,
            has_pin=await self._access.has_pin(call.session.ref),
            places=[(place, self._outlets[place].title) for place in self._access.places],
            waits_at=self._outlets[waits_at].title if waits_at is not None else "",
        )


def remember_language(call: GuestCall, response: Response, tag: str) -> None:
    """These pages speak the guest's own language, unless they chose one on a page. Without it, the browser's."""
    language = spoken_by(tag)
    if language is None:
        cookies.clear_cookie(call.request, response, cookies.SPOKEN)
    else:
        cookies.set_cookie(call.request, response, cookies.SPOKEN, language)


def _after(path: str) -> str:
    """Where to go on to: a page of the guest's own, whatever was asked for."""
    return path if _OWN_PATH.fullmatch(path) else HOME
