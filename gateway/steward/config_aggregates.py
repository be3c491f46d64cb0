"""[aggregates]: how many guests a shown group has at least, and how much may be asked about them in a voyage."""

from __future__ import annotations

from dataclasses import dataclass

from steward.domain.aggregates import BUDGET_MILLI_DEFAULT, MIN_GROUP_DEFAULT
from steward.settings_table import Table

MIN_GROUP_MIN, MIN_GROUP_MAX = 10, 1000
BUDGET_MILLI_MAX = 10_000  # beyond, an answer protects nobody


@dataclass(frozen=True, slots=True)
class AggregatesSettings:
    """budget_milli: thousandths of epsilon."""

    min_group: int = MIN_GROUP_DEFAULT
    budget_milli: int = BUDGET_MILLI_DEFAULT


def read_aggregates(table: Table) -> AggregatesSettings:
    settings = AggregatesSettings(
        min_group=table.number("min_group", MIN_GROUP_DEFAULT, MIN_GROUP_MIN, MIN_GROUP_MAX),
        budget_milli=table.number("budget_milli", BUDGET_MILLI_DEFAULT, 0, BUDGET_MILLI_MAX),
    )
    table.finish()
    return settings
