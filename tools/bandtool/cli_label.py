"""bandtool label."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandtool.cli_common import DirOption, plain_errors

if TYPE_CHECKING:
    from bandtool.config import StationSettings
    from steward.domain.ids import Uid

MARGIN_MAX_MM = 50


def label(
    folder: DirOption,
    out: Annotated[Path, typer.Option("--out", help="The HTML file to print.", show_default=False)],
    sheet: Annotated[str, typer.Option("--sheet", help="Labels across and down on a page of A4.")] = "5x13",
    margin: Annotated[float, typer.Option("--margin", min=0, max=MARGIN_MAX_MM, help="Around the page, in mm.")] = 10.0,
) -> None:
    """Make sheets of labels for bands that are done.

    Each has a short id, and the same as a QR code.
    The code holds the last six digits of the UID and two check digits: no key,
    no guest. Print at 100 %, without scaling, and put the label on the bag: it
    comes off before the band is worn.

    \b
    Examples:
      bandtool label --dir bench --out labels.html
      bandtool label --dir bench --out labels.html --sheet 3x8 --margin 8
    """
    with plain_errors():
        from bandtool.config import load
        from bandtool.files import write_whole
        from bandtool.label import document, sheet_of

        plan, settings = sheet_of(sheet, margin), load(folder)
        uids = asyncio.run(_done(settings))
        write_whole(out, document(uids, plan, f"{settings.name}: {len(uids)} bands").encode())
        pages = -(-len(uids) // plan.count)
        typer.echo(f"{out}: {len(uids)} labels on {pages} pages")


async def _done(settings: StationSettings) -> list[Uid]:
    from bandtool.journal import BenchJournal
    from bandtool.report import reported
    from steward.domain.stationreport import Outcome

    journal = await BenchJournal.open(settings.journal)
    try:
        return [band.uid for band in await journal.bands() if reported(band).outcome is Outcome.DONE]
    finally:
        await journal.close()
