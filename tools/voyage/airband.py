"""One band's Bluetooth stack on the host: what its `bluetooth` module asks for, done by Bumble as NimBLE would."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
from collections.abc import Awaitable, Callable, Sequence

from bumble import att, controller, core, device, gatt, hci, host, ll, pairing, smp
from bumble import link as bumble_link
from bumble.transport.common import AsyncPipeSink

_CONNECT, _DISCONNECT, _WRITE, _MTU, _ENCRYPTION, _GET_SECRET, _SET_SECRET, _PASSKEY = 1, 2, 3, 21, 28, 29, 30, 31
_SECRET_PEER = 2
_ACTION_INPUT, _ACTION_DISPLAY = 2, 3
_MODE_RANDOM, _MODE_NON_RESOLVABLE = 1, 3
_NEEDS_ENCRYPTION, _NEEDS_AUTHENTICATION = 0x1000, 0x2000
_PROPERTIES = 0x007F
_DEFAULT_BUFFER = 20
_PASSKEY_LIMIT_S = 30.0  # of a pairing, by the specification
_END_LIMIT_S = 1.0
_Arguments = Sequence[int | bytes]


class StackError(Exception):
    """The call fails with this number, as an OSError of the band's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Advertiser(controller.LegacyAdvertiser):
    """Bumble's says nothing where it cannot be connected to, and counts its intervals in other units."""

    every_s = 1.0

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        self.timer_handle = asyncio.get_running_loop().call_later(self.every_s, self._on_timer_fired)

    def send_advertising_data(self) -> None:
        if self.enabled:
            packet = ll.AdvInd(advertiser_address=self.address, data=self.advertising_data)
            self.controller.send_advertising_pdu(packet)


class _Controller(controller.Controller):
    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        if self.le_legacy_advertiser.advertising_type == device.AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE:
            super().on_le_connect_ind(packet)


class _Delegate(pairing.PairingDelegate):
    """Asks the band what the passkey is, or what it was told."""

    def __init__(self, band: AirBand, connection: device.Connection, io: int) -> None:
        super().__init__(pairing.PairingDelegate.IoCapability(io))
        self._band = band
        self._connection = connection

    async def generate_passkey(self) -> int:
        return await self._band.ask_passkey(self._connection, _ACTION_DISPLAY)

    async def get_number(self) -> int | None:
        return await self._band.ask_passkey(self._connection, _ACTION_INPUT)


class AirBand:
    """name, address: as the band last had it. controller: for AirLink's faults."""

    def __init__(
        self,
        link: bumble_link.LocalLink,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        advertise_s: float,
    ) -> None:
        self.name = ""
        self.address = hci.Address.ANY_RANDOM
        self.calls = 0
        self._link = link
        self._reader = reader
        self._writer = writer
        self._advertise_s = advertise_s
        self._device: device.Device | None = None
        self.controller: _Controller | None = None
        self._config: dict[str, int] = {}
        self._payload = b""
        self._buffers: dict[int, int] = {}
        self._characteristics: dict[int, gatt.Characteristic[bytes]] = {}
        self._authenticated: set[int] = set()
        self._passkeys: dict[int, asyncio.Future[int]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._verbs: dict[str, Callable[[_Arguments], Awaitable[_Arguments]]] = {
            "active": self._active,
            "mac": self._mac,
            "config": self._configure,
            "advertise": self._advertise,
            "silence": self._silence,
            "disconnect": self._disconnect,
            "pair": self._pair,
            "passkey": self._passkey,
            "services": self._services,
            "write": self._write,
            "buffer": self._buffer,
            "notify": self._notify,
        }

    # The line.

    async def greet(self) -> None:
        if not (line := await self._reader.readline()).endswith(b"\n"):
            raise ConnectionResetError("it has gone")
        verb, arguments = _words(line)
        if verb != "band":
            raise ValueError("whoever connects says which band it is")
        self.name = _bytes(arguments[0]).decode()
        self._say("ok")

    async def serve(self) -> None:
        """Until the band goes."""
        while (line := await self._reader.readline()).endswith(b"\n"):  # half a line: it has gone
            verb, arguments = _words(line)
            if verb not in self._verbs:
                raise ValueError(f"the band asks for what nobody knows: {verb}")
            self.calls += 1
            try:
                self._say("ok", *await self._verbs[verb](arguments))
            except StackError as error:
                self._say("error", error.number)
            except (hci.HCI_Error, core.InvalidStateError, core.InvalidArgumentError, core.ProtocolError):
                self._say("error", errno.EIO)
            await self._writer.drain()

    async def close(self) -> None:
        try:
            await self._active([0])
            await asyncio.gather(*self._endings)
        finally:
            self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _say(self, verb: str, *arguments: int | bytes) -> None:
        words = [f"x{each.hex()}" if isinstance(each, bytes) else str(int(each)) for each in arguments]
        self._writer.write((" ".join([verb, *words]) + "\n").encode())

    def _irq(self, event: int, *arguments: int | bytes) -> None:
        if not self._writer.is_closing():
            self._say("irq", event, *arguments)

    # What is asked.

    def _on(self) -> device.Device:
        if self._device is None:
            raise StackError(errno.ENODEV)
        return self._device

    async def _active(self, arguments: _Arguments) -> _Arguments:
        if arguments[0] and self._device is None:
            radio = _Controller(self.name or "band")
            radio.le_features &= ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
            radio.le_legacy_advertiser = _Advertiser(radio)
            radio.le_legacy_advertiser.every_s = self._advertise_s
            radio.link = self._link
            self._link.add_controller(radio)
            self.controller = radio
            stack = device.Device(host=host.Host(radio, AsyncPipeSink(radio)), address=_drawn(True))
            stack.pairing_config_factory = self._pairing
            stack.on(stack.EVENT_CONNECTION, self._connected)
            await stack.power_on()
            self._device = stack
            self.address = stack.random_address
        elif not arguments[0] and self._device is not None:
            stack, self._device = self._device, None
            assert self.controller is not None
            for connection in list(stack.connections.values()):
                await _hang_up(connection)
            self.controller.le_legacy_advertiser.stop()
            self._link.remove_controller(self.controller)
            await stack.power_off()
            self._characteristics, self._buffers = {}, {}
            self._authenticated = set()
        return []

    async def _mac(self, _: _Arguments) -> _Arguments:
        self._on()
        return [1, bytes(reversed(bytes(self.address)))]

    async def _configure(self, arguments: _Arguments) -> _Arguments:
        name, value = _bytes(arguments[0]).decode(), arguments[1]
        stack = self._on()
        if name == "addr_mode":
            if value not in (_MODE_RANDOM, _MODE_NON_RESOLVABLE):
                raise StackError(errno.EINVAL)
            if stack.legacy_advertiser is not None:
                raise StackError(errno.EIO)  # a controller refuses another address while it advertises
            self.address = _drawn(value == _MODE_RANDOM)
            stack.random_address = self.address
            await stack.send_sync_command(hci.HCI_LE_Set_Random_Address_Command(random_address=self.address))
        elif isinstance(value, int):
            self._config[name] = value
        return []

    async def _advertise(self, arguments: _Arguments) -> _Arguments:
        stack = self._on()
        _, connectable, data, _ = arguments
        if isinstance(data, bytes):
            self._payload = data
        if len(self._payload) > 31:
            raise StackError(errno.EINVAL)
        kinds = device.AdvertisingType
        kind = kinds.UNDIRECTED_CONNECTABLE_SCANNABLE if connectable else kinds.UNDIRECTED
        await stack.start_advertising(kind, advertising_data=self._payload)
        return []

    async def _silence(self, _: _Arguments) -> _Arguments:
        await self._on().stop_advertising()
        return []

    async def _disconnect(self, arguments: _Arguments) -> _Arguments:
        connection = self._on().connections.get(_int(arguments[0]))
        if connection is None:
            return [0]
        ending = asyncio.create_task(_hang_up(connection))  # an event tells of the end, as on the chip
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return [1]

    async def _pair(self, arguments: _Arguments) -> _Arguments:
        self._connection(arguments[0]).request_pairing()
        return []

    async def _passkey(self, arguments: _Arguments) -> _Arguments:
        waiting = self._passkeys.pop(_int(arguments[0]), None)
        if waiting is None or waiting.done():
            raise StackError(errno.EINVAL)
        waiting.set_result(_int(arguments[2]))
        return []

    async def _services(self, arguments: _Arguments) -> _Arguments:
        left, handles = list(arguments), []
        while left:
            uuid, count = _uuid(left.pop(0)), _int(left.pop(0))
            made = [self._characteristic(_uuid(left.pop(0)), _int(left.pop(0))) for _ in range(count)]
            self._on().add_service(gatt.Service(uuid, made))
            handles += [each.handle for each in made]
            self._characteristics.update({each.handle: each for each in made})
        return handles

    def _characteristic(self, uuid: core.UUID, flags: int) -> gatt.Characteristic[bytes]:
        async def written(connection: device.Connection, value: bytes) -> None:
            self._written(connection, made.handle, flags, value)

        def unreadable(_: device.Connection) -> bytes:
            raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)

        access: gatt.CharacteristicValue[bytes] = gatt.CharacteristicValue(read=unreadable, write=written)
        properties = gatt.Characteristic.Properties(flags & _PROPERTIES)
        made: gatt.Characteristic[bytes] = gatt.Characteristic(uuid, properties, gatt.Characteristic.WRITEABLE, access)
        return made

    async def _write(self, arguments: _Arguments) -> _Arguments:
        raise StackError(errno.EOPNOTSUPP)  # nothing of the band's is readable

    async def _buffer(self, arguments: _Arguments) -> _Arguments:
        self._buffers[_int(arguments[0])] = _int(arguments[1])
        return []

    async def _notify(self, arguments: _Arguments) -> _Arguments:
        connection = self._connection(arguments[0])
        characteristic = self._characteristics[_int(arguments[1])]
        await self._on().gatt_server.notify_subscriber(connection, characteristic, _bytes(arguments[2]), force=True)
        return []

    def _connection(self, handle: int | bytes) -> device.Connection:
        connection = self._on().connections.get(_int(handle))
        if connection is None:
            raise StackError(errno.ENOTCONN)
        return connection

    # What happens.

    def _pairing(self, connection: device.Connection) -> pairing.PairingConfig:
        ask = self._config
        delegate = _Delegate(self, connection, ask.get("io", 3))
        return pairing.PairingConfig(
            sc=bool(ask.get("le_secure")), mitm=bool(ask.get("mitm")), bonding=bool(ask.get("bond")), delegate=delegate
        )

    def _connected(self, connection: device.Connection) -> None:
        handle = connection.handle
        peer = bytes(reversed(bytes(connection.peer_address)))
        kind = int(connection.peer_address.address_type)

        def ended(_: int) -> None:
            self._authenticated.discard(handle)
            self._irq(_DISCONNECT, handle, kind, peer)

        connection.on(connection.EVENT_DISCONNECTION, ended)
        connection.on(connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, lambda: self._encrypted(connection))
        connection.on(connection.EVENT_PAIRING_FAILURE, lambda _: self._irq(_ENCRYPTION, handle, 0, 0, 0, 0))
        connection.on(connection.EVENT_CONNECTION_ATT_MTU_UPDATE, lambda: self._irq(_MTU, handle, connection.att_mtu))
        self._irq(_CONNECT, handle, kind, peer)

    def _encrypted(self, connection: device.Connection) -> None:
        """Bumble calls any encrypted link authenticated; NimBLE asks how its key was made."""
        assert self._device is not None
        session = self._device.smp_manager.sessions.get(connection.handle)
        proved = session is not None and session.pairing_method != smp.PairingMethod.JUST_WORKS
        encrypted = connection.encryption != 0
        if encrypted and proved:
            self._authenticated.add(connection.handle)
        bonded = int(bool(self._config.get("bond")))
        if bonded:
            self._irq(_SET_SECRET, _SECRET_PEER, b"", b"")
        size = connection.encryption_key_size or 16
        self._irq(_ENCRYPTION, connection.handle, int(encrypted), int(proved), bonded, size if encrypted else 0)

    def _written(self, connection: device.Connection, handle: int, flags: int, value: bytes) -> None:
        if flags & _NEEDS_AUTHENTICATION and connection.handle not in self._authenticated:
            raise att.ATT_Error(att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR)
        if flags & _NEEDS_ENCRYPTION and not connection.encryption:
            raise att.ATT_Error(att.ATT_INSUFFICIENT_ENCRYPTION_ERROR)
        if len(value) > self._buffers.get(handle, _DEFAULT_BUFFER):
            raise att.ATT_Error(att.ATT_INVALID_ATTRIBUTE_LENGTH_ERROR)
        self._irq(_WRITE, connection.handle, handle, value)

    async def ask_passkey(self, connection: device.Connection, action: int) -> int:
        """For a pairing that has got so far. A bond is looked for first, and whatever the band says, none is used."""
        self._irq(_GET_SECRET, _SECRET_PEER, 0, bytes(connection.peer_address))
        waiting: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._passkeys[connection.handle] = waiting
        self._irq(_PASSKEY, connection.handle, action, 0)
        async with asyncio.timeout(_PASSKEY_LIMIT_S):
            return await waiting


async def _hang_up(connection: device.Connection) -> None:
    """Bumble waits for ever for the end of a connection that has ended in the meantime."""
    with contextlib.suppress(hci.HCI_Error, core.InvalidStateError, core.ProtocolError, TimeoutError):
        async with asyncio.timeout(_END_LIMIT_S):
            await connection.disconnect()


def _drawn(static: bool) -> hci.Address:
    """A random address: its two highest bits are 11 if it is static, 00 if it is private and cannot be resolved."""
    drawn = bytearray(secrets.token_bytes(6))
    drawn[5] = drawn[5] & 0x3F | (0xC0 if static else 0)
    return hci.Address(bytes(drawn), hci.Address.RANDOM_DEVICE_ADDRESS)


def _uuid(text: int | bytes) -> core.UUID:
    return core.UUID(_bytes(text).decode())


def _words(line: bytes) -> tuple[str, list[int | bytes]]:
    verb, *words = line.decode().split() or [""]
    return verb, [bytes.fromhex(word[1:]) if word.startswith("x") else int(word) for word in words]


def _int(value: int | bytes) -> int:
    assert isinstance(value, int)
    return value


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value
