"""Signing in at a handheld, and the language it speaks, as a browser without scripts gets them."""

from __future__ import annotations

import asyncio

from tests.pages.crewkit import at_work
from tests.pages.pagekit import PIN, STATION, Browser, PageShip

from steward.domain.ids import Uid
from steward.domain.viewing import CrewRole
from steward.services.logins import BEGINS_BURST

# signing in


async def test_each_step_of_signing_in_leads_to_the_next(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    assert (await browser.get("/crew")).headers["location"] == "/crew/login"
    page = await browser.get("/crew/login")
    assert "Lagoon Bar" in page.text
    assert "Reception" in page.text
    answer = await browser.post("/crew/login", station=STATION)
    assert answer.headers["location"] == "/crew/login/tap"
    assert "Hold your crew band to the reader" in (await browser.get("/crew/login/tap")).text
    assert (await browser.get("/crew/login/pin")).headers["location"] == "/crew/login/tap"
    assert ship.tap_crew(crew)
    assert (await browser.get("/crew/login/tap")).headers["location"] == "/crew/login/pin"
    await browser.get("/crew/login/pin")
    answer = await browser.post("/crew/login/pin", pin=PIN)
    assert answer.headers["location"] == "/crew/shift"
    page = await browser.get("/crew/shift")
    assert "Your role is Service." in page.text
    answer = await browser.post("/crew/shift", shift="lagoon food_and_drink")
    assert (await browser.follow(answer)).headers["location"] == "/crew/live"
    assert (await browser.get("/crew/login")).headers["location"] == "/crew"


async def test_the_script_of_the_login_hears_of_the_tap(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    assert (await browser.client.get("/crew/login/wait")).json() == {"state": "expired"}
    await browser.get("/crew/login")
    await browser.post("/crew/login", station=STATION)
    waiting = asyncio.ensure_future(browser.client.get("/crew/login/wait"))
    await asyncio.sleep(0.05)
    assert ship.tap_crew(crew)
    assert (await waiting).json() == {"state": "tapped"}


async def test_a_wrong_pin_is_said_and_the_fifth_locks(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    for attempt in range(5):
        answer = await ship.sign_in(browser, crew, pin="0000")
        locked = attempt == 4
        assert answer.status_code == 409
        assert ("Your PIN is locked" in answer.text) is locked
        assert ("Wrong PIN" in answer.text) is not locked
    answer = await ship.sign_in(browser, crew)  # the right one, too late
    assert "Your PIN is locked" in answer.text
    assert "steward_crew" not in browser.client.cookies
    await ship.services.crew.unlock(crew, "desk")
    assert (await ship.sign_in(browser, crew)).headers["location"] == "/crew"


async def test_what_is_no_pin_is_no_guess(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    for pin in ("", "1", "123456789", "12 34", "abcd", "１２３４"):
        answer = await ship.sign_in(browser, crew, pin=pin)
        assert "A PIN is 4 to 8 digits." in answer.text, pin
    assert (await ship.services.crew.member(crew)).pin_failures == 0


async def test_handhelds_at_one_station_are_told_whose_turn_it_is(ship: PageShip, browser: Browser) -> None:
    """Also without scripts; and the tap is of the one that was told to hold the band there."""
    hold, wait = "waiting", "queued"
    await browser.get("/crew/login")
    await browser.follow(await browser.post("/crew/login", station=STATION))
    async with ship.browser() as second:
        await second.get("/crew/login")
        page = await second.follow(await second.post("/crew/login", station=STATION))
        assert f'data-state="{wait}"' in page.text
        assert "Wait: another handheld is being served here" in page.text
        assert f'data-state="{hold}"' in (await browser.get("/crew/login/tap")).text
        told = await second.client.get("/crew/login/wait", params={"seen": hold})
        assert told.json() == {"state": wait}, "at once: the page shows something else"
        assert (await second.get("/crew/login/pin")).headers["location"] == "/crew/login/tap"
        assert ship.tap_crew(await ship.crew(CrewRole.SERVICE))
        assert (await browser.client.get("/crew/login/wait")).json() == {"state": "tapped"}
        told = await second.client.get("/crew/login/wait", params={"seen": wait})
        assert told.json() == {"state": hold}, "its turn has come"
        for odd in ("", "tapped", "x" * 500):
            assert (await browser.client.get("/crew/login/wait", params={"seen": odd})).json() == {"state": "tapped"}


async def test_beginning_too_often_is_told_in_words(ship: PageShip, browser: Browser) -> None:
    for _ in range(BEGINS_BURST):
        await browser.get("/crew/login")
        await browser.post("/crew/login", station=STATION)
    await browser.get("/crew/login")
    answer = await browser.post("/crew/login", station=STATION)
    assert (answer.status_code, "began too often" in answer.text) == (409, True)


async def test_a_station_that_is_none(ship: PageShip, browser: Browser) -> None:
    for station in ("", "bar-1", "lagoon-crew ", "../x", "x" * 4000):
        await browser.get("/crew/login")
        assert (await browser.post("/crew/login", station=station)).status_code == 404


async def test_a_guests_band_signs_nobody_in(ship: PageShip, browser: Browser) -> None:
    await browser.get("/crew/login")
    await browser.post("/crew/login", station=STATION)
    assert ship.tap_crew(await ship.guest())  # as if a station took it for crew
    await browser.get("/crew/login/pin")
    answer = await browser.post("/crew/login/pin", pin=PIN)
    assert "This band has no role for the handheld." in answer.text


async def test_signing_out_ends_the_session_at_the_gateway(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    secret = browser.client.cookies["steward_crew"]
    await browser.get("/crew/shift")
    answer = await browser.post("/crew/logout")
    assert answer.headers["location"] == "/crew/login"
    assert "steward_crew" not in browser.client.cookies
    browser.client.cookies.set("steward_crew", secret)
    assert (await browser.get("/crew/live")).headers["location"] == "/crew/login"


async def test_a_frozen_band_and_a_lost_role_end_the_session(ship: PageShip, browser: Browser) -> None:
    crew = await at_work(ship, browser)
    assert (await browser.get("/crew/live")).status_code == 200
    uid = Uid("04" + crew[:12].upper())
    await ship.services.store.write(lambda tx: tx.deny(uid, 1, "lost"))
    assert (await browser.get("/crew/live")).headers["location"] == "/crew/login"


# the language


async def test_the_viewer_chooses_the_language_and_keeps_it(ship: PageShip) -> None:
    async with ship.browser(**{"Accept-Language": "nb-NO,en;q=0.5"}) as browser:
        page = await browser.get("/crew/login")
        assert '<html lang="nb">' in page.text
        assert "Logg inn" in page.text
        answer = await browser.post("/language", language="en", back="/crew/login")
        assert "Max-Age=" in answer.headers["set-cookie"]
        assert "Sign in" in (await browser.follow(answer)).text
        assert "Sign in" in (await browser.get("/crew/login")).text


async def test_an_error_is_in_the_viewers_language(ship: PageShip) -> None:
    async with ship.browser(**{"Accept-Language": "nb"}) as browser:
        await at_work(ship, browser)
        answer = await browser.get("/crew/guests/" + "0" * 16)
        assert answer.status_code == 404
        assert "Her er det ingenting" in answer.text
