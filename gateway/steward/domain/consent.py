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

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from steward.domain.ids import GuestRef
from steward.domain.policywords import ConsentPurpose as ConsentPurpose
from steward.domain.viewing import is_governed as is_governed
from steward.domain.viewing import withheld as withheld


class Source(StrEnum):
    ABOARD = "aboard"
    SHORE = "shore"


class Said(StrEnum):
    """In which way a word of consent was said."""

    PAGE = "page"  # by the guest, on their own page
    PARENT = "parent"  # for a child, by an adult of the same booking
    DESK = "desk"
    LIST = "list"  # with the booking: the list of who comes aboard had it
    SHORE = "shore"
    BROWSER = "browser"  # Sec-GPC: nothing is to be shared


@dataclass(frozen=True, slots=True)
class Basis:
    """What stood behind one word. notice: SHA-256 in hex of what the guest was told of the purpose at that time."""

    guest: GuestRef
    purpose: ConsentPurpose
    version: int
    notice: str
    way: Said


@dataclass(frozen=True, slots=True)
class Consent:
    """The word of one guest on one purpose. version: counts the changes of it, from 1."""

    guest: GuestRef
    purpose: ConsentPurpose
    given: bool
    at_s: int
    source: Source
    version: int


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


def no_offers(consents: Iterable[Consent], *, child: bool) -> bool:
    """Whether nothing may be suggested: after a no; and to a child, unless a parent said yes."""
    said = {consent.given for consent in consents if consent.purpose is ConsentPurpose.SUGGESTIONS}
    return False in said or (child and True not in said)
