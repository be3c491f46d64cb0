"""Whose the bytes on the link are, and the budgets that are kept with them: over restarts and full disks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.linkkit import ROUGH, Hub, LoopClock, SeededEntropy
from tests.sim.loop import run
from tests.typical import Ship as Typical
from tests.unit.uplinkkit import (
    DAY_S,
    SETTINGS,
    Failing,
    as_new,
    charge,
    freeze,
    sent_events,
    world,
)

from steward.domain.tally import LINK
from steward.domain.topics import INSIGHT, MONEY, SAFETY
from steward.domain.uplink import UplinkLimits
from steward.errors import StoreUnavailable
from steward.services.uplink import UplinkService


def test_the_budget_holds_insight_but_neither_safety_nor_money_and_lasts_over_a_restart() -> None:
    async def main() -> None:
        settings = replace(SETTINGS, budget={INSIGHT: 8000, SAFETY: 1, MONEY: 1}, limits=UplinkLimits(batch_events=20))
        async with world(settings=settings) as it:
            insight = [as_new(event) for event in Typical(1).events(2000, INSIGHT)]
            await it.append(*insight, *(freeze(n) for n in range(500)), *(charge(n) for n in range(500)))
            it.power()
            at_once = 8000 * (0.25 + it.clock.now().unix_s % DAY_S / DAY_S)
            await it.until(lambda: it.shore.seqs(100) >= set(range(2001, 3001)))
            await asyncio.sleep(30)
            first = sent_events(it.batches, INSIGHT)
            assert 0 < first < 2000
            spent = (await it.store.read(lambda tx: tx.bytes_spent("shore", it.clock.now().unix_s // DAY_S)))[INSIGHT]
            assert at_once <= spent < at_once + 3000
            assert (await it.service.snapshot()).held_by_budget == {INSIGHT}
            await it.kill()
            it.power()
            await asyncio.sleep(60)
            assert sent_events(it.batches, INSIGHT) <= first + 20
            it.clock.wall_s += DAY_S
            await asyncio.sleep(60)
            assert sent_events(it.batches, INSIGHT) > 1.5 * first
            await it.append(freeze(9999))
            await it.until(lambda: 3001 in it.shore.seqs(100))

    run(main())


def test_every_byte_at_the_socket_is_somebody_s_and_kept_over_restarts() -> None:
    """Over a rough line, with restarts and cuts: sums are the pipe's own count, in the process and in the store."""

    async def main(seed: int) -> None:
        async with world(ROUGH, seed) as it:
            day = it.clock.now().unix_s // DAY_S
            for life in range(4):
                it.pipe._sent, it.pipe._received = 0, 0  # a process counts from its start
                kept = sum((await it.store.read(lambda tx: tx.bytes_spent("shore", day))).values())
                it.power()
                for part in range(3):
                    await it.append(*(as_new(event) for event in Typical(seed * 100 + life * 10 + part).events(60)))
                    await asyncio.sleep(it.hub.draw.choice((0.5, 3.0, 20.0)))
                    it.pipe.cut(True)
                    await asyncio.sleep(it.hub.draw.choice((0.0, 5.0)))
                    it.pipe.cut(False)
                    shown = await it.service.snapshot()
                    assert sum(shown.bytes_total.values()) == shown.socket.sent + shown.socket.received
                    assert sum(shown.bytes_today.values()) == kept + sum(shown.bytes_total.values())
                for task in it.tasks:
                    task.cancel()
                await asyncio.gather(*it.tasks, return_exceptions=True)
                await it.service.save()
                counted = it.pipe.counted()
                spent = await it.store.read(lambda tx: tx.bytes_spent("shore", day))
                assert sum(spent.values()) == kept + counted.sent + counted.received

    for seed in range(6):
        run(main(seed))


def test_a_question_and_a_decision_from_above_are_no_class_s_bytes() -> None:
    async def main() -> None:
        async with world() as it:
            it.power()
            await it.append(charge(1))
            await it.all_ashore()
            await it.known_ashore()
            await it.pipe.subscribe("steward/1/aurora/down/+")
            before = (await it.service.snapshot()).bytes_total
            assert {cls for cls, size in before.items() if size} == {MONEY, LINK}
            await it.hub.pipe().publish("steward/1/aurora/down/catalogue", bytes(100_000))
            await asyncio.sleep(5)
            after = (await it.service.snapshot()).bytes_total
            assert after[MONEY] <= before[MONEY] + 100
            assert after[LINK] >= before[LINK] + 99_900

    run(main())


async def test_bytes_that_could_not_be_kept_are_kept_later() -> None:
    pipe, store, clock = Hub().pipe(), Failing(first_epoch=100), LoopClock()
    service = UplinkService(store, clock, SeededEntropy(1), pipe, SETTINGS)
    sending = asyncio.create_task(service.run())
    await asyncio.sleep(0.1)
    store.broken = True
    with pytest.raises(StoreUnavailable):
        await service.save()
    store.broken = False
    await service.save()
    spent = await store.read(lambda tx: tx.bytes_spent("shore", clock.now().unix_s // DAY_S))
    assert sum(spent.values()) == pipe.counted().sent > 0
    sending.cancel()
    await asyncio.wait([sending])
