"""What guests agree to, purpose by purpose; which word counts; and what each purpose governs. Pure.

Default deny: what nobody has said yes to is not done. Purposes whose legal basis is something else need no consent and
are not here: keys, payment, muster, and allergies and diet where food is served or a stop must hold.

The last word counts, by time. In doubt it is no: a withdrawal wins a tie, and wins against a yes that is dated after
now, which only a clock that was wrong can have written. What comes from ashore is never dated after now; what is said
aboard is the guest's word at this moment, and always counts. So one gateway of a ship, the authority, orders them.

Suggestions come in three degrees. Given: the guest's own history may choose among what is offered. Never asked: what is
popular at the outlet, the same for everybody; own history holds back (a refusal, the day's limit), never chooses.
Withdrawn, also without having been given before: an objection, and nothing is offered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from steward.domain.ids import GuestRef
from steward.domain.viewing import Field, LookUp, Purpose


class ConsentPurpose(StrEnum):
    """What a guest is asked for. Stable codes, on the wire and in the store."""

    PERSONAL_SERVICE = "personal_service"  # crew's notes of what the guest likes
    SUGGESTIONS = "suggestions"  # own history chooses what is offered
    PHOTO = "photo"  # shown to crew
    PRESENCE = "presence"  # where the guest was seen last
    ANALYTICS_ASHORE = "analytics_ashore"


class Source(StrEnum):
    ABOARD = "aboard"
    SHORE = "shore"


@dataclass(frozen=True, slots=True)
class Consent:
    """The word of one guest on one purpose. version: counts the changes of it, from 1."""

    guest: GuestRef
    purpose: ConsentPurpose
    given: bool
    at_s: int
    source: Source
    version: int


# What a look may show only with consent.
_GOVERNED: Mapping[Field, ConsentPurpose] = MappingProxyType(
    {Field.PHOTO: ConsentPurpose.PHOTO, Field.NOTES: ConsentPurpose.PERSONAL_SERVICE}
)


def said_aboard(
    known: Consent | None, ref: GuestRef, purpose: ConsentPurpose, given: bool, now_s: int
) -> Consent | None:
    """The guest's word now, dated after every earlier one whatever the clock says. None: it changes nothing."""
    if known is None:
        return Consent(ref, purpose, given, now_s, Source.ABOARD, 1)
    if known.given == given:
        return None
    return Consent(ref, purpose, given, max(now_s, known.at_s + 1), Source.ABOARD, known.version + 1)


def told_by_shore(
    known: Consent | None, ref: GuestRef, purpose: ConsentPurpose, given: bool, at_s: int, now_s: int
) -> Consent | None:
    """A word said ashore at `at_s`. None: it changes nothing, or a later one is known."""
    at_s = min(at_s, now_s)
    if known is None:
        return Consent(ref, purpose, given, at_s, Source.SHORE, 1)
    if known.at_s > now_s and not given:
        at_s = known.at_s
    told = Consent(ref, purpose, given, at_s, Source.SHORE, known.version + 1)
    return told if known.given != given and is_later(told, known) else None


def is_later(told: Consent, known: Consent | None) -> bool:
    """Whether `told` counts before `known`, of the same guest and purpose."""
    return known is None or (told.at_s, not told.given) > (known.at_s, not known.given)


def purposes_given(consents: Iterable[Consent]) -> frozenset[ConsentPurpose]:
    return frozenset(consent.purpose for consent in consents if consent.given)


def is_governed(fields: Collection[Field]) -> bool:
    """Whether any of these fields is shown only with consent."""
    return not _GOVERNED.keys().isdisjoint(fields)


def withheld(look: LookUp, given: Collection[ConsentPurpose]) -> frozenset[Field]:
    """What this look names and the guest has not agreed to. Safety asks nobody: its basis is a vital interest."""
    if look.purpose is Purpose.SAFETY or look.broke_glass:
        return frozenset()
    return frozenset(field for field in look.fields if field in _GOVERNED and _GOVERNED[field] not in given)


def no_offers(consents: Iterable[Consent], *, child: bool) -> bool:
    """Whether nothing may be suggested: after a no; and to a child, unless a parent said yes."""
    said = {consent.given for consent in consents if consent.purpose is ConsentPurpose.SUGGESTIONS}
    return False in said or (child and True not in said)
