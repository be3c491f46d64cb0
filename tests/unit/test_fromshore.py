"""What a gateway does with shore's catalogue, consents and releases: taken in whole, or refused and told."""

from __future__ import annotations

import asyncio

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.linkkit import LoopClock
from tests.unit.servicekit import guest, item

from steward.adapters.memory import MemoryStore
from steward.domain.batches import DownMessage, sign_down
from steward.domain.consent import ConsentPurpose
from steward.domain.downs import encode_erasures
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.shorebodies import (
    ConsentChange,
    ModelRelease,
    encode_catalogue,
    encode_consents,
    encode_releases,
)
from steward.domain.topics import consent_kind, down_topic
from steward.ports.sync import PipeMessage
from steward.services.consents import ConsentService
from steward.services.downlink import DownlinkService, DownlinkSettings, DownOutcome
from steward.services.fromshore import APPLIERS

ITEMS = (item("cider"), item("stout"))
KEY = Ed25519PrivateKey.generate()
KIRA = GuestRef("00a1" * 4)
SAID_S, FAR_S = 1_800_000_000, 1 << 35  # before and after what the clock says
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Gateway:
    """A store and the service that obeys shore."""

    def __init__(self) -> None:
        self.store = MemoryStore(first_epoch=1)
        self.clock = LoopClock()
        self.service = DownlinkService(self.store, self.clock, DownlinkSettings("aurora", (PUBLIC,)), APPLIERS)

    async def hear(self, kind: str, version: int, body: bytes) -> DownOutcome:
        signed = sign_down(DownMessage("aurora", kind, version, 1_800_000_000, body), KEY)
        return await self.service.receive(PipeMessage(down_topic("aurora", kind), signed))


async def test_a_catalogue_is_sold_from_and_the_next_replaces_it() -> None:
    gateway = Gateway()
    assert await gateway.hear("catalogue", 1, encode_catalogue(ITEMS)) is DownOutcome.APPLIED
    first = await gateway.store.read(lambda tx: tx.catalogue())
    assert first.items == ITEMS
    assert await gateway.hear("catalogue", 2, encode_catalogue(ITEMS[:1])) is DownOutcome.APPLIED
    second = await gateway.store.read(lambda tx: tx.catalogue())
    assert (second.items, second.version > first.version) == (ITEMS[:1], True)
    assert await gateway.hear("catalogue", 1, encode_catalogue(ITEMS)) is DownOutcome.REFUSED
    assert await gateway.store.read(lambda tx: tx.catalogue()) == second


async def test_releases_are_kept() -> None:
    gateway = Gateway()
    releases = encode_releases([ModelRelease("ranker", "1.0.0", "ab" * 32, 1000, "")])
    assert await gateway.hear("release", 1, releases) is DownOutcome.APPLIED
    kept = await gateway.store.read(lambda tx: tx.down("release"))
    assert kept is not None
    assert kept.body == releases


@pytest.mark.parametrize("kind", ["catalogue", "consent-00", "erasures", "release"])
@pytest.mark.parametrize(
    "body", [b"", b"\xff", cbor2.dumps({"a": 1}), cbor2.dumps([[1, 2, 3]]), cbor2.dumps([["x"] * 5])]
)
async def test_signed_garbage_is_refused_and_told(kind: str, body: bytes) -> None:
    gateway = Gateway()
    assert await gateway.hear(kind, 1, body) is DownOutcome.REFUSED
    await asyncio.sleep(0)
    events = await gateway.store.read(lambda tx: tx.events(0, 10))
    assert [event.type for event in events] == [EventType.DOWN_REFUSED]
    assert await gateway.store.read(lambda tx: (tx.down(kind), tx.catalogue_version())) == (None, 0)


async def test_whom_shore_has_forgotten_is_taken_in_once_also_of_strangers() -> None:
    gateway = Gateway()
    done = encode_erasures([(KIRA, 2, SAID_S)])
    assert await gateway.hear("erasures", 1, done) is DownOutcome.APPLIED
    assert await gateway.hear("erasures", 1, done) is DownOutcome.KNOWN
    assert await gateway.store.read(lambda tx: tx.erasure(KIRA)) is None


# consent


def said(given: bool, at_s: int = SAID_S, purpose: str = "photo", guest: GuestRef = KIRA) -> ConsentChange:
    return ConsentChange(guest, purpose, given, at_s)


async def words(gateway: Gateway, ref: GuestRef = KIRA) -> dict[str, bool]:
    consents = await gateway.store.read(lambda tx: tx.consents_of(ref))
    return {consent.purpose.value: consent.given for consent in consents}


async def test_what_a_guest_said_ashore_is_obeyed_and_told() -> None:
    gateway = Gateway()
    changes = [said(True), said(False, purpose="suggestions"), said(True, purpose="mind_reading")]
    assert await gateway.hear("consent-00", 1, encode_consents(changes)) is DownOutcome.APPLIED
    assert await words(gateway) == {"photo": True, "suggestions": False}
    events = [event.type for event in await gateway.store.read(lambda tx: tx.events(0, 10))]
    assert events == [EventType.CONSENT_GIVEN, EventType.CONSENT_WITHDRAWN, EventType.DOWN_APPLIED]
    versions = await gateway.service.versions()
    assert {kind: version for kind, version in versions.items() if version} == {"consent": 1}


async def test_a_word_from_ashore_is_acted_on_once_and_a_later_word_aboard_stands() -> None:
    gateway = Gateway()
    far = said(True, at_s=FAR_S)  # by a clock ashore that is wrong
    await gateway.hear("consent-00", 1, encode_consents([far]))
    service = ConsentService(gateway.store, gateway.clock)
    await gateway.store.write(lambda tx: tx.put_guest(guest(KIRA)))
    await service.say(KIRA, {ConsentPurpose.PHOTO: False}, "token:desk-1")
    gateway.clock.wall_s += 3600
    more = [far, said(True, purpose="presence")]
    assert await gateway.hear("consent-00", 2, encode_consents(more)) is DownOutcome.APPLIED
    assert await words(gateway) == {"photo": False, "presence": True}
    assert await gateway.hear("consent-00", 1, encode_consents([far])) is DownOutcome.REFUSED
    assert await words(gateway) == {"photo": False, "presence": True}


@pytest.mark.parametrize(
    "body",
    [
        cbor2.dumps([["photo"], [[bytes(8), 1, True, 1]]]),  # a purpose that is not named
        cbor2.dumps([["photo"], [[bytes(7), 0, True, 1]]]),
        cbor2.dumps([["photo"], [[bytes(8), 0, 1, 1]]]),
        cbor2.dumps([["photo"], [[bytes(8), 0, True, -1]]]),
        cbor2.dumps([["photo"], [[bytes(8), 0, True, 1], [bytes(8), 0, False, 1]]]),  # two words at once
        cbor2.dumps([["Photo of me"], []]),
        cbor2.dumps([["p"] * 33, []]),
        cbor2.dumps([["photo"], [[bytes([255] * 8), 0, True, 1]]]),  # another shard's guest
    ],
)
async def test_signed_words_that_cannot_be_change_nothing(body: bytes) -> None:
    gateway = Gateway()
    assert await gateway.hear("consent-00", 1, body) is DownOutcome.REFUSED
    assert await words(gateway, GuestRef("0" * 16)) == {}


async def test_a_gateway_that_follows_leaves_it_to_the_authority() -> None:
    gateway = Gateway()
    await gateway.store.write(lambda tx: tx.set_meta("ship.position", "1:7"))
    assert await gateway.hear("consent-00", 1, encode_consents([said(True)])) is DownOutcome.APPLIED
    assert await words(gateway) == {}


async def test_ten_thousand_guests_over_all_shards() -> None:
    gateway = Gateway()
    shards: dict[str, list[ConsentChange]] = {}
    for number in range(10_000):
        ref = GuestRef(f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}")
        shards.setdefault(consent_kind(ref), []).append(said(number % 3 == 0, guest=ref))
    for kind, changes in shards.items():
        assert await gateway.hear(kind, 1, encode_consents(changes)) is DownOutcome.APPLIED
    given = await gateway.store.read(
        lambda tx: sum(c.given for words in shards.values() for w in words for c in tx.consents_of(w.guest))
    )
    assert (len(shards), given) == (32, 3334)
