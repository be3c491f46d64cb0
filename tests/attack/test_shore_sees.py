"""Whoever reads along ashore, or on the line to shore: no guest is in what leaves the ship, but in the order to forget.

A day with real bands, doors, tills and a desk, and then every event that this program can write with every key it
names, full of references, cabins, UIDs and names. All of it goes through the gateway's own uplink, as wiring makes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.attack.shipkit import DOOR, NEXT_DOOR, TILL, UID, band, ship
from tests.linkkit import Hub, KitPipe, LoopClock, Peer, SeededEntropy
from tests.unit.servicekit import profile
from tests.unit.uplinkkit import drained

from steward import config
from steward.adapters.memory import MemoryStore
from steward.domain.columns import type_of
from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType, NewEvent, StoredEvent, fact
from steward.domain.ids import GuestRef, uid_from
from steward.domain.recipients import WHOLE, Projection
from steward.domain.usecases import REGISTER
from steward.ports import Store
from steward.services.consents import ConsentService
from steward.services.router import MessageRouter
from steward.services.uplink import UplinkService, UplinkSettings
from steward.wiring_link import open_link

REF, BAND, CABIN, NAME = GuestRef("0f1e2d3c4b5a6978"), "04DEADBEEF1234", 8123, "Solveig Nordmann"
BY_NAME = {"cabin": CABIN, "serial": 77_001, "counter": 77_002, "last_counter": 77_003, "zones": 77_004}
# What a key may say that is no guest's: everything else that is text is filled with a guest's.
PLAIN_KEYS = {"amount_minor", "currency", "refunded_minor", "refund_minor"}


def settings(folder: Path) -> config.Config:
    path = folder / "steward.toml"
    path.write_text('[gateway]\nship = "aurora"\nsite = 7\n[link]\nurl = "mqtt://127.0.0.1:9"\n', encoding="utf-8")
    return config.load(path, {})


class Line:
    """The line to shore: every message that the gateway hands to it, and a shore that answers."""

    def __init__(self, store: Store, uplink: UplinkSettings) -> None:
        hub = Hub()
        self.sent: list[bytes] = []
        self.pipe = hub.pipe()
        self._listen(self.pipe)
        self.shore = Peer(hub.pipe())
        self.store = store
        self.service = UplinkService(store, LoopClock(), SeededEntropy(1), self.pipe, uplink)

    def _listen(self, pipe: KitPipe) -> None:
        publish = pipe.publish

        async def heard(topic: str, payload: bytes, *, retain: bool = False) -> None:
            self.sent.append(topic.encode() + payload)
            self.sent.append(_plain(payload))
            await publish(topic, payload, retain=retain)

        pipe.publish = heard  # type: ignore[method-assign]

    @property
    def events(self) -> list[StoredEvent]:
        return [event for _, event in sorted(self.shore.held.events.items())]


def _plain(payload: bytes) -> bytes:
    """A batch as it is before it is compressed."""
    if payload[0] == 0x10:
        return payload[5:]
    return zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS).decompress(payload[5:], 1 << 22)


@asynccontextmanager
async def line(store: Store, folder: Path) -> AsyncIterator[Line]:
    """With the settings of the uplink that wiring makes; ended when shore has everything."""
    link = await open_link(settings(folder), store, LoopClock(), SeededEntropy(2))
    assert link.shore is not None
    made = Line(store, link.shore.uplink._settings)
    router = MessageRouter(made.pipe, made.service.overheard)
    router.on(made.service.topic, made.service.receive)
    tasks = [asyncio.create_task(work()) for work in (made.shore.run, made.service.run, router.run)]
    try:
        yield made
        await drained(store)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await link.close()


def forms(*secrets: str) -> Iterator[bytes]:
    """A secret as text, and packed as columns pack hex."""
    for secret in secrets:
        yield secret.encode()
        yield secret.lower().encode()
        try:
            yield bytes.fromhex(secret)
        except ValueError:
            continue


def assert_nobody(made: Line, secrets: Iterable[bytes]) -> None:
    for secret in secrets:
        for sent in made.sent:
            if secret in sent:
                found = [event for event in made.events if secret.decode("latin-1") in repr(event)]
                raise AssertionError(f"{secret!r} left the ship: {found[:3]}")


async def test_a_day_aboard_leaves_without_a_guest(tmp_path: Path) -> None:
    async with ship() as rig, await band(tmp_path, uid=UID) as worn:
        made = await rig.check_in(booking="QX-7731")
        await rig.store.write(lambda tx: tx.put_profile(profile(made.ref, NAME, NAME)))
        await rig.issue(made, worn)
        await rig.tap(worn, DOOR)
        await rig.tap(worn, NEXT_DOOR)
        paid = await rig.charge(worn, TILL, 750)
        await rig.charge(worn, TILL, 99_000_000)
        consents = ConsentService(rig.store, rig.clock)
        await consents.say(made.ref, {ConsentPurpose.PHOTO: True, ConsentPurpose.ANALYTICS_ASHORE: True}, "guest")
        await rig.desk.freeze(uid_from(UID), "lost", "desk")
        kept = await rig.store.read(lambda tx: list(tx.events(0, 999)))
        assert {event.payload.get("guest") for event in kept} >= {made.ref}
        assert paid.evidence is not None
        async with line(rig.store, tmp_path) as made_line:
            pass
    assert len(made_line.events) == len(kept)
    assert [(event.type, event.at_s) for event in made_line.events] == [(event.type, event.at_s) for event in kept]
    secrets = forms(made.ref, UID.hex().upper(), paid.request.tap_id, "QX-7731", NAME, DOOR, paid.evidence.mac.hex())
    assert_nobody(made_line, secrets)
    posted = [event for event in made_line.events if event.type is EventType.CHARGE_POSTED]
    assert dict(posted[0].payload)["amount_minor"] == 750


def everything() -> list[NewEvent]:
    """Each type with each key that the register names for it: a store takes no other."""
    made = []
    for n, type_ in enumerate(EventType):
        named = {key: said(key) for key in REGISTER.keys_of(type_)}
        if type_ is not EventType.GUEST_ERASED:
            made.append(NewEvent(type_, 1_800_000_000 + n, named))
    return made


def said(key: str) -> Any:
    texts = {"guest": REF, "parent": REF, "ref": REF, "uid": BAND, "replaces": BAND, "place": f"cabin {CABIN}"}
    return BY_NAME.get(key, texts.get(key, 5 if key.endswith(("_minor", "_s")) else "x"))


async def send(tmp_path: Path, events: list[NewEvent]) -> Line:
    store = MemoryStore(first_epoch=100)
    await store.write(lambda tx: [tx.append_event(event) for event in events])
    async with line(store, tmp_path) as made:
        pass
    assert len(made.events) == len(events)
    return made


async def test_every_event_of_this_program_leaves_without_a_guest(tmp_path: Path) -> None:
    made = await send(tmp_path, everything())
    assert_nobody(made, forms(REF, BAND, NAME, f"cabin {CABIN}"))
    for event in made.events:
        said_ashore = set(event.payload)
        assert said_ashore <= REGISTER.shore_fields(event.type), event.type.name
        assert said_ashore.isdisjoint({"guest", "uid", "cabin", "serial", "tap_id", "counter", "mac", "signed", "by"})
        assert set(event.payload.values()).isdisjoint({*BY_NAME.values(), REF, BAND, NAME})


async def test_only_the_order_to_forget_names_somebody(tmp_path: Path) -> None:
    order = fact(EventType.GUEST_ERASED, 1_800_000_000, ref=REF, certificate="c-1", part=2)
    made = await send(tmp_path, [order])
    assert dict(made.events[0].payload) == {"ref": REF, "certificate": "c-1", "part": 2}


async def test_the_register_names_no_guest_for_shore_but_in_that_order() -> None:
    personal = {"guest", "uid", "cabin", "serial", "parent", "tap_id", "counter", "mac", "signed", "actor", "crew"}
    personal |= {"by", "place", "reader", "offer", "note", "case", "look"}
    for type_ in EventType:
        assert REGISTER.shore_fields(type_).isdisjoint(personal), type_.name
        assert ("ref" in REGISTER.shore_fields(type_)) == (type_ is EventType.GUEST_ERASED)


async def test_a_line_that_sends_everything_would_be_caught(tmp_path: Path) -> None:
    """The other way round: without the projection the same search finds the guest."""
    store = MemoryStore(first_epoch=100)
    await store.write(lambda tx: tx.append_event(fact(EventType.DOOR_OPENED, 5, guest=REF, uid=BAND)))
    leaky = Line(store, UplinkSettings("aurora", "gw1", "shore", "1", WHOLE))
    tasks = [asyncio.create_task(work()) for work in (leaky.shore.run, leaky.service.run)]
    router = MessageRouter(leaky.pipe)
    router.on(leaky.service.topic, leaky.service.receive)
    tasks.append(asyncio.create_task(router.run()))
    await drained(store)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for secret in (REF, BAND):
        with pytest.raises(AssertionError, match="left the ship"):
            assert_nobody(leaky, forms(secret))


def test_what_the_register_does_not_know_of_an_old_log_stays_aboard() -> None:
    projection = Projection.by(REGISTER.shore_fields)
    event = StoredEvent(1, 1, EventType.DOOR_OPENED, 5, {"guest": REF, "code": "granted", "booking": NAME})
    assert dict(projection.of(event).payload) == {"code": "granted"}
    newer = StoredEvent(1, 1, type_of(599), 5, {"guest": REF, "code": "granted"})
    assert dict(projection.of(newer).payload) == {}
