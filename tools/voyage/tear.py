"""A hand that pulls a band away in mid-charge: a relay between band and reader that lets go at one exact moment.

Both sides speak the reader link's frames (2-byte length, payload). The relay passes them on until the reader sends
the charge command; then, as asked, the band is pulled or killed before its answer can reach the reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

SIGN_CHARGE = b"\x90\xd8"  # CLA INS of the command that signs a charge: never sent in the clear, but its head is


class Tear:
    """Listens on `port`; the band enters there instead of at the reader.

    at_command: called when the charge command has been handed to the band, before its answer is awaited; for
    killing it. answer_first: let the band answer (it has counted the charge by then) and drop that answer.
    """

    def __init__(self, reader_port: int, *, at_command: Callable[[], None] | None = None, answer_first: bool) -> None:
        self._reader_port = reader_port
        self._at_command = at_command
        self._answer_first = answer_first
        self._server: asyncio.Server | None = None
        self._done = asyncio.Event()
        self.torn = False  # whether the moment came
        self.port = 0

    async def __aenter__(self) -> Tear:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._done.set()
        await self._server.wait_closed()

    async def happened(self, limit_s: float) -> bool:
        """Whether the band was torn away within `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                await self._done.wait()
        except TimeoutError:
            return False
        return self.torn

    async def _relay(self, band_in: asyncio.StreamReader, band_out: asyncio.StreamWriter) -> None:
        reader_in, reader_out = await asyncio.open_connection("127.0.0.1", self._reader_port)
        answers = asyncio.create_task(self._answers(band_in, reader_out))
        try:
            while not self._done.is_set():
                command = await _frame(reader_in)
                if command[2:4] == SIGN_CHARGE:
                    await self._tear(command, band_in, band_out, answers)
                    break
                band_out.write(command)
                await band_out.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # one side has left of its own accord
        finally:
            answers.cancel()
            for side in (reader_out, band_out):
                side.transport.abort()
            self._done.set()

    async def _tear(
        self,
        command: bytes,
        band_in: asyncio.StreamReader,
        band_out: asyncio.StreamWriter,
        answers: asyncio.Task[None],
    ) -> None:
        """From here on nothing of what the band says reaches the reader."""
        answers.cancel()
        await asyncio.wait((answers,))
        band_out.write(command)
        await band_out.drain()
        self.torn = True
        if self._at_command is not None:
            self._at_command()
        if self._answer_first:
            await _frame(band_in)

    async def _answers(self, band_in: asyncio.StreamReader, reader_out: asyncio.StreamWriter) -> None:
        try:
            while True:
                reader_out.write(await _frame(band_in))
                await reader_out.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            reader_out.transport.abort()


async def _frame(stream: asyncio.StreamReader) -> bytes:
    """One whole message, its length in front."""
    head = await stream.readexactly(2)
    return head + await stream.readexactly(int.from_bytes(head, "big"))
