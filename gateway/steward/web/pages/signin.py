"""Signing in: choose a station, tap the crew band there, type the PIN; then say where the shift is and what for."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from steward.domain.crew import LoginId, LoginState, SessionId, shifts_of
from steward.domain.ids import OutletId
from steward.domain.viewing import CrewRole, Purpose
from steward.errors import Refused
from steward.services.crew import session_id
from steward.web.bundle import Services
from steward.web.pages import cookies, csrf
from steward.web.pages.base import LOGIN, SHIFT, NavItem, PageCall, PageError, PageRoute
from steward.web.pages.sse import Bye, Streams
from steward.web.waits import LongPolls

EVERYBODY = frozenset(CrewRole)
_NOBODY: frozenset[CrewRole] = frozenset()
_WAIT_S = 20.0
_BEFORE_TAP = (LoginState.WAITING, LoginState.QUEUED)
_AGAIN = frozenset({"pin_wrong", "pin_invalid"})  # the same page, once more


class SignInPages:
    """streams: the live pages, which end with their session."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self._crew = services.crew
        self._streams = streams
        self._polls = LongPolls(services.closing)  # places of their own: tills do not compete with handhelds

    def routes(self) -> list[PageRoute]:
        public = (
            ("GET", LOGIN, self.show_stations),
            ("POST", LOGIN, self.begin),
            ("GET", LOGIN + "/tap", self.show_tap),
            ("GET", LOGIN + "/wait", self.wait_tap),
            ("GET", LOGIN + "/pin", self.show_pin),
            ("POST", LOGIN + "/pin", self.finish),
        )
        signed_in = (
            ("GET", SHIFT, self.show_shift),
            ("POST", SHIFT, self.set_shift),
            ("POST", "/crew/logout", self.log_out),
        )
        return [
            *(PageRoute(method, path, _NOBODY, handler, public=True) for method, path, handler in public),
            *(PageRoute(method, path, EVERYBODY, handler) for method, path, handler in signed_in),
        ]

    def nav(self) -> list[NavItem]:
        return [NavItem(SHIFT, "crew.nav.shift", "shift", EVERYBODY)]

    # before the PIN

    async def show_stations(self, call: PageCall) -> Response:
        return call.go("/crew") if call.session is not None else self._stations(call)

    async def begin(self, call: PageCall) -> Response:
        """This handheld waits for a band at that station."""
        try:
            caller = call.request.client
            peer = caller.host if caller is not None else ""
            login = self._crew.begin(call.form.get("station", ""), csrf.form_token(call.secret), peer)
        except Refused as refused:
            return self._stations(call, refused.code)
        response = call.go(LOGIN + "/tap")
        cookies.set_cookie(call.request, response, cookies.LOGIN, login)
        return response

    async def show_tap(self, call: PageCall) -> Response:
        """Where to hold the band, and when: others may wait there too. A script asks how it stands; without scripts
        the page asks again by itself.
        """
        state = await self._state(call)
        if state in _BEFORE_TAP:
            return call.page("crew_tap.html", state=state.value)
        return call.go(LOGIN + "/pin")

    async def wait_tap(self, call: PageCall) -> Response:
        """How the login stands, once it is not as the page shows it."""
        login = cookies.read_cookie(call.request, cookies.LOGIN) or ""
        shown = call.request.query_params.get("seen", LoginState.WAITING)
        seen = next((state for state in _BEFORE_TAP if state == shown), LoginState.WAITING)
        state = await self._polls.run(call.request, login, lambda: self._state(call, _WAIT_S, seen))
        return JSONResponse({"state": state or seen})

    async def show_pin(self, call: PageCall) -> Response:
        state = await self._state(call)
        if state in _BEFORE_TAP:
            return call.go(LOGIN + "/tap")
        if state is LoginState.EXPIRED:
            return self._stations(call, "login_over")
        return call.page("crew_pin.html", problem="")

    async def finish(self, call: PageCall) -> Response:
        """The PIN. A session of its own begins with a new secret, whatever cookies there were before."""
        login = LoginId(cookies.read_cookie(call.request, cookies.LOGIN) or "")
        try:
            secret, session = await self._crew.finish(login, call.form.get("pin", ""))
        except Refused as refused:
            if refused.code in _AGAIN:
                return call.page("crew_pin.html", 409, problem=refused.code)
            return self._stations(call, refused.code)
        response = call.go(SHIFT if session.outlet is None else "/crew")
        cookies.set_cookie(call.request, response, cookies.SESSION, secret)
        for name in (cookies.LOGIN, cookies.VISIT):
            cookies.clear_cookie(call.request, response, name)
        return response

    async def _state(self, call: PageCall, wait_s: float = 0.0, seen: LoginState = LoginState.WAITING) -> LoginState:
        login = cookies.read_cookie(call.request, cookies.LOGIN)
        return LoginState.EXPIRED if login is None else await self._crew.wait_tap(LoginId(login), wait_s, seen)

    def _stations(self, call: PageCall, problem: str = "") -> Response:
        outlets = self._crew.outlets
        stations = [(name, outlets[outlet].title) for name, outlet in sorted(self._crew.stations.items())]
        return call.page("crew_login.html", 409 if problem else 200, stations=stations, problem=problem)

    # after it

    async def show_shift(self, call: PageCall) -> Response:
        session = call.signed_in
        member = await self._crew.member(session.crew)
        shifts = shifts_of(member, list(self._crew.outlets.values()))
        chosen = f"{session.outlet} {session.purpose}" if session.outlet is not None else ""
        options = [
            (f"{outlet.id} {purpose}", outlet.title, call.t(f"words.purpose.{purpose}"))
            for outlet, purposes in shifts
            for purpose in purposes
        ]
        if len(options) == 1:
            chosen = options[0][0]
        return call.page("crew_shift.html", options=options, chosen=chosen, role=session.role)

    async def set_shift(self, call: PageCall) -> Response:
        outlet, _, purpose = call.form.get("shift", "").partition(" ")
        if purpose not in set(Purpose):
            raise PageError(400, "form_unreadable")
        session = call.signed_in
        await self._crew.set_shift(session, OutletId(outlet), Purpose(purpose))
        self._streams.end(session.id, Bye.SHIFT)
        return call.go("/crew")

    async def log_out(self, call: PageCall) -> Response:
        secret = cookies.read_cookie(call.request, cookies.SESSION) or ""
        await self._crew.log_out(secret)
        self._streams.end(SessionId(session_id(secret)), Bye.SIGNED_OUT)
        response = call.go(LOGIN)
        cookies.clear_cookie(call.request, response, cookies.SESSION)
        return response
