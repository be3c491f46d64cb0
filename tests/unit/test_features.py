"""The inputs of preference models: sizes, ranges, what is switched off, and that nothing changes by accident."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.domain import features
from steward.domain.catalogue import Hours, Item, ItemId
from steward.domain.features import (
    FEATURES_ID,
    HISTORY_LEN,
    ITEM_NAMES,
    MOMENT_NAMES,
    MOMENT_SLICES,
    PAST_NAMES,
    Company,
    Deed,
    Moment,
    Past,
    Signal,
    Weather,
    item_vector,
    moment_vector,
    past_vector,
    visible_past,
)
from steward.domain.ids import OutletId
from steward.domain.outlets import OutletKind
from steward.domain.profiles import AgeGroup

NOW_S = 1_800_000_000
BAR = Item(
    ItemId("espresso"), OutletId("bar"), {"en": "Espresso"}, "coffee", ("hot", "quick"), (), (), 380, "EUR", edible=True
)
FULL = Moment(
    NOW_S,
    minute=600,
    weekday=6,
    place=OutletKind.FOOD_AND_DRINK,
    day_of_stay=2,
    days_left=5,
    in_port=True,
    company=Company.FAMILY,
    weather=Weather.RAIN,
    shown=4,
    accepted=2,
)
OFFERS = Path(__file__).parents[2] / "tools" / "voyage" / "offers.json"


def test_the_contract_of_this_version_is_written_down() -> None:
    """A model in the field names it: change it knowingly, with VERSION if a value only changed its meaning."""
    assert (len(ITEM_NAMES), len(PAST_NAMES), len(MOMENT_NAMES)) == (156, 8, 27)
    assert FEATURES_ID == "78881a1fc8203ce22a0ccf65025d005ec2ad58164327dbb3085d81420092c39e"


@given(
    price=st.integers(0, 10**9),
    tags=st.lists(st.text("abc", min_size=1, max_size=9), max_size=9),
    hours=st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1440)), max_size=3),
)
def test_an_item_is_a_vector_of_its_size_within_its_range(
    price: int, tags: list[str], hours: list[tuple[int, int]]
) -> None:
    item = dataclasses.replace(
        BAR, price_minor=price, tags=tuple(tags), hours=tuple(Hours(first, last) for first, last in hours)
    )
    vector = item_vector(item)
    assert len(vector) == len(ITEM_NAMES)
    assert all(0 <= value <= 1 for value in vector)


def test_a_name_stands_for_its_value() -> None:
    wine = dataclasses.replace(BAR, min_age_group=AgeGroup.ADULT, price_minor=0, hours=(Hours(0, 180),))
    values = dict(zip(ITEM_NAMES, item_vector(wine), strict=True))
    assert (values["adult"], values["edible"], values["free"], values["log_price"]) == (1, 1, 1, 0)
    assert [values[f"open={number}"] for number in range(8)] == [1, 0, 0, 0, 0, 0, 0, 0]
    past = dict(zip(PAST_NAMES, past_vector(Past(BAR.id, Deed.NOT_NOW, NOW_S - 3600, 360, True), NOW_S), strict=True))
    assert past["deed=not_now"] == 1
    assert past["deed=taken"] == 0
    assert past["hour_sin"] == pytest.approx(1)
    assert past["log_age"] == pytest.approx(0.0753, abs=1e-4)
    assert past["here"] == 1


def test_every_code_of_the_demos_catalogue_is_told_apart() -> None:
    items = json.loads(OFFERS.read_text(encoding="utf-8"))
    for kind, codes in (
        ("category", {item["category"] for item in items}),
        ("tag", {tag for item in items for tag in item.get("tags", ())}),
        ("outlet", {item["outlet"] for item in items}),
    ):
        count = sum(name.startswith(f"{kind}=") for name in ITEM_NAMES)
        assert len({features._buckets(kind, (code,), count) for code in codes}) == len(codes), kind


@given(at_s=st.integers(0, 2 * NOW_S), minute=st.integers(0, 1439), deed=st.sampled_from(Deed))
def test_the_past_is_within_its_range_even_from_a_clock_that_was_ahead(at_s: int, minute: int, deed: Deed) -> None:
    vector = past_vector(Past(BAR.id, deed, at_s, minute), NOW_S)
    assert len(vector) == len(PAST_NAMES)
    assert all(-1 <= value <= 1 for value in vector)


@pytest.mark.parametrize("signal", MOMENT_SLICES)
def test_a_signal_that_is_off_is_gone_and_nothing_else(signal: Signal) -> None:
    whole, without = moment_vector(FULL), moment_vector(dataclasses.replace(FULL, off=frozenset({signal})))
    part = MOMENT_SLICES[signal]
    assert any(whole[part])
    assert not any(without[part])
    assert whole[: part.start] + whole[part.stop :] == without[: part.start] + without[part.stop :]


def test_what_is_off_leaves_the_history_before_it_is_cut() -> None:
    history = [Past(BAR.id, deed, NOW_S + n, 0) for n, deed in enumerate([Deed.TAKEN, Deed.WRONG] * HISTORY_LEN)]
    assert visible_past(history, frozenset()) == tuple(history[-HISTORY_LEN:])
    assert visible_past(history, frozenset({Signal.ANSWERS})) == tuple(history[0::2])
    assert visible_past(history, frozenset({Signal.HISTORY})) == tuple(history[1::2])
    assert visible_past(history, frozenset({Signal.HISTORY, Signal.ANSWERS})) == ()


def test_hour_and_place_are_switched_off_in_what_was_done_before_too() -> None:
    history = [Past(BAR.id, Deed.TAKEN, NOW_S - 3600, 600, here=True)]
    columns = dict.fromkeys(PAST_NAMES, 0.0)
    for off, gone in ((Signal.HOUR, {"hour_sin", "hour_cos"}), (Signal.PLACE, {"here"})):
        whole = dict(zip(PAST_NAMES, past_vector(history[0], NOW_S), strict=True))
        (seen,) = visible_past(history, frozenset({off}))
        without = dict(zip(PAST_NAMES, past_vector(seen, NOW_S), strict=True))
        assert {name for name in columns if whole[name] != without[name]} == gone
        assert not any(without[name] for name in gone)


def test_every_signal_is_somewhere() -> None:
    assert set(Signal) - set(MOMENT_SLICES) == {Signal.HISTORY, Signal.ANSWERS}
    unknown = moment_vector(Moment(NOW_S, 0, 0, OutletKind.RETAIL))
    assert len(unknown) == len(MOMENT_NAMES)
    assert not any(unknown[MOMENT_SLICES[Signal.COMPANY]] + unknown[MOMENT_SLICES[Signal.WEATHER]])
