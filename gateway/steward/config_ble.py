"""[ble]: a Bluetooth radio at this gateway that listens for bands whose guests want to be found. Optional."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steward.domain.presence import ZONE
from steward.settings_table import Table

_ADAPTER = re.compile(r"[a-z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class BleSettings:
    """zone: where the radio is, as guests and crew are told. adapter: None: the machine's own."""

    zone: str
    adapter: str | None


def read_ble(table: Table) -> BleSettings | None:
    """The section; None without one, or with scan = false. Raises ConfigError."""
    scan = table.flag("scan", False)
    zone = table.optional_text("zone", ZONE, "1 to 32 lower-case letters, digits and dashes")
    adapter = table.optional_text("adapter", _ADAPTER, "a Bluetooth adapter's name, such as hci0")
    if scan and zone is None:
        table.fail("zone", "is missing: say where the radio is, such as pool-deck")
    table.finish()
    return BleSettings(zone, adapter) if scan and zone is not None else None
