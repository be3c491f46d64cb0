"""Sealing, and what is left of an erased guest: ports.vault on SQLite. The keys are in adapters/sqlite/guestkeys.py."""

from __future__ import annotations

from collections.abc import Sequence

from steward.adapters.sqlite.statements import Statements
from steward.adapters.store_rules import ReadOnlyError, encode_payload
from steward.adapters.vault import FOR_EVER
from steward.domain.events import ERASED_PAYLOAD, EventType
from steward.domain.ids import GuestRef

ERASED_BYTES = encode_payload(ERASED_PAYLOAD)

NOTE_DESTROYED = """
INSERT INTO key_destroyed (ref, upto) VALUES (?, ?) ON CONFLICT (ref) DO UPDATE SET upto = max(upto, excluded.upto)
"""
DESTROYED_REFS = f"SELECT ref FROM key_destroyed WHERE upto = {FOR_EVER} AND ref > ? ORDER BY ref LIMIT ?"  # noqa: S608
RENEWED_REFS = f"SELECT ref FROM key_destroyed WHERE upto < {FOR_EVER} AND ref > ? ORDER BY ref LIMIT ?"  # noqa: S608
BOOKING = "SELECT booking FROM guest WHERE ref = ?"
PUT_BOOKING = "UPDATE guest SET booking = ? WHERE ref = ?"
REDACT_EVENTS = "UPDATE event SET payload = ?, guest = NULL WHERE guest = ? RETURNING seq"
REDACT_BEFORE = """
UPDATE event SET payload = ?1, guest = NULL WHERE (epoch, seq) IN (
    SELECT epoch, seq FROM event WHERE type = ?2 AND at_s < ?3 AND payload <> ?1 ORDER BY at_s, epoch, seq LIMIT ?4
) RETURNING seq
"""


class VaultTx(Statements):
    """Part of SqliteTx."""

    def seal(self, ref: GuestRef, kind: str, plain: bytes) -> bytes:
        if self._read_only:
            raise ReadOnlyError
        return self._keys.seal(ref, kind, plain)

    def unseal(self, ref: GuestRef, kind: str, sealed: bytes) -> bytes:
        return self._keys.unseal(ref, kind, sealed)

    def mark(self, kind: str, value: str) -> str:
        return self._keys.mark(kind, value).hex()

    def has_key(self, ref: GuestRef) -> bool:
        return self._keys.has_key(ref)

    def destroy_key(self, ref: GuestRef) -> None:
        self._change(NOTE_DESTROYED, (ref, self._keys.destroy(ref)))

    def renew_key(self, ref: GuestRef) -> None:
        row = self._one(BOOKING, (ref,))
        booking = "" if row is None else self._text(ref, "booking", row[0])
        self._change(NOTE_DESTROYED, (ref, self._keys.renew(ref)))
        if booking:
            self._change(PUT_BOOKING, (self._seal_text(ref, "booking", booking), ref))

    def destroyed_refs(self, after: str, limit: int) -> Sequence[GuestRef]:
        return [GuestRef(ref) for (ref,) in self._all(DESTROYED_REFS, (after, max(limit, 0)))]

    def renewed_refs(self, after: str, limit: int) -> Sequence[GuestRef]:
        return [GuestRef(ref) for (ref,) in self._all(RENEWED_REFS, (after, max(limit, 0)))]

    def redact_events(self, ref: GuestRef) -> int:
        return len(self._change(REDACT_EVENTS, (ERASED_BYTES, ref)))

    def redact_events_before(self, type_: EventType, before_s: int, limit: int) -> int:
        return len(self._change(REDACT_BEFORE, (ERASED_BYTES, int(type_), before_s, max(limit, 0))))
