"""The demo's instruments: door controllers that remember who stood there, and the hand that tears a band away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from voyage.control import DoorControllers, parse_signal
from voyage.observed import Signal
from voyage.tear import Tear

LIMIT_S = 5.0
GOOD = b'{"door": "spa", "open": true, "code": "granted", "light": "green"}\n'
SHUT = b'{"door": "spa", "open": false, "code": "frozen", "light": "red"}\n'
OPENED = Signal("spa", True, "granted", "green")


@pytest.fixture
async def controllers() -> AsyncIterator[DoorControllers]:
    made = DoorControllers()
    await made.start(["spa", "pool"])
    yield made
    await made.close()


async def send(controllers: DoorControllers, door: str, data: bytes) -> None:
    host, _, port = controllers.addresses[door].rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_a_signal_belongs_to_the_band_in_front_of_that_door(controllers: DoorControllers) -> None:
    with controllers.visit("spa") as visit, controllers.visit("pool") as other:
        await send(controllers, "spa", GOOD)
        assert await visit.answered(LIMIT_S)
        assert not await other.answered(0.05)
    assert visit.signals == [OPENED]
    assert controllers.stray == []


async def test_a_signal_with_nobody_there_is_a_stray_one() -> None:
    heard: asyncio.Queue[tuple[str, Signal]] = asyncio.Queue()
    controllers = DoorControllers(lambda door, signal: heard.put_nowait((door, signal)))
    await controllers.start(["spa"])
    with controllers.visit("spa") as visit:
        pass
    await send(controllers, "spa", GOOD + SHUT)
    async with asyncio.timeout(LIMIT_S):
        lines = [await heard.get(), await heard.get()]
    await controllers.close()
    assert lines == [("spa", OPENED), ("spa", controllers.stray[1])]
    assert [signal.code for signal in controllers.stray] == ["granted", "frozen"]
    assert visit.signals == []


async def test_a_signal_about_another_door_keeps_the_name_it_came_with(controllers: DoorControllers) -> None:
    with controllers.visit("pool") as visit:
        await send(controllers, "pool", GOOD)
        assert await visit.answered(LIMIT_S)
    assert visit.signals == [OPENED]


async def test_a_peer_that_talks_nonsense_is_dropped_and_the_next_one_heard(controllers: DoorControllers) -> None:
    with controllers.visit("spa") as visit:
        await send(controllers, "spa", b"open sesame\n" + GOOD)
        await send(controllers, "spa", b"x" * 5000)
        assert not await visit.answered(0.1)
        await send(controllers, "spa", SHUT)
        assert await visit.answered(LIMIT_S)
    assert [signal.code for signal in visit.signals] == ["frozen"]


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"door": "spa", "open": 1, "code": "granted", "light": "green"}',
        b'{"door": "spa", "open": true, "code": null, "light": "green"}',
        b'{"door": "spa"',
        b"\xff",
    ],
)
def test_only_whole_signals_are_understood(line: bytes) -> None:
    with pytest.raises(ValueError):
        parse_signal(line)


# The hand. A reader that sends frames, a band that answers each with its own length byte, and the relay in between.

SELECT = b"\x00\xa4\x04\x00"
CHARGE = b"\x90\xd8\x00\x00\x27"


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(2, "big") + payload


async def read_frame(stream: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await stream.readexactly(2), "big")
    return await stream.readexactly(size)


class Reader:
    """Listens as a reader does, asks `commands` in order, and remembers the answers it got."""

    def __init__(self, *commands: bytes) -> None:
        self._commands = commands
        self.answers: list[bytes] = []
        self.left = asyncio.Event()

    async def serve(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for command in self._commands:
                writer.write(frame(command))
                self.answers.append(await read_frame(stream))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left.set()
            writer.close()


class Band:
    """Enters a field and answers every command with OK and that command's first two bytes."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []

    async def enter(self, port: int) -> None:
        stream, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                self.commands.append(await read_frame(stream))
                writer.write(frame(b"OK" + self.commands[-1][:2]))
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()


async def torn(reader: Reader, band: Band, *, answer_first: bool, killed: list[str] | None = None) -> bool:
    server = await asyncio.start_server(reader.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        at_command = (lambda: killed.append("killed")) if killed is not None else None
        async with asyncio.timeout(LIMIT_S), Tear(port, at_command=at_command, answer_first=answer_first) as tear:
            entering = asyncio.create_task(band.enter(tear.port))
            happened = await tear.happened(LIMIT_S)
            await reader.left.wait()
            await entering
    return happened


async def test_the_band_has_answered_and_the_reader_never_hears_it() -> None:
    reader, band = Reader(SELECT, CHARGE, SELECT), Band()
    assert await torn(reader, band, answer_first=True)
    assert band.commands == [SELECT, CHARGE]
    assert reader.answers == [b"OK" + SELECT[:2]]


async def test_the_band_is_killed_with_the_command_in_hand() -> None:
    reader, band, killed = Reader(SELECT, SELECT, CHARGE), Band(), list[str]()
    assert await torn(reader, band, answer_first=False, killed=killed)
    assert killed == ["killed"]
    assert CHARGE[:2] not in [answer[2:] for answer in reader.answers]


async def test_without_a_charge_nothing_is_torn() -> None:
    reader, band = Reader(SELECT, SELECT), Band()
    assert not await torn(reader, band, answer_first=True)
    assert reader.answers == [b"OK" + SELECT[:2]] * 2
