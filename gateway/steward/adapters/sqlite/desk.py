"""The purser's approvals and corrections: ports.desk on the tables approval and correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steward.adapters.sqlite.lookups import LOOK_UP_COLUMNS, look_up
from steward.adapters.sqlite.statements import Statements, select
from steward.domain.approvals import Approval, ApprovalState, Corrected, Correction, GivenAlone, may_be_one
from steward.domain.ids import ApprovalId, GuestRef, TapId, TransactionId
from steward.domain.viewing import LookUp

_QUESTION = ("kind", "tap_id", "guest", "amount_minor", "currency", "refund_id", "reason")
_ASKED = ("asked_by", "said_by", "asked_at_s", "expires_at_s")
_ANSWER = ("state", "decided_by", "decided_at_s")
_APPROVAL = ("id", *_QUESTION, *_ASKED, *_ANSWER)
_CORRECTION = ("id", "tap_id", "guest", "amount_minor", "by", "second", "approval", "at_s")

# Not an upsert: the triggers tell a question from its answer, and every other column must stay as it is.
ASK = f"INSERT INTO approval ({', '.join(_APPROVAL)}) VALUES ({', '.join('?' * len(_APPROVAL))})"  # noqa: S608
ANSWER = (
    f"UPDATE approval SET {', '.join(f'{name} = ?' for name in (*_QUESTION, *_ASKED, *_ANSWER))} "  # noqa: S608
    "WHERE id = ? RETURNING seq"
)
ASKED_REASON = "SELECT reason FROM approval WHERE id = ?"
APPROVAL = select(_APPROVAL, "FROM approval WHERE id = ?")
NEWEST_APPROVAL = select(
    _APPROVAL, "FROM approval WHERE tap_id = ? AND kind = ? AND refund_id = ? ORDER BY seq DESC LIMIT 1"
)
PENDING_APPROVALS = select(_APPROVAL, "FROM approval WHERE state = 'pending' ORDER BY seq")
DECIDED_APPROVALS = select(_APPROVAL, "FROM approval WHERE state <> 'pending' ORDER BY seq DESC LIMIT ?")
PUT_CORRECTION = f"INSERT INTO correction ({', '.join(_CORRECTION)}) VALUES ({', '.join('?' * len(_CORRECTION))})"  # noqa: S608
CORRECTIONS_OF = select(_CORRECTION, "FROM correction WHERE tap_id = ? ORDER BY seq")
ALONE_OF_TAP = "SELECT coalesce(sum(amount_minor), 0) FROM correction WHERE tap_id = ? AND second = ''"
ALONE_TO_GUEST = "SELECT by, sum(amount_minor) FROM correction WHERE guest = ? AND second = '' GROUP BY by"
LOOK_UP_COUNTS = "SELECT role, count(*) FROM look_up WHERE way <> 'erased' AND gateway = '' GROUP BY role"
LOOKS_BEFORE = select(LOOK_UP_COLUMNS, "FROM look_up WHERE seq < ? AND way <> 'erased' ORDER BY seq DESC LIMIT ?")
LOOKS_OF_GUEST = select(LOOK_UP_COLUMNS, "FROM look_up WHERE guest = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
GLASS_BEFORE = select(LOOK_UP_COLUMNS, "FROM look_up WHERE way = 'broke_glass' AND seq < ? ORDER BY seq DESC LIMIT ?")


class DeskTx(Statements):
    def put_approval(self, approval: Approval) -> None:
        question = (
            *(approval.kind.value, approval.tap_id, approval.guest, approval.amount_minor, approval.currency),
            *(approval.refund_id, self._sealed_reason(approval)),
            *(approval.asked_by, approval.said_by, approval.asked_at_s, approval.expires_at_s),
            *(approval.state.value, approval.decided_by, approval.decided_at_s),
        )
        if not self._change(ANSWER, (*question, approval.id)):
            self._change(ASK, (approval.id, *question))

    def _sealed_reason(self, approval: Approval) -> str:
        """As it is there already: the question stays as it was asked, to the letter."""
        kind = approval_kind(approval.id)
        known = self._one(ASKED_REASON, (approval.id,))
        if known is not None and self._text(approval.guest, kind, known[0]) in (approval.reason, ""):
            return str(known[0])
        return self._seal_text(approval.guest, kind, approval.reason)

    def _approval(self, row: Sequence[Any]) -> Approval:
        id_, guest, reason = row[0], row[3], row[7]
        return _approval((*row[:7], self._text(guest, approval_kind(id_), reason), *row[8:]))

    def approval(self, id_: ApprovalId) -> Approval | None:
        row = self._one(APPROVAL, (id_,))
        return None if row is None else self._approval(row)

    def newest_approval(self, kind: Correction, tap_id: TapId, refund_id: str) -> Approval | None:
        row = self._one(NEWEST_APPROVAL, (tap_id, kind.value, refund_id))
        return None if row is None else self._approval(row)

    def pending_approvals(self) -> Sequence[Approval]:
        return [self._approval(row) for row in self._all(PENDING_APPROVALS)]

    def decided_approvals(self, limit: int) -> Sequence[Approval]:
        return [self._approval(row) for row in self._all(DECIDED_APPROVALS, (max(limit, 0),))]

    def put_correction(self, correction: Corrected) -> None:
        self._change(
            PUT_CORRECTION,
            (
                *(correction.id, correction.tap_id, correction.guest, correction.amount_minor),
                *(correction.by, correction.second, correction.approval, correction.at_s),
            ),
        )

    def corrections_of(self, tap_id: TapId) -> Sequence[Corrected]:
        return [_correction(row) for row in self._all(CORRECTIONS_OF, (tap_id,))]

    def looks_before(
        self, seq: int, limit: int, *, guest: GuestRef | None = None, only_glass: bool = False
    ) -> Sequence[LookUp]:
        if guest is not None:
            rows = self._all(LOOKS_OF_GUEST, (guest, seq, max(limit, 0)))
            looks = [look_up(row, self._text) for row in rows]
            return [look for look in looks if look.broke_glass or not only_glass]
        rows = self._all(GLASS_BEFORE if only_glass else LOOKS_BEFORE, (seq, max(limit, 0)))
        return [look_up(row, self._text) for row in rows]

    def look_up_counts(self) -> Mapping[str, int]:
        return dict(self._all(LOOK_UP_COUNTS))

    def given_alone(self, tap_id: TapId, guest: GuestRef, by: str) -> GivenAlone:
        to_guest = self._all(ALONE_TO_GUEST, (guest,))
        by_one = sum(amount_minor for other, amount_minor in to_guest if may_be_one(by, other))
        return GivenAlone(self._one(ALONE_OF_TAP, (tap_id,))[0], by_one)


def approval_kind(id_: str) -> str:
    return f"approval {id_}"


def _approval(row: Sequence[Any]) -> Approval:
    id_, kind, tap_id, guest, amount_minor, currency, refund_id, reason = row[:8]
    asked_by, said_by, asked_at_s, expires_at_s, state, decided_by, decided_at_s = row[8:]
    return Approval(
        id=ApprovalId(id_),
        kind=Correction(kind),
        tap_id=TapId(tap_id),
        guest=GuestRef(guest),
        amount_minor=amount_minor,
        currency=currency,
        refund_id=refund_id,
        reason=reason,
        asked_by=asked_by,
        said_by=said_by,
        asked_at_s=asked_at_s,
        expires_at_s=expires_at_s,
        state=ApprovalState(state),
        decided_by=decided_by,
        decided_at_s=decided_at_s,
    )


def _correction(row: Sequence[Any]) -> Corrected:
    id_, tap_id, guest, amount_minor, by, second, approval, at_s = row
    return Corrected(
        id=TransactionId(id_),
        tap_id=TapId(tap_id),
        guest=GuestRef(guest),
        amount_minor=amount_minor,
        by=by,
        second=second,
        approval=None if approval is None else ApprovalId(approval),
        at_s=at_s,
    )
