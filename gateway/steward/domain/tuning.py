"""What a guest answered changes what is offered to that guest next, at once and within bounds. Pure.

Nothing learnt is kept anywhere: the change is worked out anew from the guest's own answers each time. So an answer that
is taken back leaves the order exactly as it was before it, and with the guest's answers everything is gone.

The unit. A model is trained by softmax: its scores are logarithms of odds. Popularity's scores are shares: their
logarithms are. In both, the difference of two items is how many times as likely the one is to be chosen as the other,
so one bound fits both: no answers, however many, make an item more than ODDS_MAX times as likely as the ranker says
beside one that nothing was said about, or less than one ODDS_MAX-th. Bounded places would not do: in a list of near
ties they would hardly be felt, and at its head they would override a ranker that is sure.

An answer speaks for its item, for its category and, less and less the more there are, for its tags. It fades by half
every HALF_LIFE_S: a stay is a week or two, and yesterday says more than embarkation day.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from steward.domain.catalogue import Item, ItemId
from steward.domain.features import Signal
from steward.domain.offers import Offer, OfferState, Scored

ODDS_MAX = 4.0
HALF_LIFE_S = 3 * 86_400
ANSWERS_MAX = 1000  # the last ones: what is older has faded, and the work stays bounded

_SHIFT_MAX = math.log(ODDS_MAX)
_LIKED, _ACCEPTED, _NOT_NOW, _WRONG = 1.0, 0.5, -0.5, -1.0
_OF_ITEM, _OF_CATEGORY, _OF_TAGS = 0.5, 0.25, 0.25  # one answer's evidence, shared out


@dataclass(frozen=True, slots=True)
class _Evidence:
    """For (above 0) and against, summed up."""

    items: defaultdict[ItemId, float] = field(default_factory=lambda: defaultdict(float))
    categories: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    tags: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def of(self, item: Item) -> float:
        said = self.items.get(item.id, 0.0) + self.categories.get(item.category, 0.0)
        for tag in item.tags:
            said += self.tags.get(tag, 0.0)
        return said


def tuned(
    scored: Sequence[Scored],
    items: Mapping[ItemId, Item],
    offers: Sequence[Offer],
    off: frozenset[Signal],
    now_s: int,
    *,
    shares: bool,
) -> Sequence[Scored]:
    """The same items with scores as the guest's answers change them, best first; ties stay in their order.

    offers: the guest's own, oldest first. off: HISTORY hides what was accepted or liked, ANSWERS what was refused or
    put off. shares: the scores are shares of a whole, not logarithms of odds. Of items that are not in `items` (sold
    elsewhere) only item and category count.
    """
    evidence = _evidence(items, offers, off, now_s)
    if not evidence.items:
        return scored
    moved = [_moved(one, items.get(one.item), evidence, shares) for one in scored]
    return sorted(moved, key=lambda one: -one.score)


def _moved(one: Scored, item: Item | None, evidence: _Evidence, shares: bool) -> Scored:
    said = 0.0 if item is None else evidence.of(item)
    if said == 0.0:
        return one
    shift = _SHIFT_MAX * math.tanh(said)
    return Scored(one.item, one.score * math.exp(shift) if shares else one.score + shift, one.reasons)


def _evidence(items: Mapping[ItemId, Item], offers: Sequence[Offer], off: frozenset[Signal], now_s: int) -> _Evidence:
    found = _Evidence()
    for offer, weight in islice(_answers(offers, off), ANSWERS_MAX):
        said_s = offer.at_s if offer.answered_s is None else offer.answered_s
        weight *= 0.5 ** (max(0, now_s - said_s) / HALF_LIFE_S)
        found.items[offer.item] += weight * _OF_ITEM
        found.categories[offer.category] += weight * _OF_CATEGORY
        item = items.get(offer.item)
        tags = () if item is None else item.tags
        for tag in tags:
            found.tags[tag] += weight * _OF_TAGS / len(tags)
    return found


def _answers(offers: Sequence[Offer], off: frozenset[Signal]) -> Iterator[tuple[Offer, float]]:
    """Those that count, the newest first, with what each says."""
    for offer in reversed(offers):
        weight = _weight(offer)
        if weight and (Signal.HISTORY if weight > 0 else Signal.ANSWERS) not in off:
            yield offer, weight


def _weight(offer: Offer) -> float:
    if offer.state is OfferState.ACCEPTED and offer.liked_s is not None:
        return _LIKED
    return {
        OfferState.SHOWN: 0.0,
        OfferState.ACCEPTED: _ACCEPTED,
        OfferState.DEFERRED: _NOT_NOW,
        OfferState.WRONG: _WRONG,
    }[offer.state]
