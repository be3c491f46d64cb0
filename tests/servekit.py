"""Servers of tests end with their tests."""

from __future__ import annotations

import asyncio


async def ended(server: asyncio.Server) -> None:
    """Close it, and wait until its connections are gone: one that is left behind would be told of in another test."""
    server.close()
    async with asyncio.timeout(20):  # whoever gave up in the middle of a handshake is heard of a little later
        await asyncio.sleep(0.01)  # who was accepted last is counted some turns of the loop later
        while server._active_count:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0.01)
