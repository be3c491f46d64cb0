"""The page of answers in a real browser: what axe-core finds, and nothing beyond the edge."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from tests.shore.kit import Sender, deliver
from tests.shore.test_answers import told
from tests.shore.webkit import running_web

from steward.shore.ingest import Ingest

PICTURES = Path(__file__).parents[1] / ".output" / "pages"
pytestmark = pytest.mark.chromium


@pytest.mark.parametrize(("width", "height", "scheme"), [(360, 740, "light"), (1280, 800, "dark")])
async def test_answers_are_readable(tmp_path: Path, chromium: Chromium, width: int, height: int, scheme: str) -> None:
    async with running_web(tmp_path) as web:
        await deliver(Ingest(web.store, web.clock), Sender([told(1), told(2, voyage="south")]))
        page = await chromium.new_page(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{web.url.rstrip('/')}/answers")
        PICTURES.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=PICTURES / f"answers-{width}-{scheme}.png", full_page=True)
        results = await Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.get_by_role("cell", name="9,123.45").count() == 2
        assert complaints == []
        await page.close()
