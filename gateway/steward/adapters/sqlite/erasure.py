"""Erasures and what they take away: ports.erasure on SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from steward.adapters.sqlite.events import stored_event
from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.adapters.store_erasures import check_erasure, decode_erasure, encode_erasure
from steward.domain.erasure import Erasure, Obeyed, Part
from steward.domain.events import StoredEvent
from steward.domain.ids import GuestRef
from steward.ports.erasure import Archived

_ERASURE = ("ref", "certificate", "body")
_ARCHIVED = ("ref", "seal_key", "until_s", "sealed")

EVENTS_NAMING = """
SELECT epoch, seq, type, at_s, payload, guest FROM event WHERE guest = ? ORDER BY epoch, seq LIMIT ?
"""
COUNT_EVENTS_NAMING = "SELECT count(*) FROM event WHERE guest = ?"
PUT_ERASURE = upsert("erasure", ("ref",), ("certificate", "part", "is_open", "body"))
ERASURE = select(_ERASURE, "FROM erasure WHERE ref = ?")
ERASURE_OF = select(_ERASURE, "FROM erasure WHERE certificate = ?")
ERASURES = select(_ERASURE, "FROM erasure WHERE ref > ? ORDER BY ref LIMIT ?")
OPEN_ERASURES = select(_ERASURE, "FROM erasure WHERE is_open = 1 AND ref > ? ORDER BY ref LIMIT ?")
PUT_OBEYED = """
INSERT INTO erasure_gateway (ref, gateway, part, at_s) VALUES (?, ?, ?, ?)
ON CONFLICT (ref, gateway) DO UPDATE SET part = excluded.part, at_s = excluded.at_s WHERE excluded.part > part
"""
OBEYED = "SELECT gateway, part, at_s FROM erasure_gateway WHERE ref = ? ORDER BY gateway"
PUT_ARCHIVED = upsert("folio_archive", ("ref",), _ARCHIVED[1:])
ARCHIVED = select(_ARCHIVED, "FROM folio_archive WHERE ref = ?")
DROP_ARCHIVED = "DELETE FROM folio_archive WHERE ref = ?"
ARCHIVE_KEYS = "SELECT seal_key FROM folio_archive GROUP BY seal_key HAVING max(until_s) <= ? ORDER BY seal_key"
DROP_ARCHIVES = "DELETE FROM folio_archive WHERE seal_key = ? RETURNING ref"

# Tables of rows that go, and the column that names the guest. What else names one is kept, and why is in KEPT_TABLES.
GOING: Mapping[str, str] = MappingProxyType(
    {
        "guest": "ref",
        "band": "guest",
        "guest_serial": "guest",
        "profile": "ref",
        "photo": "ref",
        "note": "guest",
        "recovery_case": "guest",
        "offer": "guest",
        "allowance_escrow": "guest",
        "consent": "guest",
        "consent_change": "guest",
        "consent_basis": "guest",
        "browser_objection": "guest",
        "own_words": "guest",
        "decision_lot": "guest",
        "decision": "guest",
        "signal_switch": "guest",
        "signal_change": "guest",
        "stay_company": "guest",
        "guest_phone": "guest",
        "untracked": "guest",
        "presence": "guest",
    }
)
KEPT_TABLES: Mapping[str, str] = MappingProxyType(
    {
        "charge": "bookkeeping law; what was sold is moved into the sealed papers",
        "approval": "bookkeeping law: who gave money back",
        "correction": "bookkeeping law: who gave money back",
        "allowance_grant": "bookkeeping law: what tills were allowed to spend",
        "imported_guest": "a mark that says nothing: a passenger list that comes again brings nobody back",
        "look_up": "its rows are emptied, so that the log stays provable",
        "request": "the proof that a right was answered; its words are emptied",
        "glass_review": "the proof that an emergency was looked into, for a year; its words are emptied",
        "key_destroyed": "so that the key stays destroyed",
        "erasure": "the proof that the guest was forgotten",
        "erasure_gateway": "the same, of each gateway",
        "folio_archive": "bookkeeping law, sealed under the year's key",
    }
)
_ROWS = {table: f"SELECT count(*) FROM {table} WHERE {column} = ?" for table, column in GOING.items()}  # noqa: S608
OF_BANDS = {
    table: f"SELECT count(*) FROM {table} WHERE uid IN (SELECT uid FROM band WHERE guest = ?)"  # noqa: S608
    for table in ("band_condition", "band_radio", "band_update")
}
DROP_TRACES = (
    "DELETE FROM note WHERE guest = ?",
    "DELETE FROM recovery_case WHERE guest = ?",
    "DELETE FROM band_condition WHERE uid IN (SELECT uid FROM band WHERE guest = ?)",
    "DELETE FROM band_radio WHERE uid IN (SELECT uid FROM band WHERE guest = ?)",
    "DELETE FROM band_update WHERE uid IN (SELECT uid FROM band WHERE guest = ?)",
    "DELETE FROM presence WHERE guest = ?",
)
DROP_GUEST = (
    "DELETE FROM band_radio WHERE uid IN (SELECT uid FROM band WHERE guest = ?)",
    "DELETE FROM ship_change WHERE kind IN (2, 16) AND name IN (SELECT uid FROM band WHERE guest = ?)",
    "DELETE FROM ship_change WHERE kind IN (1, 5, 10, 15) AND name = ?",
    "DELETE FROM ship_change WHERE kind IN (8, 9) AND name GLOB ? || '/*'",
    "DELETE FROM band WHERE guest = ?",
    "DELETE FROM guest_serial WHERE guest = ?",
    "DELETE FROM allowance_escrow WHERE guest = ?",
    "DELETE FROM guest WHERE ref = ?",
)


class ErasureTx(Statements):
    """Part of SqliteTx."""

    def events_naming(self, ref: GuestRef, limit: int) -> Sequence[StoredEvent]:
        return [stored_event(self._keys, *row) for row in self._all(EVENTS_NAMING, (ref, max(limit, 0)))]

    def count_events_naming(self, ref: GuestRef) -> int:
        return int(self._one(COUNT_EVENTS_NAMING, (ref,))[0])

    def put_erasure(self, erasure: Erasure) -> None:
        check_erasure(self.erasure(erasure.ref), erasure)
        place = (int(erasure.part or 0), int(erasure.is_open))
        self._change(PUT_ERASURE, (erasure.ref, erasure.certificate, *place, encode_erasure(erasure)))

    def erasure(self, ref: GuestRef) -> Erasure | None:
        return _erasure(self._one(ERASURE, (ref,)))

    def erasure_of(self, certificate: str) -> Erasure | None:
        return _erasure(self._one(ERASURE_OF, (certificate,)))

    def open_erasures(self, after: GuestRef, limit: int) -> Sequence[Erasure]:
        return [_read(row) for row in self._all(OPEN_ERASURES, (after, max(limit, 0)))]

    def erasures(self, after: GuestRef, limit: int) -> Sequence[Erasure]:
        return [_read(row) for row in self._all(ERASURES, (after, max(limit, 0)))]

    def put_obeyed(self, ref: GuestRef, obeyed: Obeyed) -> None:
        self._change(PUT_OBEYED, (ref, obeyed.gateway, int(obeyed.part), obeyed.at_s))

    def obeyed(self, ref: GuestRef) -> Sequence[Obeyed]:
        return [Obeyed(gateway, Part(part), at_s) for gateway, part, at_s in self._all(OBEYED, (ref,))]

    def rows_of(self, ref: GuestRef) -> Mapping[str, int]:
        counts = {table: self._one(sql, (ref,))[0] for table, sql in _ROWS.items()}
        counts |= {table: self._one(sql, (ref,))[0] for table, sql in OF_BANDS.items()}
        return {table: count for table, count in counts.items() if count}

    def drop_stay_traces(self, ref: GuestRef) -> None:
        for sql in DROP_TRACES:
            self._change(sql, (ref,))

    def drop_guest(self, ref: GuestRef) -> None:
        for sql in DROP_GUEST:
            self._change(sql, (ref,))

    def put_archived(self, archived: Archived) -> None:
        self._change(PUT_ARCHIVED, (archived.ref, archived.key, archived.until_s, archived.sealed))

    def archived(self, ref: GuestRef) -> Archived | None:
        row = self._one(ARCHIVED, (ref,))
        return None if row is None else Archived(GuestRef(row[0]), GuestRef(row[1]), row[2], row[3])

    def drop_archived(self, ref: GuestRef) -> None:
        self._change(DROP_ARCHIVED, (ref,))

    def archive_keys_before(self, until_s: int) -> Sequence[GuestRef]:
        return [GuestRef(key) for (key,) in self._all(ARCHIVE_KEYS, (until_s,))]

    def drop_archives(self, key: GuestRef) -> int:
        return len(self._change(DROP_ARCHIVES, (key,)))


def _erasure(row: Any) -> Erasure | None:
    return None if row is None else _read(row)


def _read(row: Any) -> Erasure:
    ref, certificate, body = row
    return decode_erasure(GuestRef(ref), certificate, body)
