"""Find me from end to end: a real browser, a real gateway with its own bleak code, a real band on Bumble's air.

The guest switches the radio on from their page, taps a door twice, looks for the band, and it buzzes on the board.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from tests.pages.chromekit import LOOKS, PHONE, Handheld, Look, Wrist, handheld
from tests.pages.guestkit import PIN, Wearer, wearer, worn
from tests.pages.pagekit import PageShip, page_ship

from steward.adapters.bleclient import BandLink
from steward.adapters.blescan import BleRadio
from steward.adapters.system import SystemClock
from steward.domain.ids import GuestRef, OutletId
from steward.domain.presence import Presence
from steward.domain.viewing import CrewRole
from voyage.air import Air, open_air
from voyage.airbackend import AirStation
from voyage.bandproc import BandOptions, BandProcess

UID = bytes.fromhex("04A7A7A7A7A7A7")
DOOR, ZONE = "gangway", "pool-deck"


@dataclass
class Scene:
    """Alma wears a band on the air of the ship."""

    ship: PageShip
    air: Air
    alma: Wearer
    wrist: Wrist
    state: Path

    def light(self) -> int:
        file = self.state / "lights"
        return int(file.read_text() or 0) if file.exists() else 0

    async def lit(self) -> None:
        """Light and motor come and go while it buzzes."""
        async with asyncio.timeout(10):
            while self.light() != 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def radio_on(self) -> None:
        band = await self.air.band("alma")
        async with asyncio.timeout(10):
            while band.controller is None or not band.controller.le_legacy_advertiser.enabled:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        air = await stack.enter_async_context(open_air())
        station = await stack.enter_async_context(AirStation(air))
        link = BandLink(station, backend=station.client)
        ears = BleRadio("gw1", ZONE, SystemClock(), link, backend=station.scanner)
        listening = asyncio.create_task(ears.run())
        stack.callback(listening.cancel)
        ship = await stack.enter_async_context(page_ship(folder / "ship", ears))
        ref = await ship.guest()
        await ship.services.checkin.set_pin(ref, PIN)
        state = folder / "band"
        options = BandOptions(state, uid=UID, air=air.option("alma"))
        process = await stack.enter_async_context(await BandProcess.start(options, "field"))
        wrist = Wrist(ship, process)
        await wrist.issue(ref)
        (state / "lights").write_text("")
        yield Scene(ship, air, Wearer(ship, ref, UID, counter=100), wrist, state)


async def proven(hand: Handheld, alma: Wearer) -> None:
    await hand.page.goto(hand.url(alma.link()))
    await hand.go("/me/prove?next=/me/band")
    await hand.page.locator("input.pin").fill(PIN)
    await hand.page.locator("form[action='/me/prove/pin'] button").click()
    await hand.at("/me/band")


def form(act: str) -> str:
    return f"form[action='/me/band/radio/{UID.hex().upper()}/{act}'] button"


async def test_a_guest_switches_the_radio_on_and_finds_the_band(tmp_path: Path, chromium: Chromium) -> None:
    (tmp_path / "ship").mkdir()
    async with scene(tmp_path) as alma, handheld(alma.ship, chromium, PHONE) as hand:
        await proven(hand, alma.alma)
        assert await hand.page.locator(form("find")).count() == 0
        await hand.page.locator(form("on")).click()
        await hand.page.get_by_text("It goes on when you next hold").wait_for()
        await hand.check("radio-pending")
        await alma.wrist.tap(DOOR)
        await alma.radio_on()
        await alma.wrist.tap(DOOR)
        await hand.page.reload()
        await hand.page.get_by_text("The radio is on.").wait_for()
        await hand.check("radio-on")
        assert alma.light() == 0
        await hand.page.locator(form("find")).click()
        await hand.at("/me/band#radio")
        told = hand.page.locator("[data-found]")
        await told.evaluate("(each) => { each.mine = true; }")  # the page is not loaded again: only its words change
        await hand.check("radio-looking")
        await hand.page.get_by_text(f"{ZONE}. It buzzes now.").wait_for(timeout=25_000)
        assert await told.evaluate("(each) => each.mine === true && !each.hasAttribute('data-looking')")
        await alma.lit()
        await hand.check("radio-found")
        kept = await alma.ship.services.store.read(lambda tx: tx.presence(alma.alma.ref))
        assert kept is None or kept.zone == ZONE
        await hand.page.locator(form("off")).click()
        await hand.page.get_by_text("It goes off when you next hold").wait_for()
        await alma.wrist.tap(DOOR)
        await alma.wrist.tap(DOOR)
        await hand.page.reload()
        await hand.page.get_by_text("The radio is off.").wait_for()


async def test_without_scripts_the_page_comes_again_by_itself(tmp_path: Path, chromium: Chromium) -> None:
    (tmp_path / "ship").mkdir()
    async with scene(tmp_path) as alma, handheld(alma.ship, chromium, PHONE, java_script_enabled=False) as hand:
        await proven(hand, alma.alma)
        await hand.page.locator(form("on")).click()
        await alma.wrist.tap(DOOR)
        await alma.radio_on()
        await alma.wrist.tap(DOOR)
        await hand.go("/me/band")
        await hand.page.locator(form("find")).click()
        await hand.page.get_by_text(f"{ZONE}. It buzzes now.").wait_for(timeout=30_000)
        await alma.lit()


@pytest.mark.parametrize("look", LOOKS[1:], ids=[look.name for look in LOOKS[1:]])
async def test_the_words_fit_every_screen(ship: PageShip, chromium: Chromium, look: Look) -> None:
    alma = await wearer(ship)
    async with handheld(ship, chromium, look) as hand:
        await proven(hand, alma)
        await hand.page.locator(f"form[action='/me/band/radio/{alma.uid_text}/on'] button").click()
        await hand.at("/me/band#radio")
        await hand.check("radio-words")


async def test_crew_find_who_agreed(ship: PageShip, chromium: Chromium) -> None:
    ref = await ship.guest()
    await worn(ship, ref)
    helper = await ship.crew(CrewRole.GUEST_SERVICES, [OutletId("reception")])
    now_s = ship.services.clock.now().unix_s
    await ship.services.store.write(lambda tx: tx.put_presence(Presence(GuestRef(ref), "spa", now_s, now_s)))
    async with handheld(ship, chromium, PHONE) as hand:
        await hand.sign_in(helper, "reception guest_services")
        await hand.go(f"/crew/guests/{ref}")
        await hand.page.get_by_role("link", name="Find this guest").click()
        await hand.page.get_by_text("spa, ").wait_for()
        await hand.check("crew-find")
        await hand.page.get_by_role("button", name="Make the band buzz").click()
        await hand.page.get_by_text("Its radio is off").wait_for()
