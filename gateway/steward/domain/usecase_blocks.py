"""Blocks of the register's file, each with the lines it was written on, so that an error can name its line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NoReturn

from steward.errors import ConfigError
from steward.settings_table import Table

_HEADER = re.compile(r"\s*\[\[\s*([a-z_.]+)\s*\]\]\s*(?:#.*)?")


class Block(Table):
    """One [[...]], which knows its line and the blocks within it."""

    def __init__(self, file: str, name: str, values: Mapping[str, object], lines: list[str], first: int) -> None:
        super().__init__(file, name, values)
        self.line = first
        self.values = values
        self.within: dict[str, list[Block]] = {}
        self._place = file
        self._lines = lines

    def fail(self, key: str, problem: str) -> NoReturn:
        raise ConfigError(f"{self._place}: line {self.line_of(key)}: {self.where(key)}", problem)

    def take(self, key: str) -> None:
        """Another reads it."""
        self._take(key, [], "blocks")

    def line_of(self, key: str) -> int:
        """Of this key; of the block, if it is not there."""
        begins = re.compile(rf"\s*{re.escape(key)}\s*[.=]")
        return self.line + next((number for number, line in enumerate(self._lines) if begins.match(line)), 0)


def blocks(values: Mapping[str, object], text: str, file: str, kinds: Collection[str]) -> dict[str, list[Block]]:
    """The file's blocks by kind, in its order; those within another are in that one too. Raises ConfigError.

    kinds: "use_case" for [[use_case]], "use_case.group" for [[use_case.group]] within it.
    """
    unknown = sorted(values.keys() - kinds)
    if unknown:
        raise ConfigError(f"{file}: {unknown[0]}", f"is no part of a register: it has {', '.join(sorted(kinds))}")
    places = _places(text)
    found: dict[str, list[Block]] = {kind: [] for kind in kinds}
    for kind in sorted(kinds):  # an outer kind is before those within it
        outer, _, inner = kind.partition(".")
        parents = found[outer] if inner else [None]
        for parent in parents:
            for table in _tables(values if parent is None else parent.values, inner or outer, file, parent):
                if not places.get(kind):
                    raise ConfigError(f"{file}: {kind}", f"must be written out: begin each with a line [[{kind}]]")
                lines, first = places[kind].pop(0)
                block = Block(file, f"{inner or outer} {_label(table, first)}", table, lines, first)
                found[kind].append(block)
                if parent is not None:
                    parent.within.setdefault(inner, []).append(block)
    return found


def _places(text: str) -> dict[str, list[tuple[list[str], int]]]:
    """Where each block is written: its lines, and the number of the first."""
    lines = text.splitlines()
    starts = [(number, header[1]) for number, line in enumerate(lines) if (header := _HEADER.fullmatch(line))]
    found: dict[str, list[tuple[list[str], int]]] = {}
    ends = [*(number for number, _ in starts[1:]), len(lines)]
    for (start, kind), end in zip(starts, ends, strict=False):  # of no blocks there is no end either
        found.setdefault(kind, []).append((lines[start:end], start + 1))
    return found


def _tables(values: Mapping[str, object], key: str, file: str, parent: Block | None) -> Iterator[dict[str, object]]:
    listed = values.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        problem = f"must be an array of tables: begin each with [[{key}]]"
        if parent is not None:
            parent.fail(key, problem)
        raise ConfigError(f"{file}: {key}", problem)
    yield from listed


def _label(table: Mapping[str, object], line: int) -> str:
    name = table.get("id")
    return name if isinstance(name, str) and re.fullmatch(r"[a-z0-9_]{1,32}", name) else f"of line {line}"
