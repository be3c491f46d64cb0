"""Guests' phones and no-tracking: ports.guestaccess in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.domain.guestsession import Phone, PhoneId
from steward.domain.ids import GuestRef
from steward.domain.replica import Kind
from steward.domain.untracked import Untracked
from steward.errors import Conflict


class GuestAccessState:
    """What this part of the store keeps."""

    def __init__(self) -> None:
        self.phones: dict[PhoneId, Phone] = {}
        self.untracked: dict[GuestRef, Untracked] = {}


class MemoryGuestAccessTx(Tables):
    if TYPE_CHECKING:

        def _told(self, kind: Kind, name: str) -> None:
            """Of MemoryShipTx."""
            ...

        def drop_presence(self, ref: GuestRef) -> None:
            """Of MemoryPresenceTx."""
            ...

    def put_phone(self, phone: Phone) -> None:
        phones = self._part(GuestAccessState).phones
        known = phones.get(phone.id, phone)
        if len(phone.id) != 64 or not phone.guest or not phone.uid or _whose(known) != _whose(phone):
            raise Conflict("phone: another guest, band or time is another phone")
        self._put(phones, phone.id, phone)

    def phone(self, id_: PhoneId) -> Phone | None:
        return self._part(GuestAccessState).phones.get(id_)

    def phones_of(self, ref: GuestRef) -> Sequence[Phone]:
        phones = [phone for phone in self._part(GuestAccessState).phones.values() if phone.guest == ref]
        return sorted(phones, key=lambda phone: (phone.created_s, phone.id))

    def drop_phone(self, id_: PhoneId) -> None:
        self._drop(self._part(GuestAccessState).phones, id_)

    def sweep_phones(self, seen_before_s: int, created_before_s: int) -> int:
        phones = self._part(GuestAccessState).phones
        over = [p.id for p in phones.values() if p.seen_s <= seen_before_s or p.created_s <= created_before_s]
        for id_ in over:
            self._drop(phones, id_)
        return len(over)

    def put_untracked(self, word: Untracked) -> None:
        if not word.guest or word.version < 1:
            raise Conflict("untracked: a guest and a version from 1")
        known = self.untracked(word.guest)
        if known is not None and (word.at_s, word.on) < (known.at_s, known.on):
            raise Conflict("untracked: a later word is known")
        self._put(self._part(GuestAccessState).untracked, word.guest, word)
        self._told(Kind.UNTRACKED, word.guest)
        if word.on:
            self.drop_presence(word.guest)

    def untracked(self, ref: GuestRef) -> Untracked | None:
        return self._part(GuestAccessState).untracked.get(ref)

    def drop_guest_access(self, ref: GuestRef) -> None:
        for phone in self.phones_of(ref):
            self.drop_phone(phone.id)
        self._drop(self._part(GuestAccessState).untracked, ref)


def _whose(phone: Phone) -> tuple[object, ...]:
    return phone.guest, phone.uid, phone.serial, phone.created_s
