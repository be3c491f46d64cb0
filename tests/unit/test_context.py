"""What is known of now: weather for some hours, ports by the itinerary, company by the booking or by nobody's guess."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.modelkit import HandModel
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import ASE, BARKEEPER, CREW, KIRA, Deck, guest, item

from steward.adapters.popularity import PopularityRanker
from steward.domain.context import (
    CALL_S_MAX,
    PORT_CALLS_MAX,
    WEATHER_HOURS,
    WEATHER_HOURS_MAX,
    PortCall,
    PortCalls,
    StayCompany,
    company_now,
    in_port,
    port_calls_problem,
    weather_now,
    weather_said,
)
from steward.domain.events import EventType
from steward.domain.features import Company, Moment, Signal, Weather
from steward.domain.guests import CabinStay
from steward.domain.ids import GuestRef
from steward.domain.replica import UNTOLD_CABIN
from steward.domain.trial import Trial
from steward.errors import Refused
from steward.services.context import ContextService
from steward.services.ranking import Ranking
from steward.services.signals import SignalService

SHA = "a" * 64
BY = "token:desk-1"
H = 3600
BERGEN, ALESUND = PortCall("Bergen", NOON_S - 2 * H, NOON_S + H), PortCall("Ålesund", NOON_S + 9 * H, NOON_S + 12 * H)
FAMILY, ALONE, BUSINESS = Company.FAMILY, Company.ALONE, Company.BUSINESS

# rules


def test_weather_is_believed_for_its_hours_and_not_a_second_longer() -> None:
    word = weather_said(Weather.ROUGH, WEATHER_HOURS, NOON_S)
    ends_s = NOON_S + WEATHER_HOURS * H
    found = [weather_now(word, at_s) for at_s in (NOON_S - 1, NOON_S, ends_s - 1, ends_s)]
    assert found == [None, Weather.ROUGH, Weather.ROUGH, None]
    assert weather_now(None, NOON_S) is None
    assert weather_now(weather_said(None, 1, NOON_S), NOON_S) is None
    for hours in (0, -1, WEATHER_HOURS_MAX + 1):
        with pytest.raises(ValueError, match="hours"):
            weather_said(Weather.RAIN, hours, NOON_S)


@pytest.mark.parametrize(
    ("at_s", "found"),
    [
        (BERGEN.from_s - 1, None),  # before the itinerary begins
        (BERGEN.from_s, True),
        (BERGEN.to_s, True),
        (BERGEN.to_s + 1, False),
        (ALESUND.from_s, True),
        (ALESUND.to_s, True),
        (ALESUND.to_s + 1, None),
    ],
)
def test_in_port_by_the_itinerary_and_unknown_outside_it(at_s: int, found: bool | None) -> None:
    assert in_port((BERGEN, ALESUND), at_s) is found
    assert in_port((), at_s) is None


@pytest.mark.parametrize(
    "calls",
    [
        (ALESUND, BERGEN),
        (BERGEN, BERGEN),
        (BERGEN, replace(ALESUND, from_s=BERGEN.to_s)),
        (replace(BERGEN, to_s=BERGEN.from_s),),
        (replace(BERGEN, to_s=BERGEN.from_s + CALL_S_MAX + 1),),
        (replace(BERGEN, from_s=-1),),
        (replace(BERGEN, port=""),),
        (replace(BERGEN, port="x" * 41),),
        (replace(BERGEN, port="Ber\ngen"),),
        tuple(PortCall("A", n * 10, n * 10 + 5) for n in range(PORT_CALLS_MAX + 1)),
    ],
)
def test_an_itinerary_that_cannot_be_is_told(calls: tuple[PortCall, ...]) -> None:
    assert "call" in (port_calls_problem(calls) or "")
    assert port_calls_problem((BERGEN, ALESUND)) is None


@pytest.mark.parametrize(
    ("told", "child", "mates", "found"),
    [
        (BUSINESS, False, [True, False], BUSINESS),  # what the booking says counts
        (None, False, [], ALONE),
        (None, False, [True], FAMILY),
        (None, True, [False, False], FAMILY),
        (None, False, [False], None),  # what two adults are to each other is not ours to guess
        (None, False, [False, False, False], None),
        (None, True, [], None),
        (None, False, None, None),
    ],
)
def test_company(told: Company | None, child: bool, mates: list[bool] | None, found: Company | None) -> None:
    assert company_now(told, child, mates) is found


@given(st.booleans(), st.none() | st.lists(st.booleans(), max_size=6))
def test_business_friends_and_couples_are_never_derived(child: bool, mates: list[bool] | None) -> None:
    assert company_now(None, child, mates) in (None, FAMILY, ALONE)


# what is said


@pytest.fixture
async def deck() -> Deck:
    ranking = Ranking(PopularityRanker())
    model = HandModel("m-1")
    ranking.put(SHA, model)
    deck = await Deck(ranking=ranking).aboard()
    await deck.stock(*(item(f"i{n}") for n in range(3)))
    await deck.store.write(lambda tx: ranking.write(tx, Trial(SHA, SHA)))
    deck.asked = model.asked  # type: ignore[attr-defined]
    return deck


def context(deck: Deck, *, follows: bool = False) -> ContextService:
    return ContextService(deck.store, deck.clock, follows)


async def moment(deck: Deck, ref: GuestRef = KIRA) -> Moment:
    """As the model was told it, now."""
    await deck.offers.orders(BARKEEPER, ref, deck.clock.unix_s)
    found = deck.asked[-1].moment  # type: ignore[attr-defined]
    assert isinstance(found, Moment)
    return found


async def company_of(deck: Deck, ref: GuestRef = KIRA) -> Company | None:
    return (await moment(deck, ref)).company


async def test_what_nobody_has_said_is_unknown(deck: Deck) -> None:
    await deck.store.write(lambda tx: tx.put_guest(guest(ASE, 8104)))  # two adults in one cabin
    found = await moment(deck)
    assert (found.weather, found.in_port, found.company) == (None, None, None)


async def test_weather_reaches_the_next_suggestion_and_fades(deck: Deck) -> None:
    await context(deck).say_weather(Weather.RAIN, BY)
    assert (await moment(deck)).weather is Weather.RAIN
    await context(deck).say_weather(Weather.SUNNY, BY, 1)
    assert (await moment(deck)).weather is Weather.SUNNY
    deck.clock.tick(H)
    assert (await moment(deck)).weather is None
    assert await context(deck).weather() is None
    await context(deck).say_weather(Weather.RAIN, BY)
    await context(deck).say_weather(None, BY)
    assert (await moment(deck)).weather is None
    events = [event.payload for event in await deck.events(EventType.WEATHER_SAID)]
    assert [(e["weather"], e["by"]) for e in events] == [("rain", BY), ("sunny", BY), ("rain", BY), (None, BY)]


async def test_a_clock_set_back_takes_nothing_for_known_that_was_said_later(deck: Deck) -> None:
    await context(deck).say_weather(Weather.RAIN, BY)
    deck.clock.unix_s -= 10 * H
    assert (await moment(deck)).weather is None
    await context(deck).say_weather(Weather.CLOUDY, BY)
    assert (await moment(deck)).weather is Weather.CLOUDY


async def test_corrected_times_count_at_once(deck: Deck) -> None:
    await context(deck).set_port_calls([BERGEN, ALESUND], BY)
    assert (await moment(deck)).in_port is True
    await context(deck).set_port_calls([replace(BERGEN, to_s=NOON_S - 60), ALESUND], BY)
    assert (await moment(deck)).in_port is False
    await context(deck).set_port_calls([], BY)
    assert (await moment(deck)).in_port is None
    assert (await context(deck).port_calls()) == PortCalls(3, ())


async def test_the_same_itinerary_again_changes_nothing_and_two_corrections_at_once_are_not_mixed(deck: Deck) -> None:
    service = context(deck)
    first = await service.set_port_calls([BERGEN], BY)
    assert await service.set_port_calls([BERGEN], BY, known_version=0) == first
    corrections: Any = [replace(BERGEN, to_s=NOON_S + n) for n in (1, 2)]
    done = await asyncio.gather(
        *(service.set_port_calls([call], BY, first.version) for call in corrections), return_exceptions=True
    )
    assert [type(one) for one in done] == [PortCalls, Refused]
    assert isinstance(done[1], Refused)
    assert done[1].code == "itinerary_changed"
    assert (await service.port_calls()).calls == (corrections[0],)
    assert len(await deck.events(EventType.ITINERARY_SET)) == 2


async def test_what_cannot_be_is_refused_and_nothing_is_kept(deck: Deck) -> None:
    for work, code in (
        (context(deck).set_port_calls([ALESUND, BERGEN], BY), "itinerary_invalid"),
        (context(deck).say_weather(Weather.RAIN, BY, 0), "weather_hours"),
        (context(deck, follows=True).set_port_calls([BERGEN], BY), "authority_only"),
        (context(deck, follows=True).say_weather(Weather.RAIN, BY), "authority_only"),
    ):
        with pytest.raises(Refused) as refused:
            await work
        assert refused.value.code == code
    assert await deck.store.read(lambda tx: (tx.weather(), tx.port_calls())) == (None, PortCalls())
    assert await deck.events(EventType.WEATHER_SAID, EventType.ITINERARY_SET) == []


# company


async def test_company_is_what_the_booking_says(deck: Deck) -> None:
    assert await company_of(deck) is ALONE
    await deck.store.write(lambda tx: tx.put_company(StayCompany(KIRA, BUSINESS)))
    assert await company_of(deck) is BUSINESS
    await deck.store.write(lambda tx: tx.put_company(StayCompany(KIRA, None)))
    assert await company_of(deck) is ALONE


async def test_a_cabin_with_a_child_is_a_familys_for_each_of_them(deck: Deck) -> None:
    child = guest(GuestRef("c" * 16), 8104, child=True)
    await deck.store.write(lambda tx: (tx.put_guest(child), tx.put_guest(guest(ASE, 8104))))
    assert [await company_of(deck, ref) for ref in (KIRA, ASE)] == [FAMILY, FAMILY]


async def test_the_stay_before_and_crew_in_the_cabin_are_no_company(deck: Deck) -> None:
    before = guest(GuestRef("c" * 16), child=True, cabins=(CabinStay(8104, 7),))
    await deck.store.write(lambda tx: (tx.put_guest(before), tx.put_guest(guest(CREW, 8104, crew=True))))
    assert await company_of(deck) is ALONE


async def test_a_till_that_is_not_told_cabins_and_days_guesses_neither(deck: Deck) -> None:
    untold = {"cabins": (UNTOLD_CABIN,), "not_before_s": 0, "not_after_s": 0}

    def scope(tx: Any) -> None:
        for ref, child in ((KIRA, False), (ASE, True)):
            tx.put_guest(guest(ref, child=child, **untold))

    await deck.store.write(scope)
    found = await moment(deck)
    assert (found.company, found.day_of_stay, found.days_left) == (None, None, None)
    await deck.store.write(lambda tx: tx.put_company(StayCompany(KIRA, FAMILY)))
    assert await company_of(deck) is FAMILY


async def test_what_is_off_is_not_even_read(deck: Deck) -> None:
    await context(deck).say_weather(Weather.RAIN, BY)
    await context(deck).set_port_calls([BERGEN, ALESUND], BY)
    off = dict.fromkeys((Signal.COMPANY, Signal.WEATHER, Signal.DAY), False)
    await SignalService(deck.store, deck.clock).say(KIRA, off, BY)
    found = await moment(deck)
    assert (found.company, found.weather, found.in_port, found.off) == (None, None, None, frozenset(off))
