"""What the purser's desk keeps beyond the ledger: who gave money back, and approvals by a second person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from steward.domain.approvals import Approval, Corrected, Correction, GivenAlone
from steward.domain.ids import ApprovalId, GuestRef, TapId
from steward.domain.viewing import LookUp


class DeskTx(Protocol):
    """Part of ports.Tx."""

    def put_approval(self, approval: Approval) -> None:
        """Ask, or decide a pending one.

        Raises Conflict if the question changes, if it is decided already, if somebody approves his own, or if the
        same correction (kind, tap id, refund id) is pending already.
        """
        ...

    def approval(self, id_: ApprovalId) -> Approval | None: ...
    def newest_approval(self, kind: Correction, tap_id: TapId, refund_id: str) -> Approval | None:
        """The last that was asked for this correction."""
        ...

    def pending_approvals(self) -> Sequence[Approval]:
        """Oldest first; those whose time is over among them until somebody ends them."""
        ...

    def decided_approvals(self, limit: int) -> Sequence[Approval]:
        """Newest question first."""
        ...

    def put_correction(self, correction: Corrected) -> None:
        """Record for ever who gave money back. Its id is that of the ledger's transaction.

        Raises Conflict if it is recorded already, or if the approval it names is not done, of this charge, this amount
        and these two people.
        """
        ...

    def corrections_of(self, tap_id: TapId) -> Sequence[Corrected]:
        """Of this charge, in the order they were made."""
        ...

    def looks_before(
        self, seq: int, limit: int, *, guest: GuestRef | None = None, only_glass: bool = False
    ) -> Sequence[LookUp]:
        """The look-up log below `seq`, newest first, for the privacy officer: of one guest, or only emergencies."""
        ...

    def look_up_counts(self) -> Mapping[str, int]:
        """How many look-ups that were made here the log holds, by role. Goes through the whole log."""
        ...

    def given_alone(self, tap_id: TapId, guest: GuestRef, by: str) -> GivenAlone:
        """What went back without a second person so far: of this charge, and to this guest by this person or by
        tokens that name nobody. See domain/approvals.py.
        """
        ...
