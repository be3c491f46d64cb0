"""The lift report as a picture: a dot and its 95 % interval a row, in SVG that needs nothing and can be read out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from steward.domain.lift import Estimate, Share
from steward.domain.liftreport import Report

_WIDTH, _LEFT, _RIGHT = 880, 300, 90
_ROW, _TOP, _BOTTOM = 34, 64, 46
_TICKS = 5
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
_STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#1b2733}.note{font-size:12px;fill:#4a5866}.head{font-size:17px;"
    "font-weight:600}.grid{stroke:#d4dbe2}.bar{stroke:#0b5cad;stroke-width:3}.dot{fill:#0b5cad}.ground{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e8eef4}.note{fill:#b4c0cc}.grid{stroke:#3a4754}.bar{stroke:#7fb8f0}"
    ".dot{fill:#7fb8f0}.ground{fill:#141b22}}"
)


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    value: float
    low: float
    high: float


def draw_report(report: Report, headline: str) -> str:
    """headline: what is claimed, or that nothing is. The same report gives the same bytes."""
    rows = _rows(report)
    step = _step(max((row.high for row in rows), default=0.0))
    height = _TOP + _ROW * max(len(rows), 1) + _BOTTOM
    told = "; ".join(f"{row.label} {_percent(row.value)}, {_percent(row.low)} to {_percent(row.high)}" for row in rows)
    about = told or "No offer has been answered yet"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'role="img" aria-labelledby="lift-title lift-desc">',
        f'<title id="lift-title">{escape(headline)}</title>',
        f'<desc id="lift-desc">Offers accepted, with 95 % intervals. {escape(about)}.</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
        f'<text class="head" x="16" y="28">{escape(headline)}</text>',
        *_axis(step, height),
        *(part for number, row in enumerate(rows) for part in _drawn(row, number, step)),
        f'<text class="note" x="{_LEFT}" y="{height - 8}">offers accepted, with 95 % intervals by guest</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _rows(report: Report) -> Sequence[_Row]:
    arms = [
        _Row(f"{arm.arm.value}: {arm.guests} guests, {arm.share.count} offers", *_span(arm.share))
        for arm in report.arms
        if arm.share is not None
    ]
    values = [
        _Row(f"{value.policy}, {value.method} (estimated)", *_span(value.estimate))
        for value in report.values
        if value.estimate is not None and value.policy == "popularity"
    ]
    return [*arms, *values]


def _span(found: Share | Estimate) -> tuple[float, float, float]:
    """Within 0 and 1, where every share is; an estimate's interval may leave them."""
    value, low, high = (min(1.0, max(0.0, number)) for number in (found.value, found.low, found.high))
    return value, low, high


def _step(highest: float) -> float:
    return next((step for step in _STEPS if step * _TICKS >= highest), _STEPS[-1])


def _x(value: float, step: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * value / (step * _TICKS), 1)


def _axis(step: float, height: int) -> Sequence[str]:
    bottom = height - _BOTTOM + 6
    marks = []
    for number in range(_TICKS + 1):
        x = _x(number * step, step)
        marks.append(f'<line class="grid" x1="{x}" y1="{_TOP - 12}" x2="{x}" y2="{bottom}"/>')
        marks.append(
            f'<text class="note" x="{x}" y="{bottom + 14}" text-anchor="middle">{number * step * 100:g} %</text>'
        )
    return marks


def _drawn(row: _Row, number: int, step: float) -> Sequence[str]:
    y = _TOP + _ROW * number + _ROW // 2
    low, middle, high = (_x(value, step) for value in (row.low, row.value, row.high))
    return (
        f'<text x="{_LEFT - 12}" y="{y + 5}" text-anchor="end">{escape(row.label)}</text>',
        f'<line class="bar" x1="{low}" y1="{y}" x2="{high}" y2="{y}"/>',
        f'<circle class="dot" cx="{middle}" cy="{y}" r="6"/>',
        f'<text x="{_WIDTH - _RIGHT + 12}" y="{y + 5}">{_percent(row.value)}</text>',
    )


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"
