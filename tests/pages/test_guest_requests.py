"""A guest's requests on their own page: asked with one form, seen with its clock, the words only once it is proven."""

from __future__ import annotations

import html

from tests.pages.guestkit import Wearer, wearer
from tests.pages.pagekit import Browser, PageShip

from steward.domain.requests import OPEN_EACH_MAX, RequestState, Right

WORDS = '<script>alert("mine")</script>\nand the rest'


async def signed_in(ship: PageShip, browser: Browser, name: str = "Alma Example", cabin: int = 5012) -> Wearer:
    guest = await wearer(ship, name, cabin=cabin)
    await browser.follow(await guest.open(browser))
    return guest


async def test_a_guest_asks_and_sees_until_when_an_answer_is_due(ship: PageShip, browser: Browser) -> None:
    guest = await signed_in(ship, browser)
    page = await browser.get("/me/requests")
    assert page.status_code == 200
    await browser.follow(await browser.post("/me/requests", right="rectification", words=WORDS))
    (request,) = await ship.services.requests.waiting()
    assert (request.guest, request.right, request.opened_by) == (guest.ref, Right.RECTIFICATION, guest.ref)
    assert "<script>alert" not in browser.text
    assert "and the rest" not in browser.text  # whoever found the band reads no words
    await guest.prove(browser)
    await browser.get("/me/requests")
    assert "and the rest" in html.unescape(browser.text)
    assert "<script>alert" not in browser.text


async def test_the_answer_comes_to_the_guests_page(ship: PageShip, browser: Browser) -> None:
    guest = await signed_in(ship, browser)
    request = await ship.services.requests.open(guest.ref, Right.ACCESS, "", guest.ref)
    await ship.services.requests.extend(request.id, "many files to find", "officer")
    await ship.services.requests.answer(request.id, RequestState.REFUSED, "we hold nothing of it", "officer")
    await guest.prove(browser)
    await browser.get("/me/requests")
    assert "many files to find" in browser.text
    assert "we hold nothing of it" in browser.text
    assert "officer" not in browser.text  # crew are not named to guests


async def test_nobody_elses_requests_are_shown(ship: PageShip, browser: Browser) -> None:
    other = await wearer(ship, "Bo Example", cabin=5014)
    await ship.services.requests.open(other.ref, Right.ACCESS, "what is mine", other.ref)
    guest = await signed_in(ship, browser)
    await guest.prove(browser)
    await browser.get("/me/requests")
    assert "what is mine" not in browser.text
    assert '<ul class="rows">' not in browser.text
    # Nor does a form that names another guest ask for them.
    await browser.post("/me/requests", right="erasure", words="x", guest=other.ref, ref=other.ref)
    waiting = {request.guest: request.right for request in await ship.services.requests.waiting()}
    assert waiting == {other.ref: Right.ACCESS, guest.ref: Right.ERASURE}


async def test_bad_input_and_too_much_of_it_is_refused(ship: PageShip, browser: Browser) -> None:
    guest = await signed_in(ship, browser)
    await browser.get("/me/requests")
    assert "right_missing" in (await browser.post("/me/requests", words="x")).text
    assert "right_missing" in (await browser.post("/me/requests", right="everything")).text
    assert "request_text_invalid" in (await browser.post("/me/requests", right="access", words="x" * 1001)).text
    for _ in range(OPEN_EACH_MAX):
        await ship.services.requests.open(guest.ref, Right.ACCESS, "", guest.ref)
    assert "too_many_requests" in (await browser.post("/me/requests", right="access")).text


async def test_who_is_not_signed_in_asks_nothing(ship: PageShip, browser: Browser) -> None:
    assert (await browser.get("/me/requests")).status_code == 303
    await browser.get("/me/in")
    answer = await browser.post("/me/requests", right="access")
    assert answer.status_code in (303, 403)
    assert list(await ship.services.requests.waiting()) == []


async def test_a_form_from_elsewhere_asks_nothing(ship: PageShip, browser: Browser) -> None:
    await signed_in(ship, browser)
    await browser.get("/me/requests")
    fields = {"csrf": browser.csrf, "right": "erasure"}
    answer = await browser.raw(
        "/me/requests", fields, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert list(await ship.services.requests.waiting()) == []
