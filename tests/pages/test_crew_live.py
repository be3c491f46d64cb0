"""The stream that tells a handheld of taps."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.pages.crewkit import at_work, looks
from tests.pages.pagekit import DESK, Browser, PageShip

from steward.web.pages import sse

# the stream


async def frames(browser: Browser, count: int, **headers: str) -> list[tuple[str, object, str]]:
    """(event, data, id) of the first frames of a stream."""
    found: list[tuple[str, object, str]] = []
    async with asyncio.timeout(20), browser.client.stream("GET", "/crew/live/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream;")
        assert answer.headers["cache-control"] == "no-store"
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
            fields = {}
            if len(found) == count:
                break
    return found


async def test_a_tap_reaches_the_outlets_handheld(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    reading = asyncio.ensure_future(frames(browser, 2))
    await ship.until(lambda: ship.services.feed.subscriber_count == 1)
    ship.tap_guest(guest, DESK)
    ship.tap_guest(guest)
    first, second = await reading
    assert first[:2] == ("pulse", {})
    assert second[:2] == ("tap", {"ref": guest})
    await ship.until(lambda: ship.services.feed.subscriber_count == 0)  # the line is closed, the place is free
    assert await looks(ship) == []  # hearing of a tap shows nothing of the guest
    missed = await frames(browser, 1, **{"Last-Event-ID": second[2]})
    assert missed == [("pulse", {}, "")]
    ship.tap_guest(guest)
    again = await frames(browser, 2, **{"Last-Event-ID": second[2].replace(guest, "0" * 16)})
    assert again[1][:2] == ("tap", {"ref": guest})


@pytest.mark.parametrize("way", ["logout", "shift"])
async def test_a_stream_ends_with_its_session_or_its_shift(
    ship: PageShip, browser: Browser, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sse.TapStream.__init__.__kwdefaults__, "pulse_s", 600.0)  # at once, not at the next pulse
    await at_work(ship, browser)
    reading = asyncio.ensure_future(frames(browser, 2))
    await ship.until(lambda: ship.services.feed.subscriber_count == 1)
    await browser.get("/crew/shift")
    await browser.post(f"/crew/{way}", **({"shift": "shop guest_services"} if way == "shift" else {}))
    why = sse.Bye.SIGNED_OUT if way == "logout" else sse.Bye.SHIFT
    assert (await reading)[1] == ("bye", {"why": why}, "")


async def test_the_gateway_stops_although_handhelds_listen(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    reading = asyncio.ensure_future(frames(browser, 2))
    await ship.until(lambda: ship.services.feed.subscriber_count == 1)
    ship.services.closing.set()
    assert (await reading)[1] == ("bye", {"why": sse.Bye.CLOSING}, "")


async def test_a_full_house_is_told_so(ship: PageShip, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "STREAMS_MAX", 0)
    await at_work(ship, browser)
    answer = await browser.client.get("/crew/live/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
