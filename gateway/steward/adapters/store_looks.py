"""What every store checks and records around a look at a guest, so that none can forget it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from steward.adapters.store_items import words
from steward.domain.care import Case, Note, is_text
from steward.domain.catalogue import Catalogue, catalogue_problem
from steward.domain.consent import Consent, is_governed, purposes_given, withheld
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.ids import GuestRef
from steward.domain.offers import Offer, OfferState
from steward.domain.profiles import SEARCH_WORDS_MAX, Photo, Profile, folded_words, photo_problem, profile_problem
from steward.domain.viewing import Field, LookUp, Viewer, Way, allowed, look_at, look_up_problem

SEARCH_FIELDS = frozenset({Field.PREFERRED_NAME, Field.FULL_NAME, Field.CABIN})


def check_look_up(look: LookUp, consents_of: Callable[[GuestRef], Iterable[Consent]]) -> None:
    """Raises ValueError: the policy or the guest forbids it. Services have asked before; this is for who forgot."""
    if not look.guest:
        raise ValueError("a look-up names a guest")
    if (problem := look_up_problem(look)) is not None:
        raise ValueError(problem)
    if is_governed(look.fields) and (kept := withheld(look, purposes_given(consents_of(look.guest)))):
        raise ValueError(f"the guest has not agreed that {', '.join(sorted(kept))} be shown")


def check_profile(profile: Profile) -> None:
    """Raises ValueError."""
    if (problem := profile_problem(profile)) is not None:
        raise ValueError(problem)


def check_photo(photo: Photo) -> None:
    """Raises ValueError."""
    if (problem := photo_problem(photo)) is not None:
        raise ValueError(problem)


def check_note(note: Note) -> None:
    """Raises ValueError."""
    if not is_text(note.text):
        raise ValueError("this is no text of a note")


def check_case(case: Case) -> None:
    """Raises ValueError."""
    if not is_text(case.what) or not case.is_open:
        raise ValueError("a new case is open and says what went wrong")


def check_catalogue(catalogue: Catalogue) -> None:
    """Raises ValueError."""
    if (problem := catalogue_problem(catalogue)) is not None:
        raise ValueError(problem)


def check_offer(offer: Offer) -> None:
    """Raises ValueError."""
    if offer.liked_s is not None and offer.state is not OfferState.ACCEPTED:
        raise ValueError("offer: only what was accepted can be liked")


def check_peer_look(look: LookUp) -> None:
    """Raises ValueError."""
    if not look.gateway or not look.guest or not look.fields or look.own or look.reason:
        raise ValueError("a look of another gateway names it, a guest and fields, and its reason stays there")


def look_up_event(look: LookUp, leaf: bytes | None) -> NewEvent:
    """The look as the guest, the ship's authority and the shore hear of it. The reason is free text: it stays here.

    leaf: its hash in the tree; None while older rows wait for theirs.
    """
    return fact(
        EventType.LOOKED_UP,
        look.at_s,
        look=look.seq,
        actor=look.actor,
        role=look.role,
        outlet=look.outlet,
        purpose=look.purpose.value,
        guest=look.guest,
        fields=words(look.fields),
        way=look.way.value,
        kind=look.outlet_kind.value,
        leaf=leaf,
    )


def searched_cabin(query: str) -> int | None:
    """The cabin that a query of digits alone asks for."""
    return int(query) if query.isascii() and query.isdecimal() and len(query) <= 5 else None


def searched_words(query: str) -> tuple[str, ...]:
    """Beginnings of words, all of which a name must have; none: nothing is found."""
    return folded_words(query)[:SEARCH_WORDS_MAX]


def hit_looks(viewer: Viewer, way: Way, refs: Iterable[GuestRef], at_s: int) -> list[LookUp]:
    """The looks that showing these hits will be."""
    fields = allowed(viewer) & SEARCH_FIELDS
    return [look_at(viewer, ref, fields, at_s, way=way) for ref in refs]
