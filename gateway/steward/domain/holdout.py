"""Who is in the hold-out, by lot and for a whole voyage; and the log of decisions that lift is measured on. Pure.

Of every voyage's guests a stated share is held out: they get what is popular, as somebody who was never asked for
suggestions gets it, and not nothing, so that the two arms differ in one thing alone: whether the guest's own past
chose. The lot is a keyed hash of guest and voyage: the same on every gateway of the ship, and nobody without the ship's
keys can tell or choose it. It is drawn for every guest, whatever they have agreed to; the store keeps it and never
changes it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

from steward.domain.catalogue import ItemId
from steward.domain.ids import GuestRef
from steward.domain.offers import PPM, OfferId, OfferState

PERCENT_DEFAULT = 10
VOYAGE_DEFAULT = "all"
KEPT_DAYS_DEFAULT = 180
KEPT_DAYS_MIN = 28  # the store refuses to forget anything younger: a report cannot be made to look better
_LABEL = b"steward hold-out 1"
_DRAW_BYTES = 8


class Arm(StrEnum):
    PERSONAL = "personal"
    HOLDOUT = "holdout"
    EVERYBODY = "everybody"  # did not agree to personal suggestions: popular things, and no part of the comparison


@dataclass(frozen=True, slots=True)
class Lot:
    """What was drawn for a guest: personal or holdout. at_s: when it was first needed."""

    guest: GuestRef
    voyage: str
    arm: Arm
    at_s: int


@dataclass(frozen=True, slots=True)
class Decision:
    """One offer as it was decided. No more about the guest than the pseudonym.

    propensity_ppm: how likely the item was to be the one, in millionths; popular_ppm: how likely it would have been had
    popularity alone ranked the same candidates, None where that was not worked out. features: "" without a model.

    named: the top of the list with the chance of each, the best first; the other candidates share the rest equally.
    That is what it takes to value a policy that is yet to be: one that puts the top in another order is covered whole,
    with no weight above 1 / FLOOR_PPM. Empty: logged before it was.
    """

    offer: OfferId
    guest: GuestRef
    voyage: str
    arm: Arm
    at_s: int
    ranker: str  # name and version
    features: str
    candidates: int
    item: ItemId
    propensity_ppm: int
    popular_ppm: int | None
    named: tuple[tuple[ItemId, int], ...] = ()

    def chance_ppm(self, item: ItemId) -> int:
        """Of a named one, or of any other candidate. Raises ValueError where nothing was named."""
        if not self.named:
            raise ValueError("this decision was logged without the chances of others")
        known, others = dict(self.named), self.candidates - len(self.named)
        each_other = (PPM - sum(known.values())) // others if others else 0
        return known.get(item, each_other)


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """With its place in the log, and what has become of the offer so far; None: the offer is gone."""

    seq: int
    decision: Decision
    state: OfferState | None
    answered_s: int | None


def draw(key: bytes, voyage: str, guest: GuestRef, percent: int) -> Arm:
    """Personal or holdout. percent: the hold-out's share, 0 to 100."""
    message = b"\x00".join((_LABEL, voyage.encode(), guest.encode()))
    drawn = int.from_bytes(hmac.digest(key, message, hashlib.sha256)[:_DRAW_BYTES], "big")
    return Arm.HOLDOUT if drawn * 100 < percent << 8 * _DRAW_BYTES else Arm.PERSONAL


def check_lot(lot: Lot) -> None:
    """Raises ValueError for one that cannot be."""
    if not lot.guest or not lot.voyage or lot.arm is Arm.EVERYBODY:
        raise ValueError("lot: a guest, a voyage, and personal or holdout")


def check_decision(decision: Decision) -> None:
    """Raises ValueError for one that cannot be: its propensity above all, on which every estimate rests."""
    if not decision.offer or not decision.guest or not decision.voyage or not decision.ranker or not decision.item:
        raise ValueError("decision: an offer, a guest, a voyage, a ranker and an item")
    if decision.candidates < 1:
        raise ValueError("decision: at least one candidate, the item itself")
    if not 1 <= decision.propensity_ppm <= PPM:
        raise ValueError("decision: a propensity from 1 to 1,000,000 millionths")
    if decision.popular_ppm is not None and not 0 <= decision.popular_ppm <= PPM:
        raise ValueError("decision: a share of popularity from 0 to 1,000,000 millionths")
    if decision.named:
        _check_named(decision)


def _check_named(decision: Decision) -> None:
    """Raises ValueError unless every candidate's chance follows from these, and all of them make a whole."""
    known, others = dict(decision.named), decision.candidates - len(decision.named)
    left = PPM - sum(known.values())
    if len(known) != len(decision.named) or others < 0 or not all(known) or min(known.values()) < 1:
        raise ValueError("decision: named are some of the candidates, once each, with a chance")
    if left < others or left % max(others, 1) or (not others and left):
        raise ValueError("decision: the chances of all candidates make a whole")
    if decision.chance_ppm(decision.item) != decision.propensity_ppm:
        raise ValueError("decision: the propensity is the chance that the item had")
