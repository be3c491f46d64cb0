"""The gateway's side of the link as a service: over a rough pipe, with restarts, backlogs and lost disks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.linkkit import ROUGH, SATELLITE, Faults, Hub, LoopClock, Peer, SeededEntropy
from tests.sim.loop import run
from tests.typical import Ship as Typical
from tests.unit.uplinkkit import (
    DAY_S,
    SETTINGS,
    Failing,
    as_new,
    charge,
    door,
    drained,
    freeze,
    sent_events,
    telemetry,
    world,
)
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.batches import Ack, encode_ack
from steward.domain.events import EventType
from steward.domain.topics import CLASSES, INSIGHT, MONEY, SAFETY, TELEMETRY, class_of
from steward.errors import StoreUnavailable
from steward.ports.sync import PipeMessage
from steward.services.backlog import look
from steward.services.router import MessageRouter
from steward.services.uplink import UplinkService


def test_a_single_event_goes_at_once_and_alone() -> None:
    async def main() -> None:
        async with world() as it:
            it.power()
            await it.until(lambda: len(it.batches) > 0)
            await it.append(door(1))
            assert await it.until(lambda: it.shore.seqs(100) == {1}) < 0.3
            await it.append(door(2))
            assert await it.until(lambda: it.shore.seqs(100) == {1, 2}) < 0.3
            await it.known_ashore()
            assert [len(batch.events) for batch in it.batches if batch.events] == [1, 1]
            assert it.batches[0].version == "1.2.3"
            assert it.batches[0].older == ()

    run(main())


def test_everything_gets_ashore_over_a_rough_line_with_restarts() -> None:
    async def main(seed: int) -> None:
        async with world(ROUGH, seed) as it:
            for part in range(6):
                await it.append(*(as_new(event) for event in Typical(seed * 10 + part).events(120)))
                it.power()
                await asyncio.sleep(it.hub.draw.choice((0.2, 1.5, 8.0, 40.0)))
                await it.kill()
            it.power()
            await it.all_ashore()
            await it.known_ashore()
            assert it.shore.alarms == []
            kept = await it.store.read(lambda tx: list(tx.events(0, 9999)))
            assert [it.shore.held.events["aurora", "gw1", 100, e.seq] for e in kept] == kept

    for seed in range(8):
        run(main(seed))


def test_a_peer_that_needs_the_order_gets_it() -> None:
    async def main(seed: int) -> None:
        async with world(ROUGH, seed) as it:
            it.shore._in_order = True
            for part in range(3):
                await it.append(*(as_new(event) for event in Typical(seed * 10 + part).events(200)))
                it.power()
                await asyncio.sleep(it.hub.draw.choice((0.2, 8.0, 40.0)))
                await it.kill()
            it.power()
            await it.all_ashore()
            for cls in CLASSES:
                seqs = [event.seq for event in it.shore.arrivals if class_of(event.type) == cls]
                assert seqs == sorted(seqs)
                assert len(set(seqs)) == len(seqs)

    for seed in range(8):
        run(main(seed))


async def test_the_same_on_a_store_with_a_disk(tmp_path: Path) -> None:
    """With threads and real time: restarted five times while events are made."""
    hub = Hub(1, Faults(loss=0.05, duplicate=0.1, delay_s=(0.0, 0.02)))
    shore = Peer(hub.pipe())
    reading = asyncio.create_task(shore.run())
    events = Typical(4).events(1500)
    try:
        for life in range(5):
            store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
            pipe = hub.pipe()
            service = UplinkService(store, LoopClock(), SeededEntropy(life), pipe, SETTINGS)
            router = MessageRouter(pipe)
            router.on(service.topic, service.receive)
            tasks = [asyncio.create_task(service.run()), asyncio.create_task(router.run())]
            for at in range(life * 300, life * 300 + 300, 50):
                part = [as_new(event) for event in events[at : at + 50]]
                await store.write(lambda tx, part=part: [tx.append_event(event) for event in part])  # type: ignore[misc]
                await asyncio.sleep(0.03)
            if life == 4:
                await drained(store)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await pipe.close()
            if life == 4:
                kept = await store.read(lambda tx: list(tx.events(0, 9999)))
                assert len(kept) == 1500
                assert [shore.held.events["aurora", "gw1", e.epoch, e.seq] for e in kept] == kept
                assert shore.alarms == []
            await store.close()
    finally:
        reading.cancel()


async def test_an_acknowledgement_that_could_not_be_kept_is_kept_with_the_next() -> None:
    hub, store, clock = Hub(), Failing(first_epoch=100), LoopClock()
    pipe = hub.pipe()
    service = UplinkService(store, clock, SeededEntropy(1), pipe, SETTINGS)
    await store.write(lambda tx: [tx.append_event(event) for event in (door(1), charge(2))])
    sending = asyncio.create_task(service.run())
    await asyncio.sleep(0.1)  # it asks where the peer stands, and nobody answers
    assert service._uplink is not None
    number = service._uplink._first
    store.broken = True
    with pytest.raises(StoreUnavailable):
        await service.receive(PipeMessage(service.topic, encode_ack(Ack(100, number, (0, 1, 0, 0, 0)))))
    store.broken = False
    await service.receive(PipeMessage(service.topic, encode_ack(Ack(100, number, (0, 1, 2, 0, 0)))))
    assert await store.read(lambda tx: tx.covered("shore")) == {(100, 2): 1, (100, 3): 2}
    sending.cancel()


def test_nothing_is_sent_twice_on_a_line_that_only_breaks_now_and_then() -> None:
    async def main() -> None:
        async with world(Faults(delay_s=(0.3, 0.3))) as it:
            it.power()
            for part in range(5):
                await it.append(*(as_new(event) for event in Typical(part).events(300)))
                await asyncio.sleep(20)
                it.pipe.cut(True)
                await asyncio.sleep(3000)
                it.pipe.cut(False)
            await it.all_ashore()
            assert it.shore.repeated == 0
            assert it.service._uplink is not None
            assert it.service._uplink.lost_batches == 0

    run(main())


def test_safety_leaves_in_the_next_batch_of_a_long_backlog_of_telemetry() -> None:
    async def main() -> None:
        async with world(SATELLITE) as it:
            for part in range(20):
                await it.append(*(telemetry(part * 1000 + n) for n in range(1000)))
            it.power()
            await it.until(lambda: sent_events(it.batches, TELEMETRY) > 2000)
            before = len(it.batches)
            await it.append(freeze(1))
            await it.until(lambda: sent_events(it.batches, SAFETY) == 1)
            later = [batch.cls for batch in it.batches[before:]]
            assert later.index(SAFETY) <= 1  # one may have been on its way out of the store
            assert await it.until(lambda: ("aurora", "gw1", 100, 20_001) in it.shore.held.events) < 3
            assert len(it.shore.held.events) < 20_001
            await it.all_ashore()

    run(main())


def test_telemetry_flows_under_constant_money() -> None:
    async def main() -> None:
        async with world(SATELLITE) as it:
            money = [as_new(event) for event in Typical(1).events(6000, MONEY)]
            await it.append(*(telemetry(n) for n in range(3000)), *money)
            it.power()
            await it.until(lambda: sent_events(it.batches, TELEMETRY) > 400)
            assert sent_events(it.batches, MONEY) < 6000
            await it.until(lambda: sent_events(it.batches, MONEY) > 5000)
            sizes = {cls: sum(len(b.events) for b in it.batches if b.cls == cls) for cls in (MONEY, TELEMETRY)}
            assert sizes[MONEY] > sizes[TELEMETRY]
            await it.all_ashore()

    run(main())


def test_a_backlog_comes_in_near_the_line_s_own_speed() -> None:
    async def main() -> None:
        async with world(SATELLITE) as it:
            for part in range(8):
                await it.append(*(as_new(event) for event in Typical(part).events(1000)))
            it.power()
            took_s = await it.all_ashore()
            line_s = it.pipe.counted().sent / 32_000
            assert took_s < 1.15 * line_s + 3 * 0.7
            assert it.shore.repeated == 0

    run(main())


def test_a_wall_clock_that_jumps_changes_nothing() -> None:
    async def main() -> None:
        settings = replace(SETTINGS, budget={INSIGHT: 1_000_000})
        async with world(settings=settings) as it:
            it.power()
            for jump_s in (0, -10_000_000, 50_000_000, -1_799_999_999):
                it.clock.wall_s += jump_s
                it.clock.trusted = jump_s == 0
                await it.append(*(as_new(event) for event in Typical(1).events(50)))
                assert await it.all_ashore() < 1
            assert it.service._spending.budget.day == 1_800_000_000 // DAY_S

    run(main())


def test_a_shore_restored_from_a_backup_gets_what_it_lost_and_only_that() -> None:
    async def main(boot: bytes | None) -> None:
        async with world() as it:
            it.power()
            await it.append(*(as_new(event) for event in Typical(1).events(200)))
            await it.all_ashore()
            backup = it.shore.backup()
            await it.append(*(as_new(event) for event in Typical(2).events(300)))
            await it.all_ashore()
            await it.known_ashore()
            it.shore.restore(backup, boot)
            assert len(it.shore.held.events) == 200
            await it.append(door(1))
            await it.all_ashore(60)
            assert it.shore.repeated == 0
            assert (await it.service.snapshot()).rewound == 1
            it.shore.restore(backup, boot)  # and once more, while nothing at all happens
            await it.all_ashore(600)
            await it.known_ashore()

    run(main(None))
    run(main(b"other ID"))


def test_a_gateway_restored_from_a_backup_sends_what_is_left_of_the_old_epoch_and_says_where_it_ends() -> None:
    async def main() -> None:
        async with world() as it:
            it.power()
            await it.append(*(as_new(event) for event in Typical(1).events(100)))
            await it.all_ashore()
            await it.kill()
            await it.append(*(as_new(event) for event in Typical(2).events(50)))
            backup = it.store.restored(2_000_000_000, 1_800_000_500)  # 150 events, 100 of them known to be ashore
            await it.append(*(as_new(event) for event in Typical(3).events(30)))
            it.power()
            it.pipe.cut(False)
            await it.all_ashore()
            await it.append(*(door(n) for n in range(20)))
            await it.until(lambda: it.shore.held.streams["aurora", "gw1"][100].head == 200)
            it.shore.restore(_without(it.shore.backup(), 100, 181, 190))  # some of the last never arrived
            await it.kill()
            it.store = backup
            it.power()
            await it.append(door(2))
            await it.until(lambda: it.shore.seqs(2_000_000_000) == {1, 2})
            await it.until(lambda: it.shore.held.streams["aurora", "gw1"][100].ends == 150)
            assert it.shore.seqs(100) >= set(range(1, 151))
            assert it.shore.alarms == []
            epochs = await it.store.read(lambda tx: tx.epochs())
            assert epochs == [(100, 150), (2_000_000_000, 2)]
            await it.known_ashore()
            assert await it.store.read(lambda tx: look(tx, "shore", {})[0].oldest_at_s) is None

    run(main())


def _without(held: object, epoch: int, first: int, last: int):  # type: ignore[no-untyped-def]
    """A shore that never got these."""
    for key in [key for key in held.events if key[2] == epoch and first <= key[3] <= last]:  # type: ignore[attr-defined]
        del held.events[key]  # type: ignore[attr-defined]
    return held


def test_a_silent_difference_is_seen_and_reported_once() -> None:
    async def main() -> None:
        async with world() as it:
            it.power()
            await it.append(*(as_new(event) for event in Typical(1).events(300)))
            await it.all_ashore()
            await it.known_ashore()
            key = ("aurora", "gw1", 100, 77)
            it.shore.held.events[key] = replace(it.shore.held.events[key], at_s=1)
            it.clock.wall_s += DAY_S
            await asyncio.sleep(10)
            found = [e for e in await it.store.read(lambda tx: tx.events(0, 999)) if e.type is EventType.PEER_DIVERGED]
            assert [dict(e.payload) for e in found] == [{"peer": "shore", "epoch": 100, "first": 1, "last": 300}]
            for _ in range(3):
                it.clock.wall_s += DAY_S
                await asyncio.sleep(200)
            again = await it.store.read(lambda tx: tx.events(300, 999))
            assert [e.type for e in again] == [EventType.PEER_DIVERGED]
            assert await it.store.read(lambda tx: tx.compared("shore", 100)) == 301
            assert (await it.service.snapshot()).diverged == 1

    run(main())


def test_what_is_no_acknowledgement_is_passed_over() -> None:
    async def main() -> None:
        async with world() as it:
            await it.append(door(1))
            await UplinkService(it.store, it.clock, it.entropy, it.pipe, SETTINGS).receive(PipeMessage("t", b"early"))
            it.power()
            for junk in (b"", b"\x10", b"\x10" + bytes(99), bytes(5000)):
                await it.service.receive(PipeMessage(it.service.topic, junk))
            await it.all_ashore()

    run(main())


def test_the_snapshot_says_how_it_stands() -> None:
    async def main() -> None:
        async with world() as it:
            it.pipe.cut(True)
            await it.append(door(1), charge(2))
            it.power()
            await asyncio.sleep(1)
            before = await it.service.snapshot()
            assert (before.connected, before.answering, before.connected_since_s) == (False, False, None)
            assert (before.waiting.events, before.waiting.oldest_at_s) == (2, 1_800_000_001)
            assert before.waiting.bytes > 20
            it.pipe.cut(False)
            await it.all_ashore()
            await it.known_ashore()
            after = await it.service.snapshot()
            assert (after.connected, after.answering, after.connected_since_s) == (True, True, 1_800_000_001)
            assert (after.waiting.events, after.waiting.bytes, after.waiting.oldest_at_s) == (0, 0, None)
            assert after.batches == 2
            assert after.bytes_today[MONEY] > 0
            assert after.rtt_ms is not None

    run(main())
