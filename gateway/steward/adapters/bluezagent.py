"""Passkeys for BlueZ: an agent on the system bus that answers for the bands we are connecting to, and for nobody else.

BlueZ asks the agent of the process, or the default one, when a pairing wants a passkey: org.bluez.Agent1.
"""

# No `from __future__ import annotations`: dbus_fast reads the annotations below as D-Bus signatures.

import contextlib
from collections.abc import AsyncIterator

from dbus_fast import BusType, DBusError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, method

from steward.errors import BandAway

PATH = "/org/steward/agent"
_BLUEZ, _MANAGER = "org.bluez", "org.bluez.AgentManager1"
_REJECTED = "org.bluez.Error.Rejected"


class _Agent(ServiceInterface):
    def __init__(self) -> None:
        super().__init__("org.bluez.Agent1")
        self.passkeys: dict[str, int] = {}  # by the end of the device's object path: dev_AA_BB_...

    @method("Release")
    def release(self) -> None:
        self.passkeys.clear()

    @method("RequestPasskey")
    def request_passkey(self, device: "o") -> "u":  # type: ignore[name-defined]  # noqa: F821
        found = self.passkeys.get(device.rpartition("/")[2])
        if found is None:
            raise DBusError(_REJECTED, "no pairing with this device was asked for")
        return found

    @method("RequestConfirmation")
    def request_confirmation(self, device: "o", passkey: "u") -> None:  # type: ignore[name-defined]  # noqa: F821
        raise DBusError(_REJECTED, "a passkey is typed in, never compared")

    @method("RequestAuthorization")
    def request_authorization(self, device: "o") -> None:  # type: ignore[name-defined]  # noqa: F821
        raise DBusError(_REJECTED, "nobody pairs with a gateway")

    @method("Cancel")
    def cancel(self) -> None:
        return None


class BluezAgent:
    """adapters.bleclient.PasskeyAgent. Connects to the bus with the first pairing."""

    def __init__(self) -> None:
        self._bus: MessageBus | None = None
        self._agent = _Agent()

    @contextlib.asynccontextmanager
    async def expecting(self, address: str, passkey: int) -> AsyncIterator[None]:
        await self._register()
        device = "dev_" + address.upper().replace(":", "_")
        self._agent.passkeys[device] = passkey
        try:
            yield
        finally:
            self._agent.passkeys.pop(device, None)

    async def _register(self) -> None:
        """Raises BandAway: without an agent no pairing can be made."""
        if self._bus is not None and self._bus.connected:
            return
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        bus.export(PATH, self._agent)
        for member, signature, body in (
            ("RegisterAgent", "os", [PATH, "KeyboardOnly"]),
            ("RequestDefaultAgent", "o", [PATH]),
        ):
            call = Message(_BLUEZ, "/org/bluez", _MANAGER, member, signature=signature, body=body)
            reply = await bus.call(call)
            if reply is None or reply.message_type is MessageType.ERROR:
                bus.disconnect()
                raise BandAway("BlueZ takes no agent: is bluetoothd running, and may this user talk to it?")
        self._bus = bus
