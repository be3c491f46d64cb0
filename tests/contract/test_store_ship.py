"""What several gateways share, the same in memory and on SQLite: change log, allowances, peers, counters, words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.consentkit import word
from tests.contract.makers import ANNA, BOB, band, guest, tap_id, uid

from steward.domain.allowance import Escrow, Grant
from steward.domain.consent import ConsentPurpose
from steward.domain.context import PortCall, PortCalls, StayCompany, WeatherWord
from steward.domain.features import Company, Signal, Weather
from steward.domain.replica import Change, Kind
from steward.domain.signals import Switch
from steward.errors import Conflict
from steward.ports import Store, Tx

GRANT = Grant("bar", 7, ANNA, 900, 100, 300, 250, 150, 1_800_000_000, 42, "day_limit")
ESCROW = Escrow(ANNA, 900, 250, 100, 60, 150, 1_800_000_000, 42, "day_limit")


async def names(store: Store, after: int = 0, limit: int = 100) -> list[tuple[Kind, str]]:
    return [(change.kind, change.name) for change in await store.read(lambda tx: tx.changes(after, limit))]


CHANGES: dict[str, Callable[[Tx], object]] = {
    "guest": lambda tx: tx.put_guest(guest()),
    "band": lambda tx: tx.put_band(band(3)),
    "deny": lambda tx: tx.deny(uid(3), 1, "lost"),
    "stay": lambda tx: tx.adopt_stay(8104, 3),
    "serial": lambda tx: tx.adopt_serial(ANNA, 3),
    "counter": lambda tx: tx.set_charge_counter(uid(3), "sdm", 3),
    "grant": lambda tx: tx.put_grant(GRANT),
    "consent": lambda tx: tx.put_consent(word(ANNA, ConsentPurpose.PHOTO)),
    "signal": lambda tx: tx.put_switch(Switch(ANNA, Signal.HISTORY, False, 5, 1)),
    "company": lambda tx: tx.put_company(StayCompany(ANNA, Company.FAMILY)),
    "weather": lambda tx: tx.put_weather(WeatherWord(Weather.RAIN, 5, 6)),
    "port calls": lambda tx: tx.put_port_calls(PortCalls(1, (PortCall("Bergen", 5, 6),))),
}
NAMES = {
    "guest": (Kind.GUEST, ANNA),
    "band": (Kind.BAND, uid(3)),
    "deny": (Kind.DENY, uid(3)),
    "stay": (Kind.STAY, "8104"),
    "serial": (Kind.SERIAL, ANNA),
    "counter": (Kind.COUNTER, f"{uid(3)}/sdm"),
    "grant": (Kind.GRANT, f"bar/7/{ANNA}"),
    "consent": (Kind.CONSENT, f"{ANNA}/photo"),
    "signal": (Kind.SIGNAL, f"{ANNA}/history"),
    "company": (Kind.COMPANY, ANNA),
    "weather": (Kind.WEATHER, "weather"),
    "port calls": (Kind.PORT_CALLS, "itinerary"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_every_record_that_others_are_told_moves_the_revision(store: Store, what: str) -> None:
    before = await store.read(lambda tx: tx.revision())
    await store.write(CHANGES[what])
    after = await store.read(lambda tx: tx.revision())
    assert after > before
    assert await store.read(lambda tx: tx.changes(before, 9)) == [Change(after, *NAMES[what])]


async def test_a_record_stands_where_it_changed_last(store: Store) -> None:
    start = await store.read(lambda tx: tx.revision())

    def work(tx: Tx) -> None:
        for what in ("guest", "band", "guest", "deny", "band"):
            CHANGES[what](tx)

    await store.write(work)
    assert await names(store, start) == [NAMES["guest"], NAMES["deny"], NAMES["band"]]
    assert await names(store, start, 2) == [NAMES["guest"], NAMES["deny"]]
    last = (await store.read(lambda tx: tx.changes(start, 2)))[-1].revision
    assert await names(store, last) == [NAMES["band"]]
    assert await names(store, start, 0) == []
    assert await names(store, await store.read(lambda tx: tx.revision())) == []


async def test_what_changes_nothing_is_no_change(store: Store) -> None:
    for what in ("stay", "serial", "deny"):
        await store.write(CHANGES[what])
    before = await store.read(lambda tx: tx.revision())

    def lower(tx: Tx) -> None:
        tx.adopt_stay(8104, 2)
        tx.adopt_serial(ANNA, 3)
        tx.deny(uid(3), 0, "older")

    await store.write(lower)
    assert await store.read(lambda tx: tx.revision()) == before


async def test_a_change_that_is_rolled_back_is_none(store: Store) -> None:
    before = await store.read(lambda tx: (tx.revision(), tx.changes(0, 99)))

    def work(tx: Tx) -> None:
        tx.put_guest(guest())
        tx.put_grant(GRANT)
        tx.put_words(tap_id(1), "Coffee")
        raise KeyError("no")

    with pytest.raises(KeyError):
        await store.write(work)
    assert await store.read(lambda tx: (tx.revision(), tx.changes(0, 99))) == before
    assert await store.read(lambda tx: (tx.grants_of(ANNA), tx.words(9))) == ([], [])


async def test_grants_by_gateway_store_and_guest(store: Store) -> None:
    others = [replace(GRANT, gateway="spa"), replace(GRANT, epoch=8), replace(GRANT, ref=BOB)]

    def work(tx: Tx) -> None:
        for grant in (GRANT, *others):
            tx.put_grant(grant)

    await store.write(work)
    assert await store.read(lambda tx: tx.grant("bar", 7, ANNA)) == GRANT
    assert await store.read(lambda tx: tx.grant("bar", 9, ANNA)) is None
    assert await store.read(lambda tx: list(tx.grants_of(ANNA))) == [GRANT, others[1], others[0]]
    assert await store.read(lambda tx: (tx.outstanding(ANNA), tx.outstanding(BOB))) == (1500, 500)


async def test_what_was_overdrawn_is_not_counted_against_others(store: Store) -> None:
    def work(tx: Tx) -> None:
        tx.put_grant(replace(GRANT, booked_minor=5000))
        tx.put_grant(replace(GRANT, gateway="spa"))

    await store.write(work)
    assert await store.read(lambda tx: tx.outstanding(ANNA)) == 500


FIGURES = ["granted_minor", "returned_minor", "booked_minor", "used_minor", "recall_minor"]


@pytest.mark.parametrize("figure", FIGURES)
async def test_a_grants_running_totals_never_fall(store: Store, figure: str) -> None:
    await store.write(lambda tx: tx.put_grant(GRANT))
    lower = replace(GRANT, **{figure: getattr(GRANT, figure) - 1})
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_grant(lower))
    assert await store.read(lambda tx: tx.grant("bar", 7, ANNA)) == GRANT
    changed = replace(GRANT, why="", answered=1, from_s=5)
    await store.write(lambda tx: tx.put_grant(changed))
    assert await store.read(lambda tx: tx.grant("bar", 7, ANNA)) == changed


async def test_more_cannot_come_back_than_was_granted(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_grant(replace(GRANT, returned_minor=901)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_grant(replace(GRANT, granted_minor=-1, returned_minor=-1)))


async def test_an_escrow_comes_back_as_it_was(store: Store) -> None:
    await store.write(lambda tx: tx.put_escrow(ESCROW))
    assert await store.read(lambda tx: tx.escrow(ANNA)) == ESCROW
    assert await store.read(lambda tx: tx.escrow(BOB)) is None


TOTALS = ["granted_minor", "used_minor", "returned_minor", "confirmed_minor", "recall_minor"]


@pytest.mark.parametrize("figure", TOTALS)
async def test_an_escrows_running_totals_never_fall(store: Store, figure: str) -> None:
    await store.write(lambda tx: tx.put_escrow(ESCROW))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_escrow(replace(ESCROW, **{figure: getattr(ESCROW, figure) - 1})))
    assert await store.read(lambda tx: tx.escrow(ANNA)) == ESCROW


@pytest.mark.parametrize("change", [{"used_minor": 801}, {"returned_minor": 651}, {"used_minor": -1}])
async def test_an_escrow_never_spends_more_than_it_has(store: Store, change: dict[str, int]) -> None:
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_escrow(replace(ESCROW, **change)))


async def test_which_escrows_have_something_to_report(store: Store) -> None:
    done = replace(ESCROW, ref=BOB, confirmed_minor=100, recall_minor=100)

    def work(tx: Tx) -> None:
        tx.put_escrow(done)
        tx.put_escrow(ESCROW)

    await store.write(work)
    assert await store.read(lambda tx: list(tx.escrows_to_report(9))) == [ESCROW]
    asked = replace(done, recall_minor=101)
    await store.write(lambda tx: tx.put_escrow(asked))
    assert await store.read(lambda tx: list(tx.escrows_to_report(9))) == [ESCROW, asked]
    assert await store.read(lambda tx: list(tx.escrows_to_report(1))) == [ESCROW]


async def test_peers_streams_and_events(store: Store) -> None:
    def work(tx: Tx) -> None:
        tx.put_peer_stream("bar", 2, b"two")
        tx.put_peer_stream("bar", 1, b"one")
        tx.put_peer_stream("bar", 2, b"two again")
        tx.put_peer_stream("spa", 1, b"other")
        tx.put_peer_event("bar", 1, 5, b"said")

    await store.write(work)
    assert await store.read(lambda tx: dict(tx.peer_streams("bar"))) == {1: b"one", 2: b"two again"}
    assert await store.read(lambda tx: tx.peer_streams("gym")) == {}
    assert await store.read(lambda tx: (tx.peer_event("bar", 1, 5), tx.peer_event("spa", 1, 5))) == (b"said", None)
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_peer_event("bar", 1, 5, b"other"))


async def test_a_counter_belongs_to_the_tap_that_used_it_first(store: Store) -> None:
    def work(tx: Tx) -> list[str]:
        uses = [(1, "charge", 5, 1), (1, "charge", 5, 2), (1, "sdm", 5, 3), (2, "charge", 5, 4), (1, "charge", 5, 1)]
        return [tx.use_counter(uid(n), kind, counter, tap_id(tap)) for n, kind, counter, tap in uses]

    assert await store.write(work) == [tap_id(1), tap_id(1), tap_id(3), tap_id(4), tap_id(1)]


async def test_words_wait_in_their_order(store: Store) -> None:
    def work(tx: Tx) -> None:
        for number, text in ((3, "Tea"), (1, "Cake"), (2, "Blåbærsaft"), (3, "Green tea")):
            tx.put_words(tap_id(number), text)

    await store.write(work)
    assert await store.read(lambda tx: list(tx.words(2))) == [(tap_id(3), "Green tea"), (tap_id(1), "Cake")]
    assert await store.read(lambda tx: tx.words_of(tap_id(2))) == "Blåbærsaft"
    await store.write(lambda tx: tx.drop_words(tap_id(3)))
    await store.write(lambda tx: tx.drop_words(tap_id(9)))
    assert await store.read(lambda tx: (next(iter(tx.words(9))), tx.words_of(tap_id(3)))) == ((tap_id(1), "Cake"), None)
