"""Who may see what of a guest, for what: the whole policy as one table, and the record that every look leaves.

Default deny: a role, purpose and field that are not written here together are not allowed. Allergies and diet are
shown only where food or drink is served, and to safety.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import OutletKind

REASON_MAX = 200


class CrewRole(StrEnum):
    SERVICE = "service"  # waiters, bar, shop, spa
    HOUSEKEEPING = "housekeeping"
    GUEST_SERVICES = "guest_services"
    PURSER = "purser"
    SAFETY = "safety"
    PRIVACY_OFFICER = "privacy_officer"


DESK = "desk"  # the role of the check-in desk's API token; the purser's is CrewRole.PURSER


class Purpose(StrEnum):
    FOOD_AND_DRINK = "food_and_drink"
    HOUSEKEEPING = "housekeeping"
    GUEST_SERVICES = "guest_services"
    EXCURSIONS = "excursions"
    BILLING = "billing"
    CHECK_IN = "check_in"
    SAFETY = "safety"
    PRIVACY = "privacy"


class Field(StrEnum):
    """What there is to see of a guest."""

    PHOTO = "photo"
    PREFERRED_NAME = "preferred_name"
    FULL_NAME = "full_name"
    LANGUAGE = "language"
    CABIN = "cabin"
    AGE_GROUP = "age_group"
    ALLERGIES = "allergies"
    DIET = "diet"
    NOTES = "notes"
    RECOVERY = "recovery"
    SUGGESTIONS = "suggestions"
    FOLIO = "folio"
    CHARGES = "charges"
    EVIDENCE = "evidence"
    BANDS = "bands"
    CONSENTS = "consents"


class Way(StrEnum):
    """How the viewer came to the guest."""

    OPENED = "opened"  # by reference: from a list or a link
    TAPPED = "tapped"  # the guest had just tapped there
    BY_NAME = "by_name"  # searched for
    BY_CABIN = "by_cabin"  # the viewer had the number, whether or not they may be shown it
    BROKE_GLASS = "broke_glass"  # an emergency, with a reason


HEALTH = frozenset({Field.ALLERGIES, Field.DIET})  # special category: may imply health or belief

_FACE = frozenset({Field.PHOTO, Field.PREFERRED_NAME, Field.LANGUAGE})
_SERVE = _FACE | {Field.AGE_GROUP, Field.NOTES, Field.RECOVERY, Field.SUGGESTIONS}
_KNOW = _FACE | {Field.FULL_NAME, Field.CABIN, Field.AGE_GROUP}
_HOST = _KNOW | {Field.NOTES, Field.RECOVERY, Field.SUGGESTIONS, Field.BANDS}
_MONEY = frozenset({Field.FOLIO, Field.CHARGES, Field.EVIDENCE, Field.BANDS})

_ALLOWED: Mapping[tuple[str, Purpose], frozenset[Field]] = MappingProxyType(
    {
        (CrewRole.SERVICE, Purpose.FOOD_AND_DRINK): _SERVE | HEALTH,
        (CrewRole.SERVICE, Purpose.GUEST_SERVICES): _SERVE,
        (CrewRole.SERVICE, Purpose.EXCURSIONS): _SERVE,
        (CrewRole.HOUSEKEEPING, Purpose.HOUSEKEEPING): frozenset(
            {Field.PREFERRED_NAME, Field.LANGUAGE, Field.CABIN, Field.NOTES, Field.RECOVERY}
        ),
        (CrewRole.GUEST_SERVICES, Purpose.GUEST_SERVICES): _HOST,
        (CrewRole.GUEST_SERVICES, Purpose.EXCURSIONS): _HOST - {Field.BANDS},
        (CrewRole.GUEST_SERVICES, Purpose.CHECK_IN): _KNOW | {Field.BANDS},
        (CrewRole.PURSER, Purpose.BILLING): _KNOW | _MONEY | {Field.NOTES, Field.RECOVERY},
        (CrewRole.PURSER, Purpose.GUEST_SERVICES): _HOST,
        (CrewRole.PURSER, Purpose.CHECK_IN): _KNOW | {Field.BANDS},
        (CrewRole.SAFETY, Purpose.SAFETY): _KNOW | HEALTH,
        (CrewRole.PRIVACY_OFFICER, Purpose.PRIVACY): frozenset({Field.FULL_NAME, Field.CABIN, Field.CONSENTS}),
        (DESK, Purpose.CHECK_IN): _KNOW | {Field.BANDS, Field.CONSENTS},
    }
)
# Serving food is a purpose only where food is served, and excursions are sold where excursions are sold.
_ONLY_AT: Mapping[Purpose, frozenset[OutletKind]] = MappingProxyType(
    {
        Purpose.FOOD_AND_DRINK: frozenset({OutletKind.FOOD_AND_DRINK}),
        Purpose.EXCURSIONS: frozenset({OutletKind.EXCURSIONS}),
        Purpose.HOUSEKEEPING: frozenset({OutletKind.SERVICE}),
        Purpose.BILLING: frozenset({OutletKind.SERVICE}),
        Purpose.CHECK_IN: frozenset({OutletKind.SERVICE}),
        Purpose.PRIVACY: frozenset({OutletKind.SERVICE}),
    }
)
# What safety sees beyond its ordinary card, when it gives a reason.
_BREAK_GLASS = _KNOW | HEALTH | {Field.NOTES, Field.RECOVERY, Field.BANDS}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks: the pseudonym of a crew member, or "token:<id>"; in which role, where, what for."""

    actor: str
    role: str
    outlet: OutletId
    outlet_kind: OutletKind
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class LookUp:
    """One look at one guest. `seq` is given by the store, 0 before. `reason`: of a broken glass and no other."""

    at_s: int
    actor: str
    role: str
    outlet: OutletId
    outlet_kind: OutletKind
    purpose: Purpose
    guest: GuestRef
    fields: frozenset[Field]
    way: Way = Way.OPENED
    reason: str = field(default="", repr=False)
    seq: int = 0

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.actor, self.role, self.outlet, self.outlet_kind, self.purpose)

    @property
    def tapped(self) -> bool:
        return self.way is Way.TAPPED

    @property
    def broke_glass(self) -> bool:
        return self.way is Way.BROKE_GLASS


def permitted(role: str, purpose: Purpose, outlet_kind: OutletKind) -> frozenset[Field]:
    """What this role may see for this purpose at an outlet of this kind. Empty: nothing at all."""
    if outlet_kind not in _ONLY_AT.get(purpose, frozenset(OutletKind)):
        return frozenset()
    return _ALLOWED.get((role, purpose), frozenset())


def purposes_of(role: str) -> frozenset[Purpose]:
    """What this role may work for, at one kind of outlet or another."""
    return frozenset(purpose for held, purpose in _ALLOWED if held == role)


def break_glass_fields(role: str) -> frozenset[Field]:
    """What a stated emergency opens to this role."""
    return _BREAK_GLASS if role == CrewRole.SAFETY else frozenset()


def allowed(viewer: Viewer) -> frozenset[Field]:
    return permitted(viewer.role, viewer.purpose, viewer.outlet_kind)


def look_at(
    viewer: Viewer, guest: GuestRef, fields: Iterable[Field], at_s: int, *, way: Way = Way.OPENED, reason: str = ""
) -> LookUp:
    """The record of a look that is about to be made."""
    return LookUp(
        at_s,
        viewer.actor,
        viewer.role,
        viewer.outlet,
        viewer.outlet_kind,
        viewer.purpose,
        guest,
        frozenset(fields),
        way,
        reason,
    )


def look_up_problem(look: LookUp) -> str | None:
    """Why the policy forbids this look; None if it may be made. The stores ask, whoever built the look."""
    if look.broke_glass and not break_glass_fields(look.role):
        return f"{look.role} does not break the glass: call safety"
    if not look.fields:
        return f"{look.role} may see nothing of a guest for {look.purpose} at a {look.outlet_kind} outlet"
    if look.broke_glass != bool(look.reason) or len(look.reason) > REASON_MAX:
        return f"an emergency has a reason of 1 to {REASON_MAX} characters, and nothing else has one"
    open_to = allowed(look.viewer)
    if look.broke_glass:
        open_to |= break_glass_fields(look.role)
    beyond = sorted(look.fields - open_to)
    if beyond:
        return f"{look.role} may not see {', '.join(beyond)} for {look.purpose} at a {look.outlet_kind} outlet"
    return None
