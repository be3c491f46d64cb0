"""The card's pictures: SVG, from figures alone. The same figures give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from preference.errors import NeedsExtra
from preference.evaluate import Evaluation

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
        ("By group", "groups.svg", _groups),
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
        spread = [[f.mean - f.low for f in figures], [f.high - f.mean for f in figures]]
        at = [number + 0.2 * (place - 0.5) for number in range(len(metrics))]
        mean = [f.mean for f in figures]
        axes.errorbar(at, mean, yerr=spread, fmt="os"[place], color=_COLOURS[place], capsize=3, label=name)
    axes.set_xticks(range(len(metrics)), metrics)
    return _finish(axes, len(both) == 2)


def _groups(axes: Any, found: Evaluation) -> bool:
    if found.rankings and (groups := list(found.rankings.values())[-1].groups):
        names = list(groups)
        mean = [each.mean for each in groups.values()]
        spread = [
            [each.mean - each.low for each in groups.values()],
            [each.high - each.mean for each in groups.values()],
        ]
        axes.errorbar(mean, range(len(groups)), xerr=spread, fmt="o", color=_COLOURS[0], capsize=3, label="NDCG@5")
    elif found.forecasts and (shares := list(found.forecasts.values())[-1].groups):
        names = list(shares)
        axes.plot(list(shares.values()), range(len(shares)), "o", color=_COLOURS[0], label="AUC")
    else:
        return False
    axes.set_yticks(range(len(names)), names)
    axes.margins(y=0.2)
    return _finish(axes, True)


def _finish(axes: Any, some: bool) -> bool:
    if some:
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return some
