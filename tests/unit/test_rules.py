"""The rules after the scores: what is taken away and why, in which order the rest comes, and what helps first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.moneykit import NOON_S
from tests.unit.ruleskit import CAP, RULES, WINE, allowed, decided, offered, rule, situation
from tests.unit.servicekit import ASE, BAR, SHOP, item

from steward.domain.care import Case, CaseId
from steward.domain.catalogue import Hours, ItemId
from steward.domain.offers import (
    ASK_AGAIN_AFTER_S,
    OFFERS_A_DAY_MAX,
    VARIETY_LAST,
    OfferState,
    Scored,
    Workload,
)
from steward.domain.profiles import AgeGroup, Allergen
from steward.domain.rulekinds import (
    EVERYTHING,
    AskAgain,
    Cap,
    CrewBusy,
    HelpWords,
    Nudge,
    Of,
    Per,
    Quiet,
    Reach,
    Rules,
    Trouble,
    Variety,
)
from steward.domain.rules import Decision, Effect, Help, Step, decide, help_first, is_twin

NO_RULES: Rules = ()


def case(what: str, minutes: int = 5) -> Case:
    return Case(CaseId("1" * 16), ASE, BAR, what, "x", NOON_S - minutes * 60)


TEA, CAKE, SOUP = item("tea"), item("cake", category="food"), item("soup", category="food")


def test_the_packaged_rules_are_what_made_up_days_are_made_by() -> None:
    says = [one.says for one in RULES]
    assert Cap(EVERYTHING, Per.DAY, OFFERS_A_DAY_MAX) in says
    assert AskAgain(EVERYTHING, ASK_AGAIN_AFTER_S) in says
    assert Variety(VARIETY_LAST) in says


# nothing at all


def test_nothing_is_sold_to_a_guest_in_recovery() -> None:
    found = decided([CAP], situation(in_recovery=True), NO_RULES)
    assert (found.ordered, found.help) == ((), Help(Trouble.OPEN_CASE, 0))
    assert found.trace == (Step("recovery", None, Effect.STOPPED, (("open_cases", 1),)),)
    assert decided([CAP], situation(cases=[case("cold soup")])).ordered == ()
    assert decided([CAP], situation()).help is None


@pytest.mark.parametrize(
    ("what", "minutes", "trouble"),
    [
        ("Cold soup", 5, Trouble.OPEN_CASE),
        ("Cold soup", 29, Trouble.OPEN_CASE),
        ("Cold soup", 30, Trouble.LONG_WAIT),
        ("Waited for the soup", 1, Trouble.LONG_WAIT),
        ("SUITCASE not in the cabin", 90, Trouble.LOST_LUGGAGE),
        ("Kofferten er borte", 1, Trouble.LOST_LUGGAGE),
        ("Cabin is not ready yet", 1, Trouble.DELAYED_CABIN),
        ("Lugaren er ikke klar", 1, Trouble.DELAYED_CABIN),
        ("Sto i kø", 1, Trouble.LONG_WAIT),
        ("The cabin is cold", 1, Trouble.OPEN_CASE),
    ],
)
def test_what_helps_first_is_told_by_the_words_of_the_case(what: str, minutes: int, trouble: Trouble) -> None:
    assert decided([CAP], situation(cases=[case(what, minutes)])).help == Help(trouble, minutes)


def test_of_several_cases_the_most_pressing_comes_first_and_the_oldest_of_those() -> None:
    cases = [case("cold soup", 600), case("luggage", 2), case("bagasje", 9)]
    assert decided([CAP], situation(cases=cases)).help == Help(Trouble.LOST_LUGGAGE, 9)
    assert help_first([case("luggage", -5)], NOON_S, RULES) == Help(Trouble.LOST_LUGGAGE, 0)  # the clock went back
    assert help_first([], NOON_S, RULES) is None


def test_help_without_words_in_the_file_is_still_help() -> None:
    assert decided([CAP], situation(cases=[case("luggage", 999)]), NO_RULES).help == Help(Trouble.OPEN_CASE, 999)
    words = rule(HelpWords(10, {Trouble.LONG_WAIT: ("queue",)}))
    assert decided([CAP], situation(cases=[case("luggage", 9)]), (words,)).help == Help(Trouble.OPEN_CASE, 9)


def test_an_objection_is_the_only_reason_there_is_need_to_name() -> None:
    found = decided([CAP], situation(objects=True, in_recovery=True))
    assert found == Decision((Step("consent", None, Effect.STOPPED),), ())


def test_a_day_has_so_many_offers() -> None:
    many = [offered(item(f"i{n}"), NOON_S - n - 1) for n in range(OFFERS_A_DAY_MAX)]
    found = decided([CAP], situation(offers=many))
    assert found.trace == (Step("six-a-day", None, Effect.STOPPED, (("offers", 6), ("most", 6))),)
    assert allowed([CAP], situation(offers=many[1:])) == ["cap"]
    assert allowed([CAP], situation(offers=[replace(one, at_s=NOON_S - 9 * 3600) for one in many])) == ["cap"]


def test_quiet_hours_and_a_busy_crew_stop_everything() -> None:
    night = rule(Quiet(EVERYTHING, Hours(22 * 60, 7 * 60)))
    assert allowed([CAP], situation(minute=22 * 60), (night,)) == []
    assert allowed([CAP], situation(minute=7 * 60), (night,)) == ["cap"]
    busy = rule(CrewBusy(open_cases_most=2, sales_most=None))
    assert allowed([CAP], situation(workload=Workload(2, 10_000)), (busy,)) == ["cap"]
    found = decided([CAP], situation(workload=Workload(3, 0)), (busy,))
    assert found.trace == (Step("a-rule", None, Effect.STOPPED, (("open_cases", 3), ("most", 2))),)
    assert allowed([CAP], situation(workload=Workload(0, 1)), (rule(CrewBusy(None, 0)),)) == []


def test_every_reason_to_stop_is_named() -> None:
    rules = (rule(Quiet(EVERYTHING, Hours(0, 1440)), "quiet"), rule(Cap(EVERYTHING, Per.STAY, 0), "cap"))
    found = decided([CAP], situation(in_recovery=True), rules)
    assert [step.rule for step in found.trace] == ["recovery", "quiet", "cap"]


# item by item


def test_the_same_is_not_offered_again_the_same_day_and_never_after_wrong() -> None:
    asked = situation(offers=[offered(CAP, state=OfferState.SHOWN)])
    assert allowed([CAP, WINE], asked) == ["wine"]
    numbers = (("asked_ago_s", 3600), ("after_s", 72_000))
    assert decided([CAP], asked).trace == (Step("not-so-soon", ItemId("cap"), Effect.REMOVED, numbers),)
    yesterday = situation(offers=[offered(CAP, NOON_S - 20 * 3600)])
    assert allowed([CAP], yesterday) == ["cap"]
    wrong = situation(offers=[offered(CAP, NOON_S - 30 * 86_400, OfferState.WRONG)])
    assert decided([CAP], wrong).trace == (Step("never", ItemId("cap"), Effect.REMOVED),)


@pytest.mark.parametrize("rules", [NO_RULES, (rule(AskAgain(EVERYTHING, 3600)),)])
def test_a_not_now_holds_for_the_day_and_a_never_for_the_stay_whatever_the_file(rules: Rules) -> None:
    now = situation(offers=[offered(CAP, NOON_S - 7 * 3600)])
    assert decided([CAP], now, rules).trace == (Step("not_now", ItemId("cap"), Effect.REMOVED),)
    ahead = situation(offers=[offered(CAP, NOON_S + 7 * 3600)])  # the clock went back since
    assert allowed([CAP], ahead, rules) == []
    assert allowed([CAP], situation(offers=[offered(CAP, NOON_S - 8 * 3600 - 1)]), rules) == ["cap"]
    assert allowed([CAP], situation(offers=[offered(CAP, 0, OfferState.WRONG)]), rules) == []


def test_near_twins_of_a_never_are_not_offered_either() -> None:
    here, there = item("lager", tags=("beer", "cold")), item("lager-2", SHOP, titles={"en": "LAGER", "nb": "pils"})
    alike, other = item("pilsner", tags=("cold", "beer")), item("stout", tags=("beer",))
    food = item("x", category="food", tags=("beer", "cold"))
    nuts = item("y", tags=("beer", "cold"), allergens=(Allergen.NUTS,))
    assert [is_twin(one, here) for one in (here, there, alike)] == [True] * 3
    assert [is_twin(one, here) for one in (other, food, nuts, TEA)] == [False] * 4
    assert not is_twin(CAKE, SOUP)  # of one category, and without tags
    now = situation(refused=[here], offers=[offered(here, 0, OfferState.WRONG)])
    found = decided([here, there, alike, other], now, NO_RULES)
    assert [(step.rule, step.item) for step in found.trace] == [
        ("never", "lager"),
        ("twin_of_never", "lager-2"),
        ("twin_of_never", "pilsner"),
    ]
    assert [one.item for one in found.ordered] == ["stout"]


@pytest.mark.parametrize(
    ("of", "left"),
    [
        (Of(Reach.EVERY_CATEGORY), ["tea"]),
        (Of(Reach.EVERY_ITEM), ["tea", "soup"]),
        (Of(Reach.CATEGORY, "food"), ["tea"]),
        (Of(Reach.ITEM, "cake"), ["tea", "soup"]),
        (Of(Reach.CATEGORY, "drink"), ["tea", "cake", "soup"]),
    ],
)
def test_caps_count_what_they_are_about(of: Of, left: list[str]) -> None:
    twice = [offered(CAKE, NOON_S - hours * 3600, OfferState.SHOWN) for hours in (2, 30)]
    assert allowed([TEA, CAKE, SOUP], situation(offers=twice, personal=False), (rule(Cap(of, Per.STAY, 2)),)) == left
    by_day = (rule(Cap(of, Per.DAY, 2)),)
    assert allowed([TEA, CAKE, SOUP], situation(offers=twice, personal=False), by_day) == ["tea", "cake", "soup"]


def test_a_category_has_quiet_hours_of_its_own() -> None:
    quiet = (rule(Quiet(Of(Reach.CATEGORY, "food"), Hours(0, 1440))),)
    found = decided([TEA, CAKE], situation(), quiet)
    assert [one.item for one in found.ordered] == ["tea"]
    assert found.trace == (Step("a-rule", ItemId("cake"), Effect.REMOVED, (("minute", 720),)),)


def test_what_has_no_score_or_is_no_longer_there_is_not_offered() -> None:
    found = decide([TEA, CAKE], [Scored(TEA.id, 1, ()), Scored(ItemId("old"), 2, ())], situation(), NO_RULES)
    assert [one.item for one in found.ordered] == ["tea"]
    assert [(step.rule, step.item) for step in found.trace] == [("gone", "old"), ("unscored", "cake")]
    assert decide([], [], situation(), RULES) == Decision((), ())


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf"), 1e13])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="item tea: a score is a number"):
        decide([TEA], [Scored(TEA.id, score, ())], situation(), RULES)


def test_an_item_is_scored_once() -> None:
    one = Scored(TEA.id, 1, ())
    for items, scores in (([TEA], [one, one]), ([TEA, TEA], [one])):
        with pytest.raises(ValueError, match="twice"):
            decide(items, scores, situation(), RULES)


# among what is left


def test_variety_if_there_is_another_category() -> None:
    lately = situation(offers=[offered(item("coffee"))])
    assert allowed([TEA, CAKE], lately) == ["cake"]
    assert allowed([TEA], lately) == ["tea"]
    assert allowed([TEA, CAKE], replace(lately, personal=False)) == ["tea", "cake"]
    long_ago = [offered(item("coffee")), offered(item("a", category="x")), offered(item("b", category="y"))]
    assert allowed([TEA, CAKE], situation(offers=long_ago)) == ["tea", "cake"]


def nudges(*percents: int, of: Of | None = None) -> Rules:
    what = of or Of(Reach.CATEGORY, "food")
    return tuple(rule(Nudge(what, percent), f"n{place}") for place, percent in enumerate(percents))


def order(scores: dict[str, float], rules: Rules, **changes: Any) -> Decision:
    shelf = [item(name, category="food" if name.startswith("f") else "drink") for name in scores]
    return decide(
        shelf, [Scored(ItemId(name), score, ()) for name, score in scores.items()], situation(**changes), rules
    )


def test_a_nudge_lifts_by_its_part_of_the_range_and_says_so() -> None:
    scores = {"top": 100.0, "d": 50.0, "f": 45.5, "low": 0.0}
    found = order(scores, nudges(5))
    assert [(one.item, one.score) for one in found.ordered] == [("top", 100), ("f", 50.5), ("d", 50), ("low", 0)]
    assert found.trace == (
        Step("n0", ItemId("f"), Effect.LIFTED, (("percent", 5), ("from_place", 3), ("to_place", 2))),
        Step("displaced", ItemId("d"), Effect.MOVED, (("from_place", 2), ("to_place", 3))),
    )
    assert [one.item for one in order(scores, nudges(4)).ordered] == ["top", "d", "f", "low"]


def test_nudges_together_are_bounded() -> None:
    scores = {"top": 100.0, "f": 89.0, "low": 0.0}
    assert [one.item for one in order(scores, nudges(10, 10)).ordered] == ["top", "f", "low"]
    assert order(scores, nudges(10, 10)).trace[0].numbers[0] == ("percent", 10)
    assert order(scores, nudges(10, 10)).trace[0].rule == "n0 + n1"
    assert [one.item for one in order(scores | {"f": 90.5}, nudges(10, 10)).ordered] == ["f", "top", "low"]


def test_what_a_guest_put_off_is_not_nudged() -> None:
    put_off = offered(item("f", category="food"), NOON_S - 40 * 3600)
    found = order({"d": 10.0, "f": 9.9, "low": 0.0}, nudges(10), offers=[put_off], personal=False)
    assert [one.item for one in found.ordered] == ["d", "f", "low"]
    assert found.trace == ()


def test_a_nudge_brings_nothing_back() -> None:
    wine = replace(WINE, category="food")
    found = decided([TEA, wine], situation(age_group=AgeGroup.CHILD), nudges(10))
    assert [one.item for one in found.ordered] == ["tea"]
    assert [step.rule for step in found.trace] == ["age"]
