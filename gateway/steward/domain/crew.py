"""Crew at their handhelds: who may work in which role, and a session that ends by itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from steward.domain.guests import PinHash
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.outlets import Outlet
from steward.domain.viewing import CrewRole, Purpose, Viewer, permitted

PIN_FAILURES_MAX = 5
# Who handles money, breaks glass or reads the log of looks. The desk issues bands: could it appoint these as well, it
# would be all of them.
TRUSTED = frozenset({CrewRole.PURSER, CrewRole.SAFETY, CrewRole.PRIVACY_OFFICER})
SESSION_IDLE_S = 30 * 60
SESSION_S = 12 * 3600
CLOCK_BACK_S = 300  # a session from further in the future than this was made by another clock

SessionId = NewType("SessionId", str)  # SHA-256 of the cookie's secret, in hex: all that is ever stored of it
LoginId = NewType("LoginId", str)  # 32 hex digits, known to the handheld that began it


@dataclass(frozen=True, slots=True)
class CrewMember:
    """A checked-in crew member who may use a handheld. No outlets named: every outlet."""

    ref: GuestRef
    role: CrewRole
    outlets: tuple[OutletId, ...]
    pin: PinHash = field(repr=False)
    pin_failures: int = 0
    added_s: int = 0

    @property
    def locked(self) -> bool:
        return self.pin_failures >= PIN_FAILURES_MAX

    def works_at(self, outlet: OutletId) -> bool:
        return not self.outlets or outlet in self.outlets


@dataclass(frozen=True, slots=True)
class CrewSession:
    """One logged-in handheld. `outlet` and `purpose` are None until the shift is named."""

    id: SessionId = field(repr=False)
    crew: GuestRef
    role: CrewRole
    uid: Uid  # the band that was tapped,
    serial: int  # its serial
    deny_epoch: int  # and how far its token had outlived the deny list
    created_s: int
    seen_s: int
    outlet: OutletId | None = None
    purpose: Purpose | None = None


class LoginState(StrEnum):
    WAITING = "waiting"  # for a crew band at the station's reader
    QUEUED = "queued"  # as others wait there too: for its turn
    TAPPED = "tapped"  # for the PIN
    EXPIRED = "expired"


def is_alive(session: CrewSession, now_s: int) -> bool:
    """Neither idle for too long, nor too old, nor from a clock that has jumped back since."""
    idle_s, age_s = now_s - session.seen_s, now_s - session.created_s
    return -CLOCK_BACK_S <= age_s < SESSION_S and idle_s < SESSION_IDLE_S


def shift_problem(member: CrewMember, outlet: Outlet, purpose: Purpose) -> str | None:
    """Why this crew member may not work there for that; None if they may."""
    if not member.works_at(outlet.id):
        return f"this crew member does not work at {outlet.id}"
    if not permitted(member.role, purpose, outlet.kind):
        return f"{member.role} has no business with {purpose} at a {outlet.kind} outlet"
    return None


def shifts_of(member: CrewMember, outlets: Collection[Outlet]) -> list[tuple[Outlet, tuple[Purpose, ...]]]:
    """Where this crew member may work, and for what; outlets where there is nothing to do are left out."""
    found = []
    for outlet in outlets:
        purposes = tuple(p for p in Purpose if shift_problem(member, outlet, p) is None)
        if purposes:
            found.append((outlet, purposes))
    return found


def viewer_at(session: CrewSession, outlet: Outlet, purpose: Purpose) -> Viewer:
    return Viewer(session.crew, session.role, outlet.id, outlet.kind, purpose)
