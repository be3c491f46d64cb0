"""Before any training, attention over chained windows ranks what guests took nearby, and what many took."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.modelkit import HISTORY, ITEMS, after, tiny_set

from preference import warm
from preference.forward import Forward
from preference.network import Encoder, Network
from preference.sets import PreparedSet, windows
from preference.tensors import set_up
from preference.trained import shape_for

set_up(1)


def _network(prepared: PreparedSet) -> Network:
    return Network(shape_for(prepared, Encoder.ATTENTION, 16, 16, 1), 0)


def _hits(network: Network, prepared: PreparedSet) -> float:
    """How often the item that mostly comes next is one of the first two, the last one seen left out."""
    held = prepared.parts["test"]
    held = held.take(held.index[:, -1] > 0)
    scores = Forward(network, prepared).interest(held)
    scores[:, 0] = scores[np.arange(len(held)), held.index[:, -1]] = -np.inf
    best = np.argsort(scores, axis=1)[:, -2:]
    return float((best == np.array([after(int(row)) for row in held.index[:, -1]])[:, None]).any(1).mean())


def test_it_begins_with_what_lies_near() -> None:
    prepared = tiny_set(800, chained=True)
    network = _network(prepared)
    assert _hits(network, prepared) < 0.4
    warm.start(network, prepared.train, 0)
    assert _hits(network, prepared) > 0.6


def test_what_many_took_comes_first_where_nothing_else_is_known() -> None:
    index, target = np.zeros((90, HISTORY), np.int32), np.zeros((90, HISTORY), np.int32)
    index[:, -1] = np.arange(90) % 3 + 1
    target[:, -1] = np.where(np.arange(90) < 60, 4, np.where(np.arange(90) < 80, 5, 6))
    held = windows(index, target, ITEMS)
    prepared = PreparedSet(tiny_set(1).about, np.ones((ITEMS + 1, 1), np.float32), dict.fromkeys(("train",), held))
    network = _network(prepared)
    warm.start(network, held, 0)
    nothing = windows(np.zeros((1, HISTORY), np.int32), np.zeros((1, 1), np.int32), ITEMS)
    scores = Forward(network, prepared).interest(nothing)[0]
    assert scores[4] > scores[5] > scores[6] > scores[7]


def test_the_same_seed_begins_at_the_same_place() -> None:
    prepared = tiny_set(100, chained=True)
    found = []
    for _ in range(2):
        network = _network(prepared)
        warm.start(network, prepared.train, 4)
        found.append(network.variables["rest"].numpy())
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_events_give_numbers_still(count: int) -> None:
    prepared = tiny_set(5, chained=True)
    network = _network(prepared)
    warm.start(network, prepared.train.take(np.arange(count)), 0)
    assert all(np.isfinite(value.numpy()).all() for value in network.variables.values())


def test_a_network_wider_than_there_are_items() -> None:
    prepared = tiny_set(100, chained=True)
    network = Network(shape_for(prepared, Encoder.ATTENTION, 64, 8, 1), 0)
    warm.start(network, prepared.train, 0)
    assert np.isfinite(network.variables["rest"].numpy()).all()
    assert network.variables["rest"].shape == (ITEMS + 1, 64)
