"""An offer and what became of it; what the rules look at; and the stops that no score and no file outweighs.

What a file may set, and how all of it makes a decision: domain/rules.py. Offers price nothing and deny nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NewType

from steward.domain.care import Case
from steward.domain.catalogue import Item, ItemId
from steward.domain.ids import GuestRef, OutletId
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.reasons import Why

OfferId = NewType("OfferId", str)  # 32 hex digits

OFFERS_A_DAY_MAX = 6
ASK_AGAIN_AFTER_S = 20 * 3600  # the same item after "not now" or no answer
SHOW_AGAIN_WITHIN_S = 900  # an offer not answered yet is shown again, not replaced
VARIETY_LAST = 2  # not the category of the last two offers again, if there is another
PPM = 1_000_000
OFFERS_READ_MAX = 1000  # the last ones of a guest, as many as a file of rules can count to: the work is bounded
SOLD_OUT, FULL = "sold_out", "full"  # tags by which a catalogue says that there is none left, or no place


class OfferState(StrEnum):
    SHOWN = "shown"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"  # not now
    WRONG = "wrong"  # not for this guest: never again this stay


class Answer(StrEnum):
    """What a guest says of an offer, through whoever made it. The last word counts."""

    ACCEPT = "accept"
    NOT_NOW = "not_now"
    WRONG = "wrong"
    LIKED = "liked"  # what was accepted was good
    TAKE_BACK = "take_back"  # nothing was said


STATE_AFTER: Mapping[Answer, OfferState] = {
    Answer.ACCEPT: OfferState.ACCEPTED,
    Answer.NOT_NOW: OfferState.DEFERRED,
    Answer.WRONG: OfferState.WRONG,
    Answer.LIKED: OfferState.ACCEPTED,
    Answer.TAKE_BACK: OfferState.SHOWN,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as a code for the message catalogues, and the number that goes with it."""

    code: str  # "popular_now" | "popular_here" | "something_new" | "model"; of old offers also "like_before"
    count: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """One item as a ranker sees it. Higher is better: a share of a whole, or the logarithm of its odds."""

    item: ItemId
    score: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that was shown. `propensity_ppm`: how likely it was to be the one, in millionths.

    answered_s: when it was accepted, put off or refused. liked_s: when what was accepted was said to be liked.
    why: None while it is not worked out yet, and of older versions' offers.
    """

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
    liked_s: int | None = None
    why: Why | None = None


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
    gone: Mapping[ItemId, str] = field(default_factory=dict)  # SOLD_OUT or FULL, as the outlet's crew said


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
    return situation.gone.get(item.id)


def pending_offer(offers: Sequence[Offer], outlet: OutletId, now_s: int) -> Offer | None:
    """The newest offer of this outlet that waits for an answer and is not stale."""
    for offer in reversed(offers):
        if offer.outlet == outlet and offer.state is OfferState.SHOWN:
            return offer if 0 <= now_s - offer.at_s < SHOW_AGAIN_WITHIN_S else None
    return None


def offers_by(offers: Sequence[Offer], at_s: int) -> list[Offer]:
    """Those that were shown before `at_s`, with what had been said of them by then."""
    found = []
    for offer in offers:
        if offer.at_s < at_s:
            said = offer.answered_s is None or offer.answered_s < at_s
            liked_s = offer.liked_s if offer.liked_s is not None and offer.liked_s < at_s else None
            offer = replace(offer, liked_s=liked_s)
            found.append(offer if said else replace(offer, state=OfferState.SHOWN, answered_s=None))
    return found


def answered(offer: Offer, answer: Answer, now_s: int) -> Offer:
    """The offer after this word; the same where that says nothing new. What was not accepted cannot be liked."""
    state, liked = STATE_AFTER[answer], answer is Answer.LIKED
    if offer.state is state and (offer.liked_s is not None) is liked:
        return offer
    if offer.state is state:
        return replace(offer, liked_s=now_s if liked else None)
    return replace(offer, state=state, answered_s=None if state is OfferState.SHOWN else now_s, liked_s=None)
