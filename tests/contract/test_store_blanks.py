"""The stock of blank bands, the same in memory and on SQLite."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.stationkit import uid

from steward.domain.blanks import BlankBand
from steward.ports import Store, Tx

STATION, OTHER = "a" * 64, "b" * 64
ONE = BlankBand(uid(1), STATION, True, 3, 1_790_000_000)


async def test_a_blank_is_kept_as_it_was_put(store: Store) -> None:
    assert await store.read(lambda tx: tx.blank(uid(1))) is None
    await store.write(lambda tx: tx.put_blank(ONE))
    assert await store.read(lambda tx: tx.blank(uid(1))) == ONE
    taken = replace(ONE, active=False, key_version=255, keyed_s=5, taken=True, station=OTHER)
    await store.write(lambda tx: tx.put_blank(taken))
    assert await store.read(lambda tx: tx.blank(uid(1))) == taken


async def test_they_are_counted_by_what_they_are(store: Store) -> None:
    def work(tx: Tx) -> None:
        for number in range(1, 4):
            tx.put_blank(replace(ONE, uid=uid(number)))
        tx.put_blank(replace(ONE, uid=uid(4), taken=True))
        tx.put_blank(replace(ONE, uid=uid(5), active=False))
        tx.put_blank(replace(ONE, uid=uid(6), key_version=4))
        tx.put_blank(replace(ONE, uid=uid(7), station=OTHER))

    assert await store.read(lambda tx: dict(tx.blank_counts())) == {}
    await store.write(work)
    assert await store.read(lambda tx: dict(tx.blank_counts())) == {
        (STATION, True, 3, False): 3,
        (STATION, True, 3, True): 1,
        (STATION, False, 3, False): 1,
        (STATION, True, 4, False): 1,
        (OTHER, True, 3, False): 1,
    }


async def test_what_fails_keeps_nothing(store: Store) -> None:
    await store.write(lambda tx: tx.put_blank(ONE))

    def torn(tx: Tx) -> None:
        tx.put_blank(replace(ONE, taken=True))
        tx.put_blank(replace(ONE, uid=uid(2)))
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        await store.write(torn)
    assert await store.read(lambda tx: tx.blank(uid(1))) == ONE
    assert await store.read(lambda tx: tx.blank(uid(2))) is None
