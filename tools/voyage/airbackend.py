"""A gateway's radio on the air of voyage/air.py: backends for bleak over Bumble, and their passkey agent.

bleak takes a backend as a class, so each station makes its own two. The gateway's own code runs over them unchanged:
adapters/blescan.py and adapters/bleclient.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from bumble import att, core, device, gatt_client, hci, host, ll, pairing
from bumble.transport.common import AsyncPipeSink

from bandwire import radio
from voyage.air import Air, Listener

_EDDYSTONE = "0000feaa-0000-1000-8000-00805f9b34fb"
_SERVICE_DATA_16, _HEAD = 0x16, b"\xaa\xfe"
LOST = (  # what Bumble raises once a connection has ended
    core.InvalidStateError,
    core.TimeoutError,
    core.ConnectionError,
    core.ProtocolError,
    hci.HCI_Error,
    att.ATT_Error,
)
Strength = Callable[[str], int | None]  # of the radio at this address, in dBm; None: out of reach


class Keyboard(pairing.PairingDelegate):
    def __init__(self, passkey: int) -> None:
        super().__init__(pairing.PairingDelegate.KEYBOARD_INPUT_ONLY)
        self._passkey = passkey

    async def get_number(self) -> int | None:
        return self._passkey


class AirStation:
    """One place with a radio. scanner, client: for bleak. strength: how well it hears whom; else -60 dBm."""

    def __init__(self, air: Air, address: str = "F0:00:00:00:00:01") -> None:
        self._air = air
        self.controller = Listener(address, link=air.link)
        stack = host.Host(self.controller, AsyncPipeSink(self.controller))
        self.device = device.Device(address=hci.Address(address), host=stack)
        self.strength: Strength = lambda _: -60
        self.passkeys: dict[str, int] = {}
        self.scanner: type[BaseBleakScanner] = type("AirScanner", (_Scanner,), {"station": self})
        self.client: type[BaseBleakClient] = type("AirClient", (_Client,), {"station": self})

    async def __aenter__(self) -> Self:
        await self.device.power_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._air.link.remove_controller(self.controller)
        await self.device.power_off()

    @contextlib.asynccontextmanager
    async def expecting(self, address: str, passkey: int) -> AsyncIterator[None]:
        """adapters.bleclient.PasskeyAgent."""
        self.passkeys[address] = passkey
        try:
            yield
        finally:
            self.passkeys.pop(address, None)

    def listen(self, ear: Callable[[ll.AdvertisingPdu], None]) -> None:
        self._air.link.ears.append(ear)

    def leave(self, ear: Callable[[ll.AdvertisingPdu], None]) -> None:
        self._air.link.ears.remove(ear)

    def hears(self) -> bool:
        return self._air.link.hears(self.controller)

    def reaches(self, address: str) -> bool:
        link = self._air.link
        return self.hears() and link.hears(link.find_le_controller(hci.Address(address)))


class _Scanner(BaseBleakScanner):
    """Every advertisement on the link, as a controller without a filter for duplicates reports them."""

    station: AirStation

    def __init__(
        self, detection_callback: Any, service_uuids: list[str] | None, scanning_mode: str, **_: object
    ) -> None:
        super().__init__(detection_callback, service_uuids)

    async def start(self) -> None:
        self.seen_devices.clear()
        self.station.listen(self._hear)

    async def stop(self) -> None:
        self.station.leave(self._hear)

    def _hear(self, packet: ll.AdvertisingPdu) -> None:
        if not isinstance(packet, ll.AdvInd) or not self.station.hears():
            return
        address = packet.advertiser_address.to_string(False)
        rssi = self.station.strength(address)
        if rssi is None:
            return
        data = core.AdvertisingData.from_bytes(packet.data)
        said = dict[str, bytes]()
        for kind, content in data.ad_structures:
            if kind == _SERVICE_DATA_16 and content[:2] == _HEAD:
                said[_EDDYSTONE] = content[2:]
        uuids = [_EDDYSTONE] if said else []
        if not self.is_allowed_uuid(uuids):
            return
        found = AdvertisementData(None, {}, said, uuids, None, rssi, ())
        self.call_detection_callbacks(self.create_or_update_device(address, address, None, None, found), found)


class _Client(BaseBleakClient):
    """A central that pairs by LE Secure Connections alone, with the passkey that the station was told."""

    station: AirStation

    def __init__(self, address_or_ble_device: BLEDevice | str, *, services: object, **kwargs: Any) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=kwargs["disconnected_callback"],
            timeout=kwargs["timeout"],
        )
        self._link: device.Connection | None = None
        self._mtu = 23
        self._proxies: dict[int, gatt_client.CharacteristicProxy[bytes]] = {}

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return self._mtu

    @property
    def is_connected(self) -> bool:
        return self._link is not None and self._link.handle in self.station.device.connections

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        async with _as_bleak():
            own = self.station.device
            if not self.station.reaches(self.address):
                raise BleakError("nobody answers")  # without the wait for it
            try:
                self._link = await own.connect(hci.Address(self.address), timeout=self._timeout)
            finally:  # Bumble's controller does not give up by itself
                self.station.controller.pending_le_connection = None
            peer = device.Peer(self._link)
            self._mtu = await peer.request_mtu(radio.MTU)
            await self._discover(peer)
        if pair:
            await self.pair()

    async def _discover(self, peer: device.Peer) -> None:
        found = BleakGATTServiceCollection()
        for each in await peer.discover_services():
            service = BleakGATTService(each, each.handle, str(each.uuid).lower())
            found.add_service(service)
            for inner in await peer.discover_characteristics(service=each):
                uuid = str(inner.uuid).lower()
                room = lambda: self._mtu - 3  # noqa: E731
                found.add_characteristic(BleakGATTCharacteristic(inner, inner.handle, uuid, [], room, service))
                self._proxies[inner.handle] = inner
        self.services = found

    async def disconnect(self) -> None:
        if self.is_connected:
            assert self._link is not None
            with contextlib.suppress(*LOST):
                await self._link.disconnect()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        passkey = self.station.passkeys.get(self.address)
        if passkey is None or self._link is None:
            raise BleakError("no passkey for this pairing")
        wanted = pairing.PairingConfig(sc=True, mitm=True, bonding=False, delegate=Keyboard(passkey))
        self.station.device.pairing_config_factory = lambda _: wanted
        async with _as_bleak():
            await self._link.pair()

    async def unpair(self) -> None:
        """No bond was made."""

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        async with _as_bleak():
            await self._proxies[characteristic.handle].write_value(bytes(data), with_response=response)

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        async with _as_bleak():
            await self._proxies[characteristic.handle].subscribe(lambda value: callback(bytearray(value)))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        async with _as_bleak():
            await self._proxies[characteristic.handle].unsubscribe()

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        async with _as_bleak():
            return bytearray(await self._proxies[characteristic.handle].read_value())

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        raise BleakError("bands have no descriptors to read")

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        raise BleakError("bands have no descriptors to write")


@contextlib.asynccontextmanager
async def _as_bleak() -> AsyncIterator[None]:
    """What Bumble raises, as bleak's. A link that is lost cancels what waits on it: that is no cancelling of ours."""
    try:
        yield
    except LOST as error:
        raise BleakError(f"{type(error).__name__}: {error}") from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BleakError("the connection was lost") from None
