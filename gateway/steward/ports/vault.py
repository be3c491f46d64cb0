"""What is kept of a guest is sealed with a key of that guest's own. Destroying the key forgets all of it at once.

The keys are not in the database and in no backup of it: a copy made before an erasure stays unreadable. A key has
generations: a renewed one reads nothing that was sealed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from steward.domain.events import EventType
from steward.domain.ids import GuestRef


class VaultTx(Protocol):
    """Part of ports.Tx. A ref may also name something other than a guest, such as `archive:2026`."""

    def seal(self, ref: GuestRef, kind: str, plain: bytes) -> bytes:
        """AES-256-GCM under the ref's key, which is made if there is none. Raises Erased.

        What is sealed for one ref or kind does not open for another.
        """
        ...

    def unseal(self, ref: GuestRef, kind: str, sealed: bytes) -> bytes:
        """Raises Erased if the key is gone that it was sealed with, StoreUnavailable if it is not what was sealed."""
        ...

    def mark(self, kind: str, value: str) -> str:
        """What stands for a value that must be found and not be read: 64 hex digits, for equal values equal."""
        ...

    def has_key(self, ref: GuestRef) -> bool: ...
    def destroy_key(self, ref: GuestRef) -> None:
        """For ever, once this transaction is kept: the ref can never have a key again."""
        ...

    def renew_key(self, ref: GuestRef) -> None:
        """What was sealed so far is forgotten for ever, and the ref goes on with a new key. Raises Erased."""
        ...

    def destroyed_refs(self, after: str, limit: int) -> Sequence[GuestRef]:
        """Refs whose key was destroyed for ever, in order, beginning behind `after`."""
        ...

    def renewed_refs(self, after: str, limit: int) -> Sequence[GuestRef]:
        """Refs that go on with a renewed key, in order, beginning behind `after`."""
        ...

    def redact_events(self, ref: GuestRef) -> int:
        """Replace the payload of each event of this guest by ERASED_PAYLOAD; how many."""
        ...

    def redact_events_before(self, type_: EventType, before_s: int, limit: int) -> int:
        """The same for events of one type that are older than `before_s`, the oldest first; how many."""
        ...
