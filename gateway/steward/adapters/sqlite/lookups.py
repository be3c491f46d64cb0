"""Guests' profiles, photos, notes and cases, and the log of every look at them: ports.service.LookUpTx on SQLite.

No other module names these tables, but for pictures.py. What reads their contents is `disclose`, which logs first. What
only a look may see is sealed with its guest's key.
"""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from steward.adapters.sqlite.looktree import LookTreeTx
from steward.adapters.sqlite.pictures import PictureTx
from steward.adapters.sqlite.statements import select, upsert
from steward.adapters.store_items import decode_pair, encode_pair, words
from steward.adapters.store_looks import (
    check_case,
    check_look_up,
    check_note,
    check_peer_look,
    check_profile,
    hit_looks,
    look_up_event,
    searched_cabin,
    searched_words,
)
from steward.adapters.vault import OVERHEAD_BYTES
from steward.domain.care import Case, CaseId, Note, NoteId
from steward.domain.consent import Consent
from steward.domain.events import NewEvent
from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import OutletKind
from steward.domain.profiles import Allergen, Diet, Disclosed, Profile, name_key
from steward.domain.viewing import Field, LookUp, Purpose, Viewer, Way
from steward.errors import StoreUnavailable

LOOK_UP_COLUMNS = (
    "seq",
    "at_s",
    "actor",
    "role",
    "outlet",
    "outlet_kind",
    "purpose",
    "guest",
    "fields",
    "way",
    "reason",
    "gateway",
)
_PROFILE = ("ref", "name", "names", "language", "health")
_COLUMN_OF: Mapping[Field, str] = {
    Field.PREFERRED_NAME: "names",
    Field.FULL_NAME: "names",
    Field.LANGUAGE: "language",
    Field.ALLERGIES: "health",
    Field.DIET: "health",
}
_NOTE = ("id", "guest", "purpose", "text", "author", "outlet", "at_s", "expires_s")
_CASE = ("id", "guest", "outlet", "what", "opened_by", "opened_s", "closed_by", "closed_s", "outcome")
# What only a look may read: the connections that only read are forbidden these columns altogether.
_GUARDED: Mapping[str, frozenset[str]] = {
    "profile": frozenset(_PROFILE) - {"ref"},
    "picture": frozenset({"content"}),
    "note": frozenset({"text"}),
    "recovery_case": frozenset({"what", "outcome"}),
}

LOG_LOOK_UP = """
INSERT INTO look_up (seq, at_s, actor, role, outlet, outlet_kind, purpose, guest, fields, way, reason, gateway)
VALUES (1 + coalesce((SELECT max(seq) FROM look_up), 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING seq
"""
LOOK_UPS = select(LOOK_UP_COLUMNS, "FROM look_up WHERE seq > ? AND way <> 'erased' ORDER BY seq LIMIT ?")
ALL_LOOK_UPS = select(LOOK_UP_COLUMNS, "FROM look_up WHERE seq > ? ORDER BY seq LIMIT ?")
FORGET_LOOK_UPS = """
UPDATE look_up SET actor = 'erased', role = 'erased', outlet = 'erased', outlet_kind = 'erased', purpose = 'erased',
guest = 'erased', fields = 'erased', way = 'erased', reason = '' WHERE guest = ? RETURNING seq
"""
LOOK_UPS_OF = select(LOOK_UP_COLUMNS, "FROM look_up WHERE guest = ? ORDER BY seq DESC LIMIT ?")
PUT_PROFILE = upsert("profile", ("ref",), _PROFILE[1:])
HAS_PROFILE = "SELECT 1 FROM profile WHERE ref = ?"
DROP_HEALTH = "UPDATE profile SET health = ? WHERE ref = ?"
DROP_PROFILE = "DELETE FROM profile WHERE ref = ?"
PUT_NOTE = upsert("note", ("id",), _NOTE[1:])
DROP_NOTE = "DELETE FROM note WHERE id = ?"
NOTE_PLACE = "SELECT id, guest, purpose, NULL, author, outlet, at_s, expires_s FROM note WHERE id = ?"
NOTE_COUNT = "SELECT count(*) FROM note WHERE guest = ?"
SWEEP_NOTES = "DELETE FROM note WHERE expires_s <= ? RETURNING id"
OPEN_CASE = f"INSERT INTO recovery_case ({', '.join(_CASE)}) VALUES ({', '.join('?' * len(_CASE))})"  # noqa: S608
CLOSE_CASE = "UPDATE recovery_case SET closed_by = ?, closed_s = ?, outcome = ? WHERE id = ? AND closed_s IS NULL"
_CASE_PLACE = "SELECT id, guest, outlet, NULL, opened_by, opened_s, closed_by, closed_s, NULL FROM recovery_case"
CASE_PLACE = f"{_CASE_PLACE} WHERE id = ?"
OPEN_CASE_COUNT = "SELECT count(*) FROM recovery_case WHERE guest = ? AND closed_s IS NULL"
OPEN_CASES = f"{_CASE_PLACE} WHERE closed_s IS NULL AND (?1 IS NULL OR outlet = ?1) ORDER BY opened_s, id"
_ABOARD = "FROM guest AS g LEFT JOIN profile AS p ON p.ref = g.ref WHERE g.crew = 0 AND g.not_after_s > ?1"
_FIND_CABIN = f"SELECT g.ref, coalesce(p.name, x'ff') {_ABOARD} AND (g.cabin_a = ?2 OR g.cabin_b = ?2)"
_FIND_NAMED = "SELECT ref, name FROM profile INDEXED BY profile_name"
WHO_IS_ABOARD = """
SELECT ref FROM guest WHERE crew = 0 AND not_after_s > ? AND ref IN (SELECT value FROM json_each(?))
"""
# Read by `disclose` alone.
_NOTES = select(_NOTE, "FROM note WHERE guest = ? AND expires_s > ? ORDER BY at_s, id")
_CASES = select(_CASE, "FROM recovery_case WHERE guest = ?1 AND (?2 OR closed_s IS NULL) ORDER BY opened_s, id")


def forbid_looks(connection: sqlite3.Connection) -> None:
    """Refuse this connection the columns that only a logged look may read: it cannot write the log."""

    def may(action: int, table: str | None, column: str | None, _database: str | None, _source: str | None) -> int:
        if action == sqlite3.SQLITE_READ and column in _GUARDED.get(table or "", frozenset()):
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    connection.set_authorizer(may)


# Sealed with no key there ever was: that there was a reason, and not which.
_FORGOTTEN = b64encode(bytes(OVERHEAD_BYTES)).decode("ascii")

OpenText = Callable[[GuestRef, str, str], str]


def look_kind(at_s: int) -> str:
    """As what the reason of a look-up is sealed."""
    return f"look {at_s}"


class LookUpTx(LookTreeTx, PictureTx):
    if TYPE_CHECKING:

        def append_event(self, event: NewEvent) -> int:
            """Of EventsTx."""
            ...

        def consents_of(self, ref: GuestRef) -> Sequence[Consent]:
            """Of ConsentTx."""
            ...

    def put_profile(self, profile: Profile) -> None:
        check_profile(profile)
        plain = {
            "name": name_key(profile).encode(),
            "names": encode_pair(profile.preferred_name, profile.full_name),
            "language": profile.language.encode(),
            "health": encode_pair(words(profile.allergies), words(profile.diet)),
        }
        sealed = [self._keys.seal(profile.ref, column, plain[column]) for column in _PROFILE[1:]]
        self._change(PUT_PROFILE, (profile.ref, *sealed))

    def drop_health(self, ref: GuestRef) -> None:
        self._change(DROP_HEALTH, (self._keys.seal(ref, "health", encode_pair("", "")), ref))

    def has_profile(self, ref: GuestRef) -> bool:
        return self._one(HAS_PROFILE, (ref,)) is not None

    def drop_profile(self, ref: GuestRef) -> None:
        self._change(DROP_PROFILE, (ref,))
        self.drop_photo(ref)

    # notes

    def put_note(self, note: Note) -> None:
        check_note(note)
        who = (note.author, note.outlet, note.at_s, note.expires_s)
        text = self._keys.seal(note.guest, f"note {note.id}", note.text.encode())
        self._change(PUT_NOTE, (note.id, note.guest, note.purpose, text, *who))

    def drop_note(self, note: NoteId) -> None:
        self._change(DROP_NOTE, (note,))

    def note_place(self, note: NoteId) -> Note | None:
        row = self._one(NOTE_PLACE, (note,))
        return None if row is None else self._note(row)

    def note_count(self, ref: GuestRef) -> int:
        count: int = self._one(NOTE_COUNT, (ref,))[0]
        return count

    def sweep_notes(self, now_s: int) -> int:
        return len(self._change(SWEEP_NOTES, (now_s,)))

    # cases

    def open_case(self, case: Case) -> None:
        check_case(case)
        what, outcome = self._case_texts(case.guest, case.id, case.what, case.outcome)
        who = (case.opened_by, case.opened_s, case.closed_by, case.closed_s)
        self._change(OPEN_CASE, (case.id, case.guest, case.outlet, what, *who, outcome))

    def close_case(self, case: CaseId, by: str, at_s: int, outcome: str) -> None:
        known = self.case_place(case)
        if known is not None and known.is_open:
            _, sealed = self._case_texts(known.guest, case, "", outcome)
            self._change(CLOSE_CASE, (by, at_s, sealed, case))

    def _case_texts(self, guest: GuestRef, case: CaseId, what: str, outcome: str) -> tuple[bytes, bytes]:
        return (
            self._keys.seal(guest, f"case {case}", what.encode()),
            self._keys.seal(guest, f"case end {case}", outcome.encode()),
        )

    def case_place(self, case: CaseId) -> Case | None:
        row = self._one(CASE_PLACE, (case,))
        return None if row is None else self._case(row)

    def open_case_count(self, ref: GuestRef) -> int:
        count: int = self._one(OPEN_CASE_COUNT, (ref,))[0]
        return count

    def open_cases(self, outlet: OutletId | None) -> Sequence[Case]:
        return [self._case(row) for row in self._all(OPEN_CASES, (outlet,))]

    # looks

    def log_look_up(self, look: LookUp) -> LookUp:
        check_look_up(look, self.consents_of)
        if look.own:
            return look
        logged = self._enter(look, self._reason(look))
        leaf = self.add_look_leaf(logged, logged.at_s)
        self.append_event(look_up_event(logged, leaf))
        return logged

    def enter_peer_look(self, look: LookUp, now_s: int) -> LookUp:
        check_peer_look(look)
        logged = self._enter(look, _FORGOTTEN if look.broke_glass else "")
        self.add_look_leaf(logged, now_s)
        return logged

    def _enter(self, look: LookUp, reason: str) -> LookUp:
        who = (look.actor, look.role, look.outlet, look.outlet_kind, look.purpose)
        what = (look.guest, words(look.fields), look.way, reason, look.gateway)
        seq: int = self._change(LOG_LOOK_UP, (look.at_s, *who, *what))[0][0]
        return replace(look, seq=seq)

    def _reason(self, look: LookUp) -> str:
        """Sealed. The log of a look at who was erased says that there was a reason, and not which."""
        if look.reason and self._keys.is_erased(look.guest):
            return _FORGOTTEN
        return self._seal_text(look.guest, look_kind(look.at_s), look.reason)

    def disclose(self, look: LookUp) -> Disclosed:
        logged = self.log_look_up(look)
        known = self._profile(logged)
        allergies, diet = known.get(Field.ALLERGIES), known.get(Field.DIET)
        return Disclosed(
            look=logged,
            preferred_name=known.get(Field.PREFERRED_NAME),
            full_name=known.get(Field.FULL_NAME),
            language=known.get(Field.LANGUAGE),
            allergies=None if allergies is None else tuple(Allergen(code) for code in allergies.split()),
            diet=None if diet is None else tuple(Diet(code) for code in diet.split()),
            notes=self._notes(look) if Field.NOTES in look.fields else (),
            cases=self._cases(look) if Field.RECOVERY in look.fields else (),
            photo=self._photo(look.guest) if Field.PHOTO in look.fields else None,
        )

    def search(self, viewer: Viewer, query: str, at_s: int, limit: int) -> Sequence[Disclosed]:
        cabin, beginnings = searched_cabin(query), searched_words(query)
        if cabin is not None:
            way, named = Way.BY_CABIN, self._in_cabin(at_s, cabin)
        elif beginnings:
            way, named = Way.BY_NAME, self._called(at_s, [f" {beginning}" for beginning in beginnings])
        else:
            return []
        refs = [ref for _, ref in sorted(named)[: max(limit, 0)]]
        return [self.disclose(look) for look in hit_looks(viewer, way, refs, at_s)]

    def _in_cabin(self, at_s: int, cabin: int) -> list[tuple[str, GuestRef]]:
        """Guests with the names that they are listed by, which stay in the store."""
        rows = self._all(_FIND_CABIN, (at_s, cabin))
        names = {ref: name for name, ref in self._keys.names((row for row in rows if len(row[1]) > 1), lambda _: True)}
        return [(names.get(ref, ""), ref) for ref, _ in rows]

    def _called(self, at_s: int, keys: Sequence[str]) -> list[tuple[str, GuestRef]]:
        """The same of those whose name has all of these beginnings. Names are sealed, so SQLite cannot compare them."""
        rows = self._all(_FIND_NAMED)
        first, *more = keys
        found = self._keys.names(rows, lambda name: first in name and all(key in name for key in more))
        wanted = json.dumps([ref for _, ref in found])
        aboard = {ref for (ref,) in self._all(WHO_IS_ABOARD, (at_s, wanted))} if found else set()
        return [(name, ref) for name, ref in found if ref in aboard]

    def look_ups(self, after_seq: int, limit: int) -> Sequence[LookUp]:
        return [look_up(row, self._text) for row in self._all(LOOK_UPS, (after_seq, max(limit, 0)))]

    def look_ups_of(self, ref: GuestRef, limit: int) -> Sequence[LookUp]:
        return [look_up(row, self._text) for row in self._all(LOOK_UPS_OF, (ref, max(limit, 0)))]

    def all_look_ups(self, after_seq: int, limit: int) -> Sequence[tuple[int, LookUp | None, bool]]:
        """Every row there is: its number, the look if it makes sense, and whether it is blank."""
        return [_whole(row, self._text) for row in self._all(ALL_LOOK_UPS, (after_seq, max(limit, 0)))]

    def drop_look_contents(self, ref: GuestRef) -> int:
        return len(self._change(FORGET_LOOK_UPS, (ref,)))

    def _profile(self, look: LookUp) -> Mapping[Field, str]:
        """The fields that this look names, and no other: of a column that none of them is in, nothing is unsealed."""
        columns = sorted({_COLUMN_OF[field] for field in look.fields if field in _COLUMN_OF})
        row = self._one(_profile_columns(tuple(columns)), (look.guest,)) if columns else None
        if row is None:
            return {}
        found: dict[Field, str] = {}
        for column, sealed in zip(columns, row, strict=True):
            if (plain := self._bytes(look.guest, column, sealed)) is not None:
                fields = [field for field in _COLUMN_OF if _COLUMN_OF[field] == column]
                texts = (plain.decode(),) if column == "language" else decode_pair(plain)
                found |= dict(zip(fields, texts, strict=True))
        return {field: text for field, text in found.items() if field in look.fields}

    def _notes(self, look: LookUp) -> tuple[Note, ...]:
        found = [self._note(row) for row in self._all(_NOTES, (look.guest, look.at_s))]
        notes = [note for note in found if note.text]  # what was forgotten is none any more
        return tuple(note for note in notes if look.broke_glass or look.own or note.purpose is look.purpose)

    def _note(self, row: Sequence[Any]) -> Note:
        id_, guest, purpose, sealed, *who = row
        text = b"" if sealed is None else self._bytes(guest, f"note {id_}", sealed) or b""
        return Note(NoteId(id_), GuestRef(guest), Purpose(purpose), text.decode(), *_author(who))

    def _case(self, row: Sequence[Any]) -> Case:
        id_, guest, outlet, what, opened_by, opened_s, closed_by, closed_s, outcome = row
        said = b"" if what is None else self._bytes(guest, f"case {id_}", what) or b""
        ended = b"" if outcome is None else self._bytes(guest, f"case end {id_}", outcome) or b""
        who = (opened_by, opened_s, closed_by, closed_s)
        return Case(CaseId(id_), GuestRef(guest), OutletId(outlet), said.decode(), *who, ended.decode())

    def _cases(self, look: LookUp) -> tuple[Case, ...]:
        return tuple(self._case(row) for row in self._all(_CASES, (look.guest, look.own)))


@cache
def _profile_columns(columns: tuple[str, ...]) -> str:
    return select(columns, "FROM profile WHERE ref = ?")


def look_up(row: Sequence[Any], open_text: OpenText) -> LookUp:
    """open_text: of the transaction."""
    seq, at_s, actor, role, outlet, kind, purpose, guest, fields, way, reason, gateway = row
    return LookUp(
        at_s=at_s,
        actor=actor,
        role=role,
        outlet=OutletId(outlet),
        outlet_kind=OutletKind(kind),
        purpose=Purpose(purpose),
        guest=GuestRef(guest),
        fields=frozenset(Field(code) for code in fields.split()),
        way=Way(way),
        reason=open_text(GuestRef(guest), look_kind(at_s), reason),
        seq=seq,
        gateway=gateway,
    )


def _whole(row: Sequence[Any], open_text: OpenText) -> tuple[int, LookUp | None, bool]:
    if row[LOOK_UP_COLUMNS.index("way")] == "erased":
        return row[0], None, True
    try:
        look = look_up(row, open_text)
    except (ValueError, StoreUnavailable):  # somebody wrote what no look can be
        return row[0], None, False
    as_written = words(look.fields) == row[LOOK_UP_COLUMNS.index("fields")]
    return row[0], look if as_written else None, False


def _author(row: Sequence[Any]) -> tuple[str, OutletId, int, int]:
    author, outlet, at_s, expires_s = row
    return author, OutletId(outlet), at_s, expires_s
