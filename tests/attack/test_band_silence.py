"""A release that kills bands tells nobody so: silence holds it and then halts it, and guests who sleep halt nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from tests.attack.test_band_releases import store
from tests.releasekit import Aboard, order, told

from bandwire import release as wire
from steward.domain.bandsilence import LISTENED_S, LOST_S, REFRESH_S, STILL_S, heard_of, listened
from steward.domain.bandstages import BandState, BandUpdate, Halt, Stage, encode_orders
from steward.domain.condition import BandCondition
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.guests import BandState as Worn
from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import BandRadio
from steward.ports import Store, Tx
from steward.services.bandreleases import LOOK_EVERY_S

__all__ = ["store"]
LONG_S = 400 * 86_400  # stays last longer than any test


class Deck(Aboard):
    """Bands whose guests agreed to be heard."""

    async def listened_for(self, count: int) -> list[Uid]:
        uids = await self.issue(count)
        now_s = self.clock.now().unix_s

        def work(tx: Tx) -> None:
            for uid in uids:
                band = tx.band(uid)
                assert band is not None
                known = tx.guest(band.guest)
                assert known is not None
                tx.put_guest(replace(known, not_before_s=0, not_after_s=now_s + LONG_S))
                tx.put_radio(BandRadio(uid, True, True, 1, now_s - 3600))
                tx.put_consent(Consent(band.guest, ConsentPurpose.PRESENCE, True, now_s, Source.ABOARD, 1))

        await self.store.write(work)
        return uids

    async def on(self, seconds: float, *alive: Uid) -> None:
        """Time passes; who is alive is heard all the while."""
        end_s = self.clock.passed_s + seconds
        while self.clock.passed_s < end_s:
            self.clock.tick(min(LOOK_EVERY_S * 4, end_s - self.clock.passed_s))
            self.ears.hear(*alive)
            await self.releases.look()

    async def state(self) -> tuple[Halt, int, int, bool]:
        """(halted, failed, silent, whether anybody would be brought it now)."""
        status = await self.releases.status()
        assert status is not None
        assert status.rollout is not None
        assert bool(status.problem) == (status.tally.silent > 0 and not await self.offered([self.spare]))
        return status.rollout.halted, status.tally.failed, status.tally.silent, bool(await self.offered([self.spare]))

    spare = Uid("04" + "F" * 12)


async def deck_with(store: Store, count: int, *stages: Stage, limit: int = 10) -> tuple[Deck, list[Uid]]:
    """`count` bands have taken release 7, and one more, the spare, is among those who may."""
    deck = Deck(store)
    *uids, deck.spare = await deck.listened_for(count + 1)
    await deck.given(7, *(stages or (Stage(100, None, 720, 0),)), limit=limit)
    for uid in uids:
        await deck.begin(uid)
    return deck, uids


async def test_a_release_that_kills_bands_is_held_within_minutes_and_halted_after_two_days(store: Store) -> None:
    deck, _ = await deck_with(store, 2)
    await deck.on(STILL_S - 60)
    assert await deck.state() == (Halt.NONE, 0, 0, True)
    await deck.on(120)
    assert await deck.state() == (Halt.NONE, 0, 2, False)
    await deck.on(LOST_S - STILL_S - 120)
    assert await deck.state() == (Halt.NONE, 0, 2, False)
    await deck.on(120)
    assert await deck.state() == (Halt.FAILURES, 2, 0, False)
    await deck.releases.resume()
    assert await deck.state() == (Halt.NONE, 2, 0, True)


async def test_bands_that_are_heard_again_let_it_go_on_and_the_first_word_counts(store: Store) -> None:
    deck, (one, two, three) = await deck_with(store, 3)
    await deck.on(LOST_S - 3600)
    assert await deck.state() == (Halt.NONE, 0, 3, False)
    await deck.on(120, two, three)  # back from two days ashore
    assert await deck.state() == (Halt.NONE, 0, 1, True)
    await deck.on(7200, two, three)
    assert await deck.state() == (Halt.NONE, 1, 0, True)  # one of three is lost, and no more than that
    await deck.releases.heard(one, told(7))  # and found
    await deck.releases.heard(two, told(7))
    status = await deck.releases.status()
    assert status is not None
    assert (status.tally.kept, status.tally.failed) == (2, 0)


def tapped(uid: Uid) -> Callable[[Tx, int], None]:
    return lambda tx, now_s: tx.put_condition(BandCondition(uid, True, 15, False, now_s))


def switched_off(uid: Uid) -> Callable[[Tx, int], None]:
    return lambda tx, now_s: tx.put_radio(BandRadio(uid, True, False, None, 0))


def told_at_another_gateway(uid: Uid) -> Callable[[Tx, int], None]:
    return lambda tx, now_s: tx.put_radio(BandRadio(uid, True, True, 5, now_s))


def not_wished(uid: Uid) -> Callable[[Tx, int], None]:
    def work(tx: Tx, now_s: int) -> None:
        band = tx.band(uid)
        assert band is not None
        tx.put_consent(Consent(band.guest, ConsentPurpose.PRESENCE, False, now_s, Source.ABOARD, 2))

    return work


def gone_home(uid: Uid) -> Callable[[Tx, int], None]:
    def work(tx: Tx, now_s: int) -> None:
        band = tx.band(uid)
        assert band is not None
        known = tx.guest(band.guest)
        assert known is not None
        tx.put_guest(replace(known, not_after_s=now_s - 1))

    return work


def returned(uid: Uid) -> Callable[[Tx, int], None]:
    return worn(uid, Worn.RETURNED)


def worn(uid: Uid, state: Worn) -> Callable[[Tx, int], None]:
    def work(tx: Tx, now_s: int) -> None:
        band = tx.band(uid)
        assert band is not None
        tx.put_band(replace(band, state=state))

    return work


async def befall(deck: Deck, store: Store, deeds: Sequence[Callable[[Tx, int], None]]) -> None:
    """All of them, now."""
    now_s = deck.clock.now().unix_s

    def work(tx: Tx) -> None:
        for deed in deeds:
            deed(tx, now_s)

    await store.write(work)


@pytest.mark.parametrize("how", [tapped, told_at_another_gateway])
async def test_one_that_was_held_to_a_reader_is_alive_whatever_its_radio_does(
    how: Callable[[Uid], Callable[[Tx, int], None]], store: Store
) -> None:
    deck, uids = await deck_with(store, 3)
    await deck.on(3600)
    assert await deck.state() == (Halt.NONE, 0, 3, False)
    await befall(deck, store, [how(uid) for uid in uids])
    await deck.on(60)
    assert await deck.state() == (Halt.NONE, 0, 0, True)
    await deck.on(LOST_S - 600)
    assert (await deck.state())[0] is Halt.NONE  # its two days begin anew


@pytest.mark.parametrize("how", [switched_off, not_wished, gone_home, returned])
async def test_who_is_not_listened_for_any_more_is_not_silent(
    how: Callable[[Uid], Callable[[Tx, int], None]], store: Store
) -> None:
    deck, uids = await deck_with(store, 3)
    await deck.on(3600)
    assert await deck.state() == (Halt.NONE, 0, 3, False)
    await befall(deck, store, [how(uid) for uid in uids])
    await deck.on(LOST_S + 3600)
    assert await deck.state() == (Halt.NONE, 0, 0, True)


@pytest.mark.parametrize("state", [Worn.FROZEN, Worn.RETIRED])
async def test_a_dead_band_that_the_desk_takes_out_has_failed_at_once(state: Worn, store: Store) -> None:
    deck, (one, two, three) = await deck_with(store, 3)
    await deck.on(3600, three)
    for uid in (one, two, three):
        await store.write(lambda tx, uid=uid: worn(uid, state)(tx, 0))  # type: ignore[misc]
    await deck.on(60)
    # not the third, which was alive when it was taken out
    assert await deck.state() == (Halt.FAILURES, 2, 0, False)
    await deck.on(LOST_S + 3600)
    assert (await deck.state())[1] == 2
    ref = GuestRef(f"{1:016x}")
    await store.write(lambda tx: tx.drop_guest(ref))  # who is forgotten takes the row along
    assert await store.read(lambda tx: tx.band_update(one)) is None


async def test_what_was_told_counts_and_no_silence_after_it(store: Store) -> None:
    deck, (one, two, three) = await deck_with(store, 3)
    await deck.on(3600)
    await deck.releases.heard(one, told(7))
    await deck.releases.heard(two, told(6, 7, wire.TRIED))
    await store.write(lambda tx: worn(two, Worn.FROZEN)(tx, 0))
    await store.write(lambda tx: worn(one, Worn.FROZEN)(tx, 0))
    await deck.on(120, three)
    status = await deck.releases.status()
    assert status is not None
    assert (status.tally.kept, status.tally.failed, status.tally.silent) == (1, 1, 0)


async def test_no_stage_widens_past_silence(store: Store) -> None:
    deck, uids = await deck_with(store, 2, Stage(100, None, 1, 0), Stage(100, None, 720, 0))
    await deck.on(3 * 3600)
    status = await deck.releases.status()
    assert status is not None
    assert status.rollout is not None
    assert (status.rollout.stage, status.tally.silent) == (0, 2)
    await deck.on(120, *uids)
    status = await deck.releases.status()
    assert status is not None
    assert status.rollout is not None
    assert status.rollout.stage == 1


async def test_a_restart_lifts_no_hold_and_forgets_no_silence(store: Store) -> None:
    deck, _ = await deck_with(store, 2)
    await deck.on(LOST_S - 3600)
    for _ in range(3):
        deck.restart()
        assert not await deck.offered([deck.spare])  # nobody has looked yet
        await deck.releases.look()
        assert await deck.state() == (Halt.NONE, 0, 2, False)
    await deck.on(LISTENED_S - 600)
    assert await deck.state() == (Halt.NONE, 0, 2, False)
    await deck.on(1200)
    assert await deck.state() == (Halt.FAILURES, 2, 0, False)


async def test_while_it_is_looked_whether_to_hold_it_nobody_is_brought_it(store: Store) -> None:
    deck, _ = await deck_with(store, 2)
    held = await deck.releases.next_for(deck.spare)
    await deck.on(3600)
    await deck.given(8)
    assert await deck.offered([deck.spare])
    assert held is not None
    await deck.hear(9, encode_orders(order(held.content, 7)))
    looking = asyncio.create_task(deck.releases.look())
    while not looking.done():
        await asyncio.sleep(0)
        assert not await deck.offered([deck.spare])
    assert await deck.state() == (Halt.NONE, 0, 2, False)


async def test_days_without_power_make_nobody_fail(store: Store) -> None:
    deck, uids = await deck_with(store, 5)
    await deck.on(600, *uids)
    deck.clock.tick(5 * 86_400)
    deck.restart()
    await deck.releases.look()
    assert await deck.state() == (Halt.NONE, 0, 5, False)
    await deck.on(120, *uids)
    assert await deck.state() == (Halt.NONE, 0, 0, True)
    await deck.on(LISTENED_S + 3600, *uids)
    assert await deck.state() == (Halt.NONE, 0, 0, True)


@pytest.mark.parametrize("jump_s", [5 * 86_400, -5 * 86_400])
async def test_a_clock_that_is_put_right_makes_nobody_fail_and_no_dead_band_live(jump_s: int, store: Store) -> None:
    deck, (one, two, *alive) = await deck_with(store, 5)
    await deck.on(LISTENED_S + 3600, *alive)
    deck.clock.wall_s += jump_s  # the wall's alone
    await deck.on(LISTENED_S - 600, *alive)
    halted, failed, silent, _ = await deck.state()
    assert (halted, failed, silent) == (Halt.NONE, 0, 2)
    await deck.on(LOST_S, *alive)
    assert await deck.state() == (Halt.FAILURES, 2, 0, False)
    states = [await store.read(lambda tx, uid=uid: tx.band_update(uid)) for uid in (one, two)]  # type: ignore[misc]
    assert [None if state is None else state.state for state in states] == [BandState.FAILED] * 2


@pytest.mark.parametrize("why", ["no radio hears", "the clock is not believed"])
async def test_where_nobody_listens_silence_says_nothing(why: str, store: Store) -> None:
    deck, _ = await deck_with(store, 3)
    deck.ears.listens = why != "no radio hears"
    deck.clock.trusted = why != "the clock is not believed"
    await deck.on(LOST_S + LISTENED_S)
    halted, failed, _, _ = await deck.state()
    assert (halted, failed) == (Halt.NONE, 0)
    deck.ears.listens = deck.clock.trusted = True
    await deck.on(LISTENED_S - 600)
    assert (await deck.state())[:2] == (Halt.NONE, 0)
    await deck.on(1200)
    assert (await deck.state())[:2] == (Halt.FAILURES, 3)


async def test_one_flat_battery_among_many_holds_and_halts_nothing(store: Store) -> None:
    deck, (flat, *others) = await deck_with(store, 12)
    for uid in others:
        await deck.releases.heard(uid, told(7))
    await deck.on(LOST_S + 3600)
    assert await deck.state() == (Halt.NONE, 1, 0, True)
    assert not await deck.offered([flat])


def test_times_of_a_wrong_clock_are_no_signs_of_life() -> None:
    known = BandUpdate(Uid("04" + "0" * 12), 7, BandState.TRYING, 1, 1000)
    assert heard_of(known, [], 5000) == known
    assert heard_of(known, [900, 5001], 5000) == known
    assert heard_of(known, [1000 + REFRESH_S - 1], 5000) == known
    assert heard_of(known, [1000 + REFRESH_S, 900], 5000).at_s == 1000 + REFRESH_S
    assert heard_of(known, [2000], 999).at_s == 999


@pytest.mark.parametrize(
    ("wall_s", "passed_s", "goes_on"),
    [(60, 60, True), (120, 60, True), (121, 60, False), (0, 61, False), (300, 300, True), (301, 301, False)],
)
def test_listening_is_broken_by_a_gap_and_by_a_jump(wall_s: int, passed_s: int, goes_on: bool) -> None:
    first = listened(None, 1000, 0.0)
    again = listened(first, 1000 + wall_s, passed_s * 1000.0)
    assert again.seconds() == (passed_s if goes_on else 0)
