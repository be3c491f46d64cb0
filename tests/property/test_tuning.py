"""Whatever a guest answers: what it changes stays within its bound, goes one way, and goes with the answer."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.contract import serviceparts as made
from tests.contract.makers import AT_S
from tests.unit.ruleskit import RULES, situation

from steward.domain.catalogue import Item
from steward.domain.features import Signal
from steward.domain.offers import Answer, Offer, OfferState, Scored, answered
from steward.domain.rules import decide
from steward.domain.tuning import ANSWERS_MAX, HALF_LIFE_S, ODDS_MAX, tuned

NONE: frozenset[Signal] = frozenset()
DAY_S = 86_400
CLOSE = 1e-9

items = st.builds(
    lambda number, category, tags: replace(
        made.item(f"i{number}"),
        category=category,
        tags=tuple(sorted(tags)),
        edible=False,
        allergens=(),
        suits=(),
        hours=(),
    ),
    st.integers(0, 12),
    st.sampled_from(["a", "b", "c"]),
    st.frozensets(st.sampled_from(["hot", "new", "sweet"])),
)
shelves = st.lists(items, min_size=1, max_size=9, unique_by=lambda item: item.id)
moods = st.sampled_from([*OfferState, "liked"])


def offer_of(item: Item, ago_s: int, mood: OfferState | str) -> Offer:
    state = OfferState.ACCEPTED if mood == "liked" else OfferState(mood)
    liked_s = AT_S - ago_s if mood == "liked" else None
    return made.offer(item=item.id, category=item.category, at_s=AT_S - ago_s, state=state, liked_s=liked_s)


offers = st.builds(offer_of, items, st.integers(-DAY_S, 20 * DAY_S), moods)
pasts = st.lists(offers, max_size=30).map(lambda past: sorted(past, key=lambda offer: offer.at_s))
scales = st.booleans()


@st.composite
def ranked(draw: st.DrawFn, shares: bool) -> tuple[list[Item], list[Scored]]:
    shelf = draw(shelves)
    one = st.floats(1e-6, 1.0) if shares else st.floats(-50, 50)
    scored = [Scored(item.id, draw(one), ()) for item in shelf]
    return shelf, sorted(scored, key=lambda each: (-each.score, each.item))


def tune(shelf: Sequence[Item], scored: Sequence[Scored], past: Sequence[Offer], **more: Any) -> Sequence[Scored]:
    known = {item.id: item for item in shelf}
    off, shares, now_s = more.get("off", NONE), more.get("shares", False), more.get("now_s", AT_S)
    return tuned(scored, known, past, off, now_s, shares=shares)


def by_item(scored: Sequence[Scored]) -> Mapping[str, float]:
    return {one.item: one.score for one in scored}


def odds(before: float, after: float, shares: bool) -> float:
    return after / before if shares else math.exp(after - before)


@given(st.data(), pasts, scales)
def test_no_answers_move_anything_further_than_the_bound(data: st.DataObject, past: list[Offer], shares: bool) -> None:
    shelf, scored = data.draw(ranked(shares))
    before, after = by_item(scored), by_item(tune(shelf, scored, past, shares=shares))
    assert before.keys() == after.keys()
    for id_, score in after.items():
        assert 1 / ODDS_MAX - CLOSE <= odds(before[id_], score, shares) <= ODDS_MAX + CLOSE


@pytest.mark.parametrize("mood", ["liked", *OfferState])
@pytest.mark.parametrize("shares", [True, False])
def test_ten_thousand_answers_move_it_no_further_and_take_bounded_work(mood: Any, shares: bool) -> None:
    shelf = [replace(made.item(f"i{n}"), category=f"c{n % 40}", tags=(f"t{n % 7}",)) for n in range(2000)]
    scored = [Scored(item.id, 1 / 2000, ()) for item in shelf]
    past = [offer_of(shelf[n % 2000], 10_000 - n, mood) for n in range(10_000)]
    after = by_item(tune(shelf, scored, past, shares=shares))
    assert all(1 / ODDS_MAX - CLOSE <= odds(1 / 2000, score, shares) <= ODDS_MAX + CLOSE for score in after.values())
    assert tune(shelf, scored, past, shares=shares) == tune(shelf, scored, past[-ANSWERS_MAX:], shares=shares)
    tracemalloc.start()
    tune(shelf, scored, past, shares=shares)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


@given(st.data(), pasts, offers, scales)
def test_a_yes_never_lowers_and_a_no_never_raises(
    data: st.DataObject, past: list[Offer], new: Offer, shares: bool
) -> None:
    shelf, scored = data.draw(ranked(shares))
    assume(new.state is not OfferState.SHOWN)
    before = by_item(tune(shelf, scored, past, shares=shares))
    place = data.draw(st.integers(0, len(past)))
    after = by_item(tune(shelf, scored, [*past[:place], new, *past[place:]], shares=shares))
    for id_, score in after.items():
        if new.state is OfferState.ACCEPTED:
            assert score >= before[id_] - CLOSE * abs(before[id_])
        else:
            assert score <= before[id_] + CLOSE * abs(before[id_])


@given(st.data(), scales, moods)
def test_what_an_answer_says_nothing_about_keeps_its_score_and_its_order(
    data: st.DataObject, shares: bool, mood: Any
) -> None:
    shelf, scored = data.draw(ranked(shares))
    about = data.draw(st.sampled_from(shelf))
    unrelated = {i.id for i in shelf if i.category != about.category and not {*i.tags} & {*about.tags}} - {about.id}
    after = tune(shelf, scored, [offer_of(about, 60, mood)], shares=shares)
    assert [one for one in after if one.item in unrelated] == [one for one in scored if one.item in unrelated]


@given(st.data(), pasts, scales)
def test_taking_back_restores_the_order_to_the_bit(data: st.DataObject, past: list[Offer], shares: bool) -> None:
    shelf, scored = data.draw(ranked(shares))
    asked = made.offer(item=shelf[0].id, category=shelf[0].category, at_s=AT_S, state=OfferState.SHOWN, answered_s=None)
    before, said = tune(shelf, scored, [*past, asked], shares=shares), asked
    for word in data.draw(st.lists(st.sampled_from([*Answer]), max_size=4)):
        if word is not Answer.LIKED or said.state is OfferState.ACCEPTED:
            said = answered(said, word, AT_S + 5)
    back = answered(said, Answer.TAKE_BACK, AT_S + 9)
    assert back == asked
    assert tune(shelf, scored, [*past, back], shares=shares) == before
    assert tune(shelf, scored, [], shares=shares) == scored  # and without any, as the ranker had it


@given(st.data(), pasts, scales)
def test_what_is_switched_off_is_not_heard(data: st.DataObject, past: list[Offer], shares: bool) -> None:
    shelf, scored = data.draw(ranked(shares))
    yes = [offer for offer in past if offer.state is OfferState.ACCEPTED]
    no = [offer for offer in past if offer.state in (OfferState.DEFERRED, OfferState.WRONG)]
    for off, heard in (({Signal.HISTORY}, no), ({Signal.ANSWERS}, yes), ({Signal.HISTORY, Signal.ANSWERS}, [])):
        found = tune(shelf, scored, past, off=frozenset(off), shares=shares)
        assert found == tune(shelf, scored, heard, shares=shares)


@given(st.data(), pasts, scales)
def test_nothing_that_a_rule_took_away_comes_back(data: st.DataObject, past: list[Offer], shares: bool) -> None:
    shelf, scored = data.draw(ranked(shares))
    now = situation(now_s=AT_S, day_start_s=AT_S - 8 * 3600, offers=past, personal=False)
    plain = decide(shelf, scored, now, RULES)
    after = decide(shelf, tune(shelf, scored, past, shares=shares), now, RULES)
    assert {one.item for one in plain.ordered} == {one.item for one in after.ordered}


def test_an_answer_fades_by_half_and_the_last_word_is_the_strongest() -> None:
    tea, cake = replace(made.item("tea"), tags=()), replace(made.item("cake"), category="sweets", tags=())
    scored = [Scored(tea.id, 0.0, ()), Scored(cake.id, 0.0, ())]

    def shift(mood: OfferState | str, ago_s: int = 0) -> float:
        return by_item(tune([tea, cake], scored, [offer_of(tea, ago_s, mood)], now_s=AT_S + 9))[tea.id]

    assert shift("liked") > shift(OfferState.ACCEPTED) > shift(OfferState.SHOWN) == 0.0
    assert 0.0 > shift(OfferState.DEFERRED) > shift(OfferState.WRONG)
    old = replace(offer_of(tea, HALF_LIFE_S, "liked"), answered_s=None)
    young = replace(old, at_s=AT_S)
    faded, fresh = (by_item(tune([tea], scored[:1], [one]))[tea.id] for one in (old, young))
    assert math.atanh(faded / math.log(ODDS_MAX)) == pytest.approx(math.atanh(fresh / math.log(ODDS_MAX)) / 2)


def test_what_is_alike_moves_along_and_less_than_the_thing_itself() -> None:
    tea = replace(made.item("tea"), category="drink", tags=("hot", "herbal"))
    coffee = replace(made.item("coffee"), category="drink", tags=("hot",))
    beer = replace(made.item("beer"), category="drink", tags=())
    soup = replace(made.item("soup"), category="food", tags=("hot",))
    bread = replace(made.item("bread"), category="food", tags=())
    shelf = [tea, coffee, beer, soup, bread]
    after = by_item(tune(shelf, [Scored(each.id, 0.0, ()) for each in shelf], [offer_of(tea, 0, "liked")]))
    assert after["tea"] > after["coffee"] > after["beer"] > after["soup"] > after["bread"] == 0.0
    # at another outlet, whose catalogue is not at hand, the category speaks all the same
    elsewhere = by_item(tune(shelf[1:], [Scored(each.id, 0.0, ()) for each in shelf[1:]], [offer_of(tea, 0, "liked")]))
    assert elsewhere["coffee"] == elsewhere["beer"] > elsewhere["soup"] == 0.0


def test_a_clock_that_was_ahead_counts_as_now() -> None:
    tea = made.item("tea")
    scored = [Scored(tea.id, 0.0, ())]
    ahead, now = offer_of(tea, -DAY_S, "liked"), offer_of(tea, 0, "liked")
    assert tune([tea], scored, [replace(ahead, answered_s=None)]) == tune(
        [tea], scored, [replace(now, answered_s=None)]
    )
