"""Guests' profiles, photos, notes and cases, and the log of every look at them, in memory.

No other module names these tables. What reads their contents is `disclose`, which logs first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from steward.adapters.memory_looktree import MemoryLookTreeTx
from steward.adapters.store_looks import (
    check_case,
    check_look_up,
    check_note,
    check_peer_look,
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
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, OutletId
from steward.domain.profiles import Disclosed, Photo, Profile, name_key
from steward.domain.viewing import Field, LookUp, Viewer, Way
from steward.errors import Conflict


class LookUpState:
    """Read by MemoryLookUpTx alone."""

    def __init__(self) -> None:
        self.log: dict[int, LookUp] = {}
        self.blank: dict[int, int] = {}  # rows of guests who were erased, and when they were looked at
        self.profiles: dict[GuestRef, Profile] = {}
        self.photos: dict[GuestRef, Photo] = {}
        self.notes: dict[NoteId, Note] = {}
        self.cases: dict[CaseId, Case] = {}


class MemoryLookUpTx(MemoryLookTreeTx):
    if TYPE_CHECKING:

        def append_event(self, event: NewEvent) -> int:
            """Of MemoryTx, and likewise below."""
            ...

        def guests(self) -> Sequence[Guest]: ...
        def consents_of(self, ref: GuestRef) -> Sequence[Consent]: ...

    @property
    def _looks(self) -> LookUpState:
        return self._part(LookUpState)

    def put_profile(self, profile: Profile) -> None:
        check_profile(profile)
        self._stamp(profile.ref, "profile", profile.ref)
        self._put(self._looks.profiles, profile.ref, profile)

    def put_photo(self, photo: Photo) -> None:
        check_photo(photo)
        self._stamp(photo.ref, "photo", photo.ref)
        self._put(self._looks.photos, photo.ref, photo)

    def has_profile(self, ref: GuestRef) -> bool:
        return ref in self._looks.profiles

    def photo_hash(self, ref: GuestRef) -> str | None:
        photo = self._photo(ref)
        return None if photo is None else photo.sha256

    def _photo(self, ref: GuestRef) -> Photo | None:
        return self._looks.photos.get(ref) if self._holds(ref, "photo", ref) else None

    def _profile(self, ref: GuestRef) -> Profile | None:
        return self._looks.profiles.get(ref) if self._holds(ref, "profile", ref) else None

    def drop_health(self, ref: GuestRef) -> None:
        profile = self._looks.profiles.get(ref)
        if profile is not None:
            self._put(self._looks.profiles, ref, replace(profile, allergies=(), diet=()))

    def drop_profile(self, ref: GuestRef) -> None:
        self._drop(self._looks.profiles, ref)
        self.drop_photo(ref)

    def drop_photo(self, ref: GuestRef) -> None:
        self._drop(self._looks.photos, ref)

    # notes

    def put_note(self, note: Note) -> None:
        check_note(note)
        self._stamp(note.guest, "note", note.id)
        self._put(self._looks.notes, note.id, note)

    def drop_note(self, note: NoteId) -> None:
        self._drop(self._looks.notes, note)

    def note_place(self, note: NoteId) -> Note | None:
        found = self._looks.notes.get(note)
        return None if found is None else replace(found, text="")

    def note_count(self, ref: GuestRef) -> int:
        return sum(note.guest == ref for note in self._looks.notes.values())

    def sweep_notes(self, now_s: int) -> int:
        expired = [note.id for note in self._looks.notes.values() if note.expires_s <= now_s]
        for note in expired:
            self._drop(self._looks.notes, note)
        return len(expired)

    # cases

    def open_case(self, case: Case) -> None:
        check_case(case)
        if case.id in self._looks.cases:
            raise Conflict(f"case {case.id} is known already")
        self._stamp(case.guest, "case", case.id)
        self._put(self._looks.cases, case.id, case)

    def close_case(self, case: CaseId, by: str, at_s: int, outcome: str) -> None:
        known = self._looks.cases.get(case)
        if known is not None and known.is_open:
            self._put(self._looks.cases, case, replace(known, closed_by=by, closed_s=at_s, outcome=outcome))

    def case_place(self, case: CaseId) -> Case | None:
        found = self._looks.cases.get(case)
        return None if found is None else replace(found, what="", outcome="")

    def open_case_count(self, ref: GuestRef) -> int:
        return len(self._cases_where(lambda case: case.guest == ref))

    def open_cases(self, outlet: OutletId | None) -> Sequence[Case]:
        found = self._cases_where(lambda case: outlet is None or case.outlet == outlet)
        return [replace(case, what="", outcome="") for case in found]

    def _cases_seen(self, look: LookUp) -> tuple[Case, ...]:
        """The guests themselves also see what is closed."""
        cases = [case for case in self._looks.cases.values() if case.guest == look.guest]
        shown = [self._whole(case) for case in cases if case.is_open or look.own]
        return tuple(sorted(shown, key=lambda case: (case.opened_s, case.id)))

    def _whole(self, case: Case) -> Case:
        return case if self._holds(case.guest, "case", case.id) else replace(case, what="", outcome="")

    def _cases_where(self, wanted: Callable[[Case], bool]) -> list[Case]:
        found = [case for case in self._looks.cases.values() if case.is_open and wanted(case)]
        return sorted(found, key=lambda case: (case.opened_s, case.id))

    # looks

    def log_look_up(self, look: LookUp) -> LookUp:
        check_look_up(look, self.consents_of)
        if look.own:
            return look
        logged = replace(look, seq=self._last_seq + 1)
        self._put(self._looks.log, logged.seq, logged)
        leaf = self.add_look_leaf(logged, logged.at_s)
        self.append_event(look_up_event(logged, leaf))
        return logged

    def enter_peer_look(self, look: LookUp, now_s: int) -> LookUp:
        check_peer_look(look)
        logged = replace(look, seq=self._last_seq + 1)
        self._put(self._looks.log, logged.seq, logged)
        self.add_look_leaf(logged, now_s)
        return logged

    def disclose(self, look: LookUp) -> Disclosed:
        logged, fields = self.log_look_up(look), look.fields
        profile, photo = self._profile(look.guest), self._photo(look.guest)
        shown = Disclosed(
            look=logged,
            notes=self._notes(look) if Field.NOTES in fields else (),
            cases=self._cases_seen(look) if Field.RECOVERY in fields else (),
            photo=photo if Field.PHOTO in fields else None,
        )
        if profile is None:
            return shown
        return replace(
            shown,
            preferred_name=profile.preferred_name if Field.PREFERRED_NAME in fields else None,
            full_name=profile.full_name if Field.FULL_NAME in fields else None,
            language=profile.language if Field.LANGUAGE in fields else None,
            allergies=profile.allergies if Field.ALLERGIES in fields else None,
            diet=profile.diet if Field.DIET in fields else None,
        )

    def search(self, viewer: Viewer, query: str, at_s: int, limit: int) -> Sequence[Disclosed]:
        cabin, beginnings = searched_cabin(query), searched_words(query)
        profiles = {g.ref: self._profile(g.ref) for g in self.guests()}
        keys = {ref: "" if known is None else name_key(known) for ref, known in profiles.items()}
        aboard = [guest for guest in self.guests() if not guest.crew and guest.not_after_s > at_s]
        if cabin is not None:
            way = Way.BY_CABIN
            found = [g.ref for g in aboard if cabin in (stay.cabin for stay in g.cabins)]
        elif beginnings:
            way = Way.BY_NAME
            found = [g.ref for g in aboard if all(f" {beginning}" in keys[g.ref] for beginning in beginnings)]
        else:
            return []
        refs = sorted(found, key=lambda ref: (keys[ref], ref))[: max(limit, 0)]
        return [self.disclose(look) for look in hit_looks(viewer, way, refs, at_s)]

    def look_ups(self, after_seq: int, limit: int) -> Sequence[LookUp]:
        log = self._looks.log
        found = (log[seq] for seq in range(max(after_seq, 0) + 1, self._last_seq + 1) if seq in log)
        return list(islice(found, max(limit, 0)))

    def look_ups_of(self, ref: GuestRef, limit: int) -> Sequence[LookUp]:
        own = sorted((look for look in self._looks.log.values() if look.guest == ref), key=lambda look: look.seq)
        return own[::-1][: max(limit, 0)]

    def all_look_ups(self, after_seq: int, limit: int) -> Sequence[tuple[int, LookUp | None, bool]]:
        """Every row there is: its number, the look, and whether it is blank."""
        log, first = self._looks.log, max(after_seq, 0) + 1
        last = min(self._last_seq, first - 1 + max(limit, 0))
        return [(seq, log.get(seq), seq not in log) for seq in range(first, last + 1)]

    def drop_look_contents(self, ref: GuestRef) -> int:
        own = [look for look in self._looks.log.values() if look.guest == ref]
        for look in own:
            self._drop(self._looks.log, look.seq)
            self._put(self._looks.blank, look.seq, look.at_s)
            self._forget_salts(look.seq)
        return len(own)

    @property
    def _last_seq(self) -> int:
        return len(self._looks.log) + len(self._looks.blank)

    def _notes(self, look: LookUp) -> tuple[Note, ...]:
        own = [
            note
            for note in self._looks.notes.values()
            if note.guest == look.guest
            and self._holds(note.guest, "note", note.id)
            and note.expires_s > look.at_s
            and (look.broke_glass or look.own or note.purpose is look.purpose)
        ]
        return tuple(sorted(own, key=lambda note: (note.at_s, note.id)))
