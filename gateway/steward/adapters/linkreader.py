"""A card reader that is a TCP socket: bands without radio hardware enter its field by connecting.

It speaks the reader's side of the vpcd protocol: every message is a 2-byte big-endian length and a payload; one
byte from us is an order (power off, power on, reset, tell your ATR), anything longer a command APDU. As with a
real reader's anticollision one card is served and the others wait, WAITING_MAX of them at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from steward.errors import CardRemoved, ReaderFault
from steward.ports import Card

_LOG = logging.getLogger(__name__)

WAITING_MAX = 4
EXCHANGE_LIMIT_S = 2.0
FRAME_BYTES_MAX = 258  # a short R-APDU: 256 bytes and a status word
ATR_BYTES_MAX = 33
_POWER_OFF, _POWER_ON, _GET_ATR = b"\x00", b"\x01", b"\x04"
_GET_UID = b"\xff\xca\x00\x00\x00"
_SW_OK = b"\x90\x00"
_ID_SIZES = (4, 7, 10)  # ISO 14443-3: single, double and triple size


class LinkCard:
    """The band in the field, until it leaves or `disconnect`."""

    def __init__(self, link: _Link, anticollision_id: bytes, limit_s: float) -> None:
        self._link = link
        self._anticollision_id = anticollision_id
        self._limit_s = limit_s

    @property
    def anticollision_id(self) -> bytes:
        return self._anticollision_id

    async def exchange(self, capdu: bytes) -> bytes:
        answer = await self._link.ask(capdu, self._limit_s)
        if len(answer) < 2:
            self._link.drop("answered without a status word")
            raise CardRemoved("the card answered without a status word")
        return answer

    def leave(self) -> None:
        """Power off and close; for LinkReader."""
        self._link.power_off()


class LinkReader:
    """Listens on `host`:`port` (0 = any free port, see `port`) from the first connect() or start() on."""

    def __init__(
        self, name: str, port: int = 0, *, host: str = "127.0.0.1", exchange_limit_s: float = EXCHANGE_LIMIT_S
    ) -> None:
        self._name = name
        self._host = host
        self._port = port
        self._limit_s = exchange_limit_s
        self._server: asyncio.Server | None = None
        self._waiting: deque[_Link] = deque()
        self._change = asyncio.Event()
        self._card: LinkCard | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def port(self) -> int:
        """Where bands connect; known after start()."""
        return self._port

    async def start(self) -> None:
        """Begin to listen. ReaderFault if the port is taken."""
        if self._server is not None or self._closed:
            return
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Link(self._enter, self._left), self._host, self._port)
        except OSError as error:
            raise ReaderFault(
                f"reader {self._name} cannot listen on {self._host}:{self._port} ({error.strerror}): "
                f"choose a free port in the settings"
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]

    async def connect(self) -> LinkCard:
        await self.start()
        self._let_go()
        while not self._closed:
            if not self._waiting:
                self._change.clear()
                await self._change.wait()
                continue
            link = self._waiting.popleft()
            try:
                self._card = LinkCard(link, await _activate(link, self._limit_s), self._limit_s)
            except CardRemoved as error:
                _LOG.info("reader.card_dropped name=%s why=%s", self._name, error)
                continue
            return self._card
        raise ReaderFault(f"reader {self._name} is closed")

    async def disconnect(self, card: Card) -> None:
        """Power the band off and close its connection. Harmless if it has left, or if another is held by now."""
        if card is self._card:
            self._let_go()

    async def close(self) -> None:
        self._closed = True
        self._let_go()
        for link in list(self._waiting):
            link.drop("the reader closed")
        self._waiting.clear()
        self._change.set()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _let_go(self) -> None:
        if self._card is not None:
            self._card.leave()
            self._card = None

    def _enter(self, link: _Link) -> None:
        if self._closed or len(self._waiting) >= WAITING_MAX:
            link.drop("too many cards in the field")
            return
        self._waiting.append(link)
        self._change.set()

    def _left(self, link: _Link) -> None:
        if link in self._waiting:
            self._waiting.remove(link)


async def _activate(link: _Link, limit_s: float) -> bytes:
    """Power the card on and learn its id. CardRemoved, and the link dropped, if it does not behave like a card."""
    link.order(_POWER_ON)
    atr = await link.ask(_GET_ATR, limit_s)
    if not 2 <= len(atr) <= ATR_BYTES_MAX or atr[0] not in (0x3B, 0x3F):
        link.drop("sent no ATR")
        raise CardRemoved("the card sent no ATR")
    answer = await link.ask(_GET_UID, limit_s)
    if answer[-2:] != _SW_OK or len(answer) - 2 not in _ID_SIZES:
        link.drop("told no id")
        raise CardRemoved("the card told no id")
    return answer[:-2]


class _Link(asyncio.Protocol):
    """One band's connection: one question at a time, one whole frame in answer, nothing else."""

    def __init__(self, entered: Callable[[_Link], None], left: Callable[[_Link], None]) -> None:
        self._entered = entered
        self._left = left
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    def order(self, payload: bytes) -> None:
        """Send what has no answer."""
        if self._transport is None or self._transport.is_closing():
            raise CardRemoved("the card has left")
        self._transport.write(len(payload).to_bytes(2, "big") + payload)

    async def ask(self, payload: bytes, limit_s: float) -> bytes:
        """Send and wait for the answer. CardRemoved if it does not come in time or the band leaves."""
        assert self._answer is None, "one exchange at a time"
        self.order(payload)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(limit_s):
                return await self._answer
        except TimeoutError:
            self.drop("silent")
            raise CardRemoved(f"the card did not answer within {limit_s:g} s") from None
        except asyncio.CancelledError:
            self.drop("abandoned in mid-exchange")  # its answer would be taken for that to the next question
            raise
        finally:
            self._answer = None

    def power_off(self) -> None:
        """Tell the band and close after what is written."""
        if self._transport is not None and not self._transport.is_closing():
            self.order(_POWER_OFF)
            self._transport.close()

    def drop(self, why: str) -> None:
        """Close at once; what is on the way is lost."""
        if self._transport is not None and not self._transport.is_closing():
            _LOG.debug("reader.link_dropped why=%s", why)
            self._transport.abort()
        self._fail(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._entered(self)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.drop("spoke without being asked")
            return
        self._buffer += data
        if len(self._buffer) < 2:
            return
        length = int.from_bytes(self._buffer[:2], "big")
        if not 1 <= length <= FRAME_BYTES_MAX or len(self._buffer) > 2 + length:
            self.drop("sent a malformed frame")
        elif len(self._buffer) == 2 + length:
            self._answer.set_result(bytes(self._buffer[2:]))
            self._buffer.clear()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("left the field")
        self._left(self)

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(CardRemoved(f"the card was lost: {why}"))
