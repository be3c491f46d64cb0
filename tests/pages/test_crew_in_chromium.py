"""The crew handheld in a real browser, with real bands at its readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect
from tests.pages.chromekit import LOOKS, PHONE, Handheld, Look, handheld, portrait, wrist
from tests.pages.pagekit import PIN, STATION, PageShip

from steward.domain.offers import OfferState
from steward.domain.profiles import Allergen, Diet
from steward.domain.viewing import CrewRole

pytestmark = pytest.mark.chromium


@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_a_shift_with_real_bands(ship: PageShip, chromium: Chromium, tmp_path: Path, look: Look) -> None:
    """Sign in with a band, a guest taps, a suggestion is accepted, a note kept, a case opened and closed, sign out."""
    crew = await ship.crew(CrewRole.SERVICE)
    face = await portrait(chromium)
    allergies = [Allergen.NUTS, Allergen.CRUSTACEANS]
    guest = await ship.guest(allergies=allergies, diet=[Diet.VEGETARIAN], photo=face)
    async with (
        handheld(ship, chromium, look) as hand,
        wrist(ship, tmp_path, crew) as crew_band,
        wrist(ship, tmp_path, guest) as guest_band,
    ):
        page = hand.page
        await hand.go("/crew")
        await hand.at("/crew/login")
        await hand.check("01-sign-in")
        await page.locator(f"button[value={STATION}]").click()
        await hand.at("/crew/login/tap")
        await hand.check("02-hold-band")
        await crew_band.tap(STATION)
        await hand.at("/crew/login/pin")
        await hand.check("03-pin")
        await hand.enter_pin()
        await hand.at("/crew/shift")
        await hand.check("04-shift")
        await hand.choose("lagoon food_and_drink")
        await hand.check("05-waiting")

        await guest_band.tap(STATION)
        await hand.card_of("Alma")
        await expect(page.locator(".allergies.some li")).to_have_count(2)
        await hand.check("06-card")
        await page.locator("button[value=accept]").click()
        await expect(page.locator(".dock.done")).to_be_visible()
        await hand.check("07-accepted")
        offers = await ship.services.store.read(lambda tx: tx.offers_of(guest, 0))
        assert [offer.state for offer in offers] == [OfferState.ACCEPTED]
        await page.locator(".again button[value=liked]").press("Enter")
        await expect(page.locator(".again button[value=accept]")).to_have_count(1)
        await hand.check("07-liked")
        (offer,) = await ship.services.store.read(lambda tx: tx.offers_of(guest, 0))
        assert offer.liked_s is not None

        await page.locator("details:has(#note) summary").click()
        await page.locator("#note").fill("Likes the table\nby the window")
        await hand.check("08-note")
        await page.locator("details:has(#note) button").click()
        await expect(page.locator(".notes li")).to_contain_text("Likes the table by the window")
        await page.locator("details.earlier summary").click()
        await hand.check("08-earlier")
        await page.locator("details:has(#what) summary").click()
        await page.locator("#what").fill("The dinner came cold")
        await page.locator("details:has(#what) button").click()
        await expect(page.locator(".recovery .what")).to_have_text("The dinner came cold")
        await expect(page.locator(".dock .answers")).to_have_count(0)
        await hand.check("09-recovery")

        await guest_band.tap(STATION)  # again: still nothing is sold to them
        await hand.card_of("Alma")
        await expect(page.locator(".dock .answers")).to_have_count(0)
        await hand.go("/crew/cases")
        await hand.check("10-cases")
        await page.locator(".hits a").click()
        await page.locator(".recovery summary").click()
        await page.locator(".recovery textarea").fill("A new dinner at once")
        await page.locator(".recovery button").click()
        await expect(page.locator(".recovery")).to_have_count(0)
        await expect(page.locator(".dock .answers")).to_have_count(1)

        await page.locator(".bar a[href='/crew/search']").click()
        await page.locator("#query").fill("alm")
        await page.keyboard.press("Enter")
        await hand.at("/crew/search/found")
        await expect(page.locator(".hits a")).to_have_count(1)
        await hand.check("11-found")
        await page.locator(".bar a[href='/crew/shift']").click()
        await page.locator("form[action='/crew/logout'] button").click()
        await hand.at("/crew/login")
        await page.go_back()  # nothing of a guest is kept by the browser
        await hand.at("/crew/login")
        await hand.go("/crew/live")
        await hand.at("/crew/login")


async def signed_in(hand: Handheld, role: CrewRole = CrewRole.SERVICE) -> None:
    await hand.sign_in(await hand.ship.crew(role))


async def test_a_half_written_note_outlives_the_next_tap(ship: PageShip, chromium: Chromium) -> None:
    first, second = await ship.guest(), await ship.guest("Bo Example", cabin=5014)
    async with handheld(ship, chromium) as hand:
        await signed_in(hand)
        ship.tap_guest(first)
        await hand.card_of("Alma")
        await hand.page.locator("details:has(#note) summary").click()
        await hand.page.locator("#note").fill("Half a sent")
        ship.tap_guest(second)
        await hand.page.locator("#next").wait_for(state="visible")
        await expect(hand.page.locator("#note")).to_have_value("Half a sent")
        await hand.check("20-next-guest")
        await hand.page.locator("#next").click()
        await hand.card_of("Bo")


async def test_the_card_is_announced_and_takes_no_focus(ship: PageShip, chromium: Chromium) -> None:
    guest = await ship.guest(allergies=[Allergen.MILK])
    async with handheld(ship, chromium) as hand:
        await signed_in(hand)
        await hand.page.locator(".bar a[href='/crew/search']").focus()
        ship.tap_guest(guest)
        await expect(hand.page.locator("#news[aria-live=polite]")).to_have_text("Alma is here. Allergies: Milk.")
        await expect(hand.page.locator(".bar a[href='/crew/search']")).to_be_focused()
        await hand.page.locator("button[value=not_now]").press("Enter")
        await expect(hand.page.locator("#who")).to_be_focused()  # what was focused is gone: the new card is


async def test_signing_out_elsewhere_ends_the_live_page(ship: PageShip, chromium: Chromium) -> None:
    async with handheld(ship, chromium) as hand:
        await signed_in(hand)
        other = await hand.page.context.new_page()
        await other.goto(hand.url("/crew/shift"))
        await other.locator("form[action='/crew/logout'] button").click()
        await hand.at("/crew/login")


async def test_a_tap_during_a_gap_arrives_when_the_line_is_back(ship: PageShip, chromium: Chromium) -> None:
    first, second = await ship.guest(), await ship.guest("Bo Example", cabin=5014)
    async with handheld(ship, chromium) as hand:
        await signed_in(hand)
        ship.tap_guest(first)
        await hand.card_of("Alma")
        assert ship.cut_lines() > 0
        await ship.until(lambda: ship.services.feed.subscriber_count == 0)
        ship.tap_guest(second)  # nobody listens at this moment
        await hand.card_of("Bo")
        hand.complaints.clear()  # the browser did notice that the line was cut


async def test_a_card_that_nobody_touches_does_not_stay(ship: PageShip, chromium: Chromium) -> None:
    guest = await ship.guest()
    async with handheld(ship, chromium) as hand:
        await signed_in(hand)
        await hand.page.clock.install()
        await hand.page.reload()
        await hand.page.wait_for_selector("#state[data-state=live]")
        ship.tap_guest(guest)
        await hand.card_of("Alma")
        await hand.page.clock.fast_forward(100_000)
        await hand.page.keyboard.press("Shift")  # somebody is there
        await hand.page.clock.fast_forward(100_000)
        await hand.card_of("Alma")
        await hand.page.clock.fast_forward(100_000)
        await expect(hand.page.locator("#card")).to_have_count(0)
        await hand.go(f"/crew/guests/{guest}")
        await hand.card_of("Alma")
        await hand.page.clock.fast_forward(200_000)
        await hand.at("/crew/live")


async def test_an_emergency_shows_more_and_says_so(ship: PageShip, chromium: Chromium) -> None:
    guest = await ship.guest(allergies=[Allergen.NUTS], photo=await portrait(chromium))
    async with handheld(ship, chromium) as hand:
        await hand.sign_in(await ship.crew(CrewRole.SAFETY), "lagoon safety")
        ship.tap_guest(guest)
        await hand.card_of("Alma")
        await expect(hand.page.locator(".facts")).to_contain_text("Cabin 5012")
        await hand.page.locator("details:has(#reason) summary").click()
        await hand.page.locator("#reason").fill("Unconscious at the pool")
        await hand.check("21-emergency")
        await hand.page.locator("details:has(#reason) button").click()
        await hand.page.locator(".glass").wait_for()
        await hand.check("22-emergency-shown")


async def test_without_scripts_one_can_sign_in_search_read_and_answer(
    ship: PageShip, chromium: Chromium, tmp_path: Path
) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    await ship.guest(allergies=[Allergen.NUTS])
    async with handheld(ship, chromium, java_script_enabled=False) as hand, wrist(ship, tmp_path, crew) as band:
        page = hand.page
        await hand.go("/crew")
        await page.locator(f"button[value={STATION}]").click()
        await band.tap(STATION)
        await hand.at("/crew/login/pin")  # the page asks again by itself
        await hand.enter_pin()
        await page.locator("input[value='lagoon food_and_drink']").check()
        await page.locator("main form.stack button").click()
        await expect(page.locator("noscript .notice")).to_be_visible()
        await page.locator(".bar a[href='/crew/search']").click()
        await page.locator("#query").fill("alma")
        await page.locator("main form.find button").click()
        await page.locator(".hits a").click()
        await expect(page.locator(".allergies.some li")).to_have_text("Nuts")
        await page.locator("button[value=wrong]").click()
        await expect(page.locator(".dock.done")).to_be_visible()


async def test_with_the_keyboard_alone(ship: PageShip, chromium: Chromium) -> None:
    crew, guest = await ship.crew(CrewRole.SERVICE), await ship.guest()
    async with handheld(ship, chromium, Look(1280, 800, "light", "en")) as hand:
        page = hand.page
        await hand.go("/crew")
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        await page.keyboard.press("Enter")
        for _ in range(2):  # past the station of the reception
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await hand.at("/crew/login/tap")
        assert ship.tap_crew(crew)
        await hand.at("/crew/login/pin")
        await page.keyboard.type(PIN)  # the field has the focus
        await page.keyboard.press("Enter")
        await hand.at("/crew/shift")
        for key in ("Tab",) * 8:
            await page.keyboard.press(key)
            if await page.evaluate("document.activeElement.type") == "radio":
                break
        await page.keyboard.press("Space")
        await page.keyboard.press("Enter")
        await hand.at("/crew/live")
        await page.wait_for_selector("#state[data-state=live]")
        ship.tap_guest(guest)
        await hand.card_of("Alma")
        await page.locator("#main").focus()
        reached = []
        for _ in range(4):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.value || document.activeElement.tagName"))
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
        assert reached == ["SUMMARY", "accept", "not_now", "wrong"]  # first, why


async def test_the_first_screen_of_a_phone_holds_what_matters(ship: PageShip, chromium: Chromium) -> None:
    """Photo, name, language, allergies and the answers are all on the screen and none is covered by another."""
    everything = [Allergen.NUTS, Allergen.MILK, Allergen.EGGS]
    guest = await ship.guest(allergies=everything, diet=[Diet.HALAL], photo=await portrait(chromium), child=True)
    async with handheld(ship, chromium) as hand:
        await signed_in(hand)
        ship.tap_guest(guest)
        await hand.card_of("Alma")
        await hand.check("23-first-screen")
        shown = [".face", "#who", ".facts", ".allergies", "button[value=accept]", "button[value=wrong]"]
        for what in shown:
            assert await hand.page.locator(what).evaluate(
                """(each) => { const box = each.getBoundingClientRect();
                return [[.5, .1], [.5, .5], [.5, .9]].every(([x, y]) => each.contains(
                    document.elementFromPoint(box.x + box.width * x, box.y + box.height * y))) }"""
            ), what


@pytest.mark.parametrize("width", [320, 640])
async def test_nothing_scrolls_sideways_on_the_smallest_screen(ship: PageShip, chromium: Chromium, width: int) -> None:
    guest = await ship.guest("Bartholomeus-Maximilian Extraordinarily-Long-Example", allergies=list(Allergen))
    async with handheld(ship, chromium, Look(width, 640, "light", "nb")) as hand:
        await signed_in(hand)
        ship.tap_guest(guest)
        await hand.card_of("Bartholomeus")
        await hand.check("24-long")


@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_who_waits_for_another_handheld_is_told(ship: PageShip, chromium: Chromium, look: Look) -> None:
    async with handheld(ship, chromium, look) as first, handheld(ship, chromium, look) as second:
        await both_at_one_station(first, second)
        await second.check("25-wait-for-turn")


async def test_two_handhelds_at_one_station_take_turns(ship: PageShip, chromium: Chromium) -> None:
    """The second is told to wait, then by itself to hold the band there; a tap logs in the one that was told to."""
    async with handheld(ship, chromium) as first, handheld(ship, chromium) as second:
        await both_at_one_station(first, second)
        await expect(second.page.locator("#login [data-when=waiting]")).to_be_visible(timeout=30_000)
        await expect(first.page.locator("#login [data-when=queued]")).to_be_visible()
        assert ship.tap_crew(await ship.crew(CrewRole.SERVICE))
        await second.at("/crew/login/pin")
        await expect(first.page.locator("#login [data-when=waiting]")).to_be_visible(timeout=30_000)


async def both_at_one_station(first: Handheld, second: Handheld) -> None:
    for hand in (first, second):
        await hand.go("/crew/login")
        await hand.page.locator(f"button[value={STATION}]").click()
        await hand.at("/crew/login/tap")
    await expect(second.page.locator("#login [data-when=queued]")).to_be_visible()
    await expect(second.page.locator("#login [data-when=waiting]")).to_be_hidden()


async def test_reduced_motion_moves_nothing(ship: PageShip, chromium: Chromium) -> None:
    async with handheld(ship, chromium, PHONE, reduced_motion="reduce") as hand:
        await hand.go("/crew/login")
        await hand.page.locator(f"button[value={STATION}]").click()
        await hand.at("/crew/login/tap")
        assert await hand.page.evaluate("document.getAnimations().length") == 0
