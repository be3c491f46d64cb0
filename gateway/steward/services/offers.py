"""The next best thing to offer a guest here, with its reasons, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from steward.domain.catalogue import Item, ItemId
from steward.domain.consent import ConsentPurpose, objects, purposes_given
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import (
    PPM,
    STATE_AFTER,
    Answer,
    Offer,
    OfferId,
    OfferState,
    Reason,
    Situation,
    eligible,
    hard_stop,
    pending_offer,
    propensities_ppm,
)
from steward.domain.profiles import Disclosed
from steward.domain.viewing import HEALTH, Field, Viewer, allowed, look_at
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Clock, Entropy, Store, Tx
from steward.ports.service import Ranker
from steward.services.lookups import age_group, check_look, guest_in

COUNT_DAYS = 28
COUNT_AGAIN_AFTER_S = 300
EXPLORE_PPM = 100_000  # one time in ten another than the best, so that what is not offered is learnt about too
_AROUND_H = (-1, 0, 1)
_DAY_S = 86_400
_EVENTS: Mapping[OfferState, EventType] = {
    OfferState.SHOWN: EventType.OFFER_SHOWN,
    OfferState.ACCEPTED: EventType.OFFER_ACCEPTED,
    OfferState.DEFERRED: EventType.OFFER_DEFERRED,
    OfferState.WRONG: EventType.OFFER_WRONG,
}


@dataclass(frozen=True, slots=True)
class OfferSettings:
    """When the ship's day begins, for hours and for the day's limit."""

    day_start_hour: int = 4
    utc_offset_s: int = 0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something to offer, why, and the id to answer it by."""

    offer: OfferId
    item: Item
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class _Popularity:
    counted_s: int
    version: int
    by_hour: Mapping[tuple[ItemId, int], int]


class OfferService:
    def __init__(
        self, store: Store, clock: Clock, entropy: Entropy, ranker: Ranker, settings: OfferSettings | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._ranker = ranker
        self._settings = settings or OfferSettings()
        self._popularity: dict[OutletId, _Popularity] = {}

    async def suggest(self, viewer: Viewer, ref: GuestRef) -> list[Suggestion]:
        """The one thing to offer this guest at the viewer's outlet now, or nothing. A look-up.

        An offer that waits for an answer is shown again. Nothing is read, logged or offered for a guest who objects to
        suggestions. Raises NotFound, Refused not_permitted.
        """
        now_s = self._clock.now().unix_s
        look = look_at(viewer, ref, {Field.SUGGESTIONS} | (allowed(viewer) & HEALTH), now_s)
        check_look(look)
        popularity = await self._count(viewer.outlet, now_s)
        draw = int.from_bytes(self._entropy.token_bytes(8), "big")
        offer_id = OfferId(self._entropy.token_bytes(16).hex())

        def work(tx: Tx) -> list[Suggestion]:
            guest = guest_in(tx, ref)
            if objects(tx.consents_of(ref), ConsentPurpose.SUGGESTIONS):
                return []
            situation = self._situation(tx, guest, tx.disclose(look), now_s)
            here = {item.id: item for item in tx.items_at(viewer.outlet) if item.currency == guest.currency}
            pending = pending_offer(situation.offers, viewer.outlet, now_s)
            if pending is not None:
                return _again(pending, here, situation)
            chosen = self._choose(eligible(list(here.values()), situation), popularity, now_s, draw)
            if chosen is None:
                return []
            item, reasons, propensity_ppm = chosen
            offer = Offer(
                id=offer_id,
                guest=ref,
                outlet=viewer.outlet,
                item=item.id,
                category=item.category,
                at_s=now_s,
                hour=self._hour(now_s),
                propensity_ppm=propensity_ppm,
                ranker=self._ranker.version,
                reasons=reasons,
            )
            tx.put_offer(offer)
            tx.append_event(_fact(offer, viewer, now_s))
            return [Suggestion(offer_id, item, reasons)]

        return await self._store.write(work)

    async def answer(self, viewer: Viewer, offer_id: OfferId, answer: Answer) -> Offer:
        """What the guest said. The same answer again changes nothing; another one is a Conflict."""
        if Field.SUGGESTIONS not in allowed(viewer):
            raise Refused("not_permitted", f"{viewer.role} makes no offers for {viewer.purpose}")
        now_s = self._clock.now().unix_s
        state = STATE_AFTER[answer]

        def work(tx: Tx) -> Offer:
            offer = tx.offer(offer_id)
            if offer is None or offer.outlet != viewer.outlet:
                raise NotFound("offer", offer_id)
            if offer.state is state:
                return offer
            if offer.state is not OfferState.SHOWN:
                raise Conflict(f"offer {offer_id} was answered already: {offer.state}")
            answered = replace(offer, state=state, answered_s=now_s)
            tx.put_offer(answered)
            tx.append_event(_fact(answered, viewer, now_s))
            return answered

        return await self._store.write(work)

    def _situation(self, tx: Tx, guest: Guest, shown: Disclosed, now_s: int) -> Situation:
        """What the rules look at, as it stands in this transaction."""
        return Situation(
            minute=self._local_s(now_s) // 60 % (24 * 60),
            age_group=age_group(guest),
            allergies=None if shown.allergies is None else frozenset(shown.allergies),
            diet=None if shown.diet is None else frozenset(shown.diet),
            in_recovery=tx.open_case_count(guest.ref) > 0,
            personal=ConsentPurpose.SUGGESTIONS in purposes_given(tx.consents_of(guest.ref)),
            offers=tx.offers_of(guest.ref, 0),
            day_start_s=self._day_start_s(now_s),
            now_s=now_s,
        )

    def _choose(
        self, items: Sequence[Item], popularity: _Popularity, now_s: int, draw: int
    ) -> tuple[Item, tuple[Reason, ...], int] | None:
        """Mostly the best by the ranker, at times another; with how likely it was, in millionths."""
        if not items:
            return None
        now: Counter[ItemId] = Counter()
        ever: Counter[ItemId] = Counter()
        around = {(self._hour(now_s) + step) % 24 for step in _AROUND_H}
        for (item_id, hour), count in popularity.by_hour.items():
            ever[item_id] += count
            now[item_id] += count if hour in around else 0
        ranked = self._ranker.rank(items, now, ever)
        best_ppm, each_ppm = propensities_ppm(len(ranked), EXPLORE_PPM)
        point = draw % PPM
        place = 0 if point < best_ppm else 1 + (point - best_ppm) // each_ppm
        scored = ranked[place]
        item = next(item for item in items if item.id == scored.item)
        return item, scored.reasons, best_ppm if place == 0 else each_ppm

    async def _count(self, outlet: OutletId, now_s: int) -> _Popularity:
        """What was taken here in the last weeks; counted anew every few minutes, and for a new catalogue."""
        version = await self._store.read(lambda tx: tx.catalogue_version())
        known = self._popularity.get(outlet)
        if known is not None and known.version == version and 0 <= now_s - known.counted_s < COUNT_AGAIN_AFTER_S:
            return known
        since_s = now_s - COUNT_DAYS * _DAY_S
        offset_s = self._settings.utc_offset_s

        def work(tx: Tx) -> _Popularity:
            by_hour = _by_hour(tx.items_at(outlet), tx.taken(outlet, since_s), tx.sold(outlet, since_s, offset_s))
            return _Popularity(now_s, tx.catalogue_version(), by_hour)

        counted = self._popularity[outlet] = await self._store.read(work)
        return counted

    def _local_s(self, at_s: int) -> int:
        return at_s + self._settings.utc_offset_s

    def _hour(self, at_s: int) -> int:
        return self._local_s(at_s) // 3600 % 24

    def _day_start_s(self, at_s: int) -> int:
        shift_s = self._settings.utc_offset_s - self._settings.day_start_hour * 3600
        return (at_s + shift_s) // _DAY_S * _DAY_S - shift_s


def _again(pending: Offer, here: Mapping[ItemId, Item], situation: Situation) -> list[Suggestion]:
    """The offer that waits, unless something has come up since that stops it."""
    item = here.get(pending.item)
    if item is None or situation.in_recovery or hard_stop(item, situation) is not None:
        return []
    return [Suggestion(pending.id, item, pending.reasons)]


def _by_hour(
    items: Sequence[Item], taken: Sequence[tuple[ItemId, int, int]], sold: Sequence[tuple[str, int, int]]
) -> dict[tuple[ItemId, int], int]:
    """Accepted offers, and charges whose description is an item's title, by item and hour."""
    by_title = {title.casefold(): item.id for item in items for title in item.titles.values()}
    counts: Counter[tuple[ItemId, int]] = Counter()
    for item_id, hour, count in taken:
        counts[item_id, hour] += count
    for description, hour, count in sold:
        known = by_title.get(description.strip().casefold())
        if known is not None:
            counts[known, hour] += count
    return dict(counts)


def _fact(offer: Offer, viewer: Viewer, at_s: int) -> NewEvent:
    return fact(
        _EVENTS[offer.state],
        at_s,
        offer=offer.id,
        guest=offer.guest,
        outlet=offer.outlet,
        item=offer.item,
        propensity_ppm=offer.propensity_ppm,
        ranker=offer.ranker,
        by=viewer.actor,
    )
