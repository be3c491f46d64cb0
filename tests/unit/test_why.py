"""The search for what carried an item and for the smallest change; who is told what of it; what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.moneykit import NOON_S
from tests.unit.ruleskit import CAP, WINE, offered, situation
from tests.unit.servicekit import BAR, BARKEEPER, CASHIER, HOST, SHOP, item

from steward.domain.catalogue import ItemId
from steward.domain.features import Company, Deed, Moment, Past, Signal, Weather
from steward.domain.offers import Offer, OfferState, Reason, Scored
from steward.domain.outlets import OutletKind
from steward.domain.reasons import Bend, Bent, Carried, Change, Flip, Kind, Means, Why
from steward.domain.why import (
    LATER_H,
    Outcome,
    View,
    changed,
    changes_for,
    fewest,
    for_eyes,
    items_of,
    outcome,
    search,
    signals_known,
)
from steward.web.pages.language import LANGUAGES, Catalogue
from steward.web.pages.whys import say

TEA, CAKE = ItemId("tea"), ItemId("cake")
MOMENT = Moment(NOON_S, 720, 2, OutletKind.FOOD_AND_DRINK, 2, 3, shown=4, accepted=2)
WHY = Why(Means.MODEL, 3, 1, TEA)


def past(name: str, ago_s: int, deed: Deed = Deed.TAKEN) -> Past:
    return Past(ItemId(name), deed, NOON_S - ago_s, 600, True)


def view(**changes: Any) -> View:
    made = View(TEA, BAR, situation(), MOMENT, (past("soup", 90_000), past("cake", 80_000)))
    return replace(made, **changes)


def weighed(scores: Callable[[View], dict[str, float]], asked: list[View] | None = None) -> Callable[[View], Outcome]:
    def weigh(one: View) -> Outcome:
        if asked is not None:
            asked.append(one)
        found = sorted(scores(one).items(), key=lambda each: (-each[1], each[0]))
        return outcome([Scored(ItemId(name), score, ()) for name, score in found], TEA)

    return weigh


def off(*signals: Signal) -> tuple[Change, ...]:
    return tuple(Change(Kind.OFF, signal) for signal in signals)


# the search


def test_a_signal_carries_by_how_much_less_far_ahead_the_item_is_without_it() -> None:
    def scores(one: View) -> dict[str, float]:
        lost = 1.0 * (Signal.HOUR in one.off) + 4.0 * (Signal.HISTORY in one.off) - 0.5 * (Signal.PLACE in one.off)
        return {"tea": 5.0 - lost, "cake": 3.0, "soup": 2.0}

    found = search(view(), weighed(scores), 99)
    assert found.carried == (Carried(Signal.HISTORY, 3, CAKE, 4.0), Carried(Signal.HOUR, 1, TEA, 1.0))
    assert found.flip == Flip(off(Signal.HISTORY), CAKE, 3)
    assert found.all_tried


def test_of_the_first_size_that_changes_it_the_largest_margin_is_told_and_no_larger_size_is_tried() -> None:
    asked: list[View] = []

    def scores(one: View) -> dict[str, float]:
        return {"tea": 1.0 - len(one.off & {Signal.HOUR, Signal.DAY}) * 2.0 - (Signal.DAY in one.off), "cake": 0.0}

    found = search(view(), weighed(scores, asked), 99)
    assert found.flip == Flip(off(Signal.DAY), CAKE, 2)
    assert len(asked) == 1 + len(signals_known(view()))
    assert all(len(one.history) == 2 for one in asked)


def test_what_is_smaller_is_told_before_what_is_larger() -> None:
    told: list[Flip | None] = []
    moment = replace(MOMENT, weather=Weather.RAIN, company=Company.BUSINESS)
    for needs in ("deed", "weather", "company", "hour", "pair", "nothing"):

        def scores(one: View, needs: str = needs) -> dict[str, float]:
            assert one.moment is not None
            hit = {
                "deed": len(one.history) == 1 and one.history[0].item == "cake",
                "weather": one.moment.weather is Weather.SUNNY,
                "company": one.moment.company is Company.FAMILY,
                "hour": one.situation.minute == one.moment.minute == 18 * 60,
                "pair": one.off == {Signal.HOUR, Signal.PLACE},
                "nothing": False,
            }[needs]
            return {"tea": 1.0, "cake": 2.0 if hit else 0.0}

        found = search(view(moment=moment), weighed(scores), 999)
        assert found.all_tried
        told.append(found.flip)
    assert told == [
        Flip((Change(Kind.UNDONE, "soup", NOON_S - 90_000),), CAKE, 2),
        Flip((Change(Kind.WEATHER, "sunny"),), CAKE, 2),
        Flip((Change(Kind.COMPANY, "family"),), CAKE, 2),
        Flip((Change(Kind.HOUR, "18:00", 6),), CAKE, 2),
        Flip(off(Signal.HOUR, Signal.PLACE), CAKE, 2),
        None,
    ]


@pytest.mark.parametrize("most", [1, 2, 5, 6, 9, 14])
def test_no_more_is_asked_than_was_granted_and_it_says_so(most: int) -> None:
    asked: list[View] = []
    found = search(view(), weighed(lambda one: {"tea": 1.0, "cake": 0.0}, asked), most)
    assert len(asked) <= most
    assert (found.flip, found.all_tried) == (None, False)


def test_a_tie_is_decided_as_the_order_decides_it() -> None:
    found = search(view(), weighed(lambda one: {"tea": 1.0, "cake": 1.0 if Signal.DAY in one.off else 0.0}), 99)
    assert found.flip == Flip(off(Signal.DAY), CAKE, 2)


def test_the_only_thing_there_is_carried_by_nothing() -> None:
    found = search(view(), weighed(lambda one: {"tea": 1.0 - len(one.off)}), 999)
    assert (found.carried, found.flip, found.all_tried) == ((), None, True)


def test_only_what_is_on_and_known_is_a_signal() -> None:
    assert set(signals_known(view())) == set(Signal) - {Signal.ANSWERS, Signal.COMPANY, Signal.WEATHER}
    assert signals_known(view(situation=situation(personal=False))) == ()
    less = frozenset({Signal.HOUR, Signal.HISTORY})
    assert not less & set(signals_known(view(off=less, moment=replace(MOMENT, off=less))))
    no = offered(CAP, NOON_S - 5000, OfferState.WRONG)
    assert signals_known(view(moment=None, history=(), situation=situation(offers=[no]))) == (Signal.ANSWERS,)


# what is changed


def test_a_signal_is_off_for_the_model_and_for_the_answers_alike() -> None:
    made = changed(
        view(off=frozenset({Signal.DAY}), moment=replace(MOMENT, off=frozenset({Signal.DAY}))), off(Signal.HOUR)
    )
    assert made is not None
    assert made.moment is not None
    assert made.off == made.moment.off == {Signal.DAY, Signal.HOUR}


def undo(offer: Offer, *others: Offer, **changes: Any) -> View | None:
    history = [Past(one.item, Deed.TAKEN, one.at_s, 600, True) for one in (*others, offer)]
    before = view(situation=situation(offers=[*others, offer], refused=[CAP, WINE]), history=history, **changes)
    return changed(before, [Change(Kind.UNDONE, offer.item, offer.at_s, offer.outlet)])


@pytest.mark.parametrize(("state", "yes"), [(OfferState.ACCEPTED, 1), (OfferState.DEFERRED, 2), (OfferState.WRONG, 2)])
def test_an_answer_undone_is_one_never_given(state: OfferState, yes: int) -> None:
    other = offered(WINE, NOON_S - 9000, OfferState.WRONG)
    liked = replace(offered(CAP, NOON_S - 8000, state), answered_s=NOON_S - 7000, liked_s=NOON_S - 6000)
    made = undo(liked, other)
    assert made is not None
    assert made.moment == replace(MOMENT, accepted=yes)
    assert [past.item for past in made.history] == ["wine"]
    assert made.situation.refused == [WINE]
    (kept, gone) = made.situation.offers
    assert kept == other
    assert (gone.state, gone.answered_s, gone.liked_s) == (OfferState.SHOWN, None, None)


def test_an_offer_that_would_wait_again_decides_nothing() -> None:
    lately = offered(item("soup"), NOON_S - 60, OfferState.ACCEPTED)
    assert undo(lately) is None
    assert undo(replace(lately, outlet=SHOP)) is not None


def test_what_was_bought_is_undone_and_no_more() -> None:
    made = changed(view(), [Change(Kind.UNDONE, "soup", NOON_S - 90_000)])
    assert made is not None
    assert ([past.item for past in made.history], made.moment) == (["cake"], MOMENT)


def test_later_hours_stay_within_the_ships_day() -> None:
    asked: list[View] = []
    late = situation(now_s=NOON_S, minute=720, day_start_s=NOON_S - 17 * 3600)  # seven hours are left of it
    search(view(situation=late), weighed(lambda one: {"tea": 1.0, "cake": 0.0}, asked), 999)
    hours = sorted({(one.situation.now_s - NOON_S) // 3600 for one in asked} - {0})
    assert hours == [hours for hours in LATER_H if hours < 7]
    for one in asked:
        assert one.moment is not None
        assert one.moment.now_s - NOON_S == one.situation.now_s - NOON_S == 60 * (one.moment.minute - 720)
        assert one.situation.minute == one.moment.minute


@pytest.mark.parametrize(("count", "needed"), [(10, 10), (10, 1), (10, 7), (1000, 613), (1, 1), (10, None), (0, None)])
def test_how_many_fewer_is_exact(count: int, needed: int | None) -> None:
    asked = []

    def weigh(fewer: int) -> Outcome:
        asked.append(fewer)
        flipped = needed is not None and fewer >= needed
        return Outcome(CAKE if flipped else TEA, 2 if flipped else 1, 0.0)

    found = fewest(count, weigh, TEA)
    assert found == (None if needed is None else Flip((Change(Kind.FEWER, "tea", needed),), CAKE, 2))
    assert len(asked) <= 14


def test_an_item_that_is_not_there_has_no_place() -> None:
    assert outcome([], TEA) == Outcome(None, 0, -float("inf"))
    assert outcome([Scored(CAKE, 1.0, ())], TEA) == Outcome(CAKE, 0, -float("inf"))
    assert outcome([Scored(TEA, 1.0, ())], TEA) == Outcome(TEA, 1, float("inf"))


# who is told


@pytest.mark.parametrize(
    ("change", "who", "told"),
    [
        (Change(Kind.UNDONE, "soup", 5, "bar"), BARKEEPER, True),  # answered at this very bar
        (Change(Kind.UNDONE, "massage", 5, "spa"), BARKEEPER, False),
        (Change(Kind.UNDONE, "soup", 5), BARKEEPER, False),  # bought: charges are not the bar's to see
        (Change(Kind.UNDONE, "soup", 5, "bar"), HOST, False),
        (Change(Kind.UNDONE, "soup", 5, "bar"), CASHIER, False),  # sees charges, and no suggestions
        (Change(Kind.COMPANY, "family"), BARKEEPER, False),
        (Change(Kind.COMPANY, "family"), HOST, True),
        (Change(Kind.WEATHER, "rain"), BARKEEPER, True),
        (Change(Kind.OFF, "history"), BARKEEPER, True),
    ],
)
def test_nobody_is_told_what_they_could_not_see(change: Change, who: Any, told: bool) -> None:
    (seen,) = changes_for([change], who)
    assert seen == (change if told else Change(change.kind))
    shown = for_eyes(replace(WHY, flip=Flip((change,), CAKE, 2)), who)
    assert shown.flip is not None
    assert shown.flip.changes == (seen,)
    assert ("massage" in items_of(shown)) is ("massage" in items_of(WHY))


# what is said

TITLES = {"tea": "Tea", "cake": "Cake", "soup": "Soup"}
FLIPS = [
    *(off(signal) for signal in Signal),
    *(off(Signal.HOUR, signal) for signal in (Signal.DAY, Signal.HABIT)),
    (Change(Kind.UNDONE, "soup", 5, "bar"),),
    (Change(Kind.UNDONE),),
    (Change(Kind.HOUR, "21:00", 4),),
    *((Change(Kind.WEATHER, weather),) for weather in Weather),
    *((Change(Kind.COMPANY, company),) for company in Company),
    (Change(Kind.COMPANY),),
    (Change(Kind.FEWER, "tea", 1),),
    (Change(Kind.FEWER, "tea", 5),),
]


WORDS = Catalogue()


def said(
    why: Why | None, language: str = "en", reasons: Iterable[Reason] = (Reason("model"),)
) -> tuple[list[str], list[str]]:
    found = say(tuple(reasons), why, WORDS.translator(language, ""), TITLES.get)
    return found.short, found.more


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("means", Means)
def test_everything_has_its_sentence_in_every_language(language: str, means: Means) -> None:
    carried = tuple(Carried(signal, 1 + number % 3, CAKE, 1.0) for number, signal in enumerate(Signal))
    bent = tuple(Bent(bend, CAKE, 2) for bend in Bend)
    for changes in [None, *FLIPS]:
        for place in (0, 2):
            flip = None if changes is None else Flip(changes, CAKE, place)
            for one in (
                replace(WHY, means=means, flip=flip),
                replace(WHY, means=means, flip=flip, carried=carried, bent=bent),
            ):
                for all_tried in (True, False):
                    short, more = said(replace(one, all_tried=all_tried), language)
                    assert short
                    assert more
                    assert not any("{" in text or "  " in text for text in (*short, *more))
                    assert len(set(more)) == len(more)


def test_the_sentences() -> None:
    carried = (Carried(Signal.HISTORY, 4, CAKE, 2.0), Carried(Signal.HOUR, 1, TEA, 1.0))
    told = replace(WHY, carried=carried, flip=Flip(off(Signal.HISTORY), CAKE, 4))
    assert said(told) == (
        ["Goes with what this guest chose before", "Suits the time of day"],
        [
            "If earlier choices did not count, Cake would have come first, and this would have been number 4.",
            "If the time of day did not count, this would still have come first, but by less.",
        ],
    )
    fewer = replace(WHY, means=Means.POPULAR, flip=Flip((Change(Kind.FEWER, "tea", 1),), CAKE, 2))
    assert said(fewer, reasons=[Reason("popular_now", 4)]) == (
        ["Often chosen here at this time of day (4)"],
        ["Had guests chosen it 1 fewer time here, Cake would have come first, and this would have been number 2."],
    )
    hour = replace(WHY, flip=Flip((Change(Kind.HOUR, "21:00", 4),), ItemId("gone"), 0))
    assert said(hour, "nb")[1] == [
        "Klokka 21:00, med alt annet likt, ville noe som ikke tilbys lenger kommet først, "
        "og dette kunne ikke vært foreslått."
    ]
    assert said(replace(WHY, means=Means.CHANCE, place=3, first=CAKE)) == (
        ["Now and then something other than the best guess is offered, to learn"],
        ["The best guess was Cake; this was number 3."],
    )
    assert said(None) == (["Chosen from what is known of this guest and this moment"], [])
    assert said(replace(WHY, candidates=1))[1] == ["It was the only thing that could be offered."]


def test_no_more_than_three_signals_at_a_glance() -> None:
    carried = tuple(Carried(signal, 2, CAKE, 1.0) for signal in Signal)
    assert len(said(replace(WHY, carried=carried))[0]) == 3
