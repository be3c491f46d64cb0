"""One band on a cable, for as long as a command needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bandtool.line import PortLine
from bandtool.serialcard import ASK_STARTING, SerialCard


@asynccontextmanager
async def band_at(port: str, ask_max: int = ASK_STARTING, *, reset: bool = True) -> AsyncIterator[SerialCard]:
    """Reset and greeted: it listens to a cable at its start only. Raises ReaderFault or CardRemoved.

    reset: False for one that is starting by itself, and must not be disturbed.
    """
    line = await PortLine.open(port)
    try:
        if reset:
            await line.reset()
        yield await SerialCard.greet(line, ask_max)
    finally:
        await line.close()
