"""The ship's door controllers, played by the demo: each door has its own TCP port and writes down what it is told.

A controller knows nothing of guests. The demo knows which band it is holding at which door, so the two together
say who was let in, without asking the gateway.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from types import TracebackType

from voyage.observed import Signal

LINE_BYTES_MAX = 1024


class DoorControllers:
    """One listener a door. `on_signal` hears every signal, whoever stands there."""

    def __init__(self, on_signal: Callable[[str, Signal], None] | None = None) -> None:
        self.addresses: dict[str, str] = {}  # door -> "host:port", for the gateway's settings
        self.stray: list[Signal] = []  # heard while nobody stood there
        self._on_signal = on_signal
        self._servers: list[asyncio.Server] = []
        self._lines: set[asyncio.StreamWriter] = set()
        self._visits: dict[str, Visit] = {}

    async def start(self, doors: Iterable[str]) -> None:
        for door in doors:
            server = await asyncio.start_server(self._listener(door), "127.0.0.1", 0, limit=LINE_BYTES_MAX)
            self._servers.append(server)
            self.addresses[door] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for line in list(self._lines):
            line.close()
        for server in self._servers:
            await server.wait_closed()

    def visit(self, door: str) -> Visit:
        """While this context is open, what `door` hears is about the band that stands there."""
        return Visit(self._visits, door)

    def _listener(self, door: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], asyncio.Task[None]]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> asyncio.Task[None]:
            return asyncio.create_task(self._listen(door, reader, writer), name=f"controller {door}")

        return accept

    async def _listen(self, door: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        try:
            while line := await reader.readline():
                self._heard(door, parse_signal(line))
        except (ConnectionError, ValueError):
            pass  # hung up, or a line longer than LINE_BYTES_MAX: a controller drops such a peer
        finally:
            self._lines.discard(writer)
            writer.close()

    def _heard(self, door: str, signal: Signal) -> None:
        visit = self._visits.get(door)
        if visit is None:
            self.stray.append(signal)
        else:
            visit.hear(signal)
        if self._on_signal is not None:
            self._on_signal(door, signal)


class Visit:
    """A band in front of a door. At most one at a time."""

    def __init__(self, visits: dict[str, Visit], door: str) -> None:
        self._visits = visits
        self._door = door
        self._first = asyncio.Event()
        self.signals: list[Signal] = []

    def __enter__(self) -> Visit:
        assert self._door not in self._visits, f"two bands at {self._door}"
        self._visits[self._door] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._visits[self._door]

    def hear(self, signal: Signal) -> None:
        self.signals.append(signal)
        self._first.set()

    async def answered(self, limit_s: float) -> bool:
        """Whether the controller heard something within `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                await self._first.wait()
        except TimeoutError:
            return False
        return True


def parse_signal(line: bytes) -> Signal:
    """One line of the gateway's. Raises ValueError: nothing but the agreed fields is understood."""
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    match fields:
        case {"door": str(door), "open": bool(is_open), "code": str(code), "light": str(light)}:
            return Signal(door, is_open, code, light)
        case _:
            raise ValueError("a door signal lacks door, open, code or light")
