"""The estimators: as a maintained library has them, unbiased where the truth is known, no surer than they may be."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.lift_reference import SEED, Made, rounds, true_value

from steward.domain.lift import (
    Estimate,
    Round,
    Share,
    difference,
    doubly_robust,
    ips,
    needed,
    share,
    snips,
    wilson,
)

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "lift_reference.json").read_text())
ESTIMATORS: dict[str, Callable[[Sequence[Round], float | None], Estimate]] = {
    "ips": ips,
    "snips": snips,
    "doubly_robust": doubly_robust,
}


def logged(made: Sequence[Made], *, exact: bool = False) -> list[Round]:
    """exact: with a reward model that is right."""
    models = [one.truth if exact else one.model for one in made]
    return [
        Round(
            one.guest,
            one.reward,
            one.logging[one.item],
            one.target[one.item],
            model[one.item],
            math.fsum(chance * worth for chance, worth in zip(one.target, model, strict=True)),
        )
        for one, model in zip(made, models, strict=True)
    ]


# as the library has them


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_are_those_of_the_maintained_library(name: str) -> None:
    made = rounds()
    assert (REFERENCE["obp"], REFERENCE["seed"], REFERENCE["rounds"]) == ("0.4.1", SEED, len(made))
    assert true_value(made) == pytest.approx(REFERENCE["true_value"], abs=1e-12)
    assert ESTIMATORS[name](logged(made), None).value == pytest.approx(REFERENCE[name], abs=1e-9)


# where the truth is known


@pytest.mark.parametrize(("name", "bias_max"), [("ips", 0.0), ("snips", 0.01), ("doubly_robust", 0.0)])
def test_unbiased_over_many_logs_and_the_interval_holds_the_truth(name: str, bias_max: float) -> None:
    errors, held = [], 0
    for seed in range(200):
        made = rounds(seed, 150)
        found, truth = ESTIMATORS[name](logged(made), None), true_value(made)
        errors.append(found.value - truth)
        held += found.low <= truth <= found.high
    assert abs(fmean(errors)) <= bias_max + 3 * stdev(errors) / math.sqrt(len(errors))
    assert 0.87 <= held / 200 <= 1.0  # 95 % in the long run; heavy weights make short intervals too short


def test_doubly_robust_with_an_exact_model_and_no_noise_is_exact() -> None:
    made = rounds(7, 60)
    sure = [replace(one, reward=one.guess) for one in logged(made, exact=True)]
    found = doubly_robust(sure)
    assert found.value == pytest.approx(true_value(made), abs=1e-12)
    wrong = [replace(one, propensity=min(1.0, one.propensity * 1.7)) for one in sure]
    assert doubly_robust(wrong).value == pytest.approx(found.value, abs=1e-12)
    assert abs(ips(wrong).value - found.value) > 0.05


def test_doubly_robust_spreads_less_than_ips() -> None:
    many = [logged(rounds(seed, 60), exact=True) for seed in range(60)]
    assert stdev(doubly_robust(one).value for one in many) < stdev(ips(one).value for one in many)


def test_the_same_policy_is_worth_what_was_seen() -> None:
    own = [replace(one, target=one.propensity) for one in logged(rounds())]
    seen = fmean(one.reward for one in own)
    for estimator in (ips, snips):
        found = estimator(own)
        assert found.value == pytest.approx(seen)
        assert (found.effective, found.weight_max, found.clipped) == (len(own), 1.0, 0)


_units = st.sampled_from(["a", "b", "c", "d"])
_rounds = st.lists(
    st.builds(Round, _units, st.floats(0, 1), st.floats(1e-3, 1), st.floats(1e-3, 1), st.floats(0, 1), st.floats(0, 1)),
    min_size=1,
    max_size=30,
)


@given(_rounds, st.none() | st.floats(0.1, 50))
def test_snips_stays_within_the_rewards_and_samples_within_their_size(made: list[Round], clip: float | None) -> None:
    found = snips(made, clip)
    rewards = [one.reward for one in made]
    assert min(rewards) - 1e-9 <= found.value <= max(rewards) + 1e-9
    assert 0 < found.effective <= len(made) + 1e-9
    assert found.low <= found.value <= found.high


@given(_rounds)
def test_clipping_only_lowers_ips_and_counts_what_it_cut(made: list[Round]) -> None:
    whole, cut = ips(made), ips(made, 2.0)
    assert cut.value <= whole.value + 1e-12
    assert cut.clipped == sum(one.weight > 2.0 for one in made)
    assert cut.weight_max == whole.weight_max  # what it was before the cut is told
    assert ips(made, whole.weight_max) == whole


# a guest is the unit


def test_the_interval_is_about_guests_and_not_about_offers() -> None:
    """Every round ten times over by the same guests says nothing new; by new guests it would."""
    once = logged(rounds(3, 100))
    same = [one for one in once for _ in range(10)]
    fresh = [replace(one, unit=(one.unit, copy)) for one in once for copy in range(10)]
    assert ips(same).value == pytest.approx(ips(once).value)
    assert ips(same).high - ips(same).low == pytest.approx(ips(once).high - ips(once).low)
    assert ips(fresh).high - ips(fresh).low < 0.4 * (ips(once).high - ips(once).low)


def test_the_interval_is_that_of_a_bootstrap_over_guests() -> None:
    made = logged(rounds(11, 300))
    by_guest: dict[object, list[Round]] = {}
    for one in made:
        by_guest.setdefault(one.unit, []).append(one)
    guests, draw = list(by_guest.values()), random.Random(5)
    values = sorted(
        snips([one for guest in draw.choices(guests, k=len(guests)) for one in guest]).value for _ in range(400)
    )
    found = snips(made)
    half = (found.high - found.low) / 2
    assert (values[-11] - values[10]) / 2 == pytest.approx(half, rel=0.2)


def test_one_guest_has_no_interval() -> None:
    found = ips([replace(one, unit="only") for one in logged(rounds(1, 5))])
    assert (found.units, found.low, found.high) == (1, -math.inf, math.inf)


# what no estimate can rest on


@pytest.mark.parametrize(
    "bad",
    [
        {"propensity": 0.0},
        {"propensity": -0.1},
        {"propensity": 1.0000001},
        {"propensity": math.nan},
        {"target": -0.1},
        {"target": 1.1},
        {"reward": math.inf},
        {"guess": math.nan},
    ],
)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_round_that_cannot_be_is_refused(name: str, bad: dict[str, float]) -> None:
    good = Round("a", 1.0, 0.5, 0.5)
    with pytest.raises(ValueError, match="propensity|target|finite"):
        ESTIMATORS[name]([good, replace(good, **bad)], None)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_nothing_logged_and_a_clip_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="nothing was logged"):
        ESTIMATORS[name]([], None)
    with pytest.raises(ValueError, match="clip"):
        ESTIMATORS[name]([Round("a", 1.0, 0.5, 0.5)], 0.0)


def test_a_policy_that_does_nothing_logged_has_no_snips() -> None:
    with pytest.raises(ValueError, match="none of the logged actions"):
        snips([Round("a", 1.0, 0.5, 0.0)])
    assert ips([Round("a", 1.0, 0.5, 0.0), Round("b", 0.0, 0.5, 0.0)]).effective == 0.0


# shares and how many it takes


@pytest.mark.parametrize(
    ("yes", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_as_published(yes: int, count: int, low: float, high: float) -> None:
    """Newcombe 1998, two-sided intervals for the single proportion, table I, method 3."""
    assert wilson(yes / count, count) == pytest.approx((low, high), abs=6e-5)


def test_the_difference_as_published() -> None:
    """Newcombe 1998, interval estimation for the difference, table II, method 10: 56/70 - 48/80, and 9/10 - 3/10."""
    for first, second, interval in (
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
    ):
        found = difference(_independent(*first), _independent(*second))
        assert (found.low, found.high) == pytest.approx(interval, abs=6e-5)


def _independent(yes: int, count: int) -> Share:
    low, high = wilson(yes / count, count)
    return Share(yes, count, count, count, yes / count, low, high)


def test_offers_of_one_guest_count_less_than_offers_of_many() -> None:
    alone = share((guest, guest % 3 == 0) for guest in range(300))
    together = share((guest // 10, guest // 10 % 3 == 0) for guest in range(300))
    assert (alone.count, together.count) == (300, 300)
    assert alone.effective == pytest.approx(299)
    assert together.effective == pytest.approx(29)
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_where_all_said_the_same_each_guest_counts_once() -> None:
    found = share((guest // 10, False) for guest in range(100))
    assert (found.value, found.effective, found.low) == (0.0, 10, 0.0)
    assert found.high == pytest.approx(wilson(0.0, 10)[1])
    assert share([("a", True)]).high == 1.0
    with pytest.raises(ValueError, match="nothing"):
        share([])


def test_how_many_it_takes_as_in_the_textbooks() -> None:
    """The sizes that the usual tables give for 5 % and 80 %, without continuity correction."""
    assert needed(0.10, 0.05, 1.0) == 686
    assert needed(0.25, 0.15, 1.0) == 152
    assert needed(0.20, 0.05, 9.0) < needed(0.20, 0.05, 1.0) < needed(0.20, 0.01, 1.0)
    assert needed(0.99, 0.05, 1.0) == pytest.approx(needed(0.01, 0.05, 1.0))  # no room above: as far below
    assert needed(1.0, 0.9, 1.0) >= 1
    for bad in ((-0.1, 0.1, 1.0), (0.5, 0.0, 1.0), (0.5, 0.1, 0.0)):
        with pytest.raises(ValueError, match="base"):
            needed(*bad)


def test_so_many_are_enough_and_half_are_not() -> None:
    """Drawn again and again: a difference of the smallest size is seen four times in five, and half as often."""
    count, draw = needed(0.2, 0.1, 3.0), random.Random(8)

    def seen(size: int) -> float:
        found = 0
        for _ in range(300):
            holdout = share((n, draw.random() < 0.2) for n in range(size))
            personal = share((n, draw.random() < 0.3) for n in range(3 * size))
            found += difference(personal, holdout).low > 0
        return found / 300

    assert 0.72 <= seen(count) <= 0.88
    assert seen(count // 2) < 0.65
