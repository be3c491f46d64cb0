"""Items on their first day: a set from which some are left out, to measure how a model ranks what it never saw."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from preference.network import Network
from preference.sets import Ints, PreparedSet, Windows


def rows_of(prepared: PreparedSet, items: Collection[str]) -> list[int]:
    """Raises ValueError: an item that is not in the set, or so many that nothing is left to learn."""
    rows = {item: row for row, item in enumerate(prepared.about.items, 1)}
    missing = sorted(set(items) - rows.keys())
    if missing:
        raise ValueError(f"not in the set: {', '.join(missing)[:200]}")
    if len(set(items)) >= prepared.about.count - 1:
        raise ValueError("two items at least must be left to learn from")
    return sorted({rows[item] for item in items})


def leave_out(prepared: PreparedSet, items: Collection[str]) -> PreparedSet:
    """The set as it would be if these items had come after the valid part: the test part alone has them.

    Raises ValueError, also of a set whose windows have a target at every place.
    """
    if not items:
        return prepared
    rows = rows_of(prepared, items)
    if prepared.train.chained:
        raise ValueError("items are left out of sets of ship's days only")
    kept = {part: _without(prepared.parts[part], rows, prepared.about.count) for part in ("train", "valid")}
    return replace(prepared, parts={**prepared.parts, **kept})


def forget_unseen(network: Network, prepared: PreparedSet) -> list[int]:
    """Make the learnt rest of every item that the train part has not nothing, as it is for an item that comes later.

    It was never learnt, only pushed away whenever something else was chosen. Returns the rows.
    """
    train = prepared.train
    seen = np.unique(np.concatenate([train.index.ravel(), train.target.ravel(), train.offered]))
    unseen = np.setdiff1d(np.arange(1, prepared.about.count + 1), seen)
    rest = network.variables["rest"].numpy()
    rest[unseen] = 0
    network.variables["rest"].assign(rest)
    return [int(row) for row in unseen]


def _without(held: Windows, rows: list[int], items: int) -> Windows:
    held = held.take(~np.isin(held.target[:, 0], rows) & ~np.isin(held.offered, rows))
    gone = np.isin(held.index, rows)
    order = np.argsort(~gone & (held.index > 0), axis=1, kind="stable")  # what is left moves to the end, in its order
    index = np.take_along_axis(np.where(gone, 0, held.index), order, axis=1)
    past = np.take_along_axis(np.where(gone[:, :, None], 0, held.past), order[:, :, None], axis=1)
    return replace(held, index=index, past=past, barred=held.barred | _bits(rows, items))


def _bits(rows: Ints | list[int], items: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    bars = np.zeros(items + 1, bool)
    bars[rows] = True
    return np.packbits(bars)
