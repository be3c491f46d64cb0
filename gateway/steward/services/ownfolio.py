"""A guest and their own folio: what is on it, what the children of the booking spent, disputes, lower limits.

It is the guest who looks, so no look-up is logged (see services/ownlook.py). What is another guest's does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from steward.domain.charges import Charge, is_reason, ship_day_start
from steward.domain.events import EventType, fact
from steward.domain.evidence import EvidenceView
from steward.domain.guests import Guest, Limits
from steward.domain.ids import GuestRef, TapId
from steward.domain.profiles import Disclosed
from steward.domain.statement import Statement
from steward.domain.viewing import Field
from steward.errors import NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services.chargebook import PaymentSettings
from steward.services.family import children_of, speaks_for
from steward.services.folio import statement_in
from steward.services.lookups import guest_in
from steward.services.ownlook import own_look
from steward.services.payments import PaymentService

BY_GUEST = "guest"


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one guest, held charges among them."""

    today_minor: int
    stay_minor: int


@dataclass(frozen=True, slots=True)
class ChildFolio:
    """What an adult of the booking sees of a child's. name: empty if nobody wrote it down."""

    name: str = field(repr=False)
    guest: Guest
    spent: Spent
    charges: tuple[Charge, ...]  # newest first


@dataclass(frozen=True, slots=True)
class OwnFolio:
    guest: Guest
    statement: Statement
    spent: Spent
    charges: tuple[Charge, ...]  # newest first
    children: tuple[ChildFolio, ...]


@dataclass(frozen=True, slots=True)
class OwnCharge:
    """of_child: it is a child's, and an adult of the booking looks."""

    charge: Charge
    evidence: EvidenceView
    of_child: bool


class OwnFolioService:
    """settings: when the ship's day begins."""

    def __init__(self, store: Store, clock: Clock, payments: PaymentService, settings: PaymentSettings) -> None:
        self._store = store
        self._clock = clock
        self._payments = payments
        self._settings = settings

    async def folio(self, ref: GuestRef) -> OwnFolio:
        """Raises NotFound."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> OwnFolio:
            guest = guest_in(tx, ref)
            children = tuple(self._child(tx, child, now_s) for child in children_of(tx, guest))
            statement = statement_in(tx, ref)
            return OwnFolio(guest, statement, self._spent(tx, ref, now_s), _newest(tx.charges_of(ref)), children)

        return await self._store.write(work)

    async def charge(self, ref: GuestRef, tap_id: TapId) -> OwnCharge:
        """One charge with what the band proved. Raises NotFound, also for another guest's."""

        def work(tx: Tx) -> OwnCharge:
            charge = _own_charge(tx, ref, tap_id)
            assert charge.evidence is not None
            return OwnCharge(charge, self._payments.evidence_in(tx, tap_id), charge.evidence.guest != ref)

        return await self._store.read(work)

    async def dispute(self, ref: GuestRef, tap_id: TapId, reason: str) -> Charge:
        """The guest says that it is wrong: the purser decides. It stays on the folio until then.

        Raises NotFound, also for another guest's; Refused (reason_invalid, not_posted).
        """
        reason = reason.strip()
        if not reason or not is_reason(reason):
            raise Refused("reason_invalid", "say on one line what is wrong with it")
        await self._store.read(lambda tx: _own_charge(tx, ref, tap_id))
        return await self._payments.dispute(tap_id, reason, BY_GUEST)

    async def lower_limits(self, ref: GuestRef, limits: Limits) -> Guest:
        """Each as it is or lower: what is above it is the desk's to allow. Raises NotFound, Refused bad_limits."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Guest:
            guest = guest_in(tx, ref)
            if not _is_lower(limits, guest.limits):
                raise Refused("limits_only_lower", "each limit as it is, or lower, and not below nothing")
            if limits == guest.limits:
                return guest
            changed = replace(guest, limits=limits)
            tx.put_guest(changed)
            figures = {"stay_minor": limits.stay_minor, "day_minor": limits.day_minor}
            above = {"verify_above_minor": limits.verify_above_minor}
            tx.append_event(fact(EventType.LIMITS_SET, now_s, guest=ref, by=BY_GUEST, **figures, **above))
            return changed

        return await self._store.write(work)

    def _child(self, tx: Tx, child: Guest, now_s: int) -> ChildFolio:
        shown: Disclosed = tx.disclose(own_look(child.ref, (Field.PREFERRED_NAME,), now_s))
        spent = self._spent(tx, child.ref, now_s)
        return ChildFolio(shown.preferred_name or "", child, spent, _newest(tx.charges_of(child.ref)))

    def _spent(self, tx: Tx, ref: GuestRef, now_s: int) -> Spent:
        day_s = ship_day_start(now_s, self._settings.day_start_hour, self._settings.utc_offset_s)
        return Spent(tx.spent_since(ref, day_s), tx.spent_since(ref, 0))


def _newest(charges: Sequence[Charge]) -> tuple[Charge, ...]:
    return tuple(reversed(charges))


def _own_charge(tx: Tx, ref: GuestRef, tap_id: TapId) -> Charge:
    """Of this guest, or of a child they speak for. Raises NotFound."""
    charge = tx.charge(tap_id)
    if charge is None or charge.evidence is None:
        raise NotFound("charge", "of this address")
    if charge.evidence.guest != ref:
        owner = tx.guest(charge.evidence.guest)
        if owner is None or not speaks_for(guest_in(tx, ref), owner):
            raise NotFound("charge", "of this address")
    return charge


def _is_lower(limits: Limits, known: Limits) -> bool:
    pairs = (
        (limits.stay_minor, known.stay_minor),
        (limits.day_minor, known.day_minor),
        (limits.verify_above_minor, known.verify_above_minor),
    )
    return all(0 <= new <= old for new, old in pairs)
