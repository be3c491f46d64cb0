"""`voyage demo`: a whole ship's day on this machine, with real bands' firmware and a real gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voyage.cast import BANDS_DEFAULT, BANDS_MAX, BANDS_MIN

SECONDS_MAX = 3600


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End when the day is over; exit 0 only if all checks hold.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write figures and checks to this file, as JSON.", show_default=False),
    ] = None,
    pcsc: Annotated[
        bool, typer.Option("--pcsc", help="A good part of the readers are real PC/SC readers (pcscd with vpcd).")
    ] = False,
    bands: Annotated[
        int, typer.Option("--bands", min=BANDS_MIN, max=BANDS_MAX, help="Virtual bands, each a MicroPython process.")
    ] = BANDS_DEFAULT,
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another day.")] = 1,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of the gateway's pages and API; 0: any free one.")
    ] = 8470,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=SECONDS_MAX, help="How long the ship's day takes.")
    ] = 60,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep the ship's folder here: settings, database, log, bands.", show_default=False),
    ] = None,
) -> None:
    """A ship's day in about a minute: guests board, open doors, pay, lose a band, and settle.

    Runs until Ctrl-C, or with --once until the day is over. Everything is on this machine: a gateway, its database
    and keys in a folder of their own, and 20 or more bands whose firmware runs on MicroPython.

    \b
    Examples:
      voyage demo
      voyage demo --once --report report.json
      voyage demo --pcsc --bands 40
    """
    from voyage.launch import launch  # here, so that `voyage apdu` need not load a whole ship

    raise typer.Exit(launch(once, report, pcsc, bands, seed, port, seconds, keep))
