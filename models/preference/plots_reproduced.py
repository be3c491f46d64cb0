"""One picture of what was reproduced: rankings on the left, policies on the right, each with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from preference.errors import NeedsExtra
from preference.reproduce import BY, Clicks, Films, Reproduction

try:
    import matplotlib
    from matplotlib.figure import Figure as Canvas
except ImportError as error:
    raise NeedsExtra("matplotlib") from error

_SIZE = (10.0, 4.0)  # inches
_OURS, _THEIRS, _SEEN = "#0072B2", "#D55E00", "#000000"


def draw(found: Reproduction, path: Path) -> None:
    """SVG; the same figures give the same bytes."""
    matplotlib.rcParams["svg.hashsalt"] = "preference"
    canvas = Canvas(figsize=_SIZE, layout="constrained")
    left, right = canvas.subplots(1, 2)
    _rankings(left, found.films)
    _policies(right, found.clicks)
    canvas.savefig(path, metadata={"Date": None}, format="svg")


def _rankings(axes: Any, films: Films) -> None:
    for place, (name, row) in enumerate(films.rankings.items()):
        figure = row[BY]
        _bar(axes, place, (figure.mean, figure.low, figure.high), _OURS if name.startswith("network") else _THEIRS)
    axes.set(title=f"ml-100k, {films.cases} cases", xlabel=f"{BY}, whole catalogue ranked")
    _names(axes, list(films.rankings))


def _policies(axes: Any, clicks: Clicks) -> None:
    rows = {name: each.doubly_robust for name, each in clicks.policies.items()}
    rows |= {f"{name}, observed": each for name, each in clicks.observed.items()}
    for place, (name, each) in enumerate(rows.items()):
        colour = _OURS if name == "network" else _SEEN if name.endswith("observed") else _THEIRS
        _bar(axes, place, (1000 * each.value, 1000 * each.low, 1000 * each.high), colour)
    axes.set(title=f"Open Bandit sample, {clicks.rounds} rounds", xlabel="clicks in 1000 rounds, doubly robust")
    _names(axes, list(rows))


def _bar(axes: Any, place: int, figure: tuple[float, float, float], colour: str) -> None:
    mean, low, high = figure
    axes.errorbar([mean], [place], xerr=[[mean - low], [high - mean]], fmt="o", color=colour, capsize=3)


def _names(axes: Any, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(y=0.1)
    axes.grid(alpha=0.3)
