"""[purser], [monitor] and [log]: when two people are needed, when the gateway calls itself ill, what it writes."""

from __future__ import annotations

from dataclasses import dataclass

from steward.settings_table import Table

AMOUNT_MAX = 2**31 - 1
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class PurserSettings:
    """second_person_above_minor: what one person may give back of one charge, or to one guest, alone; 0: nothing."""

    second_person_above_minor: int = 10_000


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """disk_floor_mb: with less free than this /healthz says 503."""

    disk_floor_mb: int = 256


@dataclass(frozen=True, slots=True)
class LogSettings:
    format: str = "text"  # "text": a line to read; "json": an object a line
    level: str = "info"


def read_purser(table: Table) -> PurserSettings:
    settings = PurserSettings(table.number("second_person_above_minor", 10_000, 0, AMOUNT_MAX))
    table.finish()
    return settings


def read_monitor(table: Table) -> MonitorSettings:
    settings = MonitorSettings(table.number("disk_floor_mb", 256, 0, 2**20))
    table.finish()
    return settings


def read_log(table: Table) -> LogSettings:
    settings = LogSettings(
        table.choice("format", LOG_FORMATS) if "format" in table.names() else "text",
        table.choice("level", LOG_LEVELS) if "level" in table.names() else "info",
    )
    table.finish()
    return settings
