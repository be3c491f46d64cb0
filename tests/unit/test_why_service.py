"""The why of real suggestions: kept with the offer, redacted for each viewer, and never in the way of one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from tests.unit.modelkit import HandModel
from tests.unit.ruleskit import rule
from tests.unit.servicekit import ASE, BARKEEPER, KIRA, Deck, item
from tests.unit.test_offers import sell
from tests.unit.test_ranking import sold

from steward.adapters.memory import MemoryStore
from steward.adapters.popularity import PopularityRanker
from steward.config_offers import packaged_rules
from steward.domain.features import Deed, Signal
from steward.domain.offers import SHOW_AGAIN_WITHIN_S, Answer, Offer, OfferId
from steward.domain.reasons import Bend, Bent, Change, Flip, Kind, Means, Why
from steward.domain.rulekinds import Nudge, Of, Reach
from steward.domain.trial import Trial
from steward.errors import Busy, RankerFailed
from steward.ports.service import RankRequest, Weigh
from steward.services.explain import ExplainService
from steward.services.offers import OfferService
from steward.services.ranking import Ranking, RankingSettings

T = TypeVar("T")
MODEL = "ab" * 32
TEA, CAKE, SOUP = item("tea"), item("cake", category="food"), item("soup", category="soups")


class Fond(HandModel):
    """Likes cake; tea more, if it is told that the guest has had soup; and soup most, in the evening."""

    def weigh(self, request: RankRequest) -> Any:
        moment = request.moment
        off = frozenset() if moment is None else moment.off
        had = any(past.item == "soup" and past.deed is Deed.TAKEN for past in request.history)
        scores = {"cake": 2.0, "tea": 5.0 if had and Signal.HISTORY not in off else 1.0, "soup": 0.0}
        if moment is not None and moment.minute >= 20 * 60 and Signal.HOUR not in off:
            scores["soup"] = 9.0
        ordered = super().weigh(request)
        found = [replace(one, score=scores.get(one.item, -1.0)) for one in ordered]
        return sorted(found, key=lambda one: -one.score)


async def deck_with(model: HandModel, wait_s: float = 30, *rules: Any) -> Deck:
    ranking = Ranking(PopularityRanker(), RankingSettings(wait_s=30, why_s=wait_s))
    ranking.put(MODEL, model)
    deck = Deck(MemoryStore(), ranking=ranking)
    deck.offers = OfferService(deck.store, deck.clock, deck.entropy, ranking, (*packaged_rules(), *rules))
    await deck.aboard()
    await deck.stock(TEA, CAKE, SOUP)
    await deck.store.write(lambda tx: ranking.write(tx, Trial(shown=MODEL)))
    return deck


async def kept(deck: Deck, id_: OfferId) -> Offer:
    found = await deck.store.read(lambda tx: tx.offer(id_))
    assert found is not None
    return found


async def had_soup(deck: Deck) -> None:
    """Bought at the bar, the day before."""
    await deck.store.write(sold(1, "Soup", deck.clock.unix_s - 30 * 3600, ASE))


async def test_it_is_kept_with_the_offer_and_shown_again_as_it_was() -> None:
    deck = await deck_with(Fond("fond-1"))
    await had_soup(deck)
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert shown.item.id == "tea"
    assert shown.why is not None
    assert (shown.why.means, shown.why.candidates, shown.why.place) == (Means.MODEL, 3, 1)
    (carried,) = shown.why.carried
    assert (carried.signal, carried.place, carried.first, carried.fall) == (Signal.HISTORY, 2, "cake", 4.0)
    assert shown.why.flip == Flip((Change(Kind.OFF, "history"),), CAKE.id, 2)
    assert set(shown.named) == {"tea", "cake"}
    assert (await kept(deck, shown.offer)).why == shown.why
    deck.clock.tick(60)
    assert await deck.offers.suggest(BARKEEPER, ASE) == [shown]
    assert deck.ranking.explained == {"model": 1}


async def test_what_is_undone_is_told_only_to_who_may_know_it() -> None:
    deck = await deck_with(Fond("fond-1"))
    await had_soup(deck)
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    why = Why(Means.MODEL, 3, 1, TEA.id, flip=Flip((Change(Kind.UNDONE, "soup", 5, "shop"),), CAKE.id, 2))
    offer = await kept(deck, shown.offer)
    await deck.store.write(lambda tx: tx.put_offer(replace(offer, why=why)))
    (again,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert again.why is not None
    assert again.why.flip == Flip((Change(Kind.UNDONE),), CAKE.id, 2)
    assert set(again.named) == {"tea", "cake"}
    found = await ExplainService(deck.store, deck.clock, deck.offers).explain(BARKEEPER, ASE)
    assert found.pending is not None
    assert found.pending.why is None
    assert found.why == again.why
    assert (await kept(deck, shown.offer)).why == why


async def test_by_popularity_it_is_the_count_and_how_many_fewer_would_do() -> None:
    deck = await Deck().aboard()
    await deck.stock(TEA, CAKE)
    await sell(deck, "Tea", 5, deck.clock.unix_s - 60)
    await sell(deck, "Cake", 2, deck.clock.unix_s - 60)
    await sell(deck, "Cake", 3, deck.clock.unix_s - 9 * 3600)
    await deck.store.write(lambda tx: tx.drop_consents(ASE))
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    # 4 for each around this hour and one more: tea 21, cake 12; with three fewer tea has 9
    assert shown.why == Why(Means.POPULAR, 2, 1, TEA.id, flip=Flip((Change(Kind.FEWER, "tea", 3),), CAKE.id, 2))
    assert deck.ranking.explained == {"popular": 1}


async def test_where_popularity_ranks_a_refusal_carries_what_comes_first_in_its_stead() -> None:
    deck = await Deck().aboard()
    grog, cocoa = (item(name, category="hot", tags=("hot", "sweet")) for name in ("grog", "cocoa"))
    await deck.stock(grog, cocoa, CAKE, SOUP)
    for name, count in (("Grog", 9), ("Cocoa", 5), ("Cake", 4)):
        await sell(deck, name, count, deck.clock.unix_s - 60)
    (first,) = await deck.offers.suggest(BARKEEPER, ASE)
    await deck.offers.answer(BARKEEPER, first.offer, Answer.NOT_NOW)
    without = packaged_rules()
    deck.offers = OfferService(
        deck.store,
        deck.clock,
        deck.entropy,
        deck.ranking,
        tuple(one for one in without if one.name != "something-else"),
    )
    deck.clock.tick(SHOW_AGAIN_WITHIN_S)
    (second,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert (first.item.id, second.item.id) == ("grog", "cake")
    assert second.why is not None
    (carried,) = second.why.carried
    assert (second.why.means, carried.signal, carried.first, carried.place) == (
        Means.POPULAR,
        Signal.ANSWERS,
        "cocoa",
        2,
    )
    assert second.why.flip == Flip((Change(Kind.OFF, "answers"),), cocoa.id, 2)


async def test_what_variety_put_first_is_told() -> None:
    deck = await Deck().aboard()
    grog, cocoa = (item(name, category="hot") for name in ("grog", "cocoa"))
    await deck.stock(grog, cocoa, CAKE)
    for name, count in (("Grog", 9), ("Cocoa", 7), ("Cake", 1)):
        await sell(deck, name, count, deck.clock.unix_s - 60)
    await deck.offers.suggest(BARKEEPER, ASE)
    deck.clock.tick(SHOW_AGAIN_WITHIN_S)
    (second,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert second.why is not None
    assert (second.item.id, second.why.bent) == ("cake", (Bent(Bend.VARIED, cocoa.id, 2),))


async def test_what_was_drawn_by_chance_is_told_as_chance() -> None:
    class Last:
        count = 0

        def token_bytes(self, n: int) -> bytes:
            self.count += 1
            return (999_999).to_bytes(8, "big") if n == 8 else self.count.to_bytes(n, "big")

    deck = await deck_with(Fond("fond-1"))
    deck.offers._entropy = Last()
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert (shown.item.id, shown.why) == ("soup", Why(Means.CHANCE, 3, 3, CAKE.id))
    assert set(shown.named) == {"cake"}
    assert deck.ranking.explained == {"chance": 1}


async def test_the_ships_own_wish_is_told_where_it_decided() -> None:
    nudge = rule(Nudge(Of(Reach.ITEM, "soup"), 10), "soup-days")
    deck = await deck_with(Fond("fond-1"), 30, nudge)
    await had_soup(deck)
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert shown.why is not None
    assert (shown.item.id, shown.why.bent) == ("tea", ())  # lifted something, and did not decide
    wish = rule(Nudge(Of(Reach.ITEM, "cake"), 10), "cake-days")

    class Near(Fond):
        def weigh(self, request: RankRequest) -> Any:
            return [replace(one, score={"tea": 5.0, "cake": 4.9}.get(one.item, 0.0)) for one in super().weigh(request)]

    near = await deck_with(Near("near-1"), 30, wish)
    (shown,) = await near.offers.suggest(BARKEEPER, KIRA)
    assert shown.why is not None
    assert (shown.item.id, shown.why.bent) == ("cake", (Bent(Bend.LIFTED, TEA.id, 2),))


# never in the way of an offer


class Mute(Fond):
    """Ranks, and does not say why."""

    def __init__(self, how: Exception | None) -> None:
        super().__init__("mute-1")
        self.how = how

    async def compare(self, work: Callable[[Weigh], T]) -> T:
        if self.how is None:
            await asyncio.sleep(3600)
        raise self.how or AssertionError


@pytest.mark.parametrize(("how", "reason"), [(Busy("x"), "busy"), (RankerFailed("x"), "failed"), (None, "slow")])
async def test_an_offer_stands_without_it_and_that_is_counted(how: Exception | None, reason: str) -> None:
    deck = await deck_with(Mute(how), 0.02)
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert shown.item.id == "cake"
    assert shown.why == Why(Means.UNSAID, 3, 1, CAKE.id, all_tried=False)
    assert (await kept(deck, shown.offer)).why == shown.why
    assert deck.ranking.unexplained == {reason: 1}
    assert deck.ranking.explained == {"unsaid": 1}


async def test_a_model_that_goes_in_between_and_a_guest_that_does() -> None:
    model = Fond("fond-1")
    deck = await deck_with(model)
    plain = model.rank

    async def rank(request: Any) -> Any:
        found = await plain(request)
        deck.ranking.drop(MODEL)
        return found

    model.rank = rank  # type: ignore[method-assign]
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert shown.why is not None
    assert shown.why.means is Means.UNSAID
    assert deck.ranking.unexplained == {"not_loaded": 1}


async def test_an_answer_that_comes_first_is_kept() -> None:
    deck = await deck_with(Fond("fond-1"))
    of = deck.offers.why.of

    async def slow(case: Any, item_: Any) -> Why:
        (offer,) = await deck.store.read(lambda tx: tx.offers_of(ASE, 0))
        await deck.offers.answer(BARKEEPER, offer.id, Answer.ACCEPT)
        return await of(case, item_)

    deck.offers.why.of = slow  # type: ignore[method-assign, assignment]
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    offer = await kept(deck, shown.offer)
    assert (offer.state, offer.why) == ("accepted", shown.why)


async def test_it_is_worked_out_away_from_the_event_loop() -> None:
    seen = set[int]()

    class Watched(PopularityRanker):
        def weigh(self, request: RankRequest) -> Any:
            seen.add(threading.get_ident())
            return super().weigh(request)

    deck = await Deck(ranking=Ranking(Watched())).aboard()
    await deck.stock(TEA, CAKE)
    await deck.offers.suggest(BARKEEPER, KIRA)
    assert len(seen) == 2
    assert threading.get_ident() in seen  # the ranking itself


# looked over afterwards


async def test_every_claim_is_checked_by_deciding_anew_and_a_false_one_is_seen() -> None:
    deck = await deck_with(Fond("fond-1"))
    await had_soup(deck)
    at_s = deck.clock.unix_s
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    deck.clock.tick(30)
    await deck.offers.answer(BARKEEPER, shown.offer, Answer.ACCEPT)
    deck.clock.tick(4000)
    explaining = ExplainService(deck.store, deck.clock, deck.offers)
    found = await explaining.explain(BARKEEPER, ASE, at_s)
    assert found.offered is not None
    assert (found.offered.id, found.offered.why, found.why) == (shown.offer, None, shown.why)
    assert [claim.holds for claim in found.claims] == [True, True, True]
    offer = await kept(deck, shown.offer)
    assert offer.why is not None
    false = replace(offer.why, flip=Flip((Change(Kind.OFF, "day"),), CAKE.id, 2))
    await deck.store.write(lambda tx: tx.put_offer(replace(offer, why=false)))
    found = await explaining.explain(BARKEEPER, ASE, at_s)
    assert [claim.holds for claim in found.claims] == [True, True, False]
    last = found.claims[-1]
    assert (last.told_first, last.told_place, last.found_first, last.found_place) == ("cake", 2, "tea", 1)


async def test_what_would_be_offered_is_explained_though_nothing_is() -> None:
    deck = await deck_with(Fond("fond-1"))
    found = await ExplainService(deck.store, deck.clock, deck.offers).explain(BARKEEPER, ASE)
    assert found.why is not None
    assert (found.why.first, found.offered) == ("cake", None)
    assert found.claims
    assert all(claim.holds for claim in found.claims)
    assert deck.ranking.explained == {}


async def test_who_objects_is_explained_nothing_and_no_signal_of_theirs_is_named() -> None:
    deck = await deck_with(Fond("fond-1"))
    await had_soup(deck)
    await deck.store.write(lambda tx: tx.drop_consents(ASE))
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert shown.why is not None
    assert (shown.why.means, shown.why.carried) == (Means.POPULAR, ())
    assert {change.kind for change in (shown.why.flip.changes if shown.why.flip else ())} <= {Kind.FEWER}
