"""How far a release for bands is, and what became of it at each: the same in memory and on SQLite."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.contract.makers import ANNA, band, guest, uid

from steward.domain.bandstages import BandState, BandUpdate, Halt, Rollout, Tally
from steward.domain.guests import BandState as Worn
from steward.ports import Store, Tx

ROLLOUT = Rollout(7, "ab" * 32, 2, 1_800_000_000, Halt.FAILURES, 3)
UPDATE = BandUpdate(uid(1), 7, BandState.TRYING, 2, 1_800_000_001)


async def test_one_rollout_is_kept_the_last(store: Store) -> None:
    assert await store.read(lambda tx: tx.rollout()) is None
    await store.write(lambda tx: tx.put_rollout(ROLLOUT))
    assert await store.read(lambda tx: tx.rollout()) == ROLLOUT
    newer = Rollout(8, "cd" * 32, 0, 5)
    await store.write(lambda tx: tx.put_rollout(newer))
    assert await store.read(lambda tx: tx.rollout()) == newer


async def test_a_band_has_one_row_and_is_counted_by_release(store: Store) -> None:
    def work(tx: Tx) -> None:
        tx.put_band_update(UPDATE)
        for number in (2, 3):
            tx.put_band_update(replace(UPDATE, uid=uid(number), state=BandState.KEPT))
        tx.put_band_update(replace(UPDATE, uid=uid(4), state=BandState.FAILED))
        tx.put_band_update(replace(UPDATE, uid=uid(5), state=BandState.FAILED, number=6))

    await store.write(work)
    assert await store.read(lambda tx: tx.band_update(uid(1))) == UPDATE
    assert await store.read(lambda tx: tx.band_update(uid(9))) is None
    assert await store.read(lambda tx: tx.band_tally(7)) == Tally(2, 1)
    assert await store.read(lambda tx: tx.band_tally(8)) == Tally()
    assert await store.read(lambda tx: tx.bands_trying(7)) == [UPDATE]
    assert await store.read(lambda tx: tx.bands_trying(6)) == []
    await store.write(lambda tx: tx.put_band_update(replace(UPDATE, uid=uid(2), state=BandState.FAILED)))
    assert await store.read(lambda tx: tx.band_tally(7)) == Tally(1, 2)


@pytest.mark.parametrize("state", [Worn.RETURNED, Worn.RETIRED, Worn.FROZEN])
async def test_the_row_goes_with_its_band(state: Worn, store: Store) -> None:
    def worn(tx: Tx) -> None:
        tx.put_guest(guest())
        tx.put_band(band())
        tx.put_band_update(UPDATE)

    await store.write(worn)
    await store.write(lambda tx: tx.put_band(replace(band(), state=state)))
    left = await store.read(lambda tx: tx.band_update(uid(1)))
    assert left == (UPDATE if state is Worn.FROZEN else None)


@pytest.mark.parametrize("how", ["guest", "traces"])
async def test_the_row_goes_with_its_guest(how: str, store: Store) -> None:
    def worn(tx: Tx) -> None:
        tx.put_guest(guest())
        tx.put_band(band())
        tx.put_band_update(UPDATE)

    await store.write(worn)
    assert (await store.read(lambda tx: tx.rows_of(ANNA)))["band_update"] == 1
    await store.write(lambda tx: tx.drop_guest(ANNA) if how == "guest" else tx.drop_stay_traces(ANNA))
    assert await store.read(lambda tx: tx.band_update(uid(1))) is None
    assert "band_update" not in await store.read(lambda tx: tx.rows_of(ANNA))
