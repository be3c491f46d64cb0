"""Signals to a door controller over real TCP: at once, in order, and never an order to open that has grown old."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from steward.adapters import doorline
from steward.adapters.doorline import WAITING_MAX, Address, DoorLineActuator, LogActuator
from steward.domain.ids import DoorId
from steward.ports import DoorSignal

LIMIT_S = 10.0
DOOR = DoorId("cabin-1042")
OPEN = DoorSignal(DOOR, True, "granted", "green")
CLOSED = DoorSignal(DOOR, False, "wrong_cabin", "red")


class Controller:
    """Somebody else's door controller: a TCP server that keeps the lines it gets."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.address: Address = ("127.0.0.1", 0)
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, *self.address)
        self.address = self._server.sockets[0].getsockname()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self.hang_up()
            await self._server.wait_closed()
            self._server = None

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        self.connected.clear()

    async def line(self) -> dict[str, object]:
        async with asyncio.timeout(LIMIT_S):
            return await self.lines.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.connected.set()
        while line := await reader.readline():
            self.lines.put_nowait(json.loads(line))


Make = Callable[..., DoorLineActuator]


@pytest.fixture
async def controller() -> AsyncIterator[Controller]:
    controller = Controller()
    await controller.start()
    yield controller
    await controller.stop()


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[DoorLineActuator] = []

    def make(*arguments: object) -> DoorLineActuator:
        made.append(DoorLineActuator(*arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for actuator in made:
        await actuator.close()


async def test_a_signal_is_one_json_line(controller: Controller, make: Make) -> None:
    await make({DOOR: controller.address}).show(OPEN)
    assert await controller.line() == {"door": "cabin-1042", "open": True, "code": "granted", "light": "green"}


async def test_signals_arrive_in_order_on_one_connection(controller: Controller, make: Make) -> None:
    actuator = make({DOOR: controller.address})
    for i in range(WAITING_MAX):
        await actuator.show(DoorSignal(DOOR, False, str(i), "red"))
    assert [(await controller.line())["code"] for _ in range(WAITING_MAX)] == [str(i) for i in range(WAITING_MAX)]
    assert len(controller._writers) == 1


async def test_doors_of_one_controller_share_a_connection_and_others_have_their_own(
    controller: Controller, make: Make
) -> None:
    other = Controller()
    await other.start()
    second, third = DoorId("cabin-1043"), DoorId("spa")
    actuator = make({DOOR: controller.address, second: controller.address, third: other.address})
    for door in (DOOR, second, third):
        await actuator.show(DoorSignal(door, True, "granted", "green"))
    assert [(await controller.line())["door"] for _ in range(2)] == [DOOR, second]
    assert (await other.line())["door"] == third
    assert (len(controller._writers), len(other._writers)) == (1, 1)
    await other.stop()


async def test_start_connects_ahead_of_the_first_tap(controller: Controller, make: Make) -> None:
    await make({DOOR: controller.address}).start()
    async with asyncio.timeout(LIMIT_S):
        await controller.connected.wait()
    assert controller.lines.empty()


async def test_it_connects_again_after_the_controller_hung_up(controller: Controller, make: Make) -> None:
    actuator = make({DOOR: controller.address})
    for _ in range(3):
        await actuator.show(OPEN)
        assert (await controller.line())["open"] is True
        await controller.hang_up()
        async with asyncio.timeout(LIMIT_S):
            await controller.connected.wait()


async def test_show_does_not_wait_for_a_controller_that_is_off(controller: Controller, make: Make) -> None:
    await controller.stop()
    actuator = make({DOOR: controller.address})
    await actuator.show(OPEN)
    await controller.start()
    assert (await controller.line())["open"] is True


async def test_an_order_that_grew_old_is_never_delivered(
    controller: Controller, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorline, "SIGNAL_AGE_MAX_S", 1.0)
    await controller.stop()
    actuator = make({DOOR: controller.address})
    await actuator.show(OPEN)
    await actuator.show(CLOSED)
    await asyncio.sleep(1.1)
    await controller.start()
    async with asyncio.timeout(LIMIT_S):
        await controller.connected.wait()
    fresh = DoorSignal(DOOR, False, "frozen", "red")
    await actuator.show(fresh)
    assert (await controller.line())["code"] == "frozen"
    assert controller.lines.empty()
    assert "door.signal_lost door=cabin-1042 open=True code=granted why=too old" in caplog.text


async def test_when_too_many_wait_the_oldest_is_dropped(
    controller: Controller, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    await controller.stop()
    actuator = make({DOOR: controller.address})
    for i in range(WAITING_MAX + 3):
        await actuator.show(DoorSignal(DOOR, False, str(i), "red"))
    await controller.start()
    codes = [(await controller.line())["code"] for _ in range(WAITING_MAX)]
    assert codes == [str(i) for i in range(3, WAITING_MAX + 3)]
    assert caplog.text.count("why=queue full") == 3


async def test_bytes_a_controller_does_not_take_are_given_up(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It accepts and never reads: the kernel's buffers fill up, and the line is cut instead of kept for later."""
    monkeypatch.setattr(doorline, "SIGNAL_AGE_MAX_S", 0.3)
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def sit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        accepted.put_nowait(writer)

    server = await asyncio.start_server(sit, "127.0.0.1", 0)
    actuator = make({DOOR: server.sockets[0].getsockname()})
    long = DoorSignal(DOOR, True, "x" * 1_000_000, "green")
    async with asyncio.timeout(LIMIT_S):
        await actuator.start()
        writers = [await accepted.get()]
        while accepted.empty():  # until it gives up this connection and makes a second one
            await actuator.show(long)
            await asyncio.sleep(0.01)
    writers.append(accepted.get_nowait())
    await actuator.close()
    for writer in writers:
        writer.transport.abort()
    server.close()
    await server.wait_closed()
    assert len(writers) == 2
    assert "door.signal_lost door=cabin-1042 open=True" in caplog.text  # they waited here, not in a socket's buffer


async def test_doors_without_a_controller_are_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await make({}).show(OPEN)
    await LogActuator().show(CLOSED)
    assert "door.signal door=cabin-1042 open=True code=granted light=green" in caplog.text
    assert "door.signal door=cabin-1042 open=False code=wrong_cabin light=red" in caplog.text


async def test_close_ends_a_line_that_never_connected(make: Make) -> None:
    unused = Controller()
    await unused.start()
    await unused.stop()
    actuator = make({DOOR: unused.address})
    await actuator.show(OPEN)
    async with asyncio.timeout(LIMIT_S):
        await actuator.close()
    assert [task.get_name() for task in asyncio.all_tasks() if "door line" in task.get_name()] == []


async def test_a_host_that_can_be_no_name_does_not_end_the_line(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: asyncio.Queue[tuple[object, ...]] = asyncio.Queue()
    monkeypatch.setattr(doorline._LOG, "warning", lambda *words: heard.put_nowait(words))
    actuator = make({DOOR: ("a..b", 9)})
    await actuator.show(OPEN)
    async with asyncio.timeout(LIMIT_S):
        assert "a..b" in await heard.get()
    lines = [task for task in asyncio.all_tasks() if task.get_name() == "door line a..b:9"]
    assert len(lines) == 1
