"""A held charge waits for a PIN or a look at the photo; what comes of it is decided here."""

from __future__ import annotations

from dataclasses import replace

from steward.domain.access import Refusal
from steward.domain.charges import (
    Charge,
    ChargeRefusal,
    ChargeState,
    Verification,
    decide_charge,
    decided,
    sale_of,
)
from steward.domain.events import EventType, NewEvent
from steward.domain.guests import BandState
from steward.domain.ids import TapId
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.services.chargebook import ChargeBook, give_up, record
from steward.services.pins import PinAttempt, PinService, check_pin, is_locked


class Verifier:
    """Each way returns the charge as it is afterwards; one that is not held (any more) comes back unchanged."""

    def __init__(self, store: Store, clock: Clock, book: ChargeBook, pins: PinService) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._pins = pins

    async def by_pin(self, tap_id: TapId, pin: str) -> Charge:
        """A wrong PIN leaves the charge held (pin_wrong); after the third only a photo can release it (pin_locked)."""
        check_pin(pin)
        with self._pins.place():
            now_s = self._clock.now().unix_s
            begun = await self._store.write(lambda tx: self._begin(tx, tap_id, now_s))
            if isinstance(begun, Charge):
                return begun
            matched = await self._pins.matches(pin, begun)
            end_s = self._clock.now().unix_s
            return await self._store.write(lambda tx: self._end(tx, tap_id, begun, matched, end_s))

    async def by_photo(self, tap_id: TapId, by: str, matches: bool) -> Charge:
        """`by` compared the guest with the photo. If they differ the charge is refused and staff are told."""
        if not by:
            raise Refused("verification_invalid", "say who compared the photo")
        now_s = self._clock.now().unix_s
        return await self._store.write(lambda tx: self._photo(tx, tap_id, by, matches, now_s))

    def _begin(self, tx: Tx, tap_id: TapId, now_s: int) -> Charge | PinAttempt:
        charge = self._book.look_up(tx, tap_id, now_s)
        if charge.state is not ChargeState.HELD:
            return charge
        attempt = self._pins.begin(tx, sale_of(charge).ref)
        return attempt or _hold_on(tx, charge, ChargeRefusal.PIN_LOCKED, now_s)

    def _end(self, tx: Tx, tap_id: TapId, attempt: PinAttempt, matched: bool, now_s: int) -> Charge:
        accepted = self._pins.conclude(tx, attempt, matched, now_s)
        charge = self._book.look_up(tx, tap_id, now_s)
        if charge.state is not ChargeState.HELD:
            return charge
        if accepted:
            return self._release(tx, charge, Verification.PIN, now_s)
        guest = tx.guest(attempt.ref)
        locked = guest is not None and is_locked(guest)
        return _hold_on(tx, charge, ChargeRefusal.PIN_LOCKED if locked else ChargeRefusal.PIN_WRONG, now_s)

    def _photo(self, tx: Tx, tap_id: TapId, by: str, matches: bool, now_s: int) -> Charge:
        charge = self._book.look_up(tx, tap_id, now_s)
        if charge.state is not ChargeState.HELD:
            return charge
        if matches:
            return self._release(tx, charge, Verification.PHOTO, now_s, by)
        code = ChargeRefusal.PHOTO_MISMATCH.value
        uid, guest = (None, None) if charge.evidence is None else (charge.evidence.uid, charge.evidence.guest)
        what = {"alert": code, "place": charge.request.till, "uid": uid, "guest": guest, "tap_id": tap_id, "by": by}
        tx.append_event(NewEvent(EventType.STAFF_ALERT, now_s, what))
        return give_up(tx, charge, code, now_s, by=by)

    def _release(self, tx: Tx, charge: Charge, how: Verification, now_s: int, by: str = "") -> Charge:
        """Decide a held charge for good: the guest's limits and folio, and the band, may have changed meanwhile."""
        evidence = charge.evidence
        guest = tx.guest(evidence.guest) if evidence is not None else None
        if evidence is None or guest is None:
            return give_up(tx, charge, ChargeRefusal.GUEST_UNKNOWN.value, now_s)
        band = tx.band(evidence.uid)
        if band is not None and band.state is BandState.FROZEN:
            return give_up(tx, charge, Refusal.FROZEN.value, now_s, by=by)
        spent = self._book.spending_besides(tx, charge, guest)
        decision = decide_charge(charge.request, guest, spent, how)
        return self._book.keep(tx, decided(charge, decision, how), now_s, by=by)


def _hold_on(tx: Tx, charge: Charge, code: ChargeRefusal, now_s: int) -> Charge:
    """Still held, and why. Hearing the same of a locked PIN again is no new fact: a till may ask without end."""
    if code is ChargeRefusal.PIN_LOCKED and charge.code == code:
        return charge
    return record(tx, EventType.CHARGE_HELD, replace(charge, code=code.value), now_s)
