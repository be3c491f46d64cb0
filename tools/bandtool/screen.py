"""What a technician sees and hears of a station: a table that moves on a terminal, plain lines anywhere else.

Colour never stands alone: every outcome is a word. One bell is a band done, three are one to set aside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bandtool.bands import Place, Result, Step

REFRESH_S = 0.2
BELL_GAP_S = 0.18
RATE_AFTER_S = 5.0
_BELLS = {Result.DONE: 1, Result.FAULTY: 3}
_STYLE = {Result.DONE: "bold green", Result.FAULTY: "bold red", Result.PULLED: "yellow"}
_DETAILS_MAX = 5
_BAR_WIDTH = 24
_HOUR_S = 3600.0


class Tally:
    """Counts of one session. now_s: a clock that never jumps. goal: how many are to be made, if that was said."""

    def __init__(self, now_s: Callable[[], float], goal: int | None = None) -> None:
        self._now_s = now_s
        self._goal = goal
        self._begun_s: float | None = None
        self._done: set[str] = set()
        self._faulty: set[str] = set()

    def note(self, place: Place) -> None:
        """A band counts once, however often it is plugged in; what it was last counts."""
        if self._begun_s is None:
            self._begun_s = self._now_s()
        name = place.uid or place.port
        if place.result is Result.DONE:
            self._done.add(name)
            self._faulty.discard(name)
        elif place.result is Result.FAULTY:
            self._faulty.add(name)
            self._done.discard(name)

    @property
    def done(self) -> int:
        return len(self._done)

    @property
    def faulty(self) -> int:
        return len(self._faulty)

    @property
    def rate(self) -> float | None:
        """Bands done an hour, since the first was plugged in; None: too early to say."""
        spent_s = 0.0 if self._begun_s is None else self._now_s() - self._begun_s
        return len(self._done) * _HOUR_S / spent_s if self._done and spent_s >= RATE_AFTER_S else None

    def line(self) -> str:
        parts = [f"done {self.done}", f"faulty {self.faulty}"]
        if self._goal is not None:
            parts.append(f"left {max(0, self._goal - self.done)}")
        if self.rate is not None:
            parts.append(f"{self.rate:.0f} an hour")
        return "   ".join(parts)


class PlainScreen:
    """A line for each step and outcome. A station.Watcher."""

    def __init__(self, tally: Tally, write: Callable[[str], None]) -> None:
        self._tally = tally
        self._write = write
        self._last: dict[str, tuple[Step, Result, str]] = {}

    def changed(self, place: Place) -> None:
        now = (place.step, place.result, place.short)
        if self._last.get(place.port) == now:
            return
        self._last[place.port] = now
        self._tally.note(place)
        self._write(" ".join(word for word in (place.port, place.short, outcome(place)) if word))

    def gone(self, place: Place) -> None:
        self._last.pop(place.port, None)
        if place.result is Result.PULLED:
            self._write(f"{place.port} {place.short or '-'} pulled before it was finished: plug it in again")

    async def run(self) -> None:
        """Nothing moves by itself."""


class LiveScreen:
    """A table with a bar for each band. A station.Watcher; run() draws until it is cancelled."""

    def __init__(self, tally: Tally, console: Console, title: str) -> None:
        self._tally = tally
        self._console = console
        self._title = title
        self._places: dict[str, Place] = {}
        self._rung: set[int] = set()
        self._bells = 0

    def changed(self, place: Place) -> None:
        self._places[place.port] = place
        self._tally.note(place)
        if place.result in _BELLS and id(place) not in self._rung:
            self._rung.add(id(place))
            self._bells += _BELLS[place.result]

    def gone(self, place: Place) -> None:
        self._rung.discard(id(place))
        if self._places.get(place.port) is place:
            del self._places[place.port]

    async def run(self) -> None:
        with Live(self.table(), console=self._console, auto_refresh=False, transient=False) as live:
            try:
                while True:
                    live.update(self.table(), refresh=True)
                    await self._ring()
                    await asyncio.sleep(REFRESH_S)
            finally:
                live.update(self.table(), refresh=True)

    async def _ring(self) -> None:
        while self._bells:
            self._bells -= 1
            self._console.bell()
            await asyncio.sleep(BELL_GAP_S)

    def table(self) -> Group:
        table = Table("port", "band", "step", "", "outcome", title=self._title, expand=False)
        for port in sorted(self._places, key=_in_order):
            place = self._places[port]
            bar = ProgressBar(total=100, completed=place.percent, width=_BAR_WIDTH)
            said = Text(outcome(place), style=_STYLE.get(place.result, ""))
            table.add_row(port.removeprefix("/dev/"), place.short or "-", place.step.value, bar, said)
        faulty = [place for place in self._places.values() if place.result is Result.FAULTY]
        details = [Text(f"{place.port}: {place.detail}") for place in faulty[:_DETAILS_MAX]]
        hint = Text("q or Ctrl-C: finish what is begun, then end", style="dim")
        return Group(table, *details, Text(self._tally.line()), hint)


def _in_order(port: str) -> list[int | str]:
    """As people count: ttyUSB2 comes before ttyUSB10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", port)]


def outcome(place: Place) -> str:
    """In words."""
    if place.result is Result.FAULTY:
        return f"FAULTY {place.code}"
    if place.result is Result.DONE:
        return "DONE"
    again = f", try {place.tries}" if place.tries > 1 else ""
    return f"{place.step.value}{again}"


@contextlib.contextmanager
def quit_key(stop: asyncio.Event, key: bytes = b"q") -> Iterator[None]:
    """While it lasts, this key on the terminal sets stop. Nothing happens where stdin is no terminal."""
    try:
        import termios
        import tty
    except ImportError:  # no such terminals on Windows: Ctrl-C is there
        yield
        return
    if not sys.stdin.isatty():
        yield
        return
    number, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(number)

    def pressed() -> None:
        if key in os.read(number, 64).lower():
            stop.set()

    tty.setcbreak(number)
    loop.add_reader(number, pressed)
    try:
        yield
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)
