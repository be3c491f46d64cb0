"""A Bluetooth radio that listens for bands, by bleak: ports.radio on the adapter of this machine.

The scanner's callback runs on the event loop and does next to nothing: it reads ten bytes and appends to a queue of
bounded length, of which the oldest go. Everything else about a sighting is done by who takes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakError

from bandwire import eid
from bandwire.errors import BadFrame
from steward.adapters.bleclient import BandLink, BandTalk
from steward.errors import ReaderFault
from steward.ports import Clock
from steward.ports.radio import RadioState, Sighting

QUEUE_MAX = 4096  # eight seconds of a very crowded air
SERVICE = f"0000{eid.SERVICE_UUID:04x}-0000-1000-8000-00805f9b34fb"
FORGET_S = 600.0  # bleak remembers every address it has seen: it is started again from time to time


class BleRadio:
    """One radio with its place. adapter: its name ("hci0"), None for the machine's own.

    backend: another scanner than the platform's, for whoever starts a gateway inside a test.
    """

    def __init__(
        self,
        name: str,
        zone: str,
        clock: Clock,
        link: BandLink,
        adapter: str | None = None,
        backend: type[BaseBleakScanner] | None = None,
    ) -> None:
        self._name = name
        self._zone = zone
        self._clock = clock
        self._link = link
        self._options: dict[str, Any] = {} if adapter is None else {"bluez": {"adapter": adapter}}
        self._backend = backend
        self._queue: deque[Sighting] = deque(maxlen=QUEUE_MAX)
        self._state = "starting"
        self._heard = 0
        self._dropped = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def zone(self) -> str:
        return self._zone

    def status(self) -> RadioState:
        return RadioState(self._name, self._zone, self._state, self._heard, self._dropped)

    def take(self) -> Sequence[Sighting]:
        taken, self._queue = self._queue, deque(maxlen=QUEUE_MAX)
        return taken

    async def ask(self, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        return await self._link.ask(address, passkey, kind, data)

    def talk(self, address: str, passkey: int) -> AbstractAsyncContextManager[BandTalk]:
        """ports.radio.TalkingRadio."""
        return self._link.talk(address, passkey)

    async def run(self) -> None:
        """Listen for ever. Raises ReaderFault when the radio is gone; the supervisor starts it again."""
        while True:
            self._state = "starting"
            scanner = BleakScanner(self._notice, [SERVICE], backend=self._backend, **self._options)
            try:
                async with scanner:
                    self._state = "on"
                    await asyncio.sleep(FORGET_S)
            except (BleakError, OSError) as error:
                self._state = "fault"
                raise ReaderFault(f"radio {self._name}: {error}") from error

    def _notice(self, device: BLEDevice, said: AdvertisementData) -> None:
        data = said.service_data.get(SERVICE)
        if data is None:
            return
        try:
            name, _ = eid.read_service_data(data)
        except BadFrame:
            return  # another Eddystone frame
        self._heard += 1
        if len(self._queue) == QUEUE_MAX:
            self._dropped += 1
        self._queue.append(Sighting(name, said.rssi, device.address, self._clock.monotonic_ms()))
