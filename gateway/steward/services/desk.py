"""What the purser's pages read: folios, charges with their evidence, disputes, approvals. Every read is a look-up.

What tells nothing of a guest (totals, which folios are on a page of the list) is read without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from steward.domain.approvals import Approval, ApprovalState, Corrected
from steward.domain.charges import Charge, ChargeState
from steward.domain.evidence import EvidenceView
from steward.domain.guests import Band, Guest
from steward.domain.ids import ApprovalId, GuestRef, TapId
from steward.domain.ledger import FolioTotals, guest_account, late_minor
from steward.domain.profiles import Disclosed
from steward.domain.statement import Statement
from steward.domain.viewing import Field, Viewer
from steward.errors import NotFound
from steward.ports import Clock, Store, Tx
from steward.services import approvals
from steward.services.folio import LateCharge, late_in, statement_in
from steward.services.lookups import LookupService, guest_in
from steward.services.payments import PaymentService
from steward.services.pins import ATTEMPTS_MAX
from steward.services.settling import meant

PAGE = 25  # folios on a page of the list
DISPUTES_MAX = 100
LATE_MAX = 100  # shown at once: the rest once these are dealt with
DECIDED_SHOWN = 20
_NAMES = frozenset({Field.FULL_NAME, Field.PREFERRED_NAME, Field.CABIN})
ON_FOLIO = frozenset({Field.FOLIO}) | _NAMES
ON_CHARGE = frozenset({Field.CHARGES, Field.EVIDENCE, Field.FOLIO}) | _NAMES


@dataclass(frozen=True, slots=True)
class Person:
    """Whose folio it is. name: empty if nobody wrote it down."""

    ref: GuestRef
    name: str = field(repr=False)
    booking: str
    cabins: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """How the folios stand together. Nothing of one guest."""

    totals: tuple[FolioTotals, ...]
    disputes: int  # at most DISPUTES_MAX are counted
    late: int  # charges that came in after their folio was settled
    approvals: int


@dataclass(frozen=True, slots=True)
class FolioRow:
    person: Person
    currency: str
    balance_minor: int
    settled: bool
    held: int  # charges that wait for a PIN or a photo
    leaves_s: int


@dataclass(frozen=True, slots=True)
class FolioPage:
    """One guest's folio with all that the purser may do to it. mark: changes when the folio does."""

    person: Person
    guest: Guest
    statement: Statement
    charges: tuple[Charge, ...]  # newest first
    bands: tuple[Band, ...]
    pending: tuple[Approval, ...]
    mark: str

    @property
    def pin_locked(self) -> bool:
        return self.guest.pin is not None and self.guest.pin_failures >= ATTEMPTS_MAX


@dataclass(frozen=True, slots=True)
class ChargePage:
    person: Person
    charge: Charge
    settled: bool
    evidence: EvidenceView
    corrections: tuple[Corrected, ...]
    pending: tuple[Approval, ...]
    late_minor: int  # of it came in after the folio was settled and is not collected


@dataclass(frozen=True, slots=True)
class ApprovalPage:
    approval: Approval
    page: ChargePage


class PurserDesk:
    def __init__(self, store: Store, clock: Clock, lookups: LookupService, payments: PaymentService) -> None:
        self._store = store
        self._clock = clock
        self._lookups = lookups
        self._payments = payments

    async def overview(self) -> Overview:
        def work(tx: Tx) -> Overview:
            disputes, waiting = len(tx.disputed_charges(DISPUTES_MAX)), len(tx.pending_approvals())
            return Overview(tuple(tx.folio_totals()), disputes, len(late_in(tx)), waiting)

        return await self._store.read(work)

    async def list_folios(self, viewer: Viewer, page: int, *, settled: bool) -> tuple[list[FolioRow], int]:
        """A page of the open or the settled folios by cabin, and how many pages there are. `page` counts from 0."""
        refs = await self._store.read(lambda tx: _by_cabin(tx, settled))
        shown = refs[page * PAGE : (page + 1) * PAGE]
        rows = await self._lookups.disclose_each(viewer, shown, ON_FOLIO, _row) if shown else []
        return rows, -(-len(refs) // PAGE)

    async def folio(self, viewer: Viewer, ref: GuestRef) -> FolioPage:
        """Raises NotFound, Refused not_permitted."""
        fields = ON_FOLIO | {Field.CHARGES, Field.BANDS}
        return await self._lookups.disclose_as(viewer, ref, fields, _folio)

    async def mark(self, ref: GuestRef) -> str:
        """Changes when the folio does, and says no more than that. Raises NotFound."""
        return await self._store.read(lambda tx: _mark(tx, ref))

    async def charge(self, viewer: Viewer, tap_id: TapId) -> ChargePage:
        """A charge with its evidence, the signature checked again. Raises NotFound if no band of ours was read."""

        def work(tx: Tx, shown: Disclosed) -> ChargePage:
            return self._charge(tx, shown, tap_id)

        return await self._lookups.disclose_as(viewer, lambda tx: _guest_of(tx, tap_id), ON_CHARGE, work)

    async def disputes(self, viewer: Viewer) -> list[tuple[Person, Charge]]:
        """Open disputes, the charges in the order of their taps."""

        def work(tx: Tx, shown: Disclosed) -> tuple[Person, Sequence[Charge]]:
            return _person(tx, shown), tx.charges_of(shown.look.guest)

        charges = await self._store.read(lambda tx: tx.disputed_charges(DISPUTES_MAX))
        refs = list(dict.fromkeys(c.evidence.guest for c in charges if c.evidence is not None))
        found = await self._lookups.disclose_each(viewer, refs, ON_FOLIO | {Field.CHARGES}, work) if refs else []
        return [(person, c) for person, all_ in found for c in all_ if c.state is ChargeState.DISPUTED]

    async def late(self, viewer: Viewer) -> list[tuple[Person, LateCharge]]:
        """Charges that came in after their folio was settled, the oldest LATE_MAX of them, guest by guest."""

        def work(tx: Tx, shown: Disclosed) -> tuple[Person, list[LateCharge]]:
            return _person(tx, shown), late_in(tx, shown.look.guest)

        late = (await self._store.read(late_in))[:LATE_MAX]
        refs = list(dict.fromkeys(each.charge.evidence.guest for each in late if each.charge.evidence is not None))
        found = await self._lookups.disclose_each(viewer, refs, ON_FOLIO | {Field.CHARGES}, work) if refs else []
        return [(person, each) for person, charges in found for each in charges]

    # approvals

    async def approvals(self) -> tuple[list[Approval], list[Approval]]:
        """What waits for a second person, and what was decided last. Names no guest but by reference."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> tuple[list[Approval], list[Approval]]:
            waiting = [approvals.find(tx, a.id, now_s) for a in tx.pending_approvals()]
            pending = [a for a in waiting if a.state is ApprovalState.PENDING]
            return pending, list(tx.decided_approvals(DECIDED_SHOWN))

        return await self._store.write(work)

    async def approval(self, viewer: Viewer, id_: ApprovalId) -> ApprovalPage:
        """A question with all that one needs to answer it. Raises NotFound."""
        now_s = self._clock.now().unix_s

        def guest(tx: Tx) -> GuestRef:
            return approvals.find(tx, id_, now_s).guest

        def work(tx: Tx, shown: Disclosed) -> ApprovalPage:
            approval = approvals.find(tx, id_, now_s)
            return ApprovalPage(approval, self._charge(tx, shown, approval.tap_id))

        return await self._lookups.disclose_as(viewer, guest, ON_CHARGE, work)

    async def crew_numbers(self, actors: Sequence[str]) -> dict[str, str]:
        """What crew are called among themselves: the booking number they were checked in under."""

        def work(tx: Tx) -> dict[str, str]:
            found = {actor: tx.guest(GuestRef(actor)) for actor in set(actors)}
            return {actor: guest.booking for actor, guest in found.items() if guest is not None and guest.crew}

        return await self._store.read(work)

    # the end of the voyage

    async def list_leaving(self, viewer: Viewer, page: int, *, everybody: bool) -> tuple[list[FolioRow], int]:
        """As list_folios, of the folios that SettleAll would settle."""
        now_s = self._clock.now().unix_s
        refs = await self._store.read(lambda tx: [guest.ref for guest in meant(tx, now_s, everybody)])
        shown = refs[page * PAGE : (page + 1) * PAGE]
        rows = await self._lookups.disclose_each(viewer, shown, ON_FOLIO, _row) if shown else []
        return rows, -(-len(refs) // PAGE)

    def _charge(self, tx: Tx, shown: Disclosed, tap_id: TapId) -> ChargePage:
        charge = tx.charge(tap_id)
        if charge is None:
            raise NotFound("charge", tap_id)
        return ChargePage(
            _person(tx, shown),
            charge,
            guest_in(tx, shown.look.guest).settled,
            self._payments.evidence_in(tx, tap_id),
            tuple(tx.corrections_of(tap_id)),
            tuple(a for a in tx.pending_approvals() if a.tap_id == tap_id),
            late_minor(tap_id, tx.ledger_of(guest_account(shown.look.guest))),
        )


def _by_cabin(tx: Tx, settled: bool) -> list[GuestRef]:
    guests = [guest for guest in tx.guests() if guest.settled is settled]
    return [guest.ref for guest in sorted(guests, key=lambda g: (g.cabins[0].cabin, g.booking, g.ref))]


def _guest_of(tx: Tx, tap_id: TapId) -> GuestRef:
    charge = tx.charge(tap_id)
    if charge is None or charge.evidence is None:
        raise NotFound("charge", tap_id)
    return charge.evidence.guest


def _person(tx: Tx, shown: Disclosed) -> Person:
    guest = guest_in(tx, shown.look.guest)
    name = shown.full_name or shown.preferred_name or ""
    return Person(guest.ref, name, guest.booking, tuple(stay.cabin for stay in guest.cabins))


def _row(tx: Tx, shown: Disclosed) -> FolioRow:
    guest = guest_in(tx, shown.look.guest)
    balance_minor = tx.balance(guest_account(guest.ref))
    held = len(tx.held_of(guest.ref))
    return FolioRow(_person(tx, shown), guest.currency, balance_minor, guest.settled, held, guest.not_after_s)


def _folio(tx: Tx, shown: Disclosed) -> FolioPage:
    ref = shown.look.guest
    return FolioPage(
        _person(tx, shown),
        guest_in(tx, ref),
        statement_in(tx, ref),
        tuple(reversed(tx.charges_of(ref))),
        tuple(tx.bands_of(ref)),
        tuple(a for a in tx.pending_approvals() if a.guest == ref),
        _mark(tx, ref),
    )


def _mark(tx: Tx, ref: GuestRef) -> str:
    guest = guest_in(tx, ref)
    charges = [(c.request.tap_id, c.state.value, c.refunded_minor) for c in tx.charges_of(ref)]
    bands = [(band.uid, band.state.value) for band in tx.bands_of(ref)]
    pending = [a.id for a in tx.pending_approvals() if a.guest == ref]
    told = (tx.balance(guest_account(ref)), guest.settled, guest.pin_failures, charges, bands, pending)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
