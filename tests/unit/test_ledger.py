"""Double entry: what may be posted, and what each kind of transaction does to the accounts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.domain import ledger
from steward.domain.ids import AccountId, GuestRef, OutletId, TapId, TransactionId
from steward.domain.ledger import (
    AMOUNT_MAX_MINOR,
    BALANCE_MAX_MINOR,
    DEPOSIT_CLEARING,
    SETTLEMENT_CLEARING,
    LedgerTransaction,
    Posting,
    Sale,
    TransactionKind,
    check_transaction,
)

REF = GuestRef("00000000000000aa")
GUEST = ledger.guest_account(REF)
BAR = ledger.revenue_account(OutletId("skybar"))
SALE = Sale(TapId("1" * 32), REF, OutletId("skybar"), "EUR")
A, B, C = AccountId("a"), AccountId("b"), AccountId("c")


def postings(transaction: LedgerTransaction) -> dict[str, int]:
    return {posting.account: posting.amount_minor for posting in transaction.postings}


def transaction(*amounts: tuple[AccountId, int], currency: str = "EUR") -> LedgerTransaction:
    lines = tuple(Posting(account, amount) for account, amount in amounts)
    return LedgerTransaction(TransactionId("0" * 32), TransactionKind.CHARGE, 1, currency, lines)


def test_a_charge_is_owed_by_the_guest_and_sold_by_the_outlet() -> None:
    booked = ledger.charge(SALE, 1250, 99, "Coffee")
    assert postings(booked) == {GUEST: 1250, BAR: -1250}
    assert (booked.id, booked.kind, booked.at_s) == (SALE.tap_id, TransactionKind.CHARGE, 99)
    assert (booked.currency, booked.tap_id, booked.memo) == ("EUR", SALE.tap_id, "Coffee")


def test_a_void_and_a_refund_go_the_other_way() -> None:
    assert postings(ledger.void(SALE, 1250, 1)) == {GUEST: -1250, BAR: 1250}
    assert ledger.void(SALE, 1250, 1).kind is TransactionKind.VOID
    assert postings(ledger.refund(SALE, 400, 1, "r1")) == {GUEST: -400, BAR: 400}
    assert ledger.refund(SALE, 400, 1, "r1").kind is TransactionKind.REFUND


def test_a_deposit_is_in_the_guests_favour() -> None:
    taken = ledger.deposit(REF, 5000, "EUR", 1, "d1")
    assert postings(taken) == {GUEST: -5000, DEPOSIT_CLEARING: 5000}


def test_settlement_takes_what_is_owed_to_the_card() -> None:
    last = ledger.settlement(REF, 700, "EUR", 1)
    assert last is not None
    assert postings(last) == {GUEST: -700, SETTLEMENT_CLEARING: 700}
    assert last.kind is TransactionKind.SETTLEMENT


def test_settlement_returns_an_unspent_deposit() -> None:
    last = ledger.settlement(REF, -700, "EUR", 1)
    assert last is not None
    assert postings(last) == {GUEST: 700, DEPOSIT_CLEARING: -700}
    assert last.kind is TransactionKind.DEPOSIT_RETURN


def test_nothing_to_settle_is_no_transaction() -> None:
    assert ledger.settlement(REF, 0, "EUR", 1) is None


@pytest.mark.parametrize(
    ("on_card", "expected"),
    [
        (1000, [{GUEST: 400, SETTLEMENT_CLEARING: -400}]),
        (400, [{GUEST: 400, SETTLEMENT_CLEARING: -400}]),
        (150, [{GUEST: 150, SETTLEMENT_CLEARING: -150}, {GUEST: 250, DEPOSIT_CLEARING: -250}]),
        (0, [{GUEST: 400, DEPOSIT_CLEARING: -400}]),
        (-5, [{GUEST: 400, DEPOSIT_CLEARING: -400}]),
    ],
)
def test_a_refund_after_settlement_goes_back_the_way_it_was_paid(on_card: int, expected: list[dict[str, int]]) -> None:
    undone = ledger.refund(SALE, 400, 1, "r1")
    paid = ledger.pay_back(undone, REF, on_card)
    assert [postings(part) for part in paid] == expected
    assert ledger.posted_to(GUEST, (undone, *paid)) == 0
    assert len({part.id for part in (undone, *paid)}) == 1 + len(expected)


def test_ids_name_the_fact_and_nothing_else() -> None:
    assert ledger.refund(SALE, 400, 1, "r1").id == ledger.refund(SALE, 300, 2, "r1", "other").id
    ids = {
        ledger.charge(SALE, 1, 1).id,
        ledger.void(SALE, 1, 1).id,
        ledger.refund(SALE, 1, 1, "r1").id,
        ledger.refund(SALE, 1, 1, "r2").id,
        ledger.refund(replace(SALE, tap_id=TapId("2" * 32)), 1, 1, "r1").id,
        ledger.deposit(REF, 1, "EUR", 1, "r1").id,
        ledger.deposit(GuestRef("00000000000000ab"), 1, "EUR", 1, "r1").id,
        ledger.settlement_id(REF),
    }
    assert len(ids) == 8
    assert all(len(id_) == 32 and int(id_, 16) >= 0 for id_ in ids)


def test_names_in_an_id_cannot_run_into_each_other() -> None:
    assert ledger.transaction_id("refund", "ab", "c") != ledger.transaction_id("refund", "a", "bc")


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MAX_MINOR + 1, 2**63, True, 1.0, "1", None])
def test_what_is_no_amount(amount: object) -> None:
    assert not ledger.is_amount(amount)
    for build in (ledger.charge, ledger.void):
        with pytest.raises(ValueError, match="minor units"):
            build(SALE, amount, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="minor units"):
        ledger.refund(SALE, amount, 1, "r1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="minor units"):
        ledger.deposit(REF, amount, "EUR", 1, "d1")  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", [1, AMOUNT_MAX_MINOR])
def test_the_smallest_and_the_largest_amount(amount: int) -> None:
    assert postings(ledger.charge(SALE, amount, 1)) == {GUEST: amount, BAR: -amount}


@pytest.mark.parametrize("currency", ["", "EU", "EURO", "eur", "EÜR", "E R", "E1R", None, 978])
def test_what_is_no_currency(currency: str) -> None:
    assert not ledger.is_currency(currency)
    with pytest.raises(ValueError, match="currency"):
        ledger.charge(replace(SALE, currency=currency), 1, 1)


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ((), "fewer than two"),
        (((A, 5),), "fewer than two"),
        (((A, 5), (B, -4)), "sum to zero"),
        (((A, 5), (B, -5), (C, 0)), "zero"),
        (((A, 5), (A, -5)), "twice"),
        (((A, 5), (B, 5), (B, -10)), "twice"),
        (((A, 0.5), (B, -0.5)), "not an integer"),
        (((A, True), (B, -1)), "not an integer"),
        (((A, BALANCE_MAX_MINOR + 1), (B, -BALANCE_MAX_MINOR - 1)), "out of range"),
    ],
)
def test_what_may_not_be_posted(lines: tuple[tuple[AccountId, int], ...], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        check_transaction(transaction(*lines))


def test_a_settlement_may_be_larger_than_one_charge_but_not_overflow() -> None:
    last = ledger.settlement(REF, BALANCE_MAX_MINOR, "EUR", 1)
    assert last is not None
    assert postings(last)[GUEST] == -BALANCE_MAX_MINOR
    with pytest.raises(ValueError, match="out of range"):
        ledger.settlement(REF, BALANCE_MAX_MINOR + 1, "EUR", 1)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=6))
def test_only_a_balanced_transaction_passes(amounts: list[int]) -> None:
    accounts = [AccountId(f"a{n}") for n in range(len(amounts))]
    one = transaction(*zip(accounts, amounts, strict=True))
    if sum(amounts) == 0 and all(amounts):
        assert check_transaction(one) is one
    else:
        with pytest.raises(ValueError, match="zero"):
            check_transaction(one)


@given(st.integers(-(2**50), 2**50))
def test_settlement_always_ends_at_zero(balance: int) -> None:
    last = ledger.settlement(REF, balance, "EUR", 1)
    after = balance + (ledger.posted_to(GUEST, (last,)) if last else 0)
    assert after == 0


@given(st.integers(1, AMOUNT_MAX_MINOR), st.integers(-(2**32), 2**32))
def test_paying_back_is_exact_and_never_more_on_the_card_than_was_there(amount: int, on_card: int) -> None:
    paid = ledger.pay_back(ledger.refund(SALE, amount, 1, "r"), REF, on_card)
    assert ledger.posted_to(GUEST, paid) == amount
    assert -ledger.posted_to(SETTLEMENT_CLEARING, paid) <= max(on_card, 0)
