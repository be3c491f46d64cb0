"""A training's outcome in a folder: `model.json` (what it is) and `weights.npz`; its files lie beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from preference.arrays import read_arrays, write_arrays
from preference.errors import BadData
from preference.network import Encoder, Network, NetworkConfig
from preference.sets import PreparedSet
from preference.train import Recipe

INT8_FILE, FLOAT_FILE, RELEASE_FILE = "int8.tflite", "float.tflite", "preference.model"
FIGURES_FILE = "figures.json"
_MODEL, _WEIGHTS = "model.json", "weights.npz"
_TOLD = ("features_id", "digest", "best_epoch", "best_figure", "without")


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, and how it came to be. digest: of the set it was trained on. without: items left out of it."""

    network: Network
    recipe: Recipe
    features_id: str
    digest: str
    best_epoch: int
    best_figure: float
    without: tuple[str, ...] = ()


def save(folder: Path, trained: Trained) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / _WEIGHTS, {name: value.numpy() for name, value in trained.network.variables.items()})
    told = {
        "network": asdict(trained.network.config),
        "recipe": asdict(trained.recipe),
        **{name: getattr(trained, name) for name in _TOLD},
    }
    (folder / _MODEL).write_text(json.dumps(told, indent=1), encoding="utf-8")


def load(folder: Path, prepared: PreparedSet) -> Trained:
    """Raises BadData: no model there, or one of other features or items than this set's."""
    path = folder / _MODEL
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        config = NetworkConfig(**{**told["network"], "encoder": Encoder(told["network"]["encoder"])})
        network = Network(config, 0)
        network.assign(read_arrays(folder / _WEIGHTS))
        rest: Mapping[str, Any] = {**{name: told[name] for name in _TOLD}, "without": tuple(told["without"])}
        trained = Trained(network, Recipe(**told["recipe"]), **rest)
    except OSError as error:
        raise BadData(path, 0, "no trained model here: make one with `preference train`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(path, 0, "is no trained model: make one with `preference train`") from error
    if trained.features_id != prepared.about.features_id or config.items != prepared.about.count:
        raise BadData(path, 0, "the model is of other features or items than this set: train it on this set")
    return trained


def shape_for(prepared: PreparedSet, encoder: Encoder, width: int, hidden: int, members: int) -> NetworkConfig:
    """The network's sizes for a set."""
    train = prepared.train
    return NetworkConfig(
        items=prepared.about.count,
        item_width=prepared.item_features.shape[1],
        past_width=train.past.shape[2],
        moment_width=train.moment.shape[1],
        encoder=encoder,
        history=train.index.shape[1],
        width=width,
        hidden=hidden,
        members=members,
    )
