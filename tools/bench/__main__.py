"""`make bench`: every figure of the README, each against a peer or a physical limit in the same run."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console

from bench import (
    applet,
    catchup,
    decisions,
    eid,
    erase,
    flash,
    footprint,
    freeze,
    ingest,
    link,
    linkbytes,
    lookups,
    power,
    proofs,
    provisioning,
    rank,
    scanner,
    sealing,
    station,
    store,
    tap,
    voyages,
)

BENCHES: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any], Console], None]]] = {
    "tap": (tap.run, tap.show),
    "applet": (applet.run, applet.show),
    "band": (footprint.run, footprint.show),
    "power": (power.run, power.show),
    "eid": (eid.run, eid.show),
    "scanner": (scanner.run, scanner.show),
    "store": (store.run, store.show),
    "link": (link.run, link.show),
    "lookups": (lookups.run, lookups.show),
    "sealing": (sealing.run, sealing.show),
    "proofs": (proofs.run, proofs.show),
    "erase": (erase.run, erase.show),
    "flash": (flash.run, flash.show),
    "provisioning": (provisioning.run, provisioning.show),
    "station": (station.run, station.show),
    "rank": (rank.run, rank.show),
    "decisions": (decisions.run, decisions.show),
    "freeze": (freeze.run, freeze.show),
    "bytes": (linkbytes.run, linkbytes.show),
    "catchup": (catchup.run, catchup.show),
    "ingest": (ingest.run, ingest.show),
    "voyages": (voyages.run, voyages.show),
}


def machine() -> str:
    """The machine in one line, for the table's caption."""
    model = platform.processor() or platform.machine()
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            names = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
        model = names[0] if names else model
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def bench(
    only: list[str] = typer.Argument(None, help=f"Which of: {', '.join(BENCHES)}. All by default."),  # noqa: B008
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
) -> None:
    """Measure Steward on this machine. Takes about four minutes and stops by itself.

    Example: make bench ARGS="tap --json"
    """
    unknown = sorted(set(only or ()) - set(BENCHES))
    if unknown:
        raise typer.BadParameter(f"no bench {unknown[0]!r}; there are {', '.join(BENCHES)}")
    console = Console(width=150 if not sys.stdout.isatty() else None, stderr=False)
    results: dict[str, Any] = {"machine": machine()}
    for name in only or BENCHES:
        run, show = BENCHES[name]
        with Console(stderr=True).status(f"measuring {name}"):
            results[name] = run()
        if not as_json:
            show(results[name], console)
    if as_json:
        print(json.dumps(results, indent=1))
    else:
        console.print(f"machine: {results['machine']}")


if __name__ == "__main__":
    typer.run(bench)
