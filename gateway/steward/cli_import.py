"""`steward import`: a manifest of guests and their photos, or keyed bands, through the API of a running gateway."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from steward.adapters.manifestfiles import PhotoFiles, find_photos, read_file
from steward.cli_common import EXIT_FAILED, GATEWAY_URL, CaOption, UrlOption, plain_errors, read_token
from steward.domain.manifest import Problem, example, read_manifest
from steward.domain.manifest_cells import COLUMNS

if TYPE_CHECKING:
    from steward.adapters.gatewayclient import GatewayClient, ManifestAnswer

PROBLEMS_SHOWN_MAX = 200
TokenFileOption = Annotated[
    Path,
    typer.Option("--token-file", help="A 0600 file with a token of role desk on its first line.", show_default=False),
]
_LEFT = {
    "not_done": "the station did not finish it",
    "other_version": "it is keyed for another voyage",
    "other_station": "another station says that it keyed this band: find out which of them lies",
    "worn": "it is or was a guest's",
    "denied": "it is on the deny list",
}


def _columns() -> str:
    """A line for each column, as wide as the rest of the help."""
    lines = []
    for column in COLUMNS:
        says = ("" if column.needed else "(may be left out) ") + column.says
        lines += textwrap.wrap(f"  {column.name:<19}{says}", 78, subsequent_indent=" " * 21)
    return "\n".join(lines)


_HELP = f"""Check a manifest and, unless --dry-run is given, import it: all of it or nothing.

The file is CSV: UTF-8, with commas, semicolons or tabs, and a header with these columns in any order:

\b
{_columns()}

A guest is found again by booking and guest: a row that says what it said last time changes nothing, other rows bring
the guest up to date, and guests that are not in the file stay as they are. Bands that say otherwise than the file are
named: encode new ones for those guests. A crew member may log in once the desk has given a PIN. With --json the report
names each row's guest by reference, as the desk needs it to have bands made.

Problems are listed by row, as a spreadsheet counts them, and nothing is imported while there is any. Photos are JPEG or
PNG files of at most 200 kB; place, time and device are taken out before they leave this machine.

\b
Examples:
  steward import example > guests.csv
  steward import manifest guests.csv --photos photos --token-file desk.token --dry-run
  steward import manifest guests.csv --photos photos --token-file desk.token \\
    --url https://gw1.aurora.ship:8470 --ca ca.crt
"""

app = typer.Typer(
    name="import",
    help="Import guests and their photos, or bands that a workshop has keyed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("manifest", help=_HELP)
def manifest(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The manifest.")],
    token_file: TokenFileOption,
    photos: Annotated[
        Path | None, typer.Option("--photos", help="The folder of the photo files.", show_default="none")
    ] = None,
    url: UrlOption = GATEWAY_URL,
    ca: CaOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    from steward.adapters.gatewayclient import GatewayClient

    with plain_errors():
        raw = read_file(file)
        at_hand = find_photos(read_manifest(raw).rows, photos)
        with GatewayClient(url, read_token(token_file), ca) as gateway:
            answer = gateway.check(raw, at_hand.hashes).with_problems(at_hand.problems)
            if not answer.problems and not dry_run:
                _upload(gateway, at_hand, answer.photos_wanted, quiet=as_json)
                answer = gateway.commit(raw, at_hand.hashes)
        _show(answer, file, as_json=as_json)
        if answer.problems or not (answer.committed or dry_run):
            raise typer.Exit(EXIT_FAILED)


@app.command("bands")
def bands(
    file: Annotated[Path, typer.Argument(metavar="REPORT.json", help="A station's report: `bandtool report`.")],
    token_file: TokenFileOption,
    url: UrlOption = GATEWAY_URL,
    ca: CaOption = None,
) -> None:
    """Bring the bands that a workshop's station has keyed into the stock of this gateway.

    The report is believed if its key is one that a [[station]] of the gateway's settings names. Bands of the stock
    only get their token at an encoder, which is quick. What is left out is named with the reason; such a band can
    still be encoded, as any other. The same report again, or a newer one of the same station, does no harm.

    \b
    Example:
      steward import bands bench-1.json --token-file desk.token
    """
    from steward.adapters.gatewayclient import GatewayClient

    with plain_errors():
        raw = read_file(file)
        with GatewayClient(url, read_token(token_file), ca) as gateway:
            done = gateway.take_blanks(raw)
        for band in done["left"]:
            typer.echo(f"{band['uid']}: left out, {_LEFT.get(band['reason'], band['reason'])}", err=True)
        found = f"{done['taken']} into the stock, {done['known']} known, {len(done['left'])} left out"
        typer.echo(f"{file}: station {done['station']}: {found}")


@app.command("example")
def show_example() -> None:
    """Print a small manifest to begin with.

    \b
    Example:
      steward import example > guests.csv
    """
    typer.echo(example(), nl=False)


def _upload(gateway: GatewayClient, at_hand: PhotoFiles, wanted: tuple[str, ...], *, quiet: bool) -> None:
    """Stage the photos that the gateway does not have, with a bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("photos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        for sha256 in progress.track(wanted, description="photos"):
            gateway.stage(sha256, at_hand.read(sha256))


def _show(answer: ManifestAnswer, file: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer.as_json(), indent=1))
        return
    if answer.problems:
        _show_problems(answer.problems)
        count = max(len(answer.problems), answer.problem_count)
        typer.echo(f"{file}: {count} problem{'s' if count > 1 else ''}, nothing was imported", err=True)
        return
    done = "imported" if answer.committed else "would be imported (dry run)"
    moved = f"{answer.new} new, {answer.changed} changed, {answer.unchanged} unchanged"
    typer.echo(f"{file}: {done}: {moved}")
    if not answer.committed and answer.photos_wanted:
        typer.echo(f"{len(answer.photos_wanted)} photos would be sent")
    for change in [change for change in answer.changes if change.needs_band]:
        typer.echo(f"row {change.row}: the guest's band says otherwise ({', '.join(change.fields)}): encode a new one")


def _show_problems(problems: tuple[Problem, ...]) -> None:
    table = Table("Row", "Column", "Problem", "What to do", box=None, pad_edge=False)
    table.columns[0].justify = "right"
    for problem in problems[:PROBLEMS_SHOWN_MAX]:
        table.add_row(str(problem.row), problem.column, problem.what, problem.remedy)
    Console().print(table, markup=False)
    if len(problems) > PROBLEMS_SHOWN_MAX:
        typer.echo(f"... and {len(problems) - PROBLEMS_SHOWN_MAX} more: --json lists them all")
