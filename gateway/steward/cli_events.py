"""`steward events`: what guests did, as a file to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steward import __version__, config
from steward.adapters.deedfiles import check_new, write_catalogue, write_deeds
from steward.adapters.sqlite.snapshot import snapshot
from steward.adapters.system import OsEntropy
from steward.cli_common import ConfigOption, plain_errors
from steward.domain.pastexport import DeedLine, Header
from steward.domain.pasts import ShipDay
from steward.services.pastexport import DeedExport
from steward.wiring import open_data_key

app = typer.Typer(
    name="events",
    help="Export what guests did, to learn from it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def events() -> None:
    """Keeps `events` a group while it has one command."""


@app.command("export")
def export(
    deeds: Annotated[Path, typer.Option("--deeds", help="The file to write the deeds to.", show_default=False)],
    catalogue: Annotated[
        Path | None,
        typer.Option("--catalogue", help="Write the catalogue there, which a reader needs.", show_default="none"),
    ] = None,
    file: ConfigOption = None,
) -> None:
    """Write what guests did, of those who agreed to suggestions: a file to train the preference model from.

    Of every such guest: the offers they were shown with what became of each, and the charges whose description is an
    item's title, with the moment as it was known then. What a guest has switched off is blank, or not there at all.
    Whoever has not said yes, or has taken it back, is not in the file; nor are crew. No names, cabins, bands or
    amounts: guests have a keyed hash instead of a reference, another in every file, and its key is thrown away.

    It is still about people: whoever knows what a guest bought at which minute can find them in it, and in an older
    file. Keep it where the database is kept, and delete it once the model is trained. It is for its owner alone (mode
    0600).

    The gateway may be running; what it records meanwhile is not in the file. Files that exist are never overwritten.

    \b
    Each line is a JSON object: a header, then one a deed, then a digest of them all.
      guest, item       whose pseudonym, and what of the catalogue
      deed              taken, liked, not_now, wrong; null: an offer that got no answer
      at_s, minute, weekday, place, day_of_stay, days_left, in_port, company,
      weather, shown, accepted
                        the moment as it was known then; null: not known
      off               only where a guest has switched signals off: which; blanks are in their place
      offer             null, or propensity_ppm, candidates, outcome and ranker

    \b
    Examples:
      steward events export --deeds deeds.jsonl --catalogue catalogue.json
      steward events export --deeds deeds.jsonl --config /etc/steward/steward.toml
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        gateway = settings.gateway
        day = ShipDay(gateway.day_start_hour, gateway.utc_offset_min * 60)
        for path in (deeds, *([] if catalogue is None else [catalogue])):
            check_new(path)
        with snapshot(gateway.database, open_data_key(settings)) as tx:
            reading = DeedExport(tx, OsEntropy(), settings.outlets, day)
            header = write_deeds(deeds, gateway.ship, f"steward {__version__}", day, _with_bar(reading))
            if catalogue is not None:
                write_catalogue(catalogue, tx.catalogue().items)
        typer.echo(f"{deeds}: {_told(header, reading)}")


def _with_bar(reading: DeedExport) -> Iterator[DeedLine]:
    """A bar on a terminal, and on stderr: what is said on stdout is for scripts."""
    console = Console(stderr=True)
    columns = (TextColumn("guests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    guests = reading.guests()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for deeds in progress.track(reading.deeds(guests), total=len(guests)):
            yield from deeds


def _told(header: Header, reading: DeedExport) -> str:
    counts = reading.counts
    kept = f"; {counts.switched_off} that their guests have switched off left out" if counts.switched_off else ""
    left = f"; {counts.left_out} about what is no longer in catalogue or settings left out" if counts.left_out else ""
    return (
        f"{header.deeds} deeds of {header.guests} guests{left}{kept}. "
        f"{counts.guests_agreed} of {counts.guests_asked} guests agree to suggestions"
    )
