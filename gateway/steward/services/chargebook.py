"""The inside of a charge's transaction: what the guest has spent, the decision, the row, the postings and the event.

Everything here takes a running transaction. Several services write charges; they all do it through this book.
"""

from __future__ import annotations

from dataclasses import dataclass

from steward.domain.allowance import spendable, use
from steward.domain.charges import (
    DUPLICATE_WINDOW_S,
    HOLD_S,
    Charge,
    ChargeDecision,
    ChargeRefusal,
    ChargeRequest,
    ChargeState,
    Spending,
    decide_charge,
    hold_expired,
    refused,
    sale_of,
    ship_day_start,
)
from steward.domain.events import EventType, NewEvent, Scalar
from steward.domain.evidence import charge_payload
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, TapId
from steward.domain.ledger import charge as charge_transaction
from steward.errors import NotFound, Refused
from steward.ports import Tx

_EVENTS = {
    ChargeState.POSTED: EventType.CHARGE_POSTED,
    ChargeState.HELD: EventType.CHARGE_HELD,
    ChargeState.REFUSED: EventType.CHARGE_REFUSED,
}
# Refusals that a hold which has expired meanwhile may be the only cause of.
_BY_HOLDS = frozenset(
    {
        ChargeRefusal.DUPLICATE_TAP.value,
        ChargeRefusal.CHILD_LIMIT.value,
        ChargeRefusal.DAY_LIMIT.value,
        ChargeRefusal.STAY_LIMIT.value,
        ChargeRefusal.ALLOWANCE_EXCEEDED.value,
    }
)


@dataclass(frozen=True, slots=True)
class PaymentSettings:
    duplicate_window_s: int = DUPLICATE_WINDOW_S
    hold_s: int = HOLD_S  # for a PIN or a photo
    request_expires_s: int = 60  # a till's request without a tap
    wait_max_s: int = 55  # of one long poll
    listeners_max: int = 256
    tills_max: int = 256
    day_start_hour: int = 5  # when the day of the day limit begins, ship's time
    utc_offset_s: int = 0  # ship's time less UTC
    sun_required: bool = True  # a passive band must show a fresh SUN message to pay
    second_person_above_minor: int = 10_000  # what one person may give back; 0: nothing without a second person
    has_peers: bool = False  # the folio authority of several gateways
    on_allowance: bool = False  # another of them: spends only what the authority has granted it


class ChargeBook:
    """What every charge goes through, whoever writes it."""

    def __init__(self, settings: PaymentSettings) -> None:
        self._settings = settings

    def check_authority(self) -> None:
        """Raises Refused authority_only where folios are not kept."""
        if self._settings.on_allowance:
            raise Refused("authority_only", "folios are kept at the ship's folio authority: do it there")

    def day_start(self, at_s: int) -> int:
        """When the ship's day of `at_s` began."""
        return ship_day_start(at_s, self._settings.day_start_hour, self._settings.utc_offset_s)

    def decide(self, tx: Tx, request: ChargeRequest, ref: GuestRef, now_s: int) -> ChargeDecision:
        """Decide a fresh tap whose token and signature are in order."""
        guest = tx.guest(ref)
        if guest is None:
            return refusal(ChargeRefusal.GUEST_UNKNOWN.value)
        decision = decide_charge(request, guest, self._spending(tx, request, ref, now_s))
        if decision.code in _BY_HOLDS and self.give_up_expired(tx, ref, now_s):
            decision = decide_charge(request, guest, self._spending(tx, request, ref, now_s))
        return decision

    def spending_besides(self, tx: Tx, held: Charge, guest: Guest) -> Spending:
        """What the guest has spent besides a held charge, on the ship's day of its tap and in all."""
        amount_minor = held.request.amount_minor
        return Spending(
            day_minor=tx.spent_since(guest.ref, self.day_start(held.at_s)) + tx.outstanding(guest.ref) - amount_minor,
            stay_minor=tx.spent_since(guest.ref, 0) + tx.outstanding(guest.ref) - amount_minor,
            allowance_minor=self._reserved(tx, held, guest.ref) if self._settings.on_allowance else None,
        )

    def _spending(self, tx: Tx, request: ChargeRequest, ref: GuestRef, now_s: int) -> Spending:
        since_s = now_s - self._settings.duplicate_window_s
        elsewhere_minor = tx.outstanding(ref)  # what other gateways may have spent for all that is known here
        return Spending(
            day_minor=tx.spent_since(ref, self.day_start(now_s)) + elsewhere_minor,
            stay_minor=tx.spent_since(ref, 0) + elsewhere_minor,
            similar=tx.similar_charge(ref, request.till, request.amount_minor, since_s),
            allowance_minor=self._allowance(tx, ref, now_s) if self._settings.on_allowance else None,
        )

    def _allowance(self, tx: Tx, ref: GuestRef, now_s: int) -> int:
        held_minor = sum(charge.request.amount_minor for charge in tx.held_of(ref))
        return spendable(tx.escrow(ref), held_minor, now_s)

    def _reserved(self, tx: Tx, held: Charge, ref: GuestRef) -> int:
        """What a held charge may come to: it was reserved when it was tapped, whatever the day is now."""
        others_minor = sum(other.request.amount_minor for other in tx.held_of(ref)) - held.request.amount_minor
        escrow = tx.escrow(ref)
        return 0 if escrow is None else max(0, escrow.left_minor - others_minor)

    def held_minor(self, tx: Tx, ref: GuestRef, now_s: int) -> int:
        """What this guest's charges hold, those that have waited too long ended first."""
        self.give_up_expired(tx, ref, now_s)
        return sum(charge.request.amount_minor for charge in tx.held_of(ref))

    def keep(self, tx: Tx, charge: Charge, now_s: int, **more: Scalar) -> Charge:
        """Write a charge that was just decided, with its postings if it is posted now."""
        if charge.state is ChargeState.POSTED:
            tx.post(charge_transaction(sale_of(charge), charge.request.amount_minor, now_s))
            if self._settings.on_allowance:
                self._use(tx, charge)
        return record(tx, _EVENTS[charge.state], charge, now_s, verification=charge.verification, **more)

    @staticmethod
    def _use(tx: Tx, charge: Charge) -> None:
        """Take a posted charge out of the allowance; its description goes to the authority apart from its event."""
        request = charge.request
        escrow = tx.escrow(sale_of(charge).ref)
        if escrow is None:
            raise ValueError(f"charge {request.tap_id} is posted without an allowance")
        tx.put_escrow(use(escrow, request.amount_minor))
        if request.description:
            tx.put_words(request.tap_id, request.description)

    def look_up(self, tx: Tx, tap_id: TapId, now_s: int) -> Charge:
        """The recorded charge, its hold ended if it has waited too long. Raises NotFound."""
        charge = tx.charge(tap_id)
        if charge is None:
            raise NotFound("charge", tap_id)
        if self.is_stale(charge, now_s):
            return give_up(tx, charge, ChargeRefusal.HOLD_EXPIRED.value, now_s)
        return charge

    def is_stale(self, charge: Charge, now_s: int) -> bool:
        """Whether it is a hold that has waited too long."""
        return hold_expired(charge, now_s, self._settings.hold_s)

    def give_up_expired(self, tx: Tx, ref: GuestRef, now_s: int) -> int:
        """End a guest's expired holds; how many."""
        stale = [charge for charge in tx.held_of(ref) if self.is_stale(charge, now_s)]
        for charge in stale:
            give_up(tx, charge, ChargeRefusal.HOLD_EXPIRED.value, now_s)
        return len(stale)


def refusal(code: str) -> ChargeDecision:
    return ChargeDecision(ChargeState.REFUSED, code)


def record(tx: Tx, type_: EventType, charge: Charge, at_s: int, **more: Scalar) -> Charge:
    """Keep a charge as it is now, with the event that tells it."""
    tx.put_charge(charge)
    tx.append_event(NewEvent(type_, at_s, charge_payload(charge) | more))
    return charge


def give_up(tx: Tx, charge: Charge, code: str, at_s: int, **more: Scalar) -> Charge:
    """End a hold without a charge. Nothing was posted, so nothing is to be undone."""
    return record(tx, EventType.CHARGE_REFUSED, refused(charge, code), at_s, **more)
