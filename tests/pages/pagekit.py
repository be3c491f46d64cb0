"""A gateway with outlets, crew stations and guests, and a browser without scripts for its pages."""

from __future__ import annotations

import asyncio
import re
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.consentkit import agree
from tests.e2e.gatewaykit import NO_CA, Aboard, aboard, prepare, prepare_store
from tests.e2e.gatewaykit import SETTINGS as GATEWAY_SETTINGS

from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.profiles import Allergen, Diet, Photo, Profile
from steward.domain.viewing import CrewRole
from steward.ports import Tx
from steward.ports.radio import Radio
from steward.services.feed import Announcement
from steward.services.logins import CrewTap
from steward.web.bundle import Services

PIN = "471147"
BAR, SHOP, DESK = OutletId("lagoon"), OutletId("shop"), OutletId("reception")
SETTINGS = (
    GATEWAY_SETTINGS.replace('outlet = "bar"', 'outlet = "lagoon"').replace('outlet = "spa"', 'outlet = "shop"')
    + """\
[[outlet]]
name = "lagoon"
kind = "food_and_drink"
title = "Lagoon Bar"
[[outlet]]
name = "shop"
kind = "retail"
title = "Deck Shop"
[[outlet]]
name = "reception"
kind = "service"
title = "Reception"
[[reader]]
name = "lagoon-crew"
kind = "link"
purpose = "crew"
outlet = "lagoon"
[[reader]]
name = "desk-crew"
kind = "link"
purpose = "crew"
outlet = "reception"
"""
)
STATION = "lagoon-crew"
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


def png(width: int = 8, height: int = 10, grey: int = 128) -> bytes:
    """A small grey picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\x00" + bytes([grey]) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def catalogue() -> Catalogue:
    def item(id_: str, en: str, nb: str, category: str, price: int, *allergens: Allergen) -> Item:
        return Item(
            ItemId(id_), BAR, {"en": en, "nb": nb}, category, (), allergens, tuple(Diet), price, "EUR", edible=True
        )

    return Catalogue(
        1,
        (
            item("mocktail", "Sea buckthorn cooler", "Tindvedkjøler", "drinks", 650),
            item("almond-cake", "Almond cake", "Mandelkake", "cakes", 480, Allergen.NUTS, Allergen.EGGS),
            item("fruit", "Plate of fruit", "Fruktfat", "snacks", 720),
        ),
    )


class Browser:
    """Follows nothing by itself, keeps cookies, and fills a page's form as a browser would."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.text = ""

    @property
    def origin(self) -> str:
        return str(self.client.base_url).rstrip("/")

    @property
    def csrf(self) -> str:
        found = _CSRF.search(self.text)
        assert found is not None, self.text[:500]
        return found[1]

    async def get(self, path: str, **headers: str) -> httpx.Response:
        answer = await self.client.get(path, headers={"Accept": "text/html", **headers})
        self.text = answer.text
        return answer

    async def post(self, path: str, _headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """A form of the page shown last."""
        data = {"csrf": self.csrf, **fields}
        return await self.raw(path, data, {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", **(_headers or {})})

    async def raw(self, path: str, data: object, headers: dict[str, str]) -> httpx.Response:
        accept = {"Accept": "text/html"}
        return await self.client.post(path, data=data, headers=accept | headers)  # type: ignore[arg-type]

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code == 303, answer.text
        return await self.get(answer.headers["location"])


@dataclass
class PageShip:
    aboard: Aboard

    @property
    def services(self) -> Services:
        return self.aboard.gateway.parts.services

    @asynccontextmanager
    async def browser(self, **headers: str) -> AsyncIterator[Browser]:
        base = str(self.aboard.client.base_url)
        async with httpx.AsyncClient(base_url=base, timeout=40, headers=headers, verify=NO_CA) as client:
            yield Browser(client)

    async def crew(self, role: CrewRole, outlets: Sequence[OutletId] = (), pin: str = PIN) -> GuestRef:
        ref = await self.aboard.guest(crew=True, cabins=[7001], booking=f"crew-{role}")
        await self.services.crew.add(ref, role, outlets, pin, "admin", may_appoint=True)
        return ref

    async def guest(
        self,
        name: str = "Alma Example",
        *,
        allergies: Sequence[Allergen] = (),
        diet: Sequence[Diet] = (),
        cabin: int = 5012,
        child: bool = False,
        photo: bytes | None = None,
        language: str = "de",
    ) -> GuestRef:
        ref = await self.aboard.guest(cabins=[cabin], booking=f"R-{cabin}-{len(name)}", child=child)
        profile = Profile(ref, name.split()[0], name, language, tuple(sorted(allergies)), tuple(sorted(diet)))

        def work(tx: Tx) -> None:
            tx.put_profile(profile)
            agree(tx, ref)
            if photo is not None:
                tx.put_photo(Photo(ref, photo))

        await self.services.store.write(work)
        return ref

    def tap_crew(self, ref: GuestRef, station: str = STATION) -> bool:
        """What the station's reader says once it has read a crew band."""
        return self.services.crew.tapped(station, CrewTap(station, ref, Uid("04" + ref[:12].upper()), 1, 0))

    def tap_guest(self, ref: GuestRef, outlet: OutletId = BAR) -> None:
        now_s = self.services.clock.now().unix_s
        self.services.feed.publish(outlet, Announcement(ref, now_s, STATION))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that comes soon."""
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 what is waited for is the server's own state
                await asyncio.sleep(0.01)

    def cut_lines(self) -> int:
        """Break every HTTP connection, as a handheld out of reach does; how many there were."""
        lines = list(self.aboard.gateway._http.server.server_state.connections)
        for line in lines:
            line.transport.abort()
        return len(lines)

    async def sign_in(
        self, browser: Browser, ref: GuestRef, pin: str = PIN, shift: str = "lagoon food_and_drink"
    ) -> httpx.Response:
        """From the first page to the chosen shift; the last answer."""
        await browser.get("/crew/login")
        await browser.follow(await browser.post("/crew/login", station=STATION))
        assert self.tap_crew(ref)
        await browser.get("/crew/login/pin")
        answer = await browser.post("/crew/login/pin", pin=pin)
        if answer.status_code != 303 or not shift:
            return answer
        await browser.follow(answer)
        return await browser.post("/crew/shift", shift=shift)


@asynccontextmanager
async def page_ship(folder: Path, radio: Radio | None = None) -> AsyncIterator[PageShip]:
    tokens = prepare(folder, SETTINGS)
    prepare_store(folder)
    async with aboard(folder, tokens, radio) as running:
        ship = PageShip(running)
        await ship.services.store.write(lambda tx: tx.put_catalogue(catalogue()))
        yield ship
