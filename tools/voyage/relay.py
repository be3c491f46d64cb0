"""The satellite's place in the demo: a relay that every byte between gateway and broker passes, and that can fail.

It counts what passes, so that the link's bytes are known from outside the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

HOST = "127.0.0.1"
DIAL_TRIES, DIAL_AGAIN_S = 100, 0.05
_READ_BYTES = 65_536


class Relay:
    """Listens on `port` and passes everything to `to_port`. While it is cut it hangs up on whoever calls."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_cut = False
        self.port = 0
        self.up_bytes = 0  # from the gateway
        self.down_bytes = 0
        self._carrying = asyncio.Event()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def cut(self) -> None:
        self.is_cut = True
        self._hang_up()

    def mend(self) -> None:
        self.is_cut = False

    async def carrying(self) -> None:
        """Return as soon as the gateway is connected through here."""
        await self._carrying.wait()

    def _hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self.is_cut:
                await self._pass_on(reader, writer)
        except OSError:
            pass  # the broker is not there: hang up
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self._dial()
        self._writers.add(back)
        self._carrying.set()
        try:
            await asyncio.gather(self._copy(reader, back, up=True), self._copy(there, writer, up=False))
        finally:
            self._carrying.clear()
            self._writers.discard(back)
            back.transport.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the broker, which may be starting: the caller is not hung up on for that. Raises OSError."""
        for _ in range(DIAL_TRIES):
            with contextlib.suppress(ConnectionRefusedError):
                return await asyncio.open_connection(HOST, self._to_port)
            await asyncio.sleep(DIAL_AGAIN_S)
        return await asyncio.open_connection(HOST, self._to_port)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, up: bool) -> None:
        """Until either side is gone; then both are."""
        with contextlib.suppress(OSError):
            while (data := await source.read(_READ_BYTES)) and not self.is_cut:
                if up:
                    self.up_bytes += len(data)
                else:
                    self.down_bytes += len(data)
                target.write(data)
                await target.drain()
        target.transport.abort()
