"""A small ship for the money tests: a clock in hand, the real key ring and AES, bands that sign as bandwire says."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from bandwire import charge, keys, sdm
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.keyfile import KeyFile, Role
from steward.adapters.keyring import FileKeyRing
from steward.adapters.memory import MemoryStore
from steward.domain.charges import Charge, ChargeRequest, TapEvidence, TapFacts
from steward.domain.events import EventType, StoredEvent
from steward.domain.evidence import signed_request
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, uid_from
from steward.domain.ledger import guest_account
from steward.ports import ClockReading, Store, Tx
from steward.services.folio import FolioService
from steward.services.payments import PaymentService, PaymentSettings
from steward.services.pins import PinService

NOON_S = 1_800_014_400  # noon UTC of some day; the ship's day began at 05:00
SITE = 7
AES = HostAes()


class HandClock:
    """Time moves when the test says so. `step` moves the wall clock alone."""

    def __init__(self, unix_s: int = NOON_S) -> None:
        self.unix_s = unix_s
        self.ms = 1000.0
        self.trusted = True

    def now(self) -> ClockReading:
        return ClockReading(self.unix_s, self.trusted)

    def monotonic_ms(self) -> float:
        return self.ms

    def tick(self, seconds: int) -> None:
        self.unix_s += seconds
        self.ms += seconds * 1000

    def step(self, seconds: int) -> None:
        self.unix_s += seconds


class CountingEntropy:
    """Never twice the same, and the same in every run."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def token_bytes(self, n: int) -> bytes:
        return next(self._next).to_bytes(n, "big")


def make_keys() -> KeyFile:
    return keyfile.new_key_file(SITE, CountingEntropy(), NOON_S)


KEYS = make_keys()


def ring(role: Role = Role.AUTHORITY) -> FileKeyRing:
    return FileKeyRing(KEYS if role is Role.AUTHORITY else keyfile.export(KEYS, role, NOON_S), AES)


@dataclass
class FakeBand:
    """What a band does with its own key 3. `read` is one tap: the counter rises before the answer, as on the wrist."""

    uid: bytes
    guest: GuestRef
    active: bool = True
    counter: int = 0
    key_version: int = 1
    master3: bytes = field(default=KEYS.versions[0].masters[3], repr=False)

    def read(self, request: ChargeRequest) -> TapEvidence:
        self.counter += 1
        k3 = keys.card_key(AES, self.master3, self.uid, 3, SITE, self.key_version)
        if self.active:
            signed = signed_request(request)
            kc = charge.charge_key(AES, k3, self.uid)
            mac = charge.charge_mac(AES, kc, self.uid, signed, self.counter)
        else:
            signed = sdm.seal_picc(AES, bytes(16), self.uid, self.counter, bytes(8))
            _, kmac = sdm.sdm_keys(AES, k3, self.uid, self.counter.to_bytes(3, "little"))
            mac = sdm.sdm_mac(AES, kmac, b"")
        return TapEvidence(
            uid_from(self.uid), self.guest, 1, self.key_version, self.active, self.counter, signed, mac, None, "bar-1"
        )

    def tap(self, request: ChargeRequest) -> TapFacts:
        return TapFacts(self.read(request))


class Ship:
    """Store, services, and short ways to do what a test wants to have done."""

    def __init__(
        self, settings: PaymentSettings | None = None, role: Role = Role.AUTHORITY, store: Store | None = None
    ) -> None:
        self.clock = HandClock()
        self.store: Store = store or MemoryStore()
        self.entropy = CountingEntropy()
        self.pins = PinService(self.entropy)
        self.settings = settings or PaymentSettings()
        self.role = role
        self._numbers = itertools.count(1)
        self.restart()

    def restart(self) -> None:
        """A new process on the same disk: whatever was only in memory is gone."""
        self.payments = PaymentService(
            self.store, self.clock, self.entropy, ring(self.role), AES, self.settings, self.pins
        )
        self.folio = FolioService(self.store, self.clock, self.settings)

    async def guest(
        self,
        stay_minor: int = 100_000,
        day_minor: int = 50_000,
        verify_above_minor: int = 20_000,
        *,
        child: bool = False,
        pin: str | None = None,
    ) -> GuestRef:
        number = next(self._numbers)
        guest = Guest(
            ref=GuestRef(f"{number:016x}"),
            booking=f"B{number}",
            cabins=(CabinStay(number, 1),),
            zones=1,
            child=child,
            crew=False,
            not_before_s=0,
            not_after_s=2**32 - 1,
            currency="EUR",
            limits=Limits(stay_minor, day_minor, verify_above_minor),
            serial=1,
            pin=await self.pins.hash(pin) if pin else None,
        )
        await self.store.write(lambda tx: tx.put_guest(guest))
        return guest.ref

    def band(self, ref: GuestRef, *, active: bool = True) -> FakeBand:
        return FakeBand(b"\x04" + next(self._numbers).to_bytes(6, "big"), ref, active)

    def ask(self, amount_minor: int = 1000, till: str = "bar-1", **more: object) -> ChargeRequest:
        base = ChargeRequest(
            TapId(f"{next(self._numbers):032x}"), TillId(till), OutletId("skybar"), amount_minor, "EUR", "Coffee"
        )
        return replace(base, **more)  # type: ignore[arg-type]

    async def charge(self, band: FakeBand, amount_minor: int = 1000, **more: object) -> Charge:
        """Ask and tap. Amounts repeat in tests, so a second round is meant unless the test says otherwise."""
        request = self.ask(amount_minor, **{"allow_duplicate": True, **more})  # type: ignore[arg-type]
        await self.payments.request(request)
        return await self.payments.book(request, band.tap(request))

    async def charge_asked(self, request: ChargeRequest, ref: GuestRef) -> Charge:
        return await self.payments.book(request, self.band(ref).tap(request))

    async def edit(self, ref: GuestRef, **changes: object) -> None:
        def work(tx: Tx) -> None:
            guest = tx.guest(ref)
            assert guest is not None
            tx.put_guest(replace(guest, **changes))  # type: ignore[arg-type]

        await self.store.write(work)

    async def guest_row(self, ref: GuestRef) -> Guest:
        guest = await self.store.read(lambda tx: tx.guest(ref))
        assert guest is not None
        return guest

    async def balance(self, ref: GuestRef) -> int:
        return await self.store.read(lambda tx: tx.balance(guest_account(ref)))

    async def ledger_sum(self) -> int:
        return await self.store.read(lambda tx: tx.ledger_sum())

    async def stored(self, tap_id: TapId) -> Charge | None:
        return await self.store.read(lambda tx: tx.charge(tap_id))

    async def events(self, *types: EventType) -> list[StoredEvent]:
        found = await self.store.read(lambda tx: tx.events(0, 100_000))
        return [event for event in found if not types or event.type in types]
