"""In which language a guest reads their own pages: their profile's, whatever the phone asks for, unless they chose."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Browser as Chromium
from tests.pages.chromekit import PHONE, handheld
from tests.pages.guestkit import Wearer, phone, worn
from tests.pages.pagekit import Browser, PageShip

from steward.web.pages.language import spoken_by

ENGLISH, NORWEGIAN, GERMAN = "en-GB,en;q=0.9", "nb-NO,nb;q=0.9,en;q=0.5", "de-DE,de;q=0.9"
_LANG = re.compile(r'<html lang="([a-z]+)"')


async def speaker(ship: PageShip, language: str) -> Wearer:
    return await worn(ship, await ship.guest(language=language))


async def language_of(browser: Browser, path: str = "/me") -> str:
    found = _LANG.search((await browser.get(path)).text)
    assert found is not None
    return found[1]


def asking(language: str, **more: str) -> dict[str, Any]:
    """A phone's headers."""
    return {"Accept-Language": language, **more}


async def choose(browser: Browser, language: str) -> None:
    await browser.get("/me")
    assert (await browser.post("/me/language", language=language, back="/me")).status_code == 303


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        *(("nb", "nb"), ("no", "nb"), ("nn", "nb"), ("nb-NO", "nb"), ("NN-no", "nb"), ("en", "en"), ("en-US", "en")),
        *(("", None), ("de", None), ("sv", None), ("english", None), ("-nb", None), ("nbx", None)),
    ],
)
def test_which_of_our_languages_a_guest_reads_as_their_own(tag: str, language: str | None) -> None:
    assert spoken_by(tag) == language


@pytest.mark.parametrize(
    ("profile", "asked", "shown"),
    [
        ("nb", ENGLISH, "nb"),
        ("nn", GERMAN, "nb"),
        ("en", NORWEGIAN, "en"),
        ("de", NORWEGIAN, "nb"),  # a language that we lack: as the phone asks
        ("de", ENGLISH, "en"),
    ],
)
async def test_the_profile_counts_before_the_phone(ship: PageShip, profile: str, asked: str, shown: str) -> None:
    who = await speaker(ship, profile)
    async with phone(ship, **asking(asked)) as browser:
        first = await browser.follow(await who.open(browser))
        assert f'<html lang="{shown}"' in first.text
        for path in ("/me/consents", "/me/band", "/me/folio", "/me/looks", "/me/take", "/verify", "/me/nowhere"):
            answer = await browser.get(path)
            assert answer.status_code == 404 or f'<html lang="{shown}"' in answer.text, path


async def test_who_has_no_profile_reads_what_the_phone_asks_for(ship: PageShip) -> None:
    nobody = await worn(ship, await ship.aboard.guest(cabins=[5014], booking="R-5014"))
    async with phone(ship, nobody, **asking(NORWEGIAN)) as browser:
        assert await language_of(browser) == "nb"


async def test_what_was_chosen_on_a_page_wins_and_is_kept(ship: PageShip) -> None:
    who = await speaker(ship, "nb")
    async with phone(ship, who, **asking(NORWEGIAN)) as browser:
        await choose(browser, "en")
        assert await language_of(browser) == "en"
        await browser.get("/me/band")
        await browser.post("/me/out")
        assert await language_of(browser, "/me/in") == "en"
        assert (await who.open(browser)).status_code == 303
        assert await language_of(browser) == "en"


async def test_a_corrected_profile_is_heeded_at_once(ship: PageShip) -> None:
    who = await speaker(ship, "en")
    await ship.services.checkin.set_pin(who.ref, "2580")
    async with phone(ship, who, **asking(ENGLISH)) as browser:
        await who.prove(browser)
        await browser.get("/me/correct")
        assert (await browser.post("/me/correct", preferred_name="Alma", language="nb")).status_code == 303
        assert await language_of(browser) == "nb"
        await browser.get("/me/correct")
        assert (await browser.post("/me/correct", preferred_name="Alma", language="fi")).status_code == 303
        assert await language_of(browser) == "en"


async def test_the_next_on_the_same_phone_is_not_taken_for_the_last(ship: PageShip) -> None:
    first, second = await speaker(ship, "nb"), await worn(ship, await ship.guest("Ben Example", language="fi"))
    async with phone(ship, first, **asking(ENGLISH)) as browser:
        assert await language_of(browser) == "nb"
        assert (await second.open(browser)).status_code == 303
        assert await language_of(browser) == "en"


async def test_signing_out_leaves_no_word_of_the_guest(ship: PageShip) -> None:
    who = await speaker(ship, "nb")
    async with phone(ship, who, **asking(ENGLISH)) as browser:
        assert browser.client.cookies["steward_spoken"] == "nb"
        await browser.get("/me/band")
        await browser.post("/me/out")
        assert "steward_spoken" not in browser.client.cookies
        assert await language_of(browser, "/me/in") == "en"


@pytest.mark.parametrize("planted", ["xx", "../en", "", "EN"])
async def test_a_planted_language_is_none(ship: PageShip, planted: str) -> None:
    async with phone(ship, **asking(NORWEGIAN, Cookie=f"steward_spoken={planted}")) as browser:
        assert await language_of(browser, "/me/in") == "nb"


async def test_the_crews_pages_are_not_turned_by_a_guest(ship: PageShip) -> None:
    async with phone(ship, **asking(ENGLISH, Cookie="steward_spoken=nb")) as browser:
        assert await language_of(browser, "/crew/login") == "en"
        assert await language_of(browser, "/me/in") == "nb"


async def test_a_norwegian_guest_with_an_english_phone_in_chromium(ship: PageShip, chromium: Chromium) -> None:
    who = await speaker(ship, "nb")
    async with handheld(ship, chromium, PHONE, java_script_enabled=False) as hand:
        await hand.page.goto(hand.url(who.link()))
        await hand.at("/me")
        assert await hand.page.locator("html").get_attribute("lang") == "nb"
        await hand.page.locator("button[name=language][value=en]").click()
        await hand.at("/me")
        assert await hand.page.locator("html").get_attribute("lang") == "en"
        await hand.page.goto(hand.url(who.link()))
        await hand.at("/me")
        assert await hand.page.locator("html").get_attribute("lang") == "en"
