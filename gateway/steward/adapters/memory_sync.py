"""The outbox, cursors, what came down the link: ports.sync in memory. The event log itself is here too."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from steward.adapters.memory_tables import Tables
from steward.adapters.store_register import check_declared
from steward.adapters.store_rules import (
    BYTES_DAYS_KEPT,
    DOWNS_KEPT,
    ReadOnlyError,
    check_down,
    decode_payload,
    encode_payload,
    event_kind,
)
from steward.adapters.vault import OVERHEAD_BYTES
from steward.domain.events import ERASED_PAYLOAD, EventType, NewEvent, Scalar, StoredEvent, guest_of
from steward.domain.ids import GuestRef
from steward.errors import Conflict, Erased
from steward.ports.sync import DownRecord

Row = tuple[EventType, int, bytes]


class EventLog:
    """Events of every epoch by seq, and the seqs of each class, ascending."""

    def __init__(self) -> None:
        self.epoch = 1
        self.rows: dict[int, dict[int, Row]] = {}
        self.guests: dict[tuple[int, int], GuestRef] = {}  # with whose key the payload at (epoch, seq) is sealed
        self.seqs: dict[tuple[int, int], list[int]] = {}


class SyncState:
    """What this part of the store keeps."""

    def __init__(self) -> None:
        self.covered: dict[tuple[str, int, int], int] = {}
        self.compared: dict[tuple[str, int], int] = {}
        self.spent: dict[tuple[str, int, int], int] = {}
        self.downs: dict[tuple[str, int], DownRecord] = {}


class MemorySyncTx(Tables):
    """Part of MemoryTx."""

    @property
    def _log(self) -> EventLog:
        return self._part(EventLog)

    @property
    def _sync(self) -> SyncState:
        return self._part(SyncState)

    # the event log

    def append_event(self, event: NewEvent) -> int:
        check_declared(event)
        log = self._log
        rows = log.rows.setdefault(log.epoch, {})
        seq, payload, named = len(rows) + 1, encode_payload(event.payload), guest_of(event.payload)
        if self._read_only:
            raise ReadOnlyError
        if named is not None:
            guest = GuestRef(named)
            try:
                payload = self._keys.seal(guest, event_kind(log.epoch, seq), payload)
                self._put(log.guests, (log.epoch, seq), guest)
            except Erased:
                payload = encode_payload(ERASED_PAYLOAD)
        self._put(rows, seq, (event.type, event.at_s, payload))
        self._add(log.seqs, (log.epoch, int(event.type) // 100), seq)
        return seq

    def events(self, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        return self.events_in(self._log.epoch, after_seq, limit)

    def epoch(self) -> int:
        return self._log.epoch

    def epochs(self) -> Sequence[tuple[int, int]]:
        log = self._log
        return [(epoch, self.newest_seq(epoch)) for epoch in sorted({*log.rows, log.epoch}) if self._is_listed(epoch)]

    def _is_listed(self, epoch: int) -> bool:
        return epoch == self._log.epoch or self.newest_seq(epoch) > 0

    def newest_seq(self, epoch: int) -> int:
        return len(self._log.rows.get(epoch, ()))

    def newest_of_class(self, epoch: int, cls: int) -> int:
        seqs = self._log.seqs.get((epoch, cls))
        return seqs[-1] if seqs else 0

    def events_of(self, cls: int, epoch: int, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        seqs = self._log.seqs.get((epoch, cls), [])
        first = bisect_right(seqs, after_seq)
        return self._found(epoch, seqs[first : first + max(limit, 0)])

    def events_in(self, epoch: int, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        first = max(after_seq, 0) + 1
        return self._found(epoch, range(first, min(self.newest_seq(epoch), first - 1 + max(limit, 0)) + 1))

    def _found(self, epoch: int, seqs: Iterable[int]) -> list[StoredEvent]:
        rows = self._log.rows.get(epoch, {})
        found = []
        for seq in seqs:
            kind, at_s, payload = rows[seq]
            found.append(StoredEvent(epoch, seq, kind, at_s, self._opened(epoch, seq, payload)))
        return found

    def _opened(self, epoch: int, seq: int, payload: bytes) -> Mapping[str, Scalar]:
        guest = self._log.guests.get((epoch, seq))
        try:
            plain = payload if guest is None else self._keys.unseal(guest, event_kind(epoch, seq), payload)
        except Erased:
            return ERASED_PAYLOAD
        return decode_payload(plain)

    # what a peer has

    def covered(self, peer: str) -> Mapping[tuple[int, int], int]:
        return {(epoch, cls): seq for (name, epoch, cls), seq in self._sync.covered.items() if name == peer}

    def set_covered(self, peer: str, epoch: int, cls: int, seq: int) -> None:
        self._put(self._sync.covered, (peer, epoch, cls), seq)

    def count_of(self, cls: int, epoch: int, after_seq: int, upto_seq: int) -> int:
        seqs = self._log.seqs.get((epoch, cls), [])
        return max(bisect_right(seqs, upto_seq) - bisect_right(seqs, after_seq), 0)

    def sizes_of(self, cls: int, epoch: int, after_seq: int, limit: int) -> tuple[int, int, int]:
        rows, seqs = self._log.rows.get(epoch, {}), self._log.seqs.get((epoch, cls), [])
        first = bisect_right(seqs, after_seq)
        seqs = seqs[first : first + max(limit, 0)]
        found = [rows[seq] for seq in seqs]
        sealing = OVERHEAD_BYTES * sum((epoch, seq) in self._log.guests for seq in seqs)  # it travels open
        size = sum(len(payload) for *_, payload in found) - sealing
        return len(found), size, min((at_s for _, at_s, _ in found), default=0)

    def compared(self, peer: str, epoch: int) -> int:
        return self._sync.compared.get((peer, epoch), 0)

    def set_compared(self, peer: str, epoch: int, seq: int) -> None:
        self._put(self._sync.compared, (peer, epoch), seq)

    # bytes

    def bytes_spent(self, peer: str, day: int) -> Mapping[int, int]:
        return {cls: count for (name, on, cls), count in self._sync.spent.items() if (name, on) == (peer, day)}

    def spend_bytes(self, peer: str, day: int, cls: int, count: int) -> None:
        spent = self._sync.spent
        self._put(spent, (peer, day, cls), spent.get((peer, day, cls), 0) + count)
        for key in [key for key in spent if key[0] == peer and key[1] < day - BYTES_DAYS_KEPT]:
            self._drop(spent, key)

    # down

    def put_down(self, record: DownRecord) -> None:
        check_down(record)
        newest = self.down(record.kind)
        if newest is not None and record.version <= newest.version:
            raise Conflict("down: a version as high is here already")
        self._put(self._sync.downs, (record.kind, record.version), record)
        for old in self.downs(record.kind, DOWNS_KEPT + 1)[DOWNS_KEPT:]:
            self._drop(self._sync.downs, (old.kind, old.version))

    def down(self, kind: str) -> DownRecord | None:
        return next(iter(self.downs(kind, 1)), None)

    def downs(self, kind: str, limit: int) -> Sequence[DownRecord]:
        records = [record for record in self._sync.downs.values() if record.kind == kind]
        return sorted(records, key=lambda record: -record.version)[: max(limit, 0)]
