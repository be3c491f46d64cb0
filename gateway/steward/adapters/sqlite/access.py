"""What doors and tills remember of bands: ports.Tx on cabin_stay, guest_serial, denied and charge_counter."""

from __future__ import annotations

from steward.adapters.sqlite.statements import Statements, upsert
from steward.domain.ids import GuestRef, Uid

STAY_OF = "SELECT stay FROM cabin_stay WHERE cabin = ?"
ADOPT_STAY = """
INSERT INTO cabin_stay (cabin, stay) VALUES (?, ?)
ON CONFLICT (cabin) DO UPDATE SET stay = excluded.stay WHERE excluded.stay > stay
"""
SERIAL_OF = "SELECT serial FROM guest_serial WHERE guest = ?"
ADOPT_SERIAL = """
INSERT INTO guest_serial (guest, serial) VALUES (?, ?)
ON CONFLICT (guest) DO UPDATE SET serial = excluded.serial WHERE excluded.serial > serial
"""
DENY_EPOCH = "SELECT coalesce(max(epoch), 0) FROM denied"
DENY = """
INSERT INTO denied (uid, epoch, reason) VALUES (?, ?, ?)
ON CONFLICT (uid) DO UPDATE SET epoch = excluded.epoch, reason = excluded.reason WHERE excluded.epoch >= epoch
"""
DENIED_AT = "SELECT epoch FROM denied WHERE uid = ?"
CHARGE_COUNTER = "SELECT counter FROM charge_counter WHERE uid = ? AND kind = ?"
SET_CHARGE_COUNTER = upsert("charge_counter", ("uid", "kind"), ("counter",))


class AccessTx(Statements):
    def stay_of(self, cabin: int) -> int:
        return self._number(STAY_OF, cabin)

    def adopt_stay(self, cabin: int, stay: int) -> None:
        """A lower stay than the one adopted changes nothing."""
        self._change(ADOPT_STAY, (cabin, stay))

    def serial_of(self, ref: GuestRef) -> int:
        return self._number(SERIAL_OF, ref)

    def adopt_serial(self, ref: GuestRef, serial: int) -> None:
        """A lower serial than the one adopted changes nothing."""
        self._change(ADOPT_SERIAL, (ref, serial))

    def deny_epoch(self) -> int:
        return self._number(DENY_EPOCH)

    def deny(self, uid: Uid, epoch: int, reason: str) -> None:
        """An epoch before the one known changes nothing."""
        self._change(DENY, (uid, epoch, reason))

    def denied_at(self, uid: Uid) -> int | None:
        row = self._one(DENIED_AT, (uid,))
        return None if row is None else row[0]

    def charge_counter(self, uid: Uid, kind: str) -> int:
        return self._number(CHARGE_COUNTER, uid, kind)

    def set_charge_counter(self, uid: Uid, kind: str, counter: int) -> None:
        """Set as told, also back to a lower value: a band that is keyed again counts from 0."""
        self._change(SET_CHARGE_COUNTER, (uid, kind, counter))

    def _number(self, sql: str, *values: str | int) -> int:
        row = self._one(sql, values)
        return 0 if row is None else row[0]
