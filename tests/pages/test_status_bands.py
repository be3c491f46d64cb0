"""Bands in service on the status page and in the figures: program, radios, stock, and what an operator can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from tests.pages.chromekit import LOOKS, Look, handheld
from tests.pages.pagekit import Browser, PageShip, page_ship
from tests.unit.radiokit import FakeRadio

from steward.domain.bandstages import Halt, Order, Rollout, Stage, Tally
from steward.ports.radio import RadioState
from steward.services.bandreleases import ReleaseStatus
from steward.services.blanks import LOW, BlankCount
from steward.web import facts

STAGES = (Stage(1, None, 24, 10), Stage(10, None, 24, 10), Stage(100, None, 24, 10))
ORDER = Order(7, "0" * 64, 1000, "https://shore.example/7", 5, STAGES)
COUNT = BlankCount("bench-1", "a" * 64, active=True, key_version=1, waiting=LOW, taken=3)


@dataclass
class OddRadio(FakeRadio):
    state: str = "on"

    def status(self) -> RadioState:
        return RadioState(self.name, self.zone, self.state, 1234, 5)


class Releases:
    """What services/bandreleases.py tells."""

    def __init__(self, told: ReleaseStatus | None) -> None:
        self.told = told

    async def status(self) -> ReleaseStatus | None:
        return self.told


class Stock:
    def __init__(self, *counts: BlankCount) -> None:
        self.counts = counts

    async def count(self) -> list[BlankCount]:
        return list(self.counts)


@pytest.fixture
def radio() -> OddRadio:
    return OddRadio("gw1", "pool-deck")


@pytest.fixture
async def ship(tmp_path: Path, radio: OddRadio, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PageShip]:
    monkeypatch.setattr(facts, "FRESH_MS", 0)
    async with page_ship(tmp_path, radio) as running:
        yield running


def told(ship: PageShip, **changes: object) -> None:
    """A release of stage 2, begun 14 hours ago."""
    rollout = Rollout(7, ORDER.sha256, 1, ship.services.clock.now().unix_s - 14 * 3600)
    status = ReleaseStatus(ORDER, rollout, Tally(40, 1), here=True, problem="")
    object.__setattr__(ship.services, "band_releases", Releases(replace(status, **changes)))  # type: ignore[arg-type]


def halted(ship: PageShip, why: Halt) -> None:
    told(ship, rollout=Rollout(7, ORDER.sha256, 1, ship.services.clock.now().unix_s, why), tally=Tally(40, 9))


def stocked(ship: PageShip, *counts: BlankCount) -> None:
    object.__setattr__(ship.services, "blanks", Stock(*counts))


async def section(browser: Browser) -> str:
    await browser.get("/live")
    return browser.text.partition('data-live="service"')[2].partition("</section>")[0]


async def figures(browser: Browser) -> list[str]:
    return (await browser.client.get("/metrics")).text.splitlines()


async def test_a_release_says_its_stage_and_what_halts_it(ship: PageShip, browser: Browser) -> None:
    assert "Program 7" not in await section(browser)
    told(ship)
    text = await section(browser)
    assert "stage 2 of 3, for 14 h" in text
    assert "40 run it, 1 failed, halts above 5 %" in text
    assert "lamp ok" in text
    assert 'steward_band_release_stage{number="7"} 2.0' in await figures(browser)
    halted(ship, Halt.FAILURES)
    text = await section(browser)
    assert "Halted: too many failed." in text
    assert "steward bands releases --resume" in text
    assert "lamp bad" in text
    lines = await figures(browser)
    assert 'steward_band_release_halted{by="failures"} 1.0' in lines
    assert 'steward_band_release_halted{by="operator"} 0.0' in lines
    assert 'steward_band_release_bands{state="failed"} 9.0' in lines
    halted(ship, Halt.OPERATOR)
    assert "Halted by hand." in await section(browser)


async def test_a_release_that_waits_or_cannot_be_given_says_why(ship: PageShip, browser: Browser) -> None:
    told(ship, tally=Tally(40, 1, silent=2), problem="2 bands that took it are silent since")
    text = await section(browser)
    assert "no other wristband gets it, until those that are silent are heard" in text
    assert "2 are silent since" in text
    assert "lamp bad" in text
    assert 'steward_band_release_problem{number="7"} 1.0' in await figures(browser)
    told(ship, here=False, problem="its signature is not the release key's")
    assert "its signature is not the release key" in await section(browser)
    told(ship, here=False, rollout=None)
    text = await section(browser)
    assert "its file has not come yet" in text
    assert "lamp bad" not in text


async def test_a_radio_without_adapter_is_named_with_what_to_try(
    ship: PageShip, browser: Browser, radio: OddRadio
) -> None:
    text = await section(browser)
    assert "1 of 1 listening" in text
    assert "5 packets dropped" in text
    assert "bluetoothctl" not in text
    assert 'steward_radio_up{radio="gw1",zone="pool-deck"} 1.0' in await figures(browser)
    radio.state = "fault"
    text = await section(browser)
    assert "0 of 1 listening" in text
    assert "Radio gw1, pool-deck" in text
    assert "no adapter, or it is off" in text
    assert "bluetoothctl power on" in text
    assert 'steward_radio_up{radio="gw1",zone="pool-deck"} 0.0' in await figures(browser)
    radio.state = "away"
    assert "nobody is listened for" in await section(browser)


async def test_a_stock_that_runs_low_says_what_to_do(ship: PageShip, browser: Browser) -> None:
    assert "In stock" not in await section(browser), "this ship never had one"
    stocked(ship, COUNT)
    text = await section(browser)
    assert f"{LOW} are ready" in text
    assert "ask the workshop" not in text
    stocked(ship, replace(COUNT, waiting=LOW - 1), replace(COUNT, station=""), replace(COUNT, key_version=200))
    text = await section(browser)
    assert f"{LOW - 1} are ready" in text, "neither a stranger's nor those of another voyage"
    assert f"fewer than {LOW}: ask the workshop for more" in text
    lines = await figures(browser)
    assert f'steward_stock_bands{{state="ready"}} {LOW - 1:.1f}' in lines
    assert f'steward_stock_bands{{state="other"}} {2 * LOW:.1f}' in lines


@pytest.mark.chromium
@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_everything_wrong_at_once_in_a_browser(
    ship: PageShip, chromium: Chromium, radio: OddRadio, look: Look
) -> None:
    halted(ship, Halt.FAILURES)
    stocked(ship, replace(COUNT, waiting=1))
    radio.state = "fault"
    async with handheld(ship, chromium, look) as hand:
        await hand.go("/")
        await hand.page.evaluate("document.querySelector('[data-live=service]').scrollIntoView()")
        await hand.check("status-bands")
