"""The purser's pages over plain HTTP: who may do what, what every page leaves in the log, and what attackers get."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from tests.pages.pagekit import Browser, PageShip
from tests.pages.purserkit import BILLING, PRIVACY, Desk

from steward.domain.approvals import Approval, ApprovalState
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.viewing import CrewRole, Field
from steward.web.api import create_app
from steward.web.pages.base import PAGES_TABLE
from steward.web.pages.privacy import ROWS

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
    ("GET", "/purser/settlement"): CrewRole.PURSER,
    ("POST", "/purser/settlement"): CrewRole.PURSER,
    ("GET", "/purser/settlement/progress"): CrewRole.PURSER,
    ("GET", "/approvals"): CrewRole.PURSER,
    ("GET", "/approvals/{approval}"): CrewRole.PURSER,
    ("POST", "/approvals/{approval}/approve"): CrewRole.PURSER,
    ("POST", "/approvals/{approval}/refuse"): CrewRole.PURSER,
    ("GET", "/privacy/log"): CrewRole.PRIVACY_OFFICER,
    ("GET", "/privacy/log/{ref}"): CrewRole.PRIVACY_OFFICER,
}
SHIFTS = {
    CrewRole.SERVICE: "reception guest_services",
    CrewRole.HOUSEKEEPING: "reception housekeeping",
    CrewRole.GUEST_SERVICES: "reception guest_services",
    CrewRole.PURSER: BILLING,
    CrewRole.SAFETY: "reception safety",
    CrewRole.PRIVACY_OFFICER: PRIVACY,
}


@pytest.fixture
def desk(ship: PageShip) -> Desk:
    return Desk(ship)


@pytest.fixture
async def eva(desk: Desk, browser: Browser) -> tuple[Browser, GuestRef]:
    """A purser at the desk."""
    ref = await desk.purser("P-041")
    await desk.ship.sign_in(browser, ref, shift=BILLING)
    return browser, ref


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


# the second person


async def refund(browser: Browser, tap: TapId, amount: str, refund_id: str = "f1") -> httpx.Response:
    await browser.get(f"/purser/charges/{tap}")
    return await browser.post(f"/purser/charges/{tap}/refund", amount=amount, reason="cold", refund_id=refund_id)


async def test_nobody_approves_his_own_not_even_from_two_handhelds(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 18_000)
    await refund(browser, tap, "180,00")
    (asked,) = await desk.ship.services.store.read(lambda tx: tx.pending_approvals())
    async with desk.ship.browser() as second:
        await desk.ship.sign_in(second, purser, shift=BILLING)
        for own in (browser, second):
            await own.get(f"/approvals/{asked.id}")
            answer = await own.post(f"/approvals/{asked.id}/approve")
            assert answer.status_code == 409
            assert "own_approval" in answer.text
    assert await desk.balance(guest) == 18_000


async def test_another_pursers_form_token_is_worth_nothing(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    """A page that the first purser prepared cannot make the second one approve."""
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 18_000)
    await refund(browser, tap, "180")
    (asked,) = await desk.ship.services.store.read(lambda tx: tx.pending_approvals())
    async with desk.ship.browser() as victim:
        await desk.ship.sign_in(victim, await desk.purser("P-007"), shift=BILLING)
        path = f"/approvals/{asked.id}/approve"
        own = {"Origin": victim.origin, "Sec-Fetch-Site": "same-origin"}
        assert (await victim.raw(path, {"csrf": browser.csrf}, own)).status_code == 403
        await victim.get("/approvals")
        good = {"csrf": victim.csrf}
        for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await victim.raw(path, good, headers)).status_code == 403
        assert await desk.balance(guest) == 18_000
        assert (await victim.raw(path, good, own)).status_code == 303
    assert await desk.balance(guest) == 0


async def test_a_token_cannot_be_the_second_person_whatever_it_says(
    desk: Desk, eva: tuple[Browser, GuestRef], ship: PageShip
) -> None:
    browser, _ = eva
    guest = await ship.guest()
    tap = await desk.charge(guest, 18_000)
    body = {"refund_id": "r1", "amount_minor": 18_000, "reason": "cold", "by": "someone"}
    answers = [await ship.aboard.call("purser", "POST", f"/v1/charges/{tap}/refund", body | {"by": by}) for by in "abc"]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.json()["approval"] for answer in answers}) == 1
    approval = answers[0].json()["approval"]
    for method, path in (
        ("POST", f"/v1/approvals/{approval}/approve"),
        ("POST", f"/v1/approvals/{approval}"),
        ("PUT", f"/v1/approvals/{approval}"),
        ("POST", f"/approvals/{approval}/approve"),
    ):
        assert (await ship.aboard.call("purser", method, path, {})).status_code in (401, 403, 404, 405)
    seen = await ship.aboard.call("purser", "GET", f"/v1/approvals/{approval}")
    assert (seen.json()["state"], seen.json()["amount_minor"]) == ("pending", 18_000)
    assert (await ship.aboard.call("monitor", "GET", f"/v1/approvals/{approval}")).status_code == 403
    assert await desk.balance(guest) == 18_000
    await browser.get(f"/approvals/{approval}")
    assert "program purser" in browser.text
    assert (await browser.post(f"/approvals/{approval}/approve")).status_code == 303
    seen = await ship.aboard.call("purser", "GET", f"/v1/approvals/{approval}")
    assert seen.json()["state"] == "done"
    again = await ship.aboard.call("purser", "POST", f"/v1/charges/{tap}/refund", body)
    assert (again.status_code, again.json()["state"]) == (200, "refunded")


async def test_naming_a_real_purser_makes_her_part_of_the_question(
    desk: Desk, eva: tuple[Browser, GuestRef], ship: PageShip
) -> None:
    """A program that acts for a purser who then approves it would be one person after all."""
    browser, purser = eva
    tap = await desk.charge(await ship.guest(), 18_000)
    body = {"refund_id": "r1", "amount_minor": 18_000, "reason": "cold", "by": purser}
    approval = (await ship.aboard.call("purser", "POST", f"/v1/charges/{tap}/refund", body)).json()["approval"]
    await browser.get(f"/approvals/{approval}")
    assert "/approve" not in browser.text
    answer = await browser.post(f"/approvals/{approval}/approve")
    assert (answer.status_code, "own_approval" in answer.text) == (409, True)


async def test_small_refunds_in_many_requests_do_not_slip_through(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 18_000)
    await browser.get(f"/purser/charges/{tap}")
    path, send = f"/purser/charges/{tap}/refund", browser.post
    await asyncio.gather(*(send(path, amount="9", reason="x", refund_id=f"f{n}") for n in range(20)))
    assert await desk.balance(guest) == 18_000 - 11 * 900
    taps = [await desk.charge(guest, 900) for _ in range(2)]
    for small in taps:
        await browser.post(f"/purser/charges/{small}/void", reason="x")
    assert await desk.balance(guest) == 18_000 - 11 * 900 + 1800, "the same guest, another charge"


async def test_sending_a_form_twice_gives_back_once(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 5000)
    await browser.get(f"/purser/charges/{tap}")
    made = re.search(r'name="refund_id" value="([0-9a-f]{16})"', browser.text)
    assert made is not None
    fields = {"amount": "10.00", "reason": "cold", "refund_id": made[1]}
    answers = await asyncio.gather(*(browser.post(f"/purser/charges/{tap}/refund", **fields) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {303}
    assert await desk.balance(guest) == 4000


async def test_nobody_corrects_his_own_folio(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    tap = await desk.charge(purser, 450)
    await browser.get(f"/purser/charges/{tap}")
    assert "/void" not in browser.text
    for deed, fields in (
        ("void", {"reason": "x"}),
        ("refund", {"reason": "x", "amount": "1", "refund_id": "r"}),
    ):
        answer = await browser.post(f"/purser/charges/{tap}/{deed}", **fields)
        assert (answer.status_code, "own_folio" in answer.text) == (409, True)
    await browser.post(f"/purser/charges/{tap}/dispute", reason="not me")
    answer = await browser.post(f"/purser/charges/{tap}/resolve", outcome="uphold")
    assert "own_folio" in answer.text
    assert await desk.balance(purser) == 450


async def test_a_purser_cannot_approve_money_to_herself(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    other = await desk.purser("P-007")
    tap = await desk.charge(purser, 18_000)
    asked = await desk.ship.services.payments.refund(tap, 18_000, "x", other, "r1")
    assert isinstance(asked, Approval)
    await browser.get(f"/approvals/{asked.id}")
    assert "/approve" not in browser.text
    answer = await browser.post(f"/approvals/{asked.id}/approve")
    assert (answer.status_code, "own_folio" in answer.text) == (409, True)
    assert await desk.balance(purser) == 18_000


async def test_a_frozen_band_ends_the_session_that_would_approve(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    tap = await desk.charge(await desk.ship.guest(), 18_000)
    asked = await desk.ship.services.payments.refund(tap, 18_000, "x", "token:pos", "r1")
    assert isinstance(asked, Approval)
    await browser.get(f"/approvals/{asked.id}")
    uid = Uid("04" + purser[:12].upper())  # the band of pagekit's sign-in
    await desk.ship.services.store.write(lambda tx: tx.deny(uid, tx.deny_epoch() + 1, "lost"))
    answer = await browser.post(f"/approvals/{asked.id}/approve")
    assert answer.status_code == 403, "no session, no form"
    assert (await browser.get(f"/approvals/{asked.id}")).headers["location"] == "/crew/login"
    found = await desk.ship.services.store.read(lambda tx: tx.approval(asked.id))
    assert found is not None
    assert found.state is ApprovalState.PENDING


# what people type


@pytest.mark.parametrize(
    "amount",
    ["", "0", "0.00", "-1", "1.234", "1e3", "١٢", "12,5,0", "99999999999", "1.000,00", "NaN", "0x10", "12 EUR", " "],
)
async def test_what_is_no_amount_is_refused(desk: Desk, eva: tuple[Browser, GuestRef], amount: str) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 5000)
    answer = await refund(browser, tap, amount)
    assert (answer.status_code, "amount_invalid" in answer.text) == (409, True)
    assert await desk.balance(guest) == 5000


@pytest.mark.parametrize(("typed", "minor"), [("12", 1200), ("12.5", 1250), ("12,50", 1250), (" 1 2 ", 1200)])
async def test_amounts_as_people_type_them(desk: Desk, eva: tuple[Browser, GuestRef], typed: str, minor: int) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 5000)
    assert (await refund(browser, tap, typed)).status_code == 303
    assert await desk.balance(guest) == 5000 - minor


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
async def test_a_person_says_why(desk: Desk, eva: tuple[Browser, GuestRef], reason: str) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 450)
    await browser.get(f"/purser/charges/{tap}")
    answer = await browser.post(f"/purser/charges/{tap}/void", reason=reason)
    assert (answer.status_code, "reason_invalid" in answer.text) == (409, True)
    assert await desk.balance(guest) == 450


async def test_what_people_wrote_cannot_become_a_tag(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guest = await desk.ship.guest("<b>Alma</b> & Co")
    tap = await desk.charge(guest, 15_000, '<script>alert(1)</script>"')
    asked = await desk.ship.services.payments.refund(tap, 15_000, "<img src=x onerror=alert(2)>", purser, "r1")
    assert isinstance(asked, Approval)
    await desk.ship.services.payments.dispute(tap, "<svg onload=alert(3)>")
    for path in (
        f"/purser/folios/{guest}",
        f"/purser/folios/{guest}/statement",
        f"/purser/charges/{tap}",
        f"/approvals/{asked.id}",
        "/purser/disputes",
        "/purser/folios",
    ):
        text = (await browser.get(path)).text
        for bad in ("<script>alert", "<img src=x", "<svg onload", "<b>Alma"):
            assert bad not in text, path
        policy = (await browser.get(path)).headers["content-security-policy"]
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/purser/folios/ffffffffffffffff",
        "/purser/folios/..%2f..%2fetc",
        "/purser/folios/0000000000000000/statement",
        "/purser/charges/" + "f" * 32,
        "/purser/charges/" + "F" * 32,
        "/purser/charges/1",
        "/approvals/" + "f" * 32,
        "/approvals/x",
        "/purser/jobs/ffffffffffffffff",
        "/purser/jobs/x",
    ],
)
async def test_what_is_not_there_is_not_found_and_not_logged(
    desk: Desk, eva: tuple[Browser, GuestRef], path: str
) -> None:
    browser, _ = eva
    before = len(await desk.ship.services.lookups.log_page(0))
    assert (await browser.get(path)).status_code == 404
    assert len(await desk.ship.services.lookups.log_page(0)) == before


@pytest.mark.parametrize("page", ["0", "-1", "99999", "x", "1e9", "٣", "9" * 50, "1;2"])
async def test_page_numbers_are_taken_as_they_come(desk: Desk, eva: tuple[Browser, GuestRef], page: str) -> None:
    browser, _ = eva
    await desk.ship.guest()
    for path in (f"/purser/folios?page={page}", f"/purser/settlement?who=everybody&page={page}"):
        assert (await browser.get(path)).status_code == 200


# bands and the voyage's end


async def test_a_band_is_frozen_with_a_reason_and_by_whom(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guest = await desk.ship.guest()
    uid = await desk.band(guest)
    await browser.get(f"/purser/folios/{guest}")
    bad = await browser.post(f"/purser/bands/{uid}/freeze", why="<lost>")
    assert bad.status_code == 400
    assert (await browser.post(f"/purser/bands/{uid}/freeze", why="stolen")).status_code == 303
    events = await desk.ship.services.store.read(lambda tx: tx.events(0, 1000))
    told = [e.payload for e in events if e.type.name == "BAND_FROZEN"]
    assert [(p["uid"], p["reason"], p["by"]) for p in told] == [(uid, "stolen", purser)]


async def test_a_replacement_needs_an_encoder_of_ours(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    uid = await desk.band(guest)
    await browser.get(f"/purser/folios/{guest}")
    answer = await browser.post(f"/purser/bands/{uid}/replace", why="lost", encoder="gangway")
    assert (answer.status_code, "no_encoder" in answer.text) == (409, True)


async def test_settling_twice_at_once_is_one_run(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guests = [await desk.ship.guest(f"G {n}", cabin=5000 + n) for n in range(5)]
    for guest in guests:
        await desk.charge(guest, 1000)
    await desk.charge(purser, 700)
    await browser.get("/purser/settlement?who=everybody")
    answers = await asyncio.gather(*(browser.post("/purser/settlement", who="everybody") for _ in range(4)))
    assert sorted(a.status_code for a in answers)[0] == 303
    settling = desk.ship.services.settling
    for _ in range(1500):
        if settling.progress.state != "running":
            break
        await asyncio.sleep(0.02)
    assert (settling.progress.state, settling.progress.by) == ("done", purser)
    assert [await desk.balance(guest) for guest in guests] == [0] * 5
    assert await desk.balance(purser) == 700, "the crew's folios are left alone"
    events = await desk.ship.services.store.read(lambda tx: tx.events(0, 1000))
    assert sum(e.type.name == "FOLIO_SETTLED" for e in events) == 5


async def test_only_those_who_leave_are_settled_unless_told(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    await desk.ship.guest()  # stays for years
    page = await browser.get("/purser/settlement")
    assert "No open folio" in page.text
    assert (await desk.ship.services.settling.preview(everybody=True)).guests == 1


# the privacy officer


async def test_the_log_has_pages_and_no_names(desk: Desk, browser: Browser) -> None:
    officer = await desk.purser("O-1", CrewRole.PRIVACY_OFFICER)
    await desk.ship.sign_in(browser, officer, shift=PRIVACY)
    guest = await desk.ship.guest("Alma Example")
    for _ in range(ROWS + 5):
        answer = await desk.ship.aboard.call("purser", "GET", f"/v1/guests/{guest}/statement")
        assert answer.status_code == 200
    first = await browser.get("/privacy/log")
    assert first.text.count("<tr class=") == ROWS
    older = re.search(r'href="(/privacy/log\?before=[0-9]+)"', first.text)
    assert older is not None
    second = await browser.get(older[1])
    assert 0 < second.text.count("<tr class=") < ROWS
    assert "Alma" not in first.text + second.text
    one = await browser.get(f"/privacy/log/{guest}")
    assert guest[:6] in one.text
    for odd in ("?before=x", "?before=-1", "?before=" + "9" * 40, "?only=x"):
        assert (await browser.get("/privacy/log" + odd)).status_code == 200
    assert (await browser.get("/privacy/log/zzzz")).status_code == 404
