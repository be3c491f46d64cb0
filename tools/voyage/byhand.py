"""Taps by whoever watches the demo: a key in its terminal, or `voyage tap` from anywhere on this machine.

The pages want a band at a reader, and nobody at a desk has one: the demo holds its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import secrets
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from steward.adapters.keyseal import write_private

HOST = "127.0.0.1"
FILE = "tap.json"  # in the ship's folder: port and secret, for its owner alone
LINE_BYTES_MAX = 512
LINE_LIMIT_S = 10.0
CALL_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Hand:
    """Something to tap: its key in the terminal, its name for `voyage tap`, whose band it is and where it goes."""

    key: str
    name: str
    person: str
    station: str
    pin: str = ""
    role: str = ""


Tap = Callable[[Hand], Awaitable[str]]


class HandTaps:
    """Taps while the demo is up. tap: holds the band there and says what came of it."""

    def __init__(self, hands: tuple[Hand, ...], tap: Tap, tell: Callable[[str, str], None]) -> None:
        self._hands = hands
        self._tap = tap
        self._tell = tell
        self._secret = secrets.token_hex(16)
        self._server: asyncio.Server | None = None
        self._under_way: set[asyncio.Task[str]] = set()

    async def serve(self, folder: Path) -> None:
        """Take what `voyage tap` asks for, and write down for it where."""
        self._server = await asyncio.start_server(self._answer, HOST, 0, limit=LINE_BYTES_MAX)
        place = {"port": self._server.sockets[0].getsockname()[1], "secret": self._secret}
        write_private(folder / FILE, json.dumps(place).encode(), replace=False)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    @contextlib.contextmanager
    def keys(self) -> Iterator[None]:
        """Meanwhile a key pressed in the terminal is a tap; Ctrl-C stays what it is. Nothing without a terminal."""
        if not sys.stdin.isatty():
            yield
            return
        descriptor, loop = sys.stdin.fileno(), asyncio.get_running_loop()
        before = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor)
        loop.add_reader(descriptor, self._pressed, descriptor)
        try:
            yield
        finally:
            loop.remove_reader(descriptor)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def _pressed(self, descriptor: int) -> None:
        try:
            typed = os.read(descriptor, 64).decode(errors="replace")
        except OSError:
            typed = ""
        if not typed:  # the terminal has gone; a signal tells the rest
            asyncio.get_running_loop().remove_reader(descriptor)
        for hand in self._hands:
            if hand.key in typed:
                self._start(hand)

    def _start(self, hand: Hand) -> asyncio.Task[str]:
        task = asyncio.create_task(self._carry_out(hand))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _carry_out(self, hand: Hand) -> str:
        said = await self._tap(hand)
        self._tell(f"by hand · {said}", "plain")
        return said

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One line of JSON in, one out."""
        try:
            async with asyncio.timeout(LINE_LIMIT_S):
                line = await reader.readline()
            said = await self._asked(line)
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # hung up, too slow, or a line without end
        finally:
            writer.close()

    async def _asked(self, line: bytes) -> dict[str, object]:
        asked = json.loads(line)
        if not isinstance(asked, dict) or not hmac.compare_digest(
            str(asked.get("secret", "")).encode(), self._secret.encode()
        ):
            return {"ok": False, "said": "this demo has another secret: use the folder it printed"}
        hand = next((hand for hand in self._hands if asked.get("who") in (hand.name, hand.key)), None)
        if hand is None:
            return {"ok": False, "said": f"nobody of that name: {', '.join(hand.name for hand in self._hands)}"}
        return {"ok": True, "said": await self._start(hand)}


async def call(folder: Path, who: str) -> tuple[bool, str]:
    """Ask the demo of this folder for a tap; (whether it was made, what it said). Raises OSError, ValueError."""
    place = json.loads((folder / FILE).read_text())
    async with asyncio.timeout(CALL_LIMIT_S):
        reader, writer = await asyncio.open_connection(HOST, int(place["port"]))
        try:
            writer.write(json.dumps({"secret": place["secret"], "who": who}).encode() + b"\n")
            await writer.drain()
            answer = json.loads(await reader.readline())
        finally:
            writer.close()
    return bool(answer["ok"]), str(answer["said"])
