"""The fleet page in a real browser: what axe-core finds, nothing beyond the edge, figures that change by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from tests.shore.kit import Sender, deliver, typical
from tests.shore.webkit import busy_fleet, running_web

from steward.shore.ingest import Ingest

PICTURES = Path(__file__).parents[1] / ".output" / "pages"
pytestmark = pytest.mark.chromium


@pytest.mark.parametrize(("width", "height", "scheme"), [(360, 740, "light"), (360, 740, "dark"), (1280, 800, "dark")])
async def test_the_fleet_is_readable_and_live(
    tmp_path: Path, chromium: Chromium, width: int, height: int, scheme: str
) -> None:
    async with running_web(tmp_path) as web:
        await busy_fleet(web)
        page = await chromium.new_page(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(web.url)
        await page.wait_for_selector("#link[data-state=live]")
        PICTURES.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=PICTURES / f"fleet-{width}-{scheme}.png", full_page=True)
        results = await Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.locator("section.ship", has_text="Cygnus").get_by_text("link down").count() == 1
        await deliver(Ingest(web.store, web.clock), Sender(typical(77), ship="delphinus"))
        web.clock.now_s += 5  # only now: what the page asks for meanwhile would be kept until this clock moves again
        await page.locator("section.ship", has_text="delphinus").get_by_text("up to date").wait_for()
        assert complaints == []
        await page.close()
