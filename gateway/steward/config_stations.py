"""[[station]]: the workshop's stations whose reports of keyed bands are believed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from steward.domain.lookproof import FINGERPRINT_MIN
from steward.services.blanks import TrustedStation
from steward.settings_table import Table

STATIONS_MAX = 32
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_KEY = re.compile(rf"(?:[0-9a-fA-F] *){{{FINGERPRINT_MIN},64}}")


def read_stations(tables: Sequence[Table]) -> tuple[TrustedStation, ...]:
    """In the order of the file. Raises ConfigError."""
    found: list[TrustedStation] = []
    for table in tables:
        name = table.text("name", None, _NAME, "1 to 32 lower-case letters, digits and dashes")
        if any(each.name == name for each in found):
            table.fail("name", f"{name} is taken by another [[station]]: give each its own name")
        rule = f"a fingerprint: {FINGERPRINT_MIN} to 64 hex digits, blanks between them or not"
        digits = table.text("fingerprint", None, _KEY, rule).replace(" ", "").lower()
        if any(digits.startswith(each.fingerprint) or each.fingerprint.startswith(digits) for each in found):
            table.fail("fingerprint", "is that of another [[station]]: each has a key of its own")
        found.append(TrustedStation(name, digits))
        table.finish()
    return tuple(found)
