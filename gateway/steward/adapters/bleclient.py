"""One request to one band over a paired link, by bleak. No bond is kept: the next pairing has another passkey."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.exc import BleakError

from bandwire import radio
from bandwire.errors import BadFrame
from steward.errors import BandAway

CONNECT_S = 6.0
ANSWER_S = 4.0
ALL_S = 11.0  # of connecting, pairing, asking and letting go
TALK_S = 600.0  # of a talk, whatever is said
_HEAD_BYTES = 6  # of a write, and of a request
_NUMBERS = 256


class PasskeyAgent(Protocol):
    """Whoever tells the platform the passkey of a pairing that it is about to make."""

    def expecting(self, address: str, passkey: int) -> AbstractAsyncContextManager[None]:
        """While this is open, a pairing with this address is given this passkey, and any other is refused."""
        ...


class _Band:
    """A band that is paired: what it answers is taken by kind and number."""

    def __init__(self, client: BleakClient) -> None:
        self._client = client
        self._due: asyncio.Future[tuple[int, bytes]] | None = None
        self._asked = (0, 0)  # kind and number

    async def listen(self) -> None:
        await self._client.start_notify(radio.ANSWER, self._notice)

    async def ask(self, kind: int, number: int, data: bytes) -> tuple[int, bytes]:
        self._due, self._asked = asyncio.get_running_loop().create_future(), (kind, number)
        room = min(radio.PART_MAX, self._client.mtu_size - _HEAD_BYTES)
        for part in radio.pack_request(kind, number, data, room):
            await self._client.write_gatt_char(radio.COMMAND, part, response=True)
        async with asyncio.timeout(ANSWER_S):
            return await self._due

    def _notice(self, _: BleakGATTCharacteristic, raw: bytearray) -> None:
        try:
            of_kind, of_number, status, said = radio.open_answer(bytes(raw))
        except BadFrame:
            return  # not of this protocol: the answer that is due may still come
        if (of_kind, of_number) == self._asked and self._due is not None and not self._due.done():
            self._due.set_result((status, said))


class BandTalk:
    """ports.radio.Talk."""

    def __init__(self, ask: Callable[[int, bytes], Awaitable[tuple[int, bytes]]]) -> None:
        self._ask = ask

    async def ask(self, kind: int, data: bytes = b"") -> tuple[int, bytes]:
        return await self._ask(kind, data)


class BandLink:
    """adapter: the radio's name ("hci0"), None for the machine's own. One connection at a time.

    backend: another client than the platform's, for whoever starts a gateway inside a test.
    """

    def __init__(
        self, agent: PasskeyAgent, adapter: str | None = None, backend: type[BaseBleakClient] | None = None
    ) -> None:
        self._agent = agent
        self._options: dict[str, Any] = {} if adapter is None else {"bluez": {"adapter": adapter}}
        self._backend = backend
        self._turn = asyncio.Lock()
        self._waiting = 0  # who want their turn for one question
        self._number = 0

    async def ask(self, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        """The status and data of the band's answer. A talk that goes on ends for it. Raises BandAway."""
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            async with self._paired(address, passkey, ALL_S) as band:
                return await band.ask(kind, self._next(), data)
        finally:
            self._turn.release()

    @asynccontextmanager
    async def talk(self, address: str, passkey: int) -> AsyncIterator[BandTalk]:
        """ports.radio.TalkingRadio. Raises BandAway."""
        async with self._turn, self._paired(address, passkey, TALK_S) as band:

            async def ask(kind: int, data: bytes) -> tuple[int, bytes]:
                if self._waiting:
                    raise BandAway("somebody looks for a band: this one is talked to later")
                return await band.ask(kind, self._next(), data)

            yield BandTalk(ask)

    def _next(self) -> int:
        self._number = (self._number + 1) % _NUMBERS
        return self._number

    @asynccontextmanager
    async def _paired(self, address: str, passkey: int, limit_s: float) -> AsyncIterator[_Band]:
        try:
            async with asyncio.timeout(limit_s), self._agent.expecting(address, passkey):
                client = BleakClient(address, timeout=CONNECT_S, backend=self._backend, **self._options)
                await client.connect()
                try:
                    await client.pair()
                    band = _Band(client)
                    await band.listen()
                    yield band
                finally:
                    with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError):
                        await client.unpair()
                    with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError):
                        await client.disconnect()
        except (BleakError, OSError, EOFError, TimeoutError) as error:
            raise BandAway(f"the band did not answer: {type(error).__name__}") from error
