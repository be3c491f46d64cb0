"""The next best thing to offer a guest here, with its reasons, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from steward.domain.care import Case
from steward.domain.catalogue import Item, ItemId
from steward.domain.consent import ConsentPurpose, objects
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.features import FEATURES_ID
from steward.domain.ids import GuestRef
from steward.domain.offers import (
    PPM,
    STATE_AFTER,
    Answer,
    Offer,
    OfferId,
    OfferState,
    Reason,
    Scored,
    Situation,
    hard_stop,
    pending_offer,
    propensities_ppm,
)
from steward.domain.pasts import ShipDay
from steward.domain.profiles import Disclosed
from steward.domain.rulekinds import Rules
from steward.domain.rules import Help, decide, help_first
from steward.domain.viewing import Field, Viewer, allowed
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Clock, ClockReading, Entropy, Store, Tx
from steward.services.lookups import check_look, guest_in
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

EXPLORE_PPM = 100_000  # one time in ten another than the best, so that what is not offered is learnt about too
_EVENTS: Mapping[OfferState, EventType] = {
    OfferState.SHOWN: EventType.OFFER_SHOWN,
    OfferState.ACCEPTED: EventType.OFFER_ACCEPTED,
    OfferState.DEFERRED: EventType.OFFER_DEFERRED,
    OfferState.WRONG: EventType.OFFER_WRONG,
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something to offer, why, and the id to answer it by."""

    offer: OfferId
    item: Item
    reasons: tuple[Reason, ...]


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
        self._requests = RankRequests(store, ranking, day, self._settings.decisions)

    @property
    def holdout_percent(self) -> int:
        """Of a hundred guests, how many get only what is popular: told to whoever asks."""
        return self._settings.decisions.settings.percent

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

        def work(tx: Tx) -> list[Suggestion]:
            guest_in(tx, ref)
            if objects(tx.consents_of(ref), ConsentPurpose.SUGGESTIONS):
                return []
            shown = disclose_for_offer(tx, look)
            decided = self.decided_in(tx, shown, known_now(tx, shown), orders, now_s)
            here, situation, ranked, decision = decided.here, decided.situation, decided.ranked, decided.decision
            pending = pending_offer(situation.offers, viewer.outlet, now_s)
            if pending is not None:
                return _again(pending, here, situation)
            if not decision.ordered:
                return []
            chosen, propensity_ppm = _choose(decision.ordered, draw)
            item, reasons = here[chosen.item], chosen.reasons
            offer = Offer(
                id=offer_id,
                guest=ref,
                outlet=viewer.outlet,
                item=item.id,
                category=item.category,
                at_s=now_s,
                hour=self._settings.hour(now_s),
                propensity_ppm=propensity_ppm,
                ranker=ranked.ranker,
                reasons=reasons,
            )
            tx.put_offer(offer)
            tx.append_event(_fact(offer, viewer, now_s))
            candidates = {one.item for one in decision.ordered}
            self._ranking.decided(tx, orders, offer, candidates, situation.personal)
            self._note(tx, offer, decided, orders, now)
            return [Suggestion(offer_id, item, reasons)]

        return await self._store.write(work)

    def _note(self, tx: Tx, offer: Offer, decided: Decided, orders: Orders, now: ClockReading) -> None:
        """Log the decision, with how likely it would have been had popularity ranked the same candidates."""
        by_model = decided.ranked is not orders.plain
        popular = decided.decision
        if by_model:
            popular = decide(list(decided.here.values()), orders.plain.scored, decided.situation, self._rules)
        self._settings.decisions.note(
            tx,
            offer,
            agreed=agrees(tx.consents_of(offer.guest)),
            candidates=len(decided.decision.ordered),
            popular_ppm=_chance_ppm(popular.ordered, offer.item),
            features=FEATURES_ID if by_model else "",
            clock_trusted=now.trusted,
        )

    def help_first(self, cases: Sequence[Case]) -> Help | None:
        """What to do before any suggestion, by the open cases of a guest as the viewer was shown them."""
        return help_first(cases, self._clock.now().unix_s, self._rules)

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
            self._ranking.answered(tx, answered.id, answered.state)
            return answered

        return await self._store.write(work)

    def decided_in(self, tx: Tx, shown: Disclosed, known: Known, orders: Orders, at_s: int) -> Decided:
        """What the rules make of these orders; changes nothing. Raises NotFound."""
        return decided_in(tx, shown, known, orders, at_s, self._settings, self._rules)

    async def orders(self, viewer: Viewer, ref: GuestRef, now_s: int) -> Orders:
        """What the rankers think of everything at the viewer's outlet for this guest, before the rules."""
        request, trial = await self._requests.make(viewer, ref, now_s)
        return await self._ranking.rank(request, trial)


def _choose(ordered: Sequence[Scored], draw: int) -> tuple[Scored, int]:
    """Mostly the best, at times another; with how likely it was, in millionths."""
    best_ppm, each_ppm = propensities_ppm(len(ordered), EXPLORE_PPM)
    point = draw % PPM
    place = 0 if point < best_ppm else 1 + (point - best_ppm) // each_ppm
    return ordered[place], best_ppm if place == 0 else each_ppm


def _chance_ppm(ordered: Sequence[Scored], item: ItemId) -> int:
    """How likely `_choose` is to choose this one, in millionths."""
    best_ppm, each_ppm = propensities_ppm(len(ordered), EXPLORE_PPM)
    if ordered[0].item == item:
        return best_ppm
    return each_ppm if any(one.item == item for one in ordered) else 0


def _again(pending: Offer, here: Mapping[ItemId, Item], situation: Situation) -> list[Suggestion]:
    """The offer that waits, unless something has come up since that stops it."""
    item = here.get(pending.item)
    if item is None or situation.in_recovery or hard_stop(item, situation) is not None:
        return []
    return [Suggestion(pending.id, item, pending.reasons)]


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
