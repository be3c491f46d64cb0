"""The purser's pages over plain HTTP: who may do what, and what every page leaves in the log."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.pages.pagekit import Browser, PageShip
from tests.pages.purserkit import BILLING, PRIVACY, Desk

from steward.domain.approvals import Approval
from steward.domain.ids import GuestRef
from steward.domain.viewing import CrewRole, Field
from steward.services.officer import LOOKS_SHOWN
from steward.web.api import create_app
from steward.web.pages.base import PAGES_TABLE

REF, TAP, ID, UID, JOB = "0" * 16, "0" * 32, "0" * 32, "04" + "0" * 12, "0" * 16
ROUTES: dict[tuple[str, str], CrewRole] = {
    ("GET", "/purser"): CrewRole.PURSER,
    ("POST", "/purser/search"): CrewRole.PURSER,
    ("GET", "/purser/folios"): CrewRole.PURSER,
    ("GET", "/purser/folios/{ref}"): CrewRole.PURSER,
    ("GET", "/purser/folios/{ref}/mark"): CrewRole.PURSER,
    ("GET", "/purser/folios/{ref}/statement"): CrewRole.PURSER,
    ("POST", "/purser/folios/{ref}/settle"): CrewRole.PURSER,
    ("POST", "/purser/folios/{ref}/freeze"): CrewRole.PURSER,
    ("POST", "/purser/folios/{ref}/unlock"): CrewRole.PURSER,
    ("POST", "/purser/folios/{ref}/band"): CrewRole.PURSER,
    ("GET", "/purser/charges/{tap}"): CrewRole.PURSER,
    ("POST", "/purser/charges/{tap}/void"): CrewRole.PURSER,
    ("POST", "/purser/charges/{tap}/refund"): CrewRole.PURSER,
    ("POST", "/purser/charges/{tap}/dispute"): CrewRole.PURSER,
    ("POST", "/purser/charges/{tap}/resolve"): CrewRole.PURSER,
    ("POST", "/purser/charges/{tap}/collect"): CrewRole.PURSER,
    ("GET", "/purser/late"): CrewRole.PURSER,
    ("GET", "/purser/disputes"): CrewRole.PURSER,
    ("POST", "/purser/bands/{uid}/freeze"): CrewRole.PURSER,
    ("POST", "/purser/bands/{uid}/replace"): CrewRole.PURSER,
    ("GET", "/purser/jobs/{job}"): CrewRole.PURSER,
    ("POST", "/purser/jobs/{job}/cancel"): CrewRole.PURSER,
    ("GET", "/purser/crew"): CrewRole.PURSER,
    ("POST", "/purser/crew/{ref}/unlock"): CrewRole.PURSER,
    ("GET", "/purser/stock"): CrewRole.PURSER,
    ("POST", "/purser/stock"): CrewRole.PURSER,
    ("GET", "/purser/settlement"): CrewRole.PURSER,
    ("POST", "/purser/settlement"): CrewRole.PURSER,
    ("GET", "/purser/settlement/progress"): CrewRole.PURSER,
    ("GET", "/approvals"): CrewRole.PURSER,
    ("GET", "/approvals/{approval}"): CrewRole.PURSER,
    ("POST", "/approvals/{approval}/approve"): CrewRole.PURSER,
    ("POST", "/approvals/{approval}/refuse"): CrewRole.PURSER,
    ("GET", "/privacy/log"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/log/{ref}"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/patterns"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/glass/{look}"): CrewRole.PRIVACY_OFFICER,
    ("POST", "/privacy/glass/{look}"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/desk"): CrewRole.PRIVACY_OFFICER,
    ("POST", "/privacy/consents"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/consents/{ref}"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/retention"): CrewRole.PRIVACY_OFFICER,
    ("POST", "/privacy/retention/confirm"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/register"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/incidents"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/incidents/{incident}"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/requests"): CrewRole.PRIVACY_OFFICER,
    ("POST", "/privacy/requests"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/requests/{request}"): CrewRole.PRIVACY_OFFICER,
    ("POST", "/privacy/requests/{request}/extend"): CrewRole.PRIVACY_OFFICER,
    ("POST", "/privacy/requests/{request}/answer"): CrewRole.PRIVACY_OFFICER,
}
SHIFTS = {
    CrewRole.SERVICE: "reception guest_services",
    CrewRole.HOUSEKEEPING: "reception housekeeping",
    CrewRole.GUEST_SERVICES: "reception guest_services",
    CrewRole.PURSER: BILLING,
    CrewRole.SAFETY: "reception safety",
    CrewRole.PRIVACY_OFFICER: PRIVACY,
}


def address(path: str) -> str:
    for name, value in (("ref", REF), ("tap", TAP), ("approval", ID), ("uid", UID), ("job", JOB)):
        path = path.replace("{" + name + "}", value)
    return path


async def ask(browser: Browser, method: str, path: str) -> httpx.Response:
    if method == "GET":
        return await browser.client.get(path, headers={"Accept": "text/html"})
    return await browser.post(
        path, reason="because", amount="1", refund_id="r1", query="al", outcome="reject", why="lost"
    )


def test_every_route_of_the_desk_is_in_the_table(ship: PageShip) -> None:
    table = getattr(create_app(ship.services).state, PAGES_TABLE)
    own = {key: route for key, route in table.items() if key[1].startswith(("/purser", "/approvals", "/privacy"))}
    assert {key: next(iter(route.roles)) for key, route in own.items()} == ROUTES
    assert all(len(route.roles) == 1 and route.shift and not route.public for route in own.values())


@pytest.mark.parametrize("role", CrewRole)
async def test_every_route_by_every_role(desk: Desk, browser: Browser, role: CrewRole) -> None:
    """Refused with 403 to all but the one role it is for; to that one it is 404 or the page."""
    await desk.ship.sign_in(browser, await desk.purser("X-1", role), shift=SHIFTS[role])
    await browser.get("/crew/shift")  # a page with a form, for its token
    for (method, path), allowed in ROUTES.items():
        answer = await ask(browser, method, address(path))
        if role is allowed:
            assert answer.status_code in (200, 303, 404, 409), (method, path, answer.status_code)
        else:
            assert answer.status_code == 403, (method, path, role)
            assert "role_not_allowed" in answer.text


async def test_every_route_without_a_session(desk: Desk, browser: Browser) -> None:
    await browser.get("/crew/login")
    for method, path in ROUTES:
        answer = await ask(browser, method, address(path))
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"] == "/crew/login"
    assert (await browser.client.get(f"/purser/folios/{REF}/mark")).status_code == 401, "a script is told"


async def test_an_api_token_is_no_session(desk: Desk, ship: PageShip) -> None:
    for who in ("purser", "desk", "monitor"):
        token = {"Authorization": f"Bearer {ship.aboard.tokens[who]}", "Accept": "text/html"}
        answer = await ship.aboard.client.get("/approvals", headers=token)
        assert answer.status_code == 303


@pytest.mark.parametrize("shift", ["reception guest_services", "reception check_in"])
async def test_a_purser_on_another_shift_has_no_business_with_money(desk: Desk, browser: Browser, shift: str) -> None:
    """Neither seeing nor changing: what a shift is for binds both."""
    await desk.ship.sign_in(browser, await desk.purser("P-1"), shift=shift)
    guest = await desk.ship.guest()
    tap, uid = await desk.charge(guest, 450), await desk.band(guest)
    await browser.get("/crew/shift")
    for method, path in ROUTES:
        if ROUTES[method, path] is not CrewRole.PURSER or path.startswith("/purser/crew"):
            continue
        real = path.replace("{ref}", guest).replace("{tap}", tap).replace("{uid}", uid)
        answer = await ask(browser, method, address(real))
        assert answer.status_code in (404, 409), (method, path)
        assert "not_permitted" in answer.text or answer.status_code == 404
    assert await desk.balance(guest) == 450
    assert [look for look in await desk.ship.services.lookups.log_of(guest) if look.role == CrewRole.PURSER] == []


# what is shown is logged


async def test_each_page_leaves_one_look_up_for_each_guest_it_shows(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guest, other = await desk.ship.guest(), await desk.ship.guest("Bo Example", cabin=5014)
    tap = await desk.charge(guest, 15_000)
    await desk.ship.services.payments.dispute(tap, "not me")
    asked = await desk.ship.services.payments.resolve_dispute(tap, True, purser)
    assert isinstance(asked, Approval)

    async def looks(ref: GuestRef) -> int:
        log = await desk.ship.services.lookups.log_of(ref)
        assert all(look.actor == purser for look in log if look.role == CrewRole.PURSER)
        return sum(look.role == CrewRole.PURSER for look in log)

    for path, shown, unseen in (
        ("/purser", 0, 0),
        (f"/purser/folios/{guest}", 1, 0),
        (f"/purser/folios/{guest}/statement", 1, 0),
        (f"/purser/charges/{tap}", 1, 0),
        ("/purser/disputes", 1, 0),
        ("/approvals", 0, 0),
        (f"/approvals/{asked.id}", 1, 0),
        (f"/purser/folios/{guest}/mark", 0, 0),
        ("/purser/folios", 1, 1),
        ("/purser/settlement?who=everybody", 1, 1),
    ):
        before = await looks(guest), await looks(other)
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "no-store", path
        assert (await looks(guest) - before[0], await looks(other) - before[1]) == (shown, unseen), path
        assert ("Alma" in answer.text) is (shown == 1), path
    fields = (await desk.ship.services.lookups.log_of(guest))[0].fields
    assert {Field.FOLIO, Field.FULL_NAME} <= fields


async def test_the_mark_tells_that_something_changed_and_nothing_else(
    desk: Desk, eva: tuple[Browser, GuestRef]
) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    marks = [(await browser.get(f"/purser/folios/{guest}/mark")).json()]
    tap = await desk.charge(guest, 450)
    marks.append((await browser.get(f"/purser/folios/{guest}/mark")).json())
    await desk.ship.services.payments.void(tap, "x", "P")
    marks.append((await browser.get(f"/purser/folios/{guest}/mark")).json())
    assert [list(mark) for mark in marks] == [["mark"]] * 3
    assert len({mark["mark"] for mark in marks}) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", mark["mark"]) for mark in marks)


# the privacy officer


async def test_the_log_has_pages_and_no_names(desk: Desk, browser: Browser) -> None:
    officer = await desk.purser("O-1", CrewRole.PRIVACY_OFFICER)
    await desk.ship.sign_in(browser, officer, shift=PRIVACY)
    guest = await desk.ship.guest("Alma Example")
    for _ in range(LOOKS_SHOWN + 5):
        answer = await desk.ship.aboard.call("purser", "GET", f"/v1/guests/{guest}/statement")
        assert answer.status_code == 200
    first = await browser.get("/privacy/log")
    assert first.text.count("<tr class=") == LOOKS_SHOWN
    older = re.search(r'href="(/privacy/log\?before=[0-9]+)"', first.text)
    assert older is not None
    second = await browser.get(older[1])
    assert 0 < second.text.count("<tr class=") < LOOKS_SHOWN
    assert "Alma" not in first.text + second.text
    one = await browser.get(f"/privacy/log/{guest}")
    assert guest[:6] in one.text
    for odd in ("?before=x", "?before=-1", "?before=" + "9" * 40, "?only=x"):
        assert (await browser.get("/privacy/log" + odd)).status_code == 200
    assert (await browser.get("/privacy/log/zzzz")).status_code == 404
