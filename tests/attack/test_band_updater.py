"""A release that is halted while it is sent is tried by nobody; who is looked for is not updated because of that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from tests.releasekit import Aboard, told
from tests.unit.radiokit import ADDRESS, UID, afloat

from bandwire import radio as bandradio
from bandwire import release as wire
from steward.domain.ids import Uid
from steward.ports.radio import RadioState, Sighting
from steward.services.bandupdater import BandUpdater, UpdaterSettings
from steward.services.presence import Heard


class Talking:
    """ports.radio.Talk."""

    def __init__(self, band: Talker) -> None:
        self._band = band

    async def ask(self, kind: int, data: bytes = b"") -> tuple[int, bytes]:
        return await self._band.said(kind, data)


@dataclass
class Talker:
    """A radio with a band at it that takes whatever it is sent; the release is halted while it does."""

    aboard: Aboard
    halts: bool
    uid: Uid
    name: str = "gw1"
    zone: str = "pool"
    kinds: list[int] = field(default_factory=list)

    def status(self) -> RadioState:
        return RadioState(self.name, self.zone, "on", 0, 0)

    def take(self) -> Sequence[Sighting]:
        return []

    async def ask(self, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        return await self.said(kind, data)

    @asynccontextmanager
    async def talk(self, address: str, passkey: int) -> AsyncIterator[Talking]:
        yield Talking(self)

    # services.bandupdater.Ears

    def heard_now(self) -> Sequence[Uid]:
        return [self.uid]

    def where(self, uid: Uid) -> Heard | None:
        return Heard(self, ADDRESS, 0, 0.0, None)

    def passkey(self, uid: Uid, heard: Heard, address: bytes) -> int:
        return 1

    def spent(self, uid: Uid) -> None:
        return None

    async def said(self, kind: int, data: bytes = b"") -> tuple[int, bytes]:
        self.kinds.append(kind)
        if kind == bandradio.VERSION:
            return bandradio.DONE, told(1)
        at = 0
        if kind == bandradio.UPDATE_DATA:
            at = int.from_bytes(data[:4], "little") + len(data) - 4
            if self.halts:
                self.halts = False
                await self.aboard.releases.halt()
        return bandradio.DONE, bytes((wire.OK,)) + at.to_bytes(4, "little")


@pytest.mark.parametrize("halts", [False, True])
async def test_a_release_halted_while_it_is_sent_is_not_tried(halts: bool) -> None:
    aboard = Aboard()
    (uid,) = await aboard.issue(1)
    await aboard.given(7)
    band = Talker(aboard, halts, uid)
    await BandUpdater(aboard.releases, band, aboard.clock, UpdaterSettings(0, 0, 0)).look()
    assert bandradio.UPDATE_DATA in band.kinds
    assert (bandradio.UPDATE_END in band.kinds) is not halts


async def test_who_is_looked_for_is_not_updated_because_of_that() -> None:
    ship = await afloat()
    ship.say(ship.pool)
    await ship.presence.tick()
    assert ship.presence.heard_now() == [UID]
    await ship.agree(yes=False)
    await ship.presence.seek(UID, ship.clock.ms + 60_000)
    ship.say(ship.pool)
    await ship.presence.tick()
    assert ship.presence.where(UID) is not None
    assert ship.presence.heard_now() == []


@pytest.mark.parametrize(("hour", "visits"), [(1, False), (2, True), (4, True), (5, False), (14, False)])
async def test_bands_are_left_alone_by_day(hour: int, visits: bool) -> None:
    aboard = Aboard()
    (uid,) = await aboard.issue(1)
    await aboard.given(7)
    now_s = aboard.clock.now().unix_s
    aboard.clock.wall_s += 3600 * ((hour - now_s // 3600) % 24) + 1800 - now_s % 3600
    band = Talker(aboard, False, uid)
    await BandUpdater(aboard.releases, band, aboard.clock, UpdaterSettings()).look()
    assert bool(band.kinds) is visits
