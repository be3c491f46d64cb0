"""What is offered and what never is: rules after scores, answers, propensities, popularity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.moneykit import NOON_S
from tests.unit.ruleskit import CAP, WINE, situation
from tests.unit.servicekit import (
    ASE,
    BAR,
    BARKEEPER,
    CASHIER,
    CLEANER,
    HOST,
    KIRA,
    SHOP,
    Deck,
    guest,
    item,
    profile,
    viewer,
)

from steward.adapters.popularity import PopularityRanker
from steward.domain.catalogue import Hours, Item, ItemId
from steward.domain.charges import Charge, ChargeRequest, ChargeState
from steward.domain.events import EventType
from steward.domain.exploring import FLOOR_PPM, REST_PPM, SOFT_PPM
from steward.domain.ids import GuestRef, TapId, TillId
from steward.domain.offers import (
    FULL,
    PPM,
    SHOW_AGAIN_WITHIN_S,
    SOLD_OUT,
    Answer,
    OfferId,
    OfferState,
    Reason,
    hard_stop,
)
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.viewing import CrewRole, Field, Purpose, Viewer
from steward.errors import NotFound, Refused
from steward.ports.service import RankRequest
from steward.services.offers import Suggestion
from steward.services.rankrequest import COUNT_AGAIN_AFTER_S

SELLER = viewer(CrewRole.SERVICE, Purpose.GUEST_SERVICES, SHOP)


@pytest.fixture
async def deck() -> Deck:
    return await Deck().aboard()


# the rules


STEAK = item("steak", category="food", suits=(Diet.NO_ALCOHOL,))
BREAKFAST = item("breakfast", hours=(Hours(6 * 60, 10 * 60),))


@pytest.mark.parametrize(
    ("what", "changes", "stop"),
    [
        (WINE, {}, None),
        (WINE, {"age_group": AgeGroup.CHILD}, "age"),
        (WINE, {"allergies": frozenset({Allergen.SULPHITES})}, "allergens"),
        (WINE, {"allergies": frozenset({Allergen.MILK})}, None),
        (WINE, {"allergies": None}, "allergens"),
        (STEAK, {"diet": frozenset({Diet.VEGAN})}, "diet"),
        (STEAK, {"diet": frozenset({Diet.NO_ALCOHOL})}, None),
        (STEAK, {"diet": frozenset({Diet.NO_ALCOHOL, Diet.HALAL})}, "diet"),
        (STEAK, {"diet": None}, "diet"),
        (CAP, {"diet": None, "allergies": None, "age_group": AgeGroup.CHILD}, None),
        (BREAKFAST, {}, "closed"),
        (BREAKFAST, {"minute": 6 * 60}, None),
        (BREAKFAST, {"minute": 10 * 60}, "closed"),
        (replace(CAP, tags=("new", SOLD_OUT)), {}, "sold_out"),
        (replace(CAP, tags=(FULL,)), {}, "full"),
    ],
)
def test_hard_stops(what: Item, changes: dict[str, Any], stop: str | None) -> None:
    assert hard_stop(what, situation(**changes)) == stop


def test_hours_may_pass_midnight() -> None:
    night = Hours(22 * 60, 2 * 60)
    assert [night.holds(minute) for minute in (1319, 1320, 1439, 0, 119, 120)] == [False, True, True, True, True, False]
    assert all(Hours(0, 1440).holds(minute) for minute in range(1440))


# the ranker


async def test_popularity_counts_this_hour_more() -> None:
    tea, cake, soup = item("tea"), item("cake"), item("soup")
    counts = {ItemId("tea"): 4}, {ItemId("tea"): 4, ItemId("cake"): 9}
    ranked = (await PopularityRanker().rank(RankRequest([soup, cake, tea], *counts))).scored
    assert [one.item for one in ranked] == ["tea", "cake", "soup"]
    assert [one.reasons for one in ranked] == [
        (Reason("popular_now", 4),),
        (Reason("popular_here", 9),),
        (Reason("something_new"),),
    ]
    assert sum(one.score for one in ranked) == pytest.approx(1.0)
    never = (await PopularityRanker().rank(RankRequest([tea, soup, cake], {}, {}))).scored
    assert [one.item for one in never] == ["cake", "soup", "tea"]


# suggesting


async def test_a_suggestion_with_its_reasons_its_look_and_its_event(deck: Deck) -> None:
    await deck.stock(item("tea"), CAP)
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert (shown.item.id, shown.reasons) == ("tea", (Reason("something_new"),))
    assert (shown.item.title("nb-NO"), shown.item.title("de")) == ("tea nb", "Tea")
    (look,) = await deck.looks()
    assert look.fields == {Field.SUGGESTIONS, Field.ALLERGIES, Field.DIET}
    (event,) = await deck.events(EventType.OFFER_SHOWN)
    assert dict(event.payload) == {
        "offer": shown.offer,
        "guest": KIRA,
        "outlet": "bar",
        "item": "tea",
        "propensity_ppm": PPM,
        "ranker": "popularity-1",
        "by": BARKEEPER.actor,
    }


async def test_allergies_and_diet_and_age_stop_it_however_popular(deck: Deck) -> None:
    latte = item("latte", allergens=(Allergen.MILK,))
    steak = item("steak", suits=(Diet.HALAL,))
    wine = item("wine", min_age_group=AgeGroup.ADULT)
    await deck.stock(latte, steak)
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []
    assert len(await deck.offers.suggest(BARKEEPER, ASE)) == 1
    await deck.store.write(lambda tx: tx.put_guest(guest(ASE, 8106, child=True)))
    await deck.stock(wine, version=2)
    assert await deck.offers.suggest(BARKEEPER, ASE) == []


async def test_where_allergies_are_not_shown_nothing_edible_is_offered(deck: Deck) -> None:
    await deck.stock(item("chocolate", SHOP), CAP)
    assert [one.item.id for one in await deck.offers.suggest(SELLER, ASE)] == ["cap"]
    assert (await deck.looks())[0].fields == {Field.SUGGESTIONS}


async def test_another_outlets_and_another_currencys_items_are_not_offered(deck: Deck) -> None:
    await deck.stock(CAP, item("tea", currency="NOK"))
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []


async def test_an_offer_that_waits_is_shown_again_and_not_counted_again(deck: Deck) -> None:
    await deck.stock(item("tea"), item("cake"))
    first = await deck.offers.suggest(BARKEEPER, KIRA)
    deck.clock.tick(SHOW_AGAIN_WITHIN_S - 1)
    assert await deck.offers.suggest(BARKEEPER, KIRA) == first
    assert len(await deck.events(EventType.OFFER_SHOWN)) == 1
    deck.clock.tick(1)
    (later,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert later.offer != first[0].offer


async def test_an_offer_that_waits_is_not_shown_once_something_stops_it(deck: Deck) -> None:
    await deck.stock(item("tea", allergens=(Allergen.EGGS,)))
    assert len(await deck.offers.suggest(BARKEEPER, KIRA)) == 1
    await deck.store.write(lambda tx: tx.put_profile(profile(KIRA, allergies=(Allergen.EGGS,))))
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []


@pytest.mark.parametrize("who", [CASHIER, CLEANER, viewer(CrewRole.SAFETY, Purpose.SAFETY)])
async def test_who_does_not_sell_is_shown_nothing_to_sell(deck: Deck, who: Viewer) -> None:
    await deck.stock(item("tea"))
    with pytest.raises(Refused, match="not_permitted"):
        await deck.offers.suggest(who, KIRA)
    with pytest.raises(Refused, match="not_permitted"):
        await deck.offers.answer(who, OfferId("0" * 32), Answer.ACCEPT)


async def test_nobody_is_offered_nothing(deck: Deck) -> None:
    with pytest.raises(NotFound):
        await deck.offers.suggest(BARKEEPER, GuestRef("f" * 16))
    assert await deck.looks() == []


# answering


@pytest.mark.parametrize(
    ("answer", "state", "event"),
    [
        (Answer.ACCEPT, OfferState.ACCEPTED, EventType.OFFER_ACCEPTED),
        (Answer.NOT_NOW, OfferState.DEFERRED, EventType.OFFER_DEFERRED),
        (Answer.WRONG, OfferState.WRONG, EventType.OFFER_WRONG),
    ],
)
async def test_an_answer_counts_once(deck: Deck, answer: Answer, state: OfferState, event: EventType) -> None:
    await deck.stock(item("tea"))
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    deck.clock.tick(5)
    first = await deck.offers.answer(BARKEEPER, shown.offer, answer)
    assert (first.state, first.answered_s) == (state, deck.clock.unix_s)
    deck.clock.tick(5)
    assert await deck.offers.answer(BARKEEPER, shown.offer, answer) == first
    assert len(await deck.events(event)) == 1
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []  # asked and answered


async def test_another_outlet_does_not_answer_for_this_one(deck: Deck) -> None:
    await deck.stock(item("tea"))
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    for who, which in ((HOST, shown.offer), (BARKEEPER, OfferId("0" * 32))):
        with pytest.raises(NotFound):
            await deck.offers.answer(who, which, Answer.ACCEPT)


# what is popular


async def sell(deck: Deck, description: str, count: int, at_s: int) -> None:
    def work(tx: Any) -> None:
        for number in range(count):
            tap = TapId(f"{description}-{at_s}-{number}".encode().hex()[:64])
            request = ChargeRequest(tap, TillId("bar-1"), BAR, 500, "EUR", description)
            tx.put_charge(Charge(request, at_s, ChargeState.POSTED, "posted", None))

    await deck.store.write(work)


async def best_of(deck: Deck, refs: Sequence[GuestRef]) -> list[Suggestion]:
    return [one for ref in refs for one in await deck.offers.suggest(BARKEEPER, ref)]


async def test_what_guests_take_is_offered_to_the_next(deck: Deck) -> None:
    await deck.stock(item("beer"), item("cake"), item("tea"))
    await sell(deck, " TEA ", 3, NOON_S - 600)  # whatever the till's case and blanks
    await sell(deck, "tea nb", 1, NOON_S - 86_400)
    await sell(deck, "Beer", 9, NOON_S - 6 * 3600)
    await sell(deck, "something else", 50, NOON_S)
    draws = Counter[str]()
    many = [GuestRef(f"{n:016x}") for n in range(0x100, 0x140)]
    for ref in many:
        await deck.store.write(lambda tx, r=ref: (tx.put_guest(guest(r)), tx.put_profile(profile(r))))  # type: ignore[misc]
    for shown in await best_of(deck, many):
        draws[shown.item.id] += 1
        assert (
            shown.reasons
            == {
                "tea": (Reason("popular_now", 4),),
                "beer": (Reason("popular_here", 9),),
                "cake": (Reason("something_new"),),
            }[shown.item.id]
        )
    assert draws["tea"] == len(many)  # this entropy counts, and never draws to explore


class LastDraw:
    """Entropy whose every draw is the last one: exploring, and the last of the rest."""

    def __init__(self) -> None:
        self._count = 0

    def token_bytes(self, n: int) -> bytes:
        if n == 8:
            return (PPM - 1).to_bytes(8, "big")
        self._count += 1
        return self._count.to_bytes(n, "big")


async def test_at_times_another_than_the_best_is_offered_with_its_propensity(deck: Deck) -> None:
    await deck.stock(item("beer"), item("cake"), item("tea"))
    await sell(deck, "Tea", 3, NOON_S - 600)
    deck.offers._entropy = LastDraw()
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert shown.item.id == "cake"
    (event,) = await deck.events(EventType.OFFER_SHOWN)
    # beer and cake are alike: each has the floor, half of what goes by likelihood and half of what goes to all
    assert event.payload["propensity_ppm"] == FLOOR_PPM + SOFT_PPM // 2 + REST_PPM // 2


async def test_counts_are_taken_anew_after_a_while_and_for_a_new_catalogue(deck: Deck) -> None:
    await deck.stock(item("beer"), item("tea"))
    assert [one.item.id for one in await deck.offers.suggest(BARKEEPER, KIRA)] == ["beer"]
    await sell(deck, "Tea", 5, NOON_S)
    assert [one.item.id for one in await deck.offers.suggest(BARKEEPER, ASE)] == ["beer"]
    deck.clock.tick(max(COUNT_AGAIN_AFTER_S, SHOW_AGAIN_WITHIN_S))
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert shown.item.id == "tea"
    await deck.offers.answer(BARKEEPER, shown.offer, Answer.ACCEPT)
    await deck.stock(item("tea"), item("wine"), version=2)
    await deck.store.write(
        lambda tx: (tx.put_guest(guest(GuestRef("b" * 16))), tx.put_profile(profile(GuestRef("b" * 16))))
    )
    (shown,) = await deck.offers.suggest(BARKEEPER, GuestRef("b" * 16))
    assert shown.reasons == (Reason("popular_now", 6),)
