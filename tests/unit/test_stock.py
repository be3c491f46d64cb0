"""Sold out and full: said by an outlet's crew or till, obeyed at once by suggestions, at every gateway of the ship."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.lankit import Fleet, Follower
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import BAR, BARKEEPER, KIRA, SHOP, Deck, item

from steward.domain.catalogue import Catalogue, ItemId
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.ids import OutletId
from steward.domain.offers import Answer
from steward.domain.stock import AHEAD_S_MAX, HELD_S_MAX, Gone, StockWord, is_later, next_time_s, word_problem
from steward.errors import NotFound, Refused
from steward.services.explain import ExplainService
from steward.services.situation import DAY_S, OfferSettings
from steward.services.stock import FORGOTTEN_AFTER_S, StockService

LAGER, TONIC, CAP = ItemId("lager"), ItemId("tonic"), ItemId("cap")
DAY_ENDS_S = OfferSettings().day_start_s(NOON_S) + DAY_S
HOUR_S = 3600


@pytest.fixture
async def deck() -> Deck:
    deck = await Deck().aboard()
    await deck.stock(item("lager"), item("tonic"), item("cap", SHOP, edible=False, suits=()))
    return deck


def stock(deck: Deck) -> StockService:
    return StockService(deck.store, deck.clock, OfferSettings())


async def offered(deck: Deck) -> str | None:
    """What Kira is offered at the bar now."""
    found = await deck.offers.suggest(BARKEEPER, KIRA)
    return found[0].item.id if found else None


async def gone(deck: Deck) -> dict[str, tuple[str, int]]:
    shelf = await stock(deck).shelf(BAR)
    return {one.item.id: (str(one.word.gone), one.word.until_s) for one in shelf if one.word is not None}


async def said(deck: Deck) -> list[tuple[EventType, str]]:
    events = await deck.events(EventType.ITEM_GONE, EventType.ITEM_BACK)
    return [(event.type, str(event.payload["item"])) for event in events]


# suggestions


async def test_what_is_sold_out_is_offered_to_nobody_until_the_days_end(deck: Deck) -> None:
    service = stock(deck)
    await service.hold_back(BAR, TONIC, Gone.SOLD_OUT, None, "c1")
    assert await offered(deck) == LAGER
    await service.hold_back(BAR, LAGER, Gone.FULL, DAY_ENDS_S, "c1")
    assert await offered(deck) is None
    assert await gone(deck) == {"tonic": ("sold_out", DAY_ENDS_S), "lager": ("full", DAY_ENDS_S)}
    deck.clock.unix_s = DAY_ENDS_S - 1
    assert await offered(deck) is None
    deck.clock.unix_s = DAY_ENDS_S
    assert await gone(deck) == {}
    assert await offered(deck) is not None


async def test_an_offer_that_waits_is_not_shown_again_once_it_is_sold_out(deck: Deck) -> None:
    first = await offered(deck)
    assert first is not None
    await stock(deck).hold_back(BAR, ItemId(first), Gone.SOLD_OUT, None, "c1")
    assert await offered(deck) is None
    await stock(deck).bring_back(BAR, ItemId(first), "c1")
    assert await offered(deck) == first


async def test_the_step_is_explained_and_a_moment_before_it_is_not(deck: Deck) -> None:
    explain = ExplainService(deck.store, deck.clock, deck.offers)
    before_s = deck.clock.unix_s
    deck.clock.unix_s += 60
    await stock(deck).hold_back(BAR, TONIC, Gone.SOLD_OUT, before_s + HOUR_S, "c1")
    now = await explain.explain(BARKEEPER, KIRA)
    assert [(step.rule, step.item) for step in now.decision.trace] == [("sold_out", TONIC)]
    then = await explain.explain(BARKEEPER, KIRA, before_s + 59)
    assert [step.rule for step in then.decision.trace] == []
    deck.clock.unix_s = before_s + 2 * HOUR_S
    since = await explain.explain(BARKEEPER, KIRA, before_s + 60)
    assert [step.rule for step in since.decision.trace] == ["sold_out"]
    assert [step.rule for step in (await explain.explain(BARKEEPER, KIRA)).decision.trace] == []


async def test_a_twin_of_what_is_wanted_never_stays_away_while_that_is_sold_out(deck: Deck) -> None:
    await deck.stock(item("lager", tags=("beer",)), item("pilsner", tags=("beer",)), version=2)
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    await deck.offers.answer(BARKEEPER, shown.offer, Answer.WRONG)
    await stock(deck).hold_back(BAR, shown.item.id, Gone.SOLD_OUT, None, "c1")
    assert await offered(deck) is None


# saying it


async def test_the_same_word_again_changes_nothing_and_another_takes_its_place(deck: Deck) -> None:
    service, until_s = stock(deck), NOON_S + HOUR_S
    for _ in range(3):
        await service.hold_back(BAR, TONIC, Gone.SOLD_OUT, until_s, "c1")
        deck.clock.unix_s += 5
    await service.hold_back(BAR, TONIC, Gone.FULL, until_s, "c1")
    await service.hold_back(BAR, TONIC, Gone.FULL, until_s + 60, "c1")
    for _ in range(2):
        assert (await service.bring_back(BAR, TONIC, "c1")).word is None
    await service.bring_back(BAR, LAGER, "c1")  # which nobody had held back
    kinds = [EventType.ITEM_GONE] * 3 + [EventType.ITEM_BACK]
    assert await said(deck) == [(kind, "tonic") for kind in kinds]
    (first, *_) = await deck.events(EventType.ITEM_GONE)
    told = {"outlet": "bar", "item": "tonic", "gone": "sold_out", "said_s": NOON_S, "until_s": until_s, "by": "c1"}
    assert first.payload == told


@pytest.mark.parametrize("until_s", [0, NOON_S - 1, NOON_S, NOON_S + HELD_S_MAX + 1, 2**60])
async def test_a_time_that_cannot_be_is_refused(deck: Deck, until_s: int) -> None:
    with pytest.raises(Refused) as refused:
        await stock(deck).hold_back(BAR, TONIC, Gone.FULL, until_s, "c1")
    assert refused.value.code == "until_invalid"
    assert await gone(deck) == {}
    await stock(deck).hold_back(BAR, TONIC, Gone.FULL, NOON_S + HELD_S_MAX, "c1")


@pytest.mark.parametrize("what", [CAP, ItemId("unheard-of"), ItemId(""), ItemId("../tonic"), ItemId("tonic/x")])
async def test_another_outlets_item_and_an_unknown_one_are_not_there(deck: Deck, what: ItemId) -> None:
    with pytest.raises(NotFound):
        await stock(deck).hold_back(BAR, what, Gone.SOLD_OUT, None, "c1")
    with pytest.raises(NotFound):
        await stock(deck).bring_back(BAR, what, "c1")
    assert await said(deck) == []
    assert await deck.store.read(lambda tx: list(tx.stock_at(BAR))) == []


async def test_a_clock_that_is_put_back_brings_nothing_back_and_the_next_word_still_counts(deck: Deck) -> None:
    service = stock(deck)
    await service.hold_back(BAR, TONIC, Gone.SOLD_OUT, NOON_S + HOUR_S, "c1")
    deck.clock.unix_s -= 5 * HOUR_S
    assert set(await gone(deck)) == {"tonic"}
    assert await offered(deck) == LAGER
    await service.bring_back(BAR, TONIC, "c1")
    assert await gone(deck) == {}
    await service.hold_back(BAR, TONIC, Gone.FULL, deck.clock.unix_s + 60, "c1")
    assert await gone(deck) == {"tonic": ("full", deck.clock.unix_s + 60)}


async def test_two_at_once_end_in_one_word_and_as_many_events_as_changes(deck: Deck) -> None:
    service = stock(deck)
    acts = [
        service.hold_back(BAR, TONIC, kind, NOON_S + HOUR_S, "c1")
        for kind in (Gone.SOLD_OUT, Gone.FULL, Gone.SOLD_OUT, Gone.FULL)
    ]
    await asyncio.gather(*acts, service.bring_back(BAR, TONIC, "c2"))
    words = await deck.store.read(lambda tx: list(tx.stock_at(BAR)))
    assert len(words) == 1
    stamps = [event.payload["said_s"] for event in await deck.events(EventType.ITEM_GONE, EventType.ITEM_BACK)]
    assert stamps == sorted(set(stamps))  # type: ignore[type-var]
    assert words[0].said_s == stamps[-1]


async def test_words_that_are_long_over_are_forgotten_with_the_next(deck: Deck) -> None:
    service = stock(deck)
    await service.hold_back(BAR, TONIC, Gone.SOLD_OUT, NOON_S + 60, "c1")
    deck.clock.unix_s = NOON_S + 60 + FORGOTTEN_AFTER_S
    await service.hold_back(BAR, LAGER, Gone.SOLD_OUT, None, "c1")
    assert [word.item for word in await deck.store.read(lambda tx: tx.stock_at(BAR))] == [LAGER, TONIC]
    deck.clock.unix_s += 1
    await service.hold_back(BAR, LAGER, Gone.FULL, None, "c1")
    assert [word.item for word in await deck.store.read(lambda tx: tx.stock_at(BAR))] == [LAGER]


@pytest.mark.parametrize(
    ("minute", "offset_min", "expected_s"),
    [
        (12 * 60 + 1, 0, NOON_S + 60),
        (12 * 60, 0, NOON_S + DAY_S),  # now is not to come
        (0, 0, NOON_S + 12 * HOUR_S),
        (13 * 60, 60, NOON_S + DAY_S),
        (13 * 60 + 1, 60, NOON_S + 60),
        (1 * 60, -12 * 60, NOON_S + HOUR_S),
        (23 * 60, 14 * 60, NOON_S + 21 * HOUR_S),
    ],
)
def test_the_next_time_that_the_ships_clock_shows(minute: int, offset_min: int, expected_s: int) -> None:
    noon_s = NOON_S - NOON_S % DAY_S + DAY_S // 2
    assert next_time_s(minute, noon_s, offset_min * 60) - noon_s == expected_s - NOON_S


# several gateways


CATALOGUE = Catalogue(1, (item("lager"), item("tonic")))


@pytest.fixture
async def fleet() -> Fleet:
    fleet = Fleet()
    for store in (fleet.authority.store, *(follower.store for follower in fleet.followers.values())):
        await store.write(lambda tx: tx.put_catalogue(CATALOGUE))
    await fleet.sync()
    return fleet


def at(follower: Follower) -> StockService:
    return StockService(follower.store, follower.clock, OfferSettings())


async def words(store: object) -> list[StockWord]:
    return list(await store.read(lambda tx: tx.stock_at(BAR)))  # type: ignore[attr-defined]


async def test_a_word_said_anywhere_reaches_every_till_and_no_door(fleet: Fleet) -> None:
    await at(fleet["bar"]).hold_back(BAR, LAGER, Gone.SOLD_OUT, None, "t1")
    assert len(await words(fleet["bar"].store)) == 1  # at once, where it was said
    await fleet.settle_down()
    own = StockService(fleet.authority.store, fleet.authority.clock, OfferSettings())
    await own.hold_back(BAR, TONIC, Gone.FULL, None, "c1")
    await fleet.settle_down()
    everywhere = await words(fleet.authority.store)
    assert [(word.item, word.gone) for word in everywhere] == [(LAGER, Gone.SOLD_OUT), (TONIC, Gone.FULL)]
    assert await words(fleet["bar"].store) == await words(fleet["spa"].store) == everywhere
    assert await words(fleet["deck"].store) == []
    await at(fleet["spa"]).bring_back(BAR, LAGER, "t2")
    await fleet.settle_down()
    assert [word.gone for word in await words(fleet["bar"].store)] == [None, Gone.FULL]


async def test_gateways_cut_off_from_each_other_agree_in_the_end(fleet: Fleet) -> None:
    fleet.lan.cut = {"bar", "spa"}
    fleet["spa"].clock.unix_s += 30
    await at(fleet["bar"]).hold_back(BAR, LAGER, Gone.SOLD_OUT, NOON_S + HOUR_S, "t1")
    await at(fleet["spa"]).hold_back(BAR, LAGER, Gone.FULL, NOON_S + HOUR_S, "t2")
    await at(fleet["bar"]).bring_back(BAR, LAGER, "t1")
    await fleet.settle_down()
    (last,) = await words(fleet.authority.store)
    assert (last.gone, last.said_s) == (Gone.FULL, NOON_S + 30)  # the later word, not the one that came last
    assert await words(fleet["bar"].store) == await words(fleet["spa"].store) == [last]
    assert await fleet.alerts() == []


BAD: list[tuple[dict[str, object], str]] = [
    ({"gone": "stolen"}, "gone"),
    ({"gone": None}, "gone"),
    ({"gone": 7}, "gone"),
    ({"said_s": NOON_S + AHEAD_S_MAX + 1}, "future"),
    ({"said_s": -1}, "said_s"),
    ({"said_s": "soon"}, "said_s"),
    ({"until_s": NOON_S + HELD_S_MAX + AHEAD_S_MAX + 1}, "days"),
    ({"item": "LAGER"}, "item"),
    ({"item": "x" * 65}, "item"),
    ({"outlet": ""}, "outlet"),
    ({"outlet": "bar/lager"}, "outlet"),
]


def forged(**changes: object) -> NewEvent:
    told = {"outlet": "bar", "item": "lager", "gone": "sold_out", "said_s": NOON_S, "until_s": NOON_S + 60, "by": "x"}
    return fact(EventType.ITEM_GONE, NOON_S, **{**told, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [changes for changes, _ in BAD])
async def test_a_word_that_cannot_be_is_set_aside_and_staff_are_told(fleet: Fleet, changes: dict[str, object]) -> None:
    await fleet["bar"].store.write(lambda tx: tx.append_event(forged(**changes)))
    await fleet.settle_down()
    assert await words(fleet.authority.store) == []
    assert await fleet.alerts() == ["peer_unreadable"]


async def test_a_door_gateway_has_no_say_and_what_is_not_on_sale_is_nobodys(fleet: Fleet) -> None:
    await fleet["deck"].store.write(lambda tx: tx.append_event(forged()))
    await fleet["bar"].store.write(lambda tx: tx.append_event(forged(item="unheard-of")))
    await fleet["bar"].store.write(lambda tx: tx.append_event(forged(outlet="spa")))
    await fleet.settle_down()
    assert await fleet.alerts() == ["peer_unreadable"]  # the door's
    for outlet in (BAR, OutletId("spa")):
        assert await fleet.authority.store.read(lambda tx, outlet=outlet: list(tx.stock_at(outlet))) == []
    await fleet["bar"].store.write(lambda tx: tx.append_event(forged()))
    await fleet.settle_down()
    assert [word.item for word in await words(fleet.authority.store)] == [LAGER]


async def test_a_word_of_before_does_not_undo_a_later_one(fleet: Fleet) -> None:
    own = StockService(fleet.authority.store, fleet.authority.clock, OfferSettings())
    await own.hold_back(BAR, LAGER, Gone.FULL, None, "c1")
    late = fact(EventType.ITEM_BACK, NOON_S - 9, outlet="bar", item="lager", said_s=NOON_S - 9, until_s=NOON_S)
    await fleet["bar"].store.write(lambda tx: tx.append_event(late))
    await fleet.settle_down()
    assert [word.gone for word in await words(fleet.authority.store)] == [Gone.FULL]


@given(
    st.lists(
        st.builds(
            StockWord,
            st.just(BAR),
            st.just(LAGER),
            st.none() | st.sampled_from(Gone),
            st.integers(0, 4),
            st.integers(0, 4),
        ),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_order_words_come_in_the_same_one_stays(said: list[StockWord], order: random.Random) -> None:
    def last(heard: list[StockWord]) -> StockWord | None:
        known: StockWord | None = None
        for word in heard:
            known = word if is_later(word, known) else known
        return known

    shuffled = said * 2  # some come twice
    order.shuffle(shuffled)
    assert last(shuffled) == last(said)


def test_the_order_of_words() -> None:
    base = StockWord(BAR, LAGER, None, 10, 20)
    assert is_later(base, None)
    assert not is_later(base, base)
    assert is_later(replace(base, gone=Gone.FULL), base)  # of the same moment: what holds back
    assert not is_later(replace(base, gone=Gone.FULL, said_s=9), base)
    assert is_later(replace(base, said_s=11), replace(base, gone=Gone.SOLD_OUT))
    assert word_problem(base, NOON_S) is None
