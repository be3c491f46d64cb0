"""The outbox, cursors, what came down the link: ports.sync on SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steward.adapters.sqlite.events import stored_event
from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.adapters.store_rules import BYTES_DAYS_KEPT, DOWNS_KEPT, check_down
from steward.adapters.vault import OVERHEAD_BYTES
from steward.domain.events import StoredEvent
from steward.domain.tally import LINK
from steward.domain.topics import CLASSES
from steward.ports.sync import DownRecord

_DOWN = ("kind", "version", "issued_s", "applied_s", "sha256", "body")

# One step in the index for each epoch, where GROUP BY would read every event.
EPOCHS = """
WITH RECURSIVE known (epoch) AS (
    SELECT min(epoch) FROM event
    UNION ALL
    SELECT (SELECT min(e.epoch) FROM event AS e WHERE e.epoch > known.epoch) FROM known WHERE known.epoch IS NOT NULL
)
SELECT known.epoch, (SELECT max(e.seq) FROM event AS e WHERE e.epoch = known.epoch)
FROM known WHERE known.epoch IS NOT NULL
"""
NEWEST_SEQ = "SELECT max(seq) FROM event WHERE epoch = ?"
NEWEST_OF_CLASS = "SELECT max(seq) FROM event WHERE epoch = ? AND type / 100 = ?"
EVENTS_OF = """
SELECT epoch, seq, type, at_s, payload, guest FROM event
WHERE epoch = ? AND type / 100 = ? AND seq > ? ORDER BY seq LIMIT ?
"""
EVENTS_IN = """
SELECT epoch, seq, type, at_s, payload, guest FROM event WHERE epoch = ? AND seq > ? ORDER BY seq LIMIT ?
"""
COUNT_OF = "SELECT count(*) FROM event WHERE epoch = ? AND type / 100 = ? AND seq > ? AND seq <= ?"
SIZES_OF = f"""
SELECT count(*), coalesce(sum(size), 0), coalesce(min(at_s), 0) FROM (
    SELECT length(payload) - {OVERHEAD_BYTES} * (guest IS NOT NULL) AS size, at_s FROM event
    WHERE epoch = ? AND type / 100 = ? AND seq > ? ORDER BY seq LIMIT ?
)
"""  # noqa: S608 a constant; what was sealed travels open
COVERED = "SELECT epoch, class, seq FROM peer_covered WHERE peer = ?"
SET_COVERED = upsert("peer_covered", ("peer", "epoch", "class"), ("seq",))
COMPARED = "SELECT seq FROM peer_compared WHERE peer = ? AND epoch = ?"
SET_COMPARED = upsert("peer_compared", ("peer", "epoch"), ("seq",))
BYTES_SPENT = "SELECT class, bytes FROM bytes_spent WHERE peer = ? AND day = ?"
# The table knows the classes only: what none of them caused is kept under a name that no peer has.
_LINK_OF = "{}/link".format
_LINK_CLASS = CLASSES[0]
SPEND_BYTES = """
INSERT INTO bytes_spent (peer, day, class, bytes) VALUES (?, ?, ?, ?)
ON CONFLICT (peer, day, class) DO UPDATE SET bytes = bytes + excluded.bytes
"""
FORGET_BYTES = "DELETE FROM bytes_spent WHERE peer = ? AND day < ?"
PUT_DOWN = "INSERT INTO down_record (kind, version, issued_s, applied_s, sha256, body) VALUES (?, ?, ?, ?, ?, ?)"
DOWNS = select(_DOWN, "FROM down_record WHERE kind = ? ORDER BY version DESC LIMIT ?")
FORGET_DOWNS = """
DELETE FROM down_record WHERE kind = ? AND version < (
    SELECT min(version) FROM (SELECT version FROM down_record WHERE kind = ? ORDER BY version DESC LIMIT ?)
)
"""


class SyncTx(Statements):
    """Part of SqliteTx."""

    def epochs(self) -> Sequence[tuple[int, int]]:
        found: list[tuple[int, int]] = self._all(EPOCHS)
        current: int = self._one("SELECT epoch FROM store_state")[0]
        return found if found and found[-1][0] == current else [*found, (current, 0)]

    def newest_seq(self, epoch: int) -> int:
        return self._one(NEWEST_SEQ, (epoch,))[0] or 0

    def newest_of_class(self, epoch: int, cls: int) -> int:
        return self._one(NEWEST_OF_CLASS, (epoch, cls))[0] or 0

    def events_of(self, cls: int, epoch: int, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        return [stored_event(self._keys, *row) for row in self._all(EVENTS_OF, (epoch, cls, after_seq, max(limit, 0)))]

    def events_in(self, epoch: int, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        return [stored_event(self._keys, *row) for row in self._all(EVENTS_IN, (epoch, after_seq, max(limit, 0)))]

    def covered(self, peer: str) -> Mapping[tuple[int, int], int]:
        return {(epoch, cls): seq for epoch, cls, seq in self._all(COVERED, (peer,))}

    def set_covered(self, peer: str, epoch: int, cls: int, seq: int) -> None:
        self._change(SET_COVERED, (peer, epoch, cls, seq))

    def count_of(self, cls: int, epoch: int, after_seq: int, upto_seq: int) -> int:
        count: int = self._one(COUNT_OF, (epoch, cls, after_seq, upto_seq))[0]
        return count

    def sizes_of(self, cls: int, epoch: int, after_seq: int, limit: int) -> tuple[int, int, int]:
        count, size, at_s = self._one(SIZES_OF, (epoch, cls, after_seq, max(limit, 0)))
        return count, size, at_s

    def compared(self, peer: str, epoch: int) -> int:
        row = self._one(COMPARED, (peer, epoch))
        return 0 if row is None else row[0]

    def set_compared(self, peer: str, epoch: int, seq: int) -> None:
        self._change(SET_COMPARED, (peer, epoch, seq))

    def bytes_spent(self, peer: str, day: int) -> Mapping[int, int]:
        spent = dict(self._all(BYTES_SPENT, (peer, day)))
        spent.update((LINK, count) for _, count in self._all(BYTES_SPENT, (_LINK_OF(peer), day)))
        return spent

    def spend_bytes(self, peer: str, day: int, cls: int, count: int) -> None:
        kept = (_LINK_OF(peer), day, _LINK_CLASS) if cls == LINK else (peer, day, cls)
        self._change(SPEND_BYTES, (*kept, count))
        self._change(FORGET_BYTES, (kept[0], day - BYTES_DAYS_KEPT))

    def put_down(self, record: DownRecord) -> None:
        check_down(record)
        self._change(PUT_DOWN, tuple(getattr(record, name) for name in _DOWN))
        self._change(FORGET_DOWNS, (record.kind, record.kind, DOWNS_KEPT))

    def down(self, kind: str) -> DownRecord | None:
        return next(iter(self.downs(kind, 1)), None)

    def downs(self, kind: str, limit: int) -> Sequence[DownRecord]:
        return [DownRecord(*row) for row in self._all(DOWNS, (kind, max(limit, 0)))]
