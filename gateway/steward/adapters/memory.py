"""A store in memory that behaves as the SQLite store does, for tests and for simulations that must replay.

No threads: writes are queued and run in order on a later turn of the event loop, as if a group commit took a turn.
"""

from __future__ import annotations

import asyncio
import copy
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from steward.adapters.memory_bandupdates import MemoryBandUpdatesTx
from steward.adapters.memory_blanks import MemoryBlanksTx
from steward.adapters.memory_condition import MemoryConditionTx
from steward.adapters.memory_context import MemoryContextTx
from steward.adapters.memory_decisions import MemoryDecisionTx
from steward.adapters.memory_desk import MemoryDeskTx
from steward.adapters.memory_erasure import MemoryErasureTx
from steward.adapters.memory_guestaccess import MemoryGuestAccessTx
from steward.adapters.memory_manifest import MemoryManifestTx
from steward.adapters.memory_presence import MemoryPresenceTx
from steward.adapters.memory_privacy import MemoryPrivacyTx
from steward.adapters.memory_service import MemoryServiceTx
from steward.adapters.memory_ship import MemoryShipTx
from steward.adapters.memory_stock import MemoryStockTx
from steward.adapters.memory_sync import EventLog
from steward.adapters.memory_tables import Parts, Tables
from steward.adapters.memory_vault import MemoryVaultTx
from steward.adapters.store_erasures import FORGOTTEN
from steward.adapters.store_jobs import Job
from steward.adapters.store_rules import (
    check_charge,
    check_guest,
    check_posting_count,
    guest_of_account,
)
from steward.adapters.system import OsEntropy
from steward.adapters.vault import KEY_BYTES, DataKey, KeyChanges, MemoryChest, TxKeys
from steward.domain.charges import Charge, ChargeState
from steward.domain.erasure import Part
from steward.domain.events import EventType, fact
from steward.domain.guests import Band, BandState, CabinStay, Guest, KeyChange
from steward.domain.ids import AccountId, GuestRef, OutletId, TapId, TillId, TransactionId, Uid
from steward.domain.ledger import FolioTotals, LedgerTransaction, check_transaction, guest_account
from steward.domain.replica import Kind
from steward.errors import Busy, Conflict, StoreUnavailable
from steward.ports import Entropy, Store, Tx

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

_SPENDING = (ChargeState.HELD, ChargeState.POSTED, ChargeState.DISPUTED)
_LIVE = (ChargeState.HELD, ChargeState.POSTED)


class _State:
    """Everything the store keeps. Records are immutable, so keeping the old value is enough to undo."""

    def __init__(self) -> None:
        self.guests: dict[GuestRef, Guest] = {}
        self.bands: dict[Uid, Band] = {}
        self.key_changes: dict[tuple[Uid, int], KeyChange] = {}
        self.stays: dict[int, int] = {}
        self.serials: dict[GuestRef, int] = {}
        self.denied: dict[Uid, tuple[int, str]] = {}
        self.charges: dict[TapId, Charge] = {}
        self.counters: dict[tuple[Uid, str], int] = {}
        self.taps_of: dict[GuestRef, list[TapId]] = {}
        self.ledger: dict[TransactionId, LedgerTransaction] = {}
        self.ledger_of: dict[AccountId, list[TransactionId]] = {}
        self.currencies: dict[AccountId, list[str]] = {}
        self.balances: dict[tuple[AccountId, str], int] = {}
        self.meta: dict[str, str] = {}


class _GuestServiceTx(MemoryServiceTx, MemoryDecisionTx, MemoryContextTx, MemoryStockTx, MemoryGuestAccessTx):
    """Of guest service, and what was decided in it."""


class _BandsTx(MemoryConditionTx, MemoryPresenceTx, MemoryBlanksTx, MemoryBandUpdatesTx):
    """Of bands: their batteries, radios and programs, and those that nobody wears."""


class _RecordsTx(MemoryShipTx, _BandsTx, MemoryErasureTx):
    """Of what the ship's gateways share, bands' batteries, and what is forgotten."""


class MemoryTx(_GuestServiceTx, MemoryManifestTx, MemoryDeskTx, MemoryPrivacyTx, MemoryVaultTx, _RecordsTx, Tables):
    """One transaction on the state, with an undo log."""

    @property
    def _state(self) -> _State:
        return self._part(_State)

    # guests, stays, bands

    def put_guest(self, guest: Guest) -> None:
        state = self._state
        check_guest(guest)
        posted = state.currencies.get(guest_account(guest.ref), ())
        if any(other != guest.currency for other in posted):
            raise Conflict("ledger: a guest's account has one currency")
        self._check_not_erased(guest.ref)
        self._stamp(guest.ref, "guest", guest.ref)
        self._put(state.guests, guest.ref, guest)
        self._told(Kind.GUEST, guest.ref)

    def guest(self, ref: GuestRef) -> Guest | None:
        return self._state.guests.get(ref)

    def guests(self) -> Sequence[Guest]:
        return list(self._state.guests.values())

    def guests_in(self, stay: CabinStay) -> Sequence[Guest]:
        return [guest for _, guest in sorted(self._state.guests.items()) if stay in guest.cabins]

    def party(self, booking: str) -> Sequence[Guest]:
        return [guest for _, guest in sorted(self._state.guests.items()) if guest.booking == booking]

    def _check_not_erased(self, ref: GuestRef) -> None:
        erasure = self.erasure(ref)
        if erasure is not None and erasure.part is Part.ALL:
            raise Conflict(FORGOTTEN)

    def drop_guest_rows(self, ref: GuestRef) -> None:
        state = self._state
        self._drop(state.guests, ref)
        self._drop(state.serials, ref)
        for band in self.bands_of(ref):
            self._drop(state.bands, band.uid)

    def put_band(self, band: Band) -> None:
        self._check_not_erased(band.guest)
        known = self.band(band.uid)
        self._put(self._state.bands, band.uid, band)
        if known is not None and known.state is BandState.ISSUED and band.state is not BandState.ISSUED:
            self.drop_presence(known.guest)
        self._told(Kind.BAND, band.uid)
        self._band_changed(band)

    def band(self, uid: Uid) -> Band | None:
        return self._state.bands.get(uid)

    def all_bands(self) -> Sequence[Band]:
        return list(self._state.bands.values())

    def bands_of(self, ref: GuestRef) -> Sequence[Band]:
        bands = [band for band in self._state.bands.values() if band.guest == ref]
        return sorted(bands, key=lambda band: (band.serial, band.uid))

    def band_counts(self) -> Mapping[tuple[BandState, bool], int]:
        return Counter((band.state, band.active) for band in self._state.bands.values())

    def journal_key_change(self, change: KeyChange) -> None:
        self._put(self._state.key_changes, (change.uid, change.key_no), change)

    def key_changes(self, uid: Uid) -> Sequence[KeyChange]:
        changes = [change for change in self._state.key_changes.values() if change.uid == uid]
        return sorted(changes, key=lambda change: change.key_no)

    # what doors remember

    def stay_of(self, cabin: int) -> int:
        return self._state.stays.get(cabin, 0)

    def adopt_stay(self, cabin: int, stay: int) -> None:
        stays = self._state.stays
        if cabin not in stays or stay > stays[cabin]:
            self._put(stays, cabin, stay)
            self._told(Kind.STAY, str(cabin))

    def serial_of(self, ref: GuestRef) -> int:
        return self._state.serials.get(ref, 0)

    def adopt_serial(self, ref: GuestRef, serial: int) -> None:
        serials = self._state.serials
        if ref not in serials or serial > serials[ref]:
            self._put(serials, ref, serial)
            self._told(Kind.SERIAL, ref)

    def deny_epoch(self) -> int:
        return max((epoch for epoch, _ in self._state.denied.values()), default=0)

    def deny(self, uid: Uid, epoch: int, reason: str) -> None:
        denied = self._state.denied
        known = denied.get(uid)
        if known is None or epoch >= known[0]:
            self._put(denied, uid, (epoch, reason))
            self._told(Kind.DENY, uid)

    def denied_at(self, uid: Uid) -> int | None:
        known = self._state.denied.get(uid)
        return None if known is None else known[0]

    # money

    def put_charge(self, charge: Charge) -> None:
        state = self._state
        check_charge(charge)
        tap_id = charge.request.tap_id
        self._put(state.charges, tap_id, charge)
        if charge.evidence is not None and tap_id not in state.taps_of.get(charge.evidence.guest, ()):
            self._add(state.taps_of, charge.evidence.guest, tap_id)

    def charge(self, tap_id: TapId) -> Charge | None:
        return self._state.charges.get(tap_id)

    def last_charges_of(self, ref: GuestRef, limit: int) -> Sequence[Charge]:
        own = self.charges_of(ref)
        return own[max(0, len(own) - limit) :]

    def charges_of(self, ref: GuestRef) -> Sequence[Charge]:
        state = self._state
        charges = [state.charges[tap_id] for tap_id in state.taps_of.get(ref, ())]
        own = [charge for charge in charges if charge.evidence is not None and charge.evidence.guest == ref]
        return sorted(own, key=lambda charge: charge.at_s)  # stable: ties stay in the order they came

    def charges_at(self, outlet: OutletId) -> Sequence[Charge]:
        return [charge for charge in self._state.charges.values() if charge.request.outlet == outlet]

    def held_of(self, ref: GuestRef) -> Sequence[Charge]:
        return [charge for charge in self.charges_of(ref) if charge.state is ChargeState.HELD]

    def disputed_charges(self, limit: int) -> Sequence[Charge]:
        disputed = [charge for charge in self._state.charges.values() if charge.state is ChargeState.DISPUTED]
        return disputed[: max(limit, 0)]

    def folio_totals(self) -> Sequence[FolioTotals]:
        totals: dict[str, FolioTotals] = {}
        for guest in self._state.guests.values():
            known = totals.get(guest.currency, FolioTotals(guest.currency, 0, 0, 0, 0))
            balance = self.balance(guest_account(guest.ref))
            totals[guest.currency] = FolioTotals(
                guest.currency,
                known.guests + 1,
                known.settled + guest.settled,
                known.owed_minor + max(balance, 0),
                known.credit_minor + max(-balance, 0),
            )
        return [totals[currency] for currency in sorted(totals)]

    def spent_since(self, ref: GuestRef, since_s: int) -> int:
        return sum(
            charge.request.amount_minor - charge.refunded_minor
            for charge in self.charges_of(ref)
            if charge.state in _SPENDING and charge.at_s >= since_s
        )

    def similar_charge(self, ref: GuestRef, till: TillId, amount_minor: int, since_s: int) -> Charge | None:
        for charge in reversed(self.charges_of(ref)):
            request = charge.request
            same = request.till == till and request.amount_minor == amount_minor
            if same and charge.state in _LIVE and charge.at_s >= since_s:
                return charge
        return None

    def charge_counter(self, uid: Uid, kind: str) -> int:
        return self._state.counters.get((uid, kind), 0)

    def set_charge_counter(self, uid: Uid, kind: str, counter: int) -> None:
        self._put(self._state.counters, (uid, kind), counter)
        self._told(Kind.COUNTER, f"{uid}/{kind}")

    def post(self, transaction: LedgerTransaction) -> None:
        state = self._state
        check_transaction(transaction)
        check_posting_count(transaction)
        currency = transaction.currency
        if transaction.id in state.ledger:
            raise Conflict("ledger: this transaction is already recorded")
        for posting in transaction.postings:
            self._check_currency_of(posting.account, currency)
        self._put(state.ledger, transaction.id, transaction)
        for posting in transaction.postings:
            account = posting.account
            key = (account, currency)
            self._put(state.balances, key, state.balances.get(key, 0) + posting.amount_minor)
            if currency not in state.currencies.get(account, ()):
                self._add(state.currencies, account, currency)
            self._add(state.ledger_of, account, transaction.id)

    def _check_currency_of(self, account: AccountId, currency: str) -> None:
        ref = guest_of_account(account)
        if ref is None:
            return
        guest = self._state.guests.get(ref)
        known = self._state.currencies.get(account) or ([] if guest is None else [guest.currency])
        if any(other != currency for other in known):
            raise Conflict("ledger: a guest's account has one currency")

    def balance(self, account: AccountId) -> int:
        state = self._state
        return sum(state.balances[account, currency] for currency in state.currencies.get(account, ()))

    def ledger_of(self, account: AccountId) -> Sequence[LedgerTransaction]:
        state = self._state
        return [state.ledger[id_] for id_ in state.ledger_of.get(account, ())]

    def ledger_sum(self) -> int:
        return sum(
            posting.amount_minor for transaction in self._state.ledger.values() for posting in transaction.postings
        )

    # small facts

    def meta(self, key: str) -> str | None:
        return self._state.meta.get(key)

    def set_meta(self, key: str, value: str) -> None:
        self._put(self._state.meta, key, value)


class MemoryStore:
    """ports.Store without a disk. At most `queue_max` writes wait; further ones are refused as Busy."""

    def __init__(self, *, queue_max: int = 1024, first_epoch: int = 1, entropy: Entropy | None = None) -> None:
        """entropy: in place of the operating system's."""
        self._parts = Parts()
        self._entropy = entropy or OsEntropy()
        self._chest = MemoryChest(DataKey(self._entropy.token_bytes(KEY_BYTES)))
        self._parts.part(EventLog).epoch = first_epoch
        self._queue: deque[Job[Tx]] = deque()
        self._queue_max = queue_max
        self._closed = False

    def restored(self, epoch: int, at_s: int) -> MemoryStore:
        """What restoring a backup of this moment gives: a copy that goes on in a later epoch.

        The keys are no part of a backup: whoever is erased meanwhile, in either store, cannot be read in the other.
        """
        store = MemoryStore(queue_max=self._queue_max)
        store._parts = copy.deepcopy(self._parts)
        log = store._parts.part(EventLog)
        facts = {"epoch": epoch, "backup_epoch": log.epoch, "backup_seq": len(log.rows.get(log.epoch, ()))}
        log.epoch = epoch
        store._chest = self._chest
        store._do(lambda tx: tx.append_event(fact(EventType.STORE_RESTORED, at_s, **facts)))
        return store

    async def write(self, work: Callable[[Tx], T]) -> T:
        """See ports.Store. A write that was accepted is carried out even if its waiter is cancelled."""
        self._check_open()
        if len(self._queue) >= self._queue_max:
            raise Busy(f"{len(self._queue)} writes are waiting already: try again")
        loop = asyncio.get_running_loop()
        job: Job[Tx] = Job(loop, work)
        self._queue.append(job)
        if len(self._queue) == 1:
            loop.call_soon(self._commit)
        result: T = await job.future
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        """See ports.Store."""
        self._check_open()
        return self.look(work)

    def look(self, work: Callable[[Tx], T]) -> T:
        """The same at once, and also of a store that was closed: for whoever checks what is left in it."""
        tx = MemoryTx(self._parts, TxKeys(self._chest, self._entropy), read_only=True)
        try:
            return work(tx)
        finally:
            tx.end(keep=True)

    async def close(self) -> None:
        """Carry out what was accepted, then refuse everything."""
        self._closed = True
        self._commit()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _commit(self) -> None:
        done = []
        while self._queue:
            job = self._queue.popleft()
            self._do(job.run)
            done.append(job)
        for job in done:
            job.resolve()

    def _do(self, work: Callable[[MemoryTx], object]) -> None:
        """Run a closure in a transaction of its own. If it returns False, nothing of it is kept."""
        keys = TxKeys(self._chest, self._entropy, KeyChanges())
        tx = MemoryTx(self._parts, keys, read_only=False)
        keep = work(tx) is not False
        tx.end(keep=keep)
        if keep:
            self._chest.keep(keys.changes.made)
            self._chest.forget(keys.changes.destroyed, keys.changes.dropped)


if TYPE_CHECKING:

    def _is_a_store(store: MemoryStore) -> Store:
        return store
