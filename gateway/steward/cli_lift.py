"""`steward lift`: whether personal suggestions are accepted more often than popular ones."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from steward import config
from steward.adapters.deedfiles import write_lines
from steward.adapters.sqlite.snapshot import snapshot
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import ConfigOption, plain_errors
from steward.domain.holdout import Arm
from steward.domain.lift import Difference
from steward.domain.liftreport import CLIP, ArmResult, Report, Value, Verdict, make_report
from steward.errors import ConfigError
from steward.services.decisionexport import decision_lines, decision_log
from steward.web.lift_plot import draw_report

EXIT_NO_CLAIM = 3
_ARMS = {Arm.PERSONAL: "personal", Arm.HOLDOUT: "hold-out", Arm.EVERYBODY: "did not agree"}

app = typer.Typer(
    name="lift",
    help="Measure what personal suggestions bring.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def lift() -> None:
    """What suggestions bring, and the log that says so."""


@app.command("decisions")
def decisions(
    out: Annotated[Path, typer.Option("--out", help="The file to write.", show_default=False)],
    file: ConfigOption = None,
) -> None:
    """Write the log of decisions, to value another way to choose on what was really offered and answered.

    Of every decision about a guest who agrees to suggestions: arm, ranker, how many candidates there were, what was
    offered and how likely that was (in millionths), the chances of the top of the list, and what became of it. The
    candidates that are not named share what is left equally. So every policy that puts the named in another order can
    be valued without bias, from this file alone.

    Guests have a keyed hash instead of a reference, another in every file, and its key is thrown away. It is still
    about people: keep it where the database is kept. It is for its owner alone (mode 0600), and never overwrites a
    file. The gateway may be running.

    \b
    Example:
      steward lift decisions --out decisions.jsonl
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        with snapshot(settings.gateway.database) as tx:
            count = write_lines(out, decision_lines(tx, OsEntropy(), settings.gateway.ship))
    typer.echo(f"{out}: {count - 1} decisions")


@app.command("report")
def report(
    file: ConfigOption = None,
    voyage: Annotated[
        list[str] | None, typer.Option("--voyage", help="Only this voyage; may be repeated.", show_default="all")
    ] = None,
    smallest: Annotated[
        float, typer.Option("--smallest", help="The smallest difference of interest, in points.", min=0.1, max=99)
    ] = 5.0,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw it into this file.", show_default="none")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Say whether personal suggestions are accepted more often than popular ones, or that it is too early to say.

    A share of the guests ([holdout] percent), drawn by lot for the voyage, gets what is popular although they agreed to
    personal suggestions. The difference between them and the others is what personal suggestions bring. Guests who did
    not agree are listed and compared with nobody: they chose, and may differ in other ways.

    Intervals are at 95 % and count guests rather than offers, as offers to one guest hang together. Nothing is claimed
    (exit status 3) while an arm is too small to show the smallest difference of interest with 80 % power; how many
    more offers it takes is printed. Decide on --smallest beforehand, and do not stop early because of what you see.

    "worth" is how many independent offers an arm's are worth, or how many rounds an estimate's weights leave.

    Below it, what popularity would have earned on the personal arm's own decisions, by the same rules, from the
    propensities in the log. Far from what the hold-out says, distrust both. Weights above 100 are cut, and counted: of
    what popularity puts first none is, as it is always drawn one time in a hundred at least.

    Only this gateway's decisions, in totals; no guest is named. The gateway may be running.

    \b
    Exit status: 0 something was claimed, 3 nothing could be.

    \b
    Examples:
      steward lift report --svg lift.svg
      steward lift report --voyage 2026-11-north --smallest 3 --json
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        with snapshot(settings.gateway.database) as tx:
            now_s = SystemClock().now().unix_s
            found = make_report(decision_log(tx), now_s, smallest / 100, voyage or ())
        if svg is not None:
            _write(svg, draw_report(found, headline(found)))
    if as_json:
        typer.echo(json.dumps(_plain({**asdict(found), "clip": CLIP}), indent=1))
    else:
        _print(found)
    if found.verdict is Verdict.REFUSED:
        raise typer.Exit(EXIT_NO_CLAIM)


def headline(found: Report) -> str:
    """One sentence: what is claimed, or that nothing is."""
    points = "" if found.difference is None else _points(found.difference)
    return {
        Verdict.BETTER: f"Personal suggestions are accepted more often: {points}",
        Verdict.WORSE: f"Personal suggestions are accepted less often: {points}",
        Verdict.NO_DIFFERENCE: f"No difference was seen: {points}",
        Verdict.REFUSED: "Nothing is claimed: too early, or the log does not allow it",
    }[found.verdict]


def _print(found: Report) -> None:
    console = Console(soft_wrap=True)
    console.print(headline(found), highlight=False)
    if found.from_s:
        days = f"{_day(found.from_s)} to {_day(found.to_s)}"
        print_line = f"Voyages: {', '.join(found.voyages)}; {days}; ranked by {', '.join(found.rankers)}."
        console.print(print_line, highlight=False, markup=False)
    console.print(_arms(found.arms))
    if found.difference is not None:
        console.print(f"Personal less hold-out: {_points(found.difference)}.", highlight=False)
    if found.values:
        console.print(_values(found.values))
    for problem in found.problems:
        console.print(f"Not claimed: {problem.text}.", highlight=False, markup=False)


def _arms(arms: tuple[ArmResult, ...]) -> Table:
    table = Table("arm", title="Offers accepted", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("guests", "offers", "waiting", "accepted", "95 % interval", "worth"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in arms:
        cells = [_ARMS[one.arm], str(one.guests), str(one.decisions), str(one.waiting)]
        if one.share is not None:
            share = one.share
            cells += [_percent(share.value), _span(share.low, share.high), f"{share.effective:.0f}"]
        table.add_row(*cells)
    return table


def _values(values: tuple[Value, ...]) -> Table:
    table = Table(
        "policy", "by", title="On the personal arm's decisions", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for name in ("accepted", "95 % interval", "worth", "top weight", "cut"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in values:
        found = one.estimate
        if found is None:
            table.add_row(one.policy, one.method, one.withheld or "one guest alone")
            continue
        numbers = (f"{found.effective:.0f}", f"{found.weight_max:.1f}", str(found.clipped))
        table.add_row(one.policy, one.method, _percent(found.value), _span(found.low, found.high), *numbers)
    return table


def _points(found: Difference) -> str:
    return f"{found.value * 100:+.1f} points ({found.low * 100:+.1f} to {found.high * 100:+.1f})"


def _span(low: float, high: float) -> str:
    return f"{low * 100:.1f} to {high * 100:.1f} %"


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def _day(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"


def _plain(value: Any) -> Any:
    """For JSON, which has no infinity."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written ({error.strerror}): name another file") from None
