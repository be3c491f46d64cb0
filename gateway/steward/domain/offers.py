"""An offer and what became of it; what the rules look at; and the stops that no score and no file outweighs.

What a file may set, and how all of it makes a decision: domain/rules.py. Offers price nothing and deny nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from steward.domain.care import Case
from steward.domain.catalogue import Item, ItemId
from steward.domain.ids import GuestRef, OutletId
from steward.domain.profiles import AgeGroup, Allergen, Diet

OfferId = NewType("OfferId", str)  # 32 hex digits

OFFERS_A_DAY_MAX = 6
ASK_AGAIN_AFTER_S = 20 * 3600  # the same item after "not now" or no answer
SHOW_AGAIN_WITHIN_S = 900  # an offer not answered yet is shown again, not replaced
VARIETY_LAST = 2  # not the category of the last two offers again, if there is another
PPM = 1_000_000
SOLD_OUT, FULL = "sold_out", "full"  # tags by which a catalogue says that there is none left, or no place


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

    code: str  # "popular_now" | "popular_here" | "something_new" | "like_before"
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
class Workload:
    """What the crew of an outlet have to do: cases of service that are open there, and sales of the last minutes."""

    open_cases: int = 0
    sales: int = 0


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
    objects: bool = False  # to suggestions at all
    cases: Sequence[Case] = ()  # the guest's open ones, as far as they were disclosed
    refused: Sequence[Item] = ()  # what the guest wants never, as far as the catalogue still has it
    workload: Workload = Workload()


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
    for tag in (SOLD_OUT, FULL):
        if tag in item.tags:
            return tag
    return None


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
