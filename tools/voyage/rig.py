"""A gateway in this process, its readers on loopback sockets: for tests and measurements that look inside.

The demo and its checks run the gateway as the real separate process instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from bandwire.aes import Aes
from steward.adapters.aes import HostAes
from steward.adapters.keyfile import KeyFile, new_key_file
from steward.adapters.keyring import FileKeyRing
from steward.adapters.linkreader import EXCHANGE_LIMIT_S, LinkReader
from steward.adapters.system import OsEntropy, SystemClock
from steward.domain.access import Place
from steward.domain.charges import Charge, ChargeRequest
from steward.domain.guests import Guest, Limits
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid
from steward.ports import CardReader, Clock, DoorSignal, KeyRing, Store
from steward.services.allowances import Funds
from steward.services.board import TapBoard, TapRecord
from steward.services.checkin import CheckinForm, CheckinService
from steward.services.doors import DoorService
from steward.services.encoder import EncodeJob, EncodeService, EncodeSettings, JobState
from steward.services.payments import PaymentService, PaymentSettings
from steward.services.pins import PinService
from steward.services.taps import TapHandler, TapLoop
from steward.services.tills import TillService
from voyage.bandproc import BandProcess

SITE = 7
SUN_TEMPLATE = "ship.example/t?e={picc}&c={mac}"
ZONES = {"gangway": 0, "pool": 1, "spa": 2}
LIMITS = Limits(stay_minor=200_000, day_minor=50_000, verify_above_minor=10_000)
TAP_LIMIT_S = 20.0


class OutcomeBoard(TapBoard):
    """A board that also hands every tap to whoever waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.taps: dict[str, asyncio.Queue[TapRecord]] = {}

    def record(self, tap: TapRecord) -> None:
        super().record(tap)
        self.taps.setdefault(tap.reader, asyncio.Queue()).put_nowait(tap)


@dataclass
class DoorLog:
    """The doors' locks: what each was told, in order."""

    signals: list[DoorSignal] = field(default_factory=list)

    async def show(self, signal: DoorSignal) -> None:
        self.signals.append(signal)


class Rig:
    """One gateway of role authority. Use as an async context manager, then add readers and tap bands."""

    def __init__(
        self,
        store: Store,
        *,
        keys: KeyFile | None = None,
        keyring: KeyRing | None = None,
        clock: Clock | None = None,
        site: int = SITE,
        random_id: bool = True,
        settings: PaymentSettings | None = None,
        aes: Aes | None = None,
        exchange_limit_s: float = EXCHANGE_LIMIT_S,
        funds: Funds | None = None,
        stations: Sequence[str] = (),
    ) -> None:
        self._exchange_limit_s = exchange_limit_s
        self.entropy = OsEntropy()
        self.aes = aes or HostAes()
        self.clock = clock or SystemClock(high_water_s=0)
        self.store = store
        self.keys = keys or new_key_file(site, self.entropy, 1_800_000_000)
        self.keyring = keyring or FileKeyRing(self.keys, self.aes)
        self.board = OutcomeBoard()
        self.doors = DoorLog()
        self.site = site
        pins = PinService(self.entropy)
        self.desk = CheckinService(store, self.clock, self.entropy, pins, ZONES)
        encoding = EncodeSettings(site, SUN_TEMPLATE, random_id, stations=stations)
        self.encoder = EncodeService(store, self.clock, self.entropy, self.keyring, self.aes, encoding)
        self.payments = PaymentService(store, self.clock, self.entropy, self.keyring, self.aes, settings, pins, funds)
        self._tasks: list[asyncio.Task[None]] = []
        self._readers: list[CardReader] = []
        self.ports: dict[str, int] = {}

    async def __aenter__(self) -> Rig:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for reader in self._readers:
            await reader.close()
        failures = [r for r in results if isinstance(r, Exception)]
        if failures and error is None:
            raise failures[0]

    async def add_door(self, name: str, *, cabin: int | None = None, zone: str | None = None) -> str:
        bit = None if zone is None else ZONES[zone]
        handler = DoorService(self.store, self.clock, self.entropy, self.keyring, self.aes, SUN_TEMPLATE)
        return await self.add_reader(name, Place(name, self.site, cabin, bit), handler)

    async def add_till(self, name: str) -> str:
        handler = TillService(
            TillId(name),
            self.payments,
            self.store,
            self.clock,
            self.entropy,
            self.keyring,
            self.aes,
            SUN_TEMPLATE,
        )
        return await self.add_reader(name, Place(name, self.site), handler)

    async def add_encoder(self, name: str = "desk") -> str:
        return await self.add_reader(name, Place(name, self.site), self.encoder.handler(name))

    async def add_reader(self, name: str, place: Place, handler: TapHandler, reader: CardReader | None = None) -> str:
        if reader is None:
            link = LinkReader(name, exchange_limit_s=self._exchange_limit_s)
            await link.start()
            self.ports[name] = link.port
            reader = link
        self._readers.append(reader)
        loop = TapLoop(reader, place, handler, self.clock, self.doors, self.board)
        self._tasks.append(asyncio.create_task(loop.run(), name=name))
        return name

    async def tap(self, band: BandProcess, reader: str, port: int | None = None) -> TapRecord:
        """Hold the band to a reader until the reader has dealt with it. `port`: of a relay in between."""
        await band.enter("127.0.0.1", port or self.ports[reader])
        record = await self.next_tap(reader)
        await band.leave()
        return record

    async def next_tap(self, reader: str) -> TapRecord:
        queue = self.board.taps.setdefault(reader, asyncio.Queue())
        async with asyncio.timeout(TAP_LIMIT_S):
            return await queue.get()

    async def check_in(self, booking: str = "B1", cabins: tuple[int, ...] = (5012,), **changes: object) -> Guest:
        now_s = self.clock.now().unix_s
        fields: dict[str, object] = {
            "booking": booking,
            "cabins": cabins,
            "zones": ("gangway", "pool"),
            "child": False,
            "crew": False,
            "not_before_s": now_s - 3600,
            "not_after_s": now_s + 7 * 86_400,
            "currency": "EUR",
            "limits": LIMITS,
        }
        return await self.desk.check_in(CheckinForm(**(fields | changes)))  # type: ignore[arg-type]

    async def issue(
        self, guest: Guest | GuestRef, band: BandProcess, encoder: str = "desk", replaces: Uid | None = None
    ) -> EncodeJob:
        """Encode a band for a guest; raises AssertionError with the code if it did not come out done."""
        ref = guest.ref if isinstance(guest, Guest) else guest
        job_id = await self.encoder.request(ref, encoder, replaces)
        await self.tap(band, encoder)
        job = self.encoder.job(job_id)
        if job.state is not JobState.DONE:
            raise AssertionError(f"encoding ended as {job.state} {job.code}")
        return job

    def ask(self, till: str, amount_minor: int, tap_id: str | None = None, **changes: object) -> ChargeRequest:
        chosen = TapId(tap_id or self.entropy.token_bytes(16).hex())
        return ChargeRequest(chosen, TillId(till), OutletId("bar"), amount_minor, "EUR", **changes)  # type: ignore[arg-type]

    async def charge(
        self, band: BandProcess, till: str, amount_minor: int, port: int | None = None, **changes: object
    ) -> Charge:
        """Ask, tap, and the charge as recorded."""
        request = self.ask(till, amount_minor, **changes)  # type: ignore[arg-type]
        await self.payments.request(request)
        await self.tap(band, till, port)
        status = await self.payments.status(request.tap_id)
        if status.charge is None:
            raise AssertionError(f"nothing was recorded: {status.code}")
        return status.charge
