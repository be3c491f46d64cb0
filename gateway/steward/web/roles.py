"""Who may call: roles, and what a token stands for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from steward.domain.ids import GuestRef


class Role(StrEnum):
    """What a token is for. Each route names the roles that may use it; nobody else may."""

    TILL = "till"  # one till: asks for charges, and sees its own only
    DESK = "desk"  # check-in, bands, PINs
    PURSER = "purser"  # money after the charge, evidence
    MONITOR = "monitor"  # figures and readers, no guests
    ADMIN = "admin"  # appoints pursers, safety and privacy officers; no guests, no bands, no money
    AUDITOR = "auditor"  # the event log as it goes ashore, for programs that compare; no person works with it


EVERY_ROLE = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a token. `till` is set for the role till and no other.

    crew: the purser whose token it is; None: a program's, which is no person.
    """

    id: str
    role: Role
    till: str | None = None
    crew: GuestRef | None = None
