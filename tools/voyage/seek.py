"""A guest looks for their band: radio on from their own page, two taps, and it buzzes where it is."""

from __future__ import annotations

import asyncio
import re
import time

from voyage.aboard import Aboard
from voyage.acts import Acts
from voyage.cast import DESK_STATION, Cast
from voyage.observed import FoundSeen
from voyage.phone import Phone, read_link
from voyage.process import ShipError
from voyage.scene import Scene
from voyage.trust import GUEST
from voyage.wrists import VirtualBand

ZONE = "reception"  # where the gateway's radio is
TAP_LIMIT_S = 15.0
SWITCH_LIMIT_S = 10.0
_POLL_S = 0.1
_PAGE = "/me/band"
_RADIO = re.compile(r"/me/band/radio/04[0-9A-F]{12}/")
_BUZZES = re.compile(rf"Found at \d\d:\d\d: {ZONE}\. It buzzes now\.")


async def try_find(aboard: Aboard, cast: Cast, acts: Acts, scene: Scene) -> FoundSeen:
    """What came of it. The guest's first band is the one that has an air to say its name on."""
    scene.begin("a guest looks for their band", 4)
    band = next(one for one in aboard.bands if one.band.key == acts.truth.worn[GUEST])
    phone = Phone(scene.address.rstrip("/"))
    try:
        if not await phone.open_link(await read_link(band)):
            raise ShipError(f"the band of {GUEST} opened no page")
        pin = cast.person(GUEST).purse.pin or ""
        await phone.send("/me/prove", "/me/prove/pin", pin=pin, next=_PAGE)
        radio = await _radio(phone)
        silent = "find" not in await _forms(phone, radio)
        await phone.send("/me/consents", "/me/consents", purpose="presence", given="yes")
        await phone.send(_PAGE, f"{radio}on")
        scene.advance()
        for _ in range(2):  # the first tells the band, by the second it tells that it is on
            await _tap(band, aboard.ports[DESK_STATION])
            scene.advance()
        await _until_on(phone, radio)
        before, started = band.lights(), time.monotonic()
        await phone.send(_PAGE, f"{radio}find")
        took_s = time.monotonic() - started
        found = _BUZZES.search(await phone.page(_PAGE)) is not None
        buzzed = band.lights() != before
        scene.advance()
        if found and buzzed:
            scene.tell(f"phone · a guest looked for their band; it buzzed in {took_s:.1f} s", "good")
        return FoundSeen(silent, found, buzzed, took_s)
    finally:
        await phone.close()


async def _radio(phone: Phone) -> str:
    """The beginning of the addresses of this band's radio, on the guest's page."""
    found = _RADIO.search(await phone.page(_PAGE))
    if found is None:
        raise ShipError("the guest's page says nothing of a radio")
    return found[0]


async def _forms(phone: Phone, radio: str) -> str:
    return " ".join(re.findall(rf"{radio}([a-z]+)", await phone.page(_PAGE)))


async def _until_on(phone: Phone, radio: str) -> None:
    end = time.monotonic() + SWITCH_LIMIT_S
    while "find" not in await _forms(phone, radio):
        if time.monotonic() > end:
            raise ShipError("the band did not say that its radio is on")
        await asyncio.sleep(_POLL_S)


async def _tap(band: VirtualBand, port: int) -> None:
    """Held there until the reader lets go of it."""
    gone = asyncio.Event()
    band.process.on_left = lambda _reason: gone.set()
    await band.enter(port)
    async with asyncio.timeout(TAP_LIMIT_S):
        await gone.wait()
