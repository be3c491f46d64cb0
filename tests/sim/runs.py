"""Runs of seeds: one, and many over all cores."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.sim.checkers import Broken
from tests.sim.loop import Stalled, run
from tests.sim.world import Size, Voyage, sail

_IN_MEMORY = Path("/dev/shm")  # shore's database is a real one: its syncs are what a run would wait for


def voyage(seed: int, size: Size | None = None) -> Voyage:
    """One run. Raises Broken, with the seed and the faults there were."""
    memory = _IN_MEMORY if _IN_MEMORY.is_dir() else None
    with _quiet(), tempfile.TemporaryDirectory(dir=memory) as folder:
        try:
            return run(sail(seed, Path(folder), size))
        except Stalled as stalled:
            raise Broken([str(stalled)], seed) from stalled


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A run's faults are its own: nobody reads thousands of log lines about them."""
    log = logging.getLogger("steward")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def outcome(seed: int) -> Voyage | str:
    """The same for a pool of processes: a broken run comes back as its report."""
    try:
        return voyage(seed)
    except Broken as broken:
        return str(broken)
