"""Who would put a program of their own on the ship's bands, an old one, or stop the right one: each is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.makers import uid
from tests.releasekit import Aboard, container, order, told
from tests.vaultkit import DATA_KEY, lay_store

from bandwire import release as wire
from steward.adapters.memory import MemoryStore
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.bandrelease import ReleaseFault
from steward.domain.bandstages import FAILURES_MIN, TRIES_MAX, Halt, Stage, encode_orders
from steward.domain.guests import BandState as Worn
from steward.errors import Refused
from steward.ports import Store, Tx
from steward.services.downlink import DownOutcome


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = MemoryStore(first_epoch=1)
    if request.param == "sqlite":
        opened = SqliteStore.open(lay_store(tmp_path / "steward.db"), DATA_KEY)
    yield opened
    await opened.close()


THIEF = Ed25519PrivateKey.from_private_bytes(b"T" * 32)


async def test_it_is_offered_tried_and_kept(store: Store) -> None:
    aboard = Aboard(store)
    (one, *_) = uids = await aboard.issue(5)
    assert await aboard.offered(uids) == 0
    content = await aboard.given(7)
    offered = await aboard.releases.next_for(one)
    assert offered is not None
    assert offered.content == content
    await aboard.begin(one)
    assert await aboard.releases.next_for(one) is not None  # until it says what became of it
    await aboard.releases.heard(one, told(6, 7, wire.TRIED, running=1))  # on trial: nothing is known yet
    assert await aboard.releases.next_for(one) is not None
    await aboard.releases.heard(one, told(7, 6, running=1, current=1))
    assert await aboard.releases.next_for(one) is None
    status = await aboard.releases.status()
    assert status is not None
    assert (status.tally.kept, status.tally.failed) == (1, 0)


@pytest.mark.parametrize(
    "forged",
    [
        container(7, key=THIEF),
        container(7)[:-1],
        container(7)[:-1] + b"x",  # a file that is not what the signed header says
        container(7) + b"x",
        container(8),  # signed, but another one than was ordered
        b"",
    ],
)
async def test_a_file_that_the_release_key_has_not_signed_as_ordered_goes_to_no_band(forged: bytes) -> None:
    aboard = Aboard()
    uids = await aboard.issue(3)
    aboard.files.put(forged)
    await aboard.hear(1, encode_orders(order(forged, 7)))
    await aboard.releases.look()
    assert await aboard.offered(uids) == 0
    status = await aboard.releases.status()
    assert status is not None
    assert status.problem
    assert status.rollout is None


async def test_orders_that_shore_has_not_signed_for_this_ship_change_nothing() -> None:
    aboard = Aboard()
    uids = await aboard.issue(3)
    content = container(9)
    aboard.files.put(content)
    body = encode_orders(order(content, 9))
    assert await aboard.hear(1, body, key=THIEF) is DownOutcome.REFUSED
    assert await aboard.hear(1, body, ship="borealis") is DownOutcome.REFUSED
    assert await aboard.hear(1, b"\x81\x00") is DownOutcome.REFUSED
    await aboard.releases.look()
    assert await aboard.releases.status() is None
    assert await aboard.offered(uids) == 0


async def test_an_old_order_that_is_played_back_brings_no_old_release_back() -> None:
    aboard = Aboard()
    uids = await aboard.issue(3)
    old = encode_orders(order(await aboard.given(7, version=10), 7))
    content = await aboard.given(8, version=11)
    assert await aboard.hear(10, old) is DownOutcome.REFUSED
    await aboard.releases.look()
    offered = await aboard.releases.next_for(uids[0])
    assert offered is not None
    assert (offered.number, offered.content) == (8, content)


async def test_one_band_that_lies_fails_once_and_halts_nothing(store: Store) -> None:
    aboard = Aboard(store)
    liar, *others = uids = await aboard.issue(30)
    await aboard.given(7, limit=0)
    for _ in range(50):
        await aboard.releases.heard(liar, told(6, 7, wire.TRIED))
        await aboard.releases.refused(liar, 7)
    status = await aboard.releases.status()
    assert status is not None
    assert status.rollout is not None
    assert (status.tally.failed, status.rollout.halted) == (1, Halt.NONE)
    assert await aboard.releases.next_for(liar) is None
    assert await aboard.offered(others) == len(uids) - 1


async def test_bands_of_nobody_count_for_nothing() -> None:
    aboard = Aboard()
    uids = await aboard.issue(FAILURES_MIN)
    await aboard.given(7, limit=0)

    def frozen(tx: Tx) -> None:
        for one in uids:
            known = tx.band(one)
            assert known is not None
            tx.put_band(replace(known, state=Worn.FROZEN))

    await aboard.store.write(frozen)
    for one in [*uids, *[uid(number) for number in range(500, 510)]]:
        await aboard.releases.refused(one, 7)
        await aboard.releases.heard(one, told(6, 7, wire.TRIED))
        assert await aboard.releases.next_for(one) is None
    status = await aboard.releases.status()
    assert status is not None
    assert status.tally.failed == 0


@pytest.mark.parametrize("nonsense", [b"", bytes(19), bytes(21), b"\x02" + bytes(19), b"\0\0\x09" + bytes(17)])
async def test_a_band_that_tells_nonsense_is_told_apart(nonsense: bytes) -> None:
    aboard = Aboard()
    (one,) = await aboard.issue(1)
    await aboard.given(7)
    with pytest.raises(ReleaseFault):
        await aboard.releases.heard(one, nonsense)
    await aboard.releases.heard(one, bytes(20))  # from source
    status = await aboard.releases.status()
    assert status is not None
    assert (status.tally.kept, status.tally.failed) == (0, 0)


async def test_a_band_that_never_finishes_is_left_alone_after_a_while() -> None:
    aboard = Aboard()
    (one,) = await aboard.issue(1)
    await aboard.given(7)
    for _ in range(TRIES_MAX):
        await aboard.begin(one)
    assert await aboard.releases.next_for(one) is None


async def test_failures_halt_it_at_once_and_a_restart_changes_nothing(store: Store) -> None:
    aboard = Aboard(store)
    uids = await aboard.issue(40)
    await aboard.given(7, Stage(100, None, 1, 0), Stage(100, None, 1, 0), limit=20)
    for one in uids[:10]:
        await aboard.releases.heard(one, told(7))
    for one in uids[10 : 10 + FAILURES_MIN]:
        assert await aboard.offered(uids[20:]) == 20
        await aboard.releases.heard(one, told(6, 7, wire.TRIED))
    assert await aboard.offered(uids) == 0
    aboard.restart()
    aboard.clock.wall_s += 86_400
    await aboard.releases.look()
    assert await aboard.offered(uids) == 0
    await aboard.releases.resume()
    assert await aboard.offered(uids[20:]) == 20
    assert await aboard.offered(uids[10 : 10 + FAILURES_MIN]) == 0  # who failed is not asked again
    with pytest.raises(Refused, match="not halted"):
        await aboard.releases.resume()


async def test_what_a_hand_halted_stays_so_over_a_restart_and_days(store: Store) -> None:
    aboard = Aboard(store)
    uids = await aboard.issue(4)
    await aboard.given(7, Stage(100, None, 1, 0), Stage(100, None, 1, 0))
    await aboard.releases.heard(uids[0], told(7))
    await aboard.releases.halt()
    for _ in range(3):
        aboard.clock.tick(86_400)
        aboard.restart()
        await aboard.releases.look()
        status = await aboard.releases.status()
        assert status is not None
        assert status.rollout is not None
        assert (status.rollout.halted, status.rollout.stage) == (Halt.OPERATOR, 0)
        assert await aboard.offered(uids) == 0


async def test_halting_and_resuming_at_once_leave_one_of_the_two(store: Store) -> None:
    aboard = Aboard(store)
    uids = await aboard.issue(30)
    await aboard.given(7, limit=0)
    for round_ in range(4):
        bad = uids[round_ * FAILURES_MIN : (round_ + 1) * FAILURES_MIN]
        work = [aboard.releases.refused(one, 7) for one in bad]
        done = await asyncio.gather(*work, aboard.releases.halt(), aboard.releases.look(), return_exceptions=True)
        assert all(result is None or isinstance(result, Refused) for result in done)
        assert await aboard.offered(uids) == 0
        both = await asyncio.gather(aboard.releases.resume(), aboard.releases.resume(), return_exceptions=True)
        assert sorted(isinstance(result, Refused) for result in both) == [False, True]
        status = await aboard.releases.status()
        assert status is not None
        assert status.rollout is not None
        assert (status.rollout.halted, status.rollout.forgiven) == (Halt.NONE, len(bad) * (round_ + 1))


async def test_stages_go_by_time_and_successes_and_a_new_release_begins_anew() -> None:
    aboard = Aboard()
    uids = await aboard.issue(100)
    await aboard.given(7, Stage(None, (8001, 8010), 2, 3), Stage(100, None, 2, 0))
    assert await aboard.offered(uids) == 10
    for one in uids[:3]:
        await aboard.releases.heard(one, told(7))
    await aboard.releases.look()
    assert await aboard.offered(uids) == 7  # its time is not over
    aboard.clock.wall_s += 2 * 3600
    await aboard.releases.look()
    assert await aboard.offered(uids) == 97
    await aboard.given(8, Stage(None, (8001, 8010), 2, 3))
    assert await aboard.offered(uids) == 10
    assert await aboard.hear(99, encode_orders(None)) is DownOutcome.APPLIED
    assert await aboard.offered(uids) == 0
    await aboard.releases.look()
    assert await aboard.releases.status() is None
    with pytest.raises(Refused, match="no release"):
        await aboard.releases.halt()
