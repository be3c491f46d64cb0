"""Where attention begins: as a network that knows which items guests take one soon after the other.

Its items' products are near their pointwise mutual information (Church and Hanks, 1990), along one direction lies how
often each is taken, and its layers add little yet. From there it learns in one epoch what takes ten from chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from preference.network import Network
from preference.sets import Windows

_NEAR = 3  # places apart at most
_SWEEPS, _SPARE = 6, 16  # of the subspace iteration, after which vectors change no more
_POPULAR = 0.5  # how much of a vector's length
_SHARP = 1.5  # of the first scores
_SMALL = 0.1  # what layers add at first, as a share of what they would


def start(network: Network, held: Windows, seed: int) -> None:
    items, width = network.config.items, network.config.query
    near = _together(held, items)
    count = near.sum(1)
    often = np.log(np.maximum(count, count[count > 0].min(initial=1.0)))
    often[1:] -= often[1:].mean()
    vectors = _vectors(_information(near), width, seed) + _POPULAR * often[:, None] / width**0.5
    variables = network.variables
    variables["rest"].assign(vectors.astype(np.float32))
    variables["q_out_bias"].assign(np.full(width, 1 / _POPULAR / width**0.5, np.float32))
    variables["norm"].assign(np.full(width, _SHARP / width**0.5, np.float32))
    for name, value in variables.items():
        if name == "q_out" or name.endswith((".out", ".deep_out")):
            value.assign(value * _SMALL)


def _together(held: Windows, items: int) -> NDArray[np.float64]:
    """(items + 1, items + 1): how often two items lie near each other; the farther apart, the less it counts."""
    found = np.zeros((items + 1, items + 1))
    history = held.index.shape[1]
    for apart in range(min(_NEAR, history)):
        one, other = held.index[:, : history - apart], held.target[:, apart:]
        some = (one > 0) & (other > 0)
        np.add.at(found, (one[some], other[some]), 1 / (apart + 1))
    return found + found.T


def _information(near: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much two items are together more often than by chance, in nats; 0 where they are not."""
    count = near.sum(1)
    chance = np.outer(count, count) / max(count.sum(), 1.0)
    ratio = np.divide(near, chance, where=chance > 0, out=np.ones_like(near))
    found: NDArray[np.float64] = np.log(np.maximum(ratio, 1.0))
    return found


def _vectors(products: NDArray[np.float64], width: int, seed: int) -> NDArray[np.float64]:
    """(items + 1, width), their products as near as can be, and the sum of each vector 0."""
    basis: Any = np.random.default_rng([seed, 5]).standard_normal((len(products), width + _SPARE))
    for _ in range(_SWEEPS):
        basis, _ = np.linalg.qr(products @ basis)
    values, turn = np.linalg.eigh(basis.T @ products @ basis)
    best = np.argsort(values)[::-1][:width]
    found: NDArray[np.float64] = np.zeros((len(products), width))
    found[:, : len(best)] = basis @ turn[:, best] * np.sqrt(np.maximum(values[best], 0.0))
    found -= found.mean(1, keepdims=True)
    return found
