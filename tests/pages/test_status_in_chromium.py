"""The status page in a real browser: everything on it at once, small and large, light and dark."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect
from tests.e2e.test_metrics import GATEWAYS, LINK, QUIET
from tests.pages.chromekit import Look, handheld
from tests.pages.pagekit import PageShip

from steward.domain.condition import BandCondition
from steward.domain.guests import Band, BandState
from steward.domain.ids import Uid
from steward.ports import Tx
from steward.services.board import TapRecord
from steward.web.bundle import LinkStatus, ShipStatus

pytestmark = pytest.mark.chromium
LOOKS = (
    Look(360, 740, "light", "en"),
    Look(360, 740, "dark", "nb"),
    Look(1280, 800, "light", "nb"),
    Look(1280, 800, "dark", "en"),
)
HELD = {"en": "held back until the budget grows", "nb": "holdes tilbake til budsjettet vokser"}


def busy(ship: PageShip) -> None:
    services = ship.services
    now_s = services.clock.now().unix_s
    for n in range(240):
        place, purpose, code = [
            ("gangway", "door", "granted"),
            ("cabin-5012", "door", "granted"),
            ("bar-1", "till", "posted"),
            ("bar-1", "till", "posted"),
            ("lagoon-crew", "crew", "announced"),
            ("spa-1", "till", "day_limit"),
        ][n % 6]
        services.board.record(TapRecord(now_s - n, place, purpose, place, code, 30 + n % 9, 3, 5, 5, 100, 240))
        services.board.seen(Uid(f"04{n:012X}"), now_s - n * 400)
    services.board.record(TapRecord(now_s, "cabin-5012", "door", "cabin-5012", "frozen", 31, 3, 5, 5, 100, 240))
    services.board.alert("frozen_band_used")


async def connected(ship: PageShip, status: LinkStatus = LINK) -> None:
    now_s = ship.services.clock.now().unix_s
    waiting = replace(status.uplink.waiting, oldest_at_s=now_s - 4000)
    told = replace(status, uplink=replace(status.uplink, connected_since_s=now_s - 9000, waiting=waiting))

    async def link() -> LinkStatus | None:
        return told

    async def gateways() -> ShipStatus | None:
        return ShipStatus((*GATEWAYS, QUIET))

    object.__setattr__(ship.services, "link", link)  # the settings of these tests name no shore
    object.__setattr__(ship.services, "ship", gateways)  # nor other gateways

    def bands(tx: Tx) -> None:
        for n in range(310):
            state = BandState.FROZEN if n % 60 == 0 else BandState.ISSUED
            tx.put_band(Band(Uid(f"04{n:012X}"), ship.crew_ref, 1, n % 3 > 0, 1, True, state))  # type: ignore[attr-defined]
            if n % 10:
                percent = min(n * 7 % 130, 100) if n % 3 else None
                days_s = 3 * 86_400 if n % 70 == 1 else 0
                tx.put_condition(BandCondition(Uid(f"04{n:012X}"), n % 3 > 0, percent, n % 11 == 0, now_s - n - days_s))

    ship.crew_ref = "0" * 16  # type: ignore[attr-defined]
    await ship.services.store.write(bands)


@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_everything_at_once(ship: PageShip, chromium: Chromium, look: Look) -> None:
    await connected(ship)
    busy(ship)
    async with handheld(ship, chromium, look) as hand:
        await hand.go("/")
        await hand.page.wait_for_selector("#link[data-state=live]")
        for section in ("bands", "link", "ship", "machine"):
            await expect(hand.page.locator(f"[data-live={section}]")).to_be_visible()
        await expect(hand.page.locator("[data-live=bands] table")).to_have_count(4)
        await expect(hand.page.locator("[data-live=link]")).to_contain_text(HELD[look.language])
        await expect(hand.page.locator("[data-live=ship] .lamp.bad")).to_have_count(2)
        await hand.check("90-status")
        await hand.page.set_viewport_size({"width": look.width, "height": 4700 if look.width < 500 else 2600})
        await hand.check("91-status-whole")


async def test_a_gateway_without_shore_and_with_troubles(ship: PageShip, chromium: Chromium) -> None:
    async with handheld(ship, chromium, LOOKS[0]) as hand:
        await hand.go("/")
        await expect(hand.page.locator("[data-live=link]")).to_contain_text("None is configured")
        await hand.page.get_by_role("button", name="Norsk").click()
        await expect(hand.page.locator("[data-live=link]")).to_contain_text("Ingen er satt opp")
        await expect(hand.page.locator("#link-words")).to_have_text("Direkte")
        await ship.aboard.gateway.parts.supervisor.stop(5)
        await expect(hand.page.locator("[data-live=machine] .lamp.bad")).to_have_count(1)
        await hand.check("92-troubles")
