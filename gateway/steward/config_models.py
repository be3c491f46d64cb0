"""[models]: where preference models are found, and what running one may cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from steward.settings_table import Table

_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")


@dataclass(frozen=True, slots=True)
class ModelsSettings:
    """file: shown from the start; starter: else the one that ships with this program, else popularity ranks for all.

    folder: where files of signed releases arrive. fetch_kib_per_day: what fetching them may cost; 0: it is not done.
    """

    file: Path | None = None
    folder: Path | None = None
    starter: bool = True
    threads: int = 1
    wait_ms: int = 250
    fetch_kib_per_day: int = 8192


def read_models(table: Table, folder: Path) -> ModelsSettings:
    """Raises ConfigError."""
    file = table.optional_text("file", _PATH, "a path")
    arrivals = table.optional_text("folder", _PATH, "a path")
    settings = ModelsSettings(
        None if file is None else folder / file,
        None if arrivals is None else folder / arrivals,
        table.flag("starter", True),
        table.number("threads", 1, 1, 4),
        table.number("wait_ms", 250, 10, 2000),
        table.number("fetch_kib_per_day", 8192, 0, 1024 * 1024),
    )
    table.finish()
    return settings
