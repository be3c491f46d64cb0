"""Bands of the wrong ship, time or issue number, frozen ones, and a door that lost its clock; with real bands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.attack.shipkit import (
    CABIN,
    DAY_S,
    DESK,
    DOOR,
    NEXT_CABIN,
    NEXT_DOOR,
    POOL,
    TILL,
    alerts,
    assert_open,
    assert_shut,
    band,
    ship,
)

from steward.adapters.keyfile import KeyFile, new_key_file
from steward.adapters.system import OsEntropy, SystemClock

ENTROPY = OsEntropy()
NOW_S = 1_800_000_000


@pytest.fixture(scope="module")
def site_keys() -> KeyFile:
    return new_key_file(7, ENTROPY, NOW_S)


# the wrong ship, the wrong time


async def test_another_ships_band(site_keys: KeyFile, tmp_path: Path) -> None:
    """With keys of its own it proves nothing here, and a desk here does not overwrite it."""
    async with ship(keys=new_key_file(8, ENTROPY, NOW_S), site=8) as other, await band(tmp_path) as wrist:
        await other.issue(await other.check_in(), wrist)
        async with ship(keys=site_keys) as rig:
            await assert_shut(rig, await rig.tap(wrist, DOOR), "not_our_card")
            job = await rig.encoder.request((await rig.check_in()).ref, DESK)
            assert (await rig.tap(wrist, DESK)).code == "not_our_card"
            await rig.encoder.cancel(job)
        await assert_open(other, wrist)


async def test_another_ships_band_without_random_id(site_keys: KeyFile, tmp_path: Path) -> None:
    keys_there = new_key_file(8, ENTROPY, NOW_S)
    async with ship(keys=keys_there, site=8, random_id=False) as other, await band(tmp_path) as wrist:
        await other.issue(await other.check_in(), wrist)
        async with ship(keys=site_keys, random_id=False) as rig:
            await assert_shut(rig, await rig.tap(wrist, DOOR), "auth_failed")
            job = await rig.encoder.request((await rig.check_in()).ref, DESK)
            assert (await rig.tap(wrist, DESK)).code == "foreign_card"
            await rig.encoder.cancel(job)
        await assert_open(other, wrist)


async def test_a_sister_ship_with_the_same_keys(site_keys: KeyFile, tmp_path: Path) -> None:
    """The site in the token is judged by itself, not only through the keys it goes into."""
    async with ship(keys=site_keys, site=8) as sister, await band(tmp_path) as wrist, ship(keys=site_keys) as rig:
        await sister.issue(await sister.check_in(), wrist)
        await assert_open(sister, wrist)
        for door in (DOOR, POOL):
            await assert_shut(rig, await rig.tap(wrist, door), "wrong_site")
        assert (await rig.charge(wrist, TILL, 500)).code == "wrong_site"
        assert await rig.store.read(lambda tx: tx.stay_of(CABIN)) == 0


@pytest.mark.parametrize(
    ("begins_s", "ends_s", "code"),
    [
        (-10 * DAY_S, -301, "expired"),
        (301 + 60, 10 * DAY_S, "not_yet_valid"),
        (-10 * DAY_S, -200, "granted"),  # within the drift allowed
        (200, 10 * DAY_S, "granted"),
    ],
)
async def test_before_and_after_the_stay(tmp_path: Path, begins_s: int, ends_s: int, code: str) -> None:
    async with ship() as rig, await band(tmp_path) as wrist:
        now_s = rig.clock.now().unix_s
        guest = await rig.check_in(not_before_s=now_s + begins_s, not_after_s=now_s + ends_s)
        await rig.issue(guest, wrist)
        assert (await rig.tap(wrist, DOOR)).code == code
        assert rig.doors.signals[-1].open is (code == "granted")
        if code != "granted":
            assert (await rig.charge(wrist, TILL, 500)).code == code
            assert await rig.store.read(lambda tx: tx.stay_of(CABIN)) == 0


async def test_the_next_guests_band_does_not_lock_out_this_one(tmp_path: Path) -> None:
    """Encoded ahead and tried at the door too early: its higher stay must not count before its time."""
    async with ship() as rig, await band(tmp_path, "now") as now, await band(tmp_path, "next") as later:
        await rig.issue(await rig.check_in("B1"), now)
        starts_s = rig.clock.now().unix_s + DAY_S
        following = await rig.check_in("B2", not_before_s=starts_s, not_after_s=starts_s + DAY_S)
        await rig.issue(following, later)
        assert following.cabins[0].stay == 2
        await assert_shut(rig, await rig.tap(later, DOOR), "not_yet_valid")
        await assert_open(rig, now)


# doors that have heard nothing


async def test_an_older_band_at_a_door_that_never_heard_of_its_replacement(site_keys: KeyFile, tmp_path: Path) -> None:
    async with (
        ship(keys=site_keys) as desk,
        ship(keys=site_keys) as far,
        await band(tmp_path, "old") as old,
        await band(tmp_path, "new") as new,
        await band(tmp_path, "mate") as mate,
    ):
        guest = await desk.check_in("B1")
        lost = await desk.issue(guest, old)
        await desk.issue(await desk.check_in("B1"), mate)
        await assert_open(far, old)
        await desk.issue(guest, new, replaces=lost.uid)
        await assert_open(far, old)  # nobody told this door, and the new band has not been here
        await assert_open(far, new)
        await assert_shut(far, await far.tap(old, DOOR), "superseded")
        await assert_shut(far, await far.tap(old, POOL), "superseded")
        assert (await far.charge(old, TILL, 500)).code == "superseded"
        await assert_open(far, mate)
        await assert_open(far, new)


async def test_an_older_band_at_a_door_that_has_only_seen_the_new_one(site_keys: KeyFile, tmp_path: Path) -> None:
    async with (
        ship(keys=site_keys) as desk,
        ship(keys=site_keys) as far,
        await band(tmp_path, "old") as old,
        await band(tmp_path, "new") as new,
    ):
        guest = await desk.check_in("B1")
        lost = await desk.issue(guest, old)
        await desk.issue(guest, new, replaces=lost.uid)
        await assert_open(far, new, POOL)  # learnt at another door of the same gateway
        await assert_shut(far, await far.tap(old, DOOR), "superseded")


async def test_an_older_stay_at_a_door_that_never_heard_of_the_new_party(site_keys: KeyFile, tmp_path: Path) -> None:
    async with (
        ship(keys=site_keys) as desk,
        ship(keys=site_keys) as far,
        await band(tmp_path, "old") as old,
        await band(tmp_path, "new") as new,
        await band(tmp_path, "next") as neighbour,
    ):
        await desk.issue(await desk.check_in("B1", (CABIN, NEXT_CABIN)), old)
        await desk.issue(await desk.check_in("B2", (CABIN,)), new)
        await desk.issue(await desk.check_in("B1", (NEXT_CABIN,)), neighbour)
        await assert_open(far, old)
        await assert_open(far, new)
        await assert_shut(far, await far.tap(old, DOOR), "superseded")
        await assert_open(far, old, NEXT_DOOR)  # the other cabin has no new party
        await assert_open(far, neighbour, NEXT_DOOR)


REFUSED_ELSEWHERE = ["frozen", "expired", "wrong_cabin"]


@pytest.mark.parametrize("why", REFUSED_ELSEWHERE)
async def test_a_newer_band_that_is_refused_retires_nothing(site_keys: KeyFile, tmp_path: Path, why: str) -> None:
    """A higher issue number is adopted after every other check, or anybody's refused band could lock a guest out."""
    async with (
        ship(keys=site_keys) as desk,
        ship(keys=site_keys) as far,
        await band(tmp_path, "old") as old,
        await band(tmp_path, "new") as new,
    ):
        await desk.issue(await desk.check_in("B1"), old)
        now_s = desk.clock.now().unix_s
        ended: Any = {"not_before_s": now_s - DAY_S, "not_after_s": now_s - 3600} if why == "expired" else {}
        job = await desk.issue(await desk.check_in("B2", **ended), new)
        if why == "frozen":
            assert job.uid is not None
            await far.store.write(lambda tx: tx.deny(job.uid, 5, "lost"))  # type: ignore[arg-type]
        door = NEXT_DOOR if why == "wrong_cabin" else DOOR
        await assert_shut(far, await far.tap(new, door), why)
        await assert_open(far, old)


# frozen, and the clock lost


async def test_a_frozen_band(tmp_path: Path) -> None:
    async with ship() as rig, await band(tmp_path) as wrist:
        job = await rig.issue(await rig.check_in(), wrist)
        assert job.uid is not None
        await assert_open(rig, wrist)
        await rig.desk.freeze(job.uid, "lost", "desk")
        for door in (DOOR, POOL):
            await assert_shut(rig, await rig.tap(wrist, door), "frozen")
        assert (await rig.charge(wrist, TILL, 500)).code == "frozen"
        assert await alerts(rig) == ["frozen_band_used"] * 3
        # At a door it has no right to at all, the door says so and does not raise the alarm.
        await assert_shut(rig, await rig.tap(wrist, NEXT_DOOR), "wrong_cabin")


def lost_clock() -> SystemClock:
    """A gateway that booted without a battery: its store has seen later times than its clock shows."""
    return SystemClock(high_water_s=int(SystemClock().now().unix_s) + 30 * DAY_S)


async def test_a_lost_clock_forgets_the_time_and_nothing_else(site_keys: KeyFile, tmp_path: Path) -> None:
    async with (
        ship(keys=site_keys) as desk,
        ship(keys=site_keys, clock=lost_clock()) as far,
        await band(tmp_path, "expired") as expired,
        await band(tmp_path, "old") as old,
        await band(tmp_path, "new") as new,
        await band(tmp_path, "frozen") as frozen,
    ):
        assert far.clock.now().trusted is False
        now_s = desk.clock.now().unix_s
        over: Any = {"not_before_s": now_s - 9 * DAY_S, "not_after_s": now_s - DAY_S}
        await desk.issue(await desk.check_in("B1", (NEXT_CABIN,), **over), expired)
        assert (await desk.tap(expired, NEXT_DOOR)).code == "expired"
        await assert_open(far, expired, NEXT_DOOR)
        assert await alerts(far) == ["clock_lost"]
        guest = await desk.check_in("B2")
        lost = await desk.issue(guest, old)
        await desk.issue(guest, new, replaces=lost.uid)
        await assert_open(far, new)
        await assert_shut(far, await far.tap(old, DOOR), "superseded")
        job = await desk.issue(await desk.check_in("B2"), frozen)
        await far.store.write(lambda tx: tx.deny(job.uid, 5, "lost"))  # type: ignore[arg-type]
        await assert_shut(far, await far.tap(frozen, DOOR), "frozen")
        await assert_shut(far, await far.tap(new, NEXT_DOOR), "wrong_cabin")
        assert set(await alerts(far)) == {"clock_lost", "frozen_band_used"}
