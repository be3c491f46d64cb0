"""Sec-GPC: counts once as the guest's word, and what the guest says afterwards counts more."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.servicekit import KIRA, Deck, guest

from steward.domain.consent import ConsentPurpose, Said
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.services.browsersignal import BrowserSignal, sharing
from steward.services.consents import ConsentService

ASHORE, PHOTO = ConsentPurpose.ANALYTICS_ASHORE, ConsentPurpose.PHOTO
NINA = GuestRef(f"{0xA3:016x}")


@pytest.fixture
async def deck() -> Deck:
    made = await Deck().aboard()
    await made.store.write(lambda tx: tx.put_guest(guest(NINA, 8110)))
    return made


async def given(deck: Deck, ref: GuestRef, purpose: ConsentPurpose = ASHORE) -> bool | None:
    known = await deck.store.read(lambda tx: tx.consent(ref, purpose))
    return None if known is None else known.given


def test_what_it_is_about_is_what_leaves_the_ship() -> None:
    assert sharing() == [ASHORE]


async def test_it_is_a_no_of_who_has_said_nothing_and_of_who_said_yes(deck: Deck) -> None:
    signal = BrowserSignal(deck.store, deck.clock)
    assert (await given(deck, NINA), await given(deck, KIRA)) == (None, True)
    for ref in (NINA, KIRA):
        await signal.heard(ref)
        assert await given(deck, ref) is False
    assert await given(deck, KIRA, PHOTO) is True  # of what stays aboard it says nothing
    for ref in (NINA, KIRA):
        (basis,) = (await deck.store.read(lambda tx: tx.bases_of(ref))).values()  # noqa: B023
        assert (basis.purpose, basis.way) == (ASHORE, Said.BROWSER)


async def test_a_later_yes_stands_however_often_it_comes_again(deck: Deck) -> None:
    signal, consents = BrowserSignal(deck.store, deck.clock), ConsentService(deck.store, deck.clock)
    await signal.heard(NINA)
    deck.clock.unix_s += 60
    await consents.say(NINA, {ASHORE: True}, "guest", way=Said.PAGE)
    for _ in range(3):
        deck.clock.unix_s += 60
        await signal.heard(NINA)
    assert await given(deck, NINA) is True
    history = await deck.store.read(lambda tx: tx.consent_history(NINA, 9))
    assert [word.given for word in history] == [True, False]


async def test_a_yes_after_a_no_that_was_said_before_it_stands_too(deck: Deck) -> None:
    """A no that was there already is not said again; the signal is used up all the same."""
    signal, consents = BrowserSignal(deck.store, deck.clock), ConsentService(deck.store, deck.clock)
    await consents.say(NINA, {ASHORE: False}, "token:desk")
    await signal.heard(NINA)
    await consents.say(NINA, {ASHORE: True}, "guest", way=Said.PAGE)
    await signal.heard(NINA)
    assert await given(deck, NINA) is True


async def test_two_requests_at_once_say_it_once(deck: Deck) -> None:
    signal = BrowserSignal(deck.store, deck.clock)
    await asyncio.gather(*(signal.heard(NINA) for _ in range(8)))
    events = await deck.store.read(lambda tx: tx.events(0, 999))
    said = [event for event in events if event.type is EventType.CONSENT_WITHDRAWN]
    assert [event.payload["by"] for event in said] == ["browser"]


async def test_a_guest_who_is_gone_and_a_gateway_that_follows_hear_nothing(deck: Deck) -> None:
    nobody = GuestRef("f" * 16)
    await BrowserSignal(deck.store, deck.clock).heard(nobody)
    await BrowserSignal(deck.store, deck.clock, follows=True).heard(NINA)
    assert (await given(deck, nobody), await given(deck, NINA)) == (None, None)
    assert await deck.store.read(lambda tx: tx.browser_objection(nobody)) is None
