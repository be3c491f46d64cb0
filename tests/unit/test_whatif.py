"""Context before segment: the same guest, the same past, the same model, and other lists on another kind of trip.

What is said of another company, weather or hour is what is then offered when it comes to be so.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from tests.consentkit import word
from tests.unit.servicekit import ASE, BAR, BARKEEPER, CLEANER, KIRA, Deck

from steward.adapters.modelfolder import STARTER, hash_file, open_model
from steward.adapters.popularity import PopularityRanker
from steward.domain.catalogue import Item
from steward.domain.consent import ConsentPurpose
from steward.domain.context import StayCompany
from steward.domain.features import Company, Signal, Weather
from steward.domain.ids import GuestRef
from steward.domain.offers import Answer
from steward.domain.reasons import Change, Kind
from steward.domain.shorebodies import read_item
from steward.domain.trial import Trial
from steward.domain.viewing import Field
from steward.errors import NotFound, RankerFailed, Refused
from steward.services.context import ContextService
from steward.services.ranking import Ranking, RankingSettings
from steward.services.signals import SignalService
from steward.services.whatif import PLACES, Compared, Places, WhatIfService, changes_of

SHA = "a" * 64
BY = "token:desk-1"
OFFERS = Path(__file__).parents[2] / "tools" / "voyage" / "offers.json"


@cache
def bar_items() -> tuple[Item, ...]:
    """The demo ship's bar, open at all hours."""
    items = (read_item(entry) for entry in json.loads(OFFERS.read_text(encoding="utf-8")))
    return tuple(replace(each, hours=(), allergens=()) for each in items if each.outlet == BAR)


@pytest.fixture
async def deck() -> AsyncIterator[Deck]:
    """The model that ships ranks; Kira has a past."""
    ranking = Ranking(PopularityRanker(), RankingSettings(30.0, why_s=30.0))
    ranking.put(SHA, open_model(STARTER, hash_file(STARTER), STARTER.stat().st_size))
    deck = await Deck(ranking=ranking).aboard()
    await deck.stock(*bar_items())
    await deck.store.write(lambda tx: ranking.write(tx, Trial(SHA, SHA)))
    for answer in (Answer.ACCEPT, Answer.NOT_NOW):
        (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
        await deck.offers.answer(BARKEEPER, shown.offer, answer)
        deck.clock.tick(24 * 3600)
    yield deck
    ranking.close()


async def compared(deck: Deck, ref: GuestRef = KIRA) -> Compared:
    return await WhatIfService(deck.store, deck.clock, deck.offers).compare(BARKEEPER, ref)


async def first(deck: Deck) -> Places:
    return (await compared(deck)).now


async def company(deck: Deck, said: Company | None) -> None:
    await deck.store.write(lambda tx: tx.put_company(StayCompany(KIRA, said)))


@pytest.mark.parametrize("ref", [KIRA, ASE], ids=["with a past", "without one"])
async def test_a_business_trip_and_a_family_holiday_get_different_lists(deck: Deck, ref: GuestRef) -> None:
    business, family = [await first_of(deck, ref, said) for said in (Company.BUSINESS, Company.FAMILY)]
    assert len(business) == len(family) == PLACES
    assert set(business) != set(family)
    assert await first_of(deck, ref, Company.BUSINESS) == business  # by nothing else than the company


async def first_of(deck: Deck, ref: GuestRef, said: Company) -> Places:
    await deck.store.write(lambda tx: tx.put_company(StayCompany(ref, said)))
    return (await compared(deck, ref)).now


@pytest.mark.parametrize("said", list(Company))
async def test_what_is_said_of_another_company_is_so_when_it_is(deck: Deck, said: Company) -> None:
    told = (await compared(deck)).others[Change(Kind.COMPANY, said)]
    await company(deck, said)
    assert await first(deck) == told


@pytest.mark.parametrize("said", list(Weather))
async def test_what_is_said_of_other_weather_is_so_when_it_comes(deck: Deck, said: Weather) -> None:
    told = (await compared(deck)).others[Change(Kind.WEATHER, said)]
    await ContextService(deck.store, deck.clock).say_weather(said, BY)
    assert await first(deck) == told


async def test_what_is_said_of_a_later_hour_is_so_then(deck: Deck) -> None:
    hours = {change: told for change, told in (await compared(deck)).others.items() if change.kind is Kind.HOUR}
    assert len(set(hours.values())) > 1
    began_s = deck.clock.unix_s
    for change, told in hours.items():
        if change.number * 3600 + 12 * 3600 < 24 * 3600:  # today: tomorrow is another day of the stay
            deck.clock.unix_s = began_s + change.number * 3600
            assert await first(deck) == told


async def test_all_of_it_is_compared_once_and_with_every_place(deck: Deck) -> None:
    found = await compared(deck)
    assert list(found.others) == list(changes_of(720))
    assert len(found.others) == len(Company) + len(Weather) + 4
    assert all(len(set(places)) == PLACES for places in found.others.values())
    assert found.items.keys() == {*found.now, *(item for places in found.others.values() for item in places)}


async def test_an_offer_that_waits_is_as_if_it_had_not_been_made(deck: Deck) -> None:
    before = await compared(deck)
    (waits,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert await compared(deck) == before
    assert [one.offer for one in await deck.offers.suggest(BARKEEPER, KIRA)] == [waits.offer]


async def test_it_is_a_look_up_and_offers_nothing(deck: Deck) -> None:
    looks, offers = len(await deck.looks()), await deck.store.read(lambda tx: tx.offers_of(KIRA, 0))
    await compared(deck)
    (look,) = (await deck.looks())[looks:]
    assert (look.guest, look.actor, Field.SUGGESTIONS in look.fields) == (KIRA, BARKEEPER.actor, True)
    assert await deck.store.read(lambda tx: tx.offers_of(KIRA, 0)) == offers


async def test_what_is_off_makes_no_difference(deck: Deck) -> None:
    await SignalService(deck.store, deck.clock).say(KIRA, {Signal.COMPANY: False}, BY)
    found = await compared(deck)
    assert {found.others[Change(Kind.COMPANY, each)] for each in Company} == {found.now}
    assert len({places for change, places in found.others.items() if change.kind is not Kind.COMPANY}) > 1


async def test_who_was_not_asked_gets_what_is_popular_and_who_objects_is_not_looked_at(deck: Deck) -> None:
    await deck.store.write(lambda tx: tx.drop_consents(KIRA))
    found = await compared(deck)
    assert (found.personal, found.others, len(found.now)) == (False, {}, PLACES)
    await deck.store.write(lambda tx: tx.put_consent(word(KIRA, ConsentPurpose.SUGGESTIONS, False)))
    looks = await deck.looks()
    with pytest.raises(Refused) as refused:
        await compared(deck)
    assert refused.value.code == "no_consent"
    assert await deck.looks() == looks


async def test_who_may_not_and_who_is_not_there(deck: Deck) -> None:
    looks = await deck.looks()
    whatif = WhatIfService(deck.store, deck.clock, deck.offers)
    with pytest.raises(Refused) as refused:
        await whatif.compare(CLEANER, KIRA)
    assert refused.value.code == "not_permitted"
    with pytest.raises(NotFound):
        await whatif.compare(BARKEEPER, GuestRef("f" * 16))
    assert await deck.looks() == looks


async def test_a_model_that_cannot_be_asked_again_is_told_and_nothing_else_fails(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_work: object) -> object:
        raise RankerFailed("planned")

    monkeypatch.setattr(deck.ranking._models[SHA], "compare", broken)
    found = await compared(deck)
    assert (found.personal, found.others, len(found.now)) == (True, {}, PLACES)


async def test_an_outlet_that_has_nothing_has_nothing_to_compare(deck: Deck) -> None:
    await deck.stock(version=2)
    assert await compared(deck) == Compared(True, (), {}, {})
