"""The page that shows context before segment: the same guest offered other things in other company, weather, hours."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect
from tests.e2e.gatewaykit import aboard, prepare
from tests.pages.chromekit import LOOKS, Look, handheld
from tests.pages.crewkit import at_work, looks
from tests.pages.pagekit import BAR, SETTINGS, PageShip
from tests.unit.test_whatif import bar_items

from steward.domain.catalogue import Catalogue
from steward.domain.consent import ConsentPurpose
from steward.domain.context import StayCompany
from steward.domain.features import Company, Signal, Weather
from steward.domain.ids import GuestRef
from steward.domain.viewing import CrewRole, Field
from steward.services.ranking import RankingSettings

_ROW = re.compile(r'<tr><th scope="row">([^<]+)</th>(.*?)</tr>', re.DOTALL)
_CELL = re.compile(r"<td[^>]*>([^<]*)")


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[PageShip]:
    """Nobody is held out by lot, and on a busy machine a model may take its time."""
    tokens = prepare(tmp_path, SETTINGS + "[holdout]\npercent = 0\n")
    async with aboard(tmp_path, tokens) as running:
        running.gateway.parts.services.offers.ranking._settings = RankingSettings(30.0, why_s=30.0)
        yield PageShip(running)


async def with_model(ship: PageShip) -> None:
    """The model that ships ranks what the demo's bar has."""
    ranking = ship.services.offers.ranking
    await ship.until(lambda: bool(ranking.loaded()))
    items = tuple(replace(each, outlet=BAR) for each in bar_items())
    await ship.services.store.write(lambda tx: tx.put_catalogue(Catalogue(2, items)))


def address(ref: GuestRef) -> str:
    return f"/crew/guests/{ref}/otherwise"


def rows_of(text: str) -> dict[str, tuple[str, ...]]:
    return {label: tuple(_CELL.findall(cells)) for label, cells in _ROW.findall(text)}


async def test_other_company_is_offered_other_things_and_it_is_a_look_up(ship: PageShip) -> None:
    await with_model(ship)
    guest = await ship.guest()
    async with ship.browser() as browser:
        await at_work(ship, browser)
        await browser.get(f"/crew/guests/{guest}")
        assert address(guest) in browser.text
        before = len(await looks(ship))
        answer = await browser.get(address(guest))
        assert answer.status_code == 200
        (look,) = (await looks(ship))[before:]
    assert (look.guest, Field.SUGGESTIONS in look.fields) == (guest, True)
    found = rows_of(browser.text)
    assert {"Alone", "A couple", "A family", "Friends", "On business", "Sun", "Clouds", "Rain", "Rough"} < set(found)
    assert len([label for label in found if re.fullmatch(r"[0-9]{2}:[0-9]{2}", label)]) == 4
    assert found["A family"] != found["On business"]
    assert all(len(cells) == 3 for cells in found.values())


async def test_nothing_on_it_says_with_whom_the_guest_is(ship: PageShip) -> None:
    await with_model(ship)
    guest = await ship.guest()
    pages = []
    async with ship.browser() as browser:
        await at_work(ship, browser)
        for company in (Company.BUSINESS, Company.FAMILY):
            said = StayCompany(guest, company)
            await ship.services.store.write(lambda tx, said=said: tx.put_company(said))  # type: ignore[misc]
            await browser.get(address(guest))
            pages.append(rows_of(browser.text))
    companies = ("Alone", "A couple", "A family", "Friends", "On business")
    assert [pages[0][each] for each in companies] == [pages[1][each] for each in companies]


async def test_what_a_guest_switched_off_makes_no_difference(ship: PageShip) -> None:
    await with_model(ship)
    guest = await ship.guest()
    await ship.services.signals.say(guest, {Signal.COMPANY: False, Signal.WEATHER: False}, "token:desk")
    async with ship.browser() as browser:
        await at_work(ship, browser)
        await browser.get(address(guest))
    found = rows_of(browser.text)
    assert len({cells for label, cells in found.items() if ":" not in label}) == 1


async def test_who_was_not_asked_has_no_other_company_and_who_objects_is_not_looked_at(ship: PageShip) -> None:
    await with_model(ship)
    guest = await ship.guest()
    await ship.services.store.write(lambda tx: tx.drop_consents(guest))
    async with ship.browser() as browser:
        await at_work(ship, browser)
        await browser.get(address(guest))
        assert "popular with everybody" in browser.text
        assert rows_of(browser.text) == {}
        await ship.services.consents.say(guest, {ConsentPurpose.SUGGESTIONS: False}, "token:desk")
        before = len(await looks(ship))
        answer = await browser.get(address(guest))
        assert answer.status_code == 409
        assert len(await looks(ship)) == before


@pytest.mark.parametrize("bad", ["0" * 16, "A" * 16, "..%2f", "x"])
async def test_no_such_guest(ship: PageShip, bad: str) -> None:
    async with ship.browser() as browser:
        await at_work(ship, browser)
        assert (await browser.get(f"/crew/guests/{bad}/otherwise")).status_code == 404


async def test_who_sells_nothing_does_not_see_it(ship: PageShip) -> None:
    guest = await ship.guest()
    async with ship.browser() as browser:
        await at_work(ship, browser, CrewRole.HOUSEKEEPING, "reception housekeeping")
        assert (await browser.get(address(guest))).status_code == 403


@pytest.mark.chromium
@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_it_is_readable_on_every_screen(ship: PageShip, chromium: Chromium, look: Look) -> None:
    await with_model(ship)
    guest = await ship.guest()
    await ship.services.context.say_weather(Weather.RAIN, "token:bridge")
    async with handheld(ship, chromium, look) as hand:
        await hand.sign_in(await ship.crew(CrewRole.SERVICE))
        await hand.go(f"/crew/guests/{guest}")
        await hand.page.locator(f"a[href='{address(guest)}']").click()
        await hand.at(address(guest))
        await expect(hand.page.locator("table.whatif")).to_have_count(3)
        await expect(hand.page.locator("td.moved").first).to_be_visible()
        await hand.check("30-what-if")
        await hand.page.keyboard.press("Tab")
        await hand.page.locator(f"main a[href='/crew/guests/{guest}']").focus()
        await hand.page.keyboard.press("Enter")
        await hand.at(f"/crew/guests/{guest}")
