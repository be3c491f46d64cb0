"""Suggestions and the hold-out: who is held out gets what is popular, and every decision is in the log as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from tests.unit.moneykit import CountingEntropy, HandClock
from tests.unit.servicekit import ASE, BARKEEPER, KIRA, Deck, item

from steward.adapters.memory import MemoryStore
from steward.adapters.popularity import PopularityRanker
from steward.config_offers import packaged_rules
from steward.domain.consent import ConsentPurpose, Source, said_aboard
from steward.domain.exploring import FLOOR_PPM, REST_PPM, SOFT_PPM
from steward.domain.features import FEATURES_ID
from steward.domain.holdout import Arm, Decision
from steward.domain.ids import GuestRef
from steward.domain.offers import PPM, Answer, OfferState, Reason, Scored
from steward.domain.trial import Trial
from steward.ports import Tx
from steward.ports.service import Ranked, RankRequest, Weigh
from steward.services.decisions import DecisionLog, HoldoutSettings
from steward.services.offers import OfferService
from steward.services.ranking import Ranking, RankingSettings
from steward.services.situation import OfferSettings

T = TypeVar("T")
MODEL = "ab" * 32
EACH = FLOOR_PPM + SOFT_PPM // 2 + REST_PPM // 2  # of the two others, where nothing was ever taken


class Backwards:
    """A model that likes what popularity likes least, and remembers what it was asked."""

    version = "backwards-1"

    def __init__(self) -> None:
        self.asked: list[RankRequest] = []

    async def rank(self, request: RankRequest) -> Ranked:
        self.asked.append(request)
        return Ranked(self.version, self.weigh(request))

    async def compare(self, work: Callable[[Weigh], T]) -> T:
        return work(self.weigh)

    def weigh(self, request: RankRequest) -> list[Scored]:
        plain = reversed(PopularityRanker().weigh(request))
        return [Scored(one.item, float(-n), (Reason("popular_now", 1),)) for n, one in enumerate(plain)]

    def close(self) -> None: ...


async def deck_with(percent: int) -> tuple[Deck, Backwards]:
    """Kira and Ase have agreed; a model ranks for whoever is not held out."""
    ranking, model = Ranking(PopularityRanker(), RankingSettings(wait_s=30)), Backwards()
    ranking.put(MODEL, model)
    deck = Deck(MemoryStore(), HandClock(), ranking)
    log = DecisionLog(b"k" * 16, HoldoutSettings("north", percent))
    deck.offers = OfferService(
        deck.store, deck.clock, CountingEntropy(), ranking, packaged_rules(), OfferSettings(decisions=log)
    )
    await deck.aboard()
    await deck.stock(item("beer"), item("cake"), item("tea"))
    await deck.store.write(lambda tx: ranking.write(tx, Trial(shown=MODEL)))
    return deck, model


async def decisions(deck: Deck) -> list[Decision]:
    return [one.decision for one in await deck.store.read(lambda tx: tx.decisions(0, 99))]


def by_softmax(*scores: float) -> list[int]:
    """The chances of what comes after the best of three."""
    weights = [math.exp(score) for score in scores]
    return [FLOOR_PPM + int(SOFT_PPM * weight / sum(weights)) + REST_PPM // 2 for weight in weights]


async def test_the_model_ranks_for_the_personal_arm_and_popularitys_share_is_logged() -> None:
    deck, model = await deck_with(0)
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert (shown.item.id, len(model.asked)) == ("tea", 1)
    (made,) = await decisions(deck)
    assert (made.offer, made.guest, made.arm, made.voyage) == (shown.offer, KIRA, Arm.PERSONAL, "north")
    assert (made.ranker, made.features) == ("backwards-1", FEATURES_ID)
    assert (made.item, made.candidates, made.at_s) == ("tea", 3, deck.clock.unix_s)
    cake, beer = by_softmax(-1.0, -2.0)  # as the model has them
    assert (made.propensity_ppm, made.popular_ppm) == (PPM - cake - beer, EACH)
    assert made.named == (("tea", PPM - cake - beer), ("cake", cake), ("beer", beer))


async def test_who_is_held_out_gets_what_is_popular_and_their_past_is_not_even_read() -> None:
    deck, model = await deck_with(100)
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert (shown.item.id, model.asked) == ("beer", [])
    (made,) = await decisions(deck)
    assert (made.arm, made.ranker, made.features) == (Arm.HOLDOUT, "popularity-1", "")
    assert made.propensity_ppm == made.popular_ppm == PPM - 2 * EACH
    assert made.named == (("beer", PPM - 2 * EACH), ("cake", EACH), ("tea", EACH))


async def test_what_is_not_personal_looks_the_same_to_who_is_held_out_and_who_never_agreed() -> None:
    held, _ = await deck_with(100)
    free, model = await deck_with(0)
    await free.store.write(lambda tx: tx.drop_consents(KIRA))
    (one,), (other,) = await held.offers.suggest(BARKEEPER, KIRA), await free.offers.suggest(BARKEEPER, KIRA)
    assert (one.item, one.reasons) == (other.item, other.reasons)
    assert model.asked == []
    assert [made.arm for made in await decisions(free)] == [Arm.EVERYBODY]


async def test_what_became_of_it_is_in_the_log_and_an_offer_shown_again_is_one_decision() -> None:
    deck, _ = await deck_with(0)
    (shown,) = await deck.offers.suggest(BARKEEPER, KIRA)
    deck.clock.tick(30)
    assert await deck.offers.suggest(BARKEEPER, KIRA) == [shown]
    await deck.offers.answer(BARKEEPER, shown.offer, Answer.ACCEPT)
    (one,) = await deck.store.read(lambda tx: tx.decisions(0, 99))
    assert (one.state, one.answered_s) == (OfferState.ACCEPTED, deck.clock.unix_s)


async def test_who_objects_is_offered_nothing_drawn_for_nothing_and_logged_nowhere() -> None:
    deck, _ = await deck_with(50)

    def object_(tx: Tx) -> None:
        known = tx.consent(KIRA, ConsentPurpose.SUGGESTIONS)
        said = said_aboard(known, KIRA, ConsentPurpose.SUGGESTIONS, False, deck.clock.unix_s)
        assert said is not None
        assert said.source is Source.ABOARD
        tx.put_consent(said)

    await deck.store.write(object_)
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []
    assert await decisions(deck) == []
    assert await deck.store.read(lambda tx: tx.lot(KIRA, "north")) is None


async def test_a_decision_that_cannot_be_logged_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    deck, _ = await deck_with(0)

    def full(*_args: object, **_more: object) -> None:
        raise ValueError("planned")

    monkeypatch.setattr(DecisionLog, "note", full)
    with pytest.raises(ValueError, match="planned"):
        await deck.offers.suggest(BARKEEPER, KIRA)
    assert await deck.store.read(lambda tx: list(tx.offers_of(KIRA, 0))) == []


async def test_each_guest_keeps_their_arm_over_many_offers_and_restarts() -> None:
    deck, _ = await deck_with(50)
    refs = [GuestRef(f"{number:016x}") for number in range(0x100, 0x118)]

    def board(tx: Tx) -> None:
        for ref in refs:
            guest, told = tx.guest(KIRA), tx.consent(KIRA, ConsentPurpose.SUGGESTIONS)
            assert guest is not None
            assert told is not None
            tx.put_guest(replace(guest, ref=ref))
            tx.put_consent(replace(told, guest=ref))

    await deck.store.write(board)
    await deck.stock(*(item(f"cap-{n}", edible=False, suits=(), category=f"c{n}") for n in range(6)), version=2)
    for _ in range(3):
        for ref in (*refs, ASE):
            await deck.offers.suggest(BARKEEPER, ref)
        deck.clock.tick(3600)
    arms: dict[GuestRef, set[Arm]] = {}
    for made in await decisions(deck):
        arms.setdefault(made.guest, set()).add(made.arm)
    assert all(len(seen) == 1 for seen in arms.values())
    assert {arm for seen in arms.values() for arm in seen} == {Arm.PERSONAL, Arm.HOLDOUT}
