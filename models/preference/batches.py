"""Windows in batches of like length, in an order that seed and epoch determine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preference.sets import Ints, Windows, join

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


def recut(held: Windows, seed: int, epoch: int) -> Windows:
    """Chained windows, with the events of guests who have several of them cut elsewhere in each epoch.

    Every target is there once, as before; windows no longer overlap, so that fewer places are computed.
    """
    guests, windows = np.unique(held.guest, return_counts=True)
    several = np.isin(held.guest, guests[windows > 1])
    if not held.chained or not several.any():
        return held
    rng, history = np.random.default_rng([seed, 4, epoch]), held.index.shape[1]
    row, place = _in_turn(held, np.flatnonzero(several))
    begin = np.flatnonzero(_begins(held, row, place))
    runs = zip(begin, np.diff(begin, append=len(row)), strict=True)
    starts = np.concatenate([start + _cuts(rng, int(events), history) for start, events in runs])
    sizes = np.diff(starts, append=len(row))
    into = np.repeat(np.arange(len(starts)), sizes)
    at = history - np.repeat(starts + sizes, sizes) + np.arange(len(row))
    cut = held.take(row[starts])
    for name in ("index", "past", "target"):
        values = getattr(cut, name)
        values[:] = 0
        values[into, at] = getattr(held, name)[row, place]
    return join(held.take(~several), cut)


def _in_turn(held: Windows, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Window and place of every target of these windows, guest by guest."""
    order = chosen[np.argsort(held.guest[chosen], kind="stable")]
    row, place = np.nonzero(held.target[order])
    return order[row], place


def _begins(held: Windows, row: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where another guest begins, or what came next is not what the next place holds."""
    same = held.guest[row[1:]] == held.guest[row[:-1]]
    follows = held.index[row[1:], place[1:]] == held.target[row[:-1], place[:-1]]
    return np.concatenate([[True], ~(same & follows)])


def _cuts(rng: np.random.Generator, events: int, history: int) -> Ints:
    """Where each window begins: all are full but the first and the last, and as many as there need be for that."""
    if events <= history:
        return np.zeros(1, np.int32)
    rest = events % history
    first = int(rng.integers(max(1, rest), min(history, history + rest - 1) + 1))
    return np.concatenate([[0], np.arange(first, events, history)]).astype(np.int32)


def in_order(held: Windows, size: int) -> Iterator[Batch]:
    of = lengths(held)
    for length in np.unique(of):
        for chosen in _cut(np.flatnonzero(of == length), size):
            yield Batch(chosen, int(length))


def _cut(places: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [places[start : start + size] for start in range(0, len(places), size)]
