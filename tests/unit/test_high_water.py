"""How late it has been: only what the clock said while it was believed, never what an event was dated with."""

from __future__ import annotations

from steward.adapters.memory import MemoryStore
from steward.adapters.system import SystemClock
from steward.domain.events import EventType, fact
from steward.services.clockmark import last_time, set_mark

NOW_S = 1_800_000_000
YEAR_S = 365 * 86_400


async def test_a_new_store_knows_no_time() -> None:
    assert await MemoryStore().read(last_time) == 0


async def test_it_is_the_mark() -> None:
    store = MemoryStore()
    await store.write(lambda tx: set_mark(tx, NOW_S))
    assert await store.read(last_time) == NOW_S


async def test_events_of_a_clock_that_had_jumped_do_not_make_the_right_time_look_lost() -> None:
    store, wall = MemoryStore(), float(NOW_S)
    clock = SystemClock(wall=lambda: wall, monotonic=lambda: 0.0)
    await store.write(lambda tx: set_mark(tx, clock.now().unix_s))
    wall += YEAR_S
    jumped = clock.now()
    assert not jumped.trusted
    await store.write(lambda tx: tx.append_event(fact(EventType.DOOR_OPENED, jumped.unix_s)))
    after = SystemClock(high_water_s=await store.read(last_time), wall=lambda: NOW_S + 60.0, monotonic=lambda: 0.0)
    assert after.now().trusted
