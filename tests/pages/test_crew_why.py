"""Why this is suggested, on the crew's page: a few words at a glance, and the rest for who asks."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect
from tests.pages.chromekit import LOOKS, Look, handheld
from tests.pages.crewkit import at_work
from tests.pages.pagekit import PageShip
from tests.pages.test_crew_whatif import ship, with_model

from steward.domain.reasons import Change, Flip, Kind, Means
from steward.domain.viewing import CrewRole

__all__ = ["ship"]  # the fixture: the model that ships ranks, and nobody is held out
_SHORT = re.compile(r'<ul class="why">(.*?)</ul>', re.DOTALL)
_MORE = re.compile(r'<details class="whys">.*?<ul[^>]*>(.*?)</ul>', re.DOTALL)


def lines(found: re.Match[str] | None) -> list[str]:
    return [] if found is None else [unescape(text) for text in re.findall(r"<li>(.*?)</li>", found[1])]


async def test_a_suggestion_says_what_carried_it_and_what_would_have_changed_it(ship: PageShip) -> None:
    await with_model(ship)
    guest = await ship.guest()
    async with ship.browser() as browser:
        await at_work(ship, browser)
        text = (await browser.get(f"/crew/guests/{guest}")).text
        again = (await browser.get(f"/crew/guests/{guest}")).text
    (offer,) = await ship.services.store.read(lambda tx: tx.offers_of(guest, 0))
    assert offer.why is not None
    assert offer.why.means in (Means.MODEL, Means.CHANCE)
    short, more = lines(_SHORT.search(text)), lines(_MORE.search(text))
    assert 0 < len(short) <= 3
    assert more
    assert (lines(_SHORT.search(again)), lines(_MORE.search(again))) == (short, more)


async def test_what_was_done_elsewhere_is_not_named_at_this_bar(ship: PageShip) -> None:
    await with_model(ship)
    guest = await ship.guest()
    async with ship.browser() as browser:
        await at_work(ship, browser)
        await browser.get(f"/crew/guests/{guest}")

        def secret(tx: object) -> None:
            (offer,) = tx.offers_of(guest, 0)  # type: ignore[attr-defined]
            flip = Flip((Change(Kind.UNDONE, "hot-stone-massage", 5, "spa"),), offer.item, 2)
            tx.put_offer(replace(offer, why=replace(offer.why, means=Means.MODEL, flip=flip)))  # type: ignore[attr-defined]

        await ship.services.store.write(secret)
        text = (await browser.get(f"/crew/guests/{guest}")).text
    assert "Without one of the things this guest did or said before" in unescape(text)
    assert "massage" not in text
    assert "spa" not in " ".join(lines(_MORE.search(text))).split()


@pytest.mark.chromium
@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_the_rest_opens_by_keyboard_on_every_screen(ship: PageShip, chromium: Chromium, look: Look) -> None:
    await with_model(ship)
    guest = await ship.guest()
    async with handheld(ship, chromium, look) as hand:
        await hand.sign_in(await ship.crew(CrewRole.SERVICE))
        await hand.go(f"/crew/guests/{guest}")
        whys = hand.page.locator("details.whys")
        await expect(whys.locator("li").first).to_be_hidden()
        await hand.check("31-why")
        await whys.locator("summary").focus()
        await hand.page.keyboard.press("Enter")
        await expect(whys.locator("li").first).to_be_visible()
        await hand.check("32-why-open")
        await expect(hand.page.locator(".dock .good")).to_be_visible()
