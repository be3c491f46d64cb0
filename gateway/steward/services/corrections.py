"""What the desk may still do to a charge: void it, refund it, dispute it and resolve the dispute.

Each is safe to repeat: the same void, refund id or resolution again changes nothing and returns the charge.
What gives money back above a limit comes back as an Approval instead, and is carried out when a second person
approves it, in that transaction. Who did it goes into the event; why goes into the charge and the guest's statement,
never into the event, because it is free text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from steward.domain import ledger
from steward.domain.approvals import (
    Approval,
    ApprovalRefusal,
    ApprovalState,
    Corrected,
    Correction,
    Wish,
    approve_problem,
    refuse_problem,
)
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
from steward.domain.ids import ApprovalId, TapId
from steward.domain.ledger import LedgerTransaction
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services import approvals
from steward.services.approvals import SecondPerson
from steward.services.chargebook import ChargeBook, record

T = TypeVar("T")
Outcome = Charge | Approval  # done, or waiting for a second person


class Corrections:
    """`by` is always who the gateway knows is asking; `said_by` is what a program claims, noted and not believed."""

    def __init__(self, store: Store, clock: Clock, book: ChargeBook, second: SecondPerson) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._second = second

    async def void(self, tap_id: TapId, reason: str, by: str, said_by: str = "") -> Outcome:
        """Undo a charge of the same ship's day, before settlement. Raises Refused (CorrectionRefusal), NotFound."""
        _check_reason(reason)
        return await self._grant(Wish(Correction.VOID, tap_id, reason, by, said_by=said_by))

    async def refund(
        self, tap_id: TapId, amount_minor: int, reason: str, by: str, refund_id: str, said_by: str = ""
    ) -> Outcome:
        """Give back part or all of what is left of a charge, also after settlement: then it is paid out at once.

        refund_id names this refund of this charge for ever. Raises Conflict if it stood for another amount.
        """
        _check_reason(reason)
        if not ledger.is_amount(amount_minor):
            raise Refused("amount_invalid", f"amount_minor is a whole number from 1 to {ledger.AMOUNT_MAX_MINOR}")
        if not is_operation_id(refund_id):
            raise Refused("request_invalid", "refund_id is 1 to 64 of letters, digits, dot, dash, underscore")
        return await self._grant(Wish(Correction.REFUND, tap_id, reason, by, amount_minor, refund_id, said_by))

    async def dispute(self, tap_id: TapId, reason: str, by: str = "") -> Charge:
        """Mark a charge as disputed. It stays on the folio until resolved, also past settlement."""
        _check_reason(reason)
        self._book.check_authority()
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Charge:
            charge = self._book.look_up(tx, tap_id, now_s)
            if charge.state is ChargeState.DISPUTED:
                return charge
            if charge.state is not ChargeState.POSTED:
                _refuse(CorrectionRefusal.NOT_POSTED)
            return record(tx, EventType.CHARGE_DISPUTED, disputed(charge, reason), now_s, by=by)

        return await self._store.write(work)

    async def resolve(self, tap_id: TapId, uphold: bool, by: str, said_by: str = "") -> Outcome:
        """The guest was right: give back what is left of the charge. Or not: it stands as posted."""
        if uphold:
            return await self._grant(Wish(Correction.UPHOLD, tap_id, "", by, said_by=said_by))
        self._book.check_authority()
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Charge:
            charge = self._book.look_up(tx, tap_id, now_s)
            if charge.state is ChargeState.DISPUTED:
                return record(tx, EventType.DISPUTE_RESOLVED, dispute_rejected(charge), now_s, by=by)
            if charge.code != DISPUTE_REJECTED:
                _refuse(CorrectionRefusal.NOT_DISPUTED)
            return charge

        return await self._store.write(work)

    # the second person

    async def approve(self, id_: ApprovalId, by: str) -> Charge:
        """Agree as the second person, and carry it out in the same transaction. Again by the same person: no change.

        Raises NotFound, Refused (ApprovalRefusal, or CorrectionRefusal if the charge has changed meanwhile: it then
        stays pending).
        """
        self._book.check_authority()
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Charge | ApprovalRefusal:
            approval = approvals.find(tx, id_, now_s)
            charge = self._book.look_up(tx, approval.tap_id, now_s)
            if approval.state is ApprovalState.DONE and approval.decided_by == by:
                return charge
            if (problem := approve_problem(approval, by, now_s)) is not None:
                return problem  # returned, not raised: that the time is over is to be kept
            guest = _guest_of(tx, charge)
            _refuse(CorrectionRefusal.OWN_FOLIO if by == guest.ref else None)
            _refuse(self._problem(approval.wish, charge, guest, now_s))
            if approval.kind is not Correction.REFUND and approval.amount_minor != charge.left_minor:
                return ApprovalRefusal.APPROVAL_OUTDATED
            done = approvals.decide(tx, approval, ApprovalState.DONE, by, now_s)
            return _carry_out(tx, approval.wish, charge, guest, now_s, done)

        return _decided(await self._store.write(work))

    async def refuse(self, id_: ApprovalId, by: str) -> Approval:
        """Say no as the second person, or take the question back as the first. Nothing was corrected, nothing is."""
        self._book.check_authority()
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Approval | ApprovalRefusal:
            approval = approvals.find(tx, id_, now_s)
            if approval.state is ApprovalState.REFUSED and approval.decided_by == by:
                return approval
            problem = refuse_problem(approval, now_s)
            return problem or approvals.decide(tx, approval, ApprovalState.REFUSED, by, now_s)

        return _decided(await self._store.write(work))

    async def _grant(self, wish: Wish) -> Outcome:
        self._book.check_authority()
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Outcome:
            charge = self._book.look_up(tx, wish.tap_id, now_s)
            if _was_done(tx, wish, charge):
                return charge
            guest = _guest_of(tx, charge)
            _refuse(self._problem(wish, charge, guest, now_s))
            amount_minor = wish.amount_minor or charge.left_minor
            waiting = self._second.gate(tx, wish, charge, guest.ref, amount_minor, now_s)
            return waiting or _carry_out(tx, wish, charge, guest, now_s)

        return await self._store.write(work)

    def _problem(self, wish: Wish, charge: Charge, guest: Guest, now_s: int) -> CorrectionRefusal | None:
        if wish.by == guest.ref:
            return CorrectionRefusal.OWN_FOLIO
        if wish.kind is Correction.VOID:
            return void_problem(charge, guest, self._book.day_start(now_s))
        if wish.kind is Correction.REFUND:
            return refund_problem(charge, wish.amount_minor or 0)
        return None if charge.state is ChargeState.DISPUTED else CorrectionRefusal.NOT_DISPUTED


def find(transactions: Sequence[LedgerTransaction], id_: str) -> LedgerTransaction | None:
    return next((transaction for transaction in transactions if transaction.id == id_), None)


def _was_done(tx: Tx, wish: Wish, charge: Charge) -> bool:
    """Whether this very correction is on the folio already."""
    if wish.kind is Correction.VOID:
        return charge.state is ChargeState.VOIDED
    if wish.kind is Correction.UPHOLD:
        return charge.state is not ChargeState.DISPUTED and charge.code == DISPUTE_UPHELD
    account = ledger.guest_account(_guest_of(tx, charge).ref)
    known = find(tx.ledger_of(account), ledger.refund_transaction_id(wish.tap_id, wish.refund_id))
    if known is not None and ledger.posted_to(account, (known,)) != -(wish.amount_minor or 0):
        raise Conflict(f"refund {wish.refund_id} of tap {wish.tap_id} was of another amount")
    return known is not None


def _carry_out(
    tx: Tx, wish: Wish, charge: Charge, guest: Guest, now_s: int, approval: Approval | None = None
) -> Charge:
    """Post what gives the money back, with who did it, in one transaction."""
    amount_minor = wish.amount_minor or charge.left_minor
    who: dict[str, Scalar] = {"by": wish.by, "second": approval.decided_by if approval else ""}
    if wish.said_by:
        who["said_by"] = wish.said_by
    if wish.kind is Correction.VOID:
        undone = ledger.void(sale_of(charge), amount_minor, now_s, wish.reason)
        tx.post(undone)
        after = record(tx, EventType.CHARGE_VOIDED, voided(charge, wish.reason), now_s, **who)
    else:
        before = tx.ledger_of(ledger.guest_account(guest.ref))
        upheld = wish.kind is Correction.UPHOLD
        reason, refund_id = (charge.reason, _UPHELD_ID) if upheld else (wish.reason, wish.refund_id)
        undone = ledger.refund(sale_of(charge), amount_minor, now_s, refund_id, reason)
        after = refunded(charge, amount_minor, reason, DISPUTE_UPHELD if upheld else "")
        if upheld:
            record(tx, EventType.DISPUTE_RESOLVED, after, now_s, **who)
        after = _give_back(tx, guest, after, undone, before, refund_id=refund_id, **who)
    second, id_ = (approval.decided_by, approval.id) if approval else ("", None)
    tx.put_correction(Corrected(undone.id, wish.tap_id, guest.ref, amount_minor, wish.by, second, id_, now_s))
    return after


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
        on_card_minor = ledger.posted_to(ledger.SETTLEMENT_CLEARING, before)
        aside_minor = ledger.late_minor(after.request.tap_id, before)
        for payment in ledger.pay_back(undone, guest.ref, on_card_minor, aside_minor):
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


def _decided(outcome: T | ApprovalRefusal) -> T:
    if isinstance(outcome, ApprovalRefusal):
        raise Refused(outcome.value, _APPROVAL_ADVICE[outcome])
    return outcome


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
    CorrectionRefusal.OWN_FOLIO: "nobody gives money back to himself: a colleague must do it",
    CorrectionRefusal.NOT_DISPUTED: "nobody disputes it, or the dispute was resolved the other way",
}
_APPROVAL_ADVICE = {
    ApprovalRefusal.OWN_APPROVAL: "whoever asked cannot approve it: another purser must",
    ApprovalRefusal.NOBODY_ASKED: "a token that names nobody asked: refuse it, and ask with a token made with --crew",
    ApprovalRefusal.APPROVAL_DECIDED: "it is decided already",
    ApprovalRefusal.APPROVAL_EXPIRED: "nobody decided it in time: ask again",
    ApprovalRefusal.APPROVAL_OUTDATED: "the charge has changed since it was asked: refuse it and ask again",
}
