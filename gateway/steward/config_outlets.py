"""[[outlet]]: where crew serve guests. What kind an outlet is decides what may be shown there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from steward.domain.ids import OutletId
from steward.domain.outlets import Outlet, OutletKind
from steward.settings_table import Table

OUTLETS_MAX = 256
OUTLET = re.compile(r"[A-Za-z0-9_.-]{1,32}")
OUTLET_RULE = "1 to 32 letters, digits, dot, dash, underscore"
_TITLE = re.compile(r"[^\x00-\x1f\x7f]{1,40}")


def read_outlets(tables: Sequence[Table]) -> Mapping[OutletId, Outlet]:
    """In the order of the file. Raises ConfigError."""
    outlets: dict[OutletId, Outlet] = {}
    for table in tables:
        name = OutletId(table.text("name", None, OUTLET, OUTLET_RULE))
        if name in outlets:
            table.fail("name", f"{name} is taken by another [[outlet]]: give each its own name")
        kind = OutletKind(table.choice("kind", [kind.value for kind in OutletKind]))
        outlets[name] = Outlet(name, kind, table.text("title", name, _TITLE, "1 to 40 characters on one line"))
        table.finish()
    return MappingProxyType(outlets)
