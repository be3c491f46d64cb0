"""What forecasts the answer to an offer elsewhere: boosted trees, and Vowpal Wabbit's linear learner with pairs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from preference.errors import NeedsExtra
from preference.metrics import log_loss
from preference.sets import Floats, PreparedSet, Windows

Forecast = Callable[[Windows], Floats]

# The best on the valid part is taken: a peer is to be at its best.
_TREES: tuple[Mapping[str, Any], ...] = (
    {},
    {"learning_rate": 0.05, "max_iter": 200},
    {"learning_rate": 0.03, "max_iter": 400, "max_leaf_nodes": 15, "l2_regularization": 1.0},
    {"learning_rate": 0.03, "max_iter": 400, "l2_regularization": 30.0, "max_features": 0.2},
)
_RATES = (0.5, 0.1, 0.02)  # of Vowpal Wabbit's steps
_PASSES = 8


def share_taken(prepared: PreparedSet) -> Forecast:
    """How often each item was taken when it was offered."""
    train = _answered(prepared.train)
    size = prepared.about.count + 1
    yes = np.bincount(train.offered, weights=train.took, minlength=size)
    shares = (yes + 1) / (np.bincount(train.offered, minlength=size) + 2)
    return lambda held: shares[held.offered].astype(np.float32)


def boosted_trees(prepared: PreparedSet) -> Forecast:
    """scikit-learn's histogram trees, the best of a few settings on the valid part. Raises NeedsExtra."""
    trees = _module("sklearn.ensemble", "scikit-learn").HistGradientBoostingClassifier
    train, valid = _answered(prepared.train), _answered(prepared.parts["valid"])

    def made(settings: Mapping[str, Any]) -> Forecast:
        model = trees(random_state=0, early_stopping=False, **settings).fit(_table(prepared, train), train.took)
        return lambda held: np.asarray(model.predict_proba(_table(prepared, held))[:, 1], np.float32)

    return min((made(settings) for settings in _TREES), key=lambda each: log_loss(each(valid), valid.took))


def vowpal_wabbit(prepared: PreparedSet) -> Forecast:
    """Logistic loss, the item crossed with moment and last event, the best of a few rates. Raises NeedsExtra."""
    workspace = _module("vowpalwabbit", "vowpalwabbit").Workspace
    train, valid = _answered(prepared.train), _answered(prepared.parts["valid"])
    lines = [f"{2 * int(took) - 1} {line}" for took, line in zip(train.took, _lines(train), strict=True)]

    def made(rate: float) -> Forecast:
        model = workspace(f"--loss_function logistic -q im -b 18 --link logistic --quiet --random_seed 1 -l {rate}")
        for turn in range(_PASSES):
            for place in np.random.default_rng(turn).permutation(len(lines)):
                model.learn(lines[place])
        return lambda held: np.array([model.predict(line) for line in _lines(held)], np.float32)

    return min((made(rate) for rate in _RATES), key=lambda each: log_loss(each(valid), valid.took))


PEERS: Mapping[str, Callable[[PreparedSet], Forecast]] = {
    "share taken": share_taken,
    "boosted trees": boosted_trees,
    "Vowpal Wabbit": vowpal_wabbit,
}


def _answered(held: Windows) -> Windows:
    return held.take((held.offered > 0) & (held.took >= 0))


def _table(prepared: PreparedSet, held: Windows) -> Floats:
    """(C, columns): the item's row and features, the moment, and which items the guest has had."""
    size = prepared.about.count + 1
    had = np.zeros((len(held), size), np.float32)
    np.add.at(had, (np.repeat(np.arange(len(held)), held.index.shape[1]), held.index.reshape(-1)), 1)
    one_hot = np.eye(size, dtype=np.float32)[held.offered]
    return np.concatenate([one_hot[:, 1:], prepared.item_features[held.offered], held.moment, had[:, 1:]], axis=1)


def _lines(held: Windows) -> list[str]:
    return [
        f"|i i{held.offered[place]} |m last{held.index[place, -1]} "
        + " ".join(f"m{column}:{value:.4f}" for column, value in enumerate(held.moment[place]) if value)
        for place in range(len(held))
    ]


def _module(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NeedsExtra(package) from error
