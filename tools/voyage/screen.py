"""Shows a scene while it changes: redrawn in a terminal, line by line anywhere else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from voyage.scene import Line, Scene
from voyage.table import Picture, checks_table, plain_line
from voyage.verdict import Check

FRAME_S = 0.25
_ROWS_MIN, _COLUMNS_MIN = 20, 60


class Screen:
    """Use as an async context manager around the time the scene is alive."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._frames: asyncio.Task[None] | None = None
        self.scene = Scene()

    @property
    def redraws(self) -> bool:
        """Whether this is a terminal large enough for the picture."""
        size = self._console.size
        return self._console.is_terminal and size.height >= _ROWS_MIN and size.width >= _COLUMNS_MIN

    async def __aenter__(self) -> Screen:
        if self.redraws:
            # The alternate screen: when the picture goes, what was there before comes back.
            self._live = Live(Picture(self.scene), console=self._console, screen=True, auto_refresh=False)
            self._live.start(refresh=True)
            self._frames = asyncio.create_task(self._redraw())
        else:
            self.scene.on_line = self._print_line
            self.scene.on_phase = self._print_phase
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._frames is not None:
            self._frames.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._frames
        if self._live is not None:
            self._live.stop()

    def summary(self, checks: Iterable[Check], figures: str) -> None:
        """What stays on the terminal in the end."""
        self.note(figures)
        if self._console.is_terminal:
            self._console.print(checks_table(checks))
        else:
            for check in checks:
                self.note(f"{'ok  ' if check.ok else 'FAIL'} {check.claim}: {check.detail}")

    def note(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def plain(self, text: str) -> None:
        """For whoever reads along in a file: there is no room for it in the picture."""
        if self._live is None:
            self.note(text)

    async def _redraw(self) -> None:
        assert self._live is not None
        while True:
            await asyncio.sleep(FRAME_S)
            self._live.refresh()

    def _print_line(self, line: Line) -> None:
        self._console.print(Text(plain_line(line)), soft_wrap=True)

    def _print_phase(self, scene: Scene) -> None:
        count = f" ({scene.total})" if scene.total else ""
        self._console.print(Text(f"{scene.phase}{count}"), soft_wrap=True)
