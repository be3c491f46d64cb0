"""What a network has to beat, in plain NumPy, on the same windows: popularity, item-kNN, Markov chains, EASE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from preference.metrics import means, ranks
from preference.sets import Floats, PreparedSet, Windows

Matrix = NDArray[np.float64]
_DECAYS = (0.5, 0.7, 0.9)  # of kNN and EASE: how much less an event counts than the one after it
_LAGS = (
    (1.0, 0.2, 0.1),
    (1.0, 0.4, 0.2),
    (1.0, 0.7, 0.5),
)  # weight of the last, the one before, and the one before that
_SHRINK = 20.0  # of a chain's row, towards popularity
_RIDGE = 300.0  # of EASE (Steck, 2019), per 10,000 guests and at least
_NEIGHBOUR_SHRINK = 10.0


class Ranker(Protocol):
    def __call__(self, held: Windows) -> Floats:
        """(C, rows) scores."""
        ...


def popularity(prepared: PreparedSet) -> Ranker:
    counts = taken_counts(prepared)
    return lambda held: np.tile(counts.astype(np.float32), (len(held), 1))


def markov(prepared: PreparedSet, lags: tuple[float, ...] = (1.0,)) -> Ranker:
    """From each of the last events to what came after it, shrunk towards popularity; lags mixed by weight."""
    share = _shares(taken_counts(prepared))
    chains = [_chain(prepared, lag) for lag in range(1, len(lags) + 1)]
    tables = [(chain + _SHRINK * share) / (chain.sum(1, keepdims=True) + _SHRINK) for chain in chains]

    def score(held: Windows) -> Floats:
        total = np.tile(share * 1e-6, (len(held), 1))
        for lag, (weight, table) in enumerate(zip(lags, tables, strict=True), 1):
            if lag <= held.index.shape[1]:
                total += weight * table[held.index[:, -lag]]
        return total.astype(np.float32)

    return score


def markov_mixture(prepared: PreparedSet) -> Ranker:
    return _best(prepared, [markov(prepared, lags) for lags in _LAGS])


def item_knn(prepared: PreparedSet) -> Ranker:
    """Cosine of items that guests had together, shrunk for those had seldom."""
    together = _together(prepared)
    count = np.diag(together)
    near = together / (np.sqrt(np.outer(count, count)) + _NEIGHBOUR_SHRINK)
    np.fill_diagonal(near, 0)
    return _best(prepared, [_linear(near, decay) for decay in _DECAYS])


def ease(prepared: PreparedSet) -> Ranker:
    """The closed form of a linear model in which no item speaks for itself."""
    together = _together(prepared)
    guests = len(np.unique(prepared.train.guest))
    inverse = np.linalg.inv(together + np.eye(len(together)) * max(10.0, _RIDGE * guests / 10_000))
    weights = -inverse / np.diag(inverse)[None]
    np.fill_diagonal(weights, 0)
    weights[0] = weights[:, 0] = 0
    return _best(prepared, [_linear(weights, decay) for decay in _DECAYS])


PEERS: Mapping[str, Callable[[PreparedSet], Ranker]] = {
    "popularity": popularity,
    "item-kNN": item_knn,
    "Markov": markov,
    "Markov, last 3": markov_mixture,
    "EASE": ease,
}


@dataclass(frozen=True, slots=True)
class Pair:
    """What came before, and what then: rows of equal length."""

    before: NDArray[np.int32]
    after: NDArray[np.int32]


def taken_counts(prepared: PreparedSet) -> Matrix:
    """(rows,) how often each item came next in the train part; for chains the first of each too."""
    train = prepared.train
    counts = np.bincount(train.target.reshape(-1), minlength=prepared.about.count + 1).astype(np.float64)
    if train.chained and len(train):
        first = train.index[np.arange(len(train)), (train.index > 0).argmax(1)]
        counts += np.bincount(first, minlength=len(counts))
    counts[0] = 0
    return counts


def _chain(prepared: PreparedSet, lag: int) -> Matrix:
    """(rows, rows) how often the second came `lag` events after the first."""
    size = prepared.about.count + 1
    pair = _pairs(prepared.train, lag)
    table = np.bincount(pair.before.astype(np.int64) * size + pair.after, minlength=size * size).reshape(size, size)
    table[0] = table[:, 0] = 0
    return table.astype(np.float64)


def _pairs(train: Windows, lag: int) -> Pair:
    history = train.index.shape[1]
    if lag > history:
        return Pair(np.zeros(0, np.int32), np.zeros(0, np.int32))
    if train.chained:
        return Pair(train.index[:, : history - lag + 1].reshape(-1), train.target[:, lag - 1 :].reshape(-1))
    return Pair(train.index[:, -lag], train.target[:, 0])


def _together(prepared: PreparedSet) -> Matrix:
    """(rows, rows) how many guests had both; the diagonal is how many had it."""
    train = prepared.train
    people, inverse = np.unique(train.guest, return_inverse=True)
    had = np.zeros((len(people), prepared.about.count + 1), np.float32)
    for held in (train.index, train.target):
        had[np.repeat(inverse, held.shape[1]), held.reshape(-1)] = 1
    had[:, 0] = 0
    return np.asarray(had.T @ had, np.float64)


def _best(prepared: PreparedSet, rankers: Sequence[Ranker]) -> Ranker:
    """By the valid part: a peer is to be at its best."""
    valid = prepared.parts["valid"]
    bars = valid.bars(prepared.about.count)
    return max(rankers, key=lambda ranker: means(ranks(ranker(valid), bars, valid.target[:, -1]))["NDCG@5"])


def _linear(table: Matrix, decay: float) -> Ranker:
    def score(held: Windows) -> Floats:
        places = held.index.shape[1]
        scores = np.zeros((len(held), len(table)))
        for back in range(places):
            rows = held.index[:, places - 1 - back]
            scores += decay**back * np.where(rows[:, None] > 0, table[rows], 0.0)
        return scores.astype(np.float32)

    return score


def _shares(counts: Matrix) -> Matrix:
    return np.asarray(counts / max(1.0, counts.sum()))
