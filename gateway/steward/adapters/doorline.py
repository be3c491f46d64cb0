"""Door controllers: each signal goes out as one JSON line over TCP, soon or not at all.

{"door": "cabin-1042", "open": true, "code": "granted", "light": "green"}

A door that opens ten seconds after the tap opens for nobody, or for somebody else. So a signal older than
SIGNAL_AGE_MAX_S is thrown away, and the kernel gives up a connection whose bytes stay unacknowledged that long
instead of delivering them when the cable is back. A controller must act on lines as they arrive.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections import deque
from collections.abc import Mapping

from steward.domain.ids import DoorId
from steward.ports import Actuator, DoorSignal

_LOG = logging.getLogger(__name__)
Address = tuple[str, int]

SIGNAL_AGE_MAX_S = 2.0
WAITING_MAX = 16
CONNECT_LIMIT_S = 1.0
BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 1.0  # below SIGNAL_AGE_MAX_S: a fresh order finds at least one try


class LogActuator:
    """For doors without a controller: the signal is only written to the log."""

    async def show(self, signal: DoorSignal) -> None:
        _LOG.info("door.signal door=%s open=%s code=%s light=%s", signal.door, signal.open, signal.code, signal.light)


class DoorLineActuator:
    """One lasting connection to each controller; doors without an address go to `fallback`.

    `show` never waits for the network: it queues, and the oldest signal makes room when WAITING_MAX are waiting.
    """

    def __init__(self, addresses: Mapping[DoorId, Address], fallback: Actuator | None = None) -> None:
        lines = {address: _Line(address) for address in set(addresses.values())}
        self._lines = {door: lines[address] for door, address in addresses.items()}
        self._fallback = fallback or LogActuator()

    async def start(self) -> None:
        """Connect ahead of the first tap. Optional: `show` does it too."""
        for line in self._lines.values():
            line.start()

    async def show(self, signal: DoorSignal) -> None:
        line = self._lines.get(signal.door)
        if line is None:
            await self._fallback.show(signal)
        else:
            line.put(signal)

    async def close(self) -> None:
        for line in set(self._lines.values()):
            await line.close()


class _Line:
    """The connection to one controller and the signals waiting for it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._waiting: deque[tuple[float, DoorSignal]] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"door line {self._address[0]}:{self._address[1]}")

    def put(self, signal: DoorSignal) -> None:
        self.start()
        if len(self._waiting) >= WAITING_MAX:
            self._report_lost(self._waiting.popleft()[1], "queue full")
        self._waiting.append((asyncio.get_running_loop().time(), signal))
        self._wake.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        backoff_s = BACKOFF_MIN_S
        while True:
            wire = await self._connect()
            if wire is None:
                if backoff_s == BACKOFF_MIN_S:
                    _LOG.warning("door.controller_unreachable host=%s port=%d", *self._address)
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)
                continue
            backoff_s = BACKOFF_MIN_S
            try:
                await self._serve(wire)
            finally:
                wire.abort()
            # A controller that accepts and hangs up at once must not be asked in a tight loop.
            await asyncio.sleep(BACKOFF_MIN_S)

    async def _connect(self) -> _Wire | None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                _, wire = await loop.create_connection(lambda: _Wire(self._wake), *self._address)
        except (OSError, TimeoutError, UnicodeError):  # UnicodeError: a host that can be no name, such as a..b
            return None
        return wire

    async def _serve(self, wire: _Wire) -> None:
        """Send what waits and what comes until the connection is lost."""
        while not wire.lost:
            self._wake.clear()
            while self._waiting and wire.ready:
                since, signal = self._waiting.popleft()
                if asyncio.get_running_loop().time() - since > SIGNAL_AGE_MAX_S:
                    self._report_lost(signal, "too old")
                else:
                    wire.send(_encode(signal))
            await self._wake.wait()

    def _report_lost(self, signal: DoorSignal, why: str) -> None:
        _LOG.warning("door.signal_lost door=%s open=%s code=%s why=%s", signal.door, signal.open, signal.code, why)


class _Wire(asyncio.Protocol):
    """The TCP connection. What a controller says back is ignored."""

    def __init__(self, wake: asyncio.Event) -> None:
        self._wake = wake
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.lost = False

    @property
    def ready(self) -> bool:
        return not (self.lost or self._paused)

    def send(self, line: bytes) -> None:
        assert self._transport is not None
        self._transport.write(line)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            tcp = transport.get_extra_info("socket")
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SIGNAL_AGE_MAX_S * 1000))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._wake.set()


def _encode(signal: DoorSignal) -> bytes:
    fields = {"door": signal.door, "open": signal.open, "code": signal.code, "light": signal.light}
    return json.dumps(fields).encode() + b"\n"
