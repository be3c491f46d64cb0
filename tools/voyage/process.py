"""The ship's own programs, each as a process of its own whose output goes into a log file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

START_LIMIT_S = 30.0
STOP_LIMIT_S = 8.0
COMMAND_LIMIT_S = 60.0
LOG_LINES_SHOWN = 12
LOG_LINE_SHOWN = 400
_LOG_TAIL_BYTES = 16_384
_POLL_S = 0.05


class ShipError(Exception):
    """The ship cannot sail; the text says why and what to do."""


class ServiceDied(ShipError):
    """One of the ship's processes ended by itself."""


class ServiceProcess:
    """`python -m steward ...` in a process and session of its own. name: for people, "the gateway".

    program: another module than steward.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None,
        program: str = "steward",
    ) -> None:
        self._program = program
        self._name = name
        self._command = command
        self.log = log
        self._environment = dict(environment or os.environ)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._program, *self._command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends the others properly
            )

    async def wait_healthy(self, healthy: Callable[[], Awaitable[bool]]) -> None:
        """Until it serves. Raises ServiceDied if it ends instead, ShipError after START_LIMIT_S."""
        end = time.monotonic() + START_LIMIT_S
        while not await healthy():
            if self._process is not None and self._process.returncode is not None:
                raise self._died()
            if time.monotonic() > end:
                raise ShipError(f"{self._name} did not answer within {START_LIMIT_S:g} s\n{self.last_words()}")
            await asyncio.sleep(_POLL_S)

    async def ended(self) -> ServiceDied:
        """Wait until the process has ended, however long; what to tell about it."""
        assert self._process is not None
        await self._process.wait()
        return self._died()

    async def stop(self) -> None:
        """SIGTERM, and kill -9 if that is not enough. Harmless if it has ended."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """The end of the log, and where all of it is."""
        return f"{_tail(self.log)}\nThe whole log: {self.log}"

    def _died(self) -> ServiceDied:
        assert self._process is not None
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        return ServiceDied(f"{self._name} {how}. Its last words:\n{self.last_words()}")


async def run_steward(*command: str, also: Collection[int] = ()) -> str:
    """A `steward` command, as somebody would type it; what it printed. Raises ShipError if it ends otherwise than
    with 0 or one of `also`.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "steward", *command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(COMMAND_LIMIT_S):
            out, err = await process.communicate()
    except TimeoutError:
        raise ShipError(f"`steward {' '.join(command[:3])}` took longer than {COMMAND_LIMIT_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in (0, *also):
        said = "\n".join(f"  {line[:LOG_LINE_SHOWN]}" for line in err.decode(errors="replace").splitlines()[-3:])
        raise ShipError(f"`steward {' '.join(command[:3])}` ended with code {process.returncode}:\n{said}")
    return out.decode()


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"  (the log cannot be read: {error.strerror})"
    return "\n".join(f"  {line[:LOG_LINE_SHOWN]}" for line in lines[-LOG_LINES_SHOWN:]) or "  (the log is empty)"
