"""Runs the demo until its day is over or a signal comes, and turns what came of it into an exit status."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from rich.console import Console

from voyage.outcome import Outcome, Settings, Trouble
from voyage.sail import Sailing
from voyage.screen import Screen

FAILED_EXIT = 1
CANNOT_START_EXIT = 2
INTERRUPTED_EXIT = 130


def launch(
    once: bool,
    report: Path | None,
    pcsc: bool,
    bands: int,
    seed: int,
    port: int | None,
    seconds: float,
    outage: float | None,
    keep: Path | None,
    untracked: bool,
) -> int:
    """The exit status of `voyage demo` with these options; see its help."""
    settings = Settings(once, report, pcsc, bands, seed, port, seconds, outage, keep, untracked)
    console = Console()
    try:
        outcome = asyncio.run(_until_signal(settings, console))
    except Trouble as error:
        print(f"voyage demo: {error}", file=sys.stderr)
        return FAILED_EXIT if error.under_way else CANNOT_START_EXIT
    if outcome is Outcome.INTERRUPTED:
        return INTERRUPTED_EXIT if settings.once else 0
    return 0 if outcome is Outcome.GOOD else FAILED_EXIT


async def _until_signal(settings: Settings, console: Console) -> Outcome:
    """Sail; Ctrl-C, SIGTERM and a closed terminal end it in order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return await Sailing(settings, Screen(console)).sail(stop)
