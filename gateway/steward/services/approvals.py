"""The second person: what a correction must wait for, inside the correction's own transaction."""

from __future__ import annotations

from steward.domain.approvals import (
    WAITING_EACH_MAX,
    WAITING_MAX,
    Approval,
    ApprovalState,
    Correction,
    Wish,
    approval_payload,
    ask,
    decided,
    expired,
    is_over,
    is_person,
    needs_second,
)
from steward.domain.charges import Charge
from steward.domain.events import EventType, NewEvent
from steward.domain.ids import ApprovalId, GuestRef
from steward.errors import Busy, Conflict, NotFound, Refused
from steward.ports import Entropy, Tx

_ID_BYTES = 16
_WHO_ASKS = (
    "this much goes back only if one person asks and another approves, and this token names nobody: ask with a token "
    "made by `steward tokens add --role purser --crew REF`, or at a handheld"
)


class SecondPerson:
    """Decides whether a correction may go through at once, and keeps what waits. Takes a running transaction.

    above_minor: what one person may give back of one charge, and to one guest, without another; 0: nothing.
    """

    def __init__(self, entropy: Entropy, above_minor: int) -> None:
        self._entropy = entropy
        self._above_minor = above_minor

    def gate(
        self, tx: Tx, wish: Wish, charge: Charge, guest: GuestRef, amount_minor: int, now_s: int
    ) -> Approval | None:
        """None if this may be done now; otherwise the approval it waits for, asked for at most once.

        A refund whose id was refused before stays refused: its approval comes back as it was decided.
        Raises Refused if nobody asks, Conflict if a refund's id stood for another amount, Busy if too many wait.
        """
        known = self._newest(tx, wish, now_s)
        if known is not None:
            if known.amount_minor != amount_minor:
                raise Conflict(f"{wish.kind.value} of tap {wish.tap_id} waits with another amount: refuse that first")
            return known
        if not needs_second(amount_minor, tx.given_alone(wish.tap_id, guest, wish.by), self._above_minor):
            return None
        if not is_person(wish.by):
            raise Refused("token_names_nobody", _WHO_ASKS)
        self._check_room(tx, wish.by, now_s)
        id_ = ApprovalId(self._entropy.token_bytes(_ID_BYTES).hex())
        approval = ask(id_, wish, charge, guest, amount_minor, now_s)
        return keep(tx, EventType.APPROVAL_ASKED, approval, now_s)

    def _newest(self, tx: Tx, wish: Wish, now_s: int) -> Approval | None:
        """What was asked for this very correction before, and still stands for it."""
        known = tx.newest_approval(wish.kind, wish.tap_id, wish.refund_id)
        if known is not None and is_over(known, now_s):
            known = end(tx, known, now_s)
        named = wish.kind is Correction.REFUND  # for ever; a void or a dispute may be asked for again
        return known if known is not None and (named or known.state is ApprovalState.PENDING) else None

    def _check_room(self, tx: Tx, by: str, now_s: int) -> None:
        waiting = [approval for approval in tx.pending_approvals() if not is_over(approval, now_s)]
        own = sum(approval.asked_by == by for approval in waiting)
        if len(waiting) >= WAITING_MAX or own >= WAITING_EACH_MAX:
            raise Busy(f"{len(waiting)} corrections wait for a second person, {own} of them yours: have some decided")


def find(tx: Tx, id_: ApprovalId, now_s: int) -> Approval:
    """An approval, ended if it has waited too long. Raises NotFound."""
    approval = tx.approval(id_)
    if approval is None:
        raise NotFound("approval", id_)
    return end(tx, approval, now_s) if is_over(approval, now_s) else approval


def end(tx: Tx, approval: Approval, now_s: int) -> Approval:
    """Nobody decided in time."""
    return keep(tx, EventType.APPROVAL_REFUSED, expired(approval, now_s), now_s)


def decide(tx: Tx, approval: Approval, state: ApprovalState, by: str, now_s: int) -> Approval:
    given = state is ApprovalState.DONE
    type_ = EventType.APPROVAL_GIVEN if given else EventType.APPROVAL_REFUSED
    return keep(tx, type_, decided(approval, state, by, now_s), now_s)


def keep(tx: Tx, type_: EventType, approval: Approval, now_s: int) -> Approval:
    tx.put_approval(approval)
    tx.append_event(NewEvent(type_, now_s, approval_payload(approval)))
    return approval
