"""Differences are of the same cases: an interval narrow where both agree, and guests drawn whole."""

from __future__ import annotations

import numpy as np
import pytest

from preference.metrics import auc
from preference.paired import auc_difference, difference

GUESTS = np.repeat(np.arange(50, dtype=np.int32), 4)
RNG = np.random.default_rng(1)
NOISE = RNG.random(200)


def test_one_that_is_always_a_little_better_is_surely_so() -> None:
    found = difference(NOISE + 0.01, NOISE, GUESTS)
    assert (found.low, found.mean, found.high) == pytest.approx((0.01, 0.01, 0.01))


def test_the_other_way_round_is_the_same_with_its_sign() -> None:
    other = RNG.random(200)
    one, back = difference(NOISE, other, GUESTS), difference(other, NOISE, GUESTS)
    assert (one.mean, one.low, one.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert one.low < one.mean < one.high


def test_guests_are_drawn_and_not_cases() -> None:
    by_guest = np.repeat(RNG.random(50), 4)
    whole = difference(by_guest, np.zeros(200), GUESTS)
    alone = difference(by_guest, np.zeros(200), np.arange(200, dtype=np.int32))
    assert whole.high - whole.low > 1.5 * (alone.high - alone.low)


def test_areas_under_the_curve_differ_by_what_they_differ() -> None:
    took = (RNG.random(200) < 0.5).astype(np.int8)
    poor = NOISE.astype(np.float32)
    good = (took + RNG.normal(0, 0.5, 200)).astype(np.float32)
    found = auc_difference(good, poor, took, GUESTS)
    assert found.mean == pytest.approx(auc(good, took) - auc(poor, took))
    assert 0 < found.low < found.mean < found.high
    same = auc_difference(poor, 2 * poor + 1, took, GUESTS)
    assert (same.low, same.mean, same.high) == (0, 0, 0)


def test_guests_in_any_order_and_of_any_number_are_found_again() -> None:
    took = (RNG.random(200) < 0.5).astype(np.int8)
    one, other = (RNG.random(200).astype(np.float32) for _ in range(2))
    mixed = RNG.permutation(200)
    straight = auc_difference(one, other, took, GUESTS * 7)
    crossed = auc_difference(one[mixed], other[mixed], took[mixed], GUESTS[mixed] * 7)
    assert (straight.low, straight.high) == pytest.approx((crossed.low, crossed.high))
