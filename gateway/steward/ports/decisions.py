"""What the store keeps of decisions: each guest's lot, and an append-only log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from steward.domain.holdout import Decision, LoggedDecision, Lot
from steward.domain.ids import GuestRef


class DecisionTx(Protocol):
    """Part of ports.Tx. Both go with the guest's own row, should it ever be deleted."""

    def put_lot(self, lot: Lot) -> None:
        """Insert. Raises Conflict if one was drawn for this guest and voyage: it never moves."""
        ...

    def lot(self, ref: GuestRef, voyage: str) -> Lot | None: ...
    def log_decision(self, decision: Decision) -> None:
        """Append. Raises ValueError for one that cannot be.

        Raises Conflict if this offer's is known, or if no lot was drawn for the guest, or another than the arm says.
        """
        ...

    def decisions(self, after_seq: int, limit: int) -> Sequence[LoggedDecision]:
        """In the order they were made, with what became of each."""
        ...

    def decisions_of(self, ref: GuestRef, limit: int) -> Sequence[LoggedDecision]:
        """Of this guest, newest first. Quick however long the log is."""
        ...

    def forget_decisions(self, before_s: int, limit: int) -> int:
        """Drop the oldest made before that, at most `limit`, and lots that no decision needs any more; how many.

        Raises Conflict if that would drop what is younger than KEPT_DAYS_MIN, counted from the newest.
        """
        ...

    def drop_decisions(self, ref: GuestRef) -> None:
        """Forget lots and decisions: the guest is forgotten."""
        ...
