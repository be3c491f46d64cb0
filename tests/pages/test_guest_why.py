"""Why this: the reasons as the guest reads them, their own answers, and switches that work at the next tap."""

from __future__ import annotations

import re

import pytest
from tests.pages.guestkit import Wearer, events, phone, wearer
from tests.pages.pagekit import BAR, PageShip

from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType
from steward.domain.features import Signal
from steward.domain.offers import Offer, OfferState
from steward.domain.outlets import OutletKind
from steward.domain.viewing import CrewRole, Purpose, Viewer
from steward.web.pages.language import LANGUAGES

WAITER = Viewer("c" * 16, CrewRole.SERVICE, BAR, OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK)


async def offered(ship: PageShip, who: Wearer) -> Offer:
    (suggestion,) = await ship.services.offers.suggest(WAITER, who.ref)
    return await offer_of(ship, suggestion.offer)


async def offer_of(ship: PageShip, id_: object) -> Offer:
    offer = await ship.services.store.read(lambda tx: tx.offer(id_))  # type: ignore[arg-type]
    assert offer is not None
    return offer


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_suggestion_says_why_in_the_guests_own_words(ship: PageShip, language: str) -> None:
    who = await wearer(ship)
    offer = await offered(ship, who)
    items = {item.id: item for item in (await ship.services.store.read(lambda tx: tx.catalogue())).items}
    async with phone(ship, who, **{"Accept-Language": language}) as browser:
        page = (await browser.get("/me/why")).text
    assert items[offer.item].title(language) in page
    assert "this guest" not in page
    assert "gjesten " not in page
    short = re.search(r'<ul class="plain-list">(.*?)</ul>', page, re.S)
    assert short is not None
    assert "<li>" in short[1]


@pytest.mark.parametrize(
    ("answers", "state", "types"),
    [
        (["accept"], OfferState.ACCEPTED, [EventType.OFFER_ACCEPTED]),
        (["not_now"], OfferState.DEFERRED, [EventType.OFFER_DEFERRED]),
        (["wrong"], OfferState.WRONG, [EventType.OFFER_WRONG]),
        (["accept", "liked"], OfferState.ACCEPTED, [EventType.OFFER_ACCEPTED, EventType.OFFER_LIKED]),
        (["wrong", "take_back"], OfferState.SHOWN, [EventType.OFFER_WRONG, EventType.OFFER_TAKEN_BACK]),
    ],
)
async def test_the_guest_answers_for_themselves(
    ship: PageShip, answers: list[str], state: OfferState, types: list[EventType]
) -> None:
    who = await wearer(ship)
    offer = await offered(ship, who)
    async with phone(ship, who) as browser:
        for answer in answers:
            page = (await browser.get("/me/why")).text
            assert f'name="answer" value="{answer}"' in page
            assert (await browser.post("/me/why/answers", offer=offer.id, answer=answer)).status_code == 303
    assert (await offer_of(ship, offer.id)).state is state
    said = await events(ship, *types)
    assert [(event.type, event.payload["by"]) for event in said] == [(each, f"guest:{who.ref}") for each in types]


async def test_nobody_answers_for_another(ship: PageShip) -> None:
    who, other = await wearer(ship), await wearer(ship, "Bo Other", cabin=6001)
    offer = await offered(ship, who)
    async with phone(ship, other) as browser:
        await browser.get("/me/why")
        assert offer.id not in browser.text
        for id_ in (offer.id, "0" * 32):
            assert (await browser.post("/me/why/answers", offer=id_, answer="wrong")).status_code == 404
        for id_, answer in (("x", "wrong"), (offer.id, "buy"), ("", "")):
            assert (await browser.post("/me/why/answers", offer=id_, answer=answer)).status_code == 400
    assert (await offer_of(ship, offer.id)).state is OfferState.SHOWN


async def test_what_was_not_accepted_cannot_be_liked(ship: PageShip) -> None:
    who = await wearer(ship)
    offer = await offered(ship, who)
    async with phone(ship, who) as browser:
        await browser.get("/me/why")
        assert 'value="liked"' not in browser.text
        assert (await browser.post("/me/why/answers", offer=offer.id, answer="liked")).status_code == 409


@pytest.mark.parametrize("signal", Signal)
async def test_each_signal_has_a_switch_that_works_at_once(ship: PageShip, signal: Signal) -> None:
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        for turn, off in (("off", {signal}), ("on", set())):
            await browser.get("/me/why")
            assert f'name="signal" value="{signal.value}"' in browser.text
            answer = await browser.post("/me/why/signals", signal=signal.value, turn=turn)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/me/why#signal-{signal.value}")
            assert await ship.services.store.read(lambda tx: tx.signals_off(who.ref)) == off
    assert [event.payload["by"] for event in await events(ship, EventType.SIGNAL_SET)] == ["guest", "guest"]


@pytest.mark.parametrize("fields", [{}, {"signal": "history"}, {"signal": "mood", "turn": "off"}, {"turn": "off"}])
async def test_a_switch_there_is_not_switches_nothing(ship: PageShip, fields: dict[str, str]) -> None:
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        await browser.get("/me/why")
        assert (await browser.post("/me/why/signals", **fields)).status_code == 400
    assert await events(ship, EventType.SIGNAL_SET) == []


async def test_who_said_no_to_suggestions_is_told_so_and_gets_none(ship: PageShip) -> None:
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        assert "Nothing has been suggested to you" in (await browser.get("/me/why")).text
        await browser.post("/me/consents", purpose=ConsentPurpose.SUGGESTIONS.value, given="no")
        assert await ship.services.offers.suggest(WAITER, who.ref) == []
        assert "Nothing is suggested to you" in (await browser.get("/me/why")).text
