"""Batteries and last taps, the same in memory and on SQLite: counted, listed, gone with the band."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import ANNA, AT_S, BOB, band, guest, uid
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.condition import BandCondition
from steward.domain.guests import BandState
from steward.ports import Store, Tx

TOLD = BandCondition(uid(1), True, 57, True, AT_S)


def told(number: int, percent: int | None = 50, at_s: int = AT_S, *, active: bool = True) -> BandCondition:
    return BandCondition(uid(number), active, percent, False, at_s)


async def fill(store: Store, *conditions: BandCondition) -> None:
    def work(tx: Tx) -> None:
        for each in conditions:
            tx.put_condition(each)

    await store.write(work)


async def test_the_last_word_is_kept(store: Store) -> None:
    assert await store.read(lambda tx: tx.condition(uid(1))) is None
    await fill(store, TOLD)
    assert await store.read(lambda tx: tx.condition(uid(1))) == TOLD
    later = BandCondition(uid(1), False, None, False, AT_S + 5)
    await fill(store, later)
    assert await store.read(lambda tx: tx.condition(uid(1))) == later


@pytest.mark.parametrize("state", [BandState.RETIRED, BandState.RETURNED])
async def test_it_goes_with_the_band(store: Store, state: BandState) -> None:
    await store.write(lambda tx: tx.put_band(band(1)))
    await fill(store, TOLD, told(2))
    await store.write(lambda tx: tx.put_band(replace(band(1), state=state)))
    assert await store.read(lambda tx: tx.condition(uid(1))) is None
    assert await store.read(lambda tx: tx.condition(uid(2))) == told(2)


async def test_a_frozen_band_keeps_it(store: Store) -> None:
    await store.write(lambda tx: tx.put_band(band(1)))
    await fill(store, TOLD)
    await store.write(lambda tx: tx.put_band(replace(band(1), state=BandState.FROZEN)))
    assert await store.read(lambda tx: tx.condition(uid(1))) == TOLD
    assert await store.read(lambda tx: tx.low_batteries(100, AT_S, 9)) == []


async def test_a_transaction_that_fails_drops_nothing(store: Store) -> None:
    await store.write(lambda tx: tx.put_band(band(1)))
    await fill(store, TOLD)

    def torn(tx: Tx) -> None:
        tx.put_band(replace(band(1), state=BandState.RETIRED))
        tx.put_condition(told(2))
        tx.forget_conditions(AT_S + 1)
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        await store.write(torn)
    assert await store.read(lambda tx: tx.condition(uid(1))) == TOLD
    assert await store.read(lambda tx: tx.condition(uid(2))) is None


async def test_counts_are_of_bands_issued_or_tapped_here(store: Store) -> None:
    def bands(tx: Tx) -> None:
        for number in range(1, 5):
            tx.put_band(replace(band(number), active=number != 4))
        tx.put_band(replace(band(5), state=BandState.FROZEN))

    await store.write(bands)
    await fill(store, told(1, 57), told(2, 57), told(5, 3), told(8, None, active=False), told(9, 12))
    assert await store.read(lambda tx: dict(tx.battery_counts())) == {
        (True, 57): 2,
        (True, None): 1,  # band 3: issued, never tapped here
        (False, None): 2,  # band 4, and 8 that only its tap made known
        (True, 12): 1,
    }


async def test_the_lowest_come_first_and_no_more_than_asked_for(store: Store) -> None:
    await fill(store, told(1, 19), told(2, 0), told(3, 20), told(4, None), told(5, 7), told(6, 7))

    async def low(limit: int) -> list[str]:
        return [each.uid for each in await store.read(lambda tx: tx.low_batteries(20, AT_S, limit))]

    assert await low(9) == [uid(2), uid(5), uid(6), uid(1)]
    assert await low(2) == [uid(2), uid(5)]
    assert await low(0) == await low(-1) == []
    assert await store.read(lambda tx: tx.low_count(20, AT_S)) == 4
    assert await store.read(lambda tx: tx.low_count(0, AT_S)) == 0


async def test_those_long_unseen_are_listed_and_counted(store: Store) -> None:
    await fill(store, told(1, at_s=AT_S - 9), told(2, at_s=AT_S), told(3, None, AT_S - 9, active=False))
    await fill(store, told(4, at_s=AT_S - 20))
    found = await store.read(lambda tx: tx.unseen(AT_S, AT_S, 9))
    assert [each.uid for each in found] == [uid(4), uid(1), uid(3)]
    assert await store.read(lambda tx: tx.unseen_count(AT_S, AT_S)) == 3
    assert [each.uid for each in await store.read(lambda tx: tx.unseen(AT_S, AT_S, 1))] == [uid(4)]


async def test_nobody_looks_for_the_band_of_a_stay_that_is_over(store: Store) -> None:
    def bands(tx: Tx) -> None:
        tx.put_guest(replace(guest(ANNA), settled=False, not_after_s=AT_S))
        tx.put_guest(replace(guest(BOB), settled=True, not_after_s=AT_S + 1))
        tx.put_band(band(1, ANNA))
        tx.put_band(band(2, BOB))

    await store.write(bands)
    await fill(store, told(1, 5, AT_S - 9), told(2, 5, AT_S - 9))
    for now_s, there in ((AT_S, [uid(1), uid(2)]), (AT_S + 1, [uid(2)]), (AT_S + 2, [])):
        low = await store.read(lambda tx, now_s=now_s: tx.low_batteries(20, now_s, 9))  # type: ignore[misc]
        away = await store.read(lambda tx, now_s=now_s: tx.unseen(AT_S, now_s, 9))  # type: ignore[misc]
        assert [each.uid for each in low] == [each.uid for each in away] == there
        assert await store.read(lambda tx, now_s=now_s: tx.unseen_count(AT_S, now_s)) == len(there)  # type: ignore[misc]


async def test_old_ones_are_forgotten(store: Store) -> None:
    await fill(store, told(1, at_s=AT_S - 1), told(2, at_s=AT_S))
    await store.write(lambda tx: tx.forget_conditions(AT_S))
    assert await store.read(lambda tx: (tx.condition(uid(1)), tx.condition(uid(2)))) == (None, told(2))


async def test_it_is_nothing_that_other_gateways_are_told(store: Store) -> None:
    before = await store.read(lambda tx: tx.revision())
    await fill(store, TOLD)
    assert await store.read(lambda tx: tx.revision()) == before
    assert await store.read(lambda tx: tx.events(0, 9)) == []


@pytest.mark.parametrize("wrong", ["'U', 1, 101, 0, 1", "'U', 1, -1, 0, 1", "'U', 2, 50, 0, 1", "'U', 1, 50, 2, 1"])
async def test_the_database_itself_refuses_nonsense(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "steward.db"
    await SqliteStore.open(path, DATA_KEY).close()
    connection = sqlite3.connect(path)
    try:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(f"INSERT INTO band_condition VALUES ({wrong})")
    finally:
        connection.close()


async def test_a_band_deleted_by_hand_takes_it_along(tmp_path: Path) -> None:
    path = tmp_path / "steward.db"
    store = SqliteStore.open(path, DATA_KEY)
    await store.write(lambda tx: tx.put_band(band(1)))
    await fill(store, TOLD)
    await store.close()
    connection = sqlite3.connect(path)
    try:
        connection.execute("DELETE FROM band")
        assert connection.execute("SELECT count(*) FROM band_condition").fetchone() == (0,)
    finally:
        connection.close()
