"""A guest's own pages in a real browser: the way in, folio, dispute, band, no-tracking, freezing, on four screens."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser as Chromium
from tests.pages.chromekit import LOOKS, PHONE, Handheld, Look, handheld
from tests.pages.guestkit import PIN, Wearer, wearer
from tests.pages.pagekit import PageShip
from tests.pages.purserkit import Desk
from tests.pages.test_guest_folio import guest_of
from tests.unit.moneykit import FakeBand

from steward.domain.guests import BandState


async def prove(hand: Handheld, after: str) -> None:
    await hand.at(f"/me/prove?next={after}")
    await hand.check("guest-prove")
    await hand.page.locator("input.pin").fill(PIN)
    await hand.page.locator("form[action='/me/prove/pin'] button").click()
    await hand.at(after)


async def aboard(ship: PageShip, desk: Desk) -> tuple[Wearer, str]:
    """An adult with charges and a child; one of the charges."""
    alma = await wearer(ship)
    booking = (await guest_of(ship, alma.ref)).booking
    child = await ship.aboard.guest(cabins=[5012], booking=booking, child=True)
    await desk.charge(child, 350, "Ice cream")
    await desk.charge(alma.ref, 128_450, "A very long description of a very long evening with everybody at the table")
    tap = await desk.charge(alma.ref, 980, "Champagne", band=FakeBand(alma.uid, alma.ref))
    return alma, f"/me/folio/charge/{tap}"


@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_a_guest_goes_through_their_pages(ship: PageShip, chromium: Chromium, desk: Desk, look: Look) -> None:
    alma, charge = await aboard(ship, desk)
    async with handheld(ship, chromium, look) as hand:
        await hand.go("/me/band")
        await hand.at("/me/in")
        await hand.check("guest-in")
        await hand.page.goto(hand.url(alma.link()))
        assert "e=" not in hand.page.url
        await hand.go("/me/folio")
        await hand.check("guest-folio")
        await hand.page.locator(f"a[href='{charge}']").click()
        await hand.at(charge)
        await hand.check("guest-charge")
        await hand.page.locator(f"a[href='/me/prove?next={charge}']").click()
        await prove(hand, charge)
        await hand.page.locator("#reason").fill("I was ashore")
        await hand.check("guest-dispute")
        await hand.page.locator(f"form[action='{charge}/dispute'] button").click()
        await hand.at(charge)
        await hand.go("/me/folio/limits")
        await hand.check("guest-limits")
        await hand.go("/me/folio/statement")
        await hand.check("guest-statement")
        await hand.page.locator(".bar a[href='/me/band']").click()
        await hand.at("/me/band")
        await hand.page.locator("form[action='/me/band/untracked'] button").click()
        await hand.page.locator("summary").click()
        await hand.check("guest-band")
        assert await ship.services.no_tracking.is_on(alma.ref)
        await hand.page.locator(f"form[action='/me/band/freeze/{alma.uid_text}'] button").click()
        await hand.at("/me/frozen")
        await hand.check("guest-frozen")
    assert (await alma.band()).state is BandState.FROZEN


async def test_the_address_of_the_link_is_not_in_the_history(ship: PageShip, chromium: Chromium) -> None:
    alma = await wearer(ship)
    async with handheld(ship, chromium, PHONE) as hand:
        await hand.go("/me/in")
        link = alma.link()
        await hand.page.goto(hand.url(link))
        await hand.go("/me/band")
        for _ in range(3):
            await hand.page.go_back()
            assert "e=" not in hand.page.url
        assert "e=" not in await hand.page.evaluate("document.referrer")


async def test_a_choice_of_yes_and_no_is_the_same_size(ship: PageShip, chromium: Chromium) -> None:
    alma = await wearer(ship)
    async with handheld(ship, chromium, PHONE) as hand:
        await hand.page.goto(hand.url(alma.link()))
        await hand.go("/me/band")
        pairs = await hand.page.evaluate(
            "() => [...document.querySelectorAll('.pair')].map((pair) => [...pair.querySelectorAll('button, a.button')]"
            ".map((b) => b.getBoundingClientRect()).map((b) => `${Math.round(b.width)}x${Math.round(b.height)}`))"
        )
        assert [len(sizes) for sizes in pairs] == [2, 2]  # freeze, and the radio
        assert [len(set(sizes)) for sizes in pairs] == [1, 1]
