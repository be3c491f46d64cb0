"""What the desk may still do to a charge: void it, refund it, dispute it and resolve the dispute.

Each is safe to repeat: the same void, refund id or resolution again changes nothing and returns the charge.
Who did it goes into the event; why goes into the charge and the guest's statement, never into the event, because
it is free text.
"""

from __future__ import annotations

from collections.abc import Sequence

from steward.domain import ledger
from steward.domain.charges import (
    DISPUTE_REJECTED,
    DISPUTE_UPHELD,
    REASON_MAX,
    Charge,
    ChargeState,
    CorrectionRefusal,
    dispute_rejected,
    disputed,
    is_operation_id,
    is_reason,
    refund_problem,
    refunded,
    sale_of,
    void_problem,
    voided,
)
from steward.domain.events import EventType, Scalar
from steward.domain.guests import Guest
from steward.domain.ids import TapId
from steward.domain.ledger import LedgerTransaction
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services.chargebook import ChargeBook, record


class Corrections:
    def __init__(self, store: Store, clock: Clock, book: ChargeBook) -> None:
        self._store = store
        self._clock = clock
        self._book = book

    async def void(self, tap_id: TapId, reason: str, by: str) -> Charge:
        """Undo a charge of the same ship's day, before settlement. Raises Refused (CorrectionRefusal), NotFound."""
        _check_reason(reason)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Charge:
            charge = self._book.look_up(tx, tap_id, now_s)
            if charge.state is ChargeState.VOIDED:
                return charge
            guest = _guest_of(tx, charge)
            _refuse(void_problem(charge, guest, self._book.day_start(now_s)))
            tx.post(ledger.void(sale_of(charge), charge.request.amount_minor, now_s, reason))
            return record(tx, EventType.CHARGE_VOIDED, voided(charge, reason), now_s, by=by)

        return await self._store.write(work)

    async def refund(self, tap_id: TapId, amount_minor: int, reason: str, by: str, refund_id: str) -> Charge:
        """Give back part or all of what is left of a charge, also after settlement: then it is paid out at once.

        refund_id names this refund of this charge for ever. Raises Conflict if it stood for another amount.
        """
        _check_reason(reason)
        if not ledger.is_amount(amount_minor):
            raise Refused("amount_invalid", f"amount_minor is a whole number from 1 to {ledger.AMOUNT_MAX_MINOR}")
        if not is_operation_id(refund_id):
            raise Refused("request_invalid", "refund_id is 1 to 64 of letters, digits, dot, dash, underscore")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Charge:
            charge = self._book.look_up(tx, tap_id, now_s)
            guest = _guest_of(tx, charge)
            before = tx.ledger_of(ledger.guest_account(guest.ref))
            known = find(before, ledger.refund_transaction_id(tap_id, refund_id))
            if known is not None:
                if ledger.posted_to(ledger.guest_account(guest.ref), (known,)) != -amount_minor:
                    raise Conflict(f"refund {refund_id} of tap {tap_id} was of another amount")
                return charge
            _refuse(refund_problem(charge, amount_minor))
            undone = ledger.refund(sale_of(charge), amount_minor, now_s, refund_id, reason)
            after = refunded(charge, amount_minor, reason)
            return _give_back(tx, guest, after, undone, before, by=by, refund_id=refund_id)

        return await self._store.write(work)

    async def dispute(self, tap_id: TapId, reason: str, by: str = "") -> Charge:
        """Mark a charge as disputed. It stays on the folio until resolved, also past settlement."""
        _check_reason(reason)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Charge:
            charge = self._book.look_up(tx, tap_id, now_s)
            if charge.state is ChargeState.DISPUTED:
                return charge
            if charge.state is not ChargeState.POSTED:
                _refuse(CorrectionRefusal.NOT_POSTED)
            return record(tx, EventType.CHARGE_DISPUTED, disputed(charge, reason), now_s, by=by)

        return await self._store.write(work)

    async def resolve(self, tap_id: TapId, uphold: bool, by: str) -> Charge:
        """The guest was right: give back what is left of the charge. Or not: it stands as posted."""
        now_s = self._clock.now().unix_s
        code = DISPUTE_UPHELD if uphold else DISPUTE_REJECTED

        def work(tx: Tx) -> Charge:
            charge = self._book.look_up(tx, tap_id, now_s)
            if charge.state is not ChargeState.DISPUTED:
                if charge.code == code:
                    return charge
                _refuse(CorrectionRefusal.NOT_DISPUTED)
            if not uphold:
                return record(tx, EventType.DISPUTE_RESOLVED, dispute_rejected(charge), now_s, by=by)
            guest = _guest_of(tx, charge)
            before = tx.ledger_of(ledger.guest_account(guest.ref))
            undone = ledger.refund(sale_of(charge), charge.left_minor, now_s, _UPHELD_ID, charge.reason)
            after = refunded(charge, charge.left_minor, charge.reason, code)
            record(tx, EventType.DISPUTE_RESOLVED, after, now_s, by=by)
            return _give_back(tx, guest, after, undone, before, by=by, refund_id=_UPHELD_ID)

        return await self._store.write(work)


def find(transactions: Sequence[LedgerTransaction], id_: str) -> LedgerTransaction | None:
    return next((transaction for transaction in transactions if transaction.id == id_), None)


def _give_back(
    tx: Tx,
    guest: Guest,
    after: Charge,
    undone: LedgerTransaction,
    before: Sequence[LedgerTransaction],
    **more: Scalar,
) -> Charge:
    """Post a refund. A settled folio must stay at zero, so there the money leaves in the same transaction."""
    account = ledger.guest_account(guest.ref)
    back_minor = -ledger.posted_to(account, (undone,))
    tx.post(undone)
    if guest.settled:
        for payment in ledger.pay_back(undone, guest.ref, ledger.posted_to(ledger.SETTLEMENT_CLEARING, before)):
            tx.post(payment)
    paid_back_minor = back_minor if guest.settled else 0
    return record(
        tx,
        EventType.CHARGE_REFUNDED,
        after,
        undone.at_s,
        refund_minor=back_minor,
        refunded_minor=after.refunded_minor,
        paid_back_minor=paid_back_minor,
        **more,
    )


def _guest_of(tx: Tx, charge: Charge) -> Guest:
    """Whose charge it is. A charge that never reached a folio has nothing to correct."""
    if charge.evidence is None or charge.state is ChargeState.REFUSED:
        raise Refused(CorrectionRefusal.NOT_POSTED.value, f"the charge is {charge.state.value}")
    guest = tx.guest(charge.evidence.guest)
    if guest is None:
        raise NotFound("guest", charge.evidence.guest)
    return guest


def _refuse(problem: CorrectionRefusal | None) -> None:
    if problem is not None:
        raise Refused(problem.value, _ADVICE[problem])


def _check_reason(reason: str) -> None:
    if not is_reason(reason):
        raise Refused("request_invalid", f"reason is at most {REASON_MAX} printable characters")


_UPHELD_ID = "dispute/upheld"  # no refund of the desk's can have this id: it has a slash

_ADVICE = {
    CorrectionRefusal.NOT_POSTED: "only a charge on the folio can be corrected; a held one can be cancelled",
    CorrectionRefusal.PARTLY_REFUNDED: "part of it is refunded already: refund the rest",
    CorrectionRefusal.VOID_TOO_LATE: "it was made on another day: refund it",
    CorrectionRefusal.FOLIO_SETTLED: "the folio is settled: refund it",
    CorrectionRefusal.DISPUTE_OPEN: "it is disputed: resolve the dispute first",
    CorrectionRefusal.REFUND_EXCEEDS: "that is more than is left of the charge",
    CorrectionRefusal.NOT_DISPUTED: "nobody disputes it, or the dispute was resolved the other way",
}
