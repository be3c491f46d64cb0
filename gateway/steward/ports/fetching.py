"""What it takes to fetch a file over a link that breaks: a source that gives parts of it, and a place for the parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from steward.errors import RemoteError


class SourceFailed(RemoteError):
    """Nothing came, or not what was asked for. What came before is kept."""

    code = "source_failed"


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file from `offset` on. cost: bytes that it took, about, headers included."""

    offset: int
    data: bytes
    cost: int


class Source(Protocol):
    async def fetch(self, url: str, offset: int, limit: int, size: int) -> Part:
        """Up to `limit` bytes of a file of `size` from `offset` on. Raises SourceFailed."""
        ...

    async def close(self) -> None: ...


class Arrivals(Protocol):
    """Where files arrive. Only one is on its way at a time; what was begun of others is gone."""

    async def begun(self, sha256: str) -> int:
        """How many bytes of this file are here."""
        ...

    async def add(self, sha256: str, part: Part) -> None:
        """Raises SourceFailed if it does not fit to what is here, or the disk refuses."""
        ...

    async def finish(self, sha256: str) -> bool:
        """Make it a model's file if it is whole by its hash; else it is thrown away."""
        ...

    async def room(self, size: int) -> bool:
        """Whether there is room for so much and the disk still has what it should keep free."""
        ...

    async def keep_only(self, wanted: frozenset[str]) -> None:
        """Of the files that were fetched, delete all but these."""
        ...
