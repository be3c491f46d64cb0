"""What a guest's own pages stand on: routes as data, default deny, the session of a phone, forms, words, the frame.

How to add pages (a module beside this one):

1. A class with `routes() -> list[GuestRoute]` and `nav() -> list[GuestNav]`; install it in web/api.py. A route names
   the level it needs: `Level.BAND` for whoever came by the band's link, `Level.PROVEN` for what cannot be taken back or
   gives something away, None for a page that is for everybody. Pages live under `/me`.
2. A handler is `async def show(self, call: GuestCall) -> Response`. `call.session.ref` is whose page it is: never take
   that from the path or a form. `call.form["reason"]` is a field of a POST. Answer with `call.page("guest_x.html")`
   or, after every POST that changed something, `call.go("/me/x")`. Raise a StewardError or `PageError`: it becomes a
   page by its code (`errors.CODE_said`, `errors.CODE_todo`).
3. Templates extend `guest_layout.html`: blocks `title`, `head`, `main`. A form begins with `form_begin(csrf, "/me/x")`
   of `form.html`. What needs PROVEN is offered only `{% if proven %}`, and else a link to `/me/prove?next=/me/x` with
   the words `guest_frame.prove`. A form that comes too early goes there by itself, and must then be sent again.

The cookie is SameSite=Lax, the crew's is Strict: a phone may hand the band's link over as if another site had led
there, and the page behind it would not know its guest. So no GET may change anything but open the band's link, which
is good for one time; forms carry a token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from steward.domain.guestsession import GuestSession, Level
from steward.errors import Refused, StewardError
from steward.services.browsersignal import HEADER, SAYS
from steward.services.guestaccess import SIGNED_OUT
from steward.web.bundle import Services
from steward.web.errors import Problem
from steward.web.pages import cookies, csrf
from steward.web.pages.base import PageError, Pages, checked_form, shown_problem
from steward.web.pages.call import Call
from steward.web.pages.language import LANGUAGES

GUEST_TABLE = "steward_guest_pages"  # on app.state: (method, path) -> GuestRoute
HOME, SIGN_IN, PROVE = "/me", "/me/in", "/me/prove"
_OWN = (HOME, "/verify")


@dataclass(frozen=True, slots=True)
class GuestRoute:
    """One page or form. level: what it needs; None: nothing, it is for everybody and shows nothing of a guest."""

    method: str
    path: str
    level: Level | None
    handler: Callable[[GuestCall], Awaitable[Response]]

    def __post_init__(self) -> None:
        assert self.method in ("GET", "POST"), self.path
        assert not (self.level is Level.PROVEN and self.method == "GET" and "{" in self.path), self.path


@dataclass(frozen=True, slots=True)
class GuestNav:
    """A place in the bar. icon: of templates/icons.html."""

    path: str
    key: str  # its text
    icon: str


class GuestCall(Call):
    """One request for a guest's page: what was asked, on whose phone, in which language."""

    def __init__(self, site: GuestSite, request: Request) -> None:
        super().__init__(site.services, request, site.pages.translator(request, cookies.SPOKEN))
        self._site = site
        self._session: GuestSession | None = None

    @property
    def session(self) -> GuestSession:
        """Of a route that names a level."""
        assert self._session is not None
        return self._session

    @property
    def signed_in(self) -> GuestSession | None:
        """Also of a page for everybody."""
        return self._session

    async def take_session(self) -> None:
        """By the cookie, if it is one of a phone that is signed in."""
        secret = cookies.read_cookie(self.request, cookies.GUEST)
        if secret is None:
            return
        try:
            self._session = await self.services.guest_access.session(secret)
        except Refused as refused:
            if refused.code != SIGNED_OUT:
                raise

    @property
    def bound_secret(self) -> str | None:
        return cookies.read_cookie(self.request, cookies.GUEST if self._session is not None else cookies.VISIT)

    def _render(self, template: str, facts: Mapping[str, Any]) -> str:
        return self._site.render(template, self, facts)


class GuestSite:
    """The guests' pages of all modules, and what they share. Words, templates and files are those of `pages`."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.services: Services = pages.services
        self._nav: list[GuestNav] = []
        self._readable: set[str] = set()  # paths of pages, to go back to

    def install(self, app: FastAPI, routes: Iterable[GuestRoute], nav: Iterable[GuestNav] = ()) -> None:
        """Add pages to the application, and to its table of which level sees what."""
        table: dict[tuple[str, str], GuestRoute] = getattr(app.state, GUEST_TABLE, {})
        for route in routes:
            assert (route.method, route.path) not in table, f"{route.path} twice"
            table[(route.method, route.path)] = route
            app.add_route(route.path, self._guarded(route), methods=[route.method], include_in_schema=False)
            if route.method == "GET" and route.level is Level.BAND:
                self._readable.add(route.path)
        setattr(app.state, GUEST_TABLE, table)
        self._nav.extend(nav)

    def page_before(self, path: str) -> str:
        """The page that a form of this path belongs to."""
        while path not in self._readable and path.startswith(HOME + "/"):
            path = path.rpartition("/")[0]
        return path if path in self._readable else HOME

    def render(self, template: str, call: GuestCall, facts: Mapping[str, Any]) -> str:
        session = call.signed_in
        shared = {
            "languages": LANGUAGES,
            "csrf": csrf.form_token(call.secret),
            "session": session,
            "home": HOME if session else SIGN_IN,
            "proven": session is not None and session.level is Level.PROVEN,
            "proven_until": call.time(session.until_s) if session is not None else "",
            "nav": self._places(session),
            "here": call.request.url.path,
            "identity": self.services.identity,
            "back": self._back(call),
        }
        return self.pages.part(template, call.t, shared | dict(facts))

    def _back(self, call: GuestCall) -> str:
        """Where a form that is on every page leads back to."""
        here = call.request.url.path
        return here if call.request.method == "GET" and here.startswith(_OWN) else self.page_before(here)

    def _places(self, session: GuestSession | None) -> Sequence[GuestNav]:
        return self._nav if session is not None else ()

    def _guarded(self, route: GuestRoute) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if request.method != route.method:
                return PlainTextResponse("", 405, headers={"Allow": route.method})
            call = GuestCall(self, request)
            try:
                return await self._answer(route, call)
            except (StewardError, Problem) as error:
                return self._failed(call, error)

        return answer

    def _failed(self, call: GuestCall, error: StewardError | Problem) -> Response:
        status, code, shown_code = shown_problem(error, call.t)
        way = (self._back(call), "guest_frame.go_back")
        return call.page("error.html", status, code=code, shown_code=shown_code, layout="guest_layout.html", way=way)

    async def _answer(self, route: GuestRoute, call: GuestCall) -> Response:
        await call.take_session()
        if call.signed_in is not None and call.request.headers.getlist(HEADER) == SAYS:
            await self.services.browser_signal.heard(call.session.ref)
        if route.method == "POST":
            if route.level is not None and call.signed_in is None:
                return call.go(SIGN_IN)
            call.form = await checked_form(call.request, call.bound_secret)
            if call.signed_in is not None:
                self.services.guest_access.count_form(call.session)
        if route.level is not None and call.signed_in is None:
            return _to_sign_in(call)
        if route.level is Level.PROVEN and call.session.level is not Level.PROVEN:
            here = call.request.url.path
            return call.go(f"{PROVE}?next={here if route.method == 'GET' else self.page_before(here)}")
        return await route.handler(call)


def _to_sign_in(call: GuestCall) -> Response:
    """A browser is told how to sign in; a script or a picture is told 401."""
    if "text/html" in call.request.headers.get("accept", ""):
        return call.go(SIGN_IN)
    raise PageError(401, SIGNED_OUT)
