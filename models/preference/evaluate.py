"""A model and its peers on one part of a set, in one run: what is in the README and on the card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preference import peers, peers_offers
from preference.errors import NeedsExtra
from preference.metrics import (
    Figure,
    Gap,
    auc_figure,
    calibration,
    chances,
    coverage,
    ece_figure,
    figures,
    gap,
    gini,
    log_loss,
    per_case,
    popularity_bias,
    ranks,
    shares_by_popularity,
    top,
)
from preference.sets import Bools, Floats, PreparedSet, Windows
from steward.domain.features import FEATURES_ID, ITEM_NAMES

_LISTED = 5  # how many a guest is shown: coverage and popularity bias are of these
_RECALL_MAX = 20
_GROUP_CASES_MIN = 50
_COUNTED = ("popularity", "share taken")  # peers that need nothing but counts
_OUTLET = [place for place, name in enumerate(ITEM_NAMES) if name.startswith("outlet=")]
GROUP_METRICS = ("NDCG@5", "HR@1")
_PASTS = {"nothing": (0, 0), "1 to 4": (1, 4), "5 to 11": (5, 11), "12 and more": (12, 10**9)}  # things done before
Say = Callable[[str], None]
Tells = Callable[[Windows], Floats]


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the cases. figures: of GROUP_METRICS; for forecasts AUC."""

    cases: int
    guests: int
    figures: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well one ranker ranks. recall: at 1, 2, ...; curve: forecast, truth, cases.

    here: the figures among what the outlet has, which is what a gateway ranks; None: the items are of no outlets.
    gini: how unevenly items share the first five; by_popularity: the share of each tenth of the catalogue, the most
    popular first; gini_taken, taken_by_popularity: the same of what was really taken. groups: by "way: group"; gaps: by
    way. pasts: by how much the guest had done before.
    """

    figures: dict[str, Figure]
    recall: list[float]
    coverage: float
    popularity_bias: float
    gini: float
    gini_taken: float
    by_popularity: list[float]
    taken_by_popularity: list[float]
    here: dict[str, Figure] | None = None
    ece: Figure | None = None
    curve: tuple[list[float], list[float], list[int]] | None = None
    groups: dict[str, Group] = field(default_factory=dict)
    gaps: dict[str, Gap] = field(default_factory=dict)
    pasts: dict[str, Group] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forecasting:
    """How well the answer to an offer is forecast."""

    auc: Figure
    log_loss: float
    ece: Figure
    curve: tuple[list[float], list[float], list[int]]
    groups: dict[str, Group]


@dataclass(frozen=True, slots=True)
class Cold:
    """Cases whose answer is one of `items`, which nobody had before: each way of ranking, with all its metrics."""

    items: tuple[str, ...]
    cases: int
    rankings: dict[str, dict[str, Figure]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Of one part of one set; by name of model or peer, in the order they are to be shown."""

    set_name: str
    part: str
    cases: int
    guests: int
    offers: int
    rankings: dict[str, Ranking]
    forecasts: dict[str, Forecasting]
    cold: Cold | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One of ours under a name: what it says of windows."""

    name: str
    interest: Tells
    take: Tells
    calibrated: bool = True  # whether its interest may be read as log chances


def evaluate(
    prepared: PreparedSet,
    part: str,
    models: list[Model],
    say: Say,
    *,
    with_peers: bool = True,
    guests_max: int | None = None,
) -> Evaluation:
    """Every model and peer, one after the other; without peers, only what needs no more than counting.

    guests_max: evenly chosen, where there are more.
    """
    held = _of_some(prepared.parts[part], guests_max)
    ranked = held.take(held.target[:, -1] > 0)
    offered = held.take((held.offered > 0) & (held.took >= 0))
    rankings: dict[str, Ranking] = {}
    forecasts: dict[str, Forecasting] = {}
    if len(ranked):
        for name, tells, calibrated in _rankers(prepared, models, with_peers):
            say(name)
            rankings[name] = _ranking(prepared, ranked, tells, calibrated)
    if len(offered):
        for name, forecast in _forecasters(prepared, models, with_peers, say):
            say(name)
            forecasts[name] = _forecasting(prepared, offered, forecast(offered))
    return Evaluation(
        set_name=prepared.about.name,
        part=part,
        cases=len(ranked),
        guests=len(np.unique(held.guest)),
        offers=len(offered),
        rankings=rankings,
        forecasts=forecasts,
    )


def measure_cold(
    prepared: PreparedSet, part: str, rows: list[int], tells: Mapping[str, Tells], guests_max: int | None = None
) -> Cold:
    """tells: name -> what it says of windows. rows: of the items that are new."""
    held = _of_some(prepared.parts[part], guests_max)
    held = held.take(np.isin(held.target[:, -1], rows))
    bars = held.bars(prepared.about.count)
    rankings = {
        name: figures(ranks(tell(held), bars, held.target[:, -1]), held.guest) if len(held) else {}
        for name, tell in tells.items()
    }
    return Cold(tuple(prepared.about.items[row - 1] for row in rows), len(held), rankings)


def _of_some(held: Windows, guests_max: int | None) -> Windows:
    people = np.unique(held.guest)
    if guests_max is None or len(people) <= guests_max:
        return held
    chosen = people[np.linspace(0, len(people) - 1, guests_max).astype(np.int64)]
    return held.take(np.isin(held.guest, chosen))


def _rankers(prepared: PreparedSet, models: list[Model], with_peers: bool) -> Iterator[tuple[str, Tells, bool]]:
    for name, fit in peers.PEERS.items():
        if with_peers or name in _COUNTED:
            yield name, fit(prepared), False
    for model in models:
        yield model.name, model.interest, model.calibrated


def _forecasters(prepared: PreparedSet, models: list[Model], with_peers: bool, say: Say) -> Iterator[tuple[str, Tells]]:
    for name, fit in peers_offers.PEERS.items():
        if not with_peers and name not in _COUNTED:
            continue
        try:
            forecast = fit(prepared)
        except NeedsExtra as error:
            say(f"{name} is left out: {error}")
            continue
        yield name, forecast
    for model in models:
        yield model.name, model.take


def _ranking(prepared: PreparedSet, held: Windows, tells: Tells, calibrated: bool) -> Ranking:
    bars, target = held.bars(prepared.about.count), held.target[:, -1]
    scores = tells(held)
    rank = ranks(scores, bars, target)
    best = top(scores, bars, _LISTED)
    told = _confidence(scores, bars, best, target) if calibrated else None
    groups = _group_masks(prepared, held)
    past = (held.index > 0).sum(1)
    pasts = {name: (past >= low) & (past <= high) for name, (low, high) in _PASTS.items()}
    popularity = peers.taken_counts(prepared)
    listed, taken = (np.bincount(rows.reshape(-1), minlength=len(popularity))[1:] for rows in (best, target))
    return Ranking(
        figures=figures(rank, held.guest),
        recall=[float((rank < cut).mean()) for cut in range(1, min(_RECALL_MAX, prepared.about.count) + 1)],
        coverage=coverage(best, prepared.about.count),
        popularity_bias=popularity_bias(best, target, popularity),
        gini=gini(listed),
        gini_taken=gini(taken),
        by_popularity=shares_by_popularity(listed, popularity[1:]),
        taken_by_popularity=shares_by_popularity(taken, popularity[1:]),
        here=_at_the_outlet(prepared, held, scores, bars),
        ece=None if told is None else ece_figure(*told, held.guest),
        curve=None if told is None else _curve(*told),
        groups={name: _ranked_group(rank, held, mask) for name, mask in groups.items()},
        gaps=_gaps(per_case(rank)["NDCG@5"], held.guest, groups),
        pasts={name: _ranked_group(rank, held, mask) for name, mask in pasts.items() if mask.any()},
    )


def _at_the_outlet(prepared: PreparedSet, held: Windows, scores: Floats, bars: Bools) -> dict[str, Figure] | None:
    if prepared.about.features_id != FEATURES_ID:
        return None
    target, outlet = held.target[:, -1], prepared.item_features[:, _OUTLET]
    elsewhere = np.stack([(outlet != of).any(1) for of in outlet])  # (rows, rows)
    return figures(ranks(scores, bars | elsewhere[target], target), held.guest)


def _group_masks(prepared: PreparedSet, held: Windows) -> dict[str, NDArray[np.bool_]]:
    """The cases of each group that is large enough to speak of."""
    group = held.group.reshape(len(held), -1)
    masks = {name: (group == number).any(1) for number, name in enumerate(prepared.about.groups)}
    return {name: mask for name, mask in masks.items() if mask.sum() >= _GROUP_CASES_MIN}


def _ranked_group(rank: NDArray[np.int64], held: Windows, mask: NDArray[np.bool_]) -> Group:
    found = figures(rank[mask], held.guest[mask])
    guests = len(np.unique(held.guest[mask]))
    return Group(int(mask.sum()), guests, {metric: found[metric] for metric in GROUP_METRICS})


def _gaps(values: NDArray[np.float64], guest: Any, masks: dict[str, NDArray[np.bool_]]) -> dict[str, Gap]:
    """The largest gap in each way of grouping: what is before the colon of its groups' names."""
    ways: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for name, mask in masks.items():
        way, _, group = name.rpartition(": ")
        ways.setdefault(way, {})[group] = mask
    return {way: gap(values, guest, groups) for way, groups in ways.items() if len(groups) > 1}


def _confidence(scores: Floats, bars: Bools, best: Any, target: Any) -> tuple[Floats, NDArray[np.bool_]]:
    """How sure the model is of its first choice, and whether it was right."""
    sure = chances(scores, bars)[np.arange(len(best)), best[:, 0]]
    return sure, best[:, 0] == target


def _forecasting(prepared: PreparedSet, held: Windows, chance: Floats) -> Forecasting:
    hit = held.took == 1
    return Forecasting(
        auc=auc_figure(chance, held.took, held.guest),
        log_loss=log_loss(chance, held.took),
        ece=ece_figure(chance, hit, held.guest),
        curve=_curve(chance, hit),
        groups={
            name: _forecast_group(chance, held, mask)
            for name, mask in _group_masks(prepared, held).items()
            if len(set(held.took[mask].tolist())) == 2
        },
    )


def _forecast_group(chance: Floats, held: Windows, mask: NDArray[np.bool_]) -> Group:
    found = auc_figure(chance[mask], held.took[mask], held.guest[mask])
    return Group(int(mask.sum()), len(np.unique(held.guest[mask])), {"AUC": found})


def _curve(told: Floats, hit: NDArray[np.bool_]) -> tuple[list[float], list[float], list[int]]:
    forecast, true, count = calibration(told, hit)
    return forecast.tolist(), true.tolist(), count.tolist()
