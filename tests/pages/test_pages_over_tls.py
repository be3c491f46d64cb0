"""The pages' cookies and forms over real TLS."""

from __future__ import annotations

from pathlib import Path

import httpx
from tests.e2e.gatewaykit import SETTINGS as GATEWAY_SETTINGS
from tests.e2e.gatewaykit import prepare, settings_of
from tests.e2e.tlskit import issue, make_ca, tls_settings, trusting
from tests.pages.pagekit import SETTINGS, STATION, Browser

from steward.app import Gateway


async def test_over_tls_the_cookies_are_the_hosts_alone(tmp_path: Path) -> None:
    ca, folder = make_ca(tmp_path / "ca"), tmp_path / "ship"
    issue(tmp_path / "ca")
    folder.mkdir()
    prepare(
        folder,
        tls_settings(tmp_path / "ca").replace(
            GATEWAY_SETTINGS.partition("[zones]")[2], SETTINGS.partition("[zones]")[2]
        ),
    )
    gateway = await Gateway.start(settings_of(folder))
    try:
        async with httpx.AsyncClient(base_url=gateway.url, verify=trusting(ca), timeout=20) as client:
            browser = Browser(client)
            page = await browser.get("/crew/login")
            assert page.headers["set-cookie"].startswith("__Host-steward_visit=")
            begun = await browser.post("/crew/login", station=STATION)
            assert begun.headers["set-cookie"].startswith("__Host-steward_login=")
            for answer in (page, begun):
                cookie = answer.headers["set-cookie"]
                assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/"} <= set(cookie.split("; "))
                assert "Domain" not in cookie
            plain = browser.origin.replace("https:", "http:")
            form = {"csrf": browser.csrf, "station": STATION}
            assert (await browser.raw("/crew/login", form, {"Origin": plain})).status_code == 403
            planted = {"Origin": browser.origin, "Cookie": f"steward_visit={'a' * 43}"}
            client.cookies.clear()
            assert (await browser.raw("/crew/login", form, planted)).status_code == 403
    finally:
        await gateway.stop()
