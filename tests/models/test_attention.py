"""What is exported of attention is what was trained, and int8 bears it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.modelkit import ITEMS, tiny_set

from preference.attention import _even_norm, _norm
from preference.forward import Forward
from preference.metrics import means, ranks
from preference.network import Encoder, Network
from preference.noise import Noise
from preference.quantise import quantise
from preference.runner import Runner
from preference.tensors import set_up, tf
from preference.train import Recipe, Trainer
from preference.trained import shape_for

set_up(1)
pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")


def _encoded(network: Network, features: Any, held: Any, *, whole: bool) -> Any:
    vectors = tf.gather(network.vectors(tf.constant(features), np.arange(ITEMS + 1)), held.index)
    return network.encode(vectors, tf.constant(held.past), Noise(), whole=whole).numpy()[:, -1]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_last_place_alone_is_the_last_of_all_places(layers: int) -> None:
    prepared = tiny_set(60)
    config = shape_for(prepared, Encoder.ATTENTION, 16, 16, 1)
    network = Network(replace(config, layers=layers), 0)
    rng = np.random.default_rng(0)
    for name, value in network.variables.items():
        if name.endswith(".distance"):
            value.assign(rng.normal(size=value.shape))
    held = prepared.parts["test"]
    held = held.take(held.index[:, -1] > 0)
    whole, last = (_encoded(network, prepared.item_features, held, whole=way) for way in (True, False))
    np.testing.assert_allclose(last, whole, atol=2e-3)  # padding is not quite silent at this narrow a mask
    assert np.abs(whole).max() > 1


def test_both_norms_are_one() -> None:
    rng = np.random.default_rng(0)
    gain = tf.constant(rng.uniform(0.5, 2, 8), tf.float32)
    for size in (0.1, 1.0, 1e2):
        values = tf.constant(rng.normal(size=(50, 8)) * size, tf.float32)
        np.testing.assert_allclose(_even_norm(values, gain), _norm(values, gain), rtol=1e-3)
    assert not np.any(_even_norm(tf.zeros((1, 8)), gain))


def test_int8_loses_one_percent_at_most(tmp_path: Path) -> None:
    prepared = tiny_set(1200, chained=True)
    recipe = Recipe(epochs=4, batch=64, rate=5e-3, dropout=0.1, residual=0.0, forget=0.0)
    config = shape_for(prepared, Encoder.ATTENTION, 32, 32, 1)
    trainer = Trainer(prepared, config, recipe, tmp_path)
    trainer.run(lambda progress: None)
    network, held = trainer.network, prepared.parts["test"]
    held = held.take(held.index[:, 0] > 0)
    files = quantise(network, prepared, prepared.train)
    assert not files.portable
    bars, target = held.bars(ITEMS), held.target[:, -1]
    whole = means(ranks(Forward(network, prepared).interest(held), bars, target))
    small = means(ranks(Runner(files.int8).interest(held, prepared.item_features, 1), bars, target))
    assert whole["NDCG@5"] > 0.7
    assert small["NDCG@5"] >= 0.99 * whole["NDCG@5"]
