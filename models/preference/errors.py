"""What can go wrong on the way from data to a model. Each error says what, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class PreferenceError(Exception):
    """Root of everything this package raises on purpose."""

    code = "preference"


class BadData(PreferenceError):
    """A file of data that cannot be used; `line` is 0 for the whole file."""

    code = "bad_data"

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")
        self.path = path
        self.line = line


class NotResumable(PreferenceError):
    """A checkpoint of another training: other data, settings or program."""

    code = "not_resumable"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}; give the settings it was started with, or another --out")
        self.path = path


class NotPortable(PreferenceError):
    """The int8 network needs operators that do not give the same bits in both runtimes."""

    code = "not_portable"

    def __init__(self, operators: frozenset[str]) -> None:
        super().__init__(
            f"the int8 network needs operators that differ between runtimes: {', '.join(sorted(operators))}"
        )
        self.operators = operators


class TrainingDiverged(PreferenceError):
    """The loss is no number any more."""

    code = "diverged"

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss at step {step} is no number: train with a lower --rate")
        self.step = step


class NeedsExtra(PreferenceError):
    """A package of the extra `train` is not installed."""

    code = "needs_extra"

    def __init__(self, package: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'steward-edge[train]'")
        self.package = package


class NoWheel(PreferenceError):
    """A package that holds a public set could not be had, or is another one than the figures are of."""

    code = "no_wheel"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
