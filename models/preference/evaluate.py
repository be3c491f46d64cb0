"""A model and its peers on one part of a set, in one run: what is in the README and on the card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preference import peers, peers_offers
from preference.errors import BadData, NeedsExtra
from preference.metrics import (
    Figure,
    auc,
    auc_figure,
    calibration,
    chances,
    coverage,
    ece,
    figures,
    log_loss,
    popularity_bias,
    ranks,
    top,
)
from preference.sets import Bools, Floats, PreparedSet, Windows

_LISTED = 5  # how many a guest is shown: coverage and popularity bias are of these
_RECALL_MAX = 20
_GROUP_CASES_MIN = 50
Say = Callable[[str], None]
Tells = Callable[[Windows], Floats]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well one ranker ranks. recall: at 1, 2, ...; groups: NDCG@5 of each; curve: forecast, truth, cases."""

    figures: dict[str, Figure]
    recall: list[float]
    coverage: float
    popularity_bias: float
    ece: float | None = None
    curve: tuple[list[float], list[float], list[int]] | None = None
    groups: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forecasting:
    """How well the answer to an offer is forecast."""

    auc: Figure
    log_loss: float
    ece: float
    curve: tuple[list[float], list[float], list[int]]
    groups: dict[str, float]


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


@dataclass(frozen=True, slots=True)
class Model:
    """One of ours under a name: what it says of windows."""

    name: str
    interest: Tells
    take: Tells
    calibrated: bool = True  # whether its interest may be read as log chances


def evaluate(prepared: PreparedSet, part: str, models: list[Model], say: Say, *, with_peers: bool = True) -> Evaluation:
    """Every model and peer, one after the other."""
    held = prepared.parts[part]
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


def save(path: Path, found: Evaluation) -> None:
    path.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")


def load(path: Path) -> Evaluation:
    """Raises BadData."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        rankings = {name: _ranking_of(fields) for name, fields in read["rankings"].items()}
        forecasts = {
            name: Forecasting(**{**fields, "auc": Figure(**fields["auc"]), "curve": tuple(fields["curve"])})
            for name, fields in read["forecasts"].items()
        }
        return Evaluation(**{**read, "rankings": rankings, "forecasts": forecasts})
    except OSError as error:
        raise BadData(path, 0, "no figures here: make them with `preference evaluate`") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(path, 0, "are no figures of this version: run `preference evaluate` again") from error


def _rankers(prepared: PreparedSet, models: list[Model], with_peers: bool) -> Iterator[tuple[str, Tells, bool]]:
    if with_peers:
        for name, fit in peers.PEERS.items():
            yield name, fit(prepared), False
    for model in models:
        yield model.name, model.interest, model.calibrated


def _forecasters(prepared: PreparedSet, models: list[Model], with_peers: bool, say: Say) -> Iterator[tuple[str, Tells]]:
    if with_peers:
        for name, fit in peers_offers.PEERS.items():
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
    return Ranking(
        figures=figures(rank, held.guest),
        recall=[float((rank < cut).mean()) for cut in range(1, min(_RECALL_MAX, prepared.about.count) + 1)],
        coverage=coverage(best, prepared.about.count),
        popularity_bias=popularity_bias(best, target, peers.taken_counts(prepared)),
        ece=None if told is None else ece(*told),
        curve=None if told is None else _curve(*told),
        groups={
            name: figures(rank[held.group == number], held.guest[held.group == number])["NDCG@5"]
            for number, name in enumerate(prepared.about.groups)
            if (held.group == number).sum() >= _GROUP_CASES_MIN
        },
    )


def _confidence(scores: Floats, bars: Bools, best: Any, target: Any) -> tuple[Floats, NDArray[np.bool_]]:
    """How sure the model is of its first choice, and whether it was right."""
    sure = chances(scores, bars)[np.arange(len(best)), best[:, 0]]
    return sure, best[:, 0] == target


def _forecasting(prepared: PreparedSet, held: Windows, chance: Floats) -> Forecasting:
    hit = held.took == 1
    groups = {
        name: auc(chance[held.group == number], held.took[held.group == number])
        for number, name in enumerate(prepared.about.groups)
        if (held.group == number).sum() >= _GROUP_CASES_MIN
    }
    return Forecasting(
        auc=auc_figure(chance, held.took, held.guest),
        log_loss=log_loss(chance, held.took),
        ece=ece(chance, hit),
        curve=_curve(chance, hit),
        groups={name: value for name, value in groups.items() if np.isfinite(value)},
    )


def _curve(told: Floats, hit: NDArray[np.bool_]) -> tuple[list[float], list[float], list[int]]:
    forecast, true, count = calibration(told, hit)
    return forecast.tolist(), true.tolist(), count.tolist()


def _ranking_of(fields: dict[str, Any]) -> Ranking:
    return Ranking(
        **{
            **fields,
            "figures": {name: Figure(**figure) for name, figure in fields["figures"].items()},
            "groups": {name: Figure(**figure) for name, figure in fields["groups"].items()},
            "curve": None if fields["curve"] is None else tuple(fields["curve"]),
        }
    )
