"""What was measured, as tables of words: the terminal and the card show the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from preference.evaluate import GROUP_METRICS, Cold, Evaluation, Forecasting, Group, Ranking
from preference.metrics import Gap

METRICS = ("HR@1", "HR@3", "NDCG@5", "HR@10", "NDCG@10", "MRR")
_FEW_METRICS = ("HR@1", "HR@3", "NDCG@5", "MRR")
_COLD_METRICS = ("HR@1", "HR@3", "NDCG@5", "HR@10", "MRR")
_BASE = "popularity"  # groups are shown of it too, where it was measured: what is hard to rank for anybody


@dataclass(frozen=True, slots=True)
class Words:
    """note: how to read it, for the card."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def of(found: Evaluation) -> Iterator[Words]:
    """Those that there are figures for."""
    if found.rankings:
        yield _ranking(found)
        if any(each.here for each in found.rankings.values()):
            yield _here(found.rankings)
        yield _exposure(found.rankings)
        name, last = list(found.rankings.items())[-1]
        if last.groups:
            yield _groups(found.rankings, name)
        if last.gaps:
            yield _gaps(name, last.gaps)
        yield _pasts(found.rankings)
    if found.forecasts:
        yield _forecasts(found)
        name, forecast = list(found.forecasts.items())[-1]
        if forecast.groups:
            yield _forecast_groups(name, forecast)
    if found.cold is not None:
        yield _cold(found.cold)


def _ranking(found: Evaluation) -> Words:
    rows = tuple(
        (name, *(str(ranking.figures[metric]) for metric in METRICS)) for name, ranking in found.rankings.items()
    )
    return Words(f"Ranking, {found.cases} cases", ("", *METRICS), rows)


def _here(rankings: dict[str, Ranking]) -> Words:
    rows = tuple(
        (name, *(str(each.here[metric]) for metric in _FEW_METRICS)) for name, each in rankings.items() if each.here
    )
    return Words(
        "Ranking at the outlet",
        ("", *_FEW_METRICS),
        rows,
        "Among what the outlet has where the guest stands, as on a gateway. The figures of the whole catalogue flatter "
        "a model beside its peers, as it is told where the guest stands and they are not.",
    )


def _exposure(rankings: dict[str, Ranking]) -> Words:
    rows = tuple(
        (
            name,
            f"{each.coverage:.3f}",
            f"{each.popularity_bias:.3f}",
            f"{each.gini:.3f}",
            f"{each.gini_taken:.3f}",
            "" if each.ece is None else str(each.ece),
        )
        for name, each in rankings.items()
    )
    return Words(
        "What is listed, and how sure it is",
        ("", "coverage", "popularity bias", "Gini", "Gini of what was taken", "ECE"),
        rows,
        "Coverage: share of the catalogue on anybody's first five. Popularity bias: how much more popular the first "
        "five are than what was really taken; 1 is none. Gini: how unevenly the items share the first five; 0 is "
        "evenly, and what guests take of themselves is uneven too. ECE: how far the chance that is told for the first "
        "choice lies from how often it is right.",
    )


def _groups(rankings: dict[str, Ranking], last: str) -> Words:
    shown = {name: rankings[name].groups for name in (_BASE, last) if name in rankings}
    rows = tuple(
        (name, str(group.cases), str(group.guests), *_by_metric([groups[name] for groups in shown.values()]))
        for name, group in sorted(rankings[last].groups.items())
    )
    head = ("", "cases", "guests", *(f"{metric}, {name}" for name in shown for metric in GROUP_METRICS))
    return Words("By group", head, rows)


def _by_metric(groups: list[Group]) -> Iterator[str]:
    for group in groups:
        for metric in GROUP_METRICS:
            yield str(group.figures[metric])


def _gaps(name: str, gaps: dict[str, Gap]) -> Words:
    rows = tuple(
        (way or "group", each.best, each.worst, str(each.figure), f"{each.by_chance:.4f}", _verdict(each))
        for way, each in gaps.items()
    )
    return Words(
        f"Largest difference of NDCG@5 between groups, {name}",
        ("", "best", "worst", "difference", "by chance up to", ""),
        rows,
        "By chance: up to where the largest difference is, in 95 of 100 tries, if guests are put into groups by lot.",
    )


def _verdict(found: Gap) -> str:
    return "more than chance" if found.figure.mean > found.by_chance else "no more than chance"


def _pasts(rankings: dict[str, Ranking]) -> Words:
    names = list(list(rankings.values())[-1].pasts)
    rows = tuple(
        (ranker, *(str(each.pasts[name].figures["NDCG@5"]) for name in names)) for ranker, each in rankings.items()
    )
    cases = list(rankings.values())[-1].pasts
    return Words(
        "NDCG@5 by what the guest had done before",
        ("", *(f"{name} ({cases[name].cases} cases)" for name in names)),
        rows,
    )


def _forecasts(found: Evaluation) -> Words:
    rows = tuple((name, str(each.auc), f"{each.log_loss:.4f}", str(each.ece)) for name, each in found.forecasts.items())
    return Words(f"Will this offer be taken, {found.offers} offers", ("", "AUC", "log loss", "ECE"), rows)


def _forecast_groups(name: str, forecast: Forecasting) -> Words:
    rows = tuple(
        (group, str(each.cases), str(each.guests), str(each.figures["AUC"]))
        for group, each in sorted(forecast.groups.items())
    )
    return Words(f"Offers by group, {name}", ("", "offers", "guests", "AUC"), rows)


def _cold(cold: Cold) -> Words:
    rows = tuple(
        (name, *(str(figures[metric]) if figures else "none" for metric in _COLD_METRICS))
        for name, figures in cold.rankings.items()
    )
    return Words(
        f"New items: {cold.cases} cases whose answer nobody had in training",
        ("", *_COLD_METRICS),
        rows,
        f"Left out of a training of its own: {', '.join(cold.items)}. To popularity a new item is the last of all. "
        "Known: this model, which was trained with them.",
    )
