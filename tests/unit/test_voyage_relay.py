"""The demo's satellite: what passes is passed and counted, and while it is cut nothing passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from voyage import relay as relays
from voyage.relay import HOST, Relay

LIMIT_S = 20.0


class Broker:
    """Answers each line with itself twice, so that up and down differ."""

    def __init__(self) -> None:
        self.calls = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        self._writers.append(writer)
        while line := await reader.readline():
            writer.write(2 * line)
            await writer.drain()
        writer.close()


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    running = Broker()
    await running.start()
    yield running
    await running.stop()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def call(relay: Relay) -> Ends:
    return await asyncio.open_connection(HOST, relay.port)


async def echo(ends: Ends, line: bytes) -> bytes:
    reader, writer = ends
    writer.write(line)
    async with asyncio.timeout(LIMIT_S):
        return await reader.readexactly(2 * len(line))


async def hung_up(ends: Ends) -> bool:
    async with asyncio.timeout(LIMIT_S):
        try:
            return await ends[0].read(1) == b""
        except ConnectionError:
            return True


async def test_both_ways_are_passed_on_and_counted_apart(broker: Broker) -> None:
    async with Relay(broker.port) as relay:
        ends = await call(relay)
        assert await echo(ends, b"hello\n") == b"hello\nhello\n"
        assert (relay.up_bytes, relay.down_bytes) == (6, 12)
        other = await call(relay)
        await echo(other, b"ho\n")
        assert (relay.up_bytes, relay.down_bytes) == (9, 18)
        async with asyncio.timeout(LIMIT_S):
            await relay.carrying()
        for each in (ends, other):
            each[1].close()


async def test_a_cut_hangs_up_and_lets_nothing_through_until_it_is_mended(broker: Broker) -> None:
    async with Relay(broker.port) as relay:
        ends = await call(relay)
        await echo(ends, b"before\n")
        passed = (relay.up_bytes, relay.down_bytes)
        relay.cut()
        assert await hung_up(ends)
        for _ in range(3):
            late = await call(relay)  # the line is dead, not the relay's machine
            late[1].write(b"during\n")
            assert await hung_up(late)
            late[1].close()
        assert (relay.up_bytes, relay.down_bytes) == passed
        assert broker.calls == 1
        relay.mend()
        again = await call(relay)
        assert await echo(again, b"after\n") == b"after\nafter\n"
        assert relay.up_bytes == passed[0] + 6
        again[1].close()
        ends[1].close()


async def test_carrying_waits_for_a_connection(broker: Broker) -> None:
    async with Relay(broker.port) as relay:
        waiting = asyncio.ensure_future(relay.carrying())
        await asyncio.sleep(0)
        assert not waiting.done()
        ends = await call(relay)
        async with asyncio.timeout(LIMIT_S):
            await waiting
        ends[1].close()


async def test_when_one_side_hangs_up_the_other_hears_of_it(broker: Broker) -> None:
    async with Relay(broker.port) as relay:
        ends = await call(relay)
        await echo(ends, b"x\n")
        await broker.stop()
        assert await hung_up(ends)
        ends[1].close()


async def test_a_broker_that_starts_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "DIAL_AGAIN_S", 0.01)
    free = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    await free.wait_closed()
    late = Broker()
    async with Relay(port) as relay:
        ends = await call(relay)
        await late.start(port)
        assert await echo(ends, b"there\n") == b"there\nthere\n"
        ends[1].close()
    await late.stop()


async def test_no_broker_at_all_is_a_line_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "DIAL_TRIES", 1)
    monkeypatch.setattr(relays, "DIAL_AGAIN_S", 0.0)
    free = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    await free.wait_closed()
    async with Relay(port) as relay:
        ends = await call(relay)
        assert await hung_up(ends)
        assert (relay.up_bytes, relay.down_bytes) == (0, 0)
        ends[1].close()
