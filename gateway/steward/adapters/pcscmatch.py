"""A PC/SC reader by the name the settings give it, found by a part of the name that PC/SC gives it."""

from __future__ import annotations

import asyncio

from steward.adapters.pcsc import PcscReader, list_readers
from steward.errors import ReaderFault
from steward.ports import Card


class MatchedReader:
    """ports.CardReader. Looks the reader up when it is needed, and again after a fault: it may come back renamed."""

    def __init__(self, name: str, match: str) -> None:
        self._name = name
        self._match = match
        self._reader: PcscReader | None = None

    @property
    def name(self) -> str:
        return self._name

    async def connect(self) -> Card:
        if self._reader is None:
            found = pick(await asyncio.to_thread(list_readers), self._match)
            self._reader = PcscReader(found)
        try:
            return await self._reader.connect()
        except ReaderFault:
            await self.close()
            raise

    async def disconnect(self, card: Card) -> None:
        if self._reader is not None:
            await self._reader.disconnect(card)

    async def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()


def pick(names: list[str], match: str) -> str:
    """The reader of exactly this name, else the only one whose name contains it. Raises ReaderFault."""
    if match in names:
        return match
    found = [name for name in names if match in name]
    if len(found) == 1:
        return found[0]
    seen = ", ".join(names) or "none"
    if not found:
        raise ReaderFault(f"no PC/SC reader is called {match!r}; there are: {seen}. Plug it in or correct `match`")
    raise ReaderFault(f"{match!r} fits {len(found)} PC/SC readers: give more of the name in `match`. There are: {seen}")
