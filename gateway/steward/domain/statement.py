"""A guest's statement: every ledger line in order, the running balance, totals, and what is still open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steward.domain.charges import Charge, ChargeState
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, TapId, TransactionId
from steward.domain.ledger import LedgerTransaction, TransactionKind, guest_account, posted_to, settlement_id


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One ledger transaction as the guest sees it: positive is owed, negative is in the guest's favour."""

    id: TransactionId
    at_s: int
    kind: TransactionKind
    text: str  # what was bought, or why money came back
    outlet: str  # empty for the desk's own lines
    tap_id: TapId | None
    amount_minor: int
    balance_minor: int  # after this line
    disputed: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of the lines by kind, all zero or more. charged - credited - deposits + returned - settled = balance."""

    charged_minor: int
    credited_minor: int  # voids and refunds
    deposits_minor: int
    returned_minor: int  # of deposits
    settled_minor: int  # on the guest's card, net of what went back on it
    balance_minor: int
    disputed_minor: int  # in the balance, and marked
    held_minor: int  # not in the balance yet


@dataclass(frozen=True, slots=True)
class Statement:
    ref: GuestRef
    currency: str
    settled: bool
    lines: tuple[StatementLine, ...]
    totals: Totals
    held: tuple[TapId, ...]
    disputes: tuple[TapId, ...]


def build_statement(guest: Guest, ledger: Sequence[LedgerTransaction], charges: Sequence[Charge]) -> Statement:
    """ledger: the guest account's transactions in the order they were booked. charges: all of this guest's."""
    by_tap = {charge.request.tap_id: charge for charge in charges}
    lines, balance_minor = [], 0
    for transaction in ledger:
        amount_minor = posted_to(guest_account(guest.ref), (transaction,))
        balance_minor += amount_minor
        charge = by_tap.get(transaction.tap_id) if transaction.tap_id is not None else None
        lines.append(_line(transaction, charge, amount_minor, balance_minor))
    held = [charge for charge in charges if charge.state is ChargeState.HELD]
    disputes = [charge for charge in charges if charge.state is ChargeState.DISPUTED]
    return Statement(
        guest.ref,
        guest.currency,
        guest.settled,
        tuple(lines),
        _totals(guest, ledger, balance_minor, held, disputes),
        tuple(charge.request.tap_id for charge in held),
        tuple(charge.request.tap_id for charge in disputes),
    )


def _line(
    transaction: LedgerTransaction, charge: Charge | None, amount_minor: int, balance_minor: int
) -> StatementLine:
    description = charge.request.description if charge else ""
    return StatementLine(
        transaction.id,
        transaction.at_s,
        transaction.kind,
        transaction.memo or description,
        charge.request.outlet if charge else "",
        transaction.tap_id,
        amount_minor,
        balance_minor,
        charge is not None and charge.state is ChargeState.DISPUTED,
    )


def _totals(
    guest: Guest,
    ledger: Sequence[LedgerTransaction],
    balance_minor: int,
    held: Sequence[Charge],
    disputes: Sequence[Charge],
) -> Totals:
    account = guest_account(guest.ref)

    def total(*kinds: TransactionKind) -> int:
        return posted_to(account, (t for t in ledger if t.kind in kinds))

    return Totals(
        charged_minor=total(TransactionKind.CHARGE),
        credited_minor=-total(TransactionKind.VOID, TransactionKind.REFUND),
        deposits_minor=-total(TransactionKind.DEPOSIT),
        returned_minor=total(TransactionKind.DEPOSIT_RETURN),
        settled_minor=-total(TransactionKind.SETTLEMENT),
        balance_minor=balance_minor,
        disputed_minor=sum(charge.left_minor for charge in disputes),
        held_minor=sum(charge.request.amount_minor for charge in held),
    )


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a folio ended: at most one of the two amounts is not zero."""

    ref: GuestRef
    currency: str
    settled_minor: int  # put on the guest's card
    returned_minor: int  # of the deposit, back to the guest
    disputes: tuple[TapId, ...]  # still open; one that is upheld later is paid out then
    repeated: bool  # it was settled before


def build_settlement(
    guest: Guest, ledger: Sequence[LedgerTransaction], charges: Sequence[Charge], *, repeated: bool
) -> Settlement:
    """ledger: the settled guest account's transactions."""
    last = next((transaction for transaction in ledger if transaction.id == settlement_id(guest.ref)), None)
    balance_minor = -posted_to(guest_account(guest.ref), (last,)) if last is not None else 0
    return Settlement(
        guest.ref,
        guest.currency,
        max(balance_minor, 0),
        max(-balance_minor, 0),
        tuple(charge.request.tap_id for charge in charges if charge.state is ChargeState.DISPUTED),
        repeated,
    )
