"""Sealing, and what is left of an erased guest: ports.vault in memory."""

from __future__ import annotations

from collections.abc import Sequence

from steward.adapters.memory_sync import EventLog, MemorySyncTx
from steward.adapters.store_rules import encode_payload
from steward.adapters.vault import FOR_EVER
from steward.domain.events import ERASED_PAYLOAD, EventType
from steward.domain.ids import GuestRef

_ERASED_BYTES = encode_payload(ERASED_PAYLOAD)


class VaultState:
    """What this part of the store keeps. The keys are no part of it: see MemoryStore."""

    def __init__(self) -> None:
        self.destroyed: dict[GuestRef, int] = {}


class MemoryVaultTx(MemorySyncTx):
    """Part of MemoryTx."""

    def seal(self, ref: GuestRef, kind: str, plain: bytes) -> bytes:
        self._check_writes()
        return self._keys.seal(ref, kind, plain)

    def unseal(self, ref: GuestRef, kind: str, sealed: bytes) -> bytes:
        return self._keys.unseal(ref, kind, sealed)

    def mark(self, kind: str, value: str) -> str:
        return self._keys.mark(kind, value).hex()

    def has_key(self, ref: GuestRef) -> bool:
        return self._keys.has_key(ref)

    def destroy_key(self, ref: GuestRef) -> None:
        self._note_destroyed(ref, self._keys.destroy(ref))

    def renew_key(self, ref: GuestRef) -> None:
        self._note_destroyed(ref, self._keys.renew(ref))

    def destroyed_refs(self, after: str, limit: int) -> Sequence[GuestRef]:
        known = self._part(VaultState).destroyed
        return sorted(ref for ref, upto in known.items() if upto == FOR_EVER and ref > after)[: max(limit, 0)]

    def renewed_refs(self, after: str, limit: int) -> Sequence[GuestRef]:
        known = self._part(VaultState).destroyed
        return sorted(ref for ref, upto in known.items() if upto < FOR_EVER and ref > after)[: max(limit, 0)]

    def redact_events(self, ref: GuestRef) -> int:
        self._check_writes()
        places = [place for place, guest in self._part(EventLog).guests.items() if guest == ref]
        for epoch, seq in places:
            self._redact(epoch, seq)
        return len(places)

    def redact_events_before(self, type_: EventType, before_s: int, limit: int) -> int:
        self._check_writes()
        old = sorted(
            (at_s, epoch, seq)
            for epoch, rows in self._part(EventLog).rows.items()
            for seq, (kind, at_s, payload) in rows.items()
            if kind is type_ and at_s < before_s and payload != _ERASED_BYTES
        )[: max(limit, 0)]
        for _, epoch, seq in old:
            self._redact(epoch, seq)
        return len(old)

    def _redact(self, epoch: int, seq: int) -> None:
        log = self._part(EventLog)
        kind, at_s, _ = log.rows[epoch][seq]
        self._put(log.rows[epoch], seq, (kind, at_s, _ERASED_BYTES))
        self._drop(log.guests, (epoch, seq))

    def _note_destroyed(self, ref: GuestRef, upto: int) -> None:
        known = self._part(VaultState).destroyed
        self._put(known, ref, max(upto, known.get(ref, 0)))
