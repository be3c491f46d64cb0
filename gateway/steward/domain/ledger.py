"""Double entry in minor units. Debit positive, credit negative; every transaction sums to zero.

guest:<ref>         what the guest owes (negative: a deposit not yet used)
revenue:<outlet>    what an outlet has sold (negative)
clearing:deposit    deposits taken and given back at the desk
clearing:settlement what was put on the guest's card at the end
clearing:late       charges that came in from another gateway after their folio was settled
clearing:unplaced   charges that came in and fit no folio

The id of a transaction is derived from what it stands for (a tap, a refund's own id, a guest's settlement), so
the same fact recorded twice meets itself in the ledger instead of counting twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from steward.domain.ids import AccountId, GuestRef, OutletId, TapId, TransactionId

AMOUNT_MAX_MINOR = 2**31 - 1  # of one charge, refund or deposit
BALANCE_MAX_MINOR = 2**53 - 1  # of an account: the largest integer that every JSON reader still holds exactly


class TransactionKind(StrEnum):
    CHARGE = "charge"
    VOID = "void"
    REFUND = "refund"
    DEPOSIT = "deposit"
    DEPOSIT_RETURN = "deposit_return"
    SETTLEMENT = "settlement"


@dataclass(frozen=True, slots=True)
class Posting:
    account: AccountId
    amount_minor: int  # never 0


@dataclass(frozen=True, slots=True)
class LedgerTransaction:
    id: TransactionId
    kind: TransactionKind
    at_s: int
    currency: str
    postings: tuple[Posting, ...]  # two or more, sum zero
    tap_id: TapId | None = None
    memo: str = ""


@dataclass(frozen=True, slots=True)
class Sale:
    """Whose charge it is, and where it was made: what its ledger transactions have in common."""

    tap_id: TapId
    ref: GuestRef
    outlet: OutletId
    currency: str


@dataclass(frozen=True, slots=True)
class FolioTotals:
    """All guests' folios of one currency together."""

    currency: str
    guests: int
    settled: int
    owed_minor: int  # by guests whose balance is above zero
    credit_minor: int  # to guests whose deposit is not used up


DEPOSIT_CLEARING = AccountId("clearing:deposit")
SETTLEMENT_CLEARING = AccountId("clearing:settlement")
LATE_CLEARING = AccountId("clearing:late")
UNPLACED_CLEARING = AccountId("clearing:unplaced")


def guest_account(ref: GuestRef) -> AccountId:
    return AccountId(f"guest:{ref}")


def revenue_account(outlet: OutletId) -> AccountId:
    return AccountId(f"revenue:{outlet}")


def is_amount(value: object) -> bool:
    """Whole minor units, 1..2**31-1. A bool or a float is no amount, whatever it equals."""
    return type(value) is int and 1 <= value <= AMOUNT_MAX_MINOR


def is_currency(value: object) -> bool:
    """Three capital ASCII letters, the shape of ISO 4217."""
    return isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()


def transaction_id(kind: str, *names: str) -> TransactionId:
    """The id of the one transaction of this kind about these names: 32 hex digits of SHA-256."""
    text = "\x00".join(("steward-ledger-v1", kind, *names))
    return TransactionId(hashlib.sha256(text.encode()).hexdigest()[:32])


def check_transaction(transaction: LedgerTransaction) -> LedgerTransaction:
    """Return it if it may be posted; ValueError names the rule it breaks. Services check amounts before."""
    if not is_currency(transaction.currency):
        raise ValueError(f"transaction {transaction.id}: currency is not three capital letters")
    if len(transaction.postings) < 2:
        raise ValueError(f"transaction {transaction.id}: fewer than two postings")
    for posting in transaction.postings:
        amount = posting.amount_minor
        if type(amount) is not int or amount == 0 or abs(amount) > BALANCE_MAX_MINOR:
            raise ValueError(f"transaction {transaction.id}: an amount is zero, not an integer, or out of range")
    if len({posting.account for posting in transaction.postings}) != len(transaction.postings):
        raise ValueError(f"transaction {transaction.id}: an account appears twice")
    if sum(posting.amount_minor for posting in transaction.postings) != 0:
        raise ValueError(f"transaction {transaction.id}: postings do not sum to zero")
    return transaction


def charge(sale: Sale, amount_minor: int, at_s: int, memo: str = "") -> LedgerTransaction:
    """The guest owes, the outlet has sold. Its id is the tap's: one tap can never be two of these."""
    postings = _sold(sale, _amount(amount_minor))
    return _build(TransactionId(sale.tap_id), TransactionKind.CHARGE, sale, at_s, postings, memo)


def void(sale: Sale, amount_minor: int, at_s: int, memo: str = "") -> LedgerTransaction:
    """The charge as if it had not been."""
    postings = _sold(sale, -_amount(amount_minor))
    return _build(transaction_id("void", sale.tap_id), TransactionKind.VOID, sale, at_s, postings, memo)


def refund(sale: Sale, amount_minor: int, at_s: int, refund_id: str, memo: str = "") -> LedgerTransaction:
    """Part or all of a charge. That it is not more than what is left is the caller's check."""
    postings = _sold(sale, -_amount(amount_minor))
    return _build(refund_transaction_id(sale.tap_id, refund_id), TransactionKind.REFUND, sale, at_s, postings, memo)


def refund_transaction_id(tap_id: TapId, refund_id: str) -> TransactionId:
    return transaction_id("refund", tap_id, refund_id)


def deposit(ref: GuestRef, amount_minor: int, currency: str, at_s: int, deposit_id: str) -> LedgerTransaction:
    """Money the guest left at the desk."""
    amount = _amount(amount_minor)
    postings = (Posting(guest_account(ref), -amount), Posting(DEPOSIT_CLEARING, amount))
    id_ = deposit_transaction_id(ref, deposit_id)
    return check_transaction(LedgerTransaction(id_, TransactionKind.DEPOSIT, at_s, currency, postings))


def deposit_transaction_id(ref: GuestRef, deposit_id: str) -> TransactionId:
    return transaction_id("deposit", ref, deposit_id)


def settlement(ref: GuestRef, balance_minor: int, currency: str, at_s: int) -> LedgerTransaction | None:
    """What takes a balance to exactly zero; None if it is there already.

    What is owed goes on the guest's card; what is left of a deposit goes back to the guest in full.
    """
    if balance_minor == 0:
        return None
    owed = balance_minor > 0
    kind = TransactionKind.SETTLEMENT if owed else TransactionKind.DEPOSIT_RETURN
    other = SETTLEMENT_CLEARING if owed else DEPOSIT_CLEARING
    postings = (Posting(guest_account(ref), -balance_minor), Posting(other, balance_minor))
    return check_transaction(LedgerTransaction(settlement_id(ref), kind, at_s, currency, postings))


def settlement_id(ref: GuestRef) -> TransactionId:
    return transaction_id("settlement", ref)


def set_aside(sale: Sale, amount_minor: int, at_s: int) -> LedgerTransaction:
    """Keep a settled folio at zero when a charge comes in late: what is owed waits for the purser."""
    postings = (Posting(guest_account(sale.ref), -_amount(amount_minor)), Posting(LATE_CLEARING, amount_minor))
    return _build(transaction_id("late", sale.tap_id), TransactionKind.SETTLEMENT, sale, at_s, postings, "")


def collect_late(sale: Sale, amount_minor: int, at_s: int) -> tuple[LedgerTransaction, ...]:
    """Put what came in late on the guest's card after all."""
    account = guest_account(sale.ref)
    back = (Posting(account, _amount(amount_minor)), Posting(LATE_CLEARING, -amount_minor))
    card = (Posting(account, -amount_minor), Posting(SETTLEMENT_CLEARING, amount_minor))
    return tuple(
        _build(transaction_id(kind, sale.tap_id), TransactionKind.SETTLEMENT, sale, at_s, postings, "")
        for kind, postings in (("late_back", back), ("late_settled", card))
    )


def unplaced(sale: Sale, amount_minor: int, at_s: int) -> LedgerTransaction:
    """What an outlet has sold to nobody whose folio could take it."""
    postings = (Posting(UNPLACED_CLEARING, _amount(amount_minor)), Posting(revenue_account(sale.outlet), -amount_minor))
    return _build(transaction_id("unplaced", sale.tap_id), TransactionKind.CHARGE, sale, at_s, postings, "")


def late_minor(tap_id: TapId, transactions: Iterable[LedgerTransaction]) -> int:
    """What of this tap's charge is set aside. transactions: of its guest's account."""
    return posted_to(LATE_CLEARING, (t for t in transactions if t.tap_id == tap_id))


def pay_back(
    undone: LedgerTransaction, ref: GuestRef, on_card_minor: int, aside_minor: int = 0
) -> tuple[LedgerTransaction, ...]:
    """Hand out what a refund left on a folio that is settled already, so that it stays at zero.

    undone: the refund. aside_minor: what of that charge came in late and was never paid: that goes first.
    on_card_minor: what is on the guest's card now; that goes back next, the rest in cash from the deposit.
    """
    account = guest_account(ref)
    owed = -posted_to(account, (undone,))
    unpaid = min(owed, max(aside_minor, 0))
    owed -= unpaid
    to_card = min(owed, max(on_card_minor, 0))
    parts = (
        (TransactionKind.SETTLEMENT, SETTLEMENT_CLEARING, to_card),
        (TransactionKind.DEPOSIT_RETURN, DEPOSIT_CLEARING, owed - to_card),
    )
    paid = tuple(_pay(undone, account, kind, kind, other, amount) for kind, other, amount in parts if amount)
    if not unpaid:
        return paid
    return (_pay(undone, account, "late", TransactionKind.SETTLEMENT, LATE_CLEARING, unpaid), *paid)


def _pay(
    undone: LedgerTransaction, account: AccountId, name: str, kind: TransactionKind, other: AccountId, amount: int
) -> LedgerTransaction:
    postings = (Posting(account, amount), Posting(other, -amount))
    id_ = transaction_id("pay_back", undone.id, name)
    return check_transaction(LedgerTransaction(id_, kind, undone.at_s, undone.currency, postings, undone.tap_id))


def posted_to(account: AccountId, transactions: Iterable[LedgerTransaction]) -> int:
    """The sum of an account's postings in these transactions."""
    return sum(p.amount_minor for t in transactions for p in t.postings if p.account == account)


def _sold(sale: Sale, amount_minor: int) -> tuple[Posting, ...]:
    return (
        Posting(guest_account(sale.ref), amount_minor),
        Posting(revenue_account(sale.outlet), -amount_minor),
    )


def _amount(value: int) -> int:
    if not is_amount(value):
        raise ValueError(f"amount is not a whole number of minor units from 1 to {AMOUNT_MAX_MINOR}")
    return value


def _build(
    id_: TransactionId, kind: TransactionKind, sale: Sale, at_s: int, postings: tuple[Posting, ...], memo: str
) -> LedgerTransaction:
    return check_transaction(LedgerTransaction(id_, kind, at_s, sale.currency, postings, sale.tap_id, memo))
