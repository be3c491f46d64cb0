"""What a ranking and a forecast are worth: full ranking, nothing sampled, ties to the lower row, 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preference.sets import Bools, Floats, Ints

CUTS = (1, 3, 5, 10)
_BINS = 15
_DRAWS = 1000
_NO_RANK = 10**9

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over cases with its bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def ranks(scores: Floats, barred: Bools, target: Ints) -> NDArray[np.int64]:
    """(C,) 0-based rank of each case's target among all rows that are not barred.

    scores: (C, rows), integers or floats. A target that is barred, or whose score is no number, is listed nowhere.
    """
    cases = np.arange(len(target))
    score = np.where(barred | ~np.isfinite(scores), -np.inf, scores.astype(np.float64))
    own = score[cases, target][:, None]
    rows = np.arange(scores.shape[1])[None]
    better = (score > own) | ((score == own) & (rows < target[:, None]))
    return np.where(np.isfinite(own[:, 0]), better.sum(1), _NO_RANK)


def per_case(rank: NDArray[np.int64]) -> dict[str, Values]:
    """Metric -> its value for each case."""
    place = rank.astype(np.float64)
    gain = 1 / np.log2(place + 2)
    hits = {f"HR@{cut}": (place < cut).astype(np.float64) for cut in CUTS}
    gains = {f"NDCG@{cut}": np.where(place < cut, gain, 0.0) for cut in CUTS if cut > 1}
    return {**hits, **gains, "MRR": 1 / (place + 1)}


def figures(rank: NDArray[np.int64], guest: Ints, seed: int = 0) -> dict[str, Figure]:
    """Of all metrics, with 95 % intervals drawn over guests: cases of one guest are not independent."""
    people, inverse = np.unique(guest, return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(people), np.full(len(people), 1 / len(people)), size=_DRAWS)
    sizes = np.bincount(inverse, minlength=len(people))
    cases = draws @ sizes
    found = {}
    for name, values in per_case(rank).items():
        means = (draws @ np.bincount(inverse, weights=values, minlength=len(people))) / cases
        low, high = np.percentile(means, [2.5, 97.5])
        found[name] = Figure(float(values.mean()), float(low), float(high))
    return found


def means(rank: NDArray[np.int64]) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in per_case(rank).items()}


def auc(chance: Floats, took: NDArray[np.int8]) -> float:
    """The chance that who took it had a higher forecast than who did not; ties count half. NaN with one kind only."""
    yes, no = int((took == 1).sum()), int((took == 0).sum())
    if not yes or not no:
        return float("nan")
    _, inverse, counts = np.unique(chance, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2  # mean place of each value, from 1
    return float((middle[inverse][took == 1].sum() - yes * (yes + 1) / 2) / (yes * no))


def auc_figure(chance: Floats, took: NDArray[np.int8], guest: Ints, seed: int = 0, draws: int = 200) -> Figure:
    """With its 95 % interval, drawn over guests."""
    order = np.argsort(guest, kind="stable")
    bounds = np.append(np.flatnonzero(np.diff(guest[order], prepend=guest[order][0] - 1)), len(guest))
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        chosen = rng.integers(0, len(bounds) - 1, len(bounds) - 1)
        places = np.concatenate([order[bounds[one] : bounds[one + 1]] for one in chosen])
        found.append(auc(chance[places], took[places]))
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return Figure(auc(chance, took), float(low), float(high))


def log_loss(chance: Floats, took: NDArray[np.int8]) -> float:
    sure = np.clip(chance.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(took == 1, np.log(sure), np.log1p(-sure))))


def calibration(chance: Floats, hit: NDArray[np.bool_], bins: int = _BINS) -> tuple[Values, Values, NDArray[np.int64]]:
    """(mean forecast, share that came true, cases) of each bin that is not empty; bins of equal width."""
    place = np.minimum((chance * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    kept = count > 0
    told = np.bincount(place, weights=chance, minlength=bins)[kept] / count[kept]
    true = np.bincount(place, weights=hit, minlength=bins)[kept] / count[kept]
    return told, true, count[kept]


def ece(chance: Floats, hit: NDArray[np.bool_], bins: int = _BINS) -> float:
    """Expected calibration error: the mean distance of forecast and truth, bins weighted by their cases."""
    told, true, count = calibration(chance, hit, bins)
    return float((np.abs(told - true) * count).sum() / max(1, count.sum()))


def chances(interest: Floats, barred: Bools) -> Floats:
    """(C, rows) softmax over what is not barred."""
    score = np.where(barred, -np.inf, interest.astype(np.float64))
    score -= np.max(score, axis=1, keepdims=True, initial=-1e30)
    weight = np.exp(score)
    shares: Floats = (weight / np.maximum(weight.sum(1, keepdims=True), 1e-30)).astype(np.float32)
    return shares


def top(scores: Floats, barred: Bools, count: int) -> Ints:
    """(C, count) best rows first; ties to the lower row."""
    score = np.where(barred, -np.inf, scores.astype(np.float64))
    return np.argsort(-score, axis=1, kind="stable")[:, :count].astype(np.int32)


def coverage(best: Ints, items: int) -> float:
    """The share of the catalogue that is on anybody's list at all."""
    return len(np.unique(best[best > 0])) / items


def popularity_bias(best: Ints, target: Ints, popularity: Values) -> float:
    """Mean popularity (share of all that was taken) of what is listed, over that of what was really taken. 1: none."""
    share = popularity / max(1.0, popularity.sum())
    return float(share[best].mean() / max(1e-12, share[target].mean()))
