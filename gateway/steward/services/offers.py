"""The next best thing to offer a guest here, with its reasons, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from steward.domain.care import Case
from steward.domain.catalogue import Item, ItemId
from steward.domain.consent import no_offers
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.exploring import Chances, chances
from steward.domain.features import FEATURES_ID
from steward.domain.ids import GuestRef
from steward.domain.offers import (
    PPM,
    Answer,
    Offer,
    OfferId,
    OfferState,
    Reason,
    Situation,
    answered,
    hard_stop,
    pending_offer,
)
from steward.domain.pasts import ShipDay
from steward.domain.profiles import Disclosed
from steward.domain.reasons import Why
from steward.domain.rulekinds import Rules
from steward.domain.rules import Help, decide, help_first
from steward.domain.viewing import GUEST, Field, Viewer, allowed
from steward.domain.why import for_eyes, items_of
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Clock, ClockReading, Entropy, Store, Tx
from steward.services.earlier import Answered, earlier_in
from steward.services.lookups import check_look, guest_in
from steward.services.ownlook import is_own
from steward.services.ranking import Orders, Ranking
from steward.services.rankrequest import RankRequests
from steward.services.situation import (
    Decided,
    Known,
    OfferSettings,
    agrees,
    decided_in,
    disclose_for_offer,
    known_now,
    offer_look,
)
from steward.services.why import Case as Made
from steward.services.why import WhyService

_EVENTS: Mapping[Answer, EventType] = {
    Answer.ACCEPT: EventType.OFFER_ACCEPTED,
    Answer.NOT_NOW: EventType.OFFER_DEFERRED,
    Answer.WRONG: EventType.OFFER_WRONG,
    Answer.LIKED: EventType.OFFER_LIKED,
    Answer.TAKE_BACK: EventType.OFFER_TAKEN_BACK,
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something to offer, why, and the id to answer it by.

    why: as far as this viewer may know; None where it was not worked out. named: the items that it speaks of.
    """

    offer: OfferId
    item: Item
    reasons: tuple[Reason, ...]
    why: Why | None = None
    named: Mapping[ItemId, Item] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What one decision was drawn from, and what it would have been had popularity ranked. features: of a model."""

    chances: Chances
    popular: Chances
    features: str


class OfferService:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        ranking: Ranking,
        rules: Rules,
        settings: OfferSettings | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._ranking = ranking
        self._rules = rules
        self._settings = settings or OfferSettings()
        day = ShipDay(self._settings.day_start_hour, self._settings.utc_offset_s)
        self.why = WhyService(ranking, rules)
        self._requests = RankRequests(store, ranking, day, self._settings.decisions)

    @property
    def holdout_percent(self) -> int:
        """Of a hundred guests, how many get only what is popular: told to whoever asks."""
        return self._settings.decisions.settings.percent

    @property
    def rules(self) -> Rules:
        """What holds back and what is nudged, for whoever explains it."""
        return self._rules

    @property
    def ranking(self) -> Ranking:
        """Who ranks, for the figures."""
        return self._ranking

    async def suggest(self, viewer: Viewer, ref: GuestRef) -> list[Suggestion]:
        """The one thing to offer this guest at the viewer's outlet now, or nothing. A look-up.

        An offer that waits for an answer is shown again. Nothing is read, logged or offered for a guest who objects to
        suggestions. Raises NotFound, Refused not_permitted.
        """
        now = self._clock.now()
        now_s = now.unix_s
        look = offer_look(viewer, ref, now_s)
        check_look(look)
        orders = await self.orders(viewer, ref, now_s)
        draw = int.from_bytes(self._entropy.token_bytes(8), "big")
        offer_id = OfferId(self._entropy.token_bytes(16).hex())

        def work(tx: Tx) -> tuple[list[Suggestion], Made | None]:
            guest = guest_in(tx, ref)
            if no_offers(tx.consents_of(ref), child=guest.child):
                return [], None
            shown = disclose_for_offer(tx, look)
            known = known_now(tx, shown)
            decided = self.decided_in(tx, shown, known, orders, now_s)
            here, situation, ranked, decision = decided.here, decided.situation, decided.ranked, decided.decision
            pending = pending_offer(situation.offers, viewer.outlet, now_s)
            if pending is not None:
                return _again(pending, here, situation, viewer), None
            if not decision.ordered:
                return [], None
            drawn = self._drawn(decided, orders)
            chosen = next(one for one in decision.ordered if one.item == drawn.chances.drawn(draw % PPM))
            item, reasons = here[chosen.item], chosen.reasons
            offer = Offer(
                id=offer_id,
                guest=ref,
                outlet=viewer.outlet,
                item=item.id,
                category=item.category,
                at_s=now_s,
                hour=self._settings.hour(now_s),
                propensity_ppm=drawn.chances.of(chosen.item),
                ranker=ranked.ranker,
                reasons=reasons,
            )
            tx.put_offer(offer)
            tx.append_event(_fact(EventType.OFFER_SHOWN, offer, viewer, now_s))
            candidates = {one.item for one in decision.ordered}
            self._ranking.decided(tx, orders, offer, candidates, situation.personal)
            self._note(tx, offer, drawn, now)
            return [Suggestion(offer_id, item, reasons)], Made(orders, decided, known.off)

        found, made = await self._store.write(work)
        return found if made is None else [await self._explained(viewer, made, one) for one in found]

    async def _explained(self, viewer: Viewer, made: Made, one: Suggestion) -> Suggestion:
        """The offer stands; what is found of why is kept with it, unless it is gone by then."""
        why = await self.why.of(made, one.item.id)
        self._ranking.explained[why.means] += 1

        def keep(tx: Tx) -> None:
            offer = tx.offer(one.offer)
            if offer is not None:
                tx.put_offer(replace(offer, why=why))

        await self._store.write(keep)
        return _told(one, why, made.decided.here, viewer)

    def _drawn(self, decided: Decided, orders: Orders) -> _Drawn:
        """Named are also those that the orders to be compared would have put first."""
        ordered, plain = decided.decision.ordered, orders.plain
        popular = ordered
        if decided.scored is not plain.scored:
            popular = decide(list(decided.here.values()), plain.scored, decided.situation, self._rules).ordered
        first = [one.item for one in popular[:1]]
        if decided.situation.personal and orders.beside is not None:
            candidates = {one.item for one in ordered}
            first += [one.item for one in orders.beside.scored if one.item in candidates][:1]
        return _Drawn(
            chances=chances(ordered, shares=decided.ranked.shares, compared=set(first)),
            popular=chances(popular, shares=plain.shares),
            features="" if decided.ranked is plain else FEATURES_ID,
        )

    def _note(self, tx: Tx, offer: Offer, drawn: _Drawn, now: ClockReading) -> None:
        """Log the decision, with how likely it would have been had popularity ranked the same candidates."""
        self._settings.decisions.note(
            tx,
            offer,
            agreed=agrees(tx.consents_of(offer.guest)),
            chances=drawn.chances,
            popular_ppm=drawn.popular.of(offer.item),
            features=drawn.features,
            clock_trusted=now.trusted,
        )

    def help_first(self, cases: Sequence[Case]) -> Help | None:
        """What to do before any suggestion, by the open cases of a guest as the viewer was shown them."""
        return help_first(cases, self._clock.now().unix_s, self._rules)

    async def answer(self, viewer: Viewer, offer_id: OfferId, answer: Answer) -> Offer:
        """What the guest said, or says now: the last word counts. The same answer again changes nothing.

        Raises NotFound, Refused not_permitted, Conflict where what was not accepted is said to be liked.
        """
        if Field.SUGGESTIONS not in allowed(viewer):
            raise Refused("not_permitted", f"{viewer.role} makes no offers for {viewer.purpose}")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Offer:
            offer = tx.offer(offer_id)
            if offer is None or offer.outlet != viewer.outlet:
                raise NotFound("offer", offer_id)
            if viewer.role == GUEST and not is_own(viewer, offer.guest):
                raise NotFound("offer", offer_id)
            if answer is Answer.LIKED and offer.state is not OfferState.ACCEPTED:
                raise Conflict(f"offer {offer_id} is {offer.state}: accept it first, then say that it was liked")
            now = answered(offer, answer, now_s)
            if now is not offer:
                tx.put_offer(now)
                tx.append_event(_fact(_EVENTS[answer], now, viewer, now_s))
                self._ranking.answered(tx, now.id, now.state)
            return now

        return await self._store.write(work)

    async def earlier(self, viewer: Viewer, ref: GuestRef) -> list[Answered]:
        """What was answered at the viewer's outlet lately. Raises NotFound, Refused not_permitted."""
        now_s = self._clock.now().unix_s
        return await self._store.write(lambda tx: earlier_in(tx, viewer, ref, now_s))

    def decided_in(self, tx: Tx, shown: Disclosed, known: Known, orders: Orders, at_s: int) -> Decided:
        """What the rules make of these orders; changes nothing. Raises NotFound."""
        return decided_in(tx, shown, known, orders, at_s, self._settings, self._rules)

    async def orders(
        self, viewer: Viewer, ref: GuestRef, now_s: int, *, before: bool = False, aside: bool = False
    ) -> Orders:
        """What the rankers think of everything at the viewer's outlet for this guest, before the rules.

        before: of a moment in the past, as it was just before anything was shown or said then. aside: as if the offer
        that waits had not been made.
        """
        request, trial = await self._requests.make(viewer, ref, now_s, before=before, aside=aside)
        return await self._ranking.rank(request, trial)


def _told(one: Suggestion, why: Why, here: Mapping[ItemId, Item], viewer: Viewer) -> Suggestion:
    told = for_eyes(why, viewer)
    return replace(one, why=told, named={id_: here[id_] for id_ in items_of(told) if id_ in here})


def _again(pending: Offer, here: Mapping[ItemId, Item], situation: Situation, viewer: Viewer) -> list[Suggestion]:
    """The offer that waits, unless something has come up since that stops it."""
    item = here.get(pending.item)
    if item is None or situation.in_recovery or hard_stop(item, situation) is not None:
        return []
    one = Suggestion(pending.id, item, pending.reasons)
    return [one if pending.why is None else _told(one, pending.why, here, viewer)]


def _fact(type_: EventType, offer: Offer, viewer: Viewer, at_s: int) -> NewEvent:
    return fact(
        type_,
        at_s,
        offer=offer.id,
        guest=offer.guest,
        outlet=offer.outlet,
        item=offer.item,
        propensity_ppm=offer.propensity_ppm,
        ranker=offer.ranker,
        by=viewer.actor,
    )
