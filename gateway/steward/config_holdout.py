"""[holdout]: which share of guests is held out of personal suggestions, so that what these bring can be measured."""

from __future__ import annotations

import re

from steward.domain.holdout import KEPT_DAYS_DEFAULT, KEPT_DAYS_MIN, PERCENT_DEFAULT, VOYAGE_DEFAULT
from steward.services.decisions import HoldoutSettings
from steward.settings_table import Table

KEPT_DAYS_MAX = 1000
_PERCENT_MAX = 90  # somebody must be left to compare with
_VOYAGE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_VOYAGE_RULE = "1 to 32 lower-case letters, digits and dashes, not beginning with a dash"


def read_holdout(table: Table) -> HoldoutSettings:
    settings = HoldoutSettings(
        voyage=table.text("voyage", VOYAGE_DEFAULT, _VOYAGE, _VOYAGE_RULE),
        percent=table.number("percent", PERCENT_DEFAULT, 0, _PERCENT_MAX),
        keep_days=table.number("keep_days", KEPT_DAYS_DEFAULT, KEPT_DAYS_MIN, KEPT_DAYS_MAX),
    )
    table.finish()
    return settings
