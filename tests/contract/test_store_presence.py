"""Bands' radios and the last zone of a guest, the same in memory and on SQLite: what is wanted, and when it goes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import ANNA, AT_S, BOB, band, guest, uid
from tests.vaultkit import DATA_KEY, lay_store

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.condition import BandCondition
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.guests import BandState
from steward.domain.presence import BandRadio, Presence, Wanted
from steward.domain.replica import Kind
from steward.domain.untracked import Untracked
from steward.ports import Store, Tx

ON = BandRadio(uid(1), has=True, is_on=True, period=9, told_s=AT_S)
LAST = Presence(ANNA, "pool-deck", AT_S - 60, AT_S)
YES = Consent(ANNA, ConsentPurpose.PRESENCE, True, AT_S, Source.ABOARD, 1)
NO = replace(YES, given=False, at_s=AT_S + 1, version=2)


def aboard(tx: Tx) -> None:
    """Anna wears band 1 with its radio on, and wants to be found."""
    tx.put_guest(guest())
    tx.put_band(band(1))
    tx.put_radio(ON)
    tx.put_consent(YES)
    tx.put_presence(LAST)


async def wanted(store: Store, now_s: int = AT_S) -> list[Wanted]:
    return list(await store.read(lambda tx: tx.bands_to_hear(now_s)))


async def last(store: Store) -> Presence | None:
    return await store.read(lambda tx: tx.presence(ANNA))


async def test_the_last_word_and_the_last_zone_are_kept(store: Store) -> None:
    assert await store.read(lambda tx: (tx.radio(uid(1)), tx.presence(ANNA))) == (None, None)
    await store.write(aboard)
    assert await store.read(lambda tx: (tx.radio(uid(1)), tx.presence(ANNA))) == (ON, LAST)
    later = BandRadio(uid(1), has=True, wish=True)
    elsewhere = Presence(ANNA, "spa", AT_S + 9, AT_S + 9)

    def again(tx: Tx) -> None:
        tx.put_radio(later)
        tx.put_presence(elsewhere)

    await store.write(again)
    assert await store.read(lambda tx: (tx.radio(uid(1)), tx.presence(ANNA))) == (later, elsewhere)
    assert await store.read(lambda tx: tx.presence(BOB)) is None


async def test_wishes_are_those_that_bands_are_still_to_be_told(store: Store) -> None:
    off = BandRadio(uid(3), has=True, wish=False)

    def three(tx: Tx) -> None:
        for each in (off, ON, BandRadio(uid(2), wish=True)):
            tx.put_radio(each)

    await store.write(three)
    assert await store.read(lambda tx: list(tx.wishes())) == [BandRadio(uid(2), wish=True), off]


async def test_a_band_is_listened_for(store: Store) -> None:
    await store.write(aboard)
    assert await wanted(store) == [Wanted(uid(1), ANNA, 7, 9, AT_S)]
    assert await wanted(store, guest().not_after_s) == [Wanted(uid(1), ANNA, 7, 9, AT_S)]


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: tx.put_consent(NO),
        lambda tx: tx.drop_consents(ANNA),
        lambda tx: tx.put_untracked(Untracked(ANNA, True, AT_S, 1)),
        lambda tx: tx.put_band(replace(band(1), state=BandState.FROZEN)),
        lambda tx: tx.put_band(replace(band(1), state=BandState.RETIRED)),
        lambda tx: tx.put_radio(replace(ON, wish=False)),
        lambda tx: tx.put_radio(replace(ON, is_on=False, period=None)),
        lambda tx: tx.put_guest(replace(guest(), child=True)),
        lambda tx: tx.put_guest(replace(guest(), not_after_s=AT_S - 1)),
    ],
)
async def test_and_no_more_once_anything_of_it_is_over(store: Store, change: Callable[[Tx], object]) -> None:
    await store.write(aboard)
    await store.write(change)
    assert await wanted(store) == []


async def test_a_child_is_listened_for_once_an_adult_has_said_so(store: Store) -> None:
    await store.write(aboard)
    await store.write(lambda tx: tx.put_guest(replace(guest(), child=True)))
    await store.write(lambda tx: tx.put_untracked(Untracked(ANNA, False, AT_S, 1)))
    assert len(await wanted(store)) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: tx.put_consent(NO),
        lambda tx: tx.drop_consents(ANNA),
        lambda tx: tx.put_untracked(Untracked(ANNA, True, AT_S, 1)),
        lambda tx: tx.put_band(replace(band(1), state=BandState.FROZEN)),
        lambda tx: tx.put_band(replace(band(1), state=BandState.RETURNED)),
        lambda tx: tx.drop_stay_traces(ANNA),
        lambda tx: tx.drop_presence(ANNA),
        lambda tx: tx.destroy_key(ANNA),
        lambda tx: tx.sweep_presence(AT_S + 1),
    ],
)
async def test_the_last_zone_goes_at_once(store: Store, change: Callable[[Tx], object]) -> None:
    await store.write(aboard)
    await store.write(change)
    assert await last(store) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: tx.put_consent(replace(NO, purpose=ConsentPurpose.PHOTO)),
        lambda tx: tx.put_consent(replace(NO, guest=BOB)),
        lambda tx: tx.put_untracked(Untracked(BOB, True, AT_S, 1)),
        lambda tx: tx.put_untracked(Untracked(ANNA, False, AT_S, 1)),
        lambda tx: tx.put_band(replace(band(2, BOB), state=BandState.FROZEN)),
        lambda tx: tx.sweep_presence(AT_S),
    ],
)
async def test_and_stays_where_nothing_was_said_of_it(store: Store, change: Callable[[Tx], object]) -> None:
    await store.write(aboard)
    await store.write(change)
    assert await last(store) == LAST


async def test_sweeping_says_how_many(store: Store) -> None:
    await store.write(aboard)
    assert await store.write(lambda tx: tx.sweep_presence(AT_S + 1)) == 1
    assert await store.write(lambda tx: tx.sweep_presence(AT_S + 1)) == 0


@pytest.mark.parametrize("state", [BandState.RETIRED, BandState.RETURNED])
async def test_a_radio_goes_with_its_band(store: Store, state: BandState) -> None:
    await store.write(aboard)
    await store.write(lambda tx: tx.put_radio(replace(ON, uid=uid(2))))
    await store.write(lambda tx: tx.put_band(replace(band(1), state=state)))
    assert await store.read(lambda tx: tx.radio(uid(1))) is None
    assert await store.read(lambda tx: tx.radio(uid(2))) is not None


async def test_a_transaction_that_fails_takes_nothing_along(store: Store) -> None:
    await store.write(aboard)

    def torn(tx: Tx) -> None:
        tx.put_consent(NO)
        tx.put_band(replace(band(1), state=BandState.RETIRED))
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        await store.write(torn)
    assert await store.read(lambda tx: (tx.radio(uid(1)), tx.presence(ANNA))) == (ON, LAST)


def test_the_zone_is_not_in_the_file_in_clear(tmp_path: Path) -> None:
    path = lay_store(tmp_path / "steward.db")

    async def life() -> None:
        store = SqliteStore.open(path, DATA_KEY)
        await store.write(aboard)
        await store.close()

    asyncio.run(life())
    with sqlite3.connect(path) as connection:
        ((zone,),) = connection.execute("SELECT zone FROM presence").fetchall()
    connection.close()
    assert isinstance(zone, bytes)
    assert b"pool-deck" not in zone
    assert b"pool-deck" not in path.read_bytes()


async def test_a_wish_that_goes_with_its_band_is_told_to_the_ship(store: Store) -> None:
    def worn(tx: Tx) -> None:
        aboard(tx)
        tx.put_radio(replace(ON, wish=False))

    await store.write(worn)
    before = (await store.read(lambda tx: tx.changes(0, 999)))[-1].revision
    await store.write(lambda tx: tx.put_band(replace(band(1), state=BandState.RETURNED)))
    later = await store.read(lambda tx: tx.changes(before, 999))
    assert [each.name for each in later if each.kind is Kind.RADIO] == [uid(1)]


async def test_of_a_guest_who_is_forgotten_no_wish_is_told(store: Store) -> None:
    def worn(tx: Tx) -> None:
        aboard(tx)
        tx.put_radio(replace(ON, wish=False))

    await store.write(worn)
    await store.write(lambda tx: tx.drop_guest(ANNA))
    assert [each for each in await store.read(lambda tx: tx.changes(0, 999)) if each.kind is Kind.RADIO] == []


async def test_where_no_bands_are_known_a_radio_is_forgotten_with_its_battery(store: Store) -> None:
    def seen(tx: Tx) -> None:
        for number, wish in ((1, None), (2, True)):
            tx.put_condition(BandCondition(uid(number), True, 80, False, AT_S))
            tx.put_radio(replace(ON, uid=uid(number), wish=wish))

    await store.write(seen)
    await store.write(lambda tx: tx.forget_conditions(AT_S))
    assert await store.read(lambda tx: tx.radio(uid(1))) == ON
    await store.write(lambda tx: tx.forget_conditions(AT_S + 1))
    assert await store.read(lambda tx: tx.radio(uid(1))) is None
    assert await store.read(lambda tx: tx.wishes()) == [replace(ON, uid=uid(2), wish=True)]
