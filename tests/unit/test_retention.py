"""What expires is deleted by itself, and never on the word of a clock that may be wrong."""

from __future__ import annotations

import asyncio

from tests.unit.moneykit import HandClock
from tests.unit.servicekit import BARKEEPER, KIRA, Deck

from steward.app import keep_retention
from steward.ports import ClockReading


class DoubtfulClock(HandClock):
    trusted = True

    def now(self) -> ClockReading:
        return ClockReading(self.unix_s, self.trusted)


async def until_gone(deck: Deck, turns: int) -> bool:
    for _ in range(turns):
        await asyncio.sleep(0)
        if await deck.store.read(lambda tx: tx.note_count(KIRA)) == 0:
            return True
    return False


async def test_expired_notes_are_deleted_once_the_time_is_sure() -> None:
    clock = DoubtfulClock()
    deck = await Deck(clock=clock).aboard()
    await deck.notes.add(BARKEEPER, KIRA, "no ice", clock.unix_s + 60)
    keeping = asyncio.create_task(keep_retention(deck.store, clock, every_s=0))
    assert not await until_gone(deck, 20)
    clock.trusted = False
    clock.step(86_400)
    assert not await until_gone(deck, 20)
    clock.trusted = True
    assert await until_gone(deck, 200)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
