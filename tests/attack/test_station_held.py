"""A stranger on the crew's network at a station: neither holds it, nor gets a tap that is meant for another."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.moneykit import CountingEntropy, HandClock
from tests.unit.servicekit import Deck

from steward.domain.crew import LoginId, LoginState
from steward.domain.ids import GuestRef, Uid
from steward.errors import Refused
from steward.services.logins import (
    BEGINS_BURST,
    PAUSE_MS,
    PEERS_MAX,
    TAP_WITHIN_MS,
    TURN_MS,
    WAITING_MAX,
    CrewTap,
    Logins,
)

BAR, MINE, THIEF = "bar-crew", "10.0.0.7", "10.0.0.66"
TAP = CrewTap(BAR, GuestRef("c" * 16), Uid("04" + "0" * 12), 1, 0)
WAITING, QUEUED, TAPPED, EXPIRED = LoginState.WAITING, LoginState.QUEUED, LoginState.TAPPED, LoginState.EXPIRED


class Station:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.logins = Logins(self.clock, CountingEntropy())
        self.count = 0

    def begin(self, peer: str = THIEF, client: str = "") -> LoginId:
        self.count += 1
        return self.logins.begin(BAR, client or f"{peer}-{self.count}", peer)

    async def state(self, login: LoginId) -> LoginState:
        for seen in (WAITING, QUEUED):
            state = await self.logins.wait(login, 0, seen)
        return state

    async def turn_of(self, login: LoginId) -> float:
        """How long it takes until the page of this handheld says to hold the band there."""
        start = self.clock.ms
        while await self.state(login) is not WAITING:
            assert self.clock.ms - start < TAP_WITHIN_MS
            self.clock.ms += 100
        return self.clock.ms - start


@pytest.fixture
def at() -> Station:
    return Station()


async def test_a_stranger_who_sits_and_waits_costs_a_crew_member_one_turn(at: Station) -> None:
    """Held again and again, by as many as fit there: whoever comes is next."""
    for _ in range(WAITING_MAX):
        at.begin()
    for _ in range(20):
        mine = at.begin(MINE, "mine")
        assert await at.turn_of(mine) <= TURN_MS + PAUSE_MS
        assert at.logins.tapped(BAR, TAP)
        assert at.logins.tap_of(mine) == TAP
        assert at.logins.use(mine)
        at.clock.ms += 7_000
        at.begin()


async def test_even_many_addresses_that_wait_only_make_it_a_minute_at_most(at: Station) -> None:
    for number in range(WAITING_MAX):
        at.begin(f"10.0.1.{number}")
    at.clock.ms += 3 * (TURN_MS + PAUSE_MS)
    mine = at.begin(MINE)
    assert await at.turn_of(mine) < TAP_WITHIN_MS
    assert at.logins.tapped(BAR, TAP)
    assert at.logins.tap_of(mine) == TAP


async def test_a_tap_is_only_ever_of_whose_page_says_so(at: Station) -> None:
    """Through four rounds of three handhelds, a tap each 100 ms: it goes where the page said, or to nobody."""
    for ms in range(0, 4 * 3 * (TURN_MS + PAUSE_MS), 100):
        fresh = Station()
        logins = [fresh.begin(f"10.0.0.{n}") for n in range(3)]
        for _ in range(0, ms % TAP_WITHIN_MS, 500):
            fresh.clock.ms += min(500, ms)
            for login in logins:
                await fresh.state(login)
        told = [login for login in logins if await fresh.state(login) is WAITING]
        assert len(told) <= 1
        assert fresh.logins.tapped(BAR, TAP) is bool(told)
        assert [login for login in logins if await fresh.state(login) is TAPPED] == told


async def test_a_band_that_comes_a_moment_late_logs_in_nobody(at: Station) -> None:
    mine, thief = at.begin(MINE), at.begin()
    assert (await at.state(mine), await at.state(thief)) == (WAITING, QUEUED)
    at.clock.ms += TURN_MS
    assert (await at.state(mine), await at.state(thief)) == (QUEUED, QUEUED)
    assert not at.logins.tapped(BAR, TAP)
    at.clock.ms += PAUSE_MS - 1
    assert not at.logins.tapped(BAR, TAP)
    at.clock.ms += 1
    assert (await at.state(mine), await at.state(thief)) == (QUEUED, WAITING)


async def test_a_band_left_on_the_reader_does_not_log_in_the_next(at: Station) -> None:
    mine, next_ = at.begin(MINE), at.begin("10.0.0.8")
    assert at.logins.tapped(BAR, TAP)
    assert not at.logins.tapped(BAR, TAP)
    at.clock.ms += PAUSE_MS
    assert (await at.state(mine), await at.state(next_)) == (TAPPED, WAITING)


async def test_alone_a_turn_has_no_end_and_has_one_once_another_comes(at: Station) -> None:
    mine = at.begin(MINE)
    at.clock.ms += TAP_WITHIN_MS - 20_000
    assert await at.state(mine) is WAITING
    thief = at.begin()
    at.clock.ms += TURN_MS - 1
    assert await at.state(mine) is WAITING, "not cut off in the middle"
    at.clock.ms += 1
    assert await at.state(mine) is QUEUED
    at.begin(THIEF, "gone")  # begins and is not heard of again
    assert await at.turn_of(thief) <= 3 * (TURN_MS + PAUSE_MS)


async def test_too_many_push_out_their_own_and_never_who_is_being_served(at: Station) -> None:
    mine = at.begin(MINE)
    waiting = [at.begin() for _ in range(WAITING_MAX + 3)]
    assert await at.state(mine) is WAITING
    assert [await at.state(login) for login in waiting].count(EXPIRED) == 4
    mine = at.begin("10.0.0.9")
    assert await at.state(mine) is QUEUED
    for number in range(10):
        at.begin(THIEF, f"more-{number}")
    assert await at.turn_of(mine) <= 2 * (TURN_MS + PAUSE_MS)


async def test_beginning_is_limited_for_each_address_and_what_is_remembered_is_bounded(at: Station) -> None:
    for _ in range(BEGINS_BURST):
        at.begin()
    for _ in range(3):
        with pytest.raises(Refused, match="login_too_often"):
            at.begin()
    at.begin(MINE)
    at.clock.ms += 2_000
    at.begin()
    for number in range(2 * PEERS_MAX):
        at.begin(f"fe80::{number:x}")
    assert len(at.logins._begins) == PEERS_MAX
    assert len(at.logins._open) <= WAITING_MAX


async def test_who_waits_is_told_of_a_change_at_once() -> None:
    """On the real clock: the long poll ends when the turn comes, when the tap comes, when the place is lost."""
    deck = Deck()
    mine, other = deck.crew.begin(BAR, "mine", MINE), deck.crew.begin(BAR, "other", THIEF)
    waiting = asyncio.create_task(deck.crew.wait_tap(other, 30, QUEUED))
    await asyncio.sleep(0)
    deck.clock.ms += PAUSE_MS
    assert deck.crew.tapped(BAR, deck.crew_tap())
    deck.clock.ms += PAUSE_MS
    assert await deck.crew.wait_tap(mine, 30, WAITING) is TAPPED
    async with asyncio.timeout(20):
        assert await waiting is WAITING
    waiting = asyncio.create_task(deck.crew.wait_tap(other, 30, WAITING))
    await asyncio.sleep(0)
    deck.crew.begin(BAR, "other", THIEF)
    assert await waiting is EXPIRED
