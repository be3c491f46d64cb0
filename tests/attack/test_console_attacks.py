"""Ctrl-C at a band on a cable: whenever it comes, it opens no prompt of a band in service.

MicroPython opens Ctrl-C anew for each file that it starts, boot.py and then main.py; whatever ends one of them by an
exception ends at the prompt, and there the keys can be read.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from bandtool.sources import firmware_folder

CTRL_C, SHUT = 3, -1


class Console:
    """What the start files see: Ctrl-C is open, and was sent before their first line."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.interrupt = CTRL_C
        self.pending = True
        self.when_started: list[int] = []
        console = SimpleNamespace(kbd_intr=self._set)
        loader = SimpleNamespace(start=lambda: self.when_started.append(self.interrupt))
        for name, module in (("micropython", console), ("loader", loader)):
            monkeypatch.setitem(sys.modules, name, module)

    def _set(self, character: int) -> None:
        self.interrupt = character
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def run(self, name: str) -> None:
        module = ModuleType("__main__")
        gc = SimpleNamespace(threshold=lambda size: None)
        source = (firmware_folder() / name).read_text().replace("import gc\n", "")
        exec(compile(source, name, "exec"), {**module.__dict__, "gc": gc})


@pytest.mark.parametrize("name", ["boot.py", "main.py"])
def test_ctrl_c_before_a_start_files_first_line_does_not_end_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(monkeypatch)
    console.run(name)
    assert console.interrupt == SHUT
    assert console.when_started == ([SHUT] if name == "main.py" else [])


@pytest.mark.parametrize("name", ["boot.py", "main.py"])
def test_a_start_file_does_nothing_before_it_has_shut_the_console(name: str) -> None:
    """No loop, call or import of ours comes first: only there does MicroPython look for a Ctrl-C that was sent."""
    lines = [line for line in (firmware_folder() / name).read_text().splitlines() if line]
    before = lines[: next(at for at, line in enumerate(lines) if "kbd_intr(-1)" in line)]
    assert set(before) <= {"import gc", "import micropython", "try:"}
    assert before[-1] == "try:"
