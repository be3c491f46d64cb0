"""How late it has been: found in the store in a few steps, whatever its size, and never below the kept mark."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from steward.adapters.memory import MemoryStore
from steward.app import last_time
from steward.domain.events import EventType, fact
from steward.ports import Tx


def fill(tx: Tx, times: list[int], mark: int | None) -> None:
    for at_s in times:
        tx.append_event(fact(EventType.GATEWAY_STARTED, at_s))
    if mark is not None:
        tx.set_meta("clock.high_water_s", str(mark))


@settings(max_examples=60)
@given(st.integers(0, 70), st.none() | st.integers(0, 200))
async def test_it_is_the_last_event_or_the_mark_if_that_is_later(count: int, mark: int | None) -> None:
    store = MemoryStore()
    times = list(range(100, 100 + count))
    await store.write(lambda tx: fill(tx, times, mark))
    expected = max(times[-1] if times else 0, mark or 0)
    assert await store.read(last_time) == expected


async def test_a_long_log_is_not_read_through() -> None:
    store = MemoryStore()
    await store.write(lambda tx: fill(tx, list(range(5000)), None))
    asked: list[tuple[int, int]] = []

    def work(tx: Tx) -> int:
        original = tx.events

        class Counting:
            def __getattr__(self, name: str) -> object:
                return getattr(tx, name)

            def events(self, after_seq: int, limit: int) -> object:
                asked.append((after_seq, limit))
                return original(after_seq, limit)

        return last_time(Counting())  # type: ignore[arg-type]

    assert await store.read(work) == 4999
    assert len(asked) < 30
    assert {limit for _, limit in asked} == {1}
