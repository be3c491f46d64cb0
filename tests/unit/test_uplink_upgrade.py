"""A log from when doors were of the safety class: a new program sends on what an old one had half delivered.

Old events keep their code, and so their class, their place in its chain and their hash; new ones go after money.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.linkkit import CLEAR, Faults, Hub, LoopClock, Peer, SeededEntropy
from tests.shore.rig import eventually
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.store_rules import encode_payload
from steward.domain.batches import Batch
from steward.domain.events import EventType, StoredEvent, fact
from steward.domain.intake import Stream, take
from steward.domain.recipients import WHOLE
from steward.domain.topics import CLASSES, INSIGHT, SAFETY, class_of
from steward.ports import Tx
from steward.services.router import MessageRouter
from steward.services.uplink import UplinkService, UplinkSettings

OLD = Path(__file__).parents[1] / "data" / "store_v2.db"
AT_S = 1_790_000_000
OLD_DOORS = 40


def old_log(path: Path) -> tuple[int, int]:
    """The store of version 2, with doors as its program wrote them; its epoch and newest seq."""
    shutil.copy(OLD, path)
    connection = sqlite3.connect(path)
    try:
        ((epoch, newest),) = connection.execute("SELECT epoch, max(seq) FROM event").fetchall()
        for seq in range(newest + 1, newest + 1 + OLD_DOORS):
            payload = encode_payload({"place": "gangway", "code": "granted", "serial": seq})
            row = (epoch, seq, 202 + seq % 2, AT_S + seq, payload)
            connection.execute("INSERT INTO event (epoch, seq, type, at_s, payload) VALUES (?, ?, ?, ?, ?)", row)
        connection.commit()
        return epoch, newest + OLD_DOORS
    finally:
        connection.close()


def give(peer: Peer, events: list[StoredEvent], upto: int, head: int) -> None:
    """What the old program had delivered: every class up to this seq."""
    key = ("aurora", "gw1")
    streams = peer.held.streams.setdefault(key, {})
    for cls in CLASSES:
        own = tuple(event for event in events if class_of(event.type) == cls and event.seq <= upto)
        if own:
            batch = Batch(*key, own[0].epoch, 1, cls, own, head)
            taken = take(streams.get(own[0].epoch, Stream()), batch)
            streams[own[0].epoch] = taken.stream
            peer.held.events.update({(*key, event.epoch, event.seq): event for event in taken.fresh})


@pytest.mark.parametrize("known", [0, 0.5, 1], ids=["nothing", "half", "all"])
@pytest.mark.parametrize("faults", [CLEAR, Faults(loss=0.1, duplicate=0.1, delay_s=(0.0, 0.02))], ids=["", "rough"])
async def test_an_old_log_half_ashore_is_sent_to_its_end(tmp_path: Path, known: float, faults: Faults) -> None:
    path = tmp_path / "steward.db"
    epoch, old = old_log(path)
    hub = Hub(1, faults)
    peer = Peer(hub.pipe(), in_order=True)
    store = SqliteStore.open(path, DATA_KEY)
    before = await store.read(lambda tx: list(tx.events_in(epoch, 0, 999)))
    assert {event.type for event in before[-OLD_DOORS:]} == {EventType.OLD_DOOR_OPENED, EventType.OLD_DOOR_REFUSED}
    upto = int(old * known)
    give(peer, before, upto, old)

    def go_on(tx: Tx) -> None:
        for cls in CLASSES:
            seqs = [event.seq for event in before if class_of(event.type) == cls and event.seq <= upto]
            tx.set_covered("shore", epoch, cls, max(seqs, default=0))
        for n in range(30):
            tx.append_event(fact(EventType.DOOR_OPENED, AT_S + n, place="gangway", code="granted", serial=n))
        tx.append_event(fact(EventType.BAND_FROZEN, AT_S + 30, uid="04AA00000000AA", reason="lost"))

    await store.write(go_on)
    everything = await store.read(lambda tx: list(tx.events_in(epoch, 0, 999)))
    assert everything[: len(before)] == before
    assert {class_of(event.type) for event in everything[len(before) :]} == {INSIGHT, SAFETY}
    receiving = asyncio.create_task(peer.run())
    clock, pipe = LoopClock(AT_S), hub.pipe()
    service = UplinkService(store, clock, SeededEntropy(1), pipe, UplinkSettings("aurora", "gw1", "shore", "9", WHOLE))
    router = MessageRouter(pipe)
    router.on(service.topic, service.receive)
    tasks = [receiving, asyncio.create_task(service.run()), asyncio.create_task(router.run())]

    async def all_sent() -> bool:
        return (await service.snapshot()).waiting.events == 0

    async def all_compared() -> bool:
        return await store.read(lambda tx: tx.compared("shore", epoch)) >= len(everything)

    try:
        async with asyncio.timeout(60):
            await eventually(all_sent)
            clock.wall_s += 86_400  # the next day both sides compare hashes
            await eventually(all_compared)
        kept = [peer.held.events["aurora", "gw1", epoch, event.seq] for event in everything]
        assert kept == everything
        assert peer.alarms == []
        assert len(peer.arrivals) == len(everything) - upto
        order = [event.type for event in peer.arrivals]
        assert order.index(EventType.BAND_FROZEN) < order.index(EventType.DOOR_OPENED)
        assert not [e for e in await store.read(lambda tx: tx.events(0, 999)) if e.type is EventType.PEER_DIVERGED]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
