"""Do the books agree? The ledger beside the charges, looked at from outside the code that writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from steward.domain.charges import Charge, ChargeState
from steward.domain.ids import GuestRef, TapId
from steward.domain.ledger import LedgerTransaction, TransactionKind, guest_account, posted_to
from steward.ports import Tx

WRONG_SHOWN_MAX = 20
_ON_FOLIO = frozenset({ChargeState.POSTED, ChargeState.DISPUTED})
_TOUCHED = frozenset({ChargeState.POSTED, ChargeState.DISPUTED, ChargeState.VOIDED, ChargeState.REFUNDED})
_SALES = frozenset({TransactionKind.CHARGE, TransactionKind.VOID, TransactionKind.REFUND})


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """`ok`: the ledger sums to zero, every charge is on it exactly once, and settled folios stand at zero."""

    ok: bool
    sum_minor: int  # of all postings; zero
    guests: int
    charges: int  # with a guest; a tap by a card of nobody has none
    by_state: dict[str, int]
    posted_minor: int  # left on folios by charges, less what was given back
    balance_minor: int  # of all guests' folios
    wrong_taps: tuple[TapId, ...]  # charges that the ledger does not bear out, the first of them
    wrong_guests: tuple[GuestRef, ...]  # folios settled and not at zero


def check_ledger(tx: Tx) -> LedgerCheck:
    """Go through every folio on one snapshot."""
    states: Counter[str] = Counter()
    posted_minor = balance_minor = guests = 0
    wrong_taps: list[TapId] = []
    wrong_guests: list[GuestRef] = []
    for guest in tx.guests():
        guests += 1
        charges = tx.charges_of(guest.ref)
        ledger = tx.ledger_of(guest_account(guest.ref))
        balance = tx.balance(guest_account(guest.ref))
        balance_minor += balance
        states.update(charge.state.value for charge in charges)
        posted_minor += sum(charge.left_minor for charge in charges if charge.state in _ON_FOLIO)
        wrong_taps += _unborne(guest.ref, charges, ledger)
        if (guest.settled and balance != 0) or balance != posted_to(guest_account(guest.ref), ledger):
            wrong_guests.append(guest.ref)
    sum_minor = tx.ledger_sum()
    return LedgerCheck(
        ok=sum_minor == 0 and not wrong_taps and not wrong_guests,
        sum_minor=sum_minor,
        guests=guests,
        charges=states.total(),
        by_state=dict(sorted(states.items())),
        posted_minor=posted_minor,
        balance_minor=balance_minor,
        wrong_taps=tuple(wrong_taps[:WRONG_SHOWN_MAX]),
        wrong_guests=tuple(wrong_guests[:WRONG_SHOWN_MAX]),
    )


def _unborne(ref: GuestRef, charges: Sequence[Charge], ledger: Sequence[LedgerTransaction]) -> list[TapId]:
    """Taps whose charge and ledger tell different stories, and ledger lines of taps without a charge."""
    account = guest_account(ref)
    times: Counter[TapId] = Counter()
    left_minor: Counter[TapId] = Counter()
    for transaction in ledger:
        if transaction.tap_id is not None and transaction.kind in _SALES:
            times[transaction.tap_id] += transaction.kind is TransactionKind.CHARGE
            left_minor[transaction.tap_id] += posted_to(account, (transaction,))
    known = {charge.request.tap_id for charge in charges}
    wrong = [tap for tap in times if tap not in known]
    for charge in charges:
        tap = charge.request.tap_id
        expected_minor = charge.left_minor if charge.state in _ON_FOLIO else 0
        if times[tap] != (charge.state in _TOUCHED) or left_minor[tap] != expected_minor:
            wrong.append(tap)
    return wrong
