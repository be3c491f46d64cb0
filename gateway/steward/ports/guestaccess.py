"""What the store keeps of guests' phones, and of guests who want their movements kept out of every log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from steward.domain.guestsession import Phone, PhoneId
from steward.domain.ids import GuestRef
from steward.domain.untracked import Untracked


class GuestAccessTx(Protocol):
    """Part of ports.Tx."""

    def put_phone(self, phone: Phone) -> None:
        """Insert or replace by id."""
        ...

    def phone(self, id_: PhoneId) -> Phone | None: ...
    def phones_of(self, ref: GuestRef) -> Sequence[Phone]:
        """In the order they signed in."""
        ...

    def drop_phone(self, id_: PhoneId) -> None:
        """Idempotent."""
        ...

    def sweep_phones(self, seen_before_s: int, created_before_s: int) -> int:
        """Delete those not used since, or signed in before then; how many."""
        ...

    def put_untracked(self, word: Untracked) -> None:
        """The last word of a guest. Raises Conflict if a later one is known."""
        ...

    def untracked(self, ref: GuestRef) -> Untracked | None:
        """None: nothing was said."""
        ...

    def drop_guest_access(self, ref: GuestRef) -> None:
        """Forget phones and words: the guest is forgotten."""
        ...
