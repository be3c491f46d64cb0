"""The air between bands and gateways, in one process: radios of Bumble on one link, and what goes wrong on it.

A band is real firmware on MicroPython, whose `bluetooth` module (voyage/radio) asks here for what its stack would do;
host, security manager and GATT server are Bumble's, and so is what a gateway listens with. Time on the air is not the
chip's: nothing collides, a packet arrives at once, and Bumble's listeners take every advertisement for a connectable
one with -50 dBm. An advertisement that is not connectable refuses whoever tries.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bumble import controller, core, hci, link, ll

from voyage.airband import AirBand

ADVERTISE_S = 0.05  # in place of the band's own second, so that nobody waits
_LINE_MAX = 4096
_ESTABLISH_S = 0.02


class Listener(controller.Controller):
    """A gateway's radio. Bumble's own forgets to say that a connection which was given up is over."""

    def on_hci_le_create_connection_cancel_command(
        self, command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            asyncio.get_running_loop().call_soon(self.send_hci_packet, _given_up(pending.peer_address))
        return super().on_hci_le_create_connection_cancel_command(command)


def _given_up(address: hci.Address) -> hci.HCI_LE_Connection_Complete_Event:
    return hci.HCI_LE_Connection_Complete_Event(
        status=hci.HCI_UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
        connection_handle=0,
        role=hci.Role.CENTRAL,
        peer_address_type=address.address_type,
        peer_address=address,
        connection_interval=0,
        peripheral_latency=0,
        supervision_timeout=0,
        central_clock_accuracy=0,
    )


class AirLink(link.LocalLink):
    """One place. lost: radios that hear nobody and whom nobody hears. jammed: nobody hears anybody."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lost: set[object] = set()
        self.jammed = False
        self.ears: list[Callable[[ll.AdvertisingPdu], None]] = []
        self.packets_left: dict[object, int] = {}

    def hears(self, radio: object) -> bool:
        return not self.jammed and radio not in self.lost

    def send_advertising_pdu(self, sender_controller: controller.Controller, packet: ll.AdvertisingPdu) -> None:
        if self.hears(sender_controller):
            self.say(packet, sender_controller)
        if isinstance(packet, ll.ConnectInd):
            asyncio.get_running_loop().call_later(_ESTABLISH_S, self._established, sender_controller, packet)

    def _established(self, central: controller.Controller, packet: ll.ConnectInd) -> None:
        """Bumble's centrals believe in every connection that they begin: this is how they learn of the others."""
        mine = central.le_connections.get(packet.advertiser_address)
        for each in self.controllers:
            theirs = each.le_connections.get(packet.initiator_address)
            if theirs is not None and theirs.self_address == packet.advertiser_address:
                return
        if mine is not None:
            central.on_le_disconnected(mine, hci.HCI_CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)

    def say(self, packet: ll.AdvertisingPdu, sender: object = None) -> None:
        """An advertisement to all who can hear, whoever made it."""
        loop = asyncio.get_running_loop()
        for each in self.controllers:
            if each is not sender and self.hears(each):
                loop.call_soon(each.on_ll_advertising_pdu, packet)
        for ear in self.ears:
            loop.call_soon(ear, packet)

    def send_acl_data(
        self,
        sender_controller: controller.Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        other = self.find_le_controller(destination_address)
        for radio in (sender_controller, other):
            self._count(radio)
        if self.hears(sender_controller) and self.hears(other):
            super().send_acl_data(sender_controller, destination_address, transport, data)

    def _count(self, radio: object) -> None:
        """lose() those whose packets have been counted down."""
        if radio in self.packets_left:
            self.packets_left[radio] -= 1
            if self.packets_left[radio] < 0:
                del self.packets_left[radio]
                assert isinstance(radio, controller.Controller)
                self.lose(radio)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """To whoever is still there."""
        ends = (self.find_le_controller(sender_address), self.find_le_controller(receiver_address))
        if None not in ends and all(map(self.hears, ends)):
            super().send_ll_control_pdu(sender_address, receiver_address, packet)

    def lose(self, radio: controller.Controller) -> None:
        """Out of range. Both ends of its connections notice at once, as they would when supervision times out."""
        self.lost.add(radio)
        for mine in list(radio.le_connections.values()):
            other = self.find_le_controller(mine.peer_address)
            radio.on_le_disconnected(mine, hci.HCI_CONNECTION_TIMEOUT_ERROR)
            theirs = other.le_connections.get(mine.self_address) if other is not None else None
            if other is not None and theirs is not None:
                other.on_le_disconnected(theirs, hci.HCI_CONNECTION_TIMEOUT_ERROR)


@dataclass(frozen=True, slots=True)
class Heard:
    address: str  # as it is read aloud
    address_type: int
    data: bytes
    at_s: float


class Air:
    """Made by open_air(). bands: by the name each was started with. option(name) is for BandOptions.air."""

    def __init__(self, advertise_s: float) -> None:
        self.link = AirLink()
        self.bands: dict[str, AirBand] = {}
        self.advertise_s = advertise_s
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Condition()
        self._port = 0
        self._nonsense: list[ValueError] = []
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=_LINE_MAX)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """ValueError if a band asked its stack for what no stack does."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for band in list(self.bands.values()):
            await band.close()
        for each in self._serving:
            each.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        if self._nonsense:
            raise self._nonsense[0]

    def option(self, name: str) -> str:
        return f"127.0.0.1:{self._port}/{name}"

    async def band(self, name: str, limit_s: float = 10.0) -> AirBand:
        """Once it has come."""
        async with asyncio.timeout(limit_s), self._arrived:
            await self._arrived.wait_for(lambda: name in self.bands)
        return self.bands[name]

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[Heard]]:
        """All advertisements from here on, with what a sniffer sees of each."""
        heard: list[Heard] = []

        def hear(packet: ll.AdvertisingPdu) -> None:
            if isinstance(packet, ll.AdvInd):
                address = packet.advertiser_address
                now_s = asyncio.get_running_loop().time()
                heard.append(Heard(address.to_string(False), int(address.address_type), packet.data, now_s))

        self.link.ears.append(hear)
        try:
            yield heard
        finally:
            self.link.ears.remove(hear)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def over(task: asyncio.Task[None]) -> None:
            self._serving.discard(task)
            writer.transport.abort()  # nothing to do with it is left, even if it was called off before it began

        serving = asyncio.create_task(self._serve(reader, writer), name="band on the air")
        self._serving.add(serving)
        serving.add_done_callback(over)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        band = AirBand(self.link, reader, writer, self.advertise_s)
        try:
            await band.greet()
            async with self._arrived:
                self.bands[band.name] = band
                self._arrived.notify_all()
            await band.serve()
        except OSError:
            pass  # the band has gone
        except ValueError as error:
            self._nonsense.append(error)
        finally:
            if self.bands.get(band.name) is band:
                del self.bands[band.name]
            await band.close()


@contextlib.asynccontextmanager
async def open_air(advertise_s: float = ADVERTISE_S, port: int = 0) -> AsyncIterator[Air]:
    """port: 0: any."""
    air = Air(advertise_s)
    await air.start(port)
    try:
        yield air
    finally:
        await air.close()


def pass_time(state: Path, duration_ms: int) -> None:
    """Let time pass for the band with this flash folder. It looks at its clock when something wakes it."""
    file = state / "clock"
    passed_ms = int(file.read_text()) if file.exists() else 0
    fresh = state / "clock.new"
    fresh.write_text(str(passed_ms + duration_ms))
    os.replace(fresh, file)


class Crowd:
    """Advertisers without a process: `each_s` apart, one of the payloads from an address of its own."""

    def __init__(self, air: Air, payloads: Sequence[tuple[str, bytes]], each_s: float) -> None:
        self._air = air
        self._packets = [ll.AdvInd(advertiser_address=hci.Address(a), data=data) for a, data in payloads]
        self._each_s = each_s
        self.said = 0

    async def __aenter__(self) -> Crowd:
        self._task = asyncio.create_task(self._talk())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _talk(self) -> None:
        while self._packets:
            for packet in self._packets:
                self._air.link.say(packet)
                self.said += 1
                await asyncio.sleep(self._each_s)


class Spoofer:
    """Hears a name and says it again from its own address, somewhere else."""

    def __init__(self, there: Air, address: str) -> None:
        self._there = there
        self._address = hci.Address(address)

    def hear(self, packet: ll.AdvertisingPdu) -> None:
        """An ear for the link where it listens."""
        if isinstance(packet, ll.AdvInd) and packet.advertiser_address != self._address:
            self._there.link.say(ll.AdvInd(advertiser_address=self._address, data=packet.data))
