"""The pages' cookies and forms over real TLS."""

from __future__ import annotations

from pathlib import Path

import httpx
from tests.e2e.gatewaykit import SETTINGS as GATEWAY_SETTINGS
from tests.e2e.gatewaykit import prepare, settings_of
from tests.e2e.tlskit import issue, make_ca, tls_settings, trusting
from tests.pages.guestkit import sun_link
from tests.pages.pagekit import SETTINGS, STATION, Browser

from steward.app import Gateway
from steward.domain.guests import Band, BandState, CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, Uid


async def guest_cookie(gateway: Gateway, browser: Browser) -> None:
    """A guest's: another site may lead to their page, and that is all it may."""
    store, uid = gateway.parts.services.store, b"\x04" + bytes(range(6))
    cabins = (CabinStay(5012, 1),)
    guest = Guest(GuestRef("a" * 16), "R-1", cabins, 0, False, False, 0, 2**32 - 1, "EUR", Limits(1, 1, 1), serial=1)
    await store.write(lambda tx: tx.put_guest(guest))
    band = Band(Uid(uid.hex().upper()), guest.ref, 1, True, 1, True, BandState.ISSUED)
    await store.write(lambda tx: tx.put_band(band))
    signed_in = await browser.get("/t?e={}&c={}".format(*sun_link(uid, 1)))
    (cookie,) = (c for c in signed_in.headers.get_list("set-cookie") if c.startswith("__Host-steward_guest="))
    assert {"HttpOnly", "SameSite=lax", "Secure", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert (await browser.get("/me/band")).status_code == 200


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
            await guest_cookie(gateway, browser)
            client.cookies.clear()
            assert (await browser.raw("/crew/login", form, planted)).status_code == 403
    finally:
        await gateway.stop()
