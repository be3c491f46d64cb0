"""Simulated voyages a minute, each a seed with faults and all checks, as `make soak` runs them on every core.

In processes of their own, from the folder the tests are in: the simulator is theirs. Beside it real time, which no
ship gets past: how many simulated seconds go by in one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SECONDS = 15.0
FIRST_SEED = 50_000  # neither CI's nor the first of make soak
LIMIT_S = 240.0
_SIMULATOR = Path("tests", "sim", "runs.py")
_SAIL = """
import json, sys, time
from tests.sim.runs import voyage
seed, step, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
voyages = events = 0
simulated_s = 0.0
began_s = time.perf_counter()
while time.perf_counter() - began_s < seconds:
    sailed = voyage(seed)
    seed, voyages = seed + step, voyages + 1
    events, simulated_s = events + sailed.events, simulated_s + sailed.simulated_s
took_s = time.perf_counter() - began_s
print(json.dumps({"voyages": voyages, "events": events, "simulated_s": simulated_s, "took_s": took_s}))
"""


def run(seconds: float = SECONDS) -> dict[str, Any]:
    """One process, then one a core. A seed that breaks ends the bench with its report."""
    root = Path(__file__).resolve().parents[2]
    if not (root / _SIMULATOR).is_file():
        return {"off": f"the tests are not here: {_SIMULATOR} is missing", "rows": []}
    return {"off": None, "rows": [sail(root, count, seconds) for count in sorted({1, os.cpu_count() or 1})]}


def sail(root: Path, processes: int, seconds: float) -> dict[str, Any]:
    """The seeds of a minute with so many processes side by side."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _SAIL, str(FIRST_SEED + number), str(processes), str(seconds)],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(processes)
    ]
    try:
        found = [_result(process) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return summed(found)


def summed(found: list[dict[str, float]]) -> dict[str, Any]:
    """Each process's own rate, added up."""
    return {
        "processes": len(found),
        "voyages": sum(one["voyages"] for one in found),
        "seeds_a_minute": sum(one["voyages"] / one["took_s"] for one in found) * 60,
        "events_a_second": sum(one["events"] / one["took_s"] for one in found),
        "simulated_s_a_second": sum(one["simulated_s"] / one["took_s"] for one in found),
    }


def _result(process: subprocess.Popen[bytes]) -> dict[str, float]:
    out, errors = process.communicate(timeout=LIMIT_S)
    if process.returncode:
        raise RuntimeError(f"a voyage did not come to its end: {errors.decode(errors='replace')[-2000:]}")
    found: dict[str, float] = json.loads(out)
    return found


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title="Simulated voyages with faults, all checks included")
    for heading in ("processes", "seeds a minute", "events a second", "times real time"):
        table.add_column(heading, justify="right")
    for row in figures["rows"]:
        rates = (f"{row[name]:,.0f}" for name in ("seeds_a_minute", "events_a_second", "simulated_s_a_second"))
        table.add_row(str(row["processes"]), *rates)
    if figures["off"]:
        table.add_row("off", figures["off"], "", "")
    console.print(table)
