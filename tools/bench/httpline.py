"""One kept-alive HTTP/1.1 connection, as thin as can be: what is measured is the server, not its client."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType

HEAD_BYTES_MAX = 65_536


class BadAnswer(RuntimeError):
    """Not an answer with a length."""


class HttpLine:
    """Use as an async context manager; one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> HttpLine:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=HEAD_BYTES_MAX)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writer is not None
        self._writer.close()

    async def get(self, path: str, headers: Mapping[str, str]) -> int:
        """Send a GET, read the whole answer, return its status. Raises BadAnswer, IncompleteReadError."""
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(request(self._host, self._port, path, headers))
        status, length = parse_head(await self._reader.readuntil(b"\r\n\r\n"))
        await self._reader.readexactly(length)
        return status


def request(host: str, port: int, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def parse_head(head: bytes) -> tuple[int, int]:
    """Status and length of the body. Raises BadAnswer."""
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    words = first.split(" ")
    if len(words) < 2 or not words[1].isdigit() or not fields.get("content-length", "").isdigit():
        raise BadAnswer("an answer without a status or a length")
    return int(words[1]), int(fields["content-length"])
