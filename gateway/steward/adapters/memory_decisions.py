"""Lots and the log of decisions: ports.decisions in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.domain.holdout import KEPT_DAYS_MIN, Arm, Decision, LoggedDecision, Lot, check_decision, check_lot
from steward.domain.ids import GuestRef
from steward.domain.offers import Offer, OfferId
from steward.errors import Conflict

_DAY_S = 86_400


class DecisionState:
    """What this part of the store keeps. log: by offer, with its place."""

    def __init__(self) -> None:
        self.lots: dict[tuple[GuestRef, str], Lot] = {}
        self.log: dict[OfferId, tuple[int, Decision]] = {}


class MemoryDecisionTx(Tables):
    """Part of MemoryTx."""

    if TYPE_CHECKING:

        def offer(self, offer: OfferId) -> Offer | None: ...

    @property
    def _decisions(self) -> DecisionState:
        return self._part(DecisionState)

    def put_lot(self, lot: Lot) -> None:
        check_lot(lot)
        key = (lot.guest, lot.voyage)
        if key in self._decisions.lots:
            raise Conflict("lot: it was drawn already and never moves")
        self._put(self._decisions.lots, key, lot)

    def lot(self, ref: GuestRef, voyage: str) -> Lot | None:
        return self._decisions.lots.get((ref, voyage))

    def log_decision(self, decision: Decision) -> None:
        check_decision(decision)
        state = self._decisions
        if decision.offer in state.log:
            raise Conflict("decision: this one is logged already")
        lot = self.lot(decision.guest, decision.voyage)
        if lot is None or decision.arm not in (lot.arm, Arm.EVERYBODY):
            raise Conflict("decision: not the arm that was drawn for this guest")
        seq = max((known for known, _ in state.log.values()), default=0) + 1
        self._put(state.log, decision.offer, (seq, decision))

    def decisions(self, after_seq: int, limit: int) -> Sequence[LoggedDecision]:
        found = sorted((seq, decision.offer) for seq, decision in self._decisions.log.values() if seq > after_seq)
        return [self._logged(offer) for _, offer in found[: max(limit, 0)]]

    def decisions_of(self, ref: GuestRef, limit: int) -> Sequence[LoggedDecision]:
        own = sorted((seq, made.offer) for seq, made in self._decisions.log.values() if made.guest == ref)
        return [self._logged(offer) for _, offer in own[::-1][: max(limit, 0)]]

    def forget_decisions(self, before_s: int, limit: int) -> int:
        state = self._decisions
        newest = max((decision.at_s for _, decision in state.log.values()), default=0)
        old = sorted((d.at_s, seq, d) for seq, d in state.log.values() if d.at_s < before_s)
        gone = [decision for _, _, decision in old[: max(limit, 0)]]
        if any(decision.at_s > newest - KEPT_DAYS_MIN * _DAY_S for decision in gone):
            raise Conflict("decision: too young to be forgotten")
        for decision in gone:
            self._drop(state.log, decision.offer)
        needed = {(decision.guest, decision.voyage) for _, decision in state.log.values()}
        for key in [key for key, lot in state.lots.items() if lot.at_s < before_s and key not in needed]:
            self._drop(state.lots, key)
        return len(gone)

    def drop_decisions(self, ref: GuestRef) -> None:
        state = self._decisions
        for key in [key for key in state.lots if key[0] == ref]:
            self._drop(state.lots, key)
        for offer in [offer for offer, (_, decision) in state.log.items() if decision.guest == ref]:
            self._drop(state.log, offer)

    def _logged(self, offer: OfferId) -> LoggedDecision:
        seq, decision = self._decisions.log[offer]
        now = self.offer(offer)
        state, answered = (None, None) if now is None else (now.state, now.answered_s)
        return LoggedDecision(seq, decision, state, answered)
