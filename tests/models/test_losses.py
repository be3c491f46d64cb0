"""By chunks the loss and its slopes are those of the plain formula, whatever is barred and however it is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from preference import losses
from preference.losses import Bars, barred_entropy, chunked_entropy, seen
from preference.tensors import set_up, tf

set_up(1)
WIDTH, ITEMS, WINDOWS, HISTORY = 8, 37, 5, 9


def _case(places: int) -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(places)
    asked, known = (tf.constant(rng.normal(size=(rows, WIDTH)), tf.float32) for rows in (places, ITEMS))
    wanted = tf.constant(rng.integers(0, ITEMS, places), tf.int32)
    return asked, known, wanted, tf.constant(rng.uniform(0.1, 2, places), tf.float32)


def _windows() -> tuple[Any, Any, Any]:
    """Rows of windows with padding and repeats, places with a target, and what is barred there, spelt out."""
    rng = np.random.default_rng(1)
    index = rng.integers(1, ITEMS + 1, (WINDOWS, HISTORY)).astype(np.int32)
    index[1, :6], index[2, 3:5] = 0, index[2, 0]
    places = np.argwhere(index > 0)
    barred = np.zeros((len(places), ITEMS))
    for case, (window, place) in enumerate(places):
        before = index[window, : place + 1]
        barred[case, before[before > 0] - 1] = 1
    return index, places, barred


def _slopes(loss: Any, asked: Any, known: Any) -> list[Any]:
    with tf.GradientTape() as tape:
        tape.watch([asked, known])
        told = loss(asked, known)
    return [told, *tape.gradient(told, [asked, known])]


def _same(asked: Any, known: Any, wanted: Any, counts: Any, taken: Bars | None, barred: Any) -> None:
    def plain(query: Any, items: Any) -> Any:
        return tf.reduce_sum(barred_entropy(query[:, None], items[:, None], wanted, barred)[:, 0] * counts)

    expected = _slopes(plain, asked, known)
    found = _slopes(lambda q, v: chunked_entropy(q, v, wanted, counts, taken, half=False), asked, known)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("scores", [1, ITEMS, 7 * ITEMS, 10**6])
@pytest.mark.parametrize("places", [1, 7, 50])
def test_loss_and_slopes_are_those_of_the_plain_formula(
    monkeypatch: pytest.MonkeyPatch, scores: int, places: int
) -> None:
    monkeypatch.setattr(losses, "_SCORES", scores)
    case = _case(places)
    _same(*case, None, np.zeros((places, ITEMS)))


@pytest.mark.parametrize("scores", [4 * ITEMS, 10**6])
def test_what_a_window_had_before_a_place_is_left_out(monkeypatch: pytest.MonkeyPatch, scores: int) -> None:
    monkeypatch.setattr(losses, "_SCORES", scores)
    index, places, barred = _windows()
    asked, known, _, counts = _case(len(places))
    wanted = tf.constant(barred.argmin(1), tf.int32)  # the first that is not barred
    _same(asked, known, wanted, counts, seen(tf.constant(index), tf.constant(places), ITEMS), barred)


def test_no_place_at_all_is_no_loss() -> None:
    asked, known, wanted, counts = _case(0)
    loss, of_asked, of_known = _slopes(
        lambda q, v: chunked_entropy(q, v, wanted, counts, None, half=False), asked, known
    )
    assert float(loss) == 0
    assert of_asked.shape == (0, WIDTH)
    assert not np.any(of_known)


def test_large_scores_do_not_overflow() -> None:
    asked, known, wanted, counts = _case(20)
    found = _slopes(lambda q, v: chunked_entropy(q * 100, v * 100, wanted, counts, None, half=False), asked, known)
    assert all(np.isfinite(values).all() for values in found)


def test_sixteen_bits_are_near() -> None:
    asked, known, wanted, counts = _case(50)
    whole, small = (
        _slopes(lambda q, v, half=half: chunked_entropy(q, v, wanted, counts, None, half=half), asked, known)
        for half in (False, True)
    )
    for one, other in zip(whole, small, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.05, atol=0.05)
    assert float(whole[0]) != float(small[0])


def test_slopes_are_scaled_by_what_comes_after() -> None:
    asked, known, wanted, counts = _case(10)
    _, once, _ = _slopes(lambda q, v: chunked_entropy(q, v, wanted, counts, None, half=False), asked, known)
    _, twice, _ = _slopes(lambda q, v: 2 * chunked_entropy(q, v, wanted, counts, None, half=False), asked, known)
    np.testing.assert_allclose(2 * once, twice, rtol=1e-6)
