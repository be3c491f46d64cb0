"""A guest's way in: the band's link, sessions, and proving who it is."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from tests.pages.guestkit import PIN, events, phone, wearer
from tests.pages.pagekit import BAR, Browser, PageShip

from steward.domain.events import EventType
from steward.domain.guests import BandState
from steward.domain.guestsession import PHONES_EACH_MAX, Level
from steward.ports import Tx
from steward.services.guestaccess import phone_id


async def test_a_link_opens_the_page_and_leaves_no_trace_of_itself(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship) as browser:
        answer = await alma.open(browser)
        assert (answer.status_code, answer.headers["location"]) == (303, "/me")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "samesite=lax" in answer.headers["set-cookie"].lower()
        assert "httponly" in answer.headers["set-cookie"].lower()
        page = await browser.get("/me/band")
        assert page.status_code == 200
        assert "Band no. 1" in page.text
    signed_in = await events(ship, EventType.GUEST_SIGNED_IN)
    assert [(e.payload["guest"], e.payload["level"], e.payload["way"]) for e in signed_in] == [
        (alma.ref, "band", "link")
    ]


async def test_the_store_knows_the_secret_by_its_hash_alone(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        secret = browser.client.cookies["steward_guest"]
        assert len(bytes.fromhex(secret)) == 32
        [kept] = await ship.services.store.read(lambda tx: tx.phones_of(alma.ref))
        assert kept.id == phone_id(secret)
        assert secret not in repr(kept) + kept.id


async def test_an_old_path_to_the_page_says_how_to_get_in(ship: PageShip, browser: Browser) -> None:
    answer = await browser.get("/me/band")
    assert (answer.status_code, answer.headers["location"]) == (303, "/me/in")
    assert "Hold your band to the back of your phone" in (await browser.get("/me/in")).text
    assert (await browser.client.get("/me/band", headers={"Accept": "*/*"})).status_code == 401


async def test_so_many_phones_and_no_more(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with AsyncExitStack() as opened:
        phones = [await opened.enter_async_context(phone(ship, alma)) for _ in range(PHONES_EACH_MAX + 1)]
        assert len(await ship.services.store.read(lambda tx: tx.phones_of(alma.ref))) == PHONES_EACH_MAX
        in_ = [(await each.get("/me/band")).status_code for each in phones]
        assert sorted(in_) == [200] * PHONES_EACH_MAX + [303]
        assert in_[-1] == 200  # who comes is never the one who has to go


async def test_signing_out_here_and_everywhere_else(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as one, phone(ship, alma) as other:
        assert "on 2 phones" in (await one.get("/me/band")).text
        assert (await one.post("/me/out/others")).status_code == 303
        assert (await other.get("/me/band")).headers["location"] == "/me/in"
        await one.get("/me/band")
        await one.post("/me/out")
        assert (await one.get("/me/band")).headers["location"] == "/me/in"
    assert await ship.services.store.read(lambda tx: tx.phones_of(alma.ref)) == []


@pytest.mark.parametrize("state", [state for state in BandState if state is not BandState.ISSUED])
async def test_a_band_that_is_no_more_in_use_ends_its_sessions(ship: PageShip, state: BandState) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        await alma.put_band(state=state)
        assert (await browser.get("/me/band")).headers["location"] == "/me/in"
        await alma.put_band(state=BandState.ISSUED)
        await alma.put_band(serial=2)
        assert (await browser.get("/me/band")).headers["location"] == "/me/in"


async def test_whoever_leaves_the_ship_leaves_the_page(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:

        def leave(tx: Tx) -> None:
            guest = tx.guest(alma.ref)
            assert guest is not None
            tx.put_guest(replace(guest, not_after_s=ship.services.clock.now().unix_s))

        await ship.services.store.write(leave)
        assert (await browser.get("/me/band")).headers["location"] == "/me/in"
        assert (await alma.open(browser)).status_code == 403


async def test_the_pin_proves_for_a_while_and_goes_on_to_where_it_was_needed(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        assert "By your band" in (await browser.get("/me/band")).text
        await browser.get("/me/prove?next=/me/folio/limits")
        answer = await browser.post("/me/prove/pin", pin=PIN, next="/me/folio/limits")
        assert (answer.status_code, answer.headers["location"]) == (303, "/me/folio/limits")
        assert "Proven until" in (await browser.get("/me/band")).text
        assert (await browser.get("/me/prove?next=/me/band")).headers["location"] == "/me/band"
    said = await events(ship, EventType.GUEST_SIGNED_IN)
    assert [(e.payload["level"], e.payload["way"]) for e in said] == [("band", "link"), ("proven", "pin")]


async def test_wrong_pins_are_counted_with_those_at_the_tills_and_lock(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        for said in ("is wrong", "is wrong", "is locked"):
            answer = await alma.prove(browser, "9999")
            assert answer.status_code == 409
            assert said in answer.text
        assert "is locked" in (await alma.prove(browser)).text
        guest = await ship.services.store.read(lambda tx: tx.guest(alma.ref))
        assert guest is not None
        assert guest.pin_failures == 3
        assert len(await events(ship, EventType.PIN_LOCKED)) == 1
        await ship.services.checkin.unlock_pin(alma.ref, "desk")
        assert (await alma.prove(browser)).status_code == 303


async def test_taps_where_the_guest_said_prove_once(ship: PageShip) -> None:
    alma = await wearer(ship, pin=None)
    async with phone(ship, alma) as browser:
        page = await browser.get("/me/prove?next=/me/band")
        assert 'name="pin"' not in page.text
        alma.tap()  # before it was asked for: proves nothing
        alma.tap()
        answer = await browser.post("/me/prove/ask", place=BAR, next="/me/band")
        assert "At Lagoon Bar, within two minutes" in (await browser.follow(answer)).text
        assert "was not seen there" in (await browser.post("/me/prove/tapped", next="/me/band")).text
        alma.tap()  # as everybody does who is served there
        assert "was not seen there" in (await browser.post("/me/prove/tapped", next="/me/band")).text
        alma.tap()
        answer = await browser.post("/me/prove/tapped", next="/me/band")
        assert (answer.status_code, answer.headers["location"]) == (303, "/me/band")
        session = await ship.services.guest_access.session(browser.client.cookies["steward_guest"])
        assert session.level is Level.PROVEN
        assert not await ship.services.guest_access.prove_by_tap(session)


async def test_two_phones_that_wait_for_one_band_get_nothing(ship: PageShip) -> None:
    """One of them may be somebody's who has copied a link: neither is proven by the next tap."""
    alma = await wearer(ship)
    async with phone(ship, alma) as hers, phone(ship, alma) as other:
        await hers.get("/me/prove")
        assert (await hers.post("/me/prove/ask", place=BAR, next="/me")).status_code == 303
        await other.get("/me/prove")
        assert "Another phone waits" in (await other.post("/me/prove/ask", place=BAR, next="/me")).text
        alma.tap()
        alma.tap()
        for browser in (hers, other):
            await browser.get("/me/prove")
            assert (await browser.post("/me/prove/tapped", next="/me")).status_code == 409


async def test_somebody_elses_tap_proves_nothing(ship: PageShip) -> None:
    alma, bo = await wearer(ship), await wearer(ship, "Bo Sample", cabin=5014)
    async with phone(ship, alma) as browser:
        await browser.get("/me/prove")
        await browser.post("/me/prove/ask", place=BAR, next="/me")
        bo.tap()
        bo.tap()
        await browser.get("/me/prove")
        assert (await browser.post("/me/prove/tapped", next="/me")).status_code == 409


async def test_where_to_go_on_to_is_a_page_of_the_guests_own(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        for wanted in ("https://elsewhere.example/", "//elsewhere.example", "/crew", "/me/../crew", "/me?x=1", ""):
            await browser.get("/me/band")
            answer = await browser.post("/me/prove/pin", pin=PIN, next=wanted)
            assert answer.headers["location"] == "/me", wanted


async def test_the_language_of_a_link_that_opens_nothing(ship: PageShip, browser: Browser) -> None:
    assert (await browser.get("/t?e=00&c=00")).status_code == 403
    back = re.search(r'name="back" value="([^"]*)"', browser.text)
    assert back is not None
    assert back[1] == "/me"
    answer = await browser.post("/me/language", language="nb", back=back[1])
    await browser.follow(await browser.follow(answer))
    assert "Siden din" in browser.text


async def test_both_languages_by_browser_and_by_choice(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma, **{"Accept-Language": "nb-NO"}) as browser:
        assert "Armbåndet mitt" in (await browser.get("/me/band")).text
        answer = await browser.post("/me/language", language="en", back="/me/band")
        assert "My band" in (await browser.follow(answer)).text
        for back, language in (("/crew", "nb"), ("//x.example", "nb"), ("/me", "xx")):
            await browser.get("/me/band")
            assert (await browser.post("/me/language", language=language, back=back)).status_code == 400
