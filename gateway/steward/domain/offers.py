"""From scores to what may be offered: rules that no score outweighs, and what became of each offer.

Order: recovery first, then age, allergens and diet as hard stops, opening hours, what the guest has refused, how often
they were asked, variety. Offers price nothing and deny nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from steward.domain.catalogue import Item, ItemId
from steward.domain.ids import GuestRef, OutletId
from steward.domain.profiles import AgeGroup, Allergen, Diet

OfferId = NewType("OfferId", str)  # 32 hex digits

OFFERS_A_DAY_MAX = 6
ASK_AGAIN_AFTER_S = 20 * 3600  # the same item after "not now" or no answer
SHOW_AGAIN_WITHIN_S = 900  # an offer not answered yet is shown again, not replaced
VARIETY_LAST = 2  # not the category of the last two offers again, if there is another
PPM = 1_000_000


class OfferState(StrEnum):
    SHOWN = "shown"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"  # not now
    WRONG = "wrong"  # not for this guest: never again this stay


class Answer(StrEnum):
    ACCEPT = "accept"
    NOT_NOW = "not_now"
    WRONG = "wrong"


STATE_AFTER: Mapping[Answer, OfferState] = {
    Answer.ACCEPT: OfferState.ACCEPTED,
    Answer.NOT_NOW: OfferState.DEFERRED,
    Answer.WRONG: OfferState.WRONG,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as a code for the message catalogues, and the number that goes with it."""

    code: str  # "popular_now" | "popular_here" | "something_new"
    count: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """One item as a ranker sees it. Higher is better; the scale is the ranker's own."""

    item: ItemId
    score: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that was shown. `propensity_ppm`: how likely it was to be the one, in millionths."""

    id: OfferId
    guest: GuestRef
    outlet: OutletId
    item: ItemId
    category: str
    at_s: int
    hour: int  # of the ship's day
    propensity_ppm: int
    ranker: str  # name and version
    reasons: tuple[Reason, ...]
    state: OfferState = OfferState.SHOWN
    answered_s: int | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rules look at. None for allergies or diet: not known here, so nothing edible is offered blindly."""

    minute: int  # of the ship's day
    age_group: AgeGroup
    allergies: frozenset[Allergen] | None
    diet: frozenset[Diet] | None
    in_recovery: bool
    personal: bool  # own history may choose what is offered; without it, it can only hold back
    offers: Sequence[Offer]  # of this stay, oldest first
    day_start_s: int
    now_s: int


def eligible(items: Sequence[Item], situation: Situation) -> list[Item]:
    """The items that may be offered now. Empty while a case is open or the day's offers are used up."""
    today = [offer for offer in situation.offers if offer.at_s >= situation.day_start_s]
    if situation.in_recovery or len(today) >= OFFERS_A_DAY_MAX:
        return []
    fit = [item for item in items if hard_stop(item, situation) is None and not _asked_already(item, situation)]
    if not situation.personal:
        return fit
    last = {offer.category for offer in situation.offers[-VARIETY_LAST:]}
    return [item for item in fit if item.category not in last] or fit


def hard_stop(item: Item, situation: Situation) -> str | None:
    """What rules this item out for this guest now, whatever its score: a code, or None."""
    if item.min_age_group is AgeGroup.ADULT and situation.age_group is not AgeGroup.ADULT:
        return "age"
    if item.edible:
        if situation.allergies is None or not situation.allergies.isdisjoint(item.allergens):
            return "allergens"
        if situation.diet is None or not situation.diet <= set(item.suits):
            return "diet"
    if not item.is_open(situation.minute):
        return "closed"
    return None


def _asked_already(item: Item, situation: Situation) -> bool:
    for offer in situation.offers:
        if offer.item != item.id:
            continue
        if offer.state is OfferState.WRONG or situation.now_s - offer.at_s < ASK_AGAIN_AFTER_S:
            return True
    return False


def pending_offer(offers: Sequence[Offer], outlet: OutletId, now_s: int) -> Offer | None:
    """The newest offer of this outlet that waits for an answer and is not stale."""
    for offer in reversed(offers):
        if offer.outlet == outlet and offer.state is OfferState.SHOWN:
            return offer if 0 <= now_s - offer.at_s < SHOW_AGAIN_WITHIN_S else None
    return None


def propensities_ppm(count: int, explore_ppm: int) -> tuple[int, int]:
    """How likely the first of `count` ranked items is chosen, and each other one: mostly the best, at times any."""
    each = explore_ppm // count
    return PPM - each * (count - 1), each
