"""A band far from the folio authority, between two whole gateways and their real broker: heard there, placed here.

The radio at the other gateway is a stand-in at the hardware's boundary; everything behind it is real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.e2e.test_ship_wiring import KEYS, authority, bar, free_port, until
from tests.unit.radiokit import FakeRadio
from tests.unit.servicekit import guest

from bandwire import radio
from bandwire.condition import WISH_ON, Condition
from bandwire.keys import K_MASTER
from steward.adapters.aes import HostAes
from steward.adapters.eidaes import encrypt_blocks
from steward.adapters.keyring import FileKeyRing
from steward.app import Gateway
from steward.config import load
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.eidtable import names_of
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, Uid
from steward.ports import Tx
from steward.ports.radio import Sighting
from steward.services.bandradio import note_radio
from steward.services.findme import Finding

UID, REF = Uid("04A1A1A1A1A1A1"), GuestRef("00000000000000a1")
VERSION, PERIOD = 1, 30
DOOR = '[[reader]]\nname = "cabin-8104"\nkind = "link"\npurpose = "door"\ncabin = 8104\n'
AES = HostAes()


def name() -> bytes:
    ring = FileKeyRing(KEYS, AES)
    identity = radio.identity_key(AES, ring.card_key(bytes.fromhex(UID), K_MASTER, VERSION))
    ((_, found),) = names_of(identity, [PERIOD], encrypt_blocks)
    return found


async def hold(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 the services' own state
            await asyncio.sleep(0.05)


async def test_a_band_at_another_gateway_is_placed_found_and_told_the_guest_s_word(tmp_path: Path) -> None:
    port, ears = free_port(), FakeRadio("bar", "bar")
    first = await Gateway.start(load(authority(tmp_path, port), {}))
    second = await Gateway.start(load(bar(tmp_path, port, DOOR), {}), ears)
    here, there = first.parts.services, second.parts.services
    talking = asyncio.create_task(_talk(ears, here.clock.monotonic_ms))
    now_s = here.clock.now().unix_s
    try:

        def aboard(tx: Tx) -> None:
            tx.put_guest(guest(REF, not_before_s=0, not_after_s=4_000_000_000))
            tx.put_band(Band(UID, REF, 1, True, VERSION, True, BandState.ISSUED))
            tx.put_consent(Consent(REF, ConsentPurpose.PRESENCE, True, now_s, Source.ABOARD, 1))

        await here.store.write(aboard)
        await here.radio_wishes.say(REF, UID, True, "guest")
        await hold(lambda: there.radio_wishes.wish_of(bytes.fromhex(UID)) == WISH_ON)
        [door] = second.parts.loops
        assert door._wish_of(bytes.fromhex(UID)) == WISH_ON
        told = Condition(80, False, True, PERIOD)
        await there.store.write(lambda tx: note_radio(tx, UID, told, now_s, REF))  # as a tap there does it
        await until(here.store, lambda tx: (known := tx.radio(UID)) is not None and known.is_on)
        await until(here.store, lambda tx: (seen := tx.presence(REF)) is not None and seen.zone == "bar")
        assert await there.store.read(lambda tx: tx.presence(REF)) is None
        assert there.presence.size() == 0  # no key there
        found = await here.find_me.find_own(REF, UID)
        assert (found.finding, found.zone) == (Finding.BUZZED, "bar")
        assert [kind for _, _, kind, _ in ears.asked] == [radio.BUZZ]
    finally:
        talking.cancel()
        await second.stop()
        await first.stop()


async def _talk(ears: FakeRadio, now_ms: Callable[[], float]) -> None:
    """The band says its name there."""
    while True:
        ears.heard.append(Sighting(name(), -55, "C1:00:00:00:00:01", now_ms()))
        await asyncio.sleep(0.3)
