"""Find my band, from the guest's own page: how far the search is, told at once and without scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.pages.guestkit import Wearer, phone, wearer, worn
from tests.pages.pagekit import Browser, PageShip, page_ship
from tests.pages.test_guest_band import family
from tests.unit.radiokit import ADDRESS, PERIOD, FakeRadio

from bandwire import radio as bandradio
from steward.domain.presence import BandRadio
from steward.errors import StoreUnavailable
from steward.services.findme import FINDS_BURST
from steward.services.presence import Heard

ZONE = "pool-deck"
LISTENING, HEARD, BUZZES = "Listening for it.", f"Heard: {ZONE}. Asking it to buzz.", f"{ZONE}. It buzzes now."


@dataclass
class SlowRadio(FakeRadio):
    """A band answers when the test says so."""

    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        await self.told.wait()
        return await super().ask(address, passkey, kind, data)


@dataclass
class Scene:
    ship: PageShip
    radio: SlowRadio
    alma: Wearer
    heard: Heard | None = None
    broken: bool = False

    def where(self, _uid: object) -> Heard | None:
        if self.broken:
            raise StoreUnavailable("the disk has gone")
        return self.heard

    def hear(self) -> None:
        now_ms = self.ship.services.clock.monotonic_ms()
        self.heard = Heard(self.radio, ADDRESS, PERIOD, now_ms + 60_000, ZONE)

    async def until(self, browser: Browser, words: str) -> None:
        async with asyncio.timeout(20):
            while words not in (await browser.get("/me/band")).text:  # noqa: ASYNC110 the server's own state
                await asyncio.sleep(0.05)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Alma's band has its radio on; where it is heard is the test's to say."""
    radio = SlowRadio("gw1", ZONE)
    async with page_ship(tmp_path, radio) as ship:
        made = Scene(ship, radio, await wearer(ship))
        await switched_on(made, made.alma)
        presence = ship.services.presence
        monkeypatch.setattr(presence, "where", made.where)
        monkeypatch.setattr(presence, "passkey", lambda *_: 123_456)
        yield made
        radio.told.set()


async def switched_on(scene: Scene, who: Wearer) -> None:
    now_s = scene.ship.services.clock.now().unix_s
    radio = BandRadio(who.uid_text, has=True, is_on=True, period=PERIOD, told_s=now_s)
    await scene.ship.services.store.write(lambda tx: tx.put_radio(radio))


async def press(browser: Browser, who: Wearer) -> httpx.Response:
    await browser.get("/me/band")
    return await browser.post(f"/me/band/radio/{who.uid_text}/find")


def is_looking(browser: Browser) -> bool:
    return "data-looking" in browser.text and 'http-equiv="refresh"' in browser.text


async def test_the_page_answers_at_once_and_says_how_far_it_is(scene: Scene) -> None:
    async with phone(scene.ship, scene.alma) as browser:
        await scene.alma.prove(browser)
        assert (await press(browser, scene.alma)).headers["location"] == "/me/band#radio"
        assert LISTENING in (await browser.get("/me/band")).text, "nobody has heard it yet"
        assert is_looking(browser)
        scene.hear()
        assert HEARD in (await browser.get("/me/band")).text
        assert is_looking(browser)
        scene.radio.told.set()
        await scene.until(browser, BUZZES)
        assert not is_looking(browser), "nothing is fetched again once it is over"
        assert [asked[2] for asked in scene.radio.asked] == [bandradio.BUZZ]
        scene.radio.told.clear()
        await press(browser, scene.alma)
        text = (await browser.get("/me/band")).text
        assert HEARD in text
        assert BUZZES not in text, "what came of the last search is not this one's"


async def test_pressed_again_meanwhile_it_is_one_search(scene: Scene) -> None:
    async with phone(scene.ship, scene.alma) as browser:
        await scene.alma.prove(browser)
        scene.hear()
        for _ in range(FINDS_BURST + 3):
            assert (await press(browser, scene.alma)).status_code == 303
        scene.radio.told.set()
        await scene.until(browser, BUZZES)
        assert len(scene.radio.asked) == 1
        await press(browser, scene.alma)
        await scene.until(browser, BUZZES)
        assert len(scene.radio.asked) == 2, "it counted as one"


async def test_too_often_says_when_to_try_again(scene: Scene) -> None:
    async with phone(scene.ship, scene.alma) as browser:
        await scene.alma.prove(browser)
        scene.hear()
        scene.radio.told.set()
        for n in range(FINDS_BURST):
            await press(browser, scene.alma)
            await scene.until(browser, BUZZES)
            assert len(scene.radio.asked) == n + 1
        answer = await press(browser, scene.alma)
        assert answer.status_code == 303
        assert "try again in 60 seconds" in (await browser.get("/me/band")).text
        assert not is_looking(browser)
        assert len(scene.radio.asked) == FINDS_BURST


async def test_a_search_that_breaks_off_says_so(scene: Scene) -> None:
    async with phone(scene.ship, scene.alma) as browser:
        await scene.alma.prove(browser)
        await press(browser, scene.alma)
        scene.broken = True
        await asyncio.sleep(0)
        await scene.until(browser, "The search broke off.")
        scene.broken = False
        scene.hear()
        await press(browser, scene.alma)
        assert HEARD in (await browser.get("/me/band")).text


async def test_who_only_holds_the_link_sees_nothing_of_it(scene: Scene) -> None:
    async with phone(scene.ship, scene.alma) as own, phone(scene.ship, scene.alma) as finder:
        await scene.alma.prove(own)
        scene.hear()
        await press(own, scene.alma)
        assert HEARD in (await own.get("/me/band")).text
        text = (await finder.get("/me/band")).text
        assert ZONE not in text
        assert not is_looking(finder)
        assert (await press(finder, scene.alma)).headers["location"] == "/me/prove?next=/me/band"
        scene.radio.told.set()


async def test_one_guests_search_is_not_on_anothers_page(scene: Scene) -> None:
    other = await wearer(scene.ship, "Bo Sample", cabin=5014)
    async with phone(scene.ship, scene.alma) as own, phone(scene.ship, other) as browser:
        await scene.alma.prove(own)
        await other.prove(browser)
        scene.hear()
        await press(own, scene.alma)
        assert (await press(browser, scene.alma)).status_code == 404, "another guest's band does not exist"
        await browser.get("/me/band")
        assert not is_looking(browser)
        scene.radio.told.set()


async def test_a_childs_band_is_looked_for_on_the_adults_page(tmp_path: Path, scene: Scene) -> None:
    alma, child = await family(scene.ship)
    junior = await worn(scene.ship, child)
    await scene.ship.services.no_tracking.say(child, False, "guest", alma.ref)
    await switched_on(scene, junior)
    async with phone(scene.ship, alma) as browser:
        await alma.prove(browser)
        assert (await press(browser, junior)).status_code == 303
        assert LISTENING in (await browser.get("/me/band")).text
        scene.hear()
        scene.radio.told.set()
        await scene.until(browser, BUZZES)
