"""What is on the screen right now: plain data that the day fills in and table.py draws."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voyage.link import LinkFigures
from voyage.observed import Signal
from voyage.verdict import Check

LOG_MAX = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, at the ship's time. tone: "good", "bad" or "plain"."""

    at: str
    text: str
    tone: str


@dataclass(slots=True)
class Lamp:
    """A door as its controller shows it: the last light, and how often it opened and stayed shut."""

    light: str = ""
    opened: int = 0
    refused: int = 0


@dataclass(slots=True)
class Scene:
    clock: Callable[[], str] = lambda: ""
    day_part: Callable[[], float] = lambda: 0.0  # 0..1 of the ship's day
    phase: str = "starting"
    done: int = 0  # of the phase, out of `total`; 0 of 0: no count
    total: int = 0
    bands: int = 0
    passive: int = 0
    readers: str = ""
    address: str = ""  # of the gateway's pages
    fleet: str = ""  # of shore's page
    signs: tuple[str, ...] = ()  # how to sign in and tap
    note: str = ""
    link: LinkFigures = field(default_factory=LinkFigures)
    figures: dict[str, Any] = field(default_factory=dict)  # the gateway's board
    lamps: dict[str, Lamp] = field(default_factory=dict)
    log: deque[Line] = field(default_factory=lambda: deque(maxlen=LOG_MAX))
    checks: list[Check] = field(default_factory=list)
    on_line: Callable[[Line], None] | None = None  # for a terminal that cannot be redrawn
    on_phase: Callable[[Scene], None] | None = None

    def tell(self, text: str, tone: str) -> None:
        line = Line(self.clock(), text, tone)
        self.log.append(line)
        if self.on_line is not None:
            self.on_line(line)

    def begin(self, phase: str, total: int = 0) -> None:
        self.phase, self.done, self.total = phase, 0, total
        if self.on_phase is not None:
            self.on_phase(self)

    def advance(self) -> None:
        self.done += 1

    def light_up(self, door: str, signal: Signal) -> None:
        """A door's controller heard something."""
        lamp = self.lamps.setdefault(door, Lamp())
        lamp.light = signal.light
        lamp.opened += signal.open
        lamp.refused += not signal.open
