"""`voyage demo`: a whole ship's day on this machine, with real bands' firmware and a real gateway."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from voyage.cast import BANDS_DEFAULT, BANDS_MAX, BANDS_MIN

SECONDS_MAX = 3600
SECONDS_DEFAULT = 45
OUTAGE_MAX_S = 600
_OUTAGE = re.compile(r"([0-9]{1,3}(?:\.[0-9])?) ?s?")


def read_outage(text: str) -> float:
    """ "20s" or "20": seconds, more than 0 and at most OUTAGE_MAX_S."""
    found = _OUTAGE.fullmatch(text.strip())
    seconds = float(found[1]) if found else 0.0
    if not 0 < seconds <= OUTAGE_MAX_S:
        raise typer.BadParameter(f"{text!r} is no time: write seconds such as 20s, at most {OUTAGE_MAX_S}s")
    return seconds


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
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            help="Of the gateway's pages and API; 0: any free one.",
            show_default="8470, or any free one if that is taken",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=SECONDS_MAX, help="How long the ship's day takes.")
    ] = SECONDS_DEFAULT,
    outage: Annotated[
        float | None,
        typer.Option(
            "--outage",
            help="Cut the link to shore for so long in the middle of the day, such as 20s.",
            parser=read_outage,
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep the ship's folder here: settings, database, log, bands.", show_default=False),
    ] = None,
    untracked: Annotated[
        bool,
        typer.Option("--untracked", help="Every guest asks not to be tracked; then nothing optional may be kept."),
    ] = False,
) -> None:
    """A ship's day in about a minute: guests board, open doors, pay, are known at the bar, lose a band, and settle.

    Runs until Ctrl-C, or with --once until the day is over. Everything is on this machine: a gateway with its broker, a
    shore service at the other end of the link, their databases and keys in a folder of their own, and 22 or more bands
    whose firmware runs on MicroPython. Guests are made up: plants for first names, and Example for a surname.

    It prints the addresses of the crew's, the purser's, the status and the fleet page, and the PINs to sign in with.
    The band that goes with a PIN is tapped by a key (s service, p purser, e safety, o privacy officer, g a guest), or
    from another terminal with `voyage tap`.

    \b
    Examples:
      voyage demo
      voyage demo --outage 20s
      voyage demo --once --report report.json
      voyage demo --pcsc --bands 40
      voyage demo --once --untracked
    """
    from voyage.launch import launch  # here, so that `voyage apdu` need not load a whole ship

    raise typer.Exit(launch(once, report, pcsc, bands, seed, port, seconds, outage, keep, untracked))
