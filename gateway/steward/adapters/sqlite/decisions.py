"""Lots and the log of decisions: ports.decisions on decision_lot and decision. The schema refuses what never may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select
from steward.adapters.store_items import decode_named, encode_named
from steward.domain.catalogue import ItemId
from steward.domain.holdout import Arm, Decision, LoggedDecision, Lot, check_decision, check_lot
from steward.domain.ids import GuestRef
from steward.domain.offers import OfferId, OfferState

_LOT = ("guest", "voyage", "arm", "at_s")
_DECISION = (
    *("offer", "guest", "voyage", "arm", "at_s", "ranker"),
    *("features", "candidates", "item", "propensity_ppm", "popular_ppm", "named"),
)
_LOGGED = ("d.seq", *(f"d.{name}" for name in _DECISION), "o.state", "o.answered_s")

PUT_LOT = "INSERT INTO decision_lot (guest, voyage, arm, at_s) VALUES (?, ?, ?, ?)"
LOT = select(_LOT, "FROM decision_lot WHERE guest = ? AND voyage = ?")
LOG_DECISION = " ".join(
    ("INSERT INTO decision (", ", ".join(_DECISION), ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
)
DECISIONS = select(
    _LOGGED, "FROM decision AS d LEFT JOIN offer AS o ON o.id = d.offer WHERE d.seq > ? ORDER BY d.seq LIMIT ?"
)
DECISIONS_OF = select(
    _LOGGED, "FROM decision AS d LEFT JOIN offer AS o ON o.id = d.offer WHERE d.guest = ? ORDER BY d.seq DESC LIMIT ?"
)
FORGET_DECISIONS = """
DELETE FROM decision WHERE seq IN (SELECT seq FROM decision WHERE at_s < ? ORDER BY at_s, seq LIMIT ?) RETURNING seq
"""
FORGET_LOTS = """
DELETE FROM decision_lot WHERE at_s < ?
AND NOT EXISTS (SELECT 1 FROM decision AS d WHERE d.guest = decision_lot.guest AND d.voyage = decision_lot.voyage)
"""
DROP_LOTS = "DELETE FROM decision_lot WHERE guest = ?"
DROP_DECISIONS = "DELETE FROM decision WHERE guest = ?"


class DecisionTx(Statements):
    """Part of SqliteTx."""

    def put_lot(self, lot: Lot) -> None:
        check_lot(lot)
        self._change(PUT_LOT, (lot.guest, lot.voyage, lot.arm, lot.at_s))

    def lot(self, ref: GuestRef, voyage: str) -> Lot | None:
        row = self._one(LOT, (ref, voyage))
        return None if row is None else Lot(GuestRef(row[0]), row[1], Arm(row[2]), row[3])

    def log_decision(self, decision: Decision) -> None:
        check_decision(decision)
        values = (getattr(decision, name) for name in _DECISION[:-1])
        self._change(LOG_DECISION, (*values, encode_named(decision.named)))

    def decisions(self, after_seq: int, limit: int) -> Sequence[LoggedDecision]:
        return [_logged(row) for row in self._all(DECISIONS, (after_seq, max(limit, 0)))]

    def decisions_of(self, ref: GuestRef, limit: int) -> Sequence[LoggedDecision]:
        return [_logged(row) for row in self._all(DECISIONS_OF, (ref, max(limit, 0)))]

    def forget_decisions(self, before_s: int, limit: int) -> int:
        gone = self._change(FORGET_DECISIONS, (before_s, max(limit, 0)))
        self._change(FORGET_LOTS, (before_s,))
        return len(gone)

    def drop_decisions(self, ref: GuestRef) -> None:
        self._change(DROP_LOTS, (ref,))
        self._change(DROP_DECISIONS, (ref,))


def _logged(row: Sequence[Any]) -> LoggedDecision:
    seq, offer, guest, voyage, arm, at_s, ranker, features, candidates, item, propensity, popular, named = row[:-2]
    state, answered = row[-2:]
    decision = Decision(
        offer=OfferId(offer),
        guest=GuestRef(guest),
        voyage=voyage,
        arm=Arm(arm),
        at_s=at_s,
        ranker=ranker,
        features=features,
        candidates=candidates,
        item=ItemId(item),
        propensity_ppm=propensity,
        popular_ppm=popular,
        named=decode_named(named),
    )
    return LoggedDecision(seq, decision, None if state is None else OfferState(state), answered)
