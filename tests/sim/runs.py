"""Runs of seeds: one, and many over all cores."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.sim.checkers import Broken
from tests.sim.loop import Stalled, run
from tests.sim.world import Size, Voyage, sail

_IN_MEMORY = Path("/dev/shm")  # shore's database is a real one: its syncs are what a run would wait for


def voyage(seed: int, size: Size | None = None) -> Voyage:
    """One run. Raises Broken, with the seed and the faults there were."""
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        try:
            return run(sail(seed, Path(folder), size))
        except Stalled as stalled:
            raise Broken([str(stalled)], seed) from stalled


def outcome(seed: int) -> Voyage | str:
    """The same for a pool of processes: a broken run comes back as its report."""
    try:
        return voyage(seed)
    except Broken as broken:
        return str(broken)
