"""ports.aggregates.SpentBook in a file beside the database: a JSON object a line, only ever added to, never backed up.

A lock on the file makes reading, deciding and adding one step, in however many processes. A line is on disk before an
answer is worked out; one that a power cut left unfinished was not answered, and counts all the same: as its question's
whole cost is not known, nothing more is answered until somebody looks.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from steward.errors import Refused, StoreUnavailable
from steward.ports.aggregates import Spent

BYTES_MAX = 4 * 1024 * 1024
_FIELDS = {"voyage": str, "question": str, "cost_milli": int, "at_s": int, "by": str}


class SpentFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def spent(self) -> Sequence[Spent]:
        """See SpentBook."""
        with self._opened() as file:
            return self._read(file)

    def spend(self, spent: Spent, budget_milli: int, floor_milli: int) -> int:
        """See SpentBook."""
        with self._opened() as file:
            before = sum(old.cost_milli for old in self._read(file) if old.voyage == spent.voyage)
            before = max(before, floor_milli)
            if before + spent.cost_milli > budget_milli:
                left = max(budget_milli - before, 0)
                raise Refused("budget_spent", f"it costs {spent.cost_milli}, and {left} of {budget_milli} are left")
            file.seek(0, os.SEEK_END)
            file.write(json.dumps(asdict(spent), sort_keys=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return before + spent.cost_milli

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error.strerror}: nothing is answered without it") from error

    def _read(self, file: IO[bytes]) -> list[Spent]:
        file.seek(0)
        data = file.read(BYTES_MAX + 1)
        if len(data) > BYTES_MAX:
            raise StoreUnavailable(f"{self._path} is larger than {BYTES_MAX} bytes: move it to an archive by hand")
        lines = data.split(b"\n")
        return [self._line(number, line) for number, line in enumerate(lines, 1) if line or number < len(lines)]

    def _line(self, number: int, line: bytes) -> Spent:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        sound = isinstance(found, dict) and found.keys() == _FIELDS.keys()
        if not sound or not all(type(found[key]) is kind for key, kind in _FIELDS.items()) or found["cost_milli"] < 0:
            raise StoreUnavailable(f"{self._path}, line {number}: is no account of a question: put the file right")
        return Spent(**found)
