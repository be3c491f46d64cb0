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


def test_coverage_and_popularity_bias() -> None:
    best = np.array([[1, 2], [1, 2]], np.int32)
    assert metrics.coverage(best, 4) == 0.5
    counts = np.array([0.0, 6.0, 2.0, 1.0, 1.0])
    assert metrics.popularity_bias(best, np.array([3, 4], np.int32), counts) == pytest.approx(4.0)
