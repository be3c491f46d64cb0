"""Approvals: money goes back to a guest above a limit only if a second person agrees.

Counted is what one person gave back alone: of a charge, whoever did it, and to a guest, by the same person. So a
large refund in small parts needs the second person as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from steward.domain.charges import Charge
from steward.domain.events import Scalar
from steward.domain.ids import ApprovalId, GuestRef, TapId, TransactionId

APPROVAL_S = 24 * 3600  # how long a correction waits for its second person
WAITING_MAX = 200  # corrections that wait at once
WAITING_EACH_MAX = 50  # of these, asked for by one person
TOKEN = "token:"  # noqa: S105 how a token that names nobody begins; no crew reference has a colon


class Correction(StrEnum):
    """What gives money back for a charge."""

    VOID = "void"
    REFUND = "refund"
    UPHOLD = "uphold"  # a dispute decided for the guest


class ApprovalState(StrEnum):
    PENDING = "pending"
    DONE = "done"  # approved, and carried out in the same transaction
    REFUSED = "refused"  # by the second person, or taken back by the one who asked
    EXPIRED = "expired"


class ApprovalRefusal(StrEnum):
    """Why an approval cannot be decided so. Raised to whoever tries, not recorded."""

    OWN_APPROVAL = "own_approval"
    NOBODY_ASKED = "nobody_asked"  # a token that names no crew member: it may be the second person's own
    APPROVAL_DECIDED = "approval_decided"
    APPROVAL_EXPIRED = "approval_expired"
    APPROVAL_OUTDATED = "approval_outdated"  # what is left of the charge is not what was asked about


@dataclass(frozen=True, slots=True)
class Wish:
    """A correction that somebody asks for."""

    kind: Correction
    tap_id: TapId
    reason: str
    by: str  # who asks, as the gateway itself knows them: a crew reference, or "token:<id>"
    amount_minor: int | None = None  # of a refund; otherwise what is left of the charge
    refund_id: str = ""
    said_by: str = ""  # whom an API caller names: noted, and never taken for a person who was there


@dataclass(frozen=True, slots=True)
class Approval:
    """A correction that waits for a second person, or did."""

    id: ApprovalId
    kind: Correction
    tap_id: TapId
    guest: GuestRef
    amount_minor: int
    currency: str
    refund_id: str
    reason: str
    asked_by: str
    said_by: str
    asked_at_s: int
    expires_at_s: int
    state: ApprovalState = ApprovalState.PENDING
    decided_by: str = ""  # empty while pending, and when it expired
    decided_at_s: int | None = None

    @property
    def wish(self) -> Wish:
        return Wish(self.kind, self.tap_id, self.reason, self.asked_by, self.amount_minor, self.refund_id, self.said_by)


@dataclass(frozen=True, slots=True)
class Corrected:
    """A correction that was carried out: one for each transaction of the ledger that gives money back for a charge."""

    id: TransactionId
    tap_id: TapId
    guest: GuestRef
    amount_minor: int
    by: str
    second: str  # who approved it; empty: nobody had to
    approval: ApprovalId | None
    at_s: int


@dataclass(frozen=True, slots=True)
class GivenAlone:
    """What went back without a second person, in minor units, before the correction in question."""

    of_charge_minor: int  # by anybody
    to_guest_minor: int  # by the person who asks now, or by tokens that name nobody: any of them may be that person


def is_person(by: str) -> bool:
    """Whether this is somebody: one human, however they come in, is one crew reference. A nameless token is nobody."""
    return by != "" and not by.startswith(TOKEN)


def may_be_one(by: str, other: str) -> bool:
    """Whether two that gave money back may be the same human."""
    return by == other or by.startswith(TOKEN) or other.startswith(TOKEN)


def needs_second(amount_minor: int, given: GivenAlone, above_minor: int) -> bool:
    """Whether a second person must agree. `above_minor` 0: always."""
    return max(given.of_charge_minor, given.to_guest_minor) + amount_minor > above_minor


def ask(id_: ApprovalId, wish: Wish, charge: Charge, guest: GuestRef, amount_minor: int, now_s: int) -> Approval:
    return Approval(
        id_,
        wish.kind,
        wish.tap_id,
        guest,
        amount_minor,
        charge.request.currency,
        wish.refund_id,
        wish.reason,
        wish.by,
        wish.said_by,
        now_s,
        now_s + APPROVAL_S,
    )


def is_over(approval: Approval, now_s: int) -> bool:
    """Whether a pending approval has waited too long. A clock far behind the question cannot keep it alive either."""
    return approval.state is ApprovalState.PENDING and abs(now_s - approval.asked_at_s) > APPROVAL_S


def expired(approval: Approval, now_s: int) -> Approval:
    return replace(approval, state=ApprovalState.EXPIRED, decided_at_s=now_s)


def decided(approval: Approval, state: ApprovalState, by: str, now_s: int) -> Approval:
    return replace(approval, state=state, decided_by=by, decided_at_s=now_s)


def approve_problem(approval: Approval, by: str, now_s: int) -> ApprovalRefusal | None:
    """Why this person cannot approve it now. Whoever asked, or is named in the question, is no second person.

    Nor is anybody to a question that nobody asked: such a token may be the approver's own.
    """
    if by in (approval.asked_by, approval.said_by):
        return ApprovalRefusal.OWN_APPROVAL
    if not (is_person(approval.asked_by) and is_person(by)):
        return ApprovalRefusal.NOBODY_ASKED
    return refuse_problem(approval, now_s)


def refuse_problem(approval: Approval, now_s: int) -> ApprovalRefusal | None:
    """Why it cannot be refused any more."""
    if approval.state is ApprovalState.EXPIRED or is_over(approval, now_s):
        return ApprovalRefusal.APPROVAL_EXPIRED
    return ApprovalRefusal.APPROVAL_DECIDED if approval.state is not ApprovalState.PENDING else None


def approval_payload(approval: Approval) -> dict[str, Scalar]:
    """The payload of its events: pseudonymous, without the reason, which is free text."""
    return {
        "approval": approval.id,
        "kind": approval.kind.value,
        "tap_id": approval.tap_id,
        "guest": approval.guest,
        "amount_minor": approval.amount_minor,
        "currency": approval.currency,
        "asked_by": approval.asked_by,
        "decided_by": approval.decided_by,
    }
