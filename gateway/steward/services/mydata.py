"""My data: everything held of one guest, use by use of the register, for the guest alone; and their own corrections.

What is read here is what the tables hold, table by table; which use a table belongs to, why, for how long and who is
given it is the register's word. So a page made of both cannot forget a use, and a table nobody reads fails a test.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from steward.domain.care import Case, Note, NoteId
from steward.domain.consent import Consent
from steward.domain.context import StayCompany
from steward.domain.events import EventType, fact
from steward.domain.guests import Band, Guest
from steward.domain.ids import GuestRef
from steward.domain.ledger import guest_account
from steward.domain.offers import Offer
from steward.domain.presence import Presence
from steward.domain.profiles import Allergen, Diet, Disclosed, Photo, Profile, profile_problem
from steward.domain.viewing import Field
from steward.errors import NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services.lookups import guest_in
from steward.services.notes import note_fact
from steward.services.ownlook import own_look

COUNTED_MAX = 1000  # of what is only counted: a number that large says enough
OFFERS_SHOWN = 100
BY_GUEST = "guest"
_EVERYTHING = frozenset(Field)
_PERSON = _EVERYTHING - {Field.PHOTO}
_HEALTH = frozenset({"allergies", "diet"})


@dataclass(frozen=True, slots=True)
class Held:
    """What the tables hold of one guest, as of one moment. Counts stop at COUNTED_MAX."""

    guest: Guest
    shown: Disclosed = field(repr=False)
    has_profile: bool
    has_photo: bool
    bands: Sequence[Band]
    consents: Sequence[Consent]
    consent_words: int
    company: StayCompany | None = field(repr=False)
    switches: int
    offers: Sequence[Offer]  # newest first
    charges: int
    balance_minor: int
    looks: int
    phones: int
    presence: Presence | None
    requests: int
    objection_s: int | None
    own_words_s: int | None

    @property
    def notes(self) -> Sequence[Note]:
        return self.shown.notes

    @property
    def cases(self) -> Sequence[Case]:
        return self.shown.cases


@dataclass(frozen=True, slots=True)
class Correction:
    """What a guest says is right. explicit: they agree in so many words that allergies and diet are kept."""

    preferred_name: str = field(repr=False)
    language: str = field(repr=False)
    allergies: Collection[Allergen] = field(repr=False)
    diet: Collection[Diet] = field(repr=False)
    explicit: bool


class MyData:
    """follows: another gateway of the ship is the authority, where guests are kept."""

    def __init__(self, store: Store, clock: Clock, follows: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._follows = follows

    async def held(self, ref: GuestRef) -> Held:
        """Raises NotFound. It leaves no row in the look-up log: nobody else looks."""
        now_s = self._clock.now().unix_s
        return await self._store.write(lambda tx: _held(tx, ref, now_s))

    async def language(self, ref: GuestRef) -> str:
        """The tag that their profile names; empty if there is none."""
        look = own_look(ref, {Field.LANGUAGE}, self._clock.now().unix_s)
        return await self._store.write(lambda tx: tx.disclose(look).language or "")

    async def photo(self, ref: GuestRef) -> Photo:
        """Raises NotFound."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Photo:
            guest_in(tx, ref)
            photo = tx.disclose(own_look(ref, {Field.PHOTO}, now_s)).photo
            if photo is None:
                raise NotFound("photo of", ref)
            return photo

        return await self._store.write(work)

    async def remove_photo(self, ref: GuestRef) -> None:
        """Crew look at the guest instead. Idempotent. Raises NotFound, Refused authority_only."""
        now_s = self._now_here()

        def work(tx: Tx) -> None:
            guest_in(tx, ref)
            if tx.photo_hash(ref) is not None:
                tx.drop_photo(ref)
                tx.put_own_words(ref, now_s)
                tx.append_event(fact(EventType.PROFILE_SET, now_s, guest=ref, fields="photo", by=BY_GUEST))

        await self._store.write(work)

    async def remove_note(self, ref: GuestRef, note_id: NoteId) -> None:
        """What crew wrote of this guest goes at once. Raises NotFound for another's note, Refused authority_only."""
        now_s = self._now_here()

        def work(tx: Tx) -> None:
            note = tx.note_place(note_id)
            if note is None or note.guest != ref:
                raise NotFound("note", note_id)
            tx.drop_note(note_id)
            tx.append_event(note_fact(EventType.NOTE_REMOVED, note, note.outlet, BY_GUEST, now_s))

        await self._store.write(work)

    async def correct(self, ref: GuestRef, correction: Correction) -> tuple[str, ...]:
        """Write down what the guest says, and let no list write over it again. Returns which fields changed.

        What a child cannot eat is an adult's to say. Raises NotFound, Refused (authority_only, no_profile,
        profile_invalid, child_health, explicit_needed).
        """
        now_s = self._now_here()
        allergies, diet = tuple(sorted(set(correction.allergies))), tuple(sorted(set(correction.diet)))

        def work(tx: Tx) -> tuple[str, ...]:
            guest = guest_in(tx, ref)
            known = _profile(tx, ref, now_s)
            new = replace(
                known,
                preferred_name=correction.preferred_name,
                language=correction.language,
                allergies=allergies,
                diet=diet,
            )
            if (problem := profile_problem(new)) is not None:
                raise Refused("profile_invalid", problem)
            changed = _changed(known, new)
            if not changed:
                return ()
            if guest.child and not _HEALTH.isdisjoint(changed):
                raise Refused("child_health", "an adult says at the desk what a child does not eat")
            _check_explicit(known, new, correction.explicit)
            tx.put_profile(new)
            tx.put_own_words(ref, now_s)
            fields, agreed = " ".join(changed), correction.explicit
            tx.append_event(fact(EventType.PROFILE_SET, now_s, guest=ref, fields=fields, by=BY_GUEST, explicit=agreed))
            return changed

        return await self._store.write(work)

    def _now_here(self) -> int:
        if self._follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: do it there")
        return self._clock.now().unix_s


def _held(tx: Tx, ref: GuestRef, now_s: int) -> Held:
    guest = guest_in(tx, ref)
    return Held(
        guest=guest,
        shown=tx.disclose(own_look(ref, _PERSON, now_s)),
        has_profile=tx.has_profile(ref),
        has_photo=tx.photo_hash(ref) is not None,
        bands=tx.bands_of(ref),
        consents=tx.consents_of(ref),
        consent_words=len(tx.consent_history(ref, COUNTED_MAX)),
        company=tx.company(ref),
        switches=len(tx.switch_history(ref, COUNTED_MAX)),
        offers=list(reversed(tx.last_offers_of(ref, OFFERS_SHOWN))),
        charges=len(tx.last_charges_of(ref, COUNTED_MAX)),
        balance_minor=tx.balance(guest_account(ref)),
        looks=len(tx.look_ups_of(ref, COUNTED_MAX)),
        phones=len(tx.phones_of(ref)),
        presence=tx.presence(ref),
        requests=len(tx.requests_of(ref, COUNTED_MAX)),
        objection_s=tx.browser_objection(ref),
        own_words_s=tx.own_words(ref),
    )


def _profile(tx: Tx, ref: GuestRef, now_s: int) -> Profile:
    """As it stands. Raises Refused no_profile: without the name on the booking there is nothing to correct."""
    shown = tx.disclose(own_look(ref, _PERSON, now_s))
    if shown.full_name is None or shown.preferred_name is None or shown.language is None:
        raise Refused("no_profile", "nothing is written down of this guest yet: the desk can do it")
    return Profile(ref, shown.preferred_name, shown.full_name, shown.language, shown.allergies or (), shown.diet or ())


def _changed(known: Profile, new: Profile) -> tuple[str, ...]:
    pairs: Mapping[str, tuple[object, object]] = {
        "allergies": (known.allergies, new.allergies),
        "diet": (known.diet, new.diet),
        "language": (known.language, new.language),
        "preferred_name": (known.preferred_name, new.preferred_name),
    }
    return tuple(name for name, (old, now) in pairs.items() if old != now)


def _check_explicit(known: Profile, new: Profile, explicit: bool) -> None:
    """Raises Refused. What implies health or belief is added in so many words; taking it away needs none."""
    added = {*new.allergies, *new.diet} - {*known.allergies, *known.diet}
    if added and not explicit:
        raise Refused("explicit_needed", "allergies and diet are kept only if the guest agrees to it in so many words")
