"""Taking data along, being forgotten and the paper of it, in a real Chromium: every size, scheme and language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from tests.pages.chromekit import LOOKS, PHONE, Look, handheld, portrait
from tests.pages.pagekit import PageShip
from tests.pages.test_guest_data_in_chromium import alma, prove, sign_in

from steward.domain.signedrecord import holds, read_signed

pytestmark = pytest.mark.chromium


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
async def test_every_page_reads_well(ship: PageShip, chromium: Chromium, tmp_path: Path, look: Look) -> None:
    who = await alma(ship, await portrait(chromium))
    async with handheld(ship, chromium, look) as held:
        page = held.page
        await sign_in(held, who)
        await held.go("/me/take")
        await held.check("guest-take-band")
        await page.locator("main a[href='/me/prove?next=/me/take']").first.click()
        await prove(held)
        await held.at("/me/take")
        await held.check("guest-take")
        async with page.expect_download() as download:
            await page.locator("form[action='/me/take/file'] button").first.click()
        await (await download.value).save_as(tmp_path / "data.json")
        assert json.loads((tmp_path / "data.json").read_bytes())["profile"]["full_name"] == "Alma Example"
        await page.locator("form[action='/me/take/read'] button").first.click()
        await page.locator("#use-check_in").wait_for()
        await held.check("guest-taken")
        await held.go("/me/erase")
        await held.check("guest-erase")
        own = page.locator("form[action='/me/erase/now']").first
        await own.locator("input[name=sure]").check()
        await own.locator("button").click()
        await page.wait_for_url("**/me/paper/*")
        await held.check("guest-paper")
        async with page.expect_download() as download:
            await page.locator("main a.main").click()
        await (await download.value).save_as(tmp_path / "paper.json")
        assert holds(read_signed((tmp_path / "paper.json").read_bytes()))


async def test_without_scripts_and_with_the_keyboard_alone(ship: PageShip, chromium: Chromium) -> None:
    who = await alma(ship, await portrait(chromium))
    async with handheld(ship, chromium, PHONE, java_script_enabled=False) as held:
        page = held.page
        await sign_in(held, who)
        await held.go("/me/prove?next=/me/erase")
        await prove(held)
        await held.at("/me/erase")
        await page.locator("input[name=sure]").first.focus()
        await page.keyboard.press("Space")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/me/paper/*")
        assert await page.locator("h1").inner_text() == "Certificate of erasure"
    assert not await ship.services.store.read(lambda tx: tx.has_profile(who.ref))
