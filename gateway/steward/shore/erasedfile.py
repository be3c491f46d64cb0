"""The list of guests who were forgotten ashore, in a file beside the store: no backup of the store takes it back.

A line each: ship, reference, part, certificate, time. A reference is a random pseudonym, and of who it was nothing is
left. Lines are only ever added; each addition is on disk before the ship is told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from steward.domain.ids import GuestRef
from steward.errors import StoreUnavailable

_LINE = re.compile(r"([a-z0-9][a-z0-9-]{0,31})\t([0-9a-f]{16})\t([12])\t([^\t\n]{0,64})\t([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Order:
    """Forget this guest of this ship."""

    ship: str
    ref: GuestRef
    part: int
    certificate: str
    ordered_s: int

    @property
    def line(self) -> str:
        return f"{self.ship}\t{self.ref}\t{self.part}\t{self.certificate}\t{self.ordered_s}\n"


class ErasedFile:
    """One process of a node has it open. Blocks: use it from a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[Order] | None = None

    def read(self) -> list[Order]:
        """In the order in which they came; none if there is no file yet. Raises StoreUnavailable.

        A last line that a power cut left unfinished was never confirmed, and comes again with its event.
        """
        try:
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise StoreUnavailable(f"{self._path}: the list of forgotten guests cannot be read: {error}") from None
        orders = []
        for number, line in enumerate(text.split("\n")[:-1], 1):
            found = _LINE.fullmatch(line)
            if found is None:
                raise StoreUnavailable(f"{self._path}, line {number}: is no order: put the file back from its copy")
            ship, ref, part, certificate, ordered_s = found.groups()
            orders.append(Order(ship, GuestRef(ref), int(part), certificate, int(ordered_s)))
        self._known = set(orders)
        return orders

    def add(self, orders: Iterable[Order]) -> int:
        """Keep those that are not in it; how many. Raises StoreUnavailable."""
        if self._known is None:
            self.read()
        assert self._known is not None
        fresh = [order for order in dict.fromkeys(orders) if order not in self._known]
        if fresh:
            self._append("".join(order.line for order in fresh))
            self._known.update(fresh)
        return len(fresh)

    def _append(self, text: str) -> None:
        try:
            self._cut_unfinished()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: cannot be written: {error.strerror}: make room") from error

    def _cut_unfinished(self) -> None:
        """What a power cut left of a last line must not become the beginning of the next."""
        if not self._path.exists():
            return
        with self._path.open("r+b") as file:
            data = file.read()
            end = data.rfind(b"\n") + 1
            if end < len(data):
                file.truncate(end)
