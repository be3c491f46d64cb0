"""What the store keeps of erasures: the record of each, who has obeyed, and what of a folio the law wants kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from steward.domain.erasure import Erasure, Obeyed
from steward.domain.events import StoredEvent
from steward.domain.ids import GuestRef


@dataclass(frozen=True, slots=True)
class Archived:
    """Papers of a folio whose guest is forgotten, sealed under `key`; that goes at `until_s`, with all of its kind."""

    ref: GuestRef
    key: GuestRef
    until_s: int
    sealed: bytes = field(repr=False)


class ErasureTx(Protocol):
    """Part of ports.Tx. An erasure is recorded for ever, and never undone."""

    def put_erasure(self, erasure: Erasure) -> None:
        """Insert or replace by ref; other gateways are told. Raises Conflict if it would go back."""
        ...

    def erasure(self, ref: GuestRef) -> Erasure | None: ...
    def erasure_of(self, certificate: str) -> Erasure | None: ...
    def open_erasures(self, after: GuestRef, limit: int) -> Sequence[Erasure]:
        """Of which something is still to be done here, by ref, from the first one after that."""
        ...

    def erasures(self, after: GuestRef, limit: int) -> Sequence[Erasure]:
        """All, by ref, from the first one after that."""
        ...

    def put_obeyed(self, ref: GuestRef, obeyed: Obeyed) -> None:
        """A gateway has done its part. A lower part than is known changes nothing."""
        ...

    def obeyed(self, ref: GuestRef) -> Sequence[Obeyed]:
        """By gateway."""
        ...

    # what is taken along
    def events_naming(self, ref: GuestRef, limit: int) -> Sequence[StoredEvent]:
        """Events of this guest that still say something, oldest first."""
        ...

    def count_events_naming(self, ref: GuestRef) -> int: ...

    # what goes
    def rows_of(self, ref: GuestRef) -> Mapping[str, int]:
        """How many rows name this guest, by table; only tables that hold any, and none that is kept by law."""
        ...

    def drop_stay_traces(self, ref: GuestRef) -> None:
        """Forget notes, cases, and when the guest's bands were seen last."""
        ...

    def drop_guest(self, ref: GuestRef) -> None:
        """Forget the guest's own row with bands, serial, allowance here and everything that goes along with a guest.

        Nobody with this reference can be put again once the erasure says that all of it is done.
        """
        ...

    # what the law keeps
    def put_archived(self, archived: Archived) -> None:
        """Insert or replace by ref."""
        ...

    def archived(self, ref: GuestRef) -> Archived | None: ...
    def drop_archived(self, ref: GuestRef) -> None: ...
    def archive_keys_before(self, until_s: int) -> Sequence[GuestRef]:
        """The keys of papers whose time is over by then."""
        ...

    def drop_archives(self, key: GuestRef) -> int:
        """Forget all papers under this key; how many."""
        ...
