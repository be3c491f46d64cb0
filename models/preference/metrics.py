"""What a ranking and a forecast are worth: full ranking, nothing sampled, ties to the lower row, 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preference.sets import Bools, Floats, Ints

CUTS = (1, 3, 5, 10)
_BINS = 15
_DRAWS = 1000
_LOTS = 500
_TENTHS = 10
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
    draws = _guest_draws(len(people), seed)
    sizes = np.bincount(inverse, minlength=len(people))
    cases = draws @ sizes
    found = {}
    for name, values in per_case(rank).items():
        means = (draws @ np.bincount(inverse, weights=values, minlength=len(people))) / cases
        found[name] = _figure(float(values.mean()), means)
    return found


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest difference between two groups. figure: of `best` minus `worst`, its interval drawn over guests.

    by_chance: up to where the largest difference is, in 95 of 100 tries, if guests are put into the groups by lot. The
    largest of several differences is never zero; one below this says nothing.
    """

    best: str
    worst: str
    figure: Figure
    by_chance: float


def gap(values: Values, guest: Ints, groups: Mapping[str, NDArray[np.bool_]], seed: int = 0) -> Gap:
    """values: one for each case. groups: name -> mask of its cases, two at least; no case is in two of them."""
    names, group = list(groups), np.stack(list(groups.values())).argmax(0)
    kept = np.any(list(groups.values()), axis=0)
    values, group = values[kept], group[kept]
    people, inverse = np.unique(guest[kept], return_inverse=True)
    parts, part = np.unique(inverse * len(names) + group, return_inverse=True)  # what one guest did in one group
    sums = np.stack([np.bincount(part, weights=values), np.bincount(part).astype(np.float64)])
    of = np.stack([parts % len(names) == place for place in range(len(names))])
    mean = _group_means(sums, of)
    best, worst = int(mean.argmax()), int(mean.argmin())
    draws = _guest_draws(len(people), seed)[:, parts // len(names)]
    above, below = (draws @ (sums * of[place]).T for place in (best, worst))
    spread = above[:, 0] / np.maximum(1, above[:, 1]) - below[:, 0] / np.maximum(1, below[:, 1])
    rng = np.random.default_rng([seed, 1])
    by_lot = [np.ptp(_group_means(sums, of[:, rng.permutation(len(parts))])) for _ in range(_LOTS)]
    found = _figure(float(mean[best] - mean[worst]), spread)
    return Gap(names[best], names[worst], found, float(np.percentile(by_lot, 95)))


def _group_means(sums: Values, of: NDArray[np.bool_]) -> Values:
    value, count = sums @ of.T
    return np.asarray(value / np.maximum(1, count))


def _guest_draws(people: int, seed: int) -> NDArray[np.int64]:
    """(draws, people): how often each guest is drawn, as many as there are."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(people, np.full(people, 1 / people), size=_DRAWS).astype(np.int64)


def _figure(mean: float, drawn: Values) -> Figure:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(mean, float(low), float(high))


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


def ece_figure(chance: Floats, hit: NDArray[np.bool_], guest: Ints, seed: int = 0, bins: int = _BINS) -> Figure:
    """With its 95 % interval, drawn over guests; as no error is below zero, that of a small one lies above it."""
    people, inverse = np.unique(guest, return_inverse=True)
    place = inverse * bins + np.minimum((chance * bins).astype(np.int64), bins - 1)
    off = np.bincount(place, weights=chance - hit, minlength=len(people) * bins).reshape(len(people), bins)
    drawn = _guest_draws(len(people), seed)
    errors = np.abs(drawn @ off).sum(1) / (drawn @ np.bincount(inverse, minlength=len(people)))
    return _figure(ece(chance, hit, bins), errors)


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


def gini(counts: NDArray[Any]) -> float:
    """How unevenly the items share: 0 all alike, towards 1 all to one (Gini, 1912)."""
    ordered = np.sort(counts)
    place = np.arange(1, len(ordered) + 1)
    return float(((2 * place - len(ordered) - 1) * ordered).sum() / (len(ordered) * max(1e-12, ordered.sum())))


def shares_by_popularity(counts: NDArray[Any], popularity: Values) -> list[float]:
    """The share of all counts of each tenth of the items, the most popular first; fewer parts of fewer than ten."""
    order = np.argsort(-popularity, kind="stable")
    whole = max(1e-12, float(counts.sum()))
    return [float(counts[part].sum() / whole) for part in np.array_split(order, min(_TENTHS, len(order)))]


def popularity_bias(best: Ints, target: Ints, popularity: Values) -> float:
    """Mean popularity (share of all that was taken) of what is listed, over that of what was really taken. 1: none."""
    share = popularity / max(1.0, popularity.sum())
    return float(share[best].mean() / max(1e-12, share[target].mean()))
