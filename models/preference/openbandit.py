"""The Open Bandit sample out of the `obp` wheel.

ZOZOTOWN, seven days, three campaigns, each under two policies side by side: one that shows anything with equal chance
and one by Thompson sampling (Saito et al., "Open Bandit Dataset and Pipeline", 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preference.errors import BadData
from preference.sets import About, Floats, Ints, PreparedSet, Windows, features_digest, windows
from preference.wheels import rows_in

CAMPAIGNS = ("all", "men", "women")
_FOLDER = "obp/dataset/obd"
_USER = tuple(f"user_feature_{number}" for number in range(4))
_ITEM = tuple(f"item_feature_{number}" for number in range(1, 4))
_LEARNT = 0.8  # of a log, in time, is learnt from; the rest tunes
_LICENCE = "Open Bandit Dataset: CC BY 4.0 by its paper; inside obp, which is Apache-2.0"

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Log:
    """Rounds in order of time. context: row of `contexts`; action: row of `items`, from 0.

    contexts (n, C) and items (k, F) are features; unit: of what hangs together, which is all of one instant.
    """

    context: Ints
    action: Ints
    click: NDArray[np.int8]
    propensity: Scores
    unit: tuple[str, ...]
    contexts: Floats
    items: Floats

    def __len__(self) -> int:
        return len(self.action)


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign's two logs, of the same contexts and items."""

    name: str
    uniform: Log
    thompson: Log


def open_bandit(path: Path, name: str) -> Campaign:
    """path: the wheel. Raises BadData."""
    try:
        rows = {kind: list(rows_in(path, f"{_FOLDER}/{kind}/{name}/{name}.csv")) for kind in ("random", "bts")}
        features = _item_features(list(rows_in(path, f"{_FOLDER}/bts/{name}/item_context.csv")))
        told = {kind: [(*(row[one] for one in _USER), row["position"]) for row in held] for kind, held in rows.items()}
        known = sorted({context for contexts in told.values() for context in contexts})
        contexts, place = _one_hot(known), {context: number for number, context in enumerate(known)}
        uniform, thompson = (
            _log(name, rows[kind], np.array([place[one] for one in told[kind]], np.int32), contexts, features)
            for kind in ("random", "bts")
        )
    except (KeyError, ValueError) as error:
        raise BadData(path, 0, f"the Open Bandit sample in it is not as expected: {error}") from error
    return Campaign(name, uniform, thompson)


def as_set(campaign: Campaign) -> PreparedSet:
    """The Thompson log to learn clicks from and to tune on, the other to measure on; for a network."""
    log = campaign.thompson
    cut = int(_LEARNT * len(log))
    about = About(
        name=f"open-bandit-{campaign.name}",
        licence=_LICENCE,
        source="obp",
        features_id=features_digest("open-bandit", *map(str, (*log.items.shape, *log.contexts.shape))),
        items=tuple(f"item-{row}" for row in range(len(log.items))),
        groups=("everybody",),
        repeats=True,
    )
    table = np.concatenate([np.zeros((1, log.items.shape[1]), np.float32), log.items])
    parts = {
        "train": _offered(log, np.arange(cut)),
        "valid": _offered(log, np.arange(cut, len(log))),
        "test": _offered(campaign.uniform, np.arange(len(campaign.uniform))),
    }
    return PreparedSet(about, table, parts)


def choices(log: Log) -> Windows:
    """Every item in every context, (contexts * items,) in this order: what a network is asked to rank them."""
    contexts, items = len(log.contexts), len(log.items)
    context = np.repeat(np.arange(contexts, dtype=np.int32), items)
    return _windows(
        log, context, np.tile(np.arange(items, dtype=np.int32), contexts), np.full(len(context), -1, np.int8)
    )


def _offered(log: Log, chosen: NDArray[np.int64]) -> Windows:
    return _windows(log, log.context[chosen], log.action[chosen], log.click[chosen])


def _windows(log: Log, context: Ints, action: Ints, took: NDArray[np.int8]) -> Windows:
    none = np.zeros((len(context), 1), np.int32)
    return windows(none, none, len(log.items), moment=log.contexts[context], offered=action + 1, took=took)


def _log(name: str, rows: Sequence[Mapping[str, str]], context: Ints, contexts: Floats, items: Floats) -> Log:
    propensity = np.array([float(row["propensity_score"]) for row in rows])
    action = np.array([int(row["item_id"]) for row in rows], np.int32)
    if not len(rows) or (propensity <= 0).any() or (propensity > 1).any():
        raise ValueError("no rounds, or a propensity that is not above 0 and at most 1")
    if action.min() < 0 or action.max() >= len(items):
        raise ValueError("a round with an item that item_context.csv has not")
    unit = tuple(f"{name} {row['timestamp']}" for row in rows)
    click = np.array([int(row["click"]) for row in rows], np.int8)
    return Log(context, action, click, propensity, unit, contexts, items)


def _item_features(rows: Sequence[Mapping[str, str]]) -> Floats:
    """(items, features): the row's place is the item; the number among them within [-1, 1], one column each value."""
    if [int(row["item_id"]) for row in rows] != list(range(len(rows))):
        raise ValueError("items that are not numbered from 0")
    number = np.array([float(row["item_feature_0"]) for row in rows], np.float32)
    number /= max(1e-9, float(np.abs(number).max(initial=0)))
    kinds = _one_hot([tuple(row[one] for one in _ITEM) for row in rows])
    return np.concatenate([np.ones((len(rows), 1), np.float32), number[:, None], kinds], axis=1)


def _one_hot(rows: Sequence[tuple[str, ...]]) -> Floats:
    """(rows, columns): for each place of the tuples, one column for each of its values in order."""
    parts = []
    for column in zip(*rows, strict=True):
        values, place = np.unique(column, return_inverse=True)
        parts.append(np.eye(len(values), dtype=np.float32)[place])
    return np.concatenate(parts, axis=1)
