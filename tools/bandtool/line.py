"""A serial line to one band: bytes, asynchronously, until the cable is pulled."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from steward.errors import CardRemoved, ReaderFault

if TYPE_CHECKING:
    import serial

T = TypeVar("T")
BAUD = 115_200
_POLL_S = 0.05  # how long one read blocks its thread
_CHUNK_MAX = 4096
_RESET_S = 0.1
_NO_SUCH_WIRES = (errno.ENOTTY, errno.EINVAL)  # a line without DTR and RTS, such as a pseudo-terminal


def _why_closed(error: Exception) -> str:
    """With what to do. pyserial's own words where the system gives no number, as on Windows."""
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return "there is no such port. `bandtool ports` lists those there are"
    if number == errno.EACCES:
        return "it is not yours to open. On Linux your user must be in the group `dialout`: add it and log in anew"
    if number in (errno.EAGAIN, errno.EBUSY):
        return "another program has it: close other programs that use it, then try again"
    return f"{error}. See `bandtool ports`, and close other programs that use it"


class Line(Protocol):
    @property
    def name(self) -> str: ...

    async def read(self) -> bytes:
        """What has come since, after waiting a moment; empty if nothing. Raises CardRemoved."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises CardRemoved."""
        ...

    async def close(self) -> None: ...


class PortLine:
    """A port of this machine, through pyserial, in a thread of its own: it works alike on every system."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._thread = ThreadPoolExecutor(1, f"port {port.name}")

    @classmethod
    async def open(cls, name: str, baud: int = BAUD) -> PortLine:
        """Raises ReaderFault if there is no such port, or another program has it."""
        import serial

        def work() -> serial.Serial:
            return serial.Serial(name, baud, timeout=_POLL_S, write_timeout=2.0, exclusive=True)

        try:
            return cls(await asyncio.to_thread(work))
        except (serial.SerialException, ValueError) as error:
            raise ReaderFault(f"cannot open {name}: {_why_closed(error)}") from None

    @property
    def name(self) -> str:
        return str(self._port.name)

    async def reset(self) -> None:
        """The board starts anew, as esptool makes it: a station is heard only then. Raises CardRemoved."""
        await self._do(self._pulse)

    async def read(self) -> bytes:
        return await self._do(lambda: self._port.read(min(max(self._port.in_waiting, 1), _CHUNK_MAX)))

    async def write(self, data: bytes) -> None:
        await self._do(lambda: self._port.write(data))

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._port.close)

    def _pulse(self) -> None:
        try:
            self._port.dtr = False  # not the bootloader
            self._port.rts = True
            time.sleep(_RESET_S)
            self._port.rts = False
        except OSError as error:
            if error.errno not in _NO_SUCH_WIRES:
                raise

    async def _do(self, work: Callable[[], T]) -> T:
        import serial

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (serial.SerialException, OSError, TypeError) as error:
            # TypeError: pyserial's port that was closed under a read
            raise CardRemoved(f"the cable to {self.name} was pulled ({type(error).__name__})") from None
