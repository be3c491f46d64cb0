"""The guest's pages in a real Chromium: every size, scheme and language, by keyboard, and without scripts."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser as Chromium
from tests.pages.chromekit import LOOKS, PHONE, Handheld, Look, handheld, portrait
from tests.pages.guestkit import Wearer, worn
from tests.pages.pagekit import PageShip
from tests.pages.test_guest_looks import looked
from tests.pages.test_guest_why import offered

from steward.domain.consent import ConsentPurpose
from steward.domain.features import Signal
from steward.domain.offers import OfferState
from steward.domain.profiles import Allergen, Diet
from steward.domain.viewing import CrewRole, Purpose, Way

pytestmark = pytest.mark.chromium
PIN = "2580"


async def alma(ship: PageShip, photo: bytes) -> Wearer:
    """Somebody with everything there is, looked up now and then, and a child of the same booking."""
    ref = await ship.guest("Alma Example", allergies=[Allergen.NUTS], diet=[Diet.VEGAN], photo=photo)
    await ship.services.checkin.set_pin(ref, PIN)
    booking = (await ship.services.store.read(lambda tx: tx.guest(ref))).booking  # type: ignore[union-attr]
    await ship.aboard.guest(cabins=[5012], booking=booking, child=True)
    who = await worn(ship, ref)
    await looked(ship, who, 2)
    safety = {"role": CrewRole.SAFETY, "purpose": Purpose.SAFETY, "way": Way.BROKE_GLASS, "reason": "Man overboard"}
    await looked(ship, who, **safety)
    await offered(ship, who)
    return who


async def sign_in(held: Handheld, who: Wearer) -> None:
    await held.go(who.link())
    await held.at("/me")


async def prove(held: Handheld) -> None:
    await held.page.fill("#pin", PIN)
    await held.page.click("form[action='/me/prove/pin'] button")


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
async def test_every_page_reads_well(ship: PageShip, chromium: Chromium, look: Look) -> None:
    who = await alma(ship, await portrait(chromium))
    async with handheld(ship, chromium, look, extra_http_headers={"Sec-GPC": "1"}) as held:
        page = held.page
        await sign_in(held, who)
        await held.check("guest-data-band")
        await page.click("a[href='/me/prove?next=/me']")
        await prove(held)
        await held.at("/me")
        await held.check("guest-data")
        for summary in await page.locator("main summary").all():
            await summary.click()
        await held.check("guest-data-open")
        for name in ("consents", "looks", "why"):
            await held.go(f"/me/{name}")
            for summary in await page.locator("main summary").all():
                await summary.click()
            await held.check(f"guest-{name}")
        await held.go("/me/consents")
        await page.click("#children .links a")
        await held.check("guest-child")
        await held.go("/me/correct")
        await held.check("guest-correct")
        await page.check("input[name='diet-kosher']")
        await page.click("form[action='/me/correct'] button.main")
        await page.locator("#problem").wait_for()
        await held.check("guest-correct-refused") if look.language == "nb" else None
        held.complaints.clear()  # the browser says of itself that a form was answered with 422


async def test_yes_and_no_are_of_one_size(ship: PageShip, chromium: Chromium) -> None:
    who = await alma(ship, await portrait(chromium))
    async with handheld(ship, chromium) as held:
        await sign_in(held, who)
        await held.go("/me/consents")
        for purpose in ConsentPurpose:
            boxes = [
                await button.bounding_box() for button in await held.page.locator(f"#{purpose} .pair button").all()
            ]
            assert len(boxes) == 2
            yes, no = boxes
            assert yes is not None
            assert no is not None
            assert abs(yes["width"] - no["width"]) < 2, purpose
            assert abs(yes["height"] - no["height"]) < 2, purpose


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_every_form_works_with_and_without_scripts(ship: PageShip, chromium: Chromium, scripts: bool) -> None:
    who = await alma(ship, await portrait(chromium))
    store = ship.services.store
    async with handheld(ship, chromium, PHONE, java_script_enabled=scripts) as held:
        page = held.page
        await sign_in(held, who)
        await held.go("/me/consents")
        await page.click("#photo button[value=no]")
        await held.at("/me/consents#photo")
        consent = await store.read(lambda tx: tx.consent(who.ref, ConsentPurpose.PHOTO))
        assert consent is not None
        assert not consent.given
        await held.go("/me/why")
        await page.click("#signal-history button")
        await held.at("/me/why#signal-history")
        assert await store.read(lambda tx: tx.signals_off(who.ref)) == {Signal.HISTORY}
        await page.click("button[value=accept]")
        await page.wait_for_url("**/me/why#offer-*")
        (offer,) = await store.read(lambda tx: tx.last_offers_of(who.ref, 9))
        assert offer.state is OfferState.ACCEPTED
        await held.go("/me/correct")
        await prove(held)
        await held.at("/me/correct")
        await page.fill("#f-name", "Alma Mia")
        await page.click("form[action='/me/correct'] button.main")
        await held.at("/me")
        assert "Alma Mia" in await page.inner_text("main")
        async with page.expect_download() as coming:
            await held.go("/me/consents")
            await page.locator("#history a[download]").first.click()
        assert (await coming.value).suggested_filename.startswith("receipt-")


async def test_consent_is_given_and_taken_back_by_keyboard_alone(ship: PageShip, chromium: Chromium) -> None:
    who = await alma(ship, await portrait(chromium))
    async with handheld(ship, chromium) as held:
        page = held.page
        await sign_in(held, who)
        await held.go("/me/consents")
        await page.locator("#photo button[value=no]").focus()
        await page.keyboard.press("Enter")
        await held.at("/me/consents#photo")
        assert "You do not agree" in await page.inner_text("#photo")
        await page.locator("#photo button[value=yes]").focus()
        await page.keyboard.press("Space")
        await page.locator("#photo .state.good").wait_for()
