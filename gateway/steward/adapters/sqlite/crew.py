"""Crew members and their sessions: ports.service.CrewTx on crew_member and crew_session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.domain.crew import CrewMember, CrewSession, SessionId
from steward.domain.guests import PinHash
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.viewing import CrewRole, Purpose

_MEMBER = ("ref", "role", "outlets", "pin_salt", "pin_digest", "pin_failures", "added_s")
_BAND = ("uid", "serial", "deny_epoch")
_SESSION = ("id", "crew", "role", *_BAND, "created_s", "seen_s", "outlet", "purpose")

PUT_CREW = upsert("crew_member", ("ref",), _MEMBER[1:])
CREW = select(_MEMBER, "FROM crew_member WHERE ref = ?")
CREW_MEMBERS = select(_MEMBER, "FROM crew_member ORDER BY ref")
DROP_CREW = "DELETE FROM crew_member WHERE ref = ?"
PUT_SESSION = upsert("crew_session", ("id",), _SESSION[1:])
SESSION = select(_SESSION, "FROM crew_session WHERE id = ?")
SESSIONS_OF = select(_SESSION, "FROM crew_session WHERE crew = ? ORDER BY created_s, id")
DROP_SESSION = "DELETE FROM crew_session WHERE id = ?"
SWEEP_SESSIONS = "DELETE FROM crew_session WHERE seen_s <= ? OR created_s <= ? RETURNING id"


class CrewTx(Statements):
    def put_crew(self, member: CrewMember) -> None:
        pin = (member.pin.salt, member.pin.digest, member.pin_failures)
        self._change(PUT_CREW, (member.ref, member.role, " ".join(member.outlets), *pin, member.added_s))

    def crew(self, ref: GuestRef) -> CrewMember | None:
        row = self._one(CREW, (ref,))
        return None if row is None else _member(row)

    def crew_members(self) -> Sequence[CrewMember]:
        return [_member(row) for row in self._all(CREW_MEMBERS)]

    def drop_crew(self, ref: GuestRef) -> None:
        self._change(DROP_CREW, (ref,))

    def put_session(self, session: CrewSession) -> None:
        band = (session.uid, session.serial, session.deny_epoch)
        rest = (session.created_s, session.seen_s, session.outlet, session.purpose)
        self._change(PUT_SESSION, (session.id, session.crew, session.role, *band, *rest))

    def session(self, session: SessionId) -> CrewSession | None:
        row = self._one(SESSION, (session,))
        return None if row is None else _session(row)

    def sessions_of(self, ref: GuestRef) -> Sequence[CrewSession]:
        return [_session(row) for row in self._all(SESSIONS_OF, (ref,))]

    def drop_session(self, session: SessionId) -> None:
        self._change(DROP_SESSION, (session,))

    def sweep_sessions(self, seen_before_s: int, created_before_s: int) -> int:
        return len(self._change(SWEEP_SESSIONS, (seen_before_s, created_before_s)))


def _member(row: Sequence[Any]) -> CrewMember:
    ref, role, outlets, salt, digest, failures, added_s = row
    return CrewMember(
        GuestRef(ref),
        CrewRole(role),
        tuple(OutletId(outlet) for outlet in outlets.split()),
        PinHash(salt, digest),
        failures,
        added_s,
    )


def _session(row: Sequence[Any]) -> CrewSession:
    id_, crew, role, uid, serial, deny_epoch, created_s, seen_s, outlet, purpose = row
    return CrewSession(
        id=SessionId(id_),
        crew=GuestRef(crew),
        role=CrewRole(role),
        uid=Uid(uid),
        serial=serial,
        deny_epoch=deny_epoch,
        created_s=created_s,
        seen_s=seen_s,
        outlet=None if outlet is None else OutletId(outlet),
        purpose=None if purpose is None else Purpose(purpose),
    )
