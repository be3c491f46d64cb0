"""Guests with bands, and the phones they read them with."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
from tests.pages.pagekit import BAR, STATION, Browser, PageShip
from tests.unit.moneykit import KEYS

from bandwire import sdm
from bandwire.keys import K_FILE, K_META
from steward.adapters.aes import HostAes
from steward.adapters.keyring import FileKeyRing
from steward.domain.events import EventType, StoredEvent
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, Uid
from steward.services.feed import Announcement

PIN = "2580"
_AES = HostAes()
RING = FileKeyRing(KEYS, _AES)


def sun_link(uid: bytes, counter: int, version: int = 1, *, of: bytes | None = None) -> tuple[str, str]:
    """(e, c) of a band's address at this reading. of: whose key makes the MAC, if it is another band's."""
    meta, file = RING.card_key(b"", K_META, version), RING.card_key(of or uid, K_FILE, version)
    picc = sdm.seal_picc(_AES, meta, uid, counter, os.urandom(5))
    _, kmac = sdm.sdm_keys(_AES, file, uid, counter.to_bytes(3, "little"))
    return picc.hex().upper(), sdm.sdm_mac(_AES, kmac, b"").hex().upper()


@dataclass
class Wearer:
    """Somebody with a band. Each link is one more reading of it."""

    ship: PageShip
    ref: GuestRef
    uid: bytes
    counter: int = 0

    @property
    def uid_text(self) -> Uid:
        return Uid(self.uid.hex().upper())

    def link(self) -> str:
        self.counter += 1
        e, c = sun_link(self.uid, self.counter)
        return f"/t?e={e}&c={c}"

    async def open(self, phone: Browser) -> httpx.Response:
        return await phone.get(self.link())

    async def prove(self, phone: Browser, pin: str = PIN) -> httpx.Response:
        await phone.get("/me/prove?next=/me/band")
        return await phone.post("/me/prove/pin", pin=pin, next="/me/band")

    def tap(self, reader: str = STATION) -> None:
        """What a reader at the bar says once it has read this band: the crew station's, or a till's."""
        now_s = self.ship.services.clock.now().unix_s
        self.ship.services.feed.publish(BAR, Announcement(self.ref, now_s, reader))

    async def band(self) -> Band:
        band = await self.ship.services.store.read(lambda tx: tx.band(self.uid_text))
        assert band is not None
        return band

    async def put_band(self, **changes: object) -> None:
        band = replace(await self.band(), **changes)  # type: ignore[arg-type]
        await self.ship.services.store.write(lambda tx: tx.put_band(band))


async def wearer(ship: PageShip, name: str = "Alma Example", *, pin: str | None = PIN, cabin: int = 5012) -> Wearer:
    ref = await ship.guest(name, cabin=cabin)
    if pin is not None:
        await ship.services.checkin.set_pin(ref, pin)
    return await worn(ship, ref)


async def worn(ship: PageShip, ref: GuestRef) -> Wearer:
    """A band of their own for somebody who is aboard."""
    made = Wearer(ship, ref, b"\x04" + os.urandom(6))
    band = Band(made.uid_text, ref, 1, True, 1, True, BandState.ISSUED)
    await ship.services.store.write(lambda tx: tx.put_band(band))
    return made


@asynccontextmanager
async def phone(ship: PageShip, who: Wearer | None = None, **headers: str) -> AsyncIterator[Browser]:
    """A phone; signed in as somebody if named."""
    async with ship.browser(**headers) as browser:
        if who is not None:
            answer = await who.open(browser)
            assert (answer.status_code, answer.headers.get("location")) == (303, "/me"), answer.text
        yield browser


async def events(ship: PageShip, *types: EventType) -> Sequence[StoredEvent]:
    found = await ship.services.store.read(lambda tx: tx.events(0, 10_000))
    return [event for event in found if event.type in types]
