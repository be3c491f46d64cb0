"""Charges that come in after settlement, and settling although a gateway is away: pages, API, and a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect
from tests.pages.chromekit import LOOKS, Look, handheld
from tests.pages.latekit import fleet_ship, granted, late
from tests.pages.pagekit import Browser, PageShip
from tests.pages.purserkit import Desk, at_desk

from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.ledger import LATE_CLEARING, SETTLEMENT_CLEARING
from steward.domain.viewing import CrewRole, Field
from steward.services.audit import check_ledger

IDS = [look.name for look in LOOKS]


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[PageShip]:
    async with fleet_ship(tmp_path) as running:
        yield running


async def looks(desk: Desk, ref: GuestRef) -> int:
    return sum(look.role == CrewRole.PURSER for look in await desk.ship.services.lookups.log_of(ref))


async def on_account(desk: Desk, account: str) -> int:
    return await desk.ship.services.store.read(lambda tx: tx.balance(account))  # type: ignore[arg-type]


async def test_a_late_charge_is_listed_and_collected_once(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guest, other = await desk.ship.guest(), await desk.ship.guest("Bo Example", cabin=5014)
    assert "/purser/late" not in (await browser.get("/purser")).text
    assert "No charge came in late" in (await browser.get("/purser/late")).text
    tap = await late(desk, guest, 450, "Towel rent")
    assert "/purser/late" in (await browser.get("/purser")).text
    before = await looks(desk, guest), await looks(desk, other)
    page = await browser.get("/purser/late")
    assert "Alma Example" in page.text
    assert "Towel rent" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert (await looks(desk, guest), await looks(desk, other)) == (before[0] + 1, before[1])
    fields = (await desk.ship.services.lookups.log_of(guest))[0].fields
    assert {Field.FOLIO, Field.CHARGES, Field.FULL_NAME} <= fields
    assert "is not collected" in (await browser.get(f"/purser/charges/{tap}")).text
    for _ in range(2):
        await browser.get("/crew/shift")
        answer = await browser.post(f"/purser/charges/{tap}/collect")
        assert answer.headers["location"] == "/purser/late"
    assert (await on_account(desk, LATE_CLEARING), await on_account(desk, SETTLEMENT_CLEARING)) == (0, 550)
    assert "Alma" not in (await browser.get("/purser/late")).text
    events = await desk.ship.services.store.read(lambda tx: tx.events(0, 999))
    settled = [e.payload for e in events if e.type is EventType.FOLIO_SETTLED]
    assert [(p.get("by"), p.get("settled_minor")) for p in settled if p.get("tap_id") == tap] == [(purser, 450)]
    assert (await desk.ship.services.store.read(check_ledger)).ok


async def test_a_late_charge_that_is_given_up_leaves_the_list(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await late(desk, guest, 450, "Towel rent")
    await browser.get(f"/purser/charges/{tap}")
    await browser.post(f"/purser/charges/{tap}/refund", amount="4,50", reason="forgiven", refund_id="r1")
    assert "No charge came in late" in (await browser.get("/purser/late")).text
    assert (await on_account(desk, LATE_CLEARING), await on_account(desk, SETTLEMENT_CLEARING)) == (0, 100)


async def test_collecting_what_is_no_late_charge(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 450)
    await browser.get("/crew/shift")
    assert (await browser.post(f"/purser/charges/{tap}/collect")).status_code == 303
    assert (await browser.post(f"/purser/charges/{'0' * 32}/collect")).status_code == 404
    assert await desk.balance(guest) == 450


async def test_a_folio_with_a_gateway_away_is_settled_when_the_purser_says_so(
    desk: Desk, eva: tuple[Browser, GuestRef]
) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    await desk.charge(guest, 450)
    await granted(desk, guest, "pool", 1200)
    await granted(desk, guest, "deck9", 300)
    await browser.get(f"/purser/folios/{guest}")
    before = await looks(desk, guest)
    answer = await browser.post(f"/purser/folios/{guest}/settle")
    browser.text = answer.text
    assert answer.status_code == 409
    assert all(word in answer.text for word in ("pool", "deck9", "12.00 EUR", "3.00 EUR", "silent", "Alma Example"))
    assert await looks(desk, guest) == before + 1
    assert await desk.balance(guest) == 450
    again = await browser.post(f"/purser/folios/{guest}/settle")
    assert again.status_code == 409
    done = await browser.post(f"/purser/folios/{guest}/settle", despite_away="on")
    assert done.status_code == 303
    assert await desk.balance(guest) == 0


async def test_the_end_of_the_voyage_with_a_gateway_away(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest, other = await desk.ship.guest(), await desk.ship.guest("Bo Example", cabin=5014)
    await desk.charge(guest, 450)
    await granted(desk, guest, "pool", 1200)
    await granted(desk, other, "pool", 300)
    settling = desk.ship.services.settling
    page = await browser.get("/purser/settlement?who=everybody")
    assert "15.00 EUR" in page.text
    assert 'name="despite_away"' in page.text
    await browser.post("/purser/settlement", who="everybody")
    await desk.ship.until(lambda: settling.progress.state == "done")
    assert (settling.progress.done, sorted(settling.progress.away)) == (2, sorted([guest, other]))
    assert settling.progress.blocked == []
    assert "did not answer" in (await browser.get("/purser/settlement?who=everybody")).text
    await browser.post("/purser/settlement", who="everybody", despite_away="on")
    await desk.ship.until(lambda: settling.progress.state == "done" and settling.progress.despite_away)
    assert settling.progress.away == []
    assert await desk.balance(guest) == 0


async def test_a_program_sees_and_collects_late_charges(desk: Desk, ship: PageShip) -> None:
    guest = await ship.guest()
    tap = await late(desk, guest, 450, "Towel rent")
    before = await looks(desk, guest)
    answer = await ship.aboard.call("purser", "GET", "/v1/ledger/late")
    body = answer.json()
    assert (body["total"], [(c["ref"], c["open_minor"]) for c in body["charges"]]) == (1, [(guest, 450)])
    assert body["charges"][0]["charge"]["tap_id"] == tap
    assert await looks(desk, guest) == before + 1
    collected = [
        (await ship.aboard.call("purser", "POST", f"/v1/charges/{tap}/collection", {"by": "p1"})).json()
        for _ in range(2)
    ]
    assert [each["collected_minor"] for each in collected] == [450, 0]
    assert await looks(desk, guest) == before + 3
    empty = (await ship.aboard.call("purser", "GET", "/v1/ledger/late")).json()
    assert empty == {"total": 0, "charges": []}
    assert await looks(desk, guest) == before + 3
    nobody = await ship.aboard.call("purser", "POST", f"/v1/charges/{'0' * 32}/collection", {})
    assert nobody.status_code == 404


async def test_two_who_collect_at_once_collect_once(desk: Desk, ship: PageShip) -> None:
    guest = await ship.guest()
    tap = await late(desk, guest, 450, "Towel rent")
    path = f"/v1/charges/{tap}/collection"
    answers = await asyncio.gather(*(ship.aboard.call("purser", "POST", path, {}) for _ in range(8)))
    assert sorted(answer.json()["collected_minor"] for answer in answers) == [0] * 7 + [450]


async def test_the_ships_gateways_are_told_to_every_role(ship: PageShip) -> None:
    for who in ("monitor", "bar", "desk", "purser"):
        told = (await ship.aboard.call(who, "GET", "/v1/ship")).json()
        assert told["authority"] is None
        assert [(g["name"], g["role"], g["here"], g["heard_ago_s"], g["queue_events"]) for g in told["gateways"]] == [
            ("pool", "till", False, None, None),
            ("deck9", "till", False, None, None),
        ]


@pytest.mark.chromium
@pytest.mark.parametrize("look", LOOKS, ids=IDS)
async def test_late_charges_in_a_browser(desk: Desk, chromium: Chromium, look: Look) -> None:
    ship = desk.ship
    purser = await desk.purser("P-041")
    guest, other = await ship.guest("Alma Example"), await ship.guest("Bo von Examplestein-Longname", cabin=5014)
    taps = [await late(desk, who, n, what) for who, n, what in ((guest, 450, "Towel rent"), (other, 125_000, "Ring"))]
    async with handheld(ship, chromium, look) as hand:
        page = hand.page
        await at_desk(hand, purser)
        await hand.check("100-home-with-late")
        await page.locator("a[href='/purser/late']").click()
        await expect(page.locator(".late > li")).to_have_count(2)
        await hand.check("101-late")
        await hand.go(f"/purser/charges/{taps[1]}")
        await hand.check("102-late-charge")
        await page.locator("form[action$='/collect'] button").click()
        await expect(page.locator(".late > li")).to_have_count(1)
        await page.locator("form[action$='/collect'] button").click()
        await expect(page.locator(".empty")).to_be_visible()
        await hand.check("103-none-late")
    assert await on_account(desk, LATE_CLEARING) == 0


@pytest.mark.chromium
@pytest.mark.parametrize("look", LOOKS, ids=IDS)
async def test_settling_although_a_gateway_is_away_in_a_browser(desk: Desk, chromium: Chromium, look: Look) -> None:
    ship = desk.ship
    purser, guest = await desk.purser("P-041"), await ship.guest("Alma Example")
    await desk.charge(guest, 450)
    await granted(desk, guest, "pool", 1200)
    async with handheld(ship, chromium, look) as hand:
        page = hand.page
        await at_desk(hand, purser)
        await hand.go("/purser/settlement?who=everybody")
        await page.locator("details summary").first.click()
        await hand.check("104-end-of-voyage-with-one-away")
        await hand.go(f"/purser/folios/{guest}")
        await page.locator("details:has(form[action$='/settle']) summary").click()
        await page.locator("form[action$='/settle'] button").click()
        await expect(page.locator("[role=alert]")).to_be_visible()
        await hand.check("105-away")
        await page.locator("input[name=despite_away]").check()
        await page.locator("form:has(input[name=despite_away]) button").click()
        await hand.at(f"/purser/folios/{guest}")
        await expect(page.locator("h1 .mark.off")).to_be_visible()
        assert all("409" in complaint for complaint in hand.complaints)  # that answer is meant
        hand.complaints.clear()
    assert await desk.balance(guest) == 0
