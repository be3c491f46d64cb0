"""What a demo is asked for, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Trouble(Exception):
    """Why there is no demo, or no more; the text is for people. under_way: guests were on board already."""

    def __init__(self, text: str, under_way: bool) -> None:
        super().__init__(text)
        self.under_way = under_way


class Outcome(Enum):
    GOOD = "all checks hold"
    BAD = "a check failed"
    INTERRUPTED = "ended before the day was over"


@dataclass(frozen=True, slots=True)
class Settings:
    once: bool
    report: Path | None
    pcsc: bool
    bands: int
    seed: int
    port: int | None  # None: the usual one, if it is free
    seconds: float
    outage: float | None  # seconds
    keep: Path | None
    untracked: bool = False  # every guest asks not to be tracked
