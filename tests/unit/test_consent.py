"""Consent: whose word counts, and that it is obeyed by the very next read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consentkit import word
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import (
    ASE,
    BAR,
    BARKEEPER,
    CASHIER,
    CLEANER,
    HOST,
    JPEG,
    KIRA,
    MEDIC,
    SHOP,
    Deck,
    item,
    viewer,
)

from steward.domain.catalogue import ItemId
from steward.domain.consent import (
    Consent,
    ConsentPurpose,
    Source,
    is_later,
    purposes_given,
    said_aboard,
    told_by_shore,
    withheld,
)
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.offers import PPM, Answer, Offer, OfferId, OfferState
from steward.domain.shorebodies import ConsentChange
from steward.domain.viewing import Field, Purpose, Way, allowed, look_at
from steward.errors import NotFound, Refused
from steward.ports import Tx
from steward.services.consents import ConsentService, record_shore

PHOTO, NOTES, IDEAS = ConsentPurpose.PHOTO, ConsentPurpose.PERSONAL_SERVICE, ConsentPurpose.SUGGESTIONS
NOBODY, BO = GuestRef("f" * 16), GuestRef("b" * 16)
AT_S = 1_000_000


@pytest.fixture
async def deck() -> Deck:
    return await Deck().aboard()


async def say(deck: Deck, purpose: ConsentPurpose, given: bool, ref: GuestRef = KIRA) -> None:
    await ConsentService(deck.store, deck.clock).say(ref, {purpose: given}, "token:desk-1")


async def forget(deck: Deck, ref: GuestRef = KIRA) -> None:
    """As if the guest had never been asked."""
    await deck.store.write(lambda tx: tx.drop_consents(ref))


# whose word counts


def told(known: Consent | None, given: bool, at_s: int, now_s: int = AT_S) -> Consent | None:
    return told_by_shore(known, KIRA, IDEAS, given, at_s, now_s)


def test_a_word_aboard_always_counts_whatever_the_clock_says() -> None:
    future = word(KIRA, IDEAS, True, AT_S + 900_000, version=4)
    said = said_aboard(future, KIRA, IDEAS, False, AT_S)
    assert said == Consent(KIRA, IDEAS, False, AT_S + 900_001, Source.ABOARD, 5)
    assert is_later(said, future)
    assert said_aboard(future, KIRA, IDEAS, True, AT_S) is None


@pytest.mark.parametrize(
    ("known", "given", "at_s", "counts"),
    [
        (None, True, AT_S - 5, True),
        (word(KIRA, IDEAS, True, AT_S - 5), False, AT_S - 4, True),
        (word(KIRA, IDEAS, True, AT_S - 5), False, AT_S - 5, True),  # a tie is no
        (word(KIRA, IDEAS, True, AT_S - 5), False, AT_S - 6, False),
        (word(KIRA, IDEAS, False, AT_S - 5), True, AT_S - 4, True),
        (word(KIRA, IDEAS, False, AT_S - 5), True, AT_S - 5, False),
        (word(KIRA, IDEAS, False, AT_S), True, AT_S + 999, False),  # from the future: taken as said now, and a tie
        (word(KIRA, IDEAS, True, AT_S + 999), False, AT_S - 100, True),  # a yes by a wrong clock does not outlast a no
        (word(KIRA, IDEAS, False, AT_S + 999), True, AT_S - 100, False),
        (word(KIRA, IDEAS, False, AT_S - 5), False, AT_S, False),  # said already
    ],
)
def test_the_last_word_counts_and_in_doubt_it_is_no(
    known: Consent | None, given: bool, at_s: int, counts: bool
) -> None:
    assert (told(known, given, at_s) is not None) == counts


def test_what_is_said_ashore_is_never_dated_after_now() -> None:
    assert told(None, True, AT_S + 10**6) == Consent(KIRA, IDEAS, True, AT_S, Source.SHORE, 1)


words_ = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(AT_S - 50, AT_S + 50), st.integers(AT_S - 50, AT_S + 50))
)


@given(words_)
def test_words_never_go_backwards_and_versions_count_them(said: list[tuple[bool, bool, int, int]]) -> None:
    known: Consent | None = None
    for aboard, given_, at_s, now_s in said:
        new = said_aboard(known, KIRA, IDEAS, given_, now_s) if aboard else told(known, given_, at_s, now_s)
        if new is not None:
            assert is_later(new, known)
            assert new.version == (known.version if known else 0) + 1
            known = new
        if aboard:
            assert known is not None
            assert known.given == given_


# what it governs


def test_who_says_nothing_agrees_to_nothing_and_health_and_safety_ask_nobody() -> None:
    for who in (BARKEEPER, HOST, CASHIER, CLEANER):
        look = look_at(who, KIRA, allowed(who), NOON_S)
        assert withheld(look, ()) == look.fields & {Field.PHOTO, Field.NOTES, Field.PRESENCE}
        assert withheld(look, ConsentPurpose) == frozenset()
    assert withheld(look_at(MEDIC, KIRA, allowed(MEDIC), NOON_S), ()) == frozenset()
    broken = look_at(MEDIC, KIRA, {Field.NOTES}, NOON_S, way=Way.BROKE_GLASS, reason="drill")
    assert withheld(broken, ()) == frozenset()
    assert purposes_given([word(KIRA, PHOTO, False), word(KIRA, IDEAS)]) == {IDEAS}


async def test_no_photo_without_consent_by_any_way_in(deck: Deck) -> None:
    assert (await deck.lookups.photo(BARKEEPER, KIRA)).content == JPEG
    await say(deck, PHOTO, False)
    before = await deck.looks()
    with pytest.raises(Refused) as refused:
        await deck.lookups.photo(BARKEEPER, KIRA)
    assert refused.value.code == "no_consent"
    assert await deck.looks() == before
    card = await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    assert (card.has_photo, Field.PHOTO in card.withheld, card.preferred_name) == (False, True, "Kira")
    assert [hit.has_photo for hit in await deck.lookups.search(BARKEEPER, "Kira")] == [False]
    shown = await deck.lookups.disclose_as(CASHIER, KIRA, {Field.PHOTO, Field.FULL_NAME}, lambda _tx, seen: seen)
    assert (shown.photo, shown.full_name, shown.look.fields) == (None, "Kira Testesen", {Field.FULL_NAME})
    (line,) = await deck.lookups.disclose_each(CASHIER, [KIRA], {Field.PHOTO, Field.CABIN}, lambda _tx, seen: seen)
    assert (line.photo, line.look.fields) == (None, {Field.CABIN})
    assert (await deck.lookups.card(MEDIC, KIRA, tapped=False)).has_photo
    assert (await deck.lookups.photo(MEDIC, KIRA)).content == JPEG
    await say(deck, PHOTO, True)
    assert (await deck.lookups.photo(BARKEEPER, KIRA)).content == JPEG


async def test_notes_need_personal_service_to_be_read_and_to_be_written_and_allergies_do_not(deck: Deck) -> None:
    await deck.notes.add(BARKEEPER, KIRA, "no ice", deck.clock.unix_s + 3600)
    await say(deck, NOTES, False)
    card = await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    assert (card.notes, Field.NOTES in card.look.fields, Field.NOTES in card.withheld) == ((), False, True)
    assert card.allergies
    assert card.diet
    with pytest.raises(Refused) as refused:
        await deck.notes.add(BARKEEPER, KIRA, "likes tea", deck.clock.unix_s + 3600)
    assert refused.value.code == "no_consent"
    emergency = await deck.lookups.break_glass(MEDIC, KIRA, "man overboard")
    assert [note.text for note in emergency.notes] == ["no ice"]
    await say(deck, NOTES, True)
    assert [note.text for note in (await deck.lookups.card(BARKEEPER, KIRA, tapped=False)).notes] == ["no ice"]


async def test_a_look_is_logged_with_what_it_showed_and_not_with_what_was_kept_back(deck: Deck) -> None:
    await forget(deck)
    await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    (look,) = await deck.looks()
    assert Field.NOTES not in look.fields
    assert Field.ALLERGIES in look.fields


@pytest.mark.parametrize("field", [Field.PHOTO, Field.NOTES])
async def test_the_store_refuses_a_look_that_forgot_to_ask(deck: Deck, field: Field) -> None:
    await forget(deck)
    bad = look_at(BARKEEPER, KIRA, {field, Field.LANGUAGE}, NOON_S)
    for look in (lambda tx: tx.disclose(bad), lambda tx: tx.log_look_up(bad)):
        with pytest.raises(ValueError, match="has not agreed"):
            await deck.store.write(look)
    assert await deck.looks() == []


# suggestions


async def test_a_no_to_suggestions_stops_them_all_and_reads_nothing(deck: Deck) -> None:
    await deck.stock(item("cider"), item("cap", SHOP, edible=False, suits=()))
    (waiting,) = await deck.offers.suggest(BARKEEPER, KIRA)
    await say(deck, IDEAS, False)
    before = await deck.looks()
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []  # not even the one that waited
    assert await deck.offers.suggest(viewer(purpose=Purpose.GUEST_SERVICES, outlet=SHOP), KIRA) == []
    assert await deck.looks() == before
    assert Field.SUGGESTIONS in (await deck.lookups.card(BARKEEPER, KIRA, tapped=False)).withheld
    assert len(await deck.offers.suggest(BARKEEPER, ASE)) == 1
    await say(deck, IDEAS, True)
    assert [one.offer for one in await deck.offers.suggest(BARKEEPER, KIRA)] == [waiting.offer]


async def test_who_never_answered_is_offered_what_is_popular_and_own_history_does_not_choose(deck: Deck) -> None:
    await deck.stock(item("cider"), item("stout"), item("tea", category="warm"))
    before_s = deck.clock.unix_s - 21 * 3600
    had = [
        Offer(OfferId(f"{n:032x}"), ref, BAR, ItemId("cider"), "drink", before_s, 12, PPM, "test", ())
        for n, ref in enumerate((KIRA, ASE, KIRA, ASE))
    ]
    await forget(deck, ASE)
    await deck.store.write(lambda tx: [tx.put_offer(replace(o, state=OfferState.ACCEPTED)) for o in had])
    (own,) = await deck.offers.suggest(BARKEEPER, KIRA)
    (same_for_all,) = await deck.offers.suggest(BARKEEPER, ASE)
    assert own.item.category == "warm"  # variety, from own history
    assert same_for_all.item.category == "drink"
    assert Field.SUGGESTIONS not in (await deck.lookups.card(BARKEEPER, ASE, tapped=False)).withheld


async def test_a_refusal_is_kept_to_also_without_consent(deck: Deck) -> None:
    await forget(deck)
    await deck.stock(item("cider"))
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    await deck.offers.answer(BARKEEPER, shown.offer, Answer.WRONG)
    deck.clock.unix_s += 25 * 3600
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []


# recording


async def test_each_change_is_one_event_and_one_row_of_history(deck: Deck) -> None:
    await forget(deck)
    service = ConsentService(deck.store, deck.clock)
    await service.say(KIRA, {PHOTO: True, IDEAS: False}, "token:desk-1")
    await service.say(KIRA, {PHOTO: True, IDEAS: False}, "token:desk-1")  # the same call again
    now = await service.say(KIRA, {PHOTO: False}, "token:desk-1")
    assert [(c.purpose, c.given, c.version) for c in now] == [(PHOTO, False, 2), (IDEAS, False, 1)]
    events = await deck.events(EventType.CONSENT_GIVEN, EventType.CONSENT_WITHDRAWN)
    assert [(e.type, e.payload["purpose"], e.payload["version"]) for e in events] == [
        (EventType.CONSENT_GIVEN, "photo", 1),
        (EventType.CONSENT_WITHDRAWN, "suggestions", 1),
        (EventType.CONSENT_WITHDRAWN, "photo", 2),
    ]
    assert {e.payload["by"] for e in events} == {"token:desk-1"}
    assert set(events[0].payload) == {"guest", "purpose", "said_s", "source", "version", "by"}
    history = await deck.store.read(lambda tx: tx.consent_history(KIRA, 9))
    assert [(c.purpose, c.given) for c in history] == [(PHOTO, False), (IDEAS, False), (PHOTO, True)]


# a child


@pytest.fixture
async def family(deck: Deck) -> Deck:
    """KIRA is a child, ASE of the same booking; BO of another."""

    def work(tx: Tx) -> None:
        kira = tx.guest(KIRA)
        assert kira is not None
        for ref, booking, child in ((KIRA, "B-1", True), (ASE, "B-1", False), (BO, "B-2", False)):
            tx.put_guest(replace(kira, ref=ref, booking=booking, child=child))
            tx.drop_consents(ref)

    await deck.store.write(work)
    await deck.stock(item("lemonade"))
    return deck


async def test_a_child_is_offered_nothing_until_a_parent_says_yes(family: Deck) -> None:
    service = ConsentService(family.store, family.clock)
    assert await family.offers.suggest(BARKEEPER, KIRA) == []
    assert Field.SUGGESTIONS in (await family.lookups.card(BARKEEPER, KIRA, tapped=False)).withheld
    assert await family.events(EventType.OFFER_SHOWN) == []
    await service.say(KIRA, {IDEAS: True}, "token:desk-1", ASE)
    assert len(await family.offers.suggest(BARKEEPER, KIRA)) == 1
    (given,) = await family.events(EventType.CONSENT_GIVEN)
    assert given.payload["parent"] == ASE
    await service.say(KIRA, {IDEAS: False}, "token:desk-1")
    assert await family.offers.suggest(BARKEEPER, KIRA) == []


async def test_nobody_else_says_yes_for_a_child(family: Deck) -> None:
    service = ConsentService(family.store, family.clock)
    for parent in (None, BO, KIRA):
        with pytest.raises(Refused) as refused:
            await service.say(KIRA, {IDEAS: True}, "token:desk-1", parent)
        assert refused.value.code == "parent_needed"
    with pytest.raises(NotFound):
        await service.say(KIRA, {IDEAS: True}, "token:desk-1", NOBODY)
    with pytest.raises(Refused):
        await service.say(KIRA, {PHOTO: False, IDEAS: True}, "token:desk-1")
    assert await family.store.read(lambda tx: tx.consents_of(KIRA)) == []
    await service.say(KIRA, {IDEAS: False}, "token:desk-1")
    await service.say(ASE, {IDEAS: True}, "token:desk-1")


async def test_nobody_and_a_follower_record_nothing(deck: Deck) -> None:
    with pytest.raises(NotFound):
        await say(deck, PHOTO, True, NOBODY)
    with pytest.raises(Refused) as refused:
        await ConsentService(deck.store, deck.clock, follows=True).say(KIRA, {PHOTO: False}, "token:d")
    assert refused.value.code == "authority_only"
    assert await deck.store.read(lambda tx: tx.consents_of(NOBODY)) == []


async def test_two_at_once_end_in_one_of_the_two_words(deck: Deck) -> None:
    await asyncio.gather(*(say(deck, PHOTO, n % 2 == 0) for n in range(10)))
    history = await deck.store.read(lambda tx: tx.consent_history(KIRA, 99))
    own = [consent for consent in history if consent.purpose is PHOTO]
    assert [c.version for c in own] == list(range(len(own), 0, -1))
    assert all(newer.at_s > older.at_s for newer, older in pairwise(own))


async def test_words_from_ashore_are_recorded_and_what_nobody_knows_is_left_alone(deck: Deck) -> None:
    now_s = deck.clock.unix_s
    changes = [
        ConsentChange(KIRA, "photo", False, now_s - 5),
        ConsentChange(KIRA, "mind_reading", True, now_s - 5),
        ConsentChange(NOBODY, "photo", True, now_s - 5),
    ]
    await deck.store.write(lambda tx: record_shore(tx, changes, now_s))
    kept = await deck.store.read(lambda tx: (tx.consent(KIRA, PHOTO), tx.consents_of(NOBODY)))
    assert kept[0] == Consent(KIRA, PHOTO, False, now_s - 5, Source.SHORE, 2)
    assert [c.given for c in kept[1]] == [True]  # may come aboard yet
    assert len(await deck.events(EventType.CONSENT_GIVEN, EventType.CONSENT_WITHDRAWN)) == 2
    with pytest.raises(Refused):
        await deck.lookups.photo(BARKEEPER, KIRA)


async def test_withdrawn_between_two_looks_of_many_readers_at_once(deck: Deck) -> None:
    """No photo leaves after the withdrawal was recorded, however the requests are interleaved."""
    order: list[Any] = []

    async def look() -> None:
        try:
            order.append((await deck.lookups.photo(BARKEEPER, KIRA)).content)
        except Refused:
            order.append(None)

    async def stop() -> None:
        await say(deck, PHOTO, False)
        order.append("stopped")

    await asyncio.gather(*(look() for _ in range(5)), stop(), *(look() for _ in range(5)))
    assert set(order[order.index("stopped") + 1 :]) <= {None}
    assert JPEG in order
    assert None in order
