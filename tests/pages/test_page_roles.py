"""Who may see which page: every route of every page module, walked by every role and by nobody."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.pages.pagekit import Browser, PageShip

from steward.domain.viewing import CrewRole
from steward.web.api import create_app
from steward.web.pages.base import PAGES_TABLE, PageRoute
from steward.web.pages.crew import CrewPages
from steward.web.pages.crew_whatif import WhatIfPages
from steward.web.pages.signin import SignInPages
from steward.web.pages.sse import Streams
from steward.web.pages.stock import StockPages

S, H, G, P, A, R = CrewRole  # service, housekeeping, guest services, purser, safety, privacy officer
SHIFTS = {
    S: "lagoon food_and_drink",
    H: "reception housekeeping",
    G: "reception guest_services",
    P: "reception billing",
    A: "lagoon safety",
    R: "reception privacy",
}
GUEST = "/crew/guests/{ref}"
# The crew's pages by hand: what the policy table makes of the roles has to come out as this.
CREW_PAGES = {
    ("GET", "/crew"): {S, H, G, P, A, R},
    ("GET", "/crew/live"): {S, H, G, P, A},
    ("GET", "/crew/live/events"): {S, H, G, P, A},
    ("GET", GUEST): {S, H, G, P, A, R},
    ("GET", GUEST + "/photo"): {S, G, P, A},
    ("GET", GUEST + "/otherwise"): {S, G, P},
    ("POST", GUEST + "/glass"): {A},
    ("POST", GUEST + "/notes"): {S, H, G, P},
    ("POST", GUEST + "/notes/{note}/remove"): {S, H, G, P},
    ("POST", GUEST + "/cases"): {S, H, G, P},
    ("POST", "/crew/cases/{case}/close"): {S, H, G, P},
    ("GET", "/crew/cases"): {S, H, G, P},
    ("POST", "/crew/offers/{offer}"): {S, G, P},
    ("GET", "/crew/stock"): {S, G, P},
    ("POST", "/crew/stock/{item}"): {S, G, P},
    ("GET", "/crew/search"): {S, H, G, P, A, R},
    ("POST", "/crew/search"): {S, H, G, P, A, R},
    ("GET", "/crew/search/found"): {S, H, G, P, A, R},
    ("GET", "/crew/shift"): {S, H, G, P, A, R},
    ("POST", "/crew/shift"): {S, H, G, P, A, R},
    ("POST", "/crew/logout"): {S, H, G, P, A, R},
}
PUBLIC = {
    ("POST", "/language"),
    ("GET", "/crew/login"),
    ("POST", "/crew/login"),
    ("GET", "/crew/login/tap"),
    ("GET", "/crew/login/wait"),
    ("GET", "/crew/login/pin"),
    ("POST", "/crew/login/pin"),
}


def table_of(ship: PageShip) -> dict[tuple[str, str], PageRoute]:
    table = getattr(create_app(ship.services).state, PAGES_TABLE)
    assert isinstance(table, dict)
    return table


def filled(path: str) -> str:
    """An address for a route: nobody and nothing is called so."""
    return re.sub(r"\{\w+\}", "0" * 16, path)


@pytest.fixture
async def people(ship: PageShip) -> AsyncIterator[dict[CrewRole, Browser]]:
    """One signed-in handheld of each role, at work."""
    async with AsyncExitStack() as opened:
        signed_in = {}
        for role, shift in SHIFTS.items():
            browser = await opened.enter_async_context(ship.browser())
            answer = await ship.sign_in(browser, await ship.crew(role), shift=shift)
            assert answer.headers["location"] == "/crew", (role, answer.text)
            await browser.get("/crew/shift")
            signed_in[role] = browser
        yield signed_in


async def knock(browser: Browser, route: PageRoute) -> int:
    """The status of one request, with a right form token. Not the body: one of the pages is a stream."""
    headers = {"Accept": "text/html", "Origin": browser.origin}
    data = {"csrf": browser.csrf} if route.method == "POST" else None
    request = browser.client.stream(route.method, filled(route.path), headers=headers, data=data)
    async with request as answer:
        if answer.status_code == 303:
            assert answer.headers["location"] != "/crew/login"
        return answer.status_code


def test_the_pages_and_their_roles_are_these(ship: PageShip) -> None:
    table = table_of(ship)
    streams = Streams()
    own = {(r.method, r.path) for r in CrewPages(ship.services, streams).routes()}
    own |= {(r.method, r.path) for r in StockPages(ship.services).routes()}
    own |= {(r.method, r.path) for r in WhatIfPages(ship.services).routes()}
    own |= {(r.method, r.path) for r in SignInPages(ship.services, streams).routes()} - PUBLIC
    assert own == CREW_PAGES.keys()
    for key, roles in CREW_PAGES.items():
        assert table[key].roles == roles, key
    assert {key for key, route in table.items() if route.public} == PUBLIC
    assert all(route.roles or route.public for route in table.values())


async def test_a_role_gets_its_pages_and_no_others(ship: PageShip, people: dict[CrewRole, Browser]) -> None:
    walked = 0
    for route in table_of(ship).values():
        if route.public or route.path in ("/crew/logout", "/crew/shift"):  # they would end the walk
            continue
        for role, browser in people.items():
            status = await knock(browser, route)
            assert (status == 403) is (role not in route.roles), (route.method, route.path, role, status)
            walked += 1
    assert walked >= 90


async def test_every_role_has_a_page_to_begin_with(ship: PageShip, people: dict[CrewRole, Browser]) -> None:
    table = table_of(ship)
    for role, browser in people.items():
        home = (await browser.get("/crew")).headers["location"]
        assert role in table[("GET", home)].roles, role
        page = await browser.get(home)
        assert page.status_code == 200, role
        for address in re.findall(r'<li><a href="(/[a-z/]+)"', page.text):
            assert role in table[("GET", address)].roles, (role, address)


async def test_without_a_session_there_is_the_login_and_nothing_else(ship: PageShip, browser: Browser) -> None:
    await browser.get("/crew/login")
    for route in table_of(ship).values():
        if route.public:
            continue
        path = filled(route.path)
        if route.method == "POST":
            answer = await browser.post(path)
        else:
            assert (await browser.client.get(path, headers={"Accept": "*/*"})).status_code == 401, path
            answer = await browser.client.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers.get("location")) == (303, "/crew/login"), path


async def test_no_page_of_a_guest_before_the_shift_is_named(ship: PageShip, browser: Browser) -> None:
    await ship.sign_in(browser, await ship.crew(S), shift="")
    await browser.get("/crew/shift")
    for (method, path), roles in CREW_PAGES.items():
        if S in roles and path not in ("/crew/shift", "/crew/logout"):
            answer = await (browser.post if method == "POST" else browser.get)(filled(path))
            assert (answer.status_code, answer.headers.get("location")) == (303, "/crew/shift"), path
            await browser.get("/crew/shift")


async def test_a_shift_must_be_one_that_the_role_may_do(ship: PageShip, browser: Browser) -> None:
    await ship.sign_in(browser, await ship.crew(H, ["reception"]), shift="")  # type: ignore[list-item]
    for shift, status in (
        ("lagoon housekeeping", 409),
        ("reception billing", 409),
        ("reception safety", 409),
        ("nowhere housekeeping", 409),
        ("reception", 400),
        ("reception HOUSEKEEPING", 400),
        ("", 400),
        ("reception housekeeping", 303),
    ):
        await browser.get("/crew/shift")
        assert (await browser.post("/crew/shift", shift=shift)).status_code == status, shift


async def test_no_page_answers_another_method(ship: PageShip, people: dict[CrewRole, Browser]) -> None:
    """HEAD least of all: it would log a look that nobody had, or open a stream."""
    before = len(await ship.services.lookups.log_page(0))
    for route in table_of(ship).values():
        taken = {other.method for other in table_of(ship).values() if other.path == route.path}
        for method in {"HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "GET", "POST"} - taken:
            answer = await people[S].client.request(method, filled(route.path))
            assert answer.status_code == 405, (method, route.path)
    assert len(await ship.services.lookups.log_page(0)) == before
