"""What a gateway does with shore's catalogue, consents and releases: taken in whole, or refused and told."""

from __future__ import annotations

import asyncio

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.linkkit import LoopClock
from tests.unit.servicekit import item

from steward.adapters.memory import MemoryStore
from steward.domain.batches import DownMessage, sign_down
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.shorebodies import (
    ConsentChange,
    ModelRelease,
    encode_catalogue,
    encode_consents,
    encode_releases,
)
from steward.domain.topics import down_topic
from steward.ports.sync import PipeMessage
from steward.services.downlink import DownlinkService, DownlinkSettings, DownOutcome
from steward.services.fromshore import APPLIERS

ITEMS = (item("cider"), item("stout"))
KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Gateway:
    """A store and the service that obeys shore."""

    def __init__(self) -> None:
        self.store = MemoryStore(first_epoch=1)
        self.service = DownlinkService(self.store, LoopClock(), DownlinkSettings("aurora", (PUBLIC,)), APPLIERS)

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


async def test_consents_and_releases_are_kept() -> None:
    gateway = Gateway()
    consents = encode_consents([ConsentChange(GuestRef("0123456789abcdef"), "service", True, 1_800_000_000)])
    releases = encode_releases([ModelRelease("ranker", "1.0.0", "ab" * 32, 1000, "")])
    assert await gateway.hear("consent", 1, consents) is DownOutcome.APPLIED
    assert await gateway.hear("release", 1, releases) is DownOutcome.APPLIED
    kept = await gateway.store.read(lambda tx: (tx.down("consent"), tx.down("release")))
    assert [record.body for record in kept if record is not None] == [consents, releases]


@pytest.mark.parametrize("kind", ["catalogue", "consent", "release"])
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
