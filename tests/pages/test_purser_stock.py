"""The stock of keyed bands at the purser's desk: what is left, a station's report brought in, what was left out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser as Chromium
from tests.pages import pagekit
from tests.pages.chromekit import LOOKS, Look, handheld
from tests.pages.pagekit import Browser, PageShip, page_ship
from tests.pages.purserkit import BILLING, Desk, at_desk
from tests.stationkit import MADE_S, ToyStation, reported, uid
from tests.unit.moneykit import SITE

from steward.domain.blanks import BlankBand
from steward.domain.stationreport import Outcome
from steward.domain.viewing import CrewRole
from steward.web.gate import BODY_BYTES_MAX, UPLOAD

STOCK = "/purser/stock"
STATION, STRANGER = ToyStation(1, site=SITE), ToyStation(2, site=SITE)
TRUST = f'[[station]]\nname = "bench-1"\nfingerprint = "{STATION.fingerprint[:32].upper()}"\n'
FAULTY = reported(9, outcome=Outcome.FAULTY, reason="card_locked")


@pytest.fixture
async def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PageShip]:
    """One that trusts one station."""
    monkeypatch.setattr(pagekit, "SETTINGS", pagekit.SETTINGS + TRUST)
    async with page_ship(tmp_path) as running:
        yield running


async def send(browser: Browser, content: bytes, **changes: str) -> httpx.Response:
    """The page's form with this file, as a browser sends it."""
    await browser.get(STOCK)
    return await upload(browser, content, browser.csrf, **changes)


async def upload(browser: Browser, content: bytes, csrf: str, **headers: str) -> httpx.Response:
    headers = {"Accept": "text/html", "Origin": browser.origin, "Sec-Fetch-Site": "same-origin"} | headers
    files = {"report": ("report.json", content, "application/json")}
    answer = await browser.client.post(STOCK, data={"csrf": csrf}, files=files, headers=headers)
    browser.text = answer.text
    return answer


async def waiting(ship: PageShip) -> int:
    return sum(each.waiting for each in await ship.services.blanks.count())


async def test_a_report_comes_in_and_the_stock_is_shown(ship: PageShip, browser: Browser, desk: Desk) -> None:
    await ship.sign_in(browser, await desk.purser("P-041"), shift=BILLING)
    assert 'href="/purser/stock"' in (await browser.get("/purser")).text
    assert "No band waits in the stock." in (await browser.get(STOCK)).text
    answer = await send(browser, STATION.file(reported(1), reported(2, active=False), FAULTY))
    assert (answer.status_code, answer.headers["location"]) == (303, STOCK + "#reports")
    text = (await browser.get(STOCK)).text
    assert "2 bands are ready" in text
    assert "Fewer than 20 bands are ready" in text
    assert text.count("<h3>bench-1") == 2
    assert "2 into the stock, 0 known before, 1 left out" in text
    assert f"{uid(9)}</code> The station did not finish it." in text
    await send(browser, STATION.file(*(reported(n) for n in range(1, 31))))
    text = (await browser.get(STOCK)).text
    assert "28 into the stock, 2 known before, 0 left out" in text
    assert "30 bands are ready" in text
    assert "Fewer than" not in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "This is no report of a station"),
        (b"{}", "This is no report of a station"),
        (STATION.file(reported(1)).replace(b"active", b"passive"), "This is no report of a station"),
        (STRANGER.file(reported(1)), "The settings do not name this station with this key"),
        (ToyStation(1, site=SITE + 1).file(reported(1)), "These bands are for another ship"),
        (STATION.file(reported(1), link="elsewhere.example/t?e={picc}&c={mac}"), "send phones to another address"),
    ],
    ids=["empty", "torn", "bent", "stranger", "site", "link"],
)
async def test_what_is_no_report_of_ours_is_told_and_changes_nothing(
    ship: PageShip, browser: Browser, desk: Desk, content: bytes, words: str
) -> None:
    await ship.sign_in(browser, await desk.purser("P-041"), shift=BILLING)
    answer = await send(browser, content)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert words in answer.text
    assert await waiting(ship) == 0
    again = (await browser.get(STOCK)).text
    assert 'role="alert"' not in again
    assert words in again, "who looks next sees that it was tried"
    assert (STRANGER.fingerprint[:4] in answer.text) is (content == STRANGER.file(reported(1)))


async def test_what_comes_by_the_api_is_on_the_page_too(ship: PageShip, browser: Browser, desk: Desk) -> None:
    await ship.sign_in(browser, await desk.purser("P-041"), shift=BILLING)
    body = {"report": base64.b64encode(STATION.file(reported(1))).decode()}
    assert (await ship.aboard.call("desk", "POST", "/v1/blanks", body)).status_code == 200
    assert "1 into the stock, 0 known before, 0 left out" in (await browser.get(STOCK)).text


async def test_bands_that_wait_but_are_not_ready_say_why(ship: PageShip, browser: Browser, desk: Desk) -> None:
    await ship.sign_in(browser, await desk.purser("P-041"), shift=BILLING)
    strange = BlankBand(uid(41), STRANGER.fingerprint, active=True, key_version=1, keyed_s=MADE_S)
    old = BlankBand(uid(42), STATION.fingerprint, active=True, key_version=200, keyed_s=MADE_S)
    gone = BlankBand(uid(43), STATION.fingerprint, active=True, key_version=1, keyed_s=MADE_S, taken=True)
    for blank in (strange, old, gone):
        await ship.services.store.write(lambda tx, blank=blank: tx.put_blank(blank))  # type: ignore[misc]
    text = (await browser.get(STOCK)).text
    assert "0 bands are ready" in text
    assert "Unknown station, with a battery" in text
    assert "The settings name this station no more." in text
    assert "Keyed for another voyage." in text
    assert "None yet. The stock itself is kept." in text


async def test_the_page_needs_the_shift_that_is_about_money(ship: PageShip, browser: Browser, desk: Desk) -> None:
    await ship.sign_in(browser, await desk.purser("P-041"), shift="reception guest_services")
    for answer in (await browser.get(STOCK), await upload(browser, STATION.file(reported(1)), "0" * 64)):
        assert answer.status_code in (403, 409)
    await browser.get("/crew/shift")
    answer = await upload(browser, STATION.file(reported(1)), browser.csrf)
    assert (answer.status_code, "not_permitted" in answer.text) == (409, True)
    assert await waiting(ship) == 0


async def test_a_form_of_somebody_else_brings_nothing_in(ship: PageShip, browser: Browser, desk: Desk) -> None:
    content = STATION.file(reported(1))
    await ship.sign_in(browser, await desk.purser("P-041"), shift=BILLING)
    await browser.get(STOCK)
    csrf = browser.csrf
    assert (await upload(browser, content, "0" * 64)).status_code == 403
    assert (await upload(browser, content, csrf, Origin="https://elsewhere.example")).status_code == 403
    head = {"Accept": "text/html", "Origin": browser.origin}
    for kind, body in (
        ("multipart/form-data", b"--x\r\n\r\n"),  # no boundary
        ("multipart/form-data; boundary=x", b"--y\r\n" * 5),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"),
        ("text/plain", content),
    ):
        answer = await browser.client.post(STOCK, content=body, headers=head | {"Content-Type": kind})
        assert answer.status_code in (400, 403), (kind, answer.status_code)
    twice = {"csrf": [csrf, csrf]}
    files = {"report": ("r", content)}
    assert (await browser.client.post(STOCK, data=twice, files=files, headers=head)).status_code == 400
    two = [("report", ("a", content)), ("report", ("b", content))]
    assert (await browser.client.post(STOCK, data={"csrf": csrf}, files=two, headers=head)).status_code == 400
    assert await waiting(ship) == 0
    assert (await upload(browser, content, csrf)).status_code == 303
    assert await waiting(ship) == 1


async def test_a_large_file_is_read_for_the_desk_alone(ship: PageShip, browser: Browser, desk: Desk) -> None:
    """Whoever may not bring bands in is answered before the file has come: it is never held in memory."""
    large = STATION.file(*(reported(n) for n in range(1, 400)))
    assert len(large) > 4 * BODY_BYTES_MAX

    assert await declared(browser) == 303  # to the login
    await ship.sign_in(browser, await ship.crew(CrewRole.SERVICE))
    assert await declared(browser) == 403
    await browser.get("/crew/shift")
    await browser.post("/crew/logout")
    await ship.sign_in(browser, await desk.purser("P-041"), shift=BILLING)
    assert (await send(browser, bytes(UPLOAD.bytes_max + 1))).status_code == 413
    assert "This file is too large" in browser.text
    assert (await send(browser, large)).status_code == 303
    assert await waiting(ship) == 399
    head = {"Accept": "text/html", "Origin": browser.origin}
    for path in (STOCK + "/", "/purser/search"):
        assert (await browser.client.post(path, content=large, headers=head)).status_code == 413, path


async def declared(browser: Browser) -> int:
    """The answer to a form of a terabyte of which nothing comes."""
    url = browser.client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    lines = [f"POST {STOCK} HTTP/1.1", f"Host: {url.host}", f"Origin: {browser.origin}", f"Content-Length: {1 << 40}"]
    lines += ["Accept: text/html", "Content-Type: multipart/form-data; boundary=x", f"Cookie: {cookies}", "", ""]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


@pytest.mark.chromium
@pytest.mark.parametrize("look", LOOKS, ids=[look.name for look in LOOKS])
async def test_in_a_browser(ship: PageShip, desk: Desk, chromium: Chromium, look: Look, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(STATION.file(reported(1), reported(2, active=False), FAULTY))
    bad.write_bytes(STRANGER.file(reported(3)))
    async with handheld(ship, chromium, look) as hand:
        await at_desk(hand, await desk.purser("P-041"))
        await hand.check("40-purser-home")
        await hand.page.locator("a[href='/purser/stock']").click()
        await hand.at(STOCK)
        await hand.check("41-stock-empty")
        await hand.page.locator("#report").set_input_files(good)
        await hand.page.locator("main form.stack button").click()
        await hand.at(STOCK + "#reports")
        await hand.page.locator("#reports details summary").click()
        await hand.check("42-stock-in")
        await hand.page.locator("#report").set_input_files(bad)
        await hand.page.locator("main form.stack button").click()
        await hand.page.locator("[role=alert]").wait_for()
        await hand.check("43-stock-refused")
        hand.complaints.clear()  # Chromium says that the answer was a 409
    assert await waiting(ship) == 2
