"""A band's footprint: bytes of its program, time to start, heap at rest, while it advertises, and while it does both.

The program is the image's own compiled files, on MicroPython's unix build, with the desktop's board as source beside
them. Its words have 8 bytes and a chip's 4, so a chip's heap use is roughly half. Times are this machine's: a chip is
some hundred times slower, most of it reading flash. The peer in the same run: an interpreter that loads nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bandtool.image import BUDGET, SLOT, program
from bandtool.sources import firmware_folder
from bandwire import apdu, charge
from bandwire.files import MAC
from bandwire.session import ReaderAuth
from steward.adapters.aes import HostAes
from voyage.bandproc import HEAP, BandOptions, command_line, find_micropython

ROUNDS = 7
TAPS = 20
# What a band may use, in bytes of the unix build's heap; checked by tests/micropython/test_footprint.py. Raise one only
# with a reason: a chip has about half of HEAP, and its radio's stack wants the rest.
HEAP_BUDGET = {"at rest": 180_000, "charges": 190_000, "advertises": 220_000, "charges and advertises": 230_000}
_KEYS = [bytes([number + 1]) * 16 for number in range(5)]
_TERMINAL_KEY = 1
_DESKTOP_ONLY = ("boards/desktop.py", "boards/desktopparts.py", "links")
_ROOT_FILES = ("build.py", "loader.py", "main.py")
_LIMIT_S = 30.0
_PRESS_S = 3.6
_AES = HostAes()


@dataclass(frozen=True, slots=True)
class Program:
    """folder: where it runs from. sizes: bytes by package."""

    folder: Path
    sizes: dict[str, int]


def compiled(folder: Path) -> Program:
    """The image's program slot with the desktop's board beside it."""
    source = firmware_folder()
    files = program(source, b"", lambda done, total: None)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in _DESKTOP_ONLY:
        copy: Callable[..., Any] = shutil.copytree if (source / "band" / name).is_dir() else shutil.copy
        copy(source / "band" / name, folder / "band" / name)
    for name in _ROOT_FILES:
        shutil.copy(source / name, folder / name)
    sizes = {"whole": sum(map(len, files.values()))}
    for package in ("band", "bandwire"):
        sizes[package] = sum(len(data) for name, data in files.items() if name.startswith(package + "/"))
    return Program(folder, sizes)


def run() -> dict[str, Any]:
    """Bytes, milliseconds and heap."""
    with tempfile.TemporaryDirectory() as folder:
        made = compiled(Path(folder) / "program")
        options = BandOptions(Path(folder) / "flash", keys=_KEYS)
        bare = [_start([find_micropython(), "-c", "print('ready')"], dict(os.environ)) for _ in range(ROUNDS)]
        starts = [_start(*line_of(options, made, "hex")) for _ in range(ROUNDS)]
        heap = asyncio.run(heap_use(made, Path(folder)))
    return {
        "bytes": made.sizes,
        "byte_budget": BUDGET[SLOT],
        "start_ms": {"interpreter": _median_ms(bare), "to ready": _median_ms(starts)},
        "heap": heap,
        "heap_budget": HEAP_BUDGET,
        "heap_size": HEAP,
    }


def line_of(options: BandOptions, made: Program, link: str) -> tuple[list[str], dict[str, str]]:
    """(arguments, environment) of a band that runs the compiled program."""
    line, environment = command_line(options, link)
    sources = f"{firmware_folder()}:"
    path = environment["MICROPYPATH"].replace(sources, f"{made.folder}:")
    main = str(firmware_folder() / "main.py")
    return [str(made.folder / "main.py") if part == main else part for part in line], {
        **environment,
        "MICROPYPATH": path,
    }


def _start(line: list[str], environment: dict[str, str]) -> float:
    """Seconds from the process to its word `ready`. A new flash is formatted in the first round."""
    began = time.perf_counter()
    pipe = subprocess.PIPE
    with subprocess.Popen(line, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        took = time.perf_counter() - began
        process.communicate("quit\n", timeout=_LIMIT_S)
    if said.strip() != "ready":
        raise RuntimeError(f"the band said {said!r}")
    return took


def _median_ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 1)


async def heap_use(made: Program, folder: Path) -> dict[str, dict[str, int]]:
    """Live and peak bytes by what the band does; charges come on top of what it did before. folder: for two flashes."""
    from voyage.air import open_air

    found: dict[str, dict[str, int]] = {}
    for radio in (False, True):
        async with open_air() as air, Reader() as reader:
            options = BandOptions(folder / f"heap{radio:d}", keys=_KEYS)
            options = replace(options, air=air.option("bench")) if radio else options
            async with RunningBand(*line_of(options, made, "field")) as band:
                found["advertises" if radio else "at rest"] = await _at_rest(band, options.state, radio)
                await band.ask(f"enter 127.0.0.1 {reader.port}", "entered")
                for _ in range(TAPS):
                    await reader.charge()
                found["charges and advertises" if radio else "charges"] = await band.heap()
    return found


async def _at_rest(band: RunningBand, state: Path, radio: bool) -> dict[str, int]:
    if radio:
        (state / "button").touch()
        await asyncio.sleep(_PRESS_S)
        (state / "button").unlink()
        await asyncio.sleep(1)
    return await band.heap()


class RunningBand:
    """A band's process with its control lines, as an async context manager."""

    def __init__(self, line: list[str], environment: dict[str, str]) -> None:
        self._line = line
        self._environment = environment

    async def __aenter__(self) -> RunningBand:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._line, env=self._environment, stdin=pipe, stdout=pipe
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        await self._expect("ready")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.wait()

    async def ask(self, line: str, expected: str) -> str:
        self._stdin.write(line.encode() + b"\n")
        return await self._expect(expected)

    async def heap(self) -> dict[str, int]:
        values = dict(part.split("=") for part in (await self.ask("mem", "mem ")).split()[1:])
        return {"live": int(values["used"]), "peak": int(values["peak"])}

    async def _expect(self, start: str) -> str:
        async with asyncio.timeout(_LIMIT_S):
            said = (await self._stdout.readline()).decode().strip()
        if not said.startswith(start):
            raise RuntimeError(f"the band said {said!r} for {start!r}")
        return said


class Reader:
    """The least that a band takes for a reader: messages with a length before them."""

    async def __aenter__(self) -> Reader:
        self._came: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue(1)
        self._server = await asyncio.start_server(lambda *streams: self._came.put_nowait(streams), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._server.close()
        await self._server.wait_closed()

    async def charge(self) -> None:
        """One tap: prove the terminal's key, have a charge signed."""
        await self._send(b"\x01" if self._streams is None else b"\x02")
        await self._exchange(apdu.select_df())
        proof = ReaderAuth(_AES, _TERMINAL_KEY, _KEYS[_TERMINAL_KEY], os.urandom(16))
        channel = proof.finish(await self._exchange(proof.step(await self._exchange(proof.start()))))
        request = charge.pack_request(100, "EUR", "T1", os.urandom(16))
        raw = await self._exchange(channel.command(apdu.INS_SIGN_CHARGE, b"", request, MAC))
        channel.response(raw, MAC)

    async def _send(self, message: bytes) -> None:
        if self._streams is None:
            async with asyncio.timeout(_LIMIT_S):
                self._streams = await self._came.get()
        self._streams[1].write(len(message).to_bytes(2, "big") + message)

    async def _exchange(self, message: bytes) -> bytes:
        await self._send(message)
        assert self._streams is not None
        async with asyncio.timeout(_LIMIT_S):
            size = int.from_bytes(await self._streams[0].readexactly(2), "big")
            return await self._streams[0].readexactly(size)


def show(results: dict[str, Any], console: Console) -> None:
    sizes = results["bytes"]
    console.print(
        f"Band's program: {sizes['whole']:,} bytes compiled ({sizes['band']:,} band, {sizes['bandwire']:,} bandwire), "
        f"budget {results['byte_budget']:,}"
    )
    start = results["start_ms"]
    console.print(f"Start to ready: {start['to ready']} ms, of which the interpreter alone {start['interpreter']} ms")
    table = Table(
        "band", "heap live", "heap peak", "budget", title=f"Heap of a 64-bit build, -X heapsize={results['heap_size']}"
    )
    for name, use in results["heap"].items():
        table.add_row(name, f"{use['live']:,}", f"{use['peak']:,}", f"{results['heap_budget'][name]:,}")
    console.print(table)
