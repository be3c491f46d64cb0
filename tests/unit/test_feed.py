"""The feed of taps: live, by outlet, bounded on every side."""

from __future__ import annotations

import asyncio

import pytest

from steward.domain.ids import GuestRef, OutletId
from steward.errors import Busy
from steward.services.feed import RECENT_MAX, SUBSCRIBERS_MAX, WAITING_MAX, Announcement, TapFeed

BAR, SHOP = OutletId("bar"), OutletId("shop")


def tap(number: int, at_s: int = 0) -> Announcement:
    return Announcement(GuestRef(f"{number:016x}"), at_s, "bar-1")


async def test_a_subscriber_hears_its_own_outlet_from_then_on() -> None:
    feed = TapFeed()
    feed.publish(BAR, tap(1))
    with feed.subscribe(BAR) as bar, feed.subscribe(SHOP) as shop, feed.subscribe(BAR) as other:
        waiting = asyncio.create_task(anext(bar))
        await asyncio.sleep(0)
        assert not waiting.done()
        feed.publish(BAR, tap(2))
        feed.publish(SHOP, tap(3))
        assert await waiting == tap(2)
        assert await anext(shop) == tap(3)
        assert await anext(other) == tap(2)
        assert feed.subscriber_count == 3
    assert feed.subscriber_count == 0


async def test_a_slow_subscriber_loses_the_oldest_and_holds_nobody_up() -> None:
    feed = TapFeed()
    with feed.subscribe(BAR) as slow, feed.subscribe(BAR) as quick:
        for number in range(WAITING_MAX + 3):
            feed.publish(BAR, tap(number))
            assert await anext(quick) == tap(number)
        assert [await anext(slow) for _ in range(WAITING_MAX)] == [tap(n) for n in range(3, WAITING_MAX + 3)]


async def test_leaving_twice_is_harmless_and_a_place_is_free_again() -> None:
    feed = TapFeed()
    listening = [feed.subscribe(BAR) for _ in range(SUBSCRIBERS_MAX)]
    with pytest.raises(Busy):
        feed.subscribe(SHOP)
    listening[0].close()
    listening[0].close()
    feed.subscribe(SHOP).close()
    assert feed.subscriber_count == SUBSCRIBERS_MAX - 1


async def test_a_cancelled_wait_loses_no_tap() -> None:
    feed = TapFeed()
    with feed.subscribe(BAR) as listening:
        waiting = asyncio.create_task(anext(listening))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        feed.publish(BAR, tap(1))
        assert await anext(listening) == tap(1)


def test_who_is_here_is_remembered_for_a_while_and_not_for_ever() -> None:
    feed = TapFeed()
    feed.publish(BAR, tap(1, at_s=100))
    assert feed.is_here(BAR, tap(1).ref, 400)
    assert not feed.is_here(BAR, tap(1).ref, 401)
    assert not feed.is_here(SHOP, tap(1).ref, 100)
    for number in range(2, RECENT_MAX + 2):
        feed.publish(BAR, tap(number, at_s=100))
    assert not feed.is_here(BAR, tap(1).ref, 100)
