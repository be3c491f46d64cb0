"""[bands]: the program of bands in service, and where its releases arrive. Optional."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from steward.settings_table import Table

_KEY = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")


@dataclass(frozen=True, slots=True)
class BandsSettings:
    """release_key: the public key that must have signed what bands are given. fetch_kib_per_day: 0: it is carried."""

    release_key: bytes
    folder: Path
    fetch_kib_per_day: int


def read_bands(table: Table, folder: Path) -> BandsSettings | None:
    """The section; None without one: bands are then updated at the bench alone. Raises ConfigError."""
    key = table.optional_text("release_key", _KEY, "64 hexadecimal digits, as `bandtool keys show` prints them")
    arrivals = table.text("releases", "band-releases", _PATH, "a path")
    fetch_kib = table.number("fetch_kib_per_day", 1024, 0, 1024 * 1024)
    table.finish()
    return None if key is None else BandsSettings(bytes.fromhex(key), folder / arrivals, fetch_kib)
