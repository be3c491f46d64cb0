"""Charges and the ledger: the same in memory and on SQLite."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.contract.makers import (
    ANNA,
    ANNAS_ACCOUNT,
    AT_S,
    BARS_ACCOUNT,
    BOB,
    BOBS_ACCOUNT,
    TILL,
    charge,
    guest,
    tap_id,
    transaction,
    uid,
    without_tap,
)

from steward.domain.charges import Charge, ChargeState
from steward.domain.ids import AccountId, TillId
from steward.domain.ledger import Posting
from steward.errors import Conflict
from steward.ports import Store, Tx

TAX = AccountId("revenue:tax")


async def put(store: Store, *charges: Charge) -> None:
    def work(tx: Tx) -> None:
        for each in charges:
            tx.put_charge(each)

    await store.write(work)


async def test_a_charge_comes_back_as_it_was(store: Store) -> None:
    bare = without_tap(charge(2, state=ChargeState.REFUSED))
    checked = charge(3)
    assert checked.evidence is not None
    checked = replace(checked, evidence=replace(checked.evidence, verified=False, counter=None, mac=b"", active=True))
    await put(store, charge(1), bare, checked)
    found = await store.read(lambda tx: [tx.charge(tap_id(n)) for n in (1, 2, 3, 4)])
    assert found == [charge(1), bare, checked, None]


async def test_a_charge_is_replaced_by_tap_id(store: Store) -> None:
    await put(store, charge(1, state=ChargeState.HELD))
    voided = replace(charge(1, state=ChargeState.VOIDED), reason="wrong table", verification="photo")
    await put(store, voided)
    assert await store.read(lambda tx: tx.charge(tap_id(1))) == voided
    assert await store.read(lambda tx: list(tx.charges_of(ANNA))) == [voided]


async def test_charges_of_a_guest_oldest_first(store: Store) -> None:
    late, early, tie = charge(1, at_s=AT_S + 9), charge(2, at_s=AT_S), charge(3, at_s=AT_S + 9)
    refused = charge(4, at_s=AT_S + 1, state=ChargeState.REFUSED)
    await put(store, late, early, tie, refused, charge(5, BOB), without_tap(charge(6)))
    assert await store.read(lambda tx: list(tx.charges_of(ANNA))) == [early, refused, late, tie]


async def test_a_charge_whose_tap_showed_another_guest_moves(store: Store) -> None:
    await put(store, charge(1), charge(1, BOB))
    assert await store.read(lambda tx: (list(tx.charges_of(ANNA)), list(tx.charges_of(BOB)))) == ([], [charge(1, BOB)])
    await put(store, charge(1))
    assert await store.read(lambda tx: (list(tx.charges_of(ANNA)), list(tx.charges_of(BOB)))) == ([charge(1)], [])


async def test_spent_counts_what_may_still_be_owed(store: Store) -> None:
    await put(
        store,
        charge(1, amount_minor=1000, state=ChargeState.HELD),
        charge(2, amount_minor=200, state=ChargeState.POSTED, refunded_minor=50),
        charge(3, amount_minor=30, state=ChargeState.DISPUTED, at_s=AT_S + 5),
        charge(4, amount_minor=7000, state=ChargeState.VOIDED),
        charge(5, amount_minor=7000, state=ChargeState.REFUSED),
        charge(6, amount_minor=7000, state=ChargeState.REFUNDED, refunded_minor=7000),
        charge(7, BOB, amount_minor=4),
        without_tap(charge(8)),
    )
    spent = await store.read(lambda tx: [tx.spent_since(ANNA, AT_S + n) for n in (-1, 0, 1, 5, 6)])
    assert spent == [1180, 1180, 30, 30, 0]
    assert await store.read(lambda tx: tx.spent_since(BOB, 0)) == 4


async def test_the_similar_charge_is_the_newest_live_one(store: Store) -> None:
    first, second, tie = charge(1), charge(2, at_s=AT_S + 8), charge(3, at_s=AT_S + 8, state=ChargeState.HELD)
    await put(
        store,
        first,
        second,
        tie,
        charge(4, at_s=AT_S + 9, state=ChargeState.VOIDED),
        charge(5, at_s=AT_S + 9, amount_minor=451),
        charge(6, at_s=AT_S + 9, till=TillId("BAR00002")),
        charge(7, BOB, at_s=AT_S + 9),
    )
    assert await store.read(lambda tx: tx.similar_charge(ANNA, TILL, 450, AT_S + 8)) == tie
    assert await store.read(lambda tx: tx.similar_charge(ANNA, TILL, 450, AT_S + 9)) is None
    await put(store, replace(tie, state=ChargeState.REFUNDED), replace(second, state=ChargeState.DISPUTED))
    assert await store.read(lambda tx: tx.similar_charge(ANNA, TILL, 450, AT_S)) == first


@pytest.mark.parametrize(
    "wrong",
    [
        charge(amount_minor=0),
        charge(amount_minor=-450),
        charge(amount_minor=2**31),
        charge(refunded_minor=451),
        charge(refunded_minor=-1),
        replace(charge(), request=replace(charge().request, currency="eur")),
    ],
    ids=["zero", "negative", "too much", "refunded too much", "refunded less than nothing", "currency"],
)
async def test_an_impossible_charge_is_refused(store: Store, wrong: Charge) -> None:
    with pytest.raises(ValueError):
        await store.write(lambda tx: tx.put_charge(wrong))
    assert await store.read(lambda tx: tx.charge(tap_id(1))) is None


async def test_postings_move_balances(store: Store) -> None:
    split = replace(
        transaction(2), postings=(Posting(BOBS_ACCOUNT, 125), Posting(TAX, -25), Posting(BARS_ACCOUNT, -100))
    )
    deposit = replace(
        transaction(3, 5000, debit=AccountId("clearing:deposit"), credit=ANNAS_ACCOUNT), tap_id=None, memo=""
    )

    def post(tx: Tx) -> None:
        for each in (transaction(1), split, deposit):
            tx.post(each)

    await store.write(post)
    accounts = (ANNAS_ACCOUNT, BOBS_ACCOUNT, BARS_ACCOUNT, TAX, AccountId("guest:none"))
    assert await store.read(lambda tx: [tx.balance(a) for a in accounts]) == [-4550, 125, -550, -25, 0]
    assert await store.read(lambda tx: list(tx.ledger_of(ANNAS_ACCOUNT))) == [transaction(1), deposit]
    assert await store.read(lambda tx: list(tx.ledger_of(BARS_ACCOUNT))) == [transaction(1), split]
    assert await store.read(lambda tx: tx.ledger_sum()) == 0


@pytest.mark.parametrize(
    ("postings", "says"),
    [
        ((), "fewer than two"),
        ((Posting(ANNAS_ACCOUNT, 5),), "fewer than two"),
        ((Posting(ANNAS_ACCOUNT, 5), Posting(BARS_ACCOUNT, -4)), "sum to zero"),
        ((Posting(ANNAS_ACCOUNT, 0), Posting(BARS_ACCOUNT, 0)), "zero"),
        ((Posting(ANNAS_ACCOUNT, 5), Posting(ANNAS_ACCOUNT, -5)), "twice"),
        ((Posting(ANNAS_ACCOUNT, 2**53), Posting(BARS_ACCOUNT, -(2**53))), "range"),
        (tuple(Posting(AccountId(f"a:{n}"), 1 if n % 2 else -1) for n in range(102)), "100 postings"),
    ],
    ids=["none", "lone", "unbalanced", "zero", "same account", "too large", "too many"],
)
async def test_only_balanced_transactions_are_posted(store: Store, postings: tuple[Posting, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await store.write(lambda tx: tx.post(replace(transaction(), postings=postings)))
    assert await store.read(lambda tx: (tx.balance(ANNAS_ACCOUNT), tx.ledger_sum())) == (0, 0)


async def test_a_transaction_is_never_overwritten(store: Store) -> None:
    await store.write(lambda tx: tx.post(transaction(1)))
    for again in (transaction(1), transaction(1, 999), replace(transaction(1), memo="other")):
        with pytest.raises(Conflict, match="already recorded"):
            await store.write(lambda tx, again=again: tx.post(again))  # type: ignore[misc]
    assert await store.read(lambda tx: list(tx.ledger_of(ANNAS_ACCOUNT))) == [transaction(1)]
    assert await store.read(lambda tx: tx.balance(ANNAS_ACCOUNT)) == 450


async def test_a_closure_may_go_on_after_a_conflict(store: Store) -> None:
    def twice(tx: Tx) -> None:
        tx.post(transaction(1))
        with pytest.raises(Conflict):
            tx.post(transaction(1))
        tx.post(transaction(2))

    await store.write(twice)
    assert await store.read(lambda tx: tx.balance(BARS_ACCOUNT)) == -900


async def test_a_guests_account_has_one_currency(store: Store) -> None:
    def check_in(tx: Tx) -> None:
        tx.put_guest(guest())
        tx.post(transaction(1, debit=BOBS_ACCOUNT, currency="NOK"))  # a guest this gateway has not met

    await store.write(check_in)
    for wrong in (
        transaction(2, currency="NOK"),
        transaction(3, debit=BOBS_ACCOUNT, currency="EUR"),
        transaction(4, debit=BARS_ACCOUNT, credit=ANNAS_ACCOUNT, currency="SEK"),
    ):
        with pytest.raises(Conflict, match="one currency"):
            await store.write(lambda tx, wrong=wrong: tx.post(wrong))  # type: ignore[misc]
    await store.write(lambda tx: tx.post(transaction(5)))
    assert await store.read(lambda tx: (tx.balance(ANNAS_ACCOUNT), tx.balance(BOBS_ACCOUNT))) == (450, 450)
    assert await store.read(lambda tx: tx.balance(BARS_ACCOUNT)) == -900


async def test_the_last_charges_of_a_guest_oldest_first(store: Store) -> None:
    made = [charge(n, at_s=AT_S + n // 2) for n in range(1, 6)]

    def fill(tx: Tx) -> None:
        for each in (*made, charge(9, BOB)):
            tx.put_charge(each)

    await store.write(fill)
    for limit, expected in ((0, []), (2, made[3:]), (5, made), (99, made)):
        assert await store.read(lambda tx, limit=limit: list(tx.last_charges_of(ANNA, limit))) == expected  # type: ignore[misc]


async def test_counters_and_charges_of_one_band_are_apart(store: Store) -> None:
    def work(tx: Tx) -> None:
        tx.put_charge(charge(1))
        tx.set_charge_counter(uid(1), "charge", 42)

    await store.write(work)
    found = await store.read(lambda tx: tx.charge(tap_id(1)))
    assert found is not None
    assert found.evidence is not None
    assert found.evidence.counter == 41
    assert await store.read(lambda tx: tx.charge_counter(uid(1), "charge")) == 42


async def test_held_charges_of_a_guest_oldest_first(store: Store) -> None:
    late, early = charge(1, state=ChargeState.HELD, at_s=AT_S + 9), charge(2, state=ChargeState.HELD, at_s=AT_S)
    states = [state for state in ChargeState if state is not ChargeState.HELD]
    await put(store, late, early, *(charge(10 + n, state=state) for n, state in enumerate(states)))
    assert await store.read(lambda tx: list(tx.held_of(ANNA))) == [early, late]
    assert await store.read(lambda tx: list(tx.held_of(BOB))) == []
