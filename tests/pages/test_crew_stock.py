"""Sold out and full on the handheld: said with a key press, obeyed by the next suggestion, taken back."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect
from tests.pages.chromekit import LOOKS, Look, handheld
from tests.pages.crewkit import at_work, events, looks
from tests.pages.pagekit import BAR, SHOP, Browser, PageShip, catalogue

from steward.domain.catalogue import Catalogue, ItemId
from steward.domain.events import EventType
from steward.domain.stock import Gone, StockWord
from steward.domain.viewing import CrewRole

STOCK = "/crew/stock"
ITEMS = [item.id for item in catalogue().items]


async def words(ship: PageShip) -> list[StockWord]:
    return list(await ship.services.store.read(lambda tx: tx.stock_at(BAR)))


async def offered(ship: PageShip, browser: Browser, cabin: int) -> list[str]:
    """Of the items' titles, those on a new guest's card."""
    guest = await ship.guest(cabin=cabin)
    text = (await browser.get(f"/crew/guests/{guest}")).text
    return [item.id for item in catalogue().items if item.title("en") in text]


async def test_what_is_sold_out_is_suggested_no_more_and_comes_back(ship: PageShip, browser: Browser) -> None:
    crew = await at_work(ship, browser)
    text = (await browser.get(STOCK)).text
    assert all(item.title("en") in text for item in catalogue().items)
    assert 'href="/crew/stock" aria-current="page"' in text
    for item in ITEMS[1:]:
        answer = await browser.post(f"{STOCK}/{item}", gone="sold_out", until="")
        assert (answer.status_code, answer.headers["location"]) == (303, STOCK)
    text = (await browser.get(STOCK)).text
    assert len(re.findall(r"Sold out until ", text)) == 2
    assert text.index("Sold out until") < text.index("Sea buckthorn")  # what is gone comes first
    assert await offered(ship, browser, 5101) == [ITEMS[0]]
    await browser.get(STOCK)
    await browser.post(f"{STOCK}/{ITEMS[0]}", gone="full", until="")
    assert await offered(ship, browser, 5102) == []
    await browser.get(STOCK)
    await browser.post(f"{STOCK}/{ITEMS[2]}", gone="back")
    assert await offered(ship, browser, 5103) == [ITEMS[2]]
    said = [dict(event) for kind, event in await events(ship) if kind in (EventType.ITEM_GONE, EventType.ITEM_BACK)]
    assert [(event["item"], event.get("gone")) for event in said] == [
        (ITEMS[1], "sold_out"),
        (ITEMS[2], "sold_out"),
        (ITEMS[0], "full"),
        (ITEMS[2], None),
    ]
    assert {event["by"] for event in said} == {crew}


async def test_a_time_is_the_next_one_of_the_ships_clock(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    await browser.get(STOCK)
    now_s = ship.services.clock.now().unix_s
    minute = (now_s // 60 + 90) % 1440
    await browser.post(f"{STOCK}/{ITEMS[0]}", gone="full", until=f"{minute // 60:02d}:{minute % 60:02d}")
    (word,) = await words(ship)
    assert (word.gone, word.until_s % 86_400 // 60) == (Gone.FULL, minute)
    assert 0 < word.until_s - now_s <= 90 * 60 + 60
    assert f"Full until {minute // 60:02d}:{minute % 60:02d}" in (await browser.get(STOCK)).text


@pytest.mark.parametrize(
    ("item", "fields", "status"),
    [
        ("mocktail", {"gone": "stolen"}, 400),
        ("mocktail", {}, 400),
        ("mocktail", {"gone": "sold_out", "until": "25:00"}, 400),
        ("mocktail", {"gone": "sold_out", "until": "soon"}, 400),
        ("mocktail", {"gone": "full", "until": "12:00:01"}, 400),
        ("towel", {"gone": "sold_out"}, 404),  # the shop's
        ("no-such-thing", {"gone": "back"}, 404),
        ("A%2F..%2Fb", {"gone": "back"}, 404),
    ],
)
async def test_what_cannot_be_said_is_refused(
    ship: PageShip, browser: Browser, item: str, fields: dict[str, str], status: int
) -> None:
    towel = catalogue().items[0]
    more = type(towel)(ItemId("towel"), SHOP, {"en": "Towel"}, "things", (), (), (), 900, "EUR")
    await ship.services.store.write(lambda tx: tx.put_catalogue(Catalogue(2, (*catalogue().items, more))))
    await at_work(ship, browser)
    await browser.get(STOCK)
    assert "Towel" not in browser.text
    answer = await browser.post(f"{STOCK}/{item}", **fields)
    assert answer.status_code == status
    assert await words(ship) == []
    foreign = await browser.raw(f"{STOCK}/mocktail", {"gone": "full"}, {"Origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    assert await words(ship) == []


async def test_who_makes_no_offers_there_has_no_say(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser, CrewRole.PURSER, "reception billing")
    text = (await browser.get(STOCK)).text
    assert "Nothing is offered at this outlet." in text
    answer = await browser.post(f"{STOCK}/mocktail", gone="full")
    assert answer.status_code == 409
    assert await words(ship) == []
    assert await looks(ship) == []  # no guest is on it


@pytest.mark.chromium
@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_with_the_keyboard_alone(ship: PageShip, chromium: Chromium, look: Look) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    async with handheld(ship, chromium, look) as hand:
        page, keys = hand.page, hand.page.keyboard
        await hand.sign_in(crew)
        await hand.go(STOCK)
        await expect(page.locator(".shelf details")).to_have_count(3)
        await hand.check("20-stock")
        await page.locator(".shelf summary").first.focus()
        await keys.press("Enter")
        await hand.check("21-stock-open")
        field = page.locator(".shelf details[open] input[type=time]")
        await keys.press("Tab")
        await expect(field).to_be_focused()
        button = page.locator(".shelf details[open] button[value=sold_out]")
        for _ in range(6):  # past the parts of the time
            await keys.press("Tab")
            if await button.evaluate("(each) => each === document.activeElement"):
                break
        await expect(button).to_be_focused()
        await keys.press("Enter")
        await expect(page.locator(".shelf .gone")).to_have_count(1)
        assert [word.gone for word in await words(ship)] == [Gone.SOLD_OUT]
        await hand.check("22-stock-gone")
        await page.locator(".shelf .gone button").focus()
        await keys.press("Enter")
        await expect(page.locator(".shelf .gone")).to_have_count(0)
        assert [word.gone for word in await words(ship)] == [None]
