"""Switches of a guest: whose word counts, and that what is off is in nothing that a model is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.contract.makers import charge
from tests.unit.modelkit import TINY, catalogue, model
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import ASE, BARKEEPER, KIRA, Deck, guest

from steward.adapters.litert import LitertModel
from steward.adapters.popularity import PopularityRanker
from steward.domain.catalogue import Item
from steward.domain.context import PortCall, StayCompany
from steward.domain.events import EventType
from steward.domain.features import MOMENT_SLICES, Company, Signal, Weather
from steward.domain.ids import GuestRef
from steward.domain.offers import Answer
from steward.domain.outlets import OutletKind
from steward.domain.pasts import ShipDay
from steward.domain.signals import Switch, is_later, off_of, switched
from steward.domain.trial import Trial
from steward.errors import NotFound, Refused
from steward.ports.service import RankRequest
from steward.services.context import ContextService
from steward.services.decisions import NOBODY_HELD_OUT
from steward.services.ranking import Ranking
from steward.services.rankrequest import RankRequests
from steward.services.signals import SignalService

SHA = "a" * 64
BY = "token:desk-1"
NOBODY = GuestRef("f" * 16)
DAY_S = 86_400

# whose word counts


def test_everything_is_on_until_it_is_switched_off() -> None:
    assert switched(None, KIRA, Signal.PLACE, True, 5) is None
    off = switched(None, KIRA, Signal.PLACE, False, 5)
    assert off == Switch(KIRA, Signal.PLACE, False, 5, 1)
    assert switched(off, KIRA, Signal.PLACE, False, 9) is None
    on = switched(off, KIRA, Signal.PLACE, True, 3)  # the clock was set back: later than what is known all the same
    assert on == Switch(KIRA, Signal.PLACE, True, 6, 2)
    assert off_of([Switch(KIRA, Signal.HOUR, False, 1, 1), on]) == {Signal.HOUR}


def test_off_wins_a_tie() -> None:
    on, off = Switch(KIRA, Signal.DAY, True, 5, 2), Switch(KIRA, Signal.DAY, False, 5, 3)
    assert is_later(off, on)
    assert not is_later(on, off)
    assert not is_later(off, off)
    assert is_later(on, None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 100)), max_size=20))
def test_words_never_go_backwards_and_versions_count_them(said: list[tuple[bool, int]]) -> None:
    known: Switch | None = None
    for on, now_s in said:
        new = switched(known, KIRA, Signal.HABIT, on, now_s)
        if new is not None:
            assert is_later(new, known)
            assert new.version == (known.version if known else 0) + 1
            known = new
        assert (known is None or known.on) == on


# the service


@pytest.fixture
async def deck() -> Deck:
    return await Deck().aboard()


def service(deck: Deck, *, follows: bool = False) -> SignalService:
    return SignalService(deck.store, deck.clock, follows)


async def test_a_word_is_kept_told_and_kept_again_only_if_it_changes_something(deck: Deck) -> None:
    said = await service(deck).say(KIRA, {Signal.HISTORY: False, Signal.HOUR: True}, BY)
    assert (said.off, [s.signal for s in said.history]) == ({Signal.HISTORY}, [Signal.HISTORY])
    assert await service(deck).say(KIRA, {Signal.HISTORY: False}, BY) == said
    back = await service(deck).say(KIRA, {Signal.HISTORY: True, Signal.PLACE: False}, BY)
    assert (back.off, [(s.signal, s.on) for s in back.history]) == (
        {Signal.PLACE},
        [(Signal.PLACE, False), (Signal.HISTORY, True), (Signal.HISTORY, False)],
    )
    events = [event.payload for event in await deck.events(EventType.SIGNAL_SET)]
    assert [(e["guest"], e["signal"], e["on"], e["version"], e["by"]) for e in events] == [
        (KIRA, "history", False, 1, BY),
        (KIRA, "history", True, 2, BY),
        (KIRA, "place", False, 1, BY),
    ]
    assert await deck.store.read(lambda tx: tx.signals_off(ASE)) == frozenset()


async def test_two_at_once_are_decided_one_after_the_other(deck: Deck) -> None:
    words = [{Signal.HISTORY: bool(n % 2), Signal.WEATHER: not n % 2} for n in range(20)]
    await asyncio.gather(*(service(deck).say(KIRA, word, BY) for word in words))
    for signal in (Signal.HISTORY, Signal.WEATHER):
        history = await deck.store.read(lambda tx: tx.switch_history(KIRA, 99))
        own = [switch for switch in history if switch.signal is signal]
        assert [switch.version for switch in own] == list(range(len(own), 0, -1))
        assert [switch.on for switch in own[::-1]] == [bool(n % 2) for n in range(len(own))]
    assert await deck.store.read(lambda tx: tx.signals_off(KIRA)) == {Signal.WEATHER}


async def test_not_of_somebody_who_is_not_there_nor_at_a_gateway_that_follows(deck: Deck) -> None:
    with pytest.raises(NotFound):
        await service(deck).say(NOBODY, {Signal.HOUR: False}, BY)
    with pytest.raises(Refused) as refused:
        await service(deck, follows=True).say(KIRA, {Signal.HOUR: False}, BY)
    assert refused.value.code == "authority_only"
    assert await deck.events(EventType.SIGNAL_SET) == []


# what a model is given, through the real request


class Bar:
    """A guest with a past at a bar of the tiny model's catalogue, everything of the moment known."""

    def __init__(self, deck: Deck, ranker: LitertModel, items: tuple[Item, ...]) -> None:
        self.deck = deck
        self.model = ranker
        self.items = items
        self.requests = RankRequests(deck.store, deck.ranking, ShipDay(4, 0), NOBODY_HELD_OUT)

    async def request(self) -> RankRequest:
        made, _ = await self.requests.make(
            replace(BARKEEPER, outlet=self.items[0].outlet), KIRA, self.deck.clock.unix_s
        )
        return made

    async def off(self, *signals: Signal) -> None:
        await service(self.deck).say(KIRA, {signal: signal not in signals for signal in Signal}, BY)

    async def tensors(self) -> dict[str, NDArray[Any]]:
        return self.model.inputs(await self.request())

    async def scores(self) -> Any:
        return self.model.rank_now(await self.request())


@pytest.fixture
async def bar() -> AsyncIterator[Bar]:
    ranking, ranker = Ranking(PopularityRanker()), model(TINY)
    ranking.put(SHA, ranker)
    deck = await Deck(ranking=ranking).aboard()
    outlet = catalogue()[0].outlet
    items = tuple(item for item in catalogue() if item.outlet == outlet)
    assert len(items) > 3
    await deck.stock(*items)
    await deck.store.write(lambda tx: ranking.write(tx, Trial(SHA, SHA)))
    made = Bar(deck, ranker, items)
    viewer = replace(BARKEEPER, outlet=outlet)
    for answer in (Answer.ACCEPT, Answer.WRONG):
        (shown,) = await deck.offers.suggest(viewer, KIRA)
        await deck.offers.answer(viewer, shown.offer, answer)
        deck.clock.tick(7200)
    await _context(deck, Company.BUSINESS, Weather.RAIN, in_port=True)
    yield made
    ranking.close()


async def _context(deck: Deck, company: Company, weather: Weather, *, in_port: bool) -> None:
    context, now_s = ContextService(deck.store, deck.clock), deck.clock.unix_s
    await deck.store.write(lambda tx: tx.put_company(StayCompany(KIRA, company)))
    await context.say_weather(weather, BY, 24)
    ends_s = [now_s + (60 if in_port else -60), now_s + DAY_S]
    calls = [PortCall("A", now_s - DAY_S, ends_s[0]), PortCall("B", ends_s[1] - 9, ends_s[1])]
    await context.set_port_calls(calls, BY)


@pytest.mark.parametrize("signal", list(Signal))
async def test_what_is_off_is_zero_in_the_tensors_and_nothing_else_is(bar: Bar, signal: Signal) -> None:
    on = await bar.tensors()
    assert all(on["moment"][0, where].any() for where in MOMENT_SLICES.values())
    assert on["past"].any(axis=2).sum() == 2
    await bar.off(signal)
    off = await bar.tensors()
    if signal in MOMENT_SLICES:
        where = MOMENT_SLICES[signal]
        assert not off["moment"][0, where].any()
        rest = [n for n in range(on["moment"].shape[1]) if not where.start <= n < where.stop]
        assert (on["moment"][0, rest] == off["moment"][0, rest]).all()
        assert (on["past_index"] == off["past_index"]).all()
    else:
        assert off["past"].any(axis=2).sum() == (off["past_index"] > 0).sum() == 1
        assert (on["moment"] == off["moment"]).all()
    await bar.off()
    for name, values in (await bar.tensors()).items():
        assert (values == on[name]).all()


async def test_with_everything_off_the_model_knows_no_one(bar: Bar) -> None:
    await bar.off(*Signal)
    given = await bar.tensors()
    for name in ("moment", "past", "past_index", "past_items"):
        assert not given[name].any()


async def test_the_score_is_the_same_to_the_bit_whatever_is_hidden(bar: Bar) -> None:
    await bar.off(Signal.COMPANY, Signal.WEATHER, Signal.DAY)
    hidden = await bar.scores()
    for company, weather, in_port in ((Company.FAMILY, Weather.SUNNY, False), (Company.ALONE, Weather.ROUGH, True)):
        await _context(bar.deck, company, weather, in_port=in_port)
        assert await bar.scores() == hidden
    stays = guest(KIRA, not_before_s=NOON_S - 9 * DAY_S, not_after_s=NOON_S + DAY_S)
    await bar.deck.store.write(lambda tx: tx.put_guest(stays))
    assert await bar.scores() == hidden
    await bar.off()
    assert await bar.scores() != hidden


async def test_hidden_deeds_and_answers_move_nothing(bar: Bar) -> None:
    await bar.off(Signal.HISTORY, Signal.ANSWERS, Signal.HABIT)
    hidden, viewer = await bar.scores(), replace(BARKEEPER, outlet=bar.items[0].outlet)
    (shown,) = await bar.deck.offers.suggest(viewer, KIRA)
    await bar.deck.offers.answer(viewer, shown.offer, Answer.WRONG)
    bought = charge(77, KIRA, at_s=bar.deck.clock.unix_s - 60)
    asked = replace(bought.request, description=bar.items[2].titles["en"], outlet=bar.items[2].outlet)
    await bar.deck.store.write(lambda tx: tx.put_charge(replace(bought, request=asked)))
    assert (await bar.scores()).scored == hidden.scored
    await bar.off()
    bar.deck.clock.tick(60)
    assert len((await bar.request()).history) == 4


async def test_a_place_that_is_hidden_moves_nothing(bar: Bar) -> None:
    await bar.off(Signal.PLACE)
    request = await bar.request()
    assert request.moment is not None
    elsewhere = replace(request.moment, place=OutletKind.WELLNESS)
    history = [replace(past, here=not past.here) for past in request.history]
    assert bar.model.rank_now(replace(request, moment=elsewhere, history=history)) == bar.model.rank_now(request)


async def test_an_hour_that_is_hidden_moves_nothing(bar: Bar) -> None:
    await bar.off(Signal.HOUR)
    request = await bar.request()
    assert request.moment is not None
    later = replace(request.moment, minute=(request.moment.minute + 700) % 1440)
    history = [replace(past, minute=3) for past in request.history]
    assert bar.model.rank_now(replace(request, moment=later, history=history)) == bar.model.rank_now(request)


async def test_popularity_counts_everybody_alike_and_has_no_switch(bar: Bar) -> None:
    before = await bar.request()
    await bar.off(*Signal)
    after = await bar.request()
    assert (before.taken_now, before.taken_ever) == (after.taken_now, after.taken_ever)


async def test_who_has_not_agreed_has_no_moment_at_all(bar: Bar) -> None:
    await bar.deck.store.write(lambda tx: tx.drop_consents(KIRA))
    request = await bar.request()
    assert (request.moment, request.history) == (None, ())
