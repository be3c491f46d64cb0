"""bandtool provision and bandtool journal."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from bandtool.cli_common import (
    EXIT_SET_ASIDE,
    DirOption,
    JsonOption,
    PortOption,
    plain_errors,
    progress_bar,
    show,
    show_json,
)
from steward.errors import CardRemoved

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandtool.config import StationSettings
    from bandtool.journal import BenchBand

_HEADS = ("UID", "stage", "why", "keys", "firmware", "last word")
_TRIES = 3
_PAUSE_S = 1.0


def provision(port: PortOption, folder: DirOption) -> None:
    """Key one band on a cable, and prove each key.

    It gets five keys of its own, and its files are locked.
    `bandtool station` does this too, and tests the band. The band must have been
    flashed at this station. It is reset first, because it
    listens to the cable at its start only. A band that was cut off at any point
    is gone on with: run this again with the same band.

    \b
    Exit code:
      0  the band is keyed and proven
      1  do what the line says, then try again: no band answers, the cable
         was pulled, the disk is full, a file does not open
      2  the station's settings cannot work
      3  set the band aside: the line says why

    \b
    Example:
      bandtool provision --port /dev/ttyUSB0 --dir bench
    """
    from steward.errors import CardRefused

    with plain_errors("what was begun is in the journal: run this again with the same band"):
        from bandtool.config import load
        from bandtool.provision import KEYING_STEPS

        settings = load(folder)
        with progress_bar() as bar:
            task = bar.add_task("keying", total=KEYING_STEPS)
            try:
                band = asyncio.run(_provision(settings, port, lambda step: bar.update(task, completed=step)))
            except CardRefused as error:
                said = str(error).removeprefix(f"{error.code}: ")
                typer.echo(f"bandtool: set aside: {error.code}: {said}", err=True)
                raise typer.Exit(EXIT_SET_ASIDE) from None
        typer.echo(f"{band.uid} done: keys of version {band.key_version}, firmware {band.firmware}")


async def _provision(settings: StationSettings, port: str, progress: Callable[[int], None]) -> BenchBand:
    """A cable with a loose contact is no reason to bother anybody: a few tries."""
    from bandtool.cable import band_at
    from bandtool.provision import provision
    from bandtool.wiring import open_bench

    async with open_bench(settings) as bench:
        for attempt in range(1, _TRIES + 1):
            greeted = False
            try:
                async with band_at(port) as card:
                    greeted = True
                    return await provision(bench, card, bench.enrolled, progress)
            except CardRemoved:
                if not greeted or attempt == _TRIES:
                    raise
                await asyncio.sleep(_PAUSE_S)
    raise AssertionError("the last try returns or raises")


def journal(
    folder: DirOption,
    open_only: Annotated[bool, typer.Option("--open", help="Only bands that are not finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the bands of this bench: done, begun, set aside.

    A band that is `begun` is not lost: provision it again, it is gone on with.
    One that is `not_tested` has its keys and counts as done once `bandtool
    station` has tested it: plug it in there.

    \b
    Examples:
      bandtool journal --dir bench
      bandtool journal --dir bench --open
    """
    with plain_errors():
        from bandtool.config import load
        from bandtool.report import reported

        bands = [band for band in asyncio.run(_bands(load(folder))) if not (open_only and band.finished)]
    rows = []
    for band in bands:
        word = datetime.fromtimestamp(max(band.begun_s, band.ended_s), UTC).strftime("%Y-%m-%d %H:%M")
        why = band.what or reported(band).reason or "-"
        rows.append((band.uid, band.stage.value, why, str(band.key_version), band.firmware or "-", word))
    if as_json:
        return show_json([dict(zip(_HEADS, row, strict=True)) for row in rows])
    if not rows:
        return typer.echo("No band is half-done." if open_only else "No band was on this bench yet.")
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in _HEADS:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return show(table)


async def _bands(settings: StationSettings) -> list[BenchBand]:
    from bandtool.journal import BenchJournal

    book = await BenchJournal.open(settings.journal)
    try:
        return list(await book.bands())
    finally:
        await book.close()
