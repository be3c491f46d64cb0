"""Who may see what of a guest, for what, as the register of use cases says, and the record that every look leaves.

Default deny: a role, purpose and field that `usecases.toml` does not name together are not allowed. tests/unit/
test_viewing.py has the whole policy written out as one table, so that no change of the register goes unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import OutletKind
from steward.domain.policy import Policy, is_open
from steward.domain.policywords import DESK as DESK
from steward.domain.policywords import GUEST as GUEST
from steward.domain.policywords import ConsentPurpose
from steward.domain.policywords import CrewRole as CrewRole
from steward.domain.policywords import Field as Field
from steward.domain.policywords import Purpose as Purpose
from steward.domain.usecases import REGISTER

REASON_MAX = 200


class Way(StrEnum):
    """How the viewer came to the guest."""

    OPENED = "opened"  # by reference: from a list or a link
    TAPPED = "tapped"  # the guest had just tapped there
    BY_NAME = "by_name"  # searched for
    BY_CABIN = "by_cabin"  # the viewer had the number, whether or not they may be shown it
    BROKE_GLASS = "broke_glass"  # an emergency, with a reason


HEALTH = REGISTER.special_fields  # special category: may imply health or belief

_POLICY = Policy.of(REGISTER)


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
    """One look at one guest. `seq` is given by the store, 0 before. `reason`: of a broken glass and no other.

    gateway: where it was made, if that was another gateway, which keeps the reason. Empty: here.
    """

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
    gateway: str = ""

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.actor, self.role, self.outlet, self.outlet_kind, self.purpose)

    @property
    def tapped(self) -> bool:
        return self.way is Way.TAPPED

    @property
    def broke_glass(self) -> bool:
        return self.way is Way.BROKE_GLASS

    @property
    def own(self) -> bool:
        """Whether guests look at what is held of themselves: that is no look of somebody else's, and is not logged."""
        return self.role == GUEST and self.purpose is Purpose.OWN_DATA


def permitted(role: str, purpose: Purpose, outlet_kind: OutletKind) -> frozenset[Field]:
    """What this role may see for this purpose at an outlet of this kind. Empty: nothing at all."""
    return frozenset(_POLICY.fields(role, purpose, outlet_kind))


def purposes_of(role: str) -> frozenset[Purpose]:
    """What this role may work for, at one kind of outlet or another."""
    return _POLICY.purposes_of(role)


def break_glass_fields(role: str) -> frozenset[Field]:
    """What a stated emergency opens to this role."""
    return frozenset(_POLICY.broken_glass.get(role, ()))


def withheld(look: LookUp, given: Collection[ConsentPurpose]) -> frozenset[Field]:
    """What a look names that the policy shows only with consent, and the guest has not agreed to.

    Safety asks nobody: its basis is a vital interest.
    """
    opened = _POLICY.fields(look.role, look.purpose, look.outlet_kind)
    emergency = _POLICY.broken_glass.get(look.role, {}) if look.broke_glass else {}
    return frozenset(
        field
        for field in look.fields & opened.keys()
        if not is_open(opened[field] | emergency.get(field, frozenset()), given)
    )


def is_governed(fields: Collection[Field]) -> bool:
    """Whether any of these fields is shown to anybody only with consent."""
    return not _POLICY.governed.isdisjoint(fields)


def allowed(viewer: Viewer) -> frozenset[Field]:
    return permitted(viewer.role, viewer.purpose, viewer.outlet_kind)


def own_actor(guest: GuestRef) -> str:
    """The actor of a guest's look at their own data."""
    return f"guest:{guest}"


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
    if look.own and look.actor != own_actor(look.guest):
        return "guests see what is held of themselves, and of nobody else"
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
