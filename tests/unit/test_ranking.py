"""Who ranks for whom: consent, models beside popularity, models on trial through restarts and crashes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.consentkit import agree, word
from tests.contract.makers import charge
from tests.unit.modelkit import HandModel
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import ASE, BAR, BARKEEPER, KIRA, Deck, guest, item, profile
from tests.vaultkit import DATA_KEY

from steward.adapters.memory import MemoryStore
from steward.adapters.popularity import PopularityRanker
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.catalogue import ItemId
from steward.domain.consent import ConsentPurpose
from steward.domain.features import Deed
from steward.domain.ids import GuestRef
from steward.domain.offers import PPM, Answer, Offer, OfferId, OfferState
from steward.domain.trial import Bounds, Phase, Trial, Verdict, carry_out, encode
from steward.errors import Busy, RankerFailed
from steward.ports import Tx
from steward.services.ranking import Ranking, RankingSettings

OLD, NEW, NEXT = "a" * 64, "b" * 64, "c" * 64
BOUNDS = Bounds(answered=50, taken=10, explored=3, answered_max=500, faults_max=3)
ITEMS = [item(f"i{n}", category=f"c{n}") for n in range(6)]


def ranking_with(**models: HandModel) -> Ranking:
    made = Ranking(PopularityRanker(), RankingSettings(0.05, BOUNDS))
    for sha256, each in models.items():
        made.put(sha256, each)
    return made


async def deck_with(trial: Trial, ranking: Ranking) -> Deck:
    deck = await Deck(ranking=ranking).aboard()
    await deck.stock(*ITEMS)
    await deck.store.write(lambda tx: ranking.write(tx, trial))
    return deck


async def trial_of(deck: Deck) -> Trial:
    return await deck.store.read(deck.ranking.read)


def sold(number: int, description: str, at_s: int, ref: GuestRef = KIRA) -> Any:
    made = charge(number, ref, at_s=at_s)
    return lambda tx: tx.put_charge(replace(made, request=replace(made.request, description=description, outlet=BAR)))


# whose history is seen


async def test_a_guest_who_agreed_is_ranked_by_the_model_with_their_history() -> None:
    shown = HandModel("m-1", first="i4")
    deck = await deck_with(Trial(OLD, OLD), ranking_with(**{OLD: shown}))
    (one,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert one.item.id == "i4"
    assert (await deck.store.read(lambda tx: tx.offers_of(KIRA, 0)))[0].ranker == "m-1"
    (asked,) = shown.asked
    assert asked.moment is not None
    assert (asked.history, asked.moment.shown, asked.moment.now_s) == ([], 0, NOON_S)
    await deck.offers.answer(BARKEEPER, one.offer, Answer.ACCEPT)
    deck.clock.tick(7200)
    await deck.offers.suggest(BARKEEPER, KIRA)
    assert [(past.item, past.deed, past.at_s, past.here) for past in shown.asked[1].history] == [
        ("i4", Deed.TAKEN, NOON_S, True)
    ]
    assert deck.ranking.ranked == {"model": 2}


@pytest.mark.parametrize("said", [None, False])
async def test_who_has_not_agreed_is_not_known_to_any_model(said: bool | None) -> None:
    shown, beside = HandModel("m-1", first="i4"), HandModel("m-2", first="i5")
    trial = carry_out(Trial(OLD, OLD, NEW, Phase.SHADOW), Verdict.GO_ON, "")
    deck = await deck_with(trial, ranking_with(**{OLD: shown, NEW: beside}))
    stranger = GuestRef("d" * 16)
    await deck.store.write(lambda tx: (tx.put_guest(guest(stranger)), tx.put_profile(profile(stranger))))
    if said is False:
        await deck.store.write(lambda tx: tx.put_consent(word(stranger, ConsentPurpose.SUGGESTIONS, False)))
    found = await deck.offers.suggest(BARKEEPER, stranger)
    assert [one.item.id for one in found] == ([] if said is False else ["i0"])
    assert shown.asked == beside.asked == []
    assert await trial_of(deck) == trial
    assert deck.ranking.ranked == {}


async def test_a_no_that_comes_while_the_model_works_still_counts() -> None:
    shown = HandModel("m-1", first="i4")
    deck = await deck_with(Trial(OLD, OLD), ranking_with(**{OLD: shown}))
    plain = shown.rank

    async def rank(request: Any) -> Any:
        await deck.store.write(lambda tx: tx.drop_consents(KIRA))
        return await plain(request)

    shown.rank = rank  # type: ignore[method-assign]
    (one,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert one.item.id == "i0"
    assert (await deck.store.read(lambda tx: tx.offers_of(KIRA, 0)))[0].ranker == "popularity-1"


async def test_an_offer_that_waits_asks_no_model() -> None:
    shown = HandModel("m-1", first="i4")
    deck = await deck_with(Trial(OLD, OLD), ranking_with(**{OLD: shown}))
    first = await deck.offers.suggest(BARKEEPER, KIRA)
    assert await deck.offers.suggest(BARKEEPER, KIRA) == first
    assert len(shown.asked) == 1


async def test_the_history_is_the_guests_own_what_they_bought_and_what_they_said() -> None:
    shown = HandModel("m-1", first="i4")
    deck = await deck_with(Trial(OLD, OLD), ranking_with(**{OLD: shown}))
    await deck.store.write(sold(1, "I1", NOON_S - 7200))
    await deck.store.write(sold(2, "I2", NOON_S - 3600, ASE))
    await deck.store.write(sold(3, "no item of ours", NOON_S - 3600))
    await deck.store.write(sold(4, "I3", NOON_S + 3600))  # a clock that was wrong
    no = Offer(OfferId("e" * 32), KIRA, BAR, ItemId("i5"), "c5", NOON_S - 60, 12, PPM, "x", (), OfferState.WRONG)
    await deck.store.write(lambda tx: tx.put_offer(no))
    await deck.offers.suggest(BARKEEPER, KIRA)
    assert [(past.item, past.deed) for past in shown.asked[0].history] == [("i1", Deed.TAKEN), ("i5", Deed.WRONG)]


# when the model cannot


@pytest.mark.parametrize(
    ("error", "reason"), [(Busy("full"), "busy"), (RankerFailed("broken"), "failed"), (None, "not_loaded")]
)
async def test_popularity_ranks_when_the_model_cannot_and_says_why(error: Exception | None, reason: str) -> None:
    models = {OLD: HandModel("m-1", first="i4", error=error)} if error is not None else {}
    deck = await deck_with(Trial(OLD, OLD), ranking_with(**models))
    (one,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert one.item.id == "i0"
    assert (deck.ranking.fallbacks, deck.ranking.ranked) == ({reason: 1}, {"popularity": 1})


async def test_a_model_that_takes_too_long_is_not_waited_for() -> None:
    shown, never = HandModel("m-1", first="i4"), asyncio.Event()

    async def rank(request: Any) -> Any:
        await never.wait()

    shown.rank = rank  # type: ignore[method-assign]
    deck = await deck_with(Trial(OLD, OLD), ranking_with(**{OLD: shown}))
    (one,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert one.item.id == "i0"
    assert deck.ranking.fallbacks == {"slow": 1}


@pytest.mark.parametrize(("both", "counted"), [(True, 0), (False, 1)])
async def test_a_busy_machine_is_not_held_against_the_one_on_trial(both: bool, counted: int) -> None:
    slow, old = HandModel("m-2", error=TimeoutError()), HandModel("m-1", error=TimeoutError() if both else None)
    deck = await deck_with(Trial(OLD, OLD, NEW, Phase.SHADOW), ranking_with(**{OLD: old, NEW: slow}))
    await deck.offers.suggest(BARKEEPER, KIRA)
    assert (await trial_of(deck)).slow == counted


# on trial


async def guests(deck: Deck, count: int, start: int = 0x1000) -> list[GuestRef]:
    refs = [GuestRef(f"{start + n:016x}") for n in range(count)]

    def work(tx: Tx) -> None:
        for ref in refs:
            tx.put_guest(guest(ref))
            tx.put_profile(profile(ref, allergies=(), diet=()))
            agree(tx, ref)

    await deck.store.write(work)
    return refs


class Draws:
    """Entropy by a seed: exploring one time in ten, as it should."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def token_bytes(self, n: int) -> bytes:
        return self._draw.randbytes(n)


async def answered(deck: Deck, refs: Sequence[GuestRef], likes: str) -> None:
    """Each is offered one thing, and takes it if it is what everybody likes."""
    for ref in refs:
        for one in await deck.offers.suggest(BARKEEPER, ref):
            said = Answer.ACCEPT if one.item.id == likes else Answer.NOT_NOW
            await deck.offers.answer(BARKEEPER, one.offer, said)


async def test_a_candidate_is_never_shown_while_it_is_in_the_shadow() -> None:
    shown, beside = HandModel("m-1", first="i4"), HandModel("m-2", first="i5")
    deck = await deck_with(Trial(OLD, OLD, NEW, Phase.SHADOW), ranking_with(**{OLD: shown, NEW: beside}))
    refs = await guests(deck, 20)
    for ref in refs:
        (one,) = await deck.offers.suggest(BARKEEPER, ref)
        assert one.item.id == "i4"
    assert len(shown.asked) == len(beside.asked) == 20
    trial = await trial_of(deck)
    assert [(seen.new_rank, seen.old_rank) for seen in trial.waiting] == [(6, 1)] * 20


async def test_a_better_one_is_promoted_and_stays() -> None:
    shown, beside = HandModel("m-1", first="i4"), HandModel("m-2", first="i5")
    deck = await deck_with(Trial(OLD, OLD, NEW, Phase.SHADOW), ranking_with(**{OLD: shown, NEW: beside}))
    deck.offers._entropy = Draws(5)
    await answered(deck, await guests(deck, 600), "i5")
    trial = await trial_of(deck)
    assert trial.shown == NEW
    assert trial.refused == ()


async def test_a_worse_one_is_refused_and_never_tried_again() -> None:
    shown, beside = HandModel("m-1", first="i4"), HandModel("m-2", first="i5")
    deck = await deck_with(Trial(OLD, OLD, NEW, Phase.SHADOW), ranking_with(**{OLD: shown, NEW: beside}))
    deck.offers._entropy = Draws(5)
    await answered(deck, await guests(deck, 600), "i4")
    trial = await trial_of(deck)
    assert (trial.shown, trial.phase, trial.refused) == (OLD, Phase.NONE, (NEW,))


async def test_one_that_forecasts_badly_once_shown_is_rolled_back() -> None:
    new, old = HandModel("m-2", first="i5", chance=0.95), HandModel("m-1", first="i4", chance=0.2)
    deck = await deck_with(Trial(OLD, NEW, OLD, Phase.WATCH), ranking_with(**{OLD: old, NEW: new}))
    await answered(deck, await guests(deck, 60), "i4")
    trial = await trial_of(deck)
    assert (trial.shown, trial.phase, trial.refused, trial.why) == (OLD, Phase.NONE, (NEW,), "forecasts_worse")
    (one,) = await deck.offers.suggest(BARKEEPER, (await guests(deck, 1, 0x9000))[0])
    assert one.item.id == "i4"


@pytest.mark.parametrize("error", [RankerFailed("broken"), TimeoutError()])
async def test_one_that_fails_once_shown_is_rolled_back_at_once(error: Exception) -> None:
    new, old = HandModel("m-2", first="i5", error=error), HandModel("m-1", first="i4")
    deck = await deck_with(Trial(OLD, NEW, OLD, Phase.WATCH), ranking_with(**{OLD: old, NEW: new}))
    refs = await guests(deck, 4)
    found = [(await deck.offers.suggest(BARKEEPER, ref))[0].item.id for ref in refs]
    assert found == ["i0", "i0", "i0", "i4"]  # by popularity, then by the old one
    assert (await trial_of(deck)).refused == (NEW,)


async def test_a_trial_goes_on_after_a_restart_and_a_torn_decision_is_not_in_it() -> None:
    models = {OLD: HandModel("m-1", first="i4"), NEW: HandModel("m-2", first="i5")}
    deck = await deck_with(Trial(OLD, OLD, NEW, Phase.SHADOW), ranking_with(**models))
    refs = await guests(deck, 3)
    (one,) = await deck.offers.suggest(BARKEEPER, refs[0])
    before = await trial_of(deck)
    assert isinstance(deck.store, MemoryStore)
    plain, fail = deck.ranking.decided, RuntimeError("the power is gone")

    def torn(*args: Any) -> None:
        plain(*args)
        raise fail

    deck.ranking.decided = torn  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        await deck.offers.suggest(BARKEEPER, refs[1])
    again = Deck(deck.store, deck.clock, ranking_with(**models))  # the same store, everything else new
    assert await trial_of(again) == before
    await again.offers.answer(BARKEEPER, one.offer, Answer.ACCEPT)
    trial = await trial_of(again)
    assert (trial.answered, trial.rank.count, trial.waiting) == (1, 1, ())


async def test_on_disk_a_trial_survives_the_process(tmp_path: Path) -> None:
    models = {OLD: HandModel("m-1", first="i4"), NEW: HandModel("m-2", first="i5")}
    first = await Deck(SqliteStore.open(tmp_path / "a.db", DATA_KEY), ranking=ranking_with(**models)).aboard()
    await first.stock(*ITEMS)
    await first.store.write(lambda tx: first.ranking.write(tx, Trial(OLD, OLD, NEW, Phase.SHADOW)))
    (one,) = await first.offers.suggest(BARKEEPER, KIRA)
    await first.store.close()
    again = Deck(SqliteStore.open(tmp_path / "a.db", DATA_KEY), ranking=ranking_with(**models))
    await again.offers.answer(BARKEEPER, one.offer, Answer.NOT_NOW)
    trial = await trial_of(again)
    await again.store.close()
    assert (trial.phase, trial.other, trial.answered, trial.waiting) == (Phase.SHADOW, NEW, 1, ())


async def test_an_answer_counts_for_the_trial_that_saw_the_offer_only() -> None:
    models = {OLD: HandModel("m-1", first="i4"), NEW: HandModel("m-2"), NEXT: HandModel("m-3")}
    deck = await deck_with(Trial(OLD, OLD, NEW, Phase.SHADOW), ranking_with(**models))
    (one,) = await deck.offers.suggest(BARKEEPER, KIRA)
    await deck.store.write(lambda tx: deck.ranking.write(tx, Trial(OLD, OLD, NEXT, Phase.SHADOW)))
    await deck.offers.answer(BARKEEPER, one.offer, Answer.ACCEPT)
    assert (await trial_of(deck)).answered == 0


async def test_a_trial_that_cannot_be_read_begins_anew_with_popularity() -> None:
    deck = await deck_with(Trial(OLD, OLD), ranking_with(**{OLD: HandModel("m-1", first="i4")}))
    await deck.store.write(lambda tx: tx.set_meta("models.trial", encode(Trial())[:-1]))
    (one,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert one.item.id == "i0"
