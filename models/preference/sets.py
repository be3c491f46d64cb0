"""Prepared data: one form for every source, so that whatever is downstream knows windows only.

A window is what is known of one guest at one moment, and what came next. A set is three parts of windows (train,
valid, test) and the items' features. On disk: a folder with `set.json` and one .npz for each part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preference.arrays import read_arrays
from preference.errors import BadData

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

PARTS = ("train", "valid", "test")
_FORM = 1


@dataclass(frozen=True, slots=True)
class Windows:
    """C windows over a history of L places, right-aligned: the last event is the last place; 0 is nobody's item.

    index (C, L) rows of the item table; past (C, L, P) features of each event; moment (C, M).
    target (C, L) or (C, 1): the row that came after each place, or after the last; 0: nothing to learn there.
    barred (C, bytes): packed bits by row, set where an item cannot come next (seen before, or closed).
    offered (C,): the row of what was offered now, 0: nothing; took (C,): 1 yes, 0 no, -1 not known.
    guest (C,): who; group (C,) or (C, ways): of which parts of the people, as numbers of About.groups.
    at_s (C,): when; weight (C,): how much it counts.
    """

    index: Ints
    past: Floats
    moment: Floats
    target: Ints
    barred: NDArray[np.uint8]
    offered: Ints
    took: NDArray[np.int8]
    guest: Ints
    group: Ints
    at_s: NDArray[np.int64]
    weight: Floats

    def __len__(self) -> int:
        return len(self.index)

    @property
    def chained(self) -> bool:
        """Whether every place has a target, and not the last alone."""
        return bool(self.target.shape[1] > 1)

    def take(self, chosen: NDArray[Any]) -> Windows:
        """The windows at these places, or where the mask says so."""
        return Windows(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def bars(self, items: int) -> Bools:
        """(C, items + 1): what cannot come next; row 0 never can."""
        bars = np.unpackbits(self.barred, axis=1, count=items + 1).astype(bool)
        bars[:, 0] = True
        return bars


@dataclass(frozen=True, slots=True)
class About:
    """What a set is. items: id of row 1 first; groups: name of each group's number."""

    name: str
    licence: str
    source: str
    features_id: str
    items: tuple[str, ...]
    groups: tuple[str, ...]
    repeats: bool  # whether a guest may do the same thing again

    @property
    def count(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class PreparedSet:
    """item_features (items + 1, F), row 0 zero."""

    about: About
    item_features: Floats
    parts: Mapping[str, Windows]

    @property
    def train(self) -> Windows:
        return self.parts["train"]

    def digest(self) -> str:
        """Of all that a training reads, so that a checkpoint is not carried on with other data."""
        digest = hashlib.sha256(json.dumps(asdict(self.about), sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.item_features).tobytes())
        for field in fields(Windows):
            digest.update(np.ascontiguousarray(getattr(self.train, field.name)).tobytes())
        return digest.hexdigest()


def windows(index: Ints, target: Ints, items: int, **given: NDArray[Any]) -> Windows:
    """Windows of which only some things are known; the rest is as if nothing were."""
    count = len(index)
    bare: dict[str, NDArray[Any]] = {
        "past": (index > 0).astype(np.float32)[:, :, None],
        "moment": np.ones((count, 1), np.float32),
        "barred": np.zeros((count, (items + 8) // 8), np.uint8),
        "offered": np.zeros(count, np.int32),
        "took": np.full(count, -1, np.int8),
        "guest": np.arange(count, dtype=np.int32),
        "group": np.zeros(count, np.int32),
        "at_s": np.zeros(count, np.int64),
        "weight": np.ones(count, np.float32),
    }
    return Windows(index=index.astype(np.int32), target=target.astype(np.int32), **{**bare, **given})


def join(one: Windows, other: Windows) -> Windows:
    return Windows(
        **{
            field.name: np.concatenate([getattr(one, field.name), getattr(other, field.name)])
            for field in fields(Windows)
        }
    )


def features_digest(*names: str) -> str:
    """The features' id of a set that has features of its own, so that no gateway takes its model for one of its own."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def save(prepared: PreparedSet, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, held in prepared.parts.items():
        arrays = {field.name: getattr(held, field.name) for field in fields(held)}
        np.savez_compressed(folder / f"{part}.npz", **arrays)
    np.savez_compressed(folder / "items.npz", features=prepared.item_features)
    about = {"form": _FORM, **asdict(prepared.about)}
    (folder / "set.json").write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")


def load(folder: Path) -> PreparedSet:
    """Raises BadData."""
    about = _read_about(folder / "set.json")
    parts = {part: Windows(**_read_arrays(folder / f"{part}.npz", {f.name for f in fields(Windows)})) for part in PARTS}
    features = _read_arrays(folder / "items.npz", {"features"})["features"]
    for part, held in parts.items():
        if any(len(getattr(held, f.name)) != len(held) for f in fields(held)):
            raise BadData(folder / f"{part}.npz", 0, "its arrays have different lengths: run `preference data` again")
        if len(held) and max(int(held.index.max()), int(held.target.max()), int(held.offered.max())) > about.count:
            raise BadData(folder / f"{part}.npz", 0, "it has items that set.json has not: run `preference data` again")
    if len(features) != about.count + 1:
        raise BadData(folder / "items.npz", 0, f"{len(features)} rows for {about.count} items: run `preference data`")
    return PreparedSet(about, features, parts)


def weigh(held: Windows, weight: Floats) -> Windows:
    return replace(held, weight=weight.astype(np.float32))


def _read_about(path: Path) -> About:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if read.pop("form") != _FORM:
            raise BadData(path, 0, f"not of form {_FORM}: run `preference data` again")
        return About(**{**read, "items": tuple(read["items"]), "groups": tuple(read["groups"])})
    except OSError as error:
        raise BadData(path, 0, "cannot be read: make it with `preference data`") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(path, 0, "is no description of a set: run `preference data` again") from error


def _read_arrays(path: Path, names: set[str]) -> dict[str, NDArray[Any]]:
    try:
        found = read_arrays(path)
    except (OSError, ValueError) as error:
        raise BadData(path, 0, "cannot be read: run `preference data` again") from error
    if set(found) != names:
        raise BadData(path, 0, f"has not {', '.join(sorted(names))}: run `preference data` again")
    return found
