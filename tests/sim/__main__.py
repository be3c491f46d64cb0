"""`make soak SEEDS=1000`: many simulated voyages on all cores. `SEEDS=1 FROM=4711` replays one that failed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from multiprocessing import get_context

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tests.sim.runs import outcome

BROKEN_MAX = 5  # enough to look into


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs (default 1000)")
    parser.add_argument("--first", type=int, default=1000, help="the first seed (default 1000; CI runs those below)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    args = parser.parse_args()
    console = Console()
    broken: list[str] = []
    events = faults = charges = 0
    began = time.monotonic()
    columns = (TextColumn("voyages"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    with (
        Progress(*columns, TimeRemainingColumn(), console=console) as bar,
        get_context("spawn").Pool(args.jobs) as pool,
    ):
        task = bar.add_task("voyages", total=args.seeds, said="")
        for result in pool.imap_unordered(outcome, range(args.first, args.first + args.seeds)):
            if isinstance(result, str):
                broken.append(result)
                console.print(result, style="red", markup=False, highlight=False)
                if len(broken) >= BROKEN_MAX:
                    break
            else:
                events, faults, charges = (
                    events + result.events,
                    faults + len(result.faults),
                    charges + result.charges,
                )
            bar.update(task, advance=1, said=f"{len(broken)} broken")
    minutes = (time.monotonic() - began) / 60
    console.print(
        f"{bar.tasks[0].completed:.0f} voyages in {minutes:.1f} min: {events} events, {charges} charges, "
        f"{faults} faults; {len(broken)} broken" + (" (replay one: make soak SEEDS=1 FROM=n)" if broken else "")
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
