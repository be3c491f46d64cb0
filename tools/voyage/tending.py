"""Work beside work: what must keep running meanwhile, and what went wrong first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from voyage.process import ServiceProcess

DEATH_LIMIT_S = 2.0  # a service that stops answering may be about to end


async def unless_one_dies(services: Sequence[ServiceProcess], work: Coroutine[Any, Any, None]) -> None:
    """Do the work; if one of the processes ends meanwhile, that is what went wrong."""
    working = asyncio.create_task(work)
    dying = [asyncio.create_task(service.ended()) for service in services]
    try:
        await asyncio.wait((working, *dying), return_when=asyncio.FIRST_COMPLETED)
        if working.done() and not working.cancelled() and working.exception() is not None:
            await asyncio.wait(dying, timeout=DEATH_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        for death in dying:
            if death.done():
                raise death.result()
        await working
    finally:
        for task in (working, *dying):
            task.cancel()
        await asyncio.wait((working, *dying))
        if not working.cancelled():
            working.exception()  # taken note of: what the work says of a dead process is no news, and nobody asks later


@asynccontextmanager
async def in_background(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Keep these running meanwhile; if one fails, so does the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()


def first_trouble(group: BaseExceptionGroup[Any], troubles: tuple[type[Exception], ...]) -> Exception | None:
    """The first error of the group that is a known trouble; None if any of them is not: that is a bug."""
    _, unknown = group.split(troubles)
    if unknown is not None:
        return None
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else None
