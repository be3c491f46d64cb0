"""Whatever is done in whatever order, the memory store and the SQLite store give the same answers and errors."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract import makers
from tests.vaultkit import DATA_KEY, lay_store

from steward.adapters.memory import MemoryStore
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.charges import ChargeState
from steward.domain.context import PortCall, PortCalls, StayCompany, WeatherWord
from steward.domain.features import Company, Signal, Weather
from steward.domain.guests import CabinStay, KeyChange
from steward.domain.ids import GuestRef
from steward.domain.ledger import Posting, guest_account
from steward.domain.signals import Switch
from steward.errors import Conflict, Refused
from steward.ports import Store, Tx

Step = Callable[[Tx], object]
REFS = (makers.ANNA, makers.BOB)
AMOUNTS = (450, 451)
TIMES = tuple(makers.AT_S + n for n in range(4))

refs = st.sampled_from(REFS)
small = st.integers(1, 3)
amounts = st.sampled_from(AMOUNTS)
currencies = st.sampled_from(["EUR", "NOK"])


def _guest(ref: GuestRef, currency: str, serial: int) -> Step:
    return lambda tx: tx.put_guest(replace(makers.guest(ref, currency=currency), serial=serial))


def _charge(number: int, ref: GuestRef | None, amount: int, at_s: int, state: ChargeState) -> Step:
    made = makers.charge(number, ref or makers.ANNA, amount_minor=amount, at_s=at_s, state=state)
    return lambda tx: tx.put_charge(made if ref else makers.without_tap(made))


def _post(number: int, ref: GuestRef, amount: int, rest: int, currency: str) -> Step:
    postings = (Posting(guest_account(ref), amount), Posting(makers.BARS_ACCOUNT, rest))
    made = replace(makers.transaction(number, currency=currency), postings=postings)
    return lambda tx: tx.post(made)


steps = st.one_of(
    st.builds(_guest, refs, currencies, small),
    st.builds(_charge, small, st.none() | refs, amounts, st.sampled_from(TIMES), st.sampled_from(ChargeState)),
    st.builds(_post, st.integers(1, 6), refs, amounts, st.sampled_from([-450, -451]), currencies),
    st.builds(lambda n: lambda tx: tx.append_event(makers.event(n)), small),
    st.builds(lambda n, ref, serial: lambda tx: tx.put_band(makers.band(n, ref, serial)), small, refs, small),
    st.builds(lambda n, key, done: lambda tx: tx.journal_key_change(KeyChange(makers.uid(n), key, 0, 1, done)),
              small, small, st.booleans()),
    st.builds(lambda cabin, stay: lambda tx: tx.adopt_stay(cabin, stay), small, small),
    st.builds(lambda ref, serial: lambda tx: tx.adopt_serial(ref, serial), refs, small),
    st.builds(lambda n, epoch: lambda tx: tx.deny(makers.uid(n), epoch, "lost"), small, small),
    st.builds(lambda n, counter: lambda tx: tx.set_charge_counter(makers.uid(n), "sdm", counter), small, small),
    st.builds(lambda value: lambda tx: tx.set_meta("k", value), st.text(max_size=5)),
    st.builds(lambda ref, signal, on, at_s: lambda tx: tx.put_switch(Switch(ref, signal, on, at_s, 1)),
              refs, st.sampled_from([Signal.HOUR, Signal.PLACE]), st.booleans(), small),
    st.builds(lambda ref, company: lambda tx: tx.put_company(StayCompany(ref, company)),
              refs, st.none() | st.sampled_from(Company)),
    st.builds(lambda said_s, until_s: lambda tx: tx.put_weather(WeatherWord(Weather.RAIN, said_s, until_s)),
              small, small),
    st.builds(lambda version, ends: lambda tx: tx.put_port_calls(PortCalls(version, (PortCall("Bergen", 2, ends),))),
              st.integers(0, 3), st.integers(1, 4)),
    st.builds(lambda ref: lambda tx: tx.drop_context(ref), refs),
)  # fmt: skip
closures = st.lists(st.tuples(st.lists(steps, max_size=6), st.booleans()), max_size=8)


def look(tx: Tx) -> dict[str, object]:
    uids = [makers.uid(n) for n in (1, 2, 3)]
    return {
        "events": list(tx.events(0, 99)),
        "guests": list(tx.guests()),
        "bands": [(tx.band(uid), list(tx.key_changes(uid)), tx.denied_at(uid)) for uid in uids],
        "bands of": [list(tx.bands_of(ref)) for ref in REFS],
        "doors": [tx.stay_of(n) for n in (1, 2, 3)] + [tx.serial_of(ref) for ref in REFS] + [tx.deny_epoch()],
        "counters": [tx.charge_counter(uid, "sdm") for uid in uids],
        "held": [list(tx.held_of(ref)) for ref in REFS],
        "charges": [list(tx.charges_of(ref)) for ref in REFS] + [tx.charge(makers.tap_id(n)) for n in (1, 2, 3)],
        "spent": [tx.spent_since(ref, at_s) for ref in REFS for at_s in TIMES],
        "similar": [
            tx.similar_charge(ref, makers.TILL, amount, at_s) for ref in REFS for amount in AMOUNTS for at_s in TIMES
        ],
        "ledger": [(tx.balance(a), list(tx.ledger_of(a))) for a in (*map(guest_account, REFS), makers.BARS_ACCOUNT)],
        "sum": tx.ledger_sum(),
        "meta": tx.meta("k"),
        "switches": [(tx.signals_off(ref), list(tx.switch_history(ref, 99)), tx.company(ref)) for ref in REFS],
        "now": [tx.weather(at_s) for at_s in (None, 0, 1, 2, 3)] + [tx.port_calls()],
        "cabins": [list(tx.guests_in(CabinStay(*held))) for held in ((8104, 3), (8106, 9), (8104, 1))],
        "told": [(change.kind, change.name) for change in tx.changes(0, 999)],
    }


async def play(store: Store, script: list[tuple[list[Step], bool]]) -> list[object]:
    async def one(todo: list[Step], fails: bool) -> object:
        def work(tx: Tx) -> object:
            results = [step(tx) for step in todo]
            if fails:
                raise Refused("planned")
            return results

        try:
            return await store.write(work)
        except (Conflict, Refused, ValueError) as error:
            return type(error), str(error)

    try:
        outcomes = list(await asyncio.gather(*(one(todo, fails) for todo, fails in script)))
        return [*outcomes, await store.read(look)]
    finally:
        await store.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(closures)
def test_both_stores_agree(script: list[tuple[list[Step], bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        remembered = asyncio.run(play(MemoryStore(), script))
        kept = asyncio.run(play(SqliteStore.open(lay_store(Path(folder) / "steward.db"), DATA_KEY), script))
    assert kept == remembered
