"""Windows in batches of like length, in an order that seed and epoch determine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preference.sets import Ints, Windows

_HALVINGS = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """Places of windows, and how many of the last places of their history hold all their events."""

    chosen: NDArray[np.int64]
    length: int


def lengths(held: Windows) -> Ints:
    """(C,) the least of the history's halvings (24, 12, 6, 3) that holds each window's events."""
    history = held.index.shape[1]
    used = np.where(held.index.any(1), history - (held.index > 0).argmax(1), 1)
    sizes = np.array(sorted({max(1, history >> halving) for halving in range(_HALVINGS + 1)}))
    return sizes[np.searchsorted(sizes, used)].astype(np.int32)


def shuffled(held: Windows, size: int, seed: int, epoch: int) -> list[Batch]:
    """Every window once; windows of one length together."""
    rng = np.random.default_rng([seed, 2, epoch])
    of = lengths(held)
    batches = [
        Batch(chosen, int(length))
        for length in np.unique(of)
        for chosen in _cut(rng.permutation(np.flatnonzero(of == length)), size)
    ]
    return [batches[place] for place in rng.permutation(len(batches))]


def in_order(held: Windows, size: int) -> Iterator[Batch]:
    of = lengths(held)
    for length in np.unique(of):
        for chosen in _cut(np.flatnonzero(of == length), size):
            yield Batch(chosen, int(length))


def _cut(places: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [places[start : start + size] for start in range(0, len(places), size)]
