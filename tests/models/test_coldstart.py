"""Items left out of a training leave no trace in it, and what was never learnt is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.modelkit import HISTORY, ITEMS, tiny_set

from preference import peers
from preference.coldstart import forget_unseen, leave_out, rows_of
from preference.evaluate import measure_cold
from preference.network import Encoder, Network
from preference.tensors import set_up
from preference.trained import shape_for

set_up(1)
NEW = ("item-3", "item-8")


def test_what_is_left_out_is_nowhere_in_what_is_learnt_from() -> None:
    prepared = tiny_set(400)
    rest = leave_out(prepared, NEW)
    for part in ("train", "valid"):
        held = rest.parts[part]
        assert 0 < len(held) < 400
        assert not np.isin([3, 8], np.concatenate([held.index.ravel(), held.target.ravel(), held.offered])).any()
        assert held.bars(ITEMS)[:, [3, 8]].all()
        assert not held.bars(ITEMS)[:, [1, 2, 4, 5, 6, 7, 9, 10, 11, 12]].any()
    assert rest.parts["test"] is prepared.parts["test"]
    assert prepared.train.bars(ITEMS)[:, 3].sum() == 0  # what was given is as it was


def test_what_is_left_of_a_past_keeps_its_order_at_the_end() -> None:
    prepared = tiny_set(1)
    held = prepared.train
    held.index[0], held.target[0], held.offered[0] = [0, 5, 3, 6, 8, 7], 9, 10
    held.past[0, :, 0] = [0, 0.5, 0.3, 0.6, 0.8, 0.7]
    left = leave_out(prepared, NEW).train
    assert left.index[0].tolist() == [0, 0, 0, 5, 6, 7]
    np.testing.assert_allclose(left.past[0, :, 0], [0, 0, 0, 0.5, 0.6, 0.7], rtol=1e-6)
    assert len(left.index[0]) == HISTORY


@pytest.mark.parametrize(
    ("items", "problem"),
    [(["item-99"], "not in the set: item-99"), ([f"item-{row}" for row in range(1, ITEMS)], "two items at least")],
)
def test_what_cannot_be_left_out_is_told(items: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        leave_out(tiny_set(10), items)
    with pytest.raises(ValueError, match="ship's days only"):
        leave_out(tiny_set(10, chained=True), NEW)


def test_nothing_left_out_is_the_set_itself() -> None:
    prepared = tiny_set(10)
    assert leave_out(prepared, ()) is prepared


def test_an_item_that_training_had_not_is_its_features_alone() -> None:
    prepared = leave_out(tiny_set(200), NEW)
    network = Network(shape_for(prepared, Encoder.GRU, 8, 8, 1), 0)
    before = network.variables["rest"].numpy()
    assert forget_unseen(network, prepared) == [3, 8]
    after = network.variables["rest"].numpy()
    assert not after[[3, 8]].any()
    others = [row for row in range(1, ITEMS + 1) if row not in (3, 8)]
    np.testing.assert_array_equal(after[others], before[others])


def test_to_popularity_a_new_item_is_the_last_of_all() -> None:
    prepared = tiny_set(400)
    rows = rows_of(prepared, NEW)
    rest = leave_out(prepared, NEW)
    perfect = np.eye(ITEMS + 1, dtype=np.float32)
    found = measure_cold(
        prepared,
        "test",
        rows,
        {"popularity": peers.popularity(rest), "perfect": lambda held: perfect[held.target[:, -1]]},
    )
    assert (found.items, found.cases) == (NEW, int(np.isin(prepared.parts["test"].target[:, -1], rows).sum()))
    assert found.rankings["popularity"]["HR@10"].mean == 0
    assert found.rankings["perfect"]["HR@1"].mean == 1


def test_no_case_of_a_new_item_gives_no_figures() -> None:
    prepared = tiny_set(50)
    prepared.parts["test"].target[:] = 1
    found = measure_cold(prepared, "test", [3], {"popularity": peers.popularity(prepared)})
    assert (found.cases, found.rankings) == (0, {"popularity": {}})
