"""Signals, company, weather and itinerary in both stores: the last word, and what goes with the guest."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import ANNA, BOB, guest
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.connect import connect
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.context import (
    PORT_CALLS_MAX,
    WEATHER_KEPT,
    PortCall,
    PortCalls,
    StayCompany,
    WeatherWord,
)
from steward.domain.features import Company, Signal, Weather
from steward.domain.guests import CabinStay
from steward.domain.ids import GuestRef
from steward.domain.signals import Switch
from steward.errors import Conflict
from steward.ports import Store, Tx

AT_S = 1_700_000_000
HISTORY = Signal.HISTORY


def off(
    ref: GuestRef = ANNA, signal: Signal = HISTORY, at_s: int = AT_S, version: int = 1, *, on: bool = False
) -> Switch:
    return Switch(ref, signal, on, at_s, version)


async def test_a_switch_comes_back_whole_and_what_nobody_touched_is_on(store: Store) -> None:
    await store.write(lambda tx: (tx.put_switch(off(version=7)), tx.put_switch(off(signal=Signal.PLACE, on=True))))
    assert await store.read(lambda tx: tx.switch(ANNA, HISTORY)) == off(version=7)
    assert await store.read(lambda tx: (tx.switch(BOB, HISTORY), tx.switch(ANNA, Signal.HOUR))) == (None, None)
    assert await store.read(lambda tx: (tx.signals_off(ANNA), tx.signals_off(BOB))) == ({HISTORY}, frozenset())


async def test_the_history_of_switches_is_newest_first(store: Store) -> None:
    words = [off(at_s=n, version=n + 1, on=bool(n % 2)) for n in range(4)]

    def fill(tx: Tx) -> None:
        for each in words:
            tx.put_switch(each)
        tx.put_switch(off(BOB))

    await store.write(fill)
    assert list(await store.read(lambda tx: tx.switch_history(ANNA, 99))) == words[::-1]
    assert list(await store.read(lambda tx: tx.switch_history(ANNA, 2))) == words[:1:-1]
    assert list(await store.read(lambda tx: tx.switch_history(ANNA, 0))) == []


@pytest.mark.parametrize(
    ("on", "at_s", "kept"),
    [
        (True, AT_S - 1, False),
        (False, AT_S - 1, False),
        (True, AT_S, False),
        (False, AT_S, True),
        (True, AT_S + 1, True),
    ],
)
async def test_the_store_itself_takes_no_earlier_word(store: Store, on: bool, at_s: int, kept: bool) -> None:
    await store.write(lambda tx: tx.put_switch(off()))
    said = off(at_s=at_s, version=2, on=on)
    if kept:
        await store.write(lambda tx: tx.put_switch(said))
    else:
        with pytest.raises(Conflict):
            await store.write(lambda tx: tx.put_switch(said))
    assert await store.read(lambda tx: tx.switch(ANNA, HISTORY)) == (said if kept else off())
    assert len(await store.read(lambda tx: tx.switch_history(ANNA, 9))) == 1 + kept


async def test_words_of_nobody_and_words_that_cannot_be_are_none(store: Store) -> None:
    bad = (
        lambda tx: tx.put_switch(off(GuestRef(""))),
        lambda tx: tx.put_switch(off(version=0)),
        lambda tx: tx.put_company(StayCompany(GuestRef(""), Company.FAMILY)),
    )
    for work in bad:
        with pytest.raises(Conflict):
            await store.write(work)
    with pytest.raises(ValueError, match="some time"):
        await store.write(lambda tx: tx.put_weather(WeatherWord(Weather.RAIN, AT_S, AT_S)))
    with pytest.raises(ValueError, match="version"):
        await store.write(lambda tx: tx.put_port_calls(PortCalls(0, ())))
    for calls in ((PortCall("Bergen", 9, 9),), (PortCall("", 1, 2),), (PortCall("A", 1, 5), PortCall("B", 5, 9))):
        with pytest.raises(ValueError, match="call"):
            await store.write(lambda tx, calls=calls: tx.put_port_calls(PortCalls(1, calls)))  # type: ignore[misc]
    assert await store.read(lambda tx: (tx.weather(), tx.port_calls())) == (None, PortCalls())


async def test_company_is_the_last_that_was_said_and_can_be_taken_back(store: Store) -> None:
    assert await store.read(lambda tx: tx.company(ANNA)) is None
    for company in (Company.BUSINESS, Company.FAMILY, None):
        said = StayCompany(ANNA, company)
        await store.write(lambda tx, said=said: tx.put_company(said))  # type: ignore[misc]
        assert await store.read(lambda tx: tx.company(ANNA)) == said


async def test_who_shares_a_cabin_is_found_by_its_stay(store: Store) -> None:
    third, fourth = GuestRef("c" * 16), GuestRef("d" * 16)
    cabin, later, other = CabinStay(8104, 1), CabinStay(8104, 2), CabinStay(8106, 1)

    def fill(tx: Tx) -> None:
        tx.put_guest(replace(guest(BOB), cabins=(cabin,)))
        tx.put_guest(replace(guest(ANNA), cabins=(other, cabin)))
        tx.put_guest(replace(guest(third), cabins=(later,)))
        tx.put_guest(replace(guest(fourth), cabins=(cabin, other)))

    await store.write(fill)

    async def of(stay: CabinStay) -> list[GuestRef]:
        return [each.ref for each in await store.read(lambda tx: tx.guests_in(stay))]

    assert await of(cabin) == sorted([ANNA, BOB, fourth])
    assert await of(other) == sorted([ANNA, fourth])
    assert await of(later) == [third]
    assert await of(CabinStay(1, 1)) == []


async def test_weather_is_what_was_said_last_before_a_moment(store: Store) -> None:
    rain, sun = WeatherWord(Weather.RAIN, AT_S, AT_S + 60), WeatherWord(None, AT_S + 30, AT_S + 90)
    await store.write(lambda tx: (tx.put_weather(rain), tx.put_weather(sun)))
    found = await store.read(lambda tx: [tx.weather(at_s) for at_s in (AT_S - 1, AT_S, AT_S + 29, AT_S + 30, None)])
    assert found == [None, rain, rain, sun, sun]
    back = WeatherWord(Weather.SUNNY, AT_S - 9, AT_S + 1)  # said last, by a clock that was set back
    await store.write(lambda tx: tx.put_weather(back))
    assert await store.read(lambda tx: (tx.weather(AT_S - 5), tx.weather())) == (back, back)


async def test_so_many_words_of_weather_are_kept(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for n in range(WEATHER_KEPT + 3):
            tx.put_weather(WeatherWord(Weather.RAIN, n, n + 1))

    await store.write(fill)
    found = await store.read(lambda tx: [tx.weather(n) for n in (2, 3, WEATHER_KEPT + 2)])
    assert found == [None, WeatherWord(Weather.RAIN, 3, 4), tx_last(WEATHER_KEPT + 2)]


def tx_last(at_s: int) -> WeatherWord:
    return WeatherWord(Weather.RAIN, at_s, at_s + 1)


async def test_the_itinerary_is_replaced_whole(store: Store) -> None:
    long = tuple(PortCall(f"Å{n}", n * 100, n * 100 + 50) for n in range(PORT_CALLS_MAX))
    for made in (PortCalls(1, long), PortCalls(2, long[:1]), PortCalls(3, ())):
        await store.write(lambda tx, made=made: tx.put_port_calls(made))  # type: ignore[misc]
        assert await store.read(lambda tx: tx.port_calls()) == made


async def test_what_fails_leaves_nothing(store: Store) -> None:
    class PlannedError(Exception):
        pass

    def work(tx: Tx) -> None:
        tx.put_switch(off())
        tx.put_company(StayCompany(ANNA, Company.ALONE))
        tx.put_weather(WeatherWord(Weather.RAIN, 1, 2))
        tx.put_port_calls(PortCalls(1, ()))
        raise PlannedError

    before = await store.read(lambda tx: tx.revision())
    with pytest.raises(PlannedError):
        await store.write(work)
    kept = await store.read(
        lambda tx: (tx.switch(ANNA, HISTORY), tx.company(ANNA), tx.weather(), tx.port_calls().version)
    )
    assert kept == (None, None, None, 0)
    assert await store.read(lambda tx: (tx.revision(), list(tx.switch_history(ANNA, 9)))) == (before, [])


async def test_all_of_it_goes_with_the_guest_and_nobody_elses(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for ref in (ANNA, BOB):
            tx.put_switch(off(ref))
            tx.put_company(StayCompany(ref, Company.COUPLE))
        tx.put_weather(WeatherWord(Weather.RAIN, 1, 2))

    await store.write(fill)
    await store.write(lambda tx: tx.drop_context(ANNA))
    assert await store.read(lambda tx: (tx.signals_off(ANNA), tx.company(ANNA))) == (frozenset(), None)
    assert list(await store.read(lambda tx: tx.switch_history(ANNA, 9))) == []
    assert await store.read(lambda tx: (tx.signals_off(BOB), len(tx.switch_history(BOB, 9)))) == ({HISTORY}, 1)
    assert await store.read(lambda tx: (tx.company(BOB), tx.weather())) == (
        StayCompany(BOB, Company.COUPLE),
        WeatherWord(Weather.RAIN, 1, 2),
    )
    await store.write(lambda tx: tx.put_switch(off(at_s=1)))  # forgotten: a new first word


async def test_the_database_keeps_the_history_from_whoever_writes_to_it(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
    await store.write(lambda tx: (tx.put_guest(guest()), tx.put_switch(off()), tx.put_switch(off(BOB))))
    await store.write(lambda tx: (tx.put_company(StayCompany(ANNA, None)), tx.put_weather(tx_last(5))))
    await store.close()
    connection = connect(tmp_path / "steward.db")
    for statement in (
        "UPDATE signal_change SET is_on = 1",
        "DELETE FROM signal_change",
        "UPDATE signal_switch SET at_s = at_s - 1",
        "UPDATE weather_word SET weather = 'sunny'",
        "INSERT INTO signal_switch VALUES ('00000000000000cc', 'history', 2, 0, 1)",
        "INSERT INTO stay_company VALUES ('', 'family')",
        "INSERT INTO itinerary VALUES (2, 1, '[]')",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="signal|weather|CHECK"):
            connection.execute(statement)
    connection.execute("DELETE FROM guest WHERE ref = ?", (ANNA,))
    left = connection.execute(
        "SELECT guest FROM signal_change UNION SELECT guest FROM signal_switch UNION SELECT guest FROM stay_company"
    )
    assert left.fetchall() == [(BOB,)]
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT ref FROM guest WHERE cabin_a = 1 AND stay_a = 1 "
        "UNION SELECT ref FROM guest WHERE cabin_b = 1 AND stay_b = 1 ORDER BY ref"
    ).fetchall()
    assert not [row[3] for row in plan if row[3].startswith("SCAN guest")]
    connection.close()
