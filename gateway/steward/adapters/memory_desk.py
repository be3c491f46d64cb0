"""The purser's approvals and corrections: ports.desk in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.domain.approvals import Approval, ApprovalState, Corrected, Correction, GivenAlone, may_be_one
from steward.domain.ids import ApprovalId, GuestRef, TapId, TransactionId
from steward.domain.viewing import LookUp
from steward.errors import Conflict

_DECIDED = (ApprovalState.DONE, ApprovalState.REFUSED)


class DeskState:
    """What this part of the store keeps."""

    def __init__(self) -> None:
        self.approvals: dict[ApprovalId, Approval] = {}  # in the order they were asked
        self.corrections: dict[TransactionId, Corrected] = {}  # in the order they were made


class MemoryDeskTx(Tables):
    """Part of MemoryTx."""

    if TYPE_CHECKING:

        def look_ups(self, after_seq: int, limit: int) -> Sequence[LookUp]:
            """Of MemoryLookUpTx."""
            ...

    @property
    def _desk(self) -> DeskState:
        return self._part(DeskState)

    def put_approval(self, approval: Approval) -> None:
        known = self._desk.approvals.get(approval.id)
        if known is None:
            self._check_question(approval)
        else:
            _check_answer(known, approval)
        self._put(self._desk.approvals, approval.id, approval)

    def _check_question(self, approval: Approval) -> None:
        if approval.state is not ApprovalState.PENDING or approval.decided_at_s is not None or approval.decided_by:
            raise Conflict("approval: asked first, decided later, once")
        if (approval.refund_id != "") != (approval.kind is Correction.REFUND) or not approval.asked_by:
            raise Conflict("approval: a refund has an id of its own, and somebody asks")
        for other in self.pending_approvals():
            if _correction_of(other) == _correction_of(approval):
                raise Conflict("approval: this correction is pending already")

    def approval(self, id_: ApprovalId) -> Approval | None:
        return self._desk.approvals.get(id_)

    def newest_approval(self, kind: Correction, tap_id: TapId, refund_id: str) -> Approval | None:
        asked = [a for a in self._desk.approvals.values() if _correction_of(a) == (kind, tap_id, refund_id)]
        return asked[-1] if asked else None

    def pending_approvals(self) -> Sequence[Approval]:
        return [a for a in self._desk.approvals.values() if a.state is ApprovalState.PENDING]

    def decided_approvals(self, limit: int) -> Sequence[Approval]:
        decided = [a for a in self._desk.approvals.values() if a.state is not ApprovalState.PENDING]
        return decided[::-1][: max(limit, 0)]

    def put_correction(self, correction: Corrected) -> None:
        corrections = self._desk.corrections
        used = correction.approval is not None and any(c.approval == correction.approval for c in corrections.values())
        if correction.id in corrections or used or not correction.by:
            raise Conflict("correction: one for each void or refund of the ledger")
        if (correction.second != "") != (correction.approval is not None) or correction.second == correction.by:
            raise Conflict("correction: a second person comes with an approval")
        if correction.approval is not None and not self._is_for(correction.approval, correction):
            raise Conflict("correction: not what this approval is for")
        self._put(corrections, correction.id, correction)

    def _is_for(self, id_: ApprovalId, correction: Corrected) -> bool:
        approval = self._desk.approvals.get(id_)
        return (
            approval is not None
            and approval.state is ApprovalState.DONE
            and (approval.tap_id, approval.guest) == (correction.tap_id, correction.guest)
            and approval.amount_minor == correction.amount_minor
            and (approval.asked_by, approval.decided_by) == (correction.by, correction.second)
        )

    def corrections_of(self, tap_id: TapId) -> Sequence[Corrected]:
        return [c for c in self._desk.corrections.values() if c.tap_id == tap_id]

    def looks_before(
        self, seq: int, limit: int, *, guest: GuestRef | None = None, only_glass: bool = False
    ) -> Sequence[LookUp]:
        looks = [look for look in self.look_ups(0, seq) if look.seq < seq and (guest is None or look.guest == guest)]
        newest = looks[::-1] if guest is None else looks[::-1][: max(limit, 0)]
        return [look for look in newest if look.broke_glass or not only_glass][: max(limit, 0)]

    def look_up_counts(self) -> Mapping[str, int]:
        return Counter(look.role for look in self.look_ups(0, 2**53) if not look.gateway)

    def given_alone(self, tap_id: TapId, guest: GuestRef, by: str) -> GivenAlone:
        alone = [c for c in self._desk.corrections.values() if not c.second]
        return GivenAlone(
            sum(c.amount_minor for c in alone if c.tap_id == tap_id),
            sum(c.amount_minor for c in alone if c.guest == guest and may_be_one(by, c.by)),
        )


def _correction_of(approval: Approval) -> tuple[Correction, TapId, str]:
    return approval.kind, approval.tap_id, approval.refund_id


def _check_answer(known: Approval, answer: Approval) -> None:
    """What the database's triggers and checks hold."""
    question = replace(answer, state=known.state, decided_by=known.decided_by, decided_at_s=known.decided_at_s)
    if question != known or known.state is not ApprovalState.PENDING or answer.state is ApprovalState.PENDING:
        raise Conflict("approval: decided once, and the question stays as it was asked")
    if answer.decided_at_s is None or (answer.decided_by != "") != (answer.state in _DECIDED):
        raise Conflict("approval: somebody decides, at a time")
    if answer.state is ApprovalState.DONE and answer.decided_by in (answer.asked_by, answer.said_by):
        raise Conflict("approval: nobody approves his own")
