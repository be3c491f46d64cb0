"""For the reader tests: virtual PC/SC readers, and a scripted card that enters a reader by TCP."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from typing import ClassVar

from voyage.pcscd import Pcscd, PcscdError

ATR = bytes.fromhex("3B8180018080")
UID = bytes.fromhex("04112233445566")
GET_UID = bytes.fromhex("FFCA000000")
SELECT_DF = bytes.fromhex("00A4040007D276000085010100")
OK = b"\x90\x00"
LIMIT_S = 10.0  # of every wait in these tests; reached only when something is broken

Reply = Callable[[bytes], bytes | None]  # None: say nothing


def started(readers: int) -> Pcscd:
    """A running service. A machine without one fails the test and says what to install: it must not pass unseen."""
    service = Pcscd(readers)
    try:
        service.start()
    except PcscdError as error:
        raise AssertionError(f"these tests need virtual PC/SC readers: {error}") from None
    return service


async def talk(service: Pcscd, *command: str) -> tuple[int, str]:
    """Run a client program of this service: its exit code, and all it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=service.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def echo(capdu: bytes) -> bytes:
    """Answers each command with itself, so that a mixed-up answer is seen."""
    return capdu + OK


class ScriptedCard:
    """A card at the wire's other end: `reply` answers APDUs, the link itself ATR and id."""

    _held: ClassVar[set[asyncio.Task[None]]] = set()  # asyncio itself keeps no task alive, and no stream's reader

    def __init__(self, uid: bytes = UID, *, atr: bytes = ATR, reply: Reply = echo) -> None:
        self.uid = uid
        self.atr = atr
        self.reply = reply
        self.heard: list[bytes] = []
        self.may_tell_id = asyncio.Event()
        self.may_tell_id.set()
        self.asked_id = asyncio.Event()
        self.asked = asyncio.Event()  # a command other than for the id has come
        self.off = asyncio.Event()  # powered down
        self.gone = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def enter(self, port: int) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self.gone.clear()
        self.asked.clear()
        self._task = asyncio.create_task(self._serve(reader))
        self._held.add(self._task)
        self._task.add_done_callback(self._held.discard)

    async def leave(self) -> None:
        """Break the connection, as a band pulled out of the field does."""
        assert self._writer is not None
        self._writer.transport.abort()
        await self.left()

    async def was_asked(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.asked.wait()

    async def walk_away(self) -> None:
        """Leave in peace: the reader has noticed when this returns."""
        assert self._writer is not None
        self._writer.write_eof()
        await self.left()

    async def was_powered_down(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.off.wait()

    async def left(self) -> None:
        """Wait until the reader, or leave(), has ended the connection."""
        async with asyncio.timeout(LIMIT_S):
            await self.gone.wait()
        assert self._task is not None
        await asyncio.wait([self._task])

    def say(self, raw: bytes) -> None:
        assert self._writer is not None
        self._writer.write(raw)

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                message = await reader.readexactly(size)
                if message != b"\x04":  # pcscd asks for the ATR again and again, to see whether the card is there
                    self.heard.append(message)
                if message == GET_UID:
                    self.asked_id.set()
                    await self.may_tell_id.wait()
                answer = self._answer(message)
                if answer is not None:
                    self.say(len(answer).to_bytes(2, "big") + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            assert self._writer is not None
            self._writer.close()
            self.gone.set()

    def _answer(self, message: bytes) -> bytes | None:
        if message == b"\x04":
            return self.atr
        if len(message) == 1:
            (self.off.set if message == b"\x00" else self.off.clear)()
            return None
        if message == GET_UID:
            return self.uid + OK
        self.asked.set()
        return self.reply(message)
