"""Rankings and forecasts are measured as the protocol says: by hand-made cases, and beside plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference import metrics


def _ranks(scores: list[list[float]], barred: list[list[bool]], target: list[int]) -> list[int]:
    return metrics.ranks(np.array(scores, np.float32), np.array(barred), np.array(target, np.int32)).tolist()


def test_rank_counts_only_what_is_not_barred() -> None:
    assert _ranks([[9, 5, 4, 3, 2]], [[True, False, True, False, False]], [4]) == [2]


def test_ties_go_to_the_lower_row_so_a_constant_scorer_has_no_luck() -> None:
    free = [True, False, False, False]
    assert _ranks([[1, 1, 1, 1]] * 3, [free] * 3, [1, 2, 3]) == [0, 1, 2]


@pytest.mark.parametrize("score", [math.nan, -math.inf])
def test_a_target_without_a_score_is_listed_nowhere(score: float) -> None:
    rank = _ranks([[0, score, 1]], [[True, False, False]], [1])
    assert metrics.means(np.array(rank))["HR@10"] == 0


def test_a_barred_target_is_listed_nowhere() -> None:
    assert metrics.means(np.array(_ranks([[0, 9, 1]], [[True, True, False]], [1])))["HR@10"] == 0


def test_a_rival_without_a_score_is_not_ahead() -> None:
    assert _ranks([[0, math.nan, 1]], [[True, False, False]], [2]) == [0]


@given(st.integers(0, 2**32 - 1))
def test_ranks_are_those_of_sorting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (5, 9)).astype(np.float32)
    barred = rng.random((5, 9)) < 0.3
    barred[:, 0] = True
    target = rng.integers(1, 9, 5).astype(np.int32)
    barred[np.arange(5), target] = False
    for case, rank in enumerate(metrics.ranks(scores, barred, target)):
        free = [row for row in range(9) if not barred[case, row]]
        assert sorted(free, key=lambda row: (-scores[case, row], row)).index(target[case]) == rank


def test_values_by_hand() -> None:
    found = metrics.means(np.array([0, 2, 20]))
    assert found["HR@1"] == pytest.approx(1 / 3)
    assert found["NDCG@5"] == pytest.approx((1 + 0.5) / 3)
    assert found["MRR"] == pytest.approx((1 + 1 / 3 + 1 / 21) / 3)


def test_interval_is_drawn_over_guests_not_over_their_cases() -> None:
    rank = np.repeat([0, 50], 200)
    alone = metrics.figures(rank, np.arange(400, dtype=np.int32))["HR@1"]
    together = metrics.figures(rank, np.repeat(np.arange(8), 50).astype(np.int32))["HR@1"]
    assert alone.mean == together.mean == 0.5
    assert together.high - together.low > 3 * (alone.high - alone.low) > 0


def test_auc_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    chance = rng.integers(0, 6, 60).astype(np.float32)
    took = rng.integers(0, 2, 60).astype(np.int8)
    yes, no = chance[took == 1], chance[took == 0]
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in yes for b in no]
    assert metrics.auc(chance, took) == pytest.approx(np.mean(pairs))
    figure = metrics.auc_figure(chance, took, np.arange(60, dtype=np.int32))
    assert figure.low < figure.mean < figure.high


def test_auc_of_one_kind_only_is_not_told() -> None:
    assert math.isnan(metrics.auc(np.ones(3, np.float32), np.ones(3, np.int8)))


def test_calibration_error_of_a_forecast_that_is_always_sure_and_right_half_the_time() -> None:
    chance = np.full(100, 1.0, np.float32)
    hit = np.arange(100) % 2 == 0
    assert metrics.ece(chance, hit) == pytest.approx(0.5)
    told, true, count = metrics.calibration(chance, hit)
    assert (told.tolist(), true.tolist(), count.tolist()) == ([1.0], [0.5], [100])


def test_chances_sum_to_one_over_what_is_free() -> None:
    barred = np.array([[True, False, True, False]])
    shares = metrics.chances(np.array([[9.0, 1.0, 9.0, 1.0]], np.float32), barred)
    assert shares.tolist() == [[0.0, 0.5, 0.0, 0.5]]


def test_calibration_error_has_an_interval_over_guests() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(3000).astype(np.float32)
    guest = np.repeat(np.arange(300, dtype=np.int32), 10)
    honest = metrics.ece_figure(chance, rng.random(3000) < chance, guest)
    boasting = metrics.ece_figure(np.sqrt(chance), rng.random(3000) < chance, guest)
    assert honest.mean < 0.04 < boasting.low < boasting.mean < boasting.high


def test_gini_by_hand() -> None:
    assert metrics.gini(np.array([5, 5, 5, 5])) == 0
    assert metrics.gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)
    assert metrics.gini(np.array([1, 3])) == pytest.approx(0.25)
    assert metrics.gini(np.zeros(3)) == 0


def test_shares_by_popularity_begin_with_what_is_most_popular() -> None:
    counts, popularity = np.array([1, 2, 3, 4]), np.array([9.0, 1.0, 5.0, 7.0])
    assert metrics.shares_by_popularity(counts, popularity) == pytest.approx([0.1, 0.4, 0.3, 0.2])
    assert len(metrics.shares_by_popularity(np.ones(63), np.arange(63.0))) == 10


def _gap(shift: float, groups: int = 2, guests: int = 300) -> metrics.Gap:
    rng = np.random.default_rng(1)
    guest = np.repeat(np.arange(guests, dtype=np.int32), 5)
    masks = {str(number): guest % groups == number for number in range(groups)}
    return metrics.gap(rng.random(len(guest)) + shift * masks["1"], guest, masks)


def test_a_gap_that_is_there_is_more_than_chance_and_one_that_is_not_is_none() -> None:
    wide, none = _gap(0.2), _gap(0.0)
    assert (wide.best, wide.worst) == ("1", "0")
    assert wide.figure.low < 0.2 < wide.figure.high
    assert wide.figure.low > wide.by_chance
    assert none.figure.mean < none.by_chance


def test_the_largest_of_many_gaps_is_larger_by_chance() -> None:
    assert _gap(0.0, groups=20).by_chance > 1.5 * _gap(0.0).by_chance


def test_cases_in_no_group_do_not_count_for_a_gap() -> None:
    values = np.array([0.0, 0.0, 1.0, 1.0, 99.0])
    guest = np.array([0, 1, 2, 3, 3], np.int32)
    masks = {"low": np.array([1, 1, 0, 0, 0], bool), "high": np.array([0, 0, 1, 1, 0], bool)}
    assert metrics.gap(values, guest, masks).figure.mean == 1.0


def test_a_guest_in_both_groups_counts_in_each_for_what_was_done_there() -> None:
    values, guest = np.array([0.0, 1.0] * 50), np.repeat(np.arange(50, dtype=np.int32), 2)
    found = metrics.gap(values, guest, {"low": values == 0, "high": values == 1})
    assert (found.best, found.figure.mean, found.figure.low) == ("high", 1.0, 1.0)


def test_coverage_and_popularity_bias() -> None:
    best = np.array([[1, 2], [1, 2]], np.int32)
    assert metrics.coverage(best, 4) == 0.5
    counts = np.array([0.0, 6.0, 2.0, 1.0, 1.0])
    assert metrics.popularity_bias(best, np.array([3, 4], np.int32), counts) == pytest.approx(4.0)
