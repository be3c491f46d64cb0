"""Guests, bands, the key journal, what doors remember, small facts: the same in memory and on SQLite."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from typing import Any

import pytest
from tests.contract.makers import ANNA, BOB, band, charge, guest, transaction, uid

from steward.domain.guests import BandState, CabinStay, KeyChange
from steward.errors import Conflict
from steward.ports import Store, Tx


@pytest.mark.parametrize(
    "made", [guest(), charge(refunded_minor=1), charge().request, charge().evidence, transaction()]
)
def test_the_records_of_these_tests_show_every_field(made: Any) -> None:
    """A field left at its default would come back right from a store that forgets it."""
    forgettable = [f.name for f in fields(made) if f.default is not MISSING and getattr(made, f.name) == f.default]
    assert forgettable == []


async def test_a_guest_comes_back_as_it_was(store: Store) -> None:
    plain = replace(guest(BOB), cabins=(CabinStay(1, 2),), pin=None, child=True, crew=False, settled=False)

    def put(tx: Tx) -> None:
        tx.put_guest(guest())
        tx.put_guest(plain)

    await store.write(put)
    assert await store.read(lambda tx: tx.guest(ANNA)) == guest()
    assert await store.read(lambda tx: tx.guest(BOB)) == plain
    assert (await store.read(lambda tx: tx.guest(BOB))).child is True  # type: ignore[union-attr]


async def test_a_replaced_guest_keeps_the_place_of_arrival(store: Store) -> None:
    changed = replace(guest(), zones=1, pin=None, settled=False)

    def put(tx: Tx) -> None:
        tx.put_guest(guest())
        tx.put_guest(guest(BOB))
        tx.put_guest(changed)

    await store.write(put)
    assert await store.read(lambda tx: list(tx.guests())) == [changed, guest(BOB)]


async def test_what_is_not_there_is_none_or_empty_or_zero(store: Store) -> None:
    def look(tx: Tx) -> list[object]:
        return [
            *(tx.guest(ANNA), tx.band(uid(1)), tx.denied_at(uid(1)), tx.meta("k")),
            *(list(tx.guests()), list(tx.bands_of(ANNA)), list(tx.key_changes(uid(1)))),
            *(tx.stay_of(8104), tx.serial_of(ANNA), tx.deny_epoch(), tx.charge_counter(uid(1), "sdm")),
        ]

    assert await store.read(look) == [None, None, None, None, [], [], [], 0, 0, 0, 0]


@pytest.mark.parametrize("cabins", [(), (CabinStay(1, 1), CabinStay(2, 1), CabinStay(3, 1))])
async def test_a_guest_has_one_or_two_cabins(store: Store, cabins: tuple[CabinStay, ...]) -> None:
    with pytest.raises(ValueError, match="cabins"):
        await store.write(lambda tx: tx.put_guest(replace(guest(), cabins=cabins)))
    assert await store.read(lambda tx: list(tx.guests())) == []


async def test_a_guests_currency_stays_once_money_moved(store: Store) -> None:
    def book(tx: Tx) -> None:
        tx.put_guest(guest())
        tx.post(transaction())

    await store.write(book)
    with pytest.raises(Conflict, match="one currency"):
        await store.write(lambda tx: tx.put_guest(guest(currency="NOK")))
    await store.write(lambda tx: tx.put_guest(guest(BOB, currency="NOK")))
    await store.write(lambda tx: tx.put_guest(guest(BOB, currency="SEK")))
    assert [g.currency for g in await store.read(lambda tx: tx.guests())] == ["EUR", "SEK"]


async def test_bands_by_uid_and_by_guest(store: Store) -> None:
    newer, older, other = band(1, serial=2), band(2, serial=1), band(3, BOB)
    retired = replace(older, state=BandState.RETIRED, active=False, random_id=True)

    def put(tx: Tx) -> None:
        for each in (newer, older, other, retired):
            tx.put_band(each)

    await store.write(put)
    assert await store.read(lambda tx: list(tx.bands_of(ANNA))) == [retired, newer]
    assert await store.read(lambda tx: tx.band(uid(2))) == retired
    assert await store.read(lambda tx: tx.band(uid(3))) == other


async def test_the_key_journal_is_kept_by_key(store: Store) -> None:
    def put(tx: Tx) -> None:
        tx.journal_key_change(KeyChange(uid(1), 3, 0, 7, False))
        tx.journal_key_change(KeyChange(uid(1), 0, 0, 7, False))
        tx.journal_key_change(KeyChange(uid(2), 1, 0, 7, False))
        tx.journal_key_change(KeyChange(uid(1), 3, 0, 7, True))

    await store.write(put)
    kept = await store.read(lambda tx: list(tx.key_changes(uid(1))))
    assert kept == [KeyChange(uid(1), 0, 0, 7, False), KeyChange(uid(1), 3, 0, 7, True)]


async def test_a_door_keeps_the_highest_stay_and_serial(store: Store) -> None:
    def adopt(tx: Tx) -> None:
        for number in (4, 9, 2):
            tx.adopt_stay(8104, number)
            tx.adopt_serial(ANNA, number + 10)

    await store.write(adopt)
    assert await store.read(lambda tx: (tx.stay_of(8104), tx.stay_of(8106))) == (9, 0)
    assert await store.read(lambda tx: (tx.serial_of(ANNA), tx.serial_of(BOB))) == (19, 0)


async def test_the_deny_list_keeps_the_last_epoch(store: Store) -> None:
    def deny(tx: Tx) -> None:
        tx.deny(uid(1), 5, "lost")
        tx.deny(uid(2), 6, "stolen")
        tx.deny(uid(1), 3, "an older list, heard late")

    await store.write(deny)
    assert await store.read(lambda tx: (tx.denied_at(uid(1)), tx.denied_at(uid(2)))) == (5, 6)
    assert await store.read(lambda tx: tx.deny_epoch()) == 6
    await store.write(lambda tx: tx.deny(uid(1), 7, "lost again"))
    assert await store.read(lambda tx: (tx.denied_at(uid(1)), tx.deny_epoch())) == (7, 7)


async def test_counters_are_apart_by_kind_and_may_start_again(store: Store) -> None:
    def count(tx: Tx) -> None:
        tx.set_charge_counter(uid(1), "charge", 0xFFFFFFFF)
        tx.set_charge_counter(uid(1), "sdm", 12)
        tx.set_charge_counter(uid(2), "sdm", 13)

    await store.write(count)
    await store.write(lambda tx: tx.set_charge_counter(uid(1), "sdm", 1))
    found = await store.read(lambda tx: [tx.charge_counter(uid(n), kind) for n in (1, 2) for kind in ("charge", "sdm")])
    assert found == [0xFFFFFFFF, 1, 0, 13]


async def test_small_facts_are_replaced(store: Store) -> None:
    await store.write(lambda tx: tx.set_meta("voyage", "1"))
    await store.write(lambda tx: tx.set_meta("voyage", "två"))
    assert await store.read(lambda tx: (tx.meta("voyage"), tx.meta("voyag"))) == ("två", None)
