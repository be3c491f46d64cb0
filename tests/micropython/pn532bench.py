"""A band on a real MicroPython whose NFC chip is the double of pn532kit.py: the wires, the process, the bench.

Its UART is a raw pty, its I2C and pins are lines over a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.micropython.pn532kit import ADDRESS, IRQ_PIN, LIMIT_S, RESET_PIN, Faults, Pn532Double, ReaderCard, frame

from voyage.bandproc import BandOptions, find_micropython

ROOT = Path(__file__).resolve().parents[2]
COMPILING_HEAP = "1M"  # all is compiled from source at start, which a real band does not do


class UartWire:
    def __init__(self, chip: Pn532Double) -> None:
        self._chip = chip
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.tty = os.ttyname(self.slave)
        self.passed = 0  # bytes, both ways
        self.lose_next = False  # the host sleeps while the next frame comes: its bytes are lost
        self.signal = False  # low as long as a frame is on its way, which is no time here; a sleeper sees it on waking
        self.stuck = False
        chip.emit = self._emit
        asyncio.get_running_loop().add_reader(self.master, self._read)

    def _emit(self, data: bytes) -> None:
        if self.lose_next:
            self.lose_next = False
            self.signal = True
            return
        self.passed += len(data)
        os.write(self.master, data)

    def _read(self) -> None:
        data = os.read(self.master, 4096)
        self.signal = self.stuck
        self.passed += len(data)
        self._chip.feed(data)

    def obey(self, words: list[str]) -> str:
        raise AssertionError(f"no I2C here: {words}")

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)


class I2cWire:
    """One frame a read, whole or cut; what is read beyond it is rubbish that looks like a frame."""

    tty = ""

    def __init__(self, chip: Pn532Double) -> None:
        self._chip = chip
        self._waiting: deque[bytes] = deque()
        self.passed = 0  # bytes, both ways
        self.refusals = 0  # how often the address goes unanswered next
        chip.emit = self._waiting.append

    @property
    def signal(self) -> bool:
        return bool(self._waiting)

    def obey(self, words: list[str]) -> str:
        verb, address, *rest = words
        assert int(address) == ADDRESS
        if self._chip.faults.dead:
            return "nak"
        if self.refusals:
            self.refusals -= 1
            return "nak"
        if self._chip.asleep:
            self._chip.asleep = False
            return "nak"
        if verb == "write":
            data = bytes.fromhex(rest[0])
            self.passed += 1 + len(data)
            self._waiting.clear()
            self._chip.feed(data)
            return "ok"
        size = int(rest[0])
        self.passed += 1 + size
        if not self._waiting:
            return bytes(size).hex()
        data = b"\x01" + self._waiting.popleft() + frame(b"\x87\x00\x90\x00") * 40
        return data[:size].hex()

    def close(self) -> None:
        pass


class BenchBand:
    """A band on MicroPython whose chip is `chip`."""

    def __init__(self, chip: Pn532Double, wire: UartWire | I2cWire) -> None:
        self.chip = chip
        self.wire = wire
        self.said: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._server: asyncio.Server | None = None
        self._talker: asyncio.StreamWriter | None = None
        self._reset_level = 1
        self._new_line = asyncio.Event()

    async def start(self, options: BandOptions, what: str, long_ms: int, ack_ms: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        kind = "uart" if isinstance(self.wire, UartWire) else "i2c"
        here = ROOT / "tests" / "micropython"
        folders = [here / "pn532fakes", here / "fakes", ROOT / "firmware" / "shared", ROOT / "firmware" / "device"]
        self._process = await asyncio.create_subprocess_exec(
            find_micropython(),
            "-X",
            f"heapsize={COMPILING_HEAP}",
            str(here / "pn532_band.py"),
            kind,
            what,
            str(long_ms),
            str(ack_ms),
            *options.arguments("hex"),
            env={
                **os.environ,
                "MICROPYPATH": os.pathsep.join([".frozen", *map(str, folders)]),
                "PN532_BENCH": f"127.0.0.1:{port}",
                "PN532_TTY": self.wire.tty,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read_lines())

    async def _read_lines(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.said.append(line.decode().strip())
            self._new_line.set()

    async def says(self, wanted: str, times: int = 1) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.said.count(wanted) < times:
                self._new_line.clear()
                await self._new_line.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talker = writer
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                words = line.decode().split()
                answer = self._pin(words) if words[0] == "pin" else self.wire.obey(words)
                writer.write(answer.encode() + b"\n")
                await writer.drain()

    def _pin(self, words: list[str]) -> str:
        number = int(words[1])
        if len(words) == 2:
            assert number == IRQ_PIN
            return "0" if self.wire.signal else "1"
        assert number == RESET_PIN
        level = int(words[2])
        if level < self._reset_level:
            self.chip.reset()
        self._reset_level = level
        return "ok"

    async def select(self) -> ReaderCard:
        return ReaderCard(self.chip, await self.chip.select())

    async def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            await self._reading
        if self._talker is not None:
            self._talker.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self.wire.close()


@asynccontextmanager
async def bench_band(
    options: BandOptions,
    wire: type[UartWire | I2cWire] = UartWire,
    faults: Faults | None = None,
    *,
    what: str = "band",
    long_ms: int = 60_000,
    ack_ms: int = 500,
) -> AsyncIterator[BenchBand]:
    """long_ms: how long the driver waits before it doubts that there is a reader or that the chip lives.

    ack_ms: and for the chip's acknowledgement. The real 40 ms would test how busy this machine is.
    """
    chip = Pn532Double(faults or Faults())
    band = BenchBand(chip, wire(chip))
    try:
        await band.start(options, what, long_ms, ack_ms)
        yield band
    finally:
        await band.close()
