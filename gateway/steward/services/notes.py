"""Notes that crew leave for each other about a guest: for one purpose, and for a time."""

from __future__ import annotations

from steward.domain.care import TEXT_MAX, Note, NoteId, is_text
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.ids import GuestRef, OutletId
from steward.domain.viewing import Field, Viewer, allowed, look_at
from steward.errors import NotFound, Refused
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.lookups import NO_CONSENT, NOT_PERMITTED, guest_in, withheld_in

NOTES_EACH_MAX = 20


class NoteService:
    """Reading notes is part of the guest's card: services/lookups.py."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy

    async def add(self, viewer: Viewer, ref: GuestRef, text: str, expires_s: int) -> Note:
        """Raises NotFound, Refused (not_permitted, no_consent, note_invalid, note_expiry_invalid, too_many_notes)."""
        _check(viewer)
        if not is_text(text.strip()):
            raise Refused("note_invalid", f"a note is one line of 1 to {TEXT_MAX} characters")
        now_s = self._clock.now().unix_s
        id_ = NoteId(self._entropy.token_bytes(8).hex())
        note = Note(id_, ref, viewer.purpose, text.strip(), viewer.actor, viewer.outlet, now_s, expires_s)

        def work(tx: Tx) -> Note:
            guest = guest_in(tx, ref)
            if withheld_in(tx, look_at(viewer, ref, {Field.NOTES}, now_s)):
                raise Refused(NO_CONSENT, "the guest has not agreed that crew keep notes")
            if not now_s < expires_s <= guest.not_after_s:
                raise Refused("note_expiry_invalid", "a note ends after now, and no later than the guest's stay")
            if tx.note_count(ref) >= NOTES_EACH_MAX:
                raise Refused("too_many_notes", f"{NOTES_EACH_MAX} notes are kept for one guest: remove one first")
            tx.put_note(note)
            tx.append_event(note_fact(EventType.NOTE_ADDED, note, viewer.outlet, viewer.actor, now_s))
            return note

        return await self._store.write(work)

    async def remove(self, viewer: Viewer, note_id: NoteId) -> None:
        """Any crew of the note's purpose may. One of another purpose looks as if it did not exist: NotFound."""
        _check(viewer)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> None:
            note = tx.note_place(note_id)
            if note is None or note.purpose is not viewer.purpose:
                raise NotFound("note", note_id)
            tx.drop_note(note_id)
            tx.append_event(note_fact(EventType.NOTE_REMOVED, note, viewer.outlet, viewer.actor, now_s))

        await self._store.write(work)


def _check(viewer: Viewer) -> None:
    if Field.NOTES not in allowed(viewer):
        raise Refused(NOT_PERMITTED, f"{viewer.role} keeps no notes for {viewer.purpose}")


def note_fact(kind: EventType, note: Note, outlet: OutletId, by: str, at_s: int) -> NewEvent:
    return fact(
        kind,
        at_s,
        note=note.id,
        guest=note.guest,
        purpose=note.purpose.value,
        expires_s=note.expires_s,
        outlet=outlet,
        by=by,
    )
