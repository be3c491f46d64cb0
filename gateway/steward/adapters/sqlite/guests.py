"""Guests, bands and the key journal: ports.Tx on the tables guest, band and key_change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.adapters.store_rules import check_guest
from steward.domain.guests import Band, BandState, CabinStay, Guest, KeyChange, Limits, PinHash
from steward.domain.ids import GuestRef, Uid

_STAY = ("booking", "cabin_a", "stay_a", "cabin_b", "stay_b", "zones", "child", "crew", "not_before_s", "not_after_s")
_MONEY = ("currency", "stay_minor", "day_minor", "verify_above_minor")
_PROOF = ("serial", "pin_salt", "pin_digest", "pin_failures", "settled")
_GUEST = ("ref", *_STAY, *_MONEY, *_PROOF)
_BAND = ("uid", "guest", "serial", "active", "key_version", "random_id", "state")
_KEY_CHANGE = ("uid", "key_no", "old_version", "new_version", "done")

PUT_GUEST = upsert("guest", ("ref",), (*_GUEST[1:], "party"))
GUEST = select(_GUEST, "FROM guest WHERE ref = ?")
GUESTS = select(_GUEST, "FROM guest ORDER BY id")
GUESTS_IN = " UNION ".join(
    (
        select(_GUEST, "FROM guest WHERE cabin_a = ?1 AND stay_a = ?2"),
        select(_GUEST, "FROM guest WHERE cabin_b = ?1 AND stay_b = ?2 ORDER BY ref"),
    )
)
PARTY = select(_GUEST, "FROM guest WHERE party = ? ORDER BY ref")
PUT_BAND = upsert("band", ("uid",), _BAND[1:])
BAND = select(_BAND, "FROM band WHERE uid = ?")
BANDS_OF = select(_BAND, "FROM band WHERE guest = ? ORDER BY serial, uid")
BAND_COUNTS = "SELECT state, active, count(*) FROM band GROUP BY state, active"
JOURNAL_KEY_CHANGE = upsert("key_change", ("uid", "key_no"), _KEY_CHANGE[2:])
KEY_CHANGES = select(_KEY_CHANGE, "FROM key_change WHERE uid = ? ORDER BY key_no")


class GuestsTx(Statements):
    def put_guest(self, guest: Guest) -> None:
        check_guest(guest)
        first = guest.cabins[0]
        second = guest.cabins[1] if len(guest.cabins) > 1 else None
        limits, pin = guest.limits, guest.pin
        self._change(
            PUT_GUEST,
            (
                *(guest.ref, self._seal_text(guest.ref, "booking", guest.booking), first.cabin, first.stay),
                *((None, None) if second is None else (second.cabin, second.stay)),
                *(guest.zones, guest.child, guest.crew, guest.not_before_s, guest.not_after_s, guest.currency),
                *(limits.stay_minor, limits.day_minor, limits.verify_above_minor, guest.serial),
                *((None, None) if pin is None else (pin.salt, pin.digest)),
                *(guest.pin_failures, guest.settled, self._party(guest.booking)),
            ),
        )

    def guest(self, ref: GuestRef) -> Guest | None:
        row = self._one(GUEST, (ref,))
        return None if row is None else self._guest(row)

    def guests(self) -> Sequence[Guest]:
        return [self._guest(row) for row in self._all(GUESTS)]

    def guests_in(self, stay: CabinStay) -> Sequence[Guest]:
        return [self._guest(row) for row in self._all(GUESTS_IN, (stay.cabin, stay.stay))]

    def _party(self, booking: str) -> str:
        return self._keys.mark("booking", booking).hex()

    def _guest(self, row: Sequence[Any]) -> Guest:
        return _guest(row, self._text(row[0], "booking", row[1]))

    def party(self, booking: str) -> Sequence[Guest]:
        return [self._guest(row) for row in self._all(PARTY, (self._party(booking),))]

    def put_band(self, band: Band) -> None:
        values = (band.uid, band.guest, band.serial, band.active, band.key_version, band.random_id, band.state)
        self._change(PUT_BAND, values)

    def band(self, uid: Uid) -> Band | None:
        row = self._one(BAND, (uid,))
        return None if row is None else _band(row)

    def bands_of(self, ref: GuestRef) -> Sequence[Band]:
        return [_band(row) for row in self._all(BANDS_OF, (ref,))]

    def band_counts(self) -> Mapping[tuple[BandState, bool], int]:
        return {(BandState(state), bool(active)): count for state, active, count in self._all(BAND_COUNTS)}

    def journal_key_change(self, change: KeyChange) -> None:
        values = (change.uid, change.key_no, change.old_version, change.new_version, change.done)
        self._change(JOURNAL_KEY_CHANGE, values)

    def key_changes(self, uid: Uid) -> Sequence[KeyChange]:
        return [
            KeyChange(Uid(uid), key_no, old, new, bool(done))
            for uid, key_no, old, new, done in self._all(KEY_CHANGES, (uid,))
        ]


def _guest(row: Sequence[Any], booking: str) -> Guest:
    ref, _, cabin_a, stay_a, cabin_b, stay_b, zones, child, crew, not_before_s, not_after_s = row[:11]
    currency, stay_minor, day_minor, verify_above_minor, serial, salt, digest, failures, settled = row[11:]
    cabins = [CabinStay(cabin_a, stay_a)]
    if cabin_b is not None:
        cabins.append(CabinStay(cabin_b, stay_b))
    return Guest(
        ref=GuestRef(ref),
        booking=booking,
        cabins=tuple(cabins),
        zones=zones,
        child=bool(child),
        crew=bool(crew),
        not_before_s=not_before_s,
        not_after_s=not_after_s,
        currency=currency,
        limits=Limits(stay_minor, day_minor, verify_above_minor),
        serial=serial,
        pin=None if salt is None else PinHash(salt, digest),
        pin_failures=failures,
        settled=bool(settled),
    )


def _band(row: Sequence[Any]) -> Band:
    uid, guest, serial, active, key_version, random_id, state = row
    return Band(
        uid=Uid(uid),
        guest=GuestRef(guest),
        serial=serial,
        active=bool(active),
        key_version=key_version,
        random_id=bool(random_id),
        state=BandState(state),
    )
