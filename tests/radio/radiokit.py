"""A band with a radio, the air about it, a reader that taps it, and a gateway's radio that knows its key."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bumble import core, device, gatt_client, hci, pairing
from tests.micropython.bandlab import KEYS, UID

from bandwire import apdu, eid, radio
from bandwire.condition import WISH_NONE, WISH_ON, Condition, read_condition
from bandwire.files import FULL
from bandwire.session import Channel, ReaderAuth
from steward.adapters.aes import HostAes
from voyage.air import Air, Heard, open_air, pass_time
from voyage.airbackend import AirStation, Keyboard
from voyage.airband import AirBand
from voyage.bandproc import BandOptions, BandProcess

AES = HostAes()
IDENTITY = radio.identity_key(AES, KEYS[0])
PERIOD_MS = radio.PERIOD_S * 1000
LIMIT_S = 10.0
_BOUNCE_MS = 50


class Field:
    """A reader's field on TCP: powers a band that enters, and exchanges APDUs with it. One band at a time."""

    def __init__(self) -> None:
        self.port = 0
        self._server: asyncio.Server | None = None
        self._come: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def start(self) -> None:
        self._server = await asyncio.start_server(lambda r, w: self._come.put_nowait((r, w)), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        while not self._come.empty():  # a band that nobody waited for any longer
            _, writer = self._come.get_nowait()
            await _hang_up(writer)

    @contextlib.asynccontextmanager
    async def tapping(self, band: BandProcess) -> AsyncIterator[Tap]:
        await band.enter("127.0.0.1", self.port)
        reader, writer = await self._come.get()
        try:
            yield Tap(reader, writer)
        finally:
            try:
                await band.leave()
            finally:
                await _hang_up(writer)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Tap:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.channel: Channel | None = None

    async def apdu(self, raw: bytes) -> bytes:
        self._writer.write(len(raw).to_bytes(2, "big") + raw)
        size = int.from_bytes(await self._reader.readexactly(2), "big")
        return await self._reader.readexactly(size)

    def select_again(self) -> None:
        """As a reader that begins anew."""
        self._writer.write(b"\x00\x01\x02")

    async def authenticate(
        self, wish: bytes = WISH_NONE, arrives: bytes | None = None, key_no: int = 1, key: bytes | None = None
    ) -> Condition | None:
        """A session; what the band tells of itself. arrives: what somebody on the way makes of the wish."""
        await self.apdu(apdu.select_df())
        auth = ReaderAuth(AES, key_no, key or KEYS[key_no], os.urandom(16), wish=wish)
        start = auth.start()
        if arrives is not None:
            start = apdu.native(apdu.INS_AUTH_FIRST, bytes((key_no, len(arrives))) + arrives)
        proof = auth.step(await self.apdu(start))
        self.channel = auth.finish(await self.apdu(proof))
        return read_condition(auth.pdcap2)

    async def read_uid(self) -> bytes:
        """A command with a MAC."""
        assert self.channel is not None
        return self.channel.response(await self.apdu(self.channel.command(apdu.INS_GET_CARD_UID, mode=FULL)))


@dataclass
class Wearer:
    """The band, from all sides."""

    air: Air
    field: Field
    state: Path
    process: BandProcess
    name: str
    options: BandOptions
    told: list[Condition | None] = field(default_factory=list)

    async def tap(self, wish: bytes = WISH_NONE) -> Condition | None:
        """One visit to a door: authenticate, one command."""
        async with self.field.tapping(self.process) as tap:
            told = await tap.authenticate(wish)
            assert await tap.read_uid() == self.options.uid
        return told

    async def radio(self) -> AirBand:
        return await self.air.band(self.name)

    async def switch_on(self) -> None:
        """By the guest's wish, until it is on the air."""
        await self.tap(WISH_ON)
        await self.until(lambda: self.shown() is not None)

    def shown(self) -> str | None:
        """The address it advertises from now."""
        band = self.air.bands.get(self.name)
        if band is None or band.controller is None or not band.controller.le_legacy_advertiser.enabled:
            return None
        return band.address.to_string(False)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110 (what is waited for is another program's doing)
                await asyncio.sleep(0.005)

    async def pass_ms(self, duration_ms: int) -> None:
        """Time passes for the band, and it has looked at its clock."""
        pass_time(self.state, duration_ms)
        await self.settle()

    async def settle(self) -> None:
        """It has done its duties. A line wakes it; between two of them it has done them all."""
        for _ in range(2):
            await self.process.mem()

    async def press(self, duration_ms: int) -> None:
        """The button: down, held so long by the band's clock, up."""
        button = self.state / "button"
        button.touch()
        await self.settle()
        await self.pass_ms(duration_ms)
        button.unlink()
        await self.settle()
        await self.pass_ms(_BOUNCE_MS)

    async def restart(self, **faults: object) -> None:
        """The power fails and comes again, with these of BandOptions and no others of before."""
        await self.process.kill()
        await self.until(lambda: self.name not in self.air.bands)
        options = BandOptions(self.state, **{"uid": self.options.uid, "air": self.options.air, **faults})  # type: ignore[arg-type]
        self.process = await BandProcess.start(options, "field")

    async def next_name(self, heard: list[Heard]) -> Heard:
        """The first advertisement from now on."""
        seen = len(heard)
        await self.until(lambda: len(heard) > seen)
        return heard[seen]


@contextlib.asynccontextmanager
async def wearing(
    folder: Path,
    air: Air | None = None,
    name: str = "one",
    uid: bytes = UID,
    keys: Sequence[bytes] = KEYS,
    **more: object,
) -> AsyncIterator[Wearer]:
    async with contextlib.AsyncExitStack() as stack:
        if air is None:
            air = await stack.enter_async_context(open_air())
        readers = Field()
        await readers.start()
        stack.push_async_callback(readers.close)
        state = folder / name
        options = BandOptions(state, uid=uid, keys=keys, air=air.option(name), **more)  # type: ignore[arg-type]
        process = await BandProcess.start(options, "field")
        wearer = Wearer(air, readers, state, process, name, options)
        try:
            yield wearer
        finally:
            await wearer.process.close()


def names_of(data: bytes) -> tuple[bytes, int]:
    """(EID, power) of an advertisement, which must be exactly one such frame."""
    assert data[:11] == bytes.fromhex("020106 0303aafe 0d16aafe")
    return eid.read_service_data(data[11:])


def name_at(period: int, identity: bytes = IDENTITY) -> bytes:
    clock_s = period << radio.PERIOD_EXPONENT
    key = eid.temporary_key(AES, identity, clock_s)
    return eid.eid(AES, key, clock_s, radio.PERIOD_EXPONENT)


class Gateway:
    """A central of Bumble's."""

    def __init__(self, air: Air, address: str = "F0:00:00:00:00:01") -> None:
        self._station = AirStation(air, address)
        self.controller, self.device = self._station.controller, self._station.device
        self.link: device.Connection | None = None
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._command: gatt_client.CharacteristicProxy[bytes] | None = None
        self._number = 0

    async def __aenter__(self) -> Self:
        await self._station.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()
        await self._station.__aexit__()

    async def connect(self, address: str, limit_s: float = 3.0) -> None:
        self.link = await self.device.connect(hci.Address(address), timeout=limit_s)

    async def join(self, wearer: Wearer) -> str:
        """Connect to the band once it is on the air; the address that it showed."""
        await wearer.until(lambda: wearer.shown() is not None)
        address = wearer.shown()
        assert address is not None
        await self.connect(address)
        return address

    async def pair(self, passkey: int, *, sc: bool = True, io: pairing.PairingDelegate | None = None) -> None:
        """ProtocolError if it fails."""
        assert self.link is not None
        delegate = io or Keyboard(passkey)
        self.device.pairing_config_factory = lambda _: pairing.PairingConfig(sc, True, False, delegate)
        async with asyncio.timeout(LIMIT_S):
            await self.link.pair()

    async def discover(self) -> None:
        """The band's characteristics; its answers come to `answers` from here on."""
        assert self.link is not None
        peer = device.Peer(self.link)
        await peer.request_mtu(radio.MTU)
        service = (await peer.discover_service(core.UUID(radio.SERVICE)))[0]
        found = {str(each.uuid).lower(): each for each in await peer.discover_characteristics(service=service)}
        self._command = found[radio.COMMAND]
        await found[radio.ANSWER].subscribe(self.answers.put_nowait)

    async def meet(self, wearer: Wearer, period: int, identity: bytes = IDENTITY) -> None:
        """Connect, pair with the passkey that the key gives, discover."""
        address = await self.join(wearer)
        await self.pair(passkey_for(address, period, identity))
        await self.discover()

    async def write(self, raw: bytes) -> None:
        assert self._command is not None
        await self._command.write_value(raw, with_response=True)

    async def ask(self, kind: int, data: bytes = b"", room: int = radio.PART_MAX) -> tuple[int, bytes]:
        """(status, data) of the answer. room: how much of the data one write takes."""
        self._number = self._number % 255 + 1
        for part in radio.pack_request(kind, self._number, data, room):
            await self.write(part)
        answered, number, status, body = radio.open_answer(await self.answer())
        assert (answered, number) == (kind, self._number)
        return status, body

    async def answer(self) -> bytes:
        async with asyncio.timeout(LIMIT_S):
            return await self.answers.get()

    @property
    def connected(self) -> bool:
        return self.link is not None and self.link.handle in self.device.connections

    async def leave(self) -> None:
        if self.connected:
            assert self.link is not None
            with contextlib.suppress(hci.HCI_Error, core.InvalidStateError, TimeoutError):
                async with asyncio.timeout(1):  # it may have ended in the meantime, which Bumble does not notice
                    await self.link.disconnect()


def passkey_for(address: str, period: int, identity: bytes = IDENTITY) -> int:
    return radio.passkey(AES, identity, period << radio.PERIOD_EXPONENT, bytes.fromhex(address.replace(":", "")))


async def still_serves(wearer: Wearer) -> None:
    """A tap works, and so does another connection by whoever has the key."""
    told = await wearer.tap()
    assert told is not None
    assert told.period is not None
    await wearer.until(lambda: wearer.shown() is not None)
    async with Gateway(wearer.air, "F0:00:00:00:00:77") as gateway:
        await gateway.meet(wearer, told.period)
        assert (await gateway.ask(radio.BATTERY))[0] == radio.DONE


async def lights(wearer: Wearer) -> int:
    await wearer.settle()
    text = (wearer.state / "lights").read_text()
    return int(text or 0)
