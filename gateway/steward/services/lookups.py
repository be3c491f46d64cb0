"""Looking at a guest: every way in, and each leaves its row in the log in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from steward.domain.care import Case, Note
from steward.domain.consent import is_governed, no_offers, purposes_given, withheld
from steward.domain.events import EventType, fact
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.domain.profiles import SEARCH_QUERY_MAX, SEARCH_QUERY_MIN, AgeGroup, Allergen, Diet, Disclosed, Photo
from steward.domain.viewing import (
    REASON_MAX,
    Field,
    LookUp,
    Purpose,
    Viewer,
    Way,
    allowed,
    break_glass_fields,
    look_at,
    look_up_problem,
)
from steward.errors import NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services.feed import TapFeed

T = TypeVar("T")

HITS_MAX = 20
LOG_PAGE_MAX = 200
GUESTS_AT_ONCE_MAX = 200
NOT_PERMITTED = "not_permitted"
NO_CONSENT = "no_consent"
AFTERWARDS = frozenset({Purpose.BILLING, Purpose.SAFETY, Purpose.PRIVACY})  # what goes on when a guest has left
CARD_FIELDS = frozenset(
    {
        Field.PREFERRED_NAME,
        Field.FULL_NAME,
        Field.LANGUAGE,
        Field.CABIN,
        Field.AGE_GROUP,
        Field.ALLERGIES,
        Field.DIET,
        Field.NOTES,
        Field.RECOVERY,
    }
)


@dataclass(frozen=True, slots=True)
class GuestCard:
    """What a handheld shows. None: not for these eyes, or not known. `has_photo`: it may be asked for by itself."""

    ref: GuestRef
    look: LookUp
    preferred_name: str | None = field(repr=False)
    full_name: str | None = field(repr=False)
    language: str | None = field(repr=False)
    cabins: tuple[int, ...] = field(repr=False)
    age_group: AgeGroup | None = field(repr=False)
    allergies: tuple[Allergen, ...] | None = field(repr=False)
    diet: tuple[Diet, ...] | None = field(repr=False)
    notes: tuple[Note, ...] = field(repr=False)
    cases: tuple[Case, ...] = field(repr=False)
    has_photo: bool
    withheld: frozenset[Field]  # what this viewer could see had the guest agreed, or not objected, to it


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One guest found. Which of these are shown depends on who asks."""

    ref: GuestRef
    preferred_name: str | None = field(repr=False)
    full_name: str | None = field(repr=False)
    cabins: tuple[int, ...] = field(repr=False)
    has_photo: bool


class LookupService:
    def __init__(self, store: Store, clock: Clock, feed: TapFeed) -> None:
        self._store = store
        self._clock = clock
        self._feed = feed

    async def card(self, viewer: Viewer, ref: GuestRef, tapped: bool) -> GuestCard:
        """The guest as this viewer may see them. `tapped` is only believed if the guest did tap at the outlet.

        Raises NotFound, and Refused not_permitted if there is nothing this viewer may see.
        """
        now_s = self._clock.now().unix_s
        here = tapped and self._feed.is_here(viewer.outlet, ref, now_s)
        look = look_at(viewer, ref, allowed(viewer) & CARD_FIELDS, now_s, way=Way.TAPPED if here else Way.OPENED)
        check_look(look)

        def work(tx: Tx) -> GuestCard:
            self._check_aboard(tx, look)
            return _card(tx, look, show_photo=Field.PHOTO in allowed(viewer))

        return await self._store.write(work)

    async def break_glass(self, viewer: Viewer, ref: GuestRef, reason: str) -> GuestCard:
        """More than the purpose allows, in an emergency, for safety. The privacy officer sees it with its reason."""
        if not 0 < len(reason.strip()) <= REASON_MAX or not reason.isprintable():
            raise Refused("reason_invalid", f"say why in 1 to {REASON_MAX} characters, on one line")
        look = look_at(
            viewer,
            ref,
            break_glass_fields(viewer.role) & CARD_FIELDS,
            self._clock.now().unix_s,
            way=Way.BROKE_GLASS,
            reason=reason.strip(),
        )
        check_look(look)

        def work(tx: Tx) -> GuestCard:
            card = _card(tx, look, show_photo=True)
            tx.append_event(
                fact(
                    EventType.BREAK_GLASS,
                    look.at_s,
                    look=card.look.seq,
                    actor=look.actor,
                    outlet=look.outlet,
                    guest=ref,
                )
            )
            return card

        return await self._store.write(work)

    async def photo(self, viewer: Viewer, ref: GuestRef) -> Photo:
        """Raises NotFound if there is none, Refused (not_permitted, no_consent)."""
        look = look_at(viewer, ref, {Field.PHOTO}, self._clock.now().unix_s)
        check_look(look)

        def work(tx: Tx) -> Photo:
            self._check_aboard(tx, look)
            if withheld_in(tx, look):
                raise Refused(NO_CONSENT, "the guest has not agreed that crew see the photo")
            photo = tx.disclose(look).photo
            if photo is None:
                raise NotFound("photo of guest", ref)
            return photo

        return await self._store.write(work)

    def _check_aboard(self, tx: Tx, look: LookUp) -> None:
        """Who has left is nobody's guest any more, unless there is money, safety or privacy to settle; crew never were.

        Raises NotFound. A clock that is not believed hides nobody: what a guest cannot eat must stay to be seen.
        """
        guest = guest_in(tx, look.guest)
        left = self._clock.now().trusted and look.at_s >= guest.not_after_s
        if look.purpose not in AFTERWARDS and (left or guest.crew):
            raise NotFound("guest", look.guest)

    async def search(self, viewer: Viewer, query: str) -> list[SearchHit]:
        """Guests aboard by the beginning of a name, or by cabin number; at most HITS_MAX.

        Raises Refused query_invalid or not_permitted.
        """
        text = query.strip()
        if not SEARCH_QUERY_MIN <= len(text) <= SEARCH_QUERY_MAX:
            problem = f"give {SEARCH_QUERY_MIN} to {SEARCH_QUERY_MAX} characters of a name, or a cabin number"
            raise Refused("query_invalid", problem)
        if Field.PREFERRED_NAME not in allowed(viewer) and Field.FULL_NAME not in allowed(viewer):
            raise Refused(NOT_PERMITTED, f"{viewer.role} does not look guests up for {viewer.purpose}")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> list[SearchHit]:
            return [_hit(tx, found) for found in tx.search(viewer, text, now_s, HITS_MAX)]

        return await self._store.write(work)

    async def read_as(
        self,
        viewer: Viewer,
        guest: GuestRef | Callable[[Tx], GuestRef | None],
        fields: Iterable[Field],
        work: Callable[[Tx], T],
    ) -> T:
        """What `work` reads of this guest, and the look-up of it, in one transaction.

        guest: or what finds it in that transaction; None: what is read is no guest's. If `work` raises, nothing was
        shown and nothing is logged. Raises Refused not_permitted before anything is read.
        """
        look = look_at(viewer, GuestRef(""), fields, self._clock.now().unix_s)
        check_look(look)

        def both(tx: Tx) -> T:
            result = work(tx)
            ref = guest(tx) if callable(guest) else guest
            if ref is not None:
                tx.log_look_up(look_at(viewer, ref, look.fields, look.at_s))
            return result

        return await self._store.write(both)

    async def read_each(
        self, viewer: Viewer, fields: Iterable[Field], work: Callable[[Tx], tuple[T, Collection[GuestRef]]]
    ) -> T:
        """As `read_as`, for a list of several guests: one look-up for each of those that `work` names."""
        look = look_at(viewer, GuestRef(""), fields, self._clock.now().unix_s)
        check_look(look)

        def both(tx: Tx) -> T:
            result, refs = work(tx)
            shown = sorted(set(refs))
            if len(shown) > GUESTS_AT_ONCE_MAX:
                raise Refused("too_many_guests", f"at most {GUESTS_AT_ONCE_MAX} guests are listed at once: narrow it")
            for ref in shown:
                tx.log_look_up(look_at(viewer, ref, look.fields, look.at_s))
            return result

        return await self._store.write(both)

    async def disclose_as(
        self,
        viewer: Viewer,
        guest: GuestRef | Callable[[Tx], GuestRef],
        fields: Iterable[Field],
        work: Callable[[Tx, Disclosed], T],
    ) -> T:
        """As `read_as`, and `work` is handed what the look itself shows: the names, the cases."""
        look = look_at(viewer, GuestRef(""), fields, self._clock.now().unix_s)
        check_look(look)

        def both(tx: Tx) -> T:
            ref = guest(tx) if callable(guest) else guest
            guest_in(tx, ref)
            return work(tx, tx.disclose(agreed(tx, replace(look, guest=ref))))

        return await self._store.write(both)

    async def disclose_each(
        self, viewer: Viewer, refs: Sequence[GuestRef], fields: Iterable[Field], work: Callable[[Tx, Disclosed], T]
    ) -> list[T]:
        """As `disclose_as`, for each guest of a list, in one transaction."""
        look = look_at(viewer, GuestRef(""), fields, self._clock.now().unix_s)
        check_look(look)
        if len(refs) > GUESTS_AT_ONCE_MAX:
            raise Refused("too_many_guests", f"at most {GUESTS_AT_ONCE_MAX} guests are listed at once: narrow it")
        looks = [replace(look, guest=ref) for ref in refs]
        return await self._store.write(lambda tx: [work(tx, tx.disclose(agreed(tx, look))) for look in looks])

    async def log_of(self, ref: GuestRef, limit: int = LOG_PAGE_MAX) -> Sequence[LookUp]:
        """Who looked at this guest, newest first: for the guest and the privacy officer."""
        return await self._store.read(lambda tx: tx.look_ups_of(ref, min(limit, LOG_PAGE_MAX)))

    async def log_page(self, after: int, limit: int = LOG_PAGE_MAX) -> Sequence[LookUp]:
        """The log from `after` on, oldest first: for the privacy officer."""
        return await self._store.read(lambda tx: tx.look_ups(after, min(limit, LOG_PAGE_MAX)))


def check_look(look: LookUp) -> None:
    """Raises Refused not_permitted if the policy forbids this look. Nothing has been read yet."""
    if (problem := look_up_problem(look)) is not None:
        raise Refused(NOT_PERMITTED, problem)


def withheld_in(tx: Tx, look: LookUp) -> frozenset[Field]:
    """What of this look the guest has not agreed to, as it stands in this transaction."""
    if not is_governed(look.fields):
        return frozenset()
    return withheld(look, purposes_given(tx.consents_of(look.guest)))


def agreed(tx: Tx, look: LookUp) -> LookUp:
    """The look without what the guest has not agreed to: what is shown and logged."""
    return replace(look, fields=look.fields - withheld_in(tx, look))


def guest_in(tx: Tx, ref: GuestRef) -> Guest:
    """Raises NotFound."""
    guest = tx.guest(ref)
    if guest is None:
        raise NotFound("guest", ref)
    return guest


def _card(tx: Tx, look: LookUp, *, show_photo: bool) -> GuestCard:
    guest = guest_in(tx, look.guest)
    kept = withheld_in(tx, replace(look, fields=look.fields | ({Field.PHOTO} if show_photo else set())))
    offers_stopped = no_offers(tx.consents_of(look.guest), child=guest.child)
    shown = tx.disclose(replace(look, fields=look.fields - kept))
    return GuestCard(
        ref=guest.ref,
        look=shown.look,
        preferred_name=shown.preferred_name,
        full_name=shown.full_name,
        language=shown.language,
        cabins=_cabins(guest, look),
        age_group=age_group(guest) if Field.AGE_GROUP in look.fields else None,
        allergies=shown.allergies,
        diet=shown.diet,
        notes=shown.notes,
        cases=shown.cases,
        has_photo=show_photo and Field.PHOTO not in kept and tx.photo_hash(guest.ref) is not None,
        withheld=kept | (allowed(look.viewer) & {Field.SUGGESTIONS} if offers_stopped else frozenset()),
    )


def _hit(tx: Tx, found: Disclosed) -> SearchHit:
    guest = guest_in(tx, found.look.guest)
    photo = replace(found.look, fields=frozenset({Field.PHOTO}) & allowed(found.look.viewer))
    has_photo = bool(agreed(tx, photo).fields) and tx.photo_hash(guest.ref) is not None
    return SearchHit(guest.ref, found.preferred_name, found.full_name, _cabins(guest, found.look), has_photo)


def _cabins(guest: Guest, look: LookUp) -> tuple[int, ...]:
    return tuple(stay.cabin for stay in guest.cabins) if Field.CABIN in look.fields else ()


def age_group(guest: Guest) -> AgeGroup:
    return AgeGroup.CHILD if guest.child else AgeGroup.ADULT
