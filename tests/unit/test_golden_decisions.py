"""Decisions as they have to be made (tests/data/offers/decisions.toml); where one is not, the difference is printed."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.moneykit import NOON_S
from tests.unit.ruleskit import RULES, offered, situation
from tests.unit.servicekit import BAR, KIRA, item

from steward.domain.care import Case, CaseId
from steward.domain.catalogue import Hours, Item, ItemId
from steward.domain.offers import OfferState, Scored, Situation, Workload
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.rules import Decision, Step, decide
from steward.domain.ruleset import read_rules

BOOK = tomllib.loads(
    (Path(__file__).resolve().parents[1] / "data" / "offers" / "decisions.toml").read_text(encoding="utf-8")
)
FILES = {name: read_rules(text, name) for name, text in BOOK["rules"].items()}


def thing(name: str, told: Mapping[str, Any]) -> Item:
    edible = told.get("edible", True)
    suits = tuple(diet for diet in sorted(Diet) if diet is not Diet.NO_ALCOHOL or told.get("no_alcohol", True))
    return item(
        name,
        category=told["category"],
        tags=tuple(told.get("tags", ())),
        allergens=tuple(map(Allergen, sorted(told.get("allergens", ())))),
        suits=suits if edible else (),
        edible=edible,
        min_age_group=AgeGroup.ADULT if told.get("adults") else AgeGroup.CHILD,
        hours=(Hours(*told["hours"]),) if "hours" in told else (),
    )


SHELF = {name: thing(name, told) for name, told in BOOK["shelf"].items()}


def situation_of(told: Mapping[str, Any]) -> Situation:
    past = []
    for line in told.get("past", ()):
        name, state, hours = line.split()
        what = SHELF.get(name) or item(name, category=name)
        past.append(offered(what, NOON_S - int(hours) * 3600, OfferState(state)))
    cases = []
    if "case" in told:
        minutes, _, text = told["case"].partition(" ")
        cases.append(Case(CaseId("1" * 16), KIRA, BAR, text, "x", NOON_S - int(minutes) * 60))
    return situation(
        minute=told.get("minute", 720),
        age_group=AgeGroup.CHILD if told.get("child") else AgeGroup.ADULT,
        allergies=frozenset(map(Allergen, told.get("allergies", ()))) if told.get("allergies_known", True) else None,
        diet=frozenset(map(Diet, told.get("diet", ()))) if told.get("diet_known", True) else None,
        in_recovery=bool(cases) or told.get("in_recovery", False),
        personal=told.get("personal", True),
        objects=told.get("objects", False),
        offers=past,
        cases=cases,
        refused=[SHELF[offer.item] for offer in past if offer.state is OfferState.WRONG],
        workload=Workload(told.get("open_cases", 0), told.get("sales", 0)),
    )


def lines(found: Decision) -> list[str]:
    told = [f"{step.item or 'everything'} {step.effect} by {step.rule}{_numbers(step)}" for step in found.trace]
    if found.help is not None:
        told.append(f"help: {found.help.trouble} for {found.help.minutes} minutes")
    return [*told, f"order: {' '.join(one.item for one in found.ordered) or 'nothing'}"]


def _numbers(step: Step) -> str:
    return "".join(f", {name} {value:g}" for name, value in step.numbers)


def decision_of(told: Mapping[str, Any]) -> Decision:
    names = told.get("only", list(SHELF))
    scored = [Scored(ItemId(name), float(BOOK["shelf"][name]["score"]), ()) for name in names]
    rules = FILES[told["rules"]] if "rules" in told else RULES
    return decide([SHELF[name] for name in names], scored, situation_of(told), rules)


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    names = [told["name"] for told in BOOK["decision"]]
    assert len(names) >= 30
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("told", BOOK["decision"], ids=lambda told: told["name"].replace(" ", "-"))
def test_a_decision_is_made_as_it_is_written_down(told: Mapping[str, Any]) -> None:
    made, expected = lines(decision_of(told)), told["expected"]
    difference = "\n".join(difflib.unified_diff(expected, made, "written down", "made", lineterm=""))
    assert made == expected, f"{told['name']}:\n{difference}"
