"""The gateway's own bleak code against the band's own firmware, on Bumble's air."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.micropython.bandlab import KEYS, UID
from tests.radio.radiokit import IDENTITY, Wearer, name_at, passkey_for, wearing
from tests.unit.servicekit import KIRA, guest

from bandwire import eid, radio
from bandwire.condition import Condition
from steward.adapters.aes import HostAes
from steward.adapters.bleclient import BandLink
from steward.adapters.blescan import BleRadio
from steward.adapters.eidaes import encrypt_blocks
from steward.adapters.memory import MemoryStore
from steward.adapters.system import SystemClock
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.guests import Band, BandState
from steward.domain.ids import uid_from
from steward.errors import BandAway
from steward.ports import Tx
from steward.ports.radio import Sighting
from steward.services.bandradio import note_radio
from steward.services.findme import Finding, FindMe
from steward.services.presence import PresenceService
from voyage.air import Crowd, Spoofer
from voyage.airbackend import AirStation

OWN = uid_from(UID)


class Ring:
    """Of the test's bands, which all have the same keys."""

    role = "authority"

    def card_key(self, _uid: bytes, key_no: int, _version: int) -> bytes:
        return KEYS[key_no]


class Ship:
    """A gateway's services over its own radio; the band's guest agreed to be found, and its radio is on."""

    def __init__(self, ears: BleRadio) -> None:
        self.store, clock = MemoryStore(), SystemClock()
        self.now_s = clock.now().unix_s
        self.presence = PresenceService(self.store, clock, Ring(), HostAes(), encrypt_blocks, [ears])  # type: ignore[arg-type]
        self.find_me = FindMe(self.store, clock, self.presence)

    async def board(self, told: Condition | None) -> None:
        def work(tx: Tx) -> None:
            tx.put_guest(guest(KIRA, not_before_s=0, not_after_s=self.now_s + 86_400))
            tx.put_band(Band(OWN, KIRA, 1, True, 1, True, BandState.ISSUED))
            tx.put_consent(Consent(KIRA, ConsentPurpose.PRESENCE, True, self.now_s, Source.ABOARD, 1))
            note_radio(tx, OWN, told, self.now_s)

        await self.store.write(work)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await self.presence.tick()
                await asyncio.sleep(0.05)

    async def find(self) -> Finding:
        finding = asyncio.create_task(self.find_me.find_own(KIRA, OWN))
        await self.until(finding.done)
        return (await finding).finding


@contextlib.asynccontextmanager
async def ship_of(wearer: Wearer) -> AsyncIterator[tuple[Ship, BleRadio]]:
    """The radio is on and has told its clock."""
    async with listening(wearer) as (_, ears):
        ship = Ship(ears)
        await wearer.switch_on()
        await ship.board(await wearer.tap())
        yield ship, ears


@contextlib.asynccontextmanager
async def listening(wearer: Wearer) -> AsyncIterator[tuple[AirStation, BleRadio]]:
    async with AirStation(wearer.air) as station:
        link = BandLink(station, backend=station.client)
        ears = BleRadio("gw1", "pool-deck", SystemClock(), link, backend=station.scanner)
        running = asyncio.create_task(ears.run())
        try:
            yield station, ears
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def next_of(ears: BleRadio) -> Sighting:
    async with asyncio.timeout(5):
        while True:
            if taken := ears.take():
                return taken[-1]
            await asyncio.sleep(0.02)


async def test_a_band_is_heard_and_buzzes(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer, listening(wearer) as (_, ears):
        await wearer.switch_on()
        heard = await next_of(ears)
        assert heard.name == name_at(0, IDENTITY)
        assert ears.status().state == "on"
        passkey = passkey_for(heard.address, 0)
        assert await ears.ask(heard.address, passkey, radio.BUZZ, radio.buzz_data(2)) == (radio.DONE, b"")


async def test_a_wrong_passkey_a_band_out_of_reach_and_a_stranger_are_away(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer, listening(wearer) as (_, ears):
        await wearer.switch_on()
        heard = await next_of(ears)
        with pytest.raises(BandAway):
            await ears.ask(heard.address, passkey_for(heard.address, 1), radio.BUZZ, radio.buzz_data(1))
        fresh = await next_of(ears)
        wearer.air.link.lose((await wearer.radio()).controller)  # type: ignore[arg-type]
        with pytest.raises(BandAway):
            await ears.ask(fresh.address, passkey_for(fresh.address, 0), radio.BUZZ, radio.buzz_data(1))


async def test_in_a_crowd_of_500_the_band_is_placed_and_nothing_is_dropped(tmp_path: Path) -> None:
    rng = random.Random(6)
    crowd = [(f"E0:00:00:00:{n >> 8:02X}:{n & 255:02X}", eid.advertisement(rng.randbytes(8), -20)) for n in range(500)]
    async with wearing(tmp_path) as wearer, ship_of(wearer) as (ship, ears), Crowd(wearer.air, crowd, 0.0005):
        await ship.until(lambda: ship.presence.counts.strange > 2000)
        await ship.until(lambda: ship.presence.counts.written)
        kept = await ship.store.read(lambda tx: tx.presence(KIRA))
        assert kept is not None
        assert kept.zone == "pool-deck"
        assert ears.status().dropped == 0
        assert await ship.find() is Finding.BUZZED


async def test_a_spoofer_gets_no_passkey_and_makes_it_unknown(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer, ship_of(wearer) as (ship, _):
        spoofer = Spoofer(wearer.air, "E6:66:66:66:66:66")
        wearer.air.link.ears.append(spoofer.hear)
        await ship.until(lambda: ship.presence.is_contested(OWN))
        assert await ship.find() is Finding.CONTESTED
        assert await ship.store.read(lambda tx: tx.presence(KIRA)) is None


async def test_a_link_that_breaks_is_told_and_the_next_try_works(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer, ship_of(wearer) as (ship, _):
        controller = (await wearer.radio()).controller
        wearer.air.link.packets_left[controller] = 12  # in the middle of pairing
        assert await ship.find() is Finding.HEARD
        wearer.air.link.lost.clear()
        await wearer.until(lambda: wearer.shown() is not None)
        assert await ship.find() is Finding.BUZZED


async def test_whoever_holds_another_key_places_nobody(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer, ship_of(wearer) as (ship, _):
        Ring.card_key, own = lambda *_: bytes(16), Ring.card_key  # type: ignore[method-assign]
        try:
            await ship.until(lambda: ship.presence.counts.strange > 20)
        finally:
            Ring.card_key = own  # type: ignore[method-assign]
        assert ship.presence.counts.resolved == 0
