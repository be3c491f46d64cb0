"""What a guest did, put together from offers and charges, and the moment it was done in. Pure.

The same for what is exported to learn from and for what a ranker is told: a difference between the two would be learnt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steward.domain.catalogue import DAY_MIN, Item, ItemId
from steward.domain.charges import Charge, ChargeState
from steward.domain.features import Company, Deed, Moment, Signal, Weather
from steward.domain.ids import OutletId
from steward.domain.offers import Offer, OfferState
from steward.domain.outlets import OutletKind

DEEDS_READ_MAX = 200  # the last offers, and the last charges, of a guest to choose by; a model looks at fewer deeds
ONE_DEED_S = 3600  # an accepted offer and the charge for it are one deed

DEED_OF: Mapping[OfferState, Deed | None] = {
    OfferState.SHOWN: None,  # nothing was said
    OfferState.ACCEPTED: Deed.TAKEN,
    OfferState.DEFERRED: Deed.NOT_NOW,
    OfferState.WRONG: Deed.WRONG,
}

Titles = Mapping[tuple[OutletId, str], ItemId]


def deed_of(offer: Offer) -> Deed | None:
    """What the guest said of it last; None: nothing."""
    liked = offer.state is OfferState.ACCEPTED and offer.liked_s is not None
    return Deed.LIKED if liked else DEED_OF[offer.state]


@dataclass(frozen=True, slots=True)
class ShipDay:
    """When the ship's day begins, and how far its clock is from UTC."""

    start_hour: int = 4
    utc_offset_s: int = 0

    def minute(self, at_s: int) -> int:
        """Of the ship's day as its clocks show it, 0..1439."""
        return (at_s + self.utc_offset_s) // 60 % DAY_MIN

    def number(self, at_s: int) -> int:
        """Of the ship's day, which ends at `start_hour`: what is done after midnight belongs to the evening before."""
        return (at_s + self.utc_offset_s - self.start_hour * 3600) // 86_400

    def noon(self, at_s: int) -> int:
        """Of the same ship's day, or its beginning if that is later."""
        return self.number(at_s) * 86_400 + max(12, self.start_hour) * 3600 - self.utc_offset_s

    def weekday(self, at_s: int) -> int:
        """Of the ship's day; Monday is 0."""
        return (self.number(at_s) + 3) % 7  # day 0 of unix time was a Thursday


@dataclass(frozen=True, slots=True)
class Done:
    """One thing done or answered, or an offer that got no answer (deed None). offer: None for what was just bought."""

    item: ItemId
    outlet: OutletId
    at_s: int  # of an offer: when it was shown
    deed: Deed | None
    offer: Offer | None = None


def titles_of(items: Iterable[Item]) -> Titles:
    """Which item a charge's description means, by outlet and title in any language, in any case."""
    return {(item.outlet, title.casefold()): item.id for item in items for title in item.titles.values()}


def done_by(offers: Sequence[Offer], charges: Iterable[Charge], titles: Titles) -> list[Done]:
    """One guest's offers and posted charges as deeds, oldest first.

    A charge counts if its description is an item's title. The first one of the same item within an hour after an
    accepted offer is that offer once more, and is left out.
    """
    done = [Done(offer.item, offer.outlet, offer.at_s, deed_of(offer), offer) for offer in offers]
    awaited = [offer for offer in offers if offer.state is OfferState.ACCEPTED]
    for charge in charges:
        outlet = charge.request.outlet
        item = titles.get((outlet, charge.request.description.strip().casefold()))
        if item is None or charge.state is not ChargeState.POSTED:
            continue
        paid = next((o for o in awaited if _pays(o, item, outlet, charge.at_s)), None)
        if paid is not None:
            awaited.remove(paid)
        else:
            done.append(Done(item, outlet, charge.at_s, Deed.TAKEN))
    return sorted(done, key=lambda each: each.at_s)


def moment_at(
    now_s: int,
    day: ShipDay,
    place: OutletKind,
    stay_s: tuple[int, int] | None = None,
    *,
    shown: int = 0,
    accepted: int = 0,
    in_port: bool | None = None,
    company: Company | None = None,
    weather: Weather | None = None,
    off: frozenset[Signal] = frozenset(),
) -> Moment:
    """The moment `now_s` at this kind of place. stay_s: its first and last second, by which days are counted."""
    today = day.number(now_s)
    return Moment(
        now_s=now_s,
        minute=day.minute(now_s),
        weekday=day.weekday(now_s),
        place=place,
        day_of_stay=None if stay_s is None else max(0, today - day.number(stay_s[0])),
        days_left=None if stay_s is None else max(0, day.number(stay_s[1]) - today),
        in_port=in_port,
        company=company,
        weather=weather,
        shown=shown,
        accepted=accepted,
        off=off,
    )


def _pays(offer: Offer, item: ItemId, outlet: OutletId, at_s: int) -> bool:
    return offer.item == item and offer.outlet == outlet and 0 <= at_s - offer.at_s < ONE_DEED_S
