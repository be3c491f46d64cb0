"""What a guest says of an offer: the last word counts, both are told, and the next ranking knows it at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract.makers import charge
from tests.unit.modelkit import HandModel
from tests.unit.moneykit import CountingEntropy, HandClock
from tests.unit.ruleskit import offered
from tests.unit.servicekit import ASE, BARKEEPER, CASHIER, HOST, KIRA, SHOP, Deck, item
from tests.vaultkit import DATA_KEY

from steward.adapters.memory import MemoryStore
from steward.adapters.popularity import PopularityRanker
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType
from steward.domain.exploring import FLOOR_PPM, REST_PPM, SOFT_PPM
from steward.domain.features import Deed, Signal
from steward.domain.ids import GuestRef
from steward.domain.offers import PPM, SHOW_AGAIN_WITHIN_S, Answer, Offer, OfferId, OfferState
from steward.domain.pasts import deed_of, done_by
from steward.domain.signals import Switch
from steward.domain.trial import Phase, Trial
from steward.domain.viewing import Field
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Tx
from steward.services.decisions import DecisionLog, HoldoutSettings
from steward.services.earlier import EARLIER_MAX, EARLIER_S
from steward.services.offers import OfferService
from steward.services.ranking import Ranking, RankingSettings
from steward.services.situation import OfferSettings, disclose_for_offer, known_now, offer_look

SAID = {
    EventType.OFFER_ACCEPTED,
    EventType.OFFER_DEFERRED,
    EventType.OFFER_WRONG,
    EventType.OFFER_LIKED,
    EventType.OFFER_TAKEN_BACK,
}
SHELF = (item("i0", category="a"), item("i1", category="a"), item("i2", category="b"))
MODEL = "d" * 64


async def deck_with(percent: int = 0, ranking: Ranking | None = None, *, held: bool = False) -> Deck:
    """No file of rules: only the score and what was said decide. held: every guest is held out."""
    deck = await Deck(ranking=ranking).aboard()
    settings = OfferSettings(decisions=DecisionLog(b"k" * 16, HoldoutSettings("north", 100 if held else percent)))
    deck.offers = OfferService(deck.store, deck.clock, CountingEntropy(), deck.ranking, (), settings)
    await deck.stock(*SHELF)
    return deck


async def order(deck: Deck, ref: GuestRef = KIRA) -> list[str]:
    """What would be offered at the bar, best first."""
    now_s = deck.clock.unix_s
    orders = await deck.offers.orders(BARKEEPER, ref, now_s)

    def work(tx: Tx) -> list[str]:
        shown = disclose_for_offer(tx, offer_look(BARKEEPER, ref, now_s))
        found = deck.offers.decided_in(tx, shown, known_now(tx, shown), orders, now_s)
        return [one.item for one in found.decision.ordered]

    return await deck.store.write(work)


async def shown(deck: Deck, ref: GuestRef = KIRA) -> OfferId:
    (one,) = await deck.offers.suggest(BARKEEPER, ref)
    return one.offer


async def said(deck: Deck) -> list[EventType]:
    return [event.type for event in await deck.events() if event.type in SAID]


async def offers(deck: Deck, ref: GuestRef = KIRA) -> list[Offer]:
    return list(await deck.store.read(lambda tx: tx.offers_of(ref, 0)))


# the last word


async def test_the_last_word_counts_and_every_word_is_told() -> None:
    deck = await deck_with()
    offer = await shown(deck)
    words = (Answer.ACCEPT, Answer.LIKED, Answer.NOT_NOW, Answer.WRONG, Answer.TAKE_BACK, Answer.ACCEPT)
    for word in words:
        deck.clock.tick(5)
        await deck.offers.answer(BARKEEPER, offer, word)
    (one,) = await offers(deck)
    assert (one.state, one.answered_s, one.liked_s) == (OfferState.ACCEPTED, deck.clock.unix_s, None)
    assert await said(deck) == [
        EventType.OFFER_ACCEPTED,
        EventType.OFFER_LIKED,
        EventType.OFFER_DEFERRED,
        EventType.OFFER_WRONG,
        EventType.OFFER_TAKEN_BACK,
        EventType.OFFER_ACCEPTED,
    ]


@pytest.mark.parametrize("word", list(Answer))
async def test_the_same_word_again_changes_nothing_and_is_told_once(word: Answer) -> None:
    deck = await deck_with()
    offer = await shown(deck)
    if word is Answer.LIKED:
        await deck.offers.answer(BARKEEPER, offer, Answer.ACCEPT)
    first = await deck.offers.answer(BARKEEPER, offer, word)
    told = await said(deck)
    deck.clock.tick(60)
    assert await deck.offers.answer(BARKEEPER, offer, word) == first
    assert await said(deck) == told
    assert (first.state is OfferState.SHOWN) is (word is Answer.TAKE_BACK)


async def test_liked_is_said_of_what_was_accepted_and_keeps_when_it_was() -> None:
    deck = await deck_with()
    offer = await shown(deck)
    for word in (None, Answer.NOT_NOW, Answer.WRONG):
        if word is not None:
            await deck.offers.answer(BARKEEPER, offer, word)
        with pytest.raises(Conflict, match="accept it first"):
            await deck.offers.answer(BARKEEPER, offer, Answer.LIKED)
    await deck.offers.answer(BARKEEPER, offer, Answer.ACCEPT)
    accepted_s = deck.clock.unix_s
    deck.clock.tick(7200)
    liked = await deck.offers.answer(BARKEEPER, offer, Answer.LIKED)
    assert (liked.answered_s, liked.liked_s) == (accepted_s, deck.clock.unix_s)
    no_more = await deck.offers.answer(BARKEEPER, offer, Answer.ACCEPT)
    assert (no_more.state, no_more.answered_s, no_more.liked_s) == (OfferState.ACCEPTED, accepted_s, None)


async def test_who_may_answer_may_take_back_and_nobody_else() -> None:
    deck = await deck_with()
    offer = await shown(deck)
    await deck.offers.answer(BARKEEPER, offer, Answer.ACCEPT)
    for word in (Answer.LIKED, Answer.TAKE_BACK):
        with pytest.raises(NotFound):
            await deck.offers.answer(HOST, offer, word)
        with pytest.raises(Refused, match="not_permitted"):
            await deck.offers.answer(CASHIER, offer, word)
        with pytest.raises(NotFound):
            await deck.offers.answer(BARKEEPER, OfferId("0" * 32), word)
    assert (await offers(deck))[0].state is OfferState.ACCEPTED


@pytest.mark.parametrize("on_disk", [False, True])
async def test_two_at_once_are_two_words_one_after_the_other(on_disk: bool, tmp_path: Path) -> None:
    deck = await Deck(SqliteStore.open(tmp_path / "a.db", DATA_KEY) if on_disk else MemoryStore()).aboard()
    await deck.stock(*SHELF)
    offer = await shown(deck)
    words = (Answer.ACCEPT, Answer.NOT_NOW, Answer.ACCEPT, Answer.TAKE_BACK, Answer.WRONG)
    await asyncio.gather(*(deck.offers.answer(BARKEEPER, offer, word) for word in words))
    (one,) = await offers(deck)
    last = (await said(deck))[-1]
    assert (
        last
        is {
            OfferState.ACCEPTED: EventType.OFFER_ACCEPTED,
            OfferState.DEFERRED: EventType.OFFER_DEFERRED,
            OfferState.WRONG: EventType.OFFER_WRONG,
            OfferState.SHOWN: EventType.OFFER_TAKEN_BACK,
        }[one.state]
    )
    await deck.store.close()


async def test_an_answer_that_cannot_be_told_is_not_kept() -> None:
    deck = await deck_with()
    offer = await shown(deck)

    def fail(*_: Any) -> None:
        raise RuntimeError("the power is gone")

    deck.ranking.answered = fail  # type: ignore[assignment,method-assign]
    with pytest.raises(RuntimeError):
        await deck.offers.answer(BARKEEPER, offer, Answer.WRONG)
    assert (await offers(deck))[0].state is OfferState.SHOWN
    assert await said(deck) == []


# what it teaches


async def test_a_no_moves_what_is_alike_down_at_once_and_taking_it_back_restores_the_order() -> None:
    deck = await deck_with()
    before = await order(deck)
    assert before == ["i0", "i1", "i2"]
    offer = await shown(deck)
    await deck.offers.answer(BARKEEPER, offer, Answer.WRONG)
    assert await order(deck) == ["i2", "i1"]
    await deck.offers.answer(BARKEEPER, offer, Answer.TAKE_BACK)
    assert await order(deck) == before
    await deck.offers.answer(BARKEEPER, offer, Answer.ACCEPT)
    await deck.offers.answer(BARKEEPER, offer, Answer.LIKED)
    assert await order(deck) == before
    assert await order(deck, ASE) == before  # nobody else's


async def test_a_model_is_tuned_within_its_bound() -> None:
    ranking = Ranking(PopularityRanker(), RankingSettings(wait_s=30))
    ranking.put(MODEL, HandModel("m-1", first="i2"))  # 0, -1, -2 for i2, i0, i1
    deck = await deck_with(ranking=ranking)
    await deck.store.write(lambda tx: ranking.write(tx, Trial(shown=MODEL)))
    assert await order(deck) == ["i2", "i0", "i1"]
    await deck.store.write(lambda tx: tx.put_offer(liked_i0(deck.clock)))
    assert await order(deck) == ["i2", "i0", "i1"]  # one apart, and once is not enough
    await deck.store.write(lambda tx: tx.put_offer(liked_i0(deck.clock, 1)))
    assert await order(deck) == ["i0", "i2", "i1"]
    for number in range(50):
        await deck.store.write(lambda tx, n=number: tx.put_offer(liked_i0(deck.clock, n)))  # type: ignore[misc]
    assert await order(deck) == ["i0", "i2", "i1"]  # i1 is two apart: however often, it does not pass


async def test_popularity_is_valued_as_it_would_decide_without_these_answers() -> None:
    deck = await deck_with()
    await deck.offers.answer(BARKEEPER, await shown(deck), Answer.WRONG)
    assert (await deck.offers.suggest(BARKEEPER, KIRA))[0].item.id == "i2"
    made = (await deck.store.read(lambda tx: list(tx.decisions(0, 9))))[1].decision
    learning_ppm = FLOOR_PPM + SOFT_PPM + REST_PPM  # of the second of two
    assert made.named == (("i2", PPM - learning_ppm), ("i1", learning_ppm))
    assert (made.propensity_ppm, made.popular_ppm, made.features) == (PPM - learning_ppm, learning_ppm, "")


def liked_i0(clock: HandClock, number: int = 0) -> Offer:
    made = offered(SHELF[0], clock.unix_s - 60, OfferState.ACCEPTED)
    return replace(made, id=OfferId(f"{number:032x}"), answered_s=clock.unix_s - 50, liked_s=clock.unix_s - 40)


@pytest.mark.parametrize("who", ["held_out", "not_agreed"])
async def test_who_is_held_out_or_did_not_agree_gets_no_more_than_what_holds_back(who: str) -> None:
    deck = await deck_with(held=who == "held_out")
    if who == "not_agreed":
        await deck.store.write(lambda tx: tx.drop_consents(KIRA))
    offer = await shown(deck)
    await deck.offers.answer(BARKEEPER, offer, Answer.WRONG)
    assert await order(deck) == ["i1", "i2"]  # what was refused is held back, and nothing else moves


@pytest.mark.parametrize(
    ("signal", "word", "expected"),
    [
        (Signal.ANSWERS, Answer.WRONG, ["i1", "i2"]),
        (Signal.HISTORY, Answer.WRONG, ["i2", "i1"]),
        (Signal.HISTORY, Answer.ACCEPT, ["i2", "i0", "i1"]),
        (Signal.ANSWERS, Answer.ACCEPT, ["i0", "i1", "i2"]),
    ],
)
async def test_what_is_switched_off_teaches_nothing(signal: Signal, word: Answer, expected: list[str]) -> None:
    deck = await deck_with()
    offer = await shown(deck)
    await deck.offers.answer(BARKEEPER, offer, word)
    await deck.store.write(lambda tx: tx.put_switch(Switch(KIRA, signal, False, deck.clock.unix_s, 1)))
    if word is Answer.ACCEPT:  # a refusal of the other thing shows whether the acceptance is heard
        no = replace(offered(SHELF[1], deck.clock.unix_s - 86_400), answered_s=deck.clock.unix_s - 86_400)
        await deck.store.write(lambda tx: tx.put_offer(no))
    assert await order(deck) == expected


async def test_an_erased_guest_leaves_nothing_learnt() -> None:
    deck = await deck_with()
    await deck.offers.answer(BARKEEPER, await shown(deck), Answer.WRONG)
    assert await order(deck) == ["i2", "i1"]
    await deck.store.write(lambda tx: tx.drop_offers(KIRA))
    assert await order(deck) == ["i0", "i1", "i2"]


def test_a_liked_offer_is_a_liked_deed_and_its_charge_is_the_same_deed() -> None:
    tea = item("tea", SHOP)
    liked = replace(offered(tea, 1000, OfferState.ACCEPTED), answered_s=1010, liked_s=2000)
    paid = charge(1, KIRA, at_s=1500)
    paid = replace(paid, request=replace(paid.request, description="Tea", outlet=SHOP))
    assert deed_of(liked) is Deed.LIKED
    (done,) = done_by([liked], [paid], {(SHOP, "tea"): tea.id})
    assert done.deed is Deed.LIKED


# on trial


async def trial_deck() -> tuple[Deck, OfferId]:
    ranking = Ranking(PopularityRanker(), RankingSettings(wait_s=30))
    old, new = "a" * 64, "b" * 64
    ranking.put(old, HandModel("m-1", first="i0", chance=0.3))
    ranking.put(new, HandModel("m-2", first="i2", chance=0.6))
    deck = await deck_with(ranking=ranking)
    await deck.store.write(lambda tx: ranking.write(tx, Trial(old, old, new, Phase.SHADOW)))
    return deck, await shown(deck)


async def test_an_offer_counts_once_in_a_trial_by_its_last_answer() -> None:
    deck, offer = await trial_deck()
    ranking = deck.ranking
    fresh = await deck.store.read(ranking.read)
    await deck.offers.answer(BARKEEPER, offer, Answer.ACCEPT)
    yes = await deck.store.read(ranking.read)
    assert (yes.answered, yes.rank.count, yes.brier.count, len(yes.waiting)) == (1, 1, 1, 0)
    await deck.offers.answer(BARKEEPER, offer, Answer.LIKED)
    assert await deck.store.read(ranking.read) == yes
    await deck.offers.answer(BARKEEPER, offer, Answer.NOT_NOW)
    no = await deck.store.read(ranking.read)
    assert (no.answered, no.rank.count, no.brier.count) == (1, 0, 1)
    await deck.offers.answer(BARKEEPER, offer, Answer.TAKE_BACK)
    assert await deck.store.read(ranking.read) == fresh
    await deck.offers.answer(BARKEEPER, offer, Answer.ACCEPT)
    assert await deck.store.read(ranking.read) == yes


# what was said before


async def test_earlier_answers_are_shown_newest_first_for_a_day_and_as_a_look_up() -> None:
    deck = await deck_with()
    asked = []
    for word in (Answer.ACCEPT, Answer.NOT_NOW, Answer.WRONG, Answer.ACCEPT):
        asked.append(await shown(deck))
        await deck.offers.answer(BARKEEPER, asked[-1], word)
        deck.clock.tick(60)
    before = len(await deck.looks())
    found = await deck.offers.earlier(BARKEEPER, KIRA)
    assert [one.offer.id for one in found] == asked[:0:-1]
    assert len(found) == EARLIER_MAX
    (look,) = (await deck.looks())[before:]
    assert look.fields == {Field.SUGGESTIONS}
    assert look.guest == KIRA
    deck.clock.tick(EARLIER_S)
    assert await deck.offers.earlier(BARKEEPER, KIRA) == []
    assert len(await deck.looks()) == before + 1  # nothing was shown


async def test_earlier_answers_are_not_shown_elsewhere_nor_of_who_objects() -> None:
    deck = await deck_with()
    await deck.offers.answer(BARKEEPER, await shown(deck), Answer.ACCEPT)
    assert await deck.offers.earlier(HOST, KIRA) == []
    with pytest.raises(Refused, match="not_permitted"):
        await deck.offers.earlier(CASHIER, KIRA)
    with pytest.raises(NotFound):
        await deck.offers.earlier(BARKEEPER, GuestRef("f" * 16))

    def object_(tx: Tx) -> None:
        known = tx.consent(KIRA, ConsentPurpose.SUGGESTIONS)
        assert known is not None
        tx.put_consent(replace(known, given=False, at_s=known.at_s + 1))

    await deck.store.write(object_)
    assert await deck.offers.earlier(BARKEEPER, KIRA) == []


async def test_what_was_taken_back_waits_for_an_answer_as_long_as_it_would_have() -> None:
    deck = await deck_with()
    offer = await shown(deck)
    await deck.offers.answer(BARKEEPER, offer, Answer.NOT_NOW)
    await deck.offers.answer(BARKEEPER, offer, Answer.TAKE_BACK)
    assert await shown(deck) == offer
    deck.clock.tick(SHOW_AGAIN_WITHIN_S)
    assert await shown(deck) != offer


async def test_nothing_is_drawn_for_who_is_being_helped() -> None:
    deck = await deck_with()
    await deck.recovery.open(BARKEEPER, KIRA, "soup was cold")

    class LastDraw(CountingEntropy):
        def token_bytes(self, n: int) -> bytes:
            return (999_999).to_bytes(8, "big") if n == 8 else super().token_bytes(n)

    deck.offers._entropy = LastDraw()
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []
    assert await deck.store.read(lambda tx: list(tx.decisions(0, 9))) == []
