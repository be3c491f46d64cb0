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
