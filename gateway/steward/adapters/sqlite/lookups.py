"""Guests' profiles, photos, notes and cases, and the log of every look at them: ports.service.LookUpTx on SQLite.

No other module names these tables, but for manifest.py, which gives a guest a picture that it cannot read. What reads
their contents is `disclose`, which logs first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.adapters.store_items import words
from steward.adapters.store_looks import (
    check_case,
    check_look_up,
    check_note,
    check_photo,
    check_profile,
    hit_looks,
    look_up_event,
    searched_cabin,
    searched_words,
)
from steward.domain.care import Case, CaseId, Note, NoteId
from steward.domain.consent import Consent
from steward.domain.events import NewEvent
from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import OutletKind
from steward.domain.profiles import SEARCH_WORDS_MAX, Allergen, Diet, Disclosed, Photo, Profile, name_key
from steward.domain.viewing import Field, LookUp, Purpose, Viewer, Way

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
)
_PROFILE = ("ref", "preferred_name", "full_name", "name_key", "language", "allergies", "diet")
_NOTE = ("id", "guest", "purpose", "text", "author", "outlet", "at_s", "expires_s")
_CASE = ("id", "guest", "outlet", "what", "opened_by", "opened_s", "closed_by", "closed_s", "outcome")
_COLUMN_OF: Mapping[Field, str] = {
    Field.PREFERRED_NAME: "preferred_name",
    Field.FULL_NAME: "full_name",
    Field.LANGUAGE: "language",
    Field.ALLERGIES: "allergies",
    Field.DIET: "diet",
}
# What only a look may read: the connections that only read are forbidden these columns altogether.
_GUARDED: Mapping[str, frozenset[str]] = {
    "profile": frozenset(_PROFILE) - {"ref"},
    "picture": frozenset({"content"}),
    "note": frozenset({"text"}),
    "recovery_case": frozenset({"what", "outcome"}),
}

LOG_LOOK_UP = """
INSERT INTO look_up (seq, at_s, actor, role, outlet, outlet_kind, purpose, guest, fields, way, reason)
VALUES (1 + coalesce((SELECT max(seq) FROM look_up), 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING seq
"""
LOOK_UPS = select(LOOK_UP_COLUMNS, "FROM look_up WHERE seq > ? ORDER BY seq LIMIT ?")
LOOK_UPS_OF = select(LOOK_UP_COLUMNS, "FROM look_up WHERE guest = ? ORDER BY seq DESC LIMIT ?")
PUT_PROFILE = upsert("profile", ("ref",), _PROFILE[1:])
PUT_PICTURE = "INSERT INTO picture (sha256, content) VALUES (?, ?) ON CONFLICT (sha256) DO NOTHING"
PUT_PHOTO = upsert("photo", ("ref",), ("sha256",))
HAS_PROFILE = "SELECT 1 FROM profile WHERE ref = ?"
PHOTO_HASH = "SELECT sha256 FROM photo WHERE ref = ?"
DROP_PROFILE = "DELETE FROM profile WHERE ref = ?"
DROP_PHOTO = "DELETE FROM photo WHERE ref = ?"
PUT_NOTE = upsert("note", ("id",), _NOTE[1:])
DROP_NOTE = "DELETE FROM note WHERE id = ?"
NOTE_PLACE = "SELECT id, guest, purpose, '', author, outlet, at_s, expires_s FROM note WHERE id = ?"
NOTE_COUNT = "SELECT count(*) FROM note WHERE guest = ?"
SWEEP_NOTES = "DELETE FROM note WHERE expires_s <= ? RETURNING id"
OPEN_CASE = f"INSERT INTO recovery_case ({', '.join(_CASE)}) VALUES ({', '.join('?' * len(_CASE))})"  # noqa: S608
CLOSE_CASE = "UPDATE recovery_case SET closed_by = ?, closed_s = ?, outcome = ? WHERE id = ? AND closed_s IS NULL"
_CASE_PLACE = "SELECT id, guest, outlet, '', opened_by, opened_s, closed_by, closed_s, '' FROM recovery_case"
CASE_PLACE = f"{_CASE_PLACE} WHERE id = ?"
OPEN_CASE_COUNT = "SELECT count(*) FROM recovery_case WHERE guest = ? AND closed_s IS NULL"
OPEN_CASES = f"{_CASE_PLACE} WHERE closed_s IS NULL AND (?1 IS NULL OR outlet = ?1) ORDER BY opened_s, id"
_ABOARD = "FROM guest AS g LEFT JOIN profile AS p ON p.ref = g.ref WHERE g.crew = 0 AND g.not_after_s > ?1"
_BY_NAME = "ORDER BY coalesce(p.name_key, ''), g.ref LIMIT ?2"
FIND_CABIN = f"SELECT g.ref {_ABOARD} AND (g.cabin_a = ?3 OR g.cabin_b = ?3) {_BY_NAME}"
FIND_NAME = f"""
SELECT g.ref {_ABOARD} AND instr(p.name_key, ?3) AND instr(p.name_key, ?4) AND instr(p.name_key, ?5)
AND instr(p.name_key, ?6) {_BY_NAME}
"""
# Read by `disclose` alone.
_PHOTO_CONTENT = "SELECT content FROM photo JOIN picture USING (sha256) WHERE ref = ?"
_NOTES = select(_NOTE, "FROM note WHERE guest = ? AND expires_s > ? ORDER BY at_s, id")
_CASES = select(_CASE, "FROM recovery_case WHERE guest = ? AND closed_s IS NULL ORDER BY opened_s, id")


def forbid_looks(connection: sqlite3.Connection) -> None:
    """Refuse this connection the columns that only a logged look may read: it cannot write the log."""

    def may(action: int, table: str | None, column: str | None, _database: str | None, _source: str | None) -> int:
        if action == sqlite3.SQLITE_READ and column in _GUARDED.get(table or "", frozenset()):
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    connection.set_authorizer(may)


class LookUpTx(Statements):
    if TYPE_CHECKING:

        def append_event(self, event: NewEvent) -> int:
            """Of EventsTx."""
            ...

        def consents_of(self, ref: GuestRef) -> Sequence[Consent]:
            """Of ConsentTx."""
            ...

    def put_profile(self, profile: Profile) -> None:
        check_profile(profile)
        names = (profile.preferred_name, profile.full_name, name_key(profile))
        values = (profile.ref, *names, profile.language, words(profile.allergies), words(profile.diet))
        self._change(PUT_PROFILE, values)

    def put_photo(self, photo: Photo) -> None:
        check_photo(photo)
        self._change(PUT_PICTURE, (photo.sha256, photo.content))
        self._change(PUT_PHOTO, (photo.ref, photo.sha256))

    def has_profile(self, ref: GuestRef) -> bool:
        return self._one(HAS_PROFILE, (ref,)) is not None

    def photo_hash(self, ref: GuestRef) -> str | None:
        row = self._one(PHOTO_HASH, (ref,))
        return None if row is None else row[0]

    def drop_profile(self, ref: GuestRef) -> None:
        self._change(DROP_PROFILE, (ref,))
        self._change(DROP_PHOTO, (ref,))

    # notes

    def put_note(self, note: Note) -> None:
        check_note(note)
        who = (note.author, note.outlet, note.at_s, note.expires_s)
        self._change(PUT_NOTE, (note.id, note.guest, note.purpose, note.text, *who))

    def drop_note(self, note: NoteId) -> None:
        self._change(DROP_NOTE, (note,))

    def note_place(self, note: NoteId) -> Note | None:
        row = self._one(NOTE_PLACE, (note,))
        return None if row is None else _note(row)

    def note_count(self, ref: GuestRef) -> int:
        count: int = self._one(NOTE_COUNT, (ref,))[0]
        return count

    def sweep_notes(self, now_s: int) -> int:
        return len(self._change(SWEEP_NOTES, (now_s,)))

    # cases

    def open_case(self, case: Case) -> None:
        check_case(case)
        who = (case.opened_by, case.opened_s, case.closed_by, case.closed_s, case.outcome)
        self._change(OPEN_CASE, (case.id, case.guest, case.outlet, case.what, *who))

    def close_case(self, case: CaseId, by: str, at_s: int, outcome: str) -> None:
        self._change(CLOSE_CASE, (by, at_s, outcome, case))

    def case_place(self, case: CaseId) -> Case | None:
        row = self._one(CASE_PLACE, (case,))
        return None if row is None else _case(row)

    def open_case_count(self, ref: GuestRef) -> int:
        count: int = self._one(OPEN_CASE_COUNT, (ref,))[0]
        return count

    def open_cases(self, outlet: OutletId | None) -> Sequence[Case]:
        return [_case(row) for row in self._all(OPEN_CASES, (outlet,))]

    # looks

    def log_look_up(self, look: LookUp) -> LookUp:
        check_look_up(look, self.consents_of)
        who = (look.actor, look.role, look.outlet, look.outlet_kind, look.purpose)
        what = (look.guest, words(look.fields), look.way, look.reason)
        seq: int = self._change(LOG_LOOK_UP, (look.at_s, *who, *what))[0][0]
        logged = replace(look, seq=seq)
        self.append_event(look_up_event(logged))
        return logged

    def disclose(self, look: LookUp) -> Disclosed:
        logged = self.log_look_up(look)
        known = self._profile(logged)
        photo = self._one(_PHOTO_CONTENT, (look.guest,)) if Field.PHOTO in look.fields else None
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
            photo=None if photo is None else Photo(look.guest, photo[0]),
        )

    def search(self, viewer: Viewer, query: str, at_s: int, limit: int) -> Sequence[Disclosed]:
        cabin, beginnings = searched_cabin(query), searched_words(query)
        if cabin is not None:
            way, rows = Way.BY_CABIN, self._all(FIND_CABIN, (at_s, limit, cabin))
        elif beginnings:
            keys = [f" {beginning}" for beginning in beginnings]
            keys += [" "] * (SEARCH_WORDS_MAX - len(keys))
            way, rows = Way.BY_NAME, self._all(FIND_NAME, (at_s, limit, *keys))
        else:
            return []
        refs = [GuestRef(ref) for (ref,) in rows]
        return [self.disclose(look) for look in hit_looks(viewer, way, refs, at_s)]

    def look_ups(self, after_seq: int, limit: int) -> Sequence[LookUp]:
        return [look_up(row) for row in self._all(LOOK_UPS, (after_seq, max(limit, 0)))]

    def look_ups_of(self, ref: GuestRef, limit: int) -> Sequence[LookUp]:
        return [look_up(row) for row in self._all(LOOK_UPS_OF, (ref, max(limit, 0)))]

    def _profile(self, look: LookUp) -> dict[Field, str]:
        """The columns that this look names, and no other."""
        shown = [field for field in _COLUMN_OF if field in look.fields]
        if not shown:
            return {}
        row = self._one(_profile_columns(tuple(shown)), (look.guest,))
        return {} if row is None else dict(zip(shown, row, strict=True))

    def _notes(self, look: LookUp) -> tuple[Note, ...]:
        notes = [_note(row) for row in self._all(_NOTES, (look.guest, look.at_s))]
        return tuple(note for note in notes if look.broke_glass or note.purpose is look.purpose)

    def _cases(self, look: LookUp) -> tuple[Case, ...]:
        return tuple(_case(row) for row in self._all(_CASES, (look.guest,)))


@cache
def _profile_columns(shown: tuple[Field, ...]) -> str:
    return select([_COLUMN_OF[field] for field in shown], "FROM profile WHERE ref = ?")


def look_up(row: Sequence[Any]) -> LookUp:
    seq, at_s, actor, role, outlet, kind, purpose, guest, fields, way, reason = row
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
        reason=reason,
        seq=seq,
    )


def _note(row: Sequence[Any]) -> Note:
    id_, guest, purpose, text, author, outlet, at_s, expires_s = row
    return Note(NoteId(id_), GuestRef(guest), Purpose(purpose), text, author, OutletId(outlet), at_s, expires_s)


def _case(row: Sequence[Any]) -> Case:
    id_, guest, outlet, what, opened_by, opened_s, closed_by, closed_s, outcome = row
    who = (opened_by, opened_s, closed_by, closed_s)
    return Case(CaseId(id_), GuestRef(guest), OutletId(outlet), what, *who, outcome)
