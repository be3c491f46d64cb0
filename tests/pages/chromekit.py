"""Handhelds in a real browser: what is seen, what can be touched, what axe-core finds, a picture of each step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page
from tests.pages.pagekit import PIN, STATION, PageShip

from steward.domain.ids import GuestRef
from steward.services.encoder import JobState
from voyage.bandproc import BandOptions, BandProcess

PICTURES = Path(__file__).parents[1] / ".output" / "pages"
TARGET_MIN_PX = 44
WAIT_S = 20.0
# Everything a finger is meant to hit; a link within a sentence is not.
_TARGETS = """() => [...document.querySelectorAll("a, button, summary, input:not([type=hidden]), select, textarea")]
  .filter((each) => each.checkVisibility() && !each.closest("p") && !each.classList.contains("skip"))
  .map((each) => each.closest("label") || each)
  .map((each) => [each.outerHTML.slice(0, 90), each.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < MIN || box.height < MIN))
  .map(([what, box]) => `${what} ${box.width}x${box.height}`)""".replace("MIN", str(TARGET_MIN_PX))
_SETTLED = """() => Promise.allSettled(
  document.getAnimations().filter((a) => a.effect.getTiming().iterations < 9).map((a) => a.finished))"""
_PORTRAIT = """<body style="margin:0"><svg width="320" height="400" viewBox="0 0 320 400">
<rect width="320" height="400" fill="#9cc3cf"/><path d="M20 400c10-90 70-120 140-120s130 30 140 120z" fill="#334155"/>
<ellipse cx="160" cy="170" rx="72" ry="92" fill="#d9a981"/><path d="M84 150c0-80 40-100 76-100s80 20 76 100c-20-40-40-50
-60-55-30 20-70 20-92 55z" fill="#4a3222"/><circle cx="133" cy="170" r="7"/><circle cx="187" cy="170" r="7"/>
<path d="M130 215q30 26 60 0" stroke="#8a3a33" stroke-width="6" fill="none"/></svg>"""


@dataclass(frozen=True, slots=True)
class Look:
    """A screen, a colour scheme and a language."""

    width: int
    height: int
    scheme: str
    language: str

    @property
    def name(self) -> str:
        return f"{self.width}-{self.scheme}-{self.language}"


PHONE = Look(360, 740, "light", "en")
# Every pair of size, scheme and language comes up.
LOOKS = (PHONE, Look(360, 740, "dark", "nb"), Look(1280, 800, "light", "nb"), Look(1280, 800, "dark", "en"))


@dataclass
class Handheld:
    """One browser window. `complaints`: whatever its console said, refused scripts and styles included."""

    ship: PageShip
    page: Page
    look: Look
    complaints: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return str(self.ship.aboard.client.base_url).rstrip("/") + path

    async def go(self, path: str) -> None:
        await self.page.goto(self.url(path))

    async def at(self, path: str) -> None:
        await self.page.wait_for_url(self.url(path))

    async def check(self, step: str) -> None:
        """A picture, no finding of axe-core, nothing too small to touch, nothing beyond the screen's edge."""
        await self.page.evaluate("document.fonts.ready")
        await self.page.evaluate(_SETTLED)
        PICTURES.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=PICTURES / f"{self.look.name}-{step}.png")
        results = await Axe().run(self.page)
        assert results.violations_count == 0, f"{step}: {results.generate_report()}"
        assert await self.page.evaluate(_TARGETS) == [], step
        assert await self.page.evaluate("document.documentElement.scrollWidth") <= self.look.width, step

    async def sign_in(self, crew: GuestRef, shift: str = "lagoon food_and_drink") -> None:
        """As the tests that are not about signing in do: the band is only said to have been read."""
        await self.go("/crew/login")
        await self.page.locator(f"button[value={STATION}]").click()
        await self.at("/crew/login/tap")
        assert self.ship.tap_crew(crew)
        await self.at("/crew/login/pin")
        await self.enter_pin()
        await self.at("/crew/shift")
        await self.choose(shift)

    async def enter_pin(self, pin: str = PIN) -> None:
        await self.page.locator("input.pin").fill(pin)
        await self.page.locator("main form button").click()

    async def choose(self, shift: str) -> None:
        await self.page.locator(f"input[value='{shift}']").check()
        await self.page.locator("main form.stack button").click()
        await self.at("/crew/live")
        await self.page.wait_for_selector("#state[data-state=live]")

    async def card_of(self, name: str) -> None:
        await self.page.locator("#card h1", has_text=name).wait_for()


@asynccontextmanager
async def handheld(ship: PageShip, chromium: Chromium, look: Look = PHONE, **more: Any) -> AsyncIterator[Handheld]:
    """Fails in the end if the console complained: a refused script is a page that looks right and does nothing."""
    context = await chromium.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,  # type: ignore[arg-type]
        locale=look.language,
        **more,
    )
    page = await context.new_page()
    held = Handheld(ship, page, look)
    page.on("console", lambda message: held.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: held.complaints.append(str(error)))
    yield held
    assert held.complaints == []
    await context.close()


async def portrait(chromium: Chromium) -> bytes:
    """A drawn face as a PNG: no photo of anybody."""
    page = await chromium.new_page(viewport={"width": 320, "height": 400})
    await page.set_content(_PORTRAIT)
    picture = await page.screenshot()
    await page.close()
    return picture


class Wrist:
    """A real band on MicroPython, worn by somebody of the ship."""

    def __init__(self, ship: PageShip, band: BandProcess) -> None:
        self._ship = ship
        self._band = band
        self._left = asyncio.Event()
        band.on_left = lambda _reason: self._left.set()

    async def tap(self, reader: str) -> None:
        """Hold it to a reader until the reader lets go of it."""
        port = next(each.port for each in self._ship.services.readers() if each.name == reader)
        assert port is not None
        self._left.clear()
        await self._band.enter("127.0.0.1", port)
        async with asyncio.timeout(WAIT_S):
            await self._left.wait()

    async def issue(self, ref: GuestRef) -> None:
        job = await self._ship.services.encoder.request(ref, "desk", None)
        await self.tap("desk")
        ended = await self._ship.services.encoder.wait(job, WAIT_S)
        assert ended.state is JobState.DONE, ended


@asynccontextmanager
async def wrist(ship: PageShip, folder: Path, ref: GuestRef) -> AsyncIterator[Wrist]:
    """A band, issued to this guest or crew member at the desk's encoder."""
    async with await BandProcess.start(BandOptions(state=folder / f"band-{ref}"), "field") as band:
        worn = Wrist(ship, band)
        await worn.issue(ref)
        yield worn
