"""A relay between a band and a reader that hears everything and may change anything.

It can also cut the link: before a command has reached the band, or after the band has carried it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_GET_ID = b"\xff\xca\x00\x00"


class Cut(Exception):
    """Raised by a hook: from here on neither side hears of the other."""


@dataclass(slots=True)
class Exchange:
    """One APDU and its answer. `number` counts from 0, the link's own orders left out."""

    number: int
    command: bytes
    answer: bytes = b""

    @property
    def ins(self) -> int:
        return self.command[1]


Hook = Callable[[Exchange], Awaitable[bytes]]


class Middleman:
    """Listens on `port`; the band enters there instead of at the reader. One visit at a time.

    command, answer: given each exchange before it is passed on, they return what is passed on instead, or raise Cut.
    exchanges: those of the last visit, as the band had them. identifier: what the band showed at anticollision.
    """

    def __init__(self, reader_port: int, *, command: Hook | None = None, answer: Hook | None = None) -> None:
        self._reader_port = reader_port
        self.command = command
        self.answer = answer
        self.exchanges: list[Exchange] = []
        self.identifier = b""
        self.port = 0
        self.failure: BaseException | None = None  # of a hook, told when the relay is closed
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()
        self._pumps: set[asyncio.Task[None]] = set()  # of all visits

    async def __aenter__(self) -> Middleman:
        self._server = await asyncio.start_server(self._visit, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        await self._server.wait_closed()
        if self.failure is not None:
            raise self.failure

    async def _visit(self, band_in: asyncio.StreamReader, band_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._visits.add(task)
        self.exchanges = []
        try:
            reader_in, reader_out = await asyncio.open_connection("127.0.0.1", self._reader_port)
        except ConnectionError:  # no reader there at the moment
            band_out.transport.abort()
            self._visits.discard(task)
            return
        pumps = {
            asyncio.create_task(self._commands(reader_in, band_out)),
            asyncio.create_task(self._answers(band_in, reader_out)),
        }
        self._pumps |= pumps
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                self._keep(None if pump.cancelled() else pump.exception())
        finally:
            for side in (reader_out, band_out):
                side.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._pumps -= pumps
            self._visits.discard(task)

    def _keep(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, Cut | ConnectionError | asyncio.IncompleteReadError):
            self.failure = self.failure or error

    async def _commands(self, reader_in: asyncio.StreamReader, band_out: asyncio.StreamWriter) -> None:
        while True:
            payload = await _take(reader_in)
            if len(payload) > 1 and payload[:4] != _GET_ID:
                exchange = Exchange(len(self.exchanges), payload)
                if self.command is not None:
                    exchange.command = payload = await self.command(exchange)
                self.exchanges.append(exchange)
            elif len(payload) > 1:
                self.identifier = b""
            await _give(band_out, payload)

    async def _answers(self, band_in: asyncio.StreamReader, reader_out: asyncio.StreamWriter) -> None:
        while True:
            payload = await _take(band_in)
            if self.exchanges:
                exchange = self.exchanges[-1]
                exchange.answer = payload
                if self.answer is not None:
                    payload = await self.answer(exchange)
            else:
                self.identifier = payload[:-2]  # the last answer before the first APDU is the identifier's
            await _give(reader_out, payload)


async def passed_on(exchange: Exchange) -> bytes:
    """The hook that changes nothing, for either side."""
    return exchange.answer or exchange.command


def cut_at(number: int, ins: int | None = None) -> Hook:
    """A hook for either side that cuts at exchange `number`, or at the `number`-th with instruction `ins`."""
    seen = 0

    async def hook(exchange: Exchange) -> bytes:
        nonlocal seen
        if ins is None:
            hit = exchange.number == number
        else:
            hit = exchange.ins == ins and seen == number
            seen += exchange.ins == ins
        if hit:
            raise Cut
        return await passed_on(exchange)

    return hook


async def _take(stream: asyncio.StreamReader) -> bytes:
    return await stream.readexactly(int.from_bytes(await stream.readexactly(2), "big"))


async def _give(stream: asyncio.StreamWriter, payload: bytes) -> None:
    stream.write(len(payload).to_bytes(2, "big") + payload)
    await stream.drain()
