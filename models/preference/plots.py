"""The card's pictures: SVG, from figures alone. The same figures give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from preference.errors import NeedsExtra
from preference.evaluate import Evaluation, Group
from preference.metrics import Figure

try:
    import matplotlib
    from matplotlib.figure import Figure as Canvas
except ImportError as error:
    raise NeedsExtra("matplotlib") from error

_SIZE = (6.4, 4.0)  # inches
# Blue, vermilion, green, purple, orange, sky, black: told apart with any colour sight (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", "-.", ":")


def draw(found: Evaluation, folder: Path) -> list[tuple[str, Path]]:
    """(what it shows, file) of each picture that the figures are enough for."""
    matplotlib.rcParams["svg.hashsalt"] = "preference"
    makers = (
        ("Recall: the share of cases whose item is among the first k", "recall.svg", _recall),
        ("Calibration: what was forecast, and what came true", "calibration.svg", _calibration),
        ("Float and int8, each with its 95 % interval", "float_int8.svg", _float_int8),
        ("By group, each with its 95 % interval", "groups.svg", _groups),
        ("By what the guest had done before", "pasts.svg", _pasts),
        ("Who gets shown: shares of the first five, by how popular an item is", "exposure.svg", _exposure),
        ("New items, each with its 95 % interval", "new_items.svg", _new_items),
    )
    drawn = []
    for title, name, make in makers:
        canvas = Canvas(figsize=_SIZE, layout="constrained")
        if make(canvas.subplots(), found):
            canvas.savefig(folder / name, metadata={"Date": None}, format="svg")
            drawn.append((title, folder / name))
    return drawn


def _recall(axes: Any, found: Evaluation) -> bool:
    for place, (name, ranking) in enumerate(found.rankings.items()):
        cuts = range(1, len(ranking.recall) + 1)
        axes.plot(cuts, ranking.recall, _STYLES[place % 4], color=_COLOURS[place % 7], label=name)
    axes.set(xlabel="k", ylabel="recall at k", ylim=(0, 1))
    return _finish(axes, bool(found.rankings))


def _calibration(axes: Any, found: Evaluation) -> bool:
    curves = {f"{name}, first choice": each.curve for name, each in found.rankings.items() if each.curve}
    curves |= {f"{name}, offer taken": each.curve for name, each in found.forecasts.items()}
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    for place, (name, curve) in enumerate(curves.items()):
        axes.plot(
            curve[0], curve[1], _STYLES[place % 4], color=_COLOURS[place % 7], marker="o", markersize=3, label=name
        )
    axes.set(xlabel="forecast", ylabel="came true", xlim=(0, 1), ylim=(0, 1))
    return _finish(axes, bool(curves))


def _float_int8(axes: Any, found: Evaluation) -> bool:
    metrics = ("HR@1", "HR@3", "NDCG@5", "HR@10", "NDCG@10")
    both = [name for name in ("float", "int8") if name in found.rankings]
    for place, name in enumerate(both):
        figures = [found.rankings[name].figures[metric] for metric in metrics]
        at = [number + 0.2 * (place - 0.5) for number in range(len(metrics))]
        mean = [f.mean for f in figures]
        axes.errorbar(at, mean, yerr=_spread(figures), fmt="os"[place], color=_COLOURS[place], capsize=3, label=name)
    axes.set_xticks(range(len(metrics)), metrics)
    return _finish(axes, len(both) == 2)


def _groups(axes: Any, found: Evaluation) -> bool:
    shown: dict[str, dict[str, Figure]] = {}
    if found.rankings:
        name = list(found.rankings)[-1]
        both = [each for each in ("popularity", name) if each in found.rankings]
        shown = {each: _of_groups(found.rankings[each].groups, "NDCG@5") for each in both}
    elif found.forecasts:
        name, forecast = list(found.forecasts.items())[-1]
        shown = {name: _of_groups(forecast.groups, "AUC")}
    return _sideways(axes, shown, "NDCG@5" if found.rankings else "AUC")


def _pasts(axes: Any, found: Evaluation) -> bool:
    shown = {name: each.pasts for name, each in found.rankings.items() if name in ("popularity", "float", "int8")}
    for place, (name, pasts) in enumerate(shown.items()):
        figures = [group.figures["NDCG@5"] for group in pasts.values()]
        at = [number + 0.1 * (place - 1) for number in range(len(figures))]
        axes.errorbar(
            at, [f.mean for f in figures], yerr=_spread(figures), fmt="o", capsize=3, label=name, **_look(place)
        )
    names = list(next(iter(shown.values()), {}))
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel="things done before", ylabel="NDCG@5")
    return _finish(axes, bool(shown))


def _exposure(axes: Any, found: Evaluation) -> bool:
    shown = {
        name: each.by_popularity for name, each in found.rankings.items() if name in ("popularity", "float", "int8")
    }
    if shown:
        taken = next(iter(found.rankings.values())).taken_by_popularity
        axes.plot(range(1, len(taken) + 1), taken, "k:", label="taken")
    for place, (name, shares) in enumerate(shown.items()):
        axes.plot(range(1, len(shares) + 1), shares, _STYLES[place % 4], color=_COLOURS[place % 7], label=name)
    axes.set(xlabel="tenth of the catalogue, most popular first", ylabel="share of the first five")
    return _finish(axes, bool(shown))


def _new_items(axes: Any, found: Evaluation) -> bool:
    if found.cold is None or not found.cold.cases:
        return False
    metrics = ("HR@1", "HR@3", "NDCG@5", "HR@10", "MRR")
    for place, (name, figures) in enumerate(found.cold.rankings.items()):
        held = [figures[metric] for metric in metrics]
        at = [number + 0.2 * (place - 1) for number in range(len(metrics))]
        axes.errorbar(at, [f.mean for f in held], yerr=_spread(held), fmt="o", capsize=3, label=name, **_look(place))
    axes.set_xticks(range(len(metrics)), metrics)
    return _finish(axes, True)


def _sideways(axes: Any, shown: dict[str, dict[str, Figure]], metric: str) -> bool:
    names = list(next(iter(shown.values()), {}))
    for place, (ranker, figures) in enumerate(shown.items()):
        held = [figures[name] for name in names]
        at = [number + 0.15 * place for number in range(len(names))]
        axes.errorbar([f.mean for f in held], at, xerr=_spread(held), fmt="o", capsize=3, label=ranker, **_look(place))
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel=metric)
    axes.margins(y=0.1)
    return _finish(axes, bool(names))


def _of_groups(groups: dict[str, Group], metric: str) -> dict[str, Figure]:
    return {name: group.figures[metric] for name, group in groups.items()}


def _spread(figures: list[Figure]) -> list[list[float]]:
    return [[max(0.0, f.mean - f.low) for f in figures], [max(0.0, f.high - f.mean) for f in figures]]


def _look(place: int) -> dict[str, str]:
    return {"color": _COLOURS[place % len(_COLOURS)]}


def _finish(axes: Any, some: bool) -> bool:
    if some:
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return some
