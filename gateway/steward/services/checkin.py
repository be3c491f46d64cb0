"""The desk: check a guest in, freeze a lost band, take one back. Making bands is services/encoder.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from steward.domain.events import EventType, NewEvent, fact
from steward.domain.guests import Band, BandState, CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, Uid
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.pins import PinService

_CURRENCY = re.compile(r"[A-Z]{3}")
_BOOKING = re.compile(r"[A-Za-z0-9._-]{1,32}")
_U16, _U32 = 0xFFFF, 0xFFFFFFFF
_EPOCH_USED = "deny.epoch_used"  # by tokens that other gateways have made


@dataclass(frozen=True, slots=True)
class CheckinForm:
    """What the desk hands over. Zones by name; times in unix seconds."""

    booking: str
    cabins: tuple[int, ...]
    zones: tuple[str, ...]
    child: bool
    crew: bool
    not_before_s: int
    not_after_s: int
    currency: str
    limits: Limits
    pin: str | None = None


class CheckinService:
    """Guests and the life of their bands."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        pins: PinService,
        zones: Mapping[str, int],
        follows: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._pins = pins
        self._zones = zones  # name -> bit number
        self._follows = follows  # another gateway of the ship: guests are checked in at the authority

    async def check_in(self, form: CheckinForm) -> Guest:
        """Record a guest for one stay. Raises Refused(code) naming the field that cannot be."""
        self._check_authority()
        zones = self._check_form(form)
        ref = GuestRef(self._entropy.token_bytes(8).hex())
        pin = await self._pins.hash(form.pin) if form.pin is not None else None
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Guest:
            guest = Guest(
                ref=ref,
                booking=form.booking,
                cabins=tuple(CabinStay(cabin, stay_for(tx, cabin, form.booking)) for cabin in form.cabins),
                zones=zones,
                child=form.child,
                crew=form.crew,
                not_before_s=form.not_before_s,
                not_after_s=form.not_after_s,
                currency=form.currency,
                limits=form.limits,
                serial=0,
                pin=pin,
            )
            tx.put_guest(guest)
            tx.append_event(checked_in(guest, now_s))
            return guest

        return await self._store.write(work)

    async def freeze(self, uid: Uid, reason: str, by: str) -> Band:
        """Refuse this band everywhere from now on. Idempotent. `reason` is a short code: lost, stolen, other."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Band:
            band = tx.band(uid)
            if band is None:
                raise NotFound("band", uid)
            return freeze_band(tx, band, now_s, reason, by)

        return await self._store.write(work)

    async def freeze_guest(self, ref: GuestRef, reason: str, by: str) -> list[Band]:
        """Freeze every band this guest could still use."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> list[Band]:
            if tx.guest(ref) is None:
                raise NotFound("guest", ref)
            usable = [b for b in tx.bands_of(ref) if b.state in (BandState.ISSUED, BandState.ENCODING)]
            return [freeze_band(tx, band, now_s, reason, by) for band in usable]

        return await self._store.write(work)

    async def give_back(self, uid: Uid) -> Band:
        """A band handed in. It opens nothing until it is issued again."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Band:
            band = tx.band(uid)
            if band is None:
                raise NotFound("band", uid)
            if band.state is BandState.RETURNED:
                return band
            deny_next(tx, uid, "returned")
            returned = replace(band, state=BandState.RETURNED)
            tx.put_band(returned)
            tx.append_event(fact(EventType.BAND_RETURNED, now_s, uid=uid, guest=band.guest, serial=band.serial))
            return returned

        return await self._store.write(work)

    async def set_pin(self, ref: GuestRef, pin: str) -> None:
        """Give a guest a new PIN and unlock it."""
        self._check_authority()
        hashed = await self._pins.hash(pin)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> None:
            guest = tx.guest(ref)
            if guest is None:
                raise NotFound("guest", ref)
            tx.put_guest(replace(guest, pin=hashed, pin_failures=0))
            tx.append_event(fact(EventType.PIN_SET, now_s, guest=ref, unlocked=guest.pin_failures > 0))

        await self._store.write(work)

    async def unlock_pin(self, ref: GuestRef, by: str) -> None:
        """Forget the wrong guesses; the PIN stays as it is."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> None:
            guest = tx.guest(ref)
            if guest is None:
                raise NotFound("guest", ref)
            if guest.pin_failures:
                tx.put_guest(replace(guest, pin_failures=0))
                tx.append_event(fact(EventType.PIN_SET, now_s, guest=ref, unlocked=True, by=by))

        await self._store.write(work)

    async def set_limits(self, ref: GuestRef, limits: Limits, by: str) -> Guest:
        """Raise or lower what a guest may spend; a parent does it for a child. Decides from the next tap on."""
        self._check_authority()
        _check_limits(limits)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Guest:
            guest = tx.guest(ref)
            if guest is None:
                raise NotFound("guest", ref)
            changed = replace(guest, limits=limits)
            tx.put_guest(changed)
            tx.append_event(
                fact(
                    EventType.LIMITS_SET,
                    now_s,
                    guest=ref,
                    by=by,
                    stay_minor=limits.stay_minor,
                    day_minor=limits.day_minor,
                    verify_above_minor=limits.verify_above_minor,
                )
            )
            return changed

        return await self._store.write(work)

    def _check_authority(self) -> None:
        if self._follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: do it there")

    def _check_form(self, form: CheckinForm) -> int:
        """The zone mask, or Refused naming the first field that cannot be."""
        if not _BOOKING.fullmatch(form.booking):
            raise Refused("bad_booking", "1 to 32 letters, digits, dot, dash or underscore")
        if not 1 <= len(form.cabins) <= 2 or len(set(form.cabins)) != len(form.cabins):
            raise Refused("bad_cabins", "one cabin, or two different ones")
        if not all(0 < cabin <= _U16 for cabin in form.cabins):
            raise Refused("bad_cabins", "cabin numbers are 1 to 65535")
        unknown = [zone for zone in form.zones if zone not in self._zones]
        if unknown:
            raise Refused("unknown_zone", f"{unknown[0]!r}; configured: {', '.join(self._zones)}")
        if not 0 <= form.not_before_s < form.not_after_s <= _U32:
            raise Refused("bad_validity", "not_before_s must be before not_after_s")
        if not _CURRENCY.fullmatch(form.currency):
            raise Refused("bad_currency", "three capital letters of ISO 4217")
        _check_limits(form.limits)
        return sum({1 << self._zones[zone] for zone in form.zones})


def _check_limits(limits: Limits) -> None:
    if min(limits.stay_minor, limits.day_minor, limits.verify_above_minor) < 0:
        raise Refused("bad_limits", "limits are minor units, 0 or more")


def checked_in(guest: Guest, at_s: int) -> NewEvent:
    """The event of a new guest."""
    return fact(
        EventType.GUEST_CHECKED_IN, at_s, guest=guest.ref, child=guest.child, crew=guest.crew, zones=guest.zones
    )


def stay_for(tx: Tx, cabin: int, booking: str) -> int:
    """The number of this booking's stay in the cabin: the running one for the same party, else the next."""
    key = f"stay:{cabin}"
    last = int(tx.meta(key) or 0)
    same = any(guest.booking == booking for guest in tx.guests_in(CabinStay(cabin, last)))
    if same and last >= tx.stay_of(cabin):  # no door has seen a later party, of another gateway's
        return last
    stay = max(last, tx.stay_of(cabin)) + 1
    if stay > _U16:
        raise Conflict(f"cabin {cabin} has used up its stay numbers: rotate the keys and begin again")
    tx.set_meta(key, str(stay))
    return stay


def deny_next(tx: Tx, uid: Uid, reason: str, at_least: int = 0) -> int:
    """Refuse what this band carries now; the epoch of it. Above every epoch that a token may have been made with.

    at_least: the epoch at which another gateway has refused it already.
    """
    epoch = max(tx.deny_epoch() + 1, int(tx.meta(_EPOCH_USED) or 0) + 1, at_least)
    tx.deny(uid, epoch, reason)
    return epoch


def note_epoch(tx: Tx, epoch: int) -> None:
    """Another gateway has made a token that carries this deny epoch."""
    if epoch > int(tx.meta(_EPOCH_USED) or 0):
        tx.set_meta(_EPOCH_USED, str(epoch))


def freeze_band(tx: Tx, band: Band, at_s: int, reason: str, by: str, at_least: int = 0) -> Band:
    """Put a band on the deny list, inside the caller's transaction. Idempotent. at_least: see deny_next."""
    if band.state is BandState.FROZEN:
        return band
    epoch = deny_next(tx, band.uid, reason, at_least)
    frozen = replace(band, state=BandState.FROZEN)
    tx.put_band(frozen)
    tx.append_event(
        fact(
            EventType.BAND_FROZEN,
            at_s,
            uid=band.uid,
            guest=band.guest,
            serial=band.serial,
            epoch=epoch,
            reason=reason,
            by=by,
        )
    )
    return frozen
