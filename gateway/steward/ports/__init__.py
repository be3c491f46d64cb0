"""What the services need from outside, as Protocols. Adapters implement them; tests may, at the hardware's boundary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from steward.domain.charges import Charge
from steward.domain.events import NewEvent, StoredEvent
from steward.domain.guests import Band, BandState, CabinStay, Guest, KeyChange
from steward.domain.ids import AccountId, DoorId, GuestRef, TapId, TillId, Uid
from steward.domain.ledger import FolioTotals, LedgerTransaction
from steward.ports.bandupdates import BandUpdatesTx
from steward.ports.basis import BasisTx
from steward.ports.blanks import BlanksTx
from steward.ports.condition import ConditionTx
from steward.ports.context import ContextTx
from steward.ports.decisions import DecisionTx
from steward.ports.desk import DeskTx
from steward.ports.erasure import ErasureTx
from steward.ports.guestaccess import GuestAccessTx
from steward.ports.manifest import ManifestTx
from steward.ports.presence import PresenceTx
from steward.ports.privacy import PrivacyTx
from steward.ports.service import ServiceTx
from steward.ports.ship import ShipTx
from steward.ports.stock import StockTx
from steward.ports.sync import SyncTx
from steward.ports.vault import VaultTx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Unix seconds, and whether they can be believed (False after a reset or a jump back)."""

    unix_s: int
    trusted: bool


class Clock(Protocol):
    def now(self) -> ClockReading: ...

    def monotonic_ms(self) -> float: ...


class Entropy(Protocol):
    def token_bytes(self, n: int) -> bytes: ...


class Card(Protocol):
    """One card held by a reader, for one exclusive transaction."""

    @property
    def anticollision_id(self) -> bytes:
        """The 7-byte UID, or a fresh 4-byte id beginning 08 under Random ID. Never an identity by itself."""
        ...

    async def exchange(self, capdu: bytes) -> bytes:
        """Send one C-APDU, return the R-APDU. Raises CardRemoved or ReaderFault."""
        ...


class CardReader(Protocol):
    """A reader. `connect` waits for a card that was not there before; `disconnect` ends the transaction."""

    @property
    def name(self) -> str: ...

    async def connect(self) -> Card:
        """Wait for the next card and take it exclusively. Raises ReaderFault when the reader is gone."""
        ...

    async def disconnect(self, card: Card) -> None: ...

    async def close(self) -> None: ...


class KeyRing(Protocol):
    """The keys this gateway's role may hold. Everything else raises KeyNotHeld. Version 0 is the factory key."""

    @property
    def role(self) -> str: ...

    @property
    def site(self) -> int: ...

    def versions(self) -> Sequence[int]:
        """Key versions in use, newest first."""
        ...

    def holds(self, key_no: int) -> bool: ...

    def card_key(self, uid: bytes, key_no: int, version: int) -> bytes:
        """The 16-byte key `key_no` of the band with this 7-byte UID (for K2 the UID is ignored: it is shared)."""
        ...

    def sign_token(self, body: bytes) -> bytes:
        """Ed25519 signature (64 bytes) over a 48-byte token body. Raises KeyNotHeld at doors and tills."""
        ...

    def verify_token(self, body: bytes, signature: bytes) -> bool: ...

    def sign_lan(self, message: bytes) -> tuple[int, bytes]:
        """The newest key version and its signature over a message to the ship's other gateways, set apart from tokens.

        Raises KeyNotHeld at doors and tills.
        """
        ...

    def verify_lan(self, version: int, message: bytes, signature: bytes) -> bool: ...

    def sign_record(self, kind: str, message: bytes, version: int | None = None) -> tuple[int, bytes]:
        """The key version, the newest unless told, and its signature over a record of this kind: domain/records.py.

        Raises KeyNotHeld at doors and tills, ValueError for a kind there is not.
        """
        ...

    def verify_record(self, kind: str, version: int, message: bytes, signature: bytes) -> bool: ...

    def verify_keys(self) -> Mapping[int, bytes]:
        """The public half of each version's signing key, 32 bytes: what anybody may have."""
        ...


@dataclass(frozen=True, slots=True)
class DoorSignal:
    """What a door's lock and light are told."""

    door: DoorId
    open: bool
    code: str  # "granted" or the refusal code
    light: str  # "green" | "red" | "amber"


class Actuator(Protocol):
    async def show(self, signal: DoorSignal) -> None: ...


class Tx(
    ServiceTx,
    BasisTx,
    BlanksTx,
    BandUpdatesTx,
    ContextTx,
    StockTx,
    DecisionTx,
    ManifestTx,
    DeskTx,
    PrivacyTx,
    SyncTx,
    ShipTx,
    ConditionTx,
    PresenceTx,
    GuestAccessTx,
    ErasureTx,
    VaultTx,
    Protocol,
):
    """One transaction: everything in it is kept, or nothing. Synchronous, on the store's own thread."""

    # events (the outbox)
    def append_event(self, event: NewEvent) -> int: ...
    def events(self, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        """Events of the current epoch with seq > after_seq, in order."""
        ...

    def epoch(self) -> int: ...

    # guests, stays, bands
    def put_guest(self, guest: Guest) -> None:
        """Insert or replace by ref."""
        ...

    def guest(self, ref: GuestRef) -> Guest | None: ...
    def guests(self) -> Sequence[Guest]: ...
    def guests_in(self, stay: CabinStay) -> Sequence[Guest]:
        """Who holds this cabin for this stay, by ref. Quick however many guests there are."""
        ...

    def party(self, booking: str) -> Sequence[Guest]:
        """Who travels under this booking, by ref. Quick however many guests there are."""
        ...

    def put_band(self, band: Band) -> None:
        """Insert or replace by uid."""
        ...

    def band(self, uid: Uid) -> Band | None: ...
    def bands_of(self, ref: GuestRef) -> Sequence[Band]:
        """Oldest serial first."""
        ...

    def band_counts(self) -> Mapping[tuple[BandState, bool], int]:
        """How many bands, by state and whether they are active ones."""
        ...

    def journal_key_change(self, change: KeyChange) -> None:
        """Insert or replace by (uid, key_no)."""
        ...

    def key_changes(self, uid: Uid) -> Sequence[KeyChange]:
        """By key number."""
        ...

    # what doors remember
    def stay_of(self, cabin: int) -> int:
        """The highest stay adopted for this cabin; 0 if none yet."""
        ...

    def adopt_stay(self, cabin: int, stay: int) -> None: ...
    def serial_of(self, ref: GuestRef) -> int:
        """The highest band serial adopted for this guest; 0 if none yet."""
        ...

    def adopt_serial(self, ref: GuestRef, serial: int) -> None: ...
    def deny_epoch(self) -> int:
        """The newest epoch of the deny list; 0 while it is empty."""
        ...

    def deny(self, uid: Uid, epoch: int, reason: str) -> None: ...
    def denied_at(self, uid: Uid) -> int | None:
        """The epoch at which this band was denied last. A token issued at that epoch or later is not meant."""
        ...

    # money
    def put_charge(self, charge: Charge) -> None:
        """Insert or replace by tap id."""
        ...

    def charge(self, tap_id: TapId) -> Charge | None: ...
    def last_charges_of(self, ref: GuestRef, limit: int) -> Sequence[Charge]:
        """The last `limit` of this guest, oldest first. Quick however many there are."""
        ...

    def charges_of(self, ref: GuestRef) -> Sequence[Charge]:
        """All charges whose tap showed this guest, oldest first."""
        ...

    def held_of(self, ref: GuestRef) -> Sequence[Charge]:
        """Those of them that are held, oldest first. Quick however many charges the guest has."""
        ...

    def disputed_charges(self, limit: int) -> Sequence[Charge]:
        """Of every guest, in the order their taps were recorded."""
        ...

    def folio_totals(self) -> Sequence[FolioTotals]:
        """By currency."""
        ...

    def spent_since(self, ref: GuestRef, since_s: int) -> int:
        """Minor units held, posted or disputed (less refunds) by this guest at or after `since_s`."""
        ...

    def similar_charge(self, ref: GuestRef, till: TillId, amount_minor: int, since_s: int) -> Charge | None:
        """The newest held or posted charge of the same guest, till and amount at or after `since_s`."""
        ...

    def charge_counter(self, uid: Uid, kind: str) -> int:
        """The highest counter accepted from this band (`kind`: "charge" or "sdm"); 0 if none."""
        ...

    def set_charge_counter(self, uid: Uid, kind: str, counter: int) -> None: ...
    def post(self, transaction: LedgerTransaction) -> None:
        """Record a transaction for ever. Raises ValueError if it does not sum to zero.

        Raises Conflict if its id is recorded already, or if a guest's account has another currency.
        """
        ...

    def balance(self, account: AccountId) -> int: ...
    def ledger_of(self, account: AccountId) -> Sequence[LedgerTransaction]:
        """Transactions that touch this account, oldest first."""
        ...

    def ledger_sum(self) -> int:
        """The sum of all postings: zero, always."""
        ...

    # small facts
    def meta(self, key: str) -> str | None: ...
    def set_meta(self, key: str, value: str) -> None: ...


class Store(Protocol):
    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one durable transaction and return its result once it is on disk.

        If `work` raises, nothing of it is kept and the error comes back. Raises StoreUnavailable when the disk
        refuses, Busy when too many writes wait. Writes run one after the other, so `work` may decide on what it reads.
        A write that was accepted is carried out even if its waiter is cancelled meanwhile.
        """
        ...

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on a consistent snapshot. It must not write."""
        ...

    async def close(self) -> None: ...
