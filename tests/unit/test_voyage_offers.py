"""The demo's catalogue is one that a gateway takes, and has something for everybody at every outlet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.ruleskit import allowed, situation

import voyage
from steward.domain.catalogue import Catalogue, Item, catalogue_problem
from steward.domain.profiles import AgeGroup, Diet
from steward.domain.shorebodies import read_item
from voyage.cast import CURRENCY

OFFERS = Path(voyage.__file__).with_name("offers.json")


@pytest.fixture(scope="module")
def items() -> tuple[Item, ...]:
    return tuple(read_item(entry) for entry in json.loads(OFFERS.read_text(encoding="utf-8")))


def test_a_gateway_takes_it(items: tuple[Item, ...]) -> None:
    assert catalogue_problem(Catalogue(1, items)) is None
    assert {item.currency for item in items} == {CURRENCY}
    assert all({"en", "nb"} <= set(item.titles) for item in items)


@pytest.mark.parametrize("outlet", ["bar", "bistro", "shop"])
@pytest.mark.parametrize("diet", [frozenset(), frozenset({Diet.VEGAN}), frozenset({Diet.HALAL, Diet.NO_LACTOSE})])
def test_there_is_something_for_everybody_at_noon(items: tuple[Item, ...], outlet: str, diet: frozenset[Diet]) -> None:
    here = [item for item in items if item.outlet == outlet]
    assert allowed(here, situation(diet=diet, age_group=AgeGroup.CHILD)) != []


def test_wine_is_for_adults_who_drink_it(items: tuple[Item, ...]) -> None:
    wine = [item for item in items if item.category == "wine"]
    assert allowed(wine, situation()) == [item.id for item in wine]
    assert allowed(wine, situation(age_group=AgeGroup.CHILD)) == []
    assert allowed(wine, situation(diet=frozenset({Diet.NO_ALCOHOL}))) == []
