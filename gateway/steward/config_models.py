"""[models]: where preference models are found, and what running one may cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from steward.settings_table import Table

_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")


@dataclass(frozen=True, slots=True)
class ModelsSettings:
    """file: shown from the start; folder: where files of signed releases arrive. Neither: popularity ranks for all."""

    file: Path | None = None
    folder: Path | None = None
    threads: int = 1
    wait_ms: int = 250


def read_models(table: Table, folder: Path) -> ModelsSettings:
    """Raises ConfigError."""
    file = table.optional_text("file", _PATH, "a path")
    arrivals = table.optional_text("folder", _PATH, "a path")
    settings = ModelsSettings(
        None if file is None else folder / file,
        None if arrivals is None else folder / arrivals,
        table.number("threads", 1, 1, 4),
        table.number("wait_ms", 250, 10, 2000),
    )
    table.finish()
    return settings
