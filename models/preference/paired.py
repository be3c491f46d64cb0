"""How much better one is than another on the very same cases: 95 % intervals of the difference, drawn over guests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from preference.metrics import Figure, Values, auc
from preference.sets import Floats, Ints

DRAWS = 1000


def difference(first: Values, second: Values, guest: Ints, seed: int = 0) -> Figure:
    """Of means; each (C,), a value for each case."""
    people, inverse = np.unique(guest, return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(people), np.full(len(people), 1 / len(people)), size=DRAWS)
    sums = np.bincount(inverse, weights=first - second, minlength=len(people))
    found = (draws @ sums) / (draws @ np.bincount(inverse, minlength=len(people)))
    low, high = np.percentile(found, [2.5, 97.5])
    return Figure(float((first - second).mean()), float(low), float(high))


def auc_difference(first: Floats, second: Floats, took: NDArray[np.int8], guest: Ints, seed: int = 0) -> Figure:
    """Of areas under the curve; each (C,), a forecast for each offer."""
    people, inverse = np.unique(guest, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    of_person = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    rng, found = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        places = np.concatenate([of_person[one] for one in rng.integers(0, len(people), len(people))])
        found.append(auc(first[places], took[places]) - auc(second[places], took[places]))
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return Figure(auc(first, took) - auc(second, took), float(low), float(high))
