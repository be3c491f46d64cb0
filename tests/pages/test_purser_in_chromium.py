"""The purser's desk in a real browser, at every size, scheme and language: money, people and paper."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect
from tests.e2e.gatewaykit import band_of
from tests.pages.chromekit import LOOKS, PHONE, PICTURES, Look, handheld
from tests.pages.pagekit import PageShip
from tests.pages.purserkit import PRIVACY, Desk, at_desk
from tests.unit.moneykit import FakeBand

from steward.domain.approvals import ApprovalState
from steward.domain.charges import ChargeState
from steward.domain.guests import BandState
from steward.domain.viewing import CrewRole, Field, OutletKind, Purpose, Viewer, Way
from steward.ports import Tx

pytestmark = pytest.mark.chromium
DESKTOP = Look(1280, 800, "light", "en")
IDS = [look.name for look in LOOKS]


@pytest.fixture
def desk(ship: PageShip) -> Desk:
    return Desk(ship)


@pytest.mark.parametrize("look", LOOKS, ids=IDS)
async def test_a_days_work(desk: Desk, chromium: Chromium, look: Look) -> None:
    """Find a folio, see a charge arrive, void one, refund part of another, freeze a band, look at the statement."""
    ship = desk.ship
    purser, guest = await desk.purser("P-041"), await ship.guest("Alma Example")
    await ship.services.folio.deposit(guest, 5000, "d-1")
    coffee = await desk.charge(guest, 450, "2 x coffee")
    dinner = await desk.charge(guest, 8900, "Dinner for two")
    uid = await desk.band(guest)
    async with handheld(ship, chromium, look) as hand:
        page = hand.page
        await at_desk(hand, purser)
        await hand.check("30-purser")
        await page.locator("#query").fill("alm")
        await page.keyboard.press("Enter")
        await page.locator(".hits a").click()
        await page.wait_for_selector("#state[data-state=live]")
        await expect(page.locator(".charges tbody tr")).to_have_count(2)
        await desk.charge(guest, 1250, "Sun lotion", shop=True)
        await expect(page.locator(".charges tbody tr")).to_have_count(3)
        await hand.check("31-folio")

        await page.locator(f"a[href='/purser/charges/{coffee}']").click()
        await hand.check("32-charge")
        await page.locator("summary", has=page.locator("xpath=../form[contains(@action,'/void')]")).click()
        await page.locator("#void-reason").fill("Wrong table")
        await hand.check("33-void")
        await page.locator("form[action$='/void'] button").click()
        await expect(page.locator("h1 .mark.off")).to_be_visible()
        await hand.go(f"/purser/charges/{dinner}")
        await page.locator("details:has(form[action$='/refund']) summary").click()
        await page.locator("#amount").fill("12,50")
        await page.locator("#refund-reason").fill("Dessert never came")
        await hand.check("34-refund")
        await page.locator("form[action$='/refund'] button").click()
        await expect(page.locator(".trail li")).to_have_count(1)
        await hand.check("35-refunded")
        assert await desk.balance(guest) == 8900 - 1250 + 1250 - 5000

        await hand.go(f"/purser/folios/{guest}")
        await page.locator("details:has(form[action$='/freeze']) summary").click()
        await hand.check("36-freeze")
        await page.locator("form[action$='/freeze'] button").click()
        await expect(page.locator(".bands .mark.off")).to_have_count(1)
        band = await ship.services.store.read(lambda tx: tx.band(uid))
        assert band is not None
        assert band.state is BandState.FROZEN
        await page.locator("a[href$='/statement']").click()
        await hand.check("37-statement")
    looks = await ship.services.lookups.log_of(guest)
    assert {look_.actor for look_ in looks if look_.role == CrewRole.PURSER} == {purser}
    assert {Way.BY_NAME, Way.OPENED} <= {look_.way for look_ in looks}


@pytest.mark.parametrize("look", LOOKS, ids=IDS)
async def test_a_refund_above_the_limit_needs_two_people(desk: Desk, chromium: Chromium, look: Look) -> None:
    ship = desk.ship
    eva, ole = await desk.purser("P-041"), await desk.purser("P-007")
    guest = await ship.guest("Alma Example")
    tap = await desk.charge(guest, 18_000, "Massage")
    async with handheld(ship, chromium, look) as first, handheld(ship, chromium, look) as second:
        await at_desk(first, eva)
        await first.go(f"/purser/charges/{tap}")
        await first.page.locator("details:has(form[action$='/refund']) summary").click()
        await first.page.locator("#refund-reason").fill("The masseur was ill")
        await first.page.locator("form[action$='/refund'] button").click()
        await expect(first.page.locator("a.notice.due")).to_be_visible()
        await first.check("40-waits")
        assert await desk.balance(guest) == 18_000
        await first.page.locator("a.notice.due").click()
        await expect(first.page.locator("form[action$='/approve']")).to_have_count(0)
        await first.check("41-own-question")

        await at_desk(second, ole)
        await second.check("42-home-with-work")
        await second.page.locator("a[href='/approvals']").first.click()
        await second.check("43-inbox")
        await second.page.locator(".cards a").click()
        await second.check("44-question")
        await second.page.locator("form[action$='/approve'] button").click()
        await expect(second.page.locator("h1 .mark.ok")).to_be_visible()
        await second.check("45-approved")
        await second.go("/approvals")
        await second.check("46-decided")
    assert await desk.balance(guest) == 0
    (decided,) = await ship.services.store.read(lambda tx: tx.decided_approvals(9))
    assert (decided.state, decided.asked_by, decided.decided_by) == (ApprovalState.DONE, eva, ole)


@pytest.mark.parametrize("look", LOOKS, ids=IDS)
async def test_a_dispute_is_decided_by_its_evidence(desk: Desk, chromium: Chromium, look: Look) -> None:
    ship = desk.ship
    purser, guest = await desk.purser("P-041"), await ship.guest("Alma Example")
    active = await desk.charge(guest, 4200, "Champagne")
    passive = await desk.charge(guest, 600, "Juice", band=FakeBand(b"\x04" + bytes(6), guest, active=False))
    async with handheld(ship, chromium, look) as hand:
        page = hand.page
        await at_desk(hand, purser)
        await hand.go(f"/purser/charges/{active}")
        await expect(page.locator(".verdict.good")).to_be_visible()
        await page.locator("details:has(form[action$='/dispute']) summary").click()
        await page.locator("#dispute-reason").fill("I was ashore all day")
        await page.locator("form[action$='/dispute'] button").click()
        await expect(page.locator("h1 .mark.wait")).to_be_visible()
        await page.locator(".proof summary").click()
        await hand.check("50-dispute")
        await hand.go("/purser/disputes")
        await hand.check("51-disputes")
        await page.locator(".list tbody th a").click()
        await page.locator("button[value=reject]").click()
        await expect(page.locator("button[value=reject]")).to_have_count(0)
        await hand.go(f"/purser/charges/{passive}")
        await hand.check("52-passive")
    charge = await ship.services.store.read(lambda tx: tx.charge(active))
    assert charge is not None
    assert (charge.state, charge.code) == (ChargeState.POSTED, "dispute_rejected")


@pytest.mark.parametrize("look", LOOKS, ids=IDS)
async def test_the_end_of_the_voyage(desk: Desk, chromium: Chromium, look: Look) -> None:
    ship = desk.ship
    purser = await desk.purser("P-041")
    guests = [await ship.guest(f"Guest Number{n}", cabin=5000 + n) for n in range(31)]
    for n, guest in enumerate(guests):
        await desk.charge(guest, 1000 + n)
    await ship.services.folio.deposit(guests[0], 5000, "d-1")
    held = ship.aboard.tap_id()
    await desk.charge(guests[1], 20_001, "Watch")  # waits for a PIN or a photo
    async with handheld(ship, chromium, look) as hand:
        page = hand.page
        await at_desk(hand, purser)
        await hand.go("/purser/settlement?who=everybody")
        await hand.check("60-settlement")
        await page.locator("details:has(form) summary").click()
        await page.locator("main form[action='/purser/settlement'] button").click()
        await expect(page.locator("#progress[data-state=done]")).to_be_visible(timeout=20_000)
        await hand.check("61-settled")
        await hand.go("/purser/folios?state=settled")
        await hand.check("62-list")
    assert held
    settled = [(await ship.services.store.read(lambda tx, g=guest: tx.guest(g))).settled for guest in guests]  # type: ignore[misc, union-attr]
    assert settled == [True, False, *[True] * 29]
    progress = ship.services.settling.progress
    assert (progress.total, progress.done, len(progress.blocked)) == (31, 31, 1)
    assert progress.returned_minor["EUR"] == 4000


async def test_the_statement_prints(desk: Desk, chromium: Chromium) -> None:
    """As a PDF of its own: the lines and sums, nothing of the screen around them, the head on every page."""
    ship = desk.ship
    purser, guest = await desk.purser("P-041"), await ship.guest("Alma Example")
    for n in range(60):
        await desk.charge(guest, 100 + n, f"Coffee {n}")
    async with handheld(ship, chromium, DESKTOP) as hand:
        await at_desk(hand, purser)
        await hand.go(f"/purser/folios/{guest}/statement")
        await expect(hand.page.locator("#print")).to_be_visible()
        pdf = await hand.page.pdf(path=PICTURES / "statement.pdf", prefer_css_page_size=True)
        await hand.page.emulate_media(media="print")
        for hidden in (".mast", ".bar", ".foot", ".noprint"):
            for found in await hand.page.locator(hidden).all():
                await expect(found).to_be_hidden()
        await expect(hand.page.locator(".paper .total dd")).to_be_visible()
        await hand.page.screenshot(path=PICTURES / "statement-print.png", full_page=True)
    assert pdf.startswith(b"%PDF-")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type /Page/") >= 2


@pytest.mark.parametrize("look", LOOKS, ids=IDS)
async def test_the_privacy_officer_reads_the_log(desk: Desk, chromium: Chromium, look: Look) -> None:
    ship = desk.ship
    officer = await desk.purser("P-900", CrewRole.PRIVACY_OFFICER)
    purser, medic = await desk.purser("P-041"), await desk.purser("S-001", CrewRole.SAFETY)
    guest = await ship.guest("Alma Example")
    tap = await desk.charge(guest, 450)
    viewer = Viewer(purser, CrewRole.PURSER, "reception", OutletKind.SERVICE, Purpose.BILLING)  # type: ignore[arg-type]
    for _ in range(3):
        await ship.services.desk.charge(viewer, tap)
    safety = Viewer(medic, CrewRole.SAFETY, "reception", OutletKind.SERVICE, Purpose.SAFETY)  # type: ignore[arg-type]
    await ship.services.lookups.break_glass(safety, guest, "Missing at the muster")
    async with handheld(ship, chromium, look) as hand:
        await at_desk(hand, officer, PRIVACY)
        await expect(hand.page.locator("tr.glass")).to_have_count(1)
        await expect(hand.page.locator("tr.glass q")).to_have_text("Missing at the muster")
        await hand.check("70-log")
        await hand.page.locator(".tabs a").nth(1).click()
        await expect(hand.page.locator(".log tbody tr")).to_have_count(1)
        assert "Alma" not in await hand.page.content()


async def test_a_folio_by_keyboard_alone(desk: Desk, chromium: Chromium) -> None:
    """Search, open, void: no mouse."""
    ship = desk.ship
    purser, guest = await desk.purser("P-041"), await ship.guest("Alma Example")
    tap = await desk.charge(guest, 450, "Coffee")
    async with handheld(ship, chromium, PHONE) as hand:
        page = hand.page
        await at_desk(hand, purser)

        async def to(selector: str) -> None:
            for _ in range(60):
                if await page.evaluate("(s) => document.activeElement?.matches(s)", selector):
                    return
                await page.keyboard.press("Tab")
            raise AssertionError(f"{selector} cannot be reached")

        await to("#query")
        await page.keyboard.type("alma")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".hits")
        await to(".hits a")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#folio")
        await to(".charges a")
        await page.keyboard.press("Enter")
        await hand.at(f"/purser/charges/{tap}")
        await to("summary:has(+ form[action$='/void'])")
        await page.keyboard.press("Enter")
        await to("#void-reason")
        await page.keyboard.type("Typed wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1 .mark.off")).to_be_visible()
    assert await desk.balance(guest) == 0


async def test_what_is_being_typed_is_not_replaced(desk: Desk, chromium: Chromium) -> None:
    ship = desk.ship
    purser, guest = await desk.purser("P-041"), await ship.guest("Alma Example")
    await desk.band(guest)
    async with handheld(ship, chromium, DESKTOP) as hand:
        await at_desk(hand, purser)
        await hand.go(f"/purser/folios/{guest}")
        await hand.page.wait_for_selector("#state[data-state=live]")
        await hand.page.locator("details:has(form[action$='/freeze']) summary").click()
        before = len(await ship.services.lookups.log_of(guest))
        await desk.charge(guest, 450, "Coffee")
        async with hand.page.expect_response("**/mark"):
            pass
        async with hand.page.expect_response("**/mark"):
            pass
        await expect(hand.page.locator("details[open]")).to_have_count(1)
        await expect(hand.page.locator(".charges tbody tr")).to_have_count(0)
        assert len(await ship.services.lookups.log_of(guest)) == before
        await hand.page.locator("details[open] summary").click()
        await expect(hand.page.locator(".charges tbody tr")).to_have_count(1)
        await asyncio.sleep(0)
        assert len(await ship.services.lookups.log_of(guest)) == before + 1


async def test_a_new_band_in_place_of_a_lost_one(desk: Desk, chromium: Chromium) -> None:
    ship = desk.ship
    purser, guest = await desk.purser("P-041"), await ship.guest("Alma Example")
    uid = await desk.band(guest)
    async with handheld(ship, chromium, PHONE) as hand:
        page = hand.page
        await at_desk(hand, purser)
        await hand.go(f"/purser/folios/{guest}")
        await page.locator("details:has(form[action$='/replace']) summary").click()
        await hand.check("80-replace")
        await page.locator("form[action$='/replace'] button").click()
        await page.wait_for_url("**/purser/jobs/*")
        await hand.check("81-job")
        await page.locator("form[action$='/cancel'] button").click()
        await page.wait_for_url("**/purser/folios/*")
    band = await ship.services.store.read(lambda tx: tx.band(uid))
    assert band is not None
    assert band.state is BandState.FROZEN
    assert band_of(guest)


async def test_a_locked_pin_is_unlocked(desk: Desk, chromium: Chromium) -> None:
    ship = desk.ship
    purser, colleague = await desk.purser("P-041"), await desk.purser("P-007")
    guest = await ship.guest("Alma Example")
    await ship.services.checkin.set_pin(guest, "4711")

    def lock(tx: Tx) -> None:
        from dataclasses import replace

        row, member = tx.guest(guest), tx.crew(colleague)
        assert row is not None
        assert member is not None
        tx.put_guest(replace(row, pin_failures=3))
        tx.put_crew(replace(member, pin_failures=5))

    await ship.services.store.write(lock)
    async with handheld(ship, chromium, DESKTOP) as hand:
        await at_desk(hand, purser)
        await hand.go(f"/purser/folios/{guest}")
        await hand.page.locator("form[action$='/unlock'] button").click()
        await expect(hand.page.locator("form[action$='/unlock']")).to_have_count(0)
        await hand.go("/purser/crew")
        await hand.check("82-locked")
        await hand.page.locator("form[action$='/unlock'] button").click()
        await expect(hand.page.locator("form[action$='/unlock']")).to_have_count(0)
    row = await ship.services.store.read(lambda tx: tx.guest(guest))
    assert row is not None
    assert row.pin_failures == 0
    assert not (await ship.services.crew.member(colleague)).locked
    assert Field.FOLIO
