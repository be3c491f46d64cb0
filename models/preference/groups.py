"""Of which groups the guests of a set are: to measure by, and never an input of a model.

A CSV file with a line for each guest: `guest` as the deeds name them, then a column for each way of grouping them, such
as age, language and company. A ship's own export has no such file: a gateway gives nothing of the kind away.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from preference.errors import BadData

PEOPLE_MAX = 1_000_000
GROUPS_MAX = 64


@dataclass(frozen=True, slots=True)
class People:
    """names: of each group's number, "age: 18-29". of: the numbers of a guest, one for each way of grouping."""

    names: tuple[str, ...]
    of: Mapping[str, tuple[int, ...]]


def read_people(path: Path) -> People:
    """Raises BadData."""
    numbers: dict[str, int] = {}
    found: dict[str, tuple[int, ...]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file, strict=True)
            head = next(rows, [])
            if head[:1] != ["guest"] or len(head) < 2 or len(set(head)) != len(head) or not all(head):
                raise BadData(path, 1, "the first line is `guest` and the names of the columns, each once")
            for row in rows:
                if len(row) != len(head) or not all(row) or row[0] in found:
                    raise BadData(path, rows.line_num, "a line has a value for each column, and each guest one line")
                names = [f"{column}: {value}" for column, value in zip(head[1:], row[1:], strict=True)]
                found[row[0]] = tuple(numbers.setdefault(name, len(numbers)) for name in names)
                if len(numbers) > GROUPS_MAX or len(found) > PEOPLE_MAX:
                    raise BadData(path, rows.line_num, f"more than {GROUPS_MAX} groups or {PEOPLE_MAX} guests")
    except OSError as error:
        raise BadData(path, 0, f"cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise BadData(path, 0, f"is no CSV in UTF-8: {error}") from error
    return People(tuple(numbers), found)
