"""Training learns what is there, goes on after a kill as if nothing had been, and pads and blocks as it says."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.modelkit import ITEMS, after, tiny_set
from typer.testing import CliRunner

from preference import sets
from preference.__main__ import app
from preference.batches import in_order, lengths, shuffled
from preference.errors import BadData, NotResumable, TrainingDiverged
from preference.forward import Forward
from preference.metrics import auc
from preference.network import Encoder, Network, NetworkConfig
from preference.noise import Noise
from preference.sets import PreparedSet
from preference.tensors import set_up, tf
from preference.train import Progress, Recipe, Trainer
from preference.trained import Trained, load, save, shape_for

set_up(1)
RECIPE = Recipe(epochs=4, batch=100, rate=1e-2, dropout=0.1, residual=0.1)
WAIT_S = 120


def _trainer(prepared: PreparedSet, folder: Path, recipe: Recipe = RECIPE, **sizes: Any) -> Trainer:
    config = shape_for(prepared, **{"encoder": Encoder.GRU, "width": 8, "hidden": 8, "members": 2, **sizes})
    return Trainer(prepared, config, recipe, folder)


def _nothing(progress: Progress) -> None:
    assert progress.step <= progress.steps


def _values(trainer: Trainer) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in trainer.network.variables.items()}


@pytest.mark.parametrize(("encoder", "members"), [(Encoder.GRU, 2), (Encoder.ATTENTION, 1)])
@pytest.mark.parametrize("chained", [False, True])
def test_it_learns_what_comes_next_and_when_an_offer_is_taken(
    tmp_path: Path, encoder: Encoder, members: int, chained: bool
) -> None:
    prepared = tiny_set(1500, chained=chained)
    recipe = replace(RECIPE, epochs=8, residual=0.0, dropout=0.0, forget=0.0)
    trainer = _trainer(prepared, tmp_path, recipe, encoder=encoder, members=members, width=16, hidden=16)
    trainer.run(_nothing)
    forward, test = Forward(trainer.network, prepared), tiny_set(seed=3).parts["test"]
    known = test.take(test.index[:, -1] > 0)
    best = forward.interest(known)[:, 1:].argmax(1) + 1
    assert (best == [after(int(row)) for row in known.index[:, -1]]).mean() > 0.8
    assert auc(forward.take(test), test.took) > 0.9


def test_stopped_and_carried_on_ends_with_the_same_bits(tmp_path: Path) -> None:
    prepared = tiny_set(300)
    whole = _trainer(prepared, tmp_path / "whole")
    best = whole.run(_nothing)
    _trainer(prepared, tmp_path / "parts").run(_nothing, stop_after=2)
    parts = _trainer(prepared, tmp_path / "parts")
    assert parts.run(_nothing).best_figure == best.best_figure
    assert _values(parts) == _values(whole)


def test_killed_in_the_middle_of_an_epoch_ends_with_the_same_bits(tmp_path: Path) -> None:
    prepared = tiny_set(450)
    sets.save(prepared, tmp_path / "set")
    sizes = ["--width", "8", "--hidden", "8", "--members", "1", "--epochs", "2", "--batch", "2"]
    words = ["train", str(tmp_path / "set"), *sizes, "--out"]
    command = [sys.executable, "-m", "preference", *words, str(tmp_path / "killed")]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + WAIT_S
    while not (tmp_path / "killed" / "checkpoint.npz").exists():
        assert killed.poll() is None, killed.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "model.json").exists()
    for name in ("killed", "whole"):
        done = CliRunner().invoke(app, [*words, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    one, other = (load(tmp_path / name, prepared).network.variables for name in ("killed", "whole"))
    assert {name: value.numpy().tobytes() for name, value in one.items()} == {
        name: value.numpy().tobytes() for name, value in other.items()
    }


@pytest.mark.parametrize("change", ["data", "recipe", "junk"])
def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, change: str) -> None:
    _trainer(tiny_set(100), tmp_path).run(_nothing, stop_after=1)
    if change == "junk":
        (tmp_path / "checkpoint.npz").write_bytes(b"PK junk")
    prepared = tiny_set(100, seed=2 if change == "data" else 1)
    recipe = replace(RECIPE, seed=1) if change == "recipe" else RECIPE
    with pytest.raises(NotResumable):
        _trainer(prepared, tmp_path, recipe).run(_nothing)


def test_a_rate_that_is_too_high_is_told(tmp_path: Path) -> None:
    prepared = tiny_set(100)
    prepared.train.moment[:] = np.inf
    with pytest.raises(TrainingDiverged, match="step 0"):
        _trainer(prepared, tmp_path).run(_nothing)


def test_other_seeds_give_other_models_and_the_same_seed_the_same(tmp_path: Path) -> None:
    prepared = tiny_set(100)
    found = []
    for number, seed in enumerate((1, 1, 2)):
        trainer = _trainer(prepared, tmp_path / str(number), replace(RECIPE, seed=seed))
        trainer.run(_nothing, stop_after=1)
        found.append(_values(trainer))
    assert found[0] == found[1] != found[2]


def test_recent_windows_count_more(tmp_path: Path) -> None:
    """Two rules, an old one and a new one: with recency the new one wins, though it is seen as often."""
    prepared = tiny_set(1200)
    train = prepared.train
    train.index[:, :-1], train.index[:, -1] = 0, 1
    old = np.arange(len(train)) % 2 == 0
    train.target[:, 0] = np.where(old, 5, 7)
    train.at_s[:] = np.where(old, 0, 10 * 31_556_952)
    trainer = _trainer(prepared, tmp_path, replace(RECIPE, recency=1.0))
    trainer.run(_nothing)
    scores = Forward(trainer.network, prepared).interest(train.take(np.arange(1)))[0]
    assert scores[7] > scores[5] + 2


@pytest.mark.parametrize(("encoder", "members"), [(Encoder.GRU, 3), (Encoder.ATTENTION, 1)])
def test_padding_says_nothing(encoder: Encoder, members: int) -> None:
    network, prepared = _network(encoder, members)
    held = prepared.parts["test"].take(np.arange(20))
    held.index[:, :-2], held.past[:, :-2] = 0, 0
    held.past[:, -2:] = 1
    held.index[:, -2:] = np.maximum(held.index[:, -2:], 1)
    whole = Forward(network, prepared).interest(held)
    events = network.vectors(tf.constant(prepared.item_features), np.arange(ITEMS + 1))
    for length in (2, 4, 6):
        index, past = held.index[:, -length:], tf.constant(held.past[:, -length:])
        vectors = tf.gather(events, index)
        state = network.encode(vectors, past, Noise(), whole=True)[:, -1:]
        query = network.query(state, tf.reduce_sum(vectors, 1)[:, None], held.moment[:, None], Noise())[:, 0]
        np.testing.assert_allclose(tf.matmul(query, events, transpose_b=True) / members, whole, atol=2e-4)


@pytest.mark.parametrize("encoder", list(Encoder))
def test_a_place_knows_nothing_of_later_places(encoder: Encoder) -> None:
    network, prepared = _network(encoder, 1)
    held = prepared.parts["test"].take(np.arange(5))
    vectors = network.vectors(tf.constant(prepared.item_features), np.arange(ITEMS + 1))
    past = tf.ones_like(held.past)
    before = network.encode(tf.gather(vectors, held.index), past, Noise(), whole=True)
    held.index[:, 4:] = 3
    later = network.encode(tf.gather(vectors, held.index), past, Noise(), whole=True)
    np.testing.assert_allclose(before[:, :4], later[:, :4], atol=1e-6)
    assert not np.allclose(before[:, 4:], later[:, 4:])


def test_members_do_not_hear_of_each_other() -> None:
    network, prepared = _network(Encoder.GRU, 2)
    width = network.config.width
    held = prepared.parts["test"].take(np.arange(5))

    def queries() -> Any:
        vectors = network.vectors(tf.constant(prepared.item_features), np.arange(ITEMS + 1))
        events = tf.gather(vectors, held.index)
        state = network.encode(events, tf.constant(held.past), Noise(), whole=False)
        query = network.query(state, tf.reduce_sum(events, 1)[:, None], held.moment[:, None], Noise())[:, 0]
        return query.numpy(), network.take(query, events[:, -1], held.moment, Noise()).numpy()

    query, take = queries()
    for name in ("items", "rest", "past", "gru_state", "q_state", "t_both"):
        value = network.variables[name].numpy()
        value[..., width : 2 * width] += 1.0
        network.variables[name].assign(value)
    changed, changed_take = queries()
    np.testing.assert_array_equal(query[:, :width], changed[:, :width])
    assert not np.allclose(query[:, width:], changed[:, width:])
    np.testing.assert_array_equal(take[:, 0], changed_take[:, 0])


def test_the_mean_of_the_members_is_what_is_served() -> None:
    network, prepared = _network(Encoder.GRU, 3)
    rng = np.random.default_rng(0)
    query = tf.constant(rng.normal(size=(1, network.config.query)), tf.float32)
    vectors = network.vectors(tf.constant(prepared.item_features), np.arange(ITEMS + 1))
    moment = prepared.train.moment[:1]
    parts = network.take(query, vectors, moment, Noise())
    served = network.mean_take(query, vectors, moment)
    np.testing.assert_allclose(tf.reduce_mean(parts, 1), served[:, 0], atol=1e-5)


def test_an_item_never_seen_is_its_features_alone() -> None:
    network, prepared = _network(Encoder.GRU, 1)
    features = tf.constant(prepared.item_features[3:4])
    alone = network.vectors(features, np.array([0]))
    np.testing.assert_allclose(alone, features.numpy() @ network.variables["items"].numpy(), rtol=1e-6)
    assert not np.allclose(alone, network.vectors(features, np.array([3])))


def test_new_items_are_ranked_by_their_features(tmp_path: Path) -> None:
    """Cold start: those with the feature that guests like come first, though none of them was there in training."""
    prepared = tiny_set(1200)
    prepared.item_features[1:, 1:] = 0
    prepared.item_features[1:7, 1] = 1
    prepared.train.target[:, 0] = prepared.train.target[:, 0] % 6 + 1  # only what has the feature is taken
    trainer = _trainer(prepared, tmp_path, replace(RECIPE, residual=0.4))
    trainer.run(_nothing)
    held = prepared.parts["test"].take(np.arange(50))
    fresh = tf.constant(prepared.item_features[[1, 12]])
    unknown = trainer.network.vectors(fresh, np.zeros(2, np.int32)).numpy()
    vectors = trainer.network.vectors(tf.constant(prepared.item_features), np.arange(ITEMS + 1))
    events = tf.gather(vectors, held.index)
    state = trainer.network.encode(events, tf.constant(held.past), Noise(), whole=False)
    query = trainer.network.query(state, tf.reduce_sum(events, 1)[:, None], held.moment[:, None], Noise())[:, 0]
    liked, other = (query.numpy() @ unknown.T).T
    assert (liked > other).mean() > 0.9


def test_batches_hold_every_window_once_and_all_of_its_events() -> None:
    held = tiny_set(101).train
    for batches in (list(in_order(held, 16)), shuffled(held, 16, 1, 0)):
        assert sorted(place for batch in batches for place in batch.chosen) == list(range(101))
        for batch in batches:
            assert len(batch.chosen) <= 16
            assert not held.index[batch.chosen, : -batch.length].any()
    again, other = shuffled(held, 16, 1, 0), shuffled(held, 16, 1, 1)
    assert [batch.chosen.tolist() for batch in batches] == [batch.chosen.tolist() for batch in again]
    assert [batch.chosen.tolist() for batch in batches] != [batch.chosen.tolist() for batch in other]


def test_windows_without_events_are_of_the_least_length() -> None:
    held = tiny_set(10).train
    held.index[:] = 0
    assert set(lengths(held).tolist()) == {1}


@pytest.mark.parametrize("sizes", [{"width": 0}, {"encoder": Encoder.ATTENTION, "width": 7, "members": 1}])
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, Any]) -> None:
    config = replace(_config(Encoder.GRU, 1), **sizes)
    with pytest.raises(ValueError, match="size|attention"):
        Network(config, 0)


def test_a_model_is_read_back_and_not_for_another_set(tmp_path: Path) -> None:
    prepared = tiny_set(50)
    network, _ = _network(Encoder.GRU, 2)
    save(tmp_path, Trained(network, RECIPE, prepared.about.features_id, "", 0, 0.5))
    again = load(tmp_path, prepared).network
    assert all((again.variables[name].numpy() == value.numpy()).all() for name, value in network.variables.items())
    with pytest.raises(BadData, match="other features"):
        load(tmp_path, replace(prepared, about=replace(prepared.about, features_id="1" * 64)))
    (tmp_path / "weights.npz").write_bytes(b"")
    with pytest.raises(BadData, match="no trained model"):
        load(tmp_path, prepared)


def _config(encoder: Encoder, members: int) -> NetworkConfig:
    return shape_for(tiny_set(1), encoder, 8, 8, members)


def _network(encoder: Encoder, members: int) -> tuple[Network, PreparedSet]:
    return Network(_config(encoder, members), 0), tiny_set(50)
