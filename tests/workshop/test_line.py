"""What may be at the other end of a serial line, and what may happen to bytes on their way."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.workshop.benchkit import BoardOnCable, on_port, workbench

from bandtool import serialcard
from bandtool.provision import KEYING_STEPS, provision
from bandtool.serialcard import SerialCard
from bandwire import apdu, bench
from steward.errors import CardRemoved, ReaderFault, StewardError

UID = bytes.fromhex("04112233445566")


class Wire:
    """A line whose other end is a function: what was written in, what is to be read out."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._ready: deque[bytes] = deque()
        self.name = "wire"
        self.written: list[bytes] = []

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return self._ready.popleft() if self._ready else b""

    async def write(self, data: bytes) -> None:
        self.written.append(data)
        self._ready.append(self._answer(data))

    async def close(self) -> None:
        pass


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialcard, "ANSWER_S", 0.02)


def frames(data: bytes) -> list[tuple[int, int, bytes]]:
    return bench.FrameReader().feed(data)


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize(
    "answer",
    [
        lambda data: b"",
        lambda data: data,
        lambda data: b"MicroPython v1.29 on ESP32\r\n>>> \r\n",
        lambda data: b"\x00" * 1000,
        lambda data: random.Random(7).randbytes(5000),
    ],
    ids=["silent", "echo", "prompt", "zeros", "noise"],
)
async def test_what_is_no_band_is_said_to_be_none(answer: Callable[[bytes], bytes]) -> None:
    wire = Wire(answer)
    with pytest.raises(CardRemoved, match="no band answers at wire"):
        await SerialCard.greet(wire)
    assert len(wire.written) == serialcard.ASK_MAX


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (bench.pack_frame(bench.HELLO | bench.ANSWER, 0, b"\x02\x04\x11\x22\x33\x44\x55\x66"), "another protocol"),
        (bench.pack_frame(bench.HELLO | bench.ANSWER, 0, b"\x01"), "another protocol"),
        (bench.pack_frame(bench.REFUSED, 0, bytes((bench.NO_SUCH_PROTOCOL,))), "another protocol"),
        (bench.pack_frame(bench.REFUSED, 0, b""), "refuses"),
    ],
)
async def test_what_speaks_otherwise_is_told_apart_from_silence(answer: bytes, said: str) -> None:
    with pytest.raises(ReaderFault, match=said):
        await SerialCard.greet(Wire(lambda data: answer))


@pytest.mark.usefixtures("_hurried")
async def test_a_band_that_says_it_works_is_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def working(data: bytes) -> bytes:
        ((kind, number, _),) = frames(data)
        if kind == bench.HELLO:
            return bench.pack_frame(bench.HELLO | bench.ANSWER, 0, b"\x01" + UID)
        return bench.pack_frame(bench.WAIT, number)

    class Patient(Wire):
        async def read(self) -> bytes:
            await asyncio.sleep(0.005)
            return await super().read() or bench.pack_frame(bench.WAIT, 1)

    monkeypatch.setattr(serialcard, "WORK_MAX_S", 0.3)
    wire = Patient(working)
    card = await SerialCard.greet(wire)
    with pytest.raises(CardRemoved, match="worked more than"):
        await card.exchange(apdu.select_df())
    assert len(wire.written) == 2  # it was not asked again while it worked


@pytest.mark.parametrize("seed", range(6))
async def test_noise_costs_time_and_nothing_else(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte in some hundreds is changed, lost or doubled, both ways."""
    monkeypatch.setattr(serialcard, "ANSWER_S", 0.1)
    chance = random.Random(seed)
    wrong = 0

    def spoilt(data: bytes) -> bytes:
        nonlocal wrong
        out = bytearray()
        for byte in data:
            lot = chance.random()
            if lot < 0.001:
                out.append(chance.randrange(256))
            elif lot < 0.002:
                out += bytes((byte, byte))
            elif lot > 0.001 * 999:
                continue
            else:
                out.append(byte)
        wrong += out != data
        return bytes(out)

    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path) as desk, on_port(board.plug_in()) as line:
        read, write = line.read, line.write

        async def noisy_read() -> bytes:
            return spoilt(await read())

        async def noisy_write(data: bytes) -> None:
            await write(spoilt(data))

        monkeypatch.setattr(line, "read", noisy_read)
        monkeypatch.setattr(line, "write", noisy_write)
        steps: list[int] = []
        for _ in range(20):
            with contextlib.suppress(CardRemoved):
                card = await SerialCard.greet(line)
                await provision(desk, card, desk.enrolled, steps.append)
                break
        assert steps[-1] == KEYING_STEPS
        assert wrong > 0
    await board.power_off()


async def test_junk_between_frames_costs_no_frame(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with on_port(board.plug_in()) as line:
        await line.write(random.Random(3).randbytes(10_000))
        card = await SerialCard.greet(line)
        assert card.anticollision_id == UID
        with pytest.raises(StewardError, match="does not know this question"):
            await card.ask(0x55)
        assert await card.exchange(apdu.select_df()) == b"\x90\x00"
    await board.power_off()
