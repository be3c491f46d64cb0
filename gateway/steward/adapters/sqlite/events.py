"""Events and small facts: ports.Tx on the tables event, store_state and meta."""

from __future__ import annotations

from collections.abc import Sequence

from steward.adapters.sqlite.statements import Statements, upsert
from steward.adapters.sqlite.vault import ERASED_BYTES
from steward.adapters.store_register import check_declared
from steward.adapters.store_rules import decode_payload, encode_payload, event_kind
from steward.adapters.vault import TxKeys
from steward.domain.events import ERASED_PAYLOAD, EventType, NewEvent, Scalar, StoredEvent, guest_of
from steward.domain.ids import GuestRef
from steward.errors import Erased, StoreUnavailable

# Taken inside the transaction, so one that is rolled back leaves no hole.
NEXT_EVENT = """
SELECT s.epoch, 1 + coalesce((SELECT max(e.seq) FROM event AS e WHERE e.epoch = s.epoch), 0) FROM store_state AS s
"""
APPEND_EVENT = "INSERT INTO event (epoch, seq, type, at_s, payload, guest) VALUES (?, ?, ?, ?, ?, ?)"
EVENTS = """
SELECT epoch, seq, type, at_s, payload, guest FROM event
WHERE epoch = (SELECT epoch FROM store_state) AND seq > ? ORDER BY seq LIMIT ?
"""
EPOCH = "SELECT epoch FROM store_state"
META = "SELECT value FROM meta WHERE key = ?"
SET_META = upsert("meta", ("key",), ("value",))


class EventsTx(Statements):
    def append_event(self, event: NewEvent) -> int:
        check_declared(event)
        payload, guest = encode_payload(event.payload), guest_of(event.payload)
        epoch, seq = self._change(NEXT_EVENT, ())[0]
        if guest is not None:
            try:
                payload = self._keys.seal(GuestRef(guest), event_kind(epoch, seq), payload)
            except Erased:
                payload, guest = ERASED_BYTES, None
        self._change(APPEND_EVENT, (epoch, seq, int(event.type), event.at_s, payload, guest))
        return int(seq)

    def events(self, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        rows = self._all(EVENTS, (after_seq, max(limit, 0)))  # a negative LIMIT would be none at all
        return [stored_event(self._keys, *row) for row in rows]

    def epoch(self) -> int:
        epoch: int = self._one(EPOCH)[0]
        return epoch

    def meta(self, key: str) -> str | None:
        row = self._one(META, (key,))
        return None if row is None else row[0]

    def set_meta(self, key: str, value: str) -> None:
        self._change(SET_META, (key, value))


def stored_event(
    keys: TxKeys, epoch: int, seq: int, kind: int, at_s: int, payload: bytes, guest: str | None
) -> StoredEvent:
    """A row of the event table."""
    if guest is not None:
        try:
            payload = keys.unseal(GuestRef(guest), event_kind(epoch, seq), payload)
        except Erased:
            return StoredEvent(epoch, seq, EventType(kind), at_s, ERASED_PAYLOAD)
    return StoredEvent(epoch, seq, EventType(kind), at_s, _payload(epoch, seq, payload))


def _payload(epoch: int, seq: int, encoded: bytes) -> dict[str, Scalar]:
    try:
        return decode_payload(encoded)
    except ValueError as error:
        problem = f"event {seq} of epoch {epoch} is damaged: restore the last backup"
        raise StoreUnavailable(f"the database: {problem}") from error
