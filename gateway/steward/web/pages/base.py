"""What every page of the crew's stands on: routes as data, default deny, the session, forms, words, the layout.

How to add pages (a module beside this one):

1. A class with `routes() -> list[PageRoute]` and `nav() -> list[NavItem]`; hand it to `Pages` in web/api.py.
   A route names the crew roles that may use it (`roles=frozenset({CrewRole.PURSER})`) or says `public=True`; a route
   that does neither cannot be made. `shift=True` if a shift (outlet and purpose) must have been chosen before.
2. A handler is `async def show(self, call: PageCall) -> Response`. `call.t("purser.folio.title")` is a text,
   `call.session` who is signed in (`call.viewer()` for look-ups), `call.path["ref"]` a part of the path,
   `call.form["reason"]` a field of a POST. Answer with `call.page("purser_folio.html", folio=...)` or
   `call.go("/purser")` (303, after every POST that changed something). Raise a StewardError or `PageError`: it
   becomes a page in the viewer's language, by its code (`errors.CODE_said`, `errors.CODE_todo`).
3. Templates extend `layout.html`: blocks `title`, `head`, `main`, `main_class`. All texts come from
   `locales/{en,nb}/NAME.toml` by `{{ t("NAME.key") }}`. A form is
   `{% from "form.html" import form_begin %}` and `{{ form_begin(csrf, "/purser/void") }} ... </form>`,
   which carries the session's token; a POST without it, or from another origin, never reaches a handler.
4. Scripts and styles are files in `static/`, named by `{{ asset("crew.js") }}`. No inline script, style or handler:
   the content security policy refuses them.

Every answer is `Cache-Control: no-store`. Names and notes never go into an address: search forms are POST.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from steward.domain.crew import CrewSession
from steward.domain.viewing import CrewRole, Viewer
from steward.errors import Busy, Refused, StewardError, StoreUnavailable
from steward.services.crew import LOGGED_OUT
from steward.web.bundle import Services
from steward.web.errors import Problem, problem_of
from steward.web.pages import cookies, csrf
from steward.web.pages.assets import Assets
from steward.web.pages.call import Call
from steward.web.pages.language import LANGUAGES, Catalogue, Translator
from steward.web.pages.upload import FIELDS_MAX, read_upload

PAGES_TABLE = "steward_pages"  # on app.state: (method, path) -> PageRoute
LOGIN, SHIFT = "/crew/login", "/crew/shift"
FORM_TYPE = "application/x-www-form-urlencoded"


class PageError(StewardError):
    """A request the pages themselves refuse; shown by its code, in words."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One page or form. Whoever is signed in with another role than these gets a 403, whoever is not the login."""

    method: str
    path: str
    roles: frozenset[CrewRole]
    handler: Callable[[PageCall], Awaitable[Response]]
    public: bool = False  # also for those who are not signed in
    shift: bool = False  # only once a shift is chosen
    upload: bool = False  # a form with a file

    def __post_init__(self) -> None:
        assert bool(self.roles) != self.public, f"{self.path}: either roles or public"
        assert self.method in ("GET", "POST"), self.path


@dataclass(frozen=True, slots=True)
class NavItem:
    """A place in the bar at the bottom. Shown to those whose role may go there. icon: of templates/icons.html."""

    path: str
    key: str  # its text
    icon: str
    roles: frozenset[CrewRole]


class PageCall(Call):
    """One request for a page of the crew's: what was asked, by whom, in which language."""

    def __init__(self, site: Pages, request: Request) -> None:
        super().__init__(site.services, request, site.translator(request))
        self._site = site
        self.session: CrewSession | None = None
        self.upload = b""

    @property
    def signed_in(self) -> CrewSession:
        """The session of a route that is not public."""
        assert self.session is not None
        return self.session

    def viewer(self) -> Viewer:
        """Who looks, for which purpose. Raises Refused no_shift until a shift is chosen."""
        return self.services.crew.viewer(self.signed_in)

    @property
    def bound_secret(self) -> str | None:
        return cookies.read_cookie(self.request, cookies.SESSION if self.session is not None else cookies.VISIT)

    def _render(self, template: str, facts: Mapping[str, Any]) -> str:
        return self._site.render(template, self, facts)


class Pages:
    """The pages of all modules, and what they share."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.assets = Assets()
        self._catalogue = Catalogue()
        self._nav: list[NavItem] = []
        loader = FileSystemLoader(Path(__file__).parents[1] / "templates")
        self._templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.globals["asset"] = self.assets.address

    def install(self, app: FastAPI, routes: Iterable[PageRoute], nav: Iterable[NavItem] = ()) -> None:
        """Add pages to the application, and to its table of who may see what."""
        table: dict[tuple[str, str], PageRoute] = getattr(app.state, PAGES_TABLE, {})
        for route in routes:
            assert (route.method, route.path) not in table, f"{route.path} twice"
            table[(route.method, route.path)] = route
            app.add_route(route.path, self._guarded(route), methods=[route.method], include_in_schema=False)
        setattr(app.state, PAGES_TABLE, table)
        self._nav.extend(nav)

    def translator(self, request: Request, *otherwise: str) -> Translator:
        """By what was chosen on a page; `otherwise` by these cookies; else by what the browser asks for."""
        found = (cookies.read_cookie(request, name) for name in (cookies.LANGUAGE, *otherwise))
        setting = next((language for language in found if language in LANGUAGES), None)
        return self._catalogue.translator(setting, request.headers.get("accept-language", ""))

    async def visit(self, request: Request) -> PageCall:
        """A call for a page outside the table of who may see what, which is shown whether or not the store answers."""
        call = PageCall(self, request)
        with contextlib.suppress(StoreUnavailable, Busy):
            call.session = await self._session(request)
        return call

    def part(self, template: str, t: Translator, facts: Mapping[str, Any]) -> str:
        """A part of a page that has no form in it, for a script."""
        return self._templates.get_template(template).render(dict(facts) | {"t": t})

    def render(self, template: str, call: PageCall, facts: Mapping[str, Any]) -> str:
        session = call.session
        shared = {
            "t": call.t,
            "languages": LANGUAGES,
            "csrf": csrf.form_token(call.secret),
            "session": session,
            "home": "/crew" if session else "/",
            "nav": self._nav_of(session),
            "shift": self._shift_of(session, call.t),
            "here": call.request.url.path,
            "identity": self.services.identity,
            "back": call.request.url.path if call.request.method == "GET" else "/crew",
        }
        return self._templates.get_template(template).render(shared | dict(facts))

    def _nav_of(self, session: CrewSession | None) -> Sequence[NavItem]:
        return [item for item in self._nav if session is not None and session.role in item.roles]

    def _shift_of(self, session: CrewSession | None, t: Translator) -> tuple[str, str] | None:
        """Outlet and purpose in words."""
        outlet = self.services.crew.outlets.get(session.outlet) if session and session.outlet else None
        if session is None or session.purpose is None or outlet is None:
            return None
        return outlet.title, t(f"words.purpose.{session.purpose}")

    def _guarded(self, route: PageRoute) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if request.method != route.method:  # HEAD would run a look-up, or a stream without end
                return PlainTextResponse("", 405, headers={"Allow": route.method})
            call = PageCall(self, request)
            try:
                return await self._answer(route, call)
            except (StewardError, Problem) as error:
                return self._failed(call, error)

        return answer

    async def _answer(self, route: PageRoute, call: PageCall) -> Response:
        request = call.request
        call.session = await self._session(request)
        if route.upload:
            elsewhere = self._elsewhere(route, call)
            if elsewhere is not None:
                return elsewhere
            call.form, call.upload = await checked_upload(request, call.bound_secret)
        elif route.method == "POST":
            call.form = await checked_form(request, call.bound_secret)
        return self._elsewhere(route, call) or await route.handler(call)

    def _elsewhere(self, route: PageRoute, call: PageCall) -> Response | None:
        """Where whoever may not use this page now has to go first. Raises PageError if that is nowhere."""
        session = call.session
        if route.public:
            return None
        if session is None:
            return _to_login(call)
        if session.role not in route.roles:
            raise PageError(403, "role_not_allowed")
        if route.shift and (session.outlet is None or session.outlet not in self.services.crew.outlets):
            return call.go(SHIFT)
        return None

    async def _session(self, request: Request) -> CrewSession | None:
        """Whose session this is. Another site's link does not act as the crew member who followed it."""
        secret = cookies.read_cookie(request, cookies.SESSION)
        if secret is None or (request.method == "GET" and not csrf.read_by_own_page(request)):
            return None
        try:
            return await self.services.crew.session(secret)
        except Refused as refused:
            if refused.code != LOGGED_OUT:
                raise
            return None

    def _failed(self, call: PageCall, error: StewardError | Problem) -> Response:
        status, code, shown_code = shown_problem(error, call.t)
        way = ("/crew", "base.home")
        return call.page("error.html", status, code=code, shown_code=shown_code, layout="layout.html", way=way)


async def checked_form(request: Request, secret: str | None) -> dict[str, str]:
    """The fields of a form that our own page sent, bound to this secret. Raises PageError."""
    if not csrf.from_own_page(request):
        raise PageError(403, "form_foreign")
    return _bound(_fields(request, await request.body()), secret)


async def checked_upload(request: Request, secret: str | None) -> tuple[dict[str, str], bytes]:
    """The same of a form with a file: its fields, and the file. Raises PageError, and Problem 408 or 413."""
    if not csrf.from_own_page(request):
        raise PageError(403, "form_foreign")
    try:
        form, content = await read_upload(request)
    except ValueError:
        raise PageError(400, "form_unreadable") from None
    return _bound(form, secret), content


def _bound(form: dict[str, str], secret: str | None) -> dict[str, str]:
    if secret is None or not csrf.token_fits(form.pop(csrf.FIELD, ""), secret):
        raise PageError(403, "form_old")
    return form


def _fields(request: Request, body: bytes) -> dict[str, str]:
    """Each field once, as UTF-8, NUL and other control characters but line breaks refused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise PageError(415, "form_unreadable")
    try:
        pairs = parse_qsl(body.decode("ascii"), True, True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise PageError(400, "form_unreadable") from None
    form = dict(pairs)
    if len(form) != len(pairs) or any(not _clean(value) for value in form.values()):
        raise PageError(400, "form_unreadable")
    return form


def _clean(value: str) -> bool:
    return all(char in "\r\n\t" or not (ord(char) < 32 or ord(char) == 127) for char in value)


def _to_login(call: PageCall) -> Response:
    """A browser goes to the login; a script, a picture or a stream is told 401."""
    if call.request.method == "POST" or "text/html" in call.request.headers.get("accept", ""):
        return call.go(LOGIN)
    raise PageError(401, "signed_out")


def shown_problem(error: StewardError | Problem, t: Translator) -> tuple[int, str, str]:
    """Status, code, and the code whose words are shown."""
    problem = error if isinstance(error, Problem) else _problem(error)
    known = t.known(f"errors.{problem.code}_said", "")
    return problem.status, problem.code, problem.code if known else _generic(problem.status)


def _problem(error: StewardError) -> Problem:
    return Problem(error.status, error.code, error.code) if isinstance(error, PageError) else problem_of(error)


def _generic(status: int) -> str:
    return {404: "not_found", 409: "refused", 503: "busy"}.get(status, "internal")
