"""Guests' phones and no-tracking: ports.guestaccess on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.domain.guestsession import Phone, PhoneId
from steward.domain.ids import GuestRef, Uid
from steward.domain.untracked import Untracked

_PHONE = ("id", "guest", "uid", "serial", "created_s", "seen_s", "proven_s")
_UNTRACKED = ("guest", "is_on", "at_s", "version")

PUT_PHONE = upsert("guest_phone", ("id",), _PHONE[1:])
PHONE = select(_PHONE, "FROM guest_phone WHERE id = ?")
PHONES_OF = select(_PHONE, "FROM guest_phone WHERE guest = ? ORDER BY created_s, id")
DROP_PHONE = "DELETE FROM guest_phone WHERE id = ?"
SWEEP_PHONES = "DELETE FROM guest_phone WHERE seen_s <= ? OR created_s <= ? RETURNING id"
DROP_PHONES_OF = "DELETE FROM guest_phone WHERE guest = ?"
PUT_UNTRACKED = upsert("untracked", ("guest",), _UNTRACKED[1:])
UNTRACKED = select(_UNTRACKED, "FROM untracked WHERE guest = ?")
DROP_UNTRACKED = "DELETE FROM untracked WHERE guest = ?"


class GuestAccessTx(Statements):
    """Part of SqliteTx."""

    def put_phone(self, phone: Phone) -> None:
        times = (phone.created_s, phone.seen_s, phone.proven_s)
        self._change(PUT_PHONE, (phone.id, phone.guest, phone.uid, phone.serial, *times))

    def phone(self, id_: PhoneId) -> Phone | None:
        row = self._one(PHONE, (id_,))
        return None if row is None else _phone(row)

    def phones_of(self, ref: GuestRef) -> Sequence[Phone]:
        return [_phone(row) for row in self._all(PHONES_OF, (ref,))]

    def drop_phone(self, id_: PhoneId) -> None:
        self._change(DROP_PHONE, (id_,))

    def sweep_phones(self, seen_before_s: int, created_before_s: int) -> int:
        return len(self._change(SWEEP_PHONES, (seen_before_s, created_before_s)))

    def put_untracked(self, word: Untracked) -> None:
        self._change(PUT_UNTRACKED, (word.guest, word.on, word.at_s, word.version))

    def untracked(self, ref: GuestRef) -> Untracked | None:
        row = self._one(UNTRACKED, (ref,))
        return None if row is None else Untracked(ref, bool(row[1]), row[2], row[3])

    def drop_guest_access(self, ref: GuestRef) -> None:
        for statement in (DROP_PHONES_OF, DROP_UNTRACKED):
            self._change(statement, (ref,))


def _phone(row: Sequence[Any]) -> Phone:
    id_, guest, uid, serial, created_s, seen_s, proven_s = row
    return Phone(PhoneId(id_), GuestRef(guest), Uid(uid), serial, created_s, seen_s, proven_s)
