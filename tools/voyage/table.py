"""The live picture of the day, for a terminal. Draws a Scene; knows nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from voyage.link import LinkFigures
from voyage.scene import Lamp, Line, Scene
from voyage.verdict import Check
from voyage.words import words

_TONES = {"good": "green", "bad": "bold red", "plain": "default"}
_LIGHTS = {"green": "bold green", "red": "red", "amber": "yellow", "": "dim"}
_REFUSALS_SHOWN = 6
_SPLIT = (("exchange", "band"), ("compute", "decision"), ("commit", "disk"))
_COUNTS_WIDTH = 8  # of " 123/456" behind a door's name
_ACCENT = "cyan"
_ROWS_COMPACT = 30  # below, doors are shown without counts
_WAITING_CALM = 20  # events that may wait while a batch is under way
_ROWS_OTHERS = 22  # of the picture without its doors, if what has just happened is to have four lines


class Picture:
    """Renders the scene at whatever size the terminal has now."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        scene, height = self._scene, options.height or console.height
        parts = [_head(scene), _figures(scene), _doors(scene, options.max_width, height)]
        foot = _foot(scene)
        used = sum(len(console.render_lines(part, options.update(height=None))) for part in (*parts, foot))
        room = max(3, height - used - 2)
        yield Group(*parts, _bottom(scene, room), foot)


def _head(scene: Scene) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    bar = ProgressBar(total=1.0, completed=scene.day_part(), complete_style=_ACCENT, finished_style="green")
    bands = f"{scene.bands} bands, {scene.passive} passive" if scene.bands else ""
    grid.add_row(Text(scene.clock(), style="bold"), bar, Text(bands, style="dim"))
    count = f" {scene.done} of {scene.total}" if scene.total else ""
    title = Text.assemble(("Steward", f"bold {_ACCENT}"), "  a ship's day on one machine")
    status = Text(f"{scene.phase}{count}", style="bold")
    body = Group(grid, _link(scene.link))
    return Panel(body, title=title, title_align="left", subtitle=status, subtitle_align="left", box=box.ROUNDED)


def _link(link: LinkFigures) -> RenderableType:
    """One line: what is ashore, what waits, and what it cost."""
    state, style = ("cut", "bold red") if link.cut else ("up", "green") if link.connected else ("down", "yellow")
    return Text.assemble(
        ("Ashore ", "dim"),
        (f"{link.ashore} events", "bold"),
        (f"   {link.waiting} waiting", "bold yellow" if link.waiting > _WAITING_CALM else "dim"),
        (f"   {link.up_bytes / 1000:.1f} kB up, {link.down_bytes / 1000:.1f} kB down", "dim"),
        (f"   {link.per_event:.0f} bytes an event", "dim"),
        ("   link ", "dim"),
        (state, style),
        no_wrap=True,
        overflow="ellipsis",
    )


def _figures(scene: Scene) -> RenderableType:
    grid = Table.grid(expand=True)
    for ratio in (3, 4, 5):
        grid.add_column(ratio=ratio)
    figures = scene.figures
    refusals: dict[str, int] = figures.get("refusals", {})
    grid.add_row(
        _titled(_counts(figures, sum(refusals.values())), "Today"),
        _titled(_times(figures), "Tap time, ms"),
        _titled(_refusals(refusals), "Refused, and why"),
    )
    return grid


def _titled(body: RenderableType, title: str) -> Panel:
    return Panel(body, title=Text(title, style="bold"), title_align="left", box=box.ROUNDED, height=_REFUSALS_SHOWN + 2)


def _counts(figures: dict[str, Any], refused: int) -> RenderableType:
    table = Table.grid(expand=True)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("taps", Text(str(figures.get("taps", 0)), style="bold"))
    table.add_row("doors opened", Text(str(figures.get("doors_opened", 0)), style="bold green"))
    table.add_row("charges", Text(str(figures.get("charges_posted", 0)), style="bold green"))
    table.add_row("refused", Text(str(refused), style="bold red" if refused else "bold"))
    alerts = sum(figures.get("alerts", {}).values())
    table.add_row("staff alerts", Text(str(alerts), style="yellow" if alerts else "bold"))
    return table


def _times(figures: dict[str, Any]) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(no_wrap=True)
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True)
    table.add_row("", Text("median", style="dim"), Text("99 %", style="dim"))
    table.add_row("a tap", *_pair(figures.get("tap_ms", {}), "bold"))
    for key, name in _SPLIT:
        table.add_row(f"  {name}", *_pair(figures.get("split_ms", {}).get(key, {}), "default"))
    return table


def _pair(percentiles: dict[str, float], style: str) -> Iterable[Text]:
    return (Text(f"{percentiles.get(name, 0.0):.1f}", style=style) for name in ("p50", "p99"))


def _refusals(refusals: dict[str, int]) -> RenderableType:
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right")
    ordered = sorted(refusals.items(), key=lambda item: -item[1])
    shown = ordered if len(ordered) <= _REFUSALS_SHOWN else ordered[: _REFUSALS_SHOWN - 1]
    for code, count in shown:
        table.add_row(words(code), str(count))
    if len(shown) < len(ordered):
        rest = ordered[len(shown) :]
        table.add_row(Text(f"{len(rest)} other reasons", style="dim"), str(sum(count for _, count in rest)))
    return table


def _doors(scene: Scene, width: int, height: int) -> RenderableType:
    """As many doors as there is room for; those of zones come first."""
    compact = height < _ROWS_COMPACT
    what = "" if compact else ": opened / tried"
    title = Text(f"Doors, as their controllers heard it{what}", style="bold")
    cell = max(map(len, map(_short, scene.lamps)), default=0) + len("● ") + (0 if compact else _COUNTS_WIDTH)
    lamps = [_lamp(door, lamp, compact) for door, lamp in scene.lamps.items()]
    room = max(2, height - _ROWS_OTHERS) * max(1, (width - 3) // (cell + 1))
    if len(lamps) > room:
        lamps[room - 1 :] = [Text(f"and {len(lamps) - room + 1} more", style="dim")]
    body = Columns(lamps, padding=(0, 1), width=cell)
    return Panel(body, title=title, title_align="left", box=box.ROUNDED, width=width)


def _lamp(door: str, lamp: Lamp, compact: bool) -> Text:
    tried = lamp.opened + lamp.refused
    counts = f" {lamp.opened}/{tried}" if tried and not compact else ""
    return Text.assemble(("● ", _LIGHTS.get(lamp.light, "dim")), _short(door), (counts, "dim"))


def _short(door: str) -> str:
    return door.removeprefix("cabin-")


def _bottom(scene: Scene, room: int) -> RenderableType:
    """What has just happened; once the day is over, the checks above it."""
    if not scene.checks:
        return Panel(_log(scene.log, room), title=Text("Just now", style="bold"), title_align="left", box=box.ROUNDED)
    failed = sum(not check.ok for check in scene.checks)
    title = f"{len(scene.checks)} checks hold" if not failed else f"{failed} of {len(scene.checks)} checks failed"
    style = "bold green" if not failed else "bold red"
    ordered = sorted(scene.checks, key=lambda check: check.ok)
    shown = ordered if len(ordered) <= room else ordered[: room - 1]
    body: RenderableType = _checks_lines(shown)
    if len(shown) < len(ordered):
        body = Group(body, Text(f"  and {len(ordered) - len(shown)} more", style="dim"))
    panel = Panel(body, title=Text(title, style=style), title_align="left", box=box.ROUNDED)
    left = room - len(ordered) - 2
    return panel if left < 1 else Group(panel, Panel(_log(scene.log, left), box=box.ROUNDED))


def _log(log: Iterable[Line], room: int) -> RenderableType:
    lines = list(log)[-room:]
    text = Text(no_wrap=True, overflow="ellipsis")
    for number in range(room):
        if number < len(lines):
            line = lines[number]
            text.append(f"{line.at}  ", style="dim").append(line.text, style=_TONES[line.tone])
        text.append("\n" if number < room - 1 else "")
    return text


def _foot(scene: Scene) -> RenderableType:
    """Where to look, and what to type."""
    pages = Text.assemble(
        ("Status ", "dim"),
        (scene.address, f"underline {_ACCENT}"),
        ("   Crew, purser ", "dim"),
        (f"{scene.address}crew" if scene.address else "", f"underline {_ACCENT}"),
        ("   Fleet ", "dim"),
        (scene.fleet, f"underline {_ACCENT}"),
        no_wrap=True,
        overflow="ellipsis",
    )
    signs = ", ".join(scene.signs)
    keys = f"Keys tap a band (then its PIN): {signs}.  {scene.note}" if signs else scene.note
    return Group(Text(keys, style="dim", no_wrap=True, overflow="ellipsis"), pages)


def checks_table(checks: Iterable[Check]) -> Table:
    """One row a check: mark, claim, detail; as many lines as it takes."""
    table = Table.grid(padding=(0, 1))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column()
    for check in checks:
        table.add_row(_mark(check), _claim(check), _detail(check))
    return table


def _checks_lines(checks: Sequence[Check]) -> Text:
    """One line a check, cut off where the terminal ends."""
    widest = max((len(check.claim) for check in checks), default=0)
    lines = []
    for check in checks:
        claim = _claim(check)
        claim.pad_right(widest - len(check.claim) + 1)
        lines.append(Text.assemble(_mark(check), " ", claim, _detail(check)))
    text = Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _mark(check: Check) -> Text:
    return Text("✓", style="bold green") if check.ok else Text("✗", style="bold red")


def _claim(check: Check) -> Text:
    return Text(check.claim, style="default" if check.ok else "bold red")


def _detail(check: Check) -> Text:
    return Text(check.detail, style="dim" if check.ok else "red")


def plain_line(line: Line) -> str:
    """For a terminal that cannot be redrawn, or a file."""
    return f"{line.at}  {line.text}"
