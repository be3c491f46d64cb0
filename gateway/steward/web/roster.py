"""Calls about the crew: who has which role at a handheld. Names nobody: crew are references, as guests are."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from steward.domain.approvals import TOKEN
from steward.domain.crew import CrewMember
from steward.domain.ids import GuestRef, OutletId
from steward.domain.viewing import CrewRole
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.roles import Principal, Role
from steward.web.schemas import Body, Outlet, Pin, RefPath

_APPOINTERS = frozenset({Role.DESK, Role.ADMIN})  # the desk only to roles without trust: services/crew.py
_EVERY = _APPOINTERS | {Role.PURSER}
_CREW, _MEMBER = "/v1/crew", "/v1/crew/{ref}"


class CrewBody(Body):
    """What a crew member may do at a handheld. No outlets: at every outlet."""

    role: Annotated[CrewRole, Field(strict=False, examples=["service"])]
    outlets: list[Outlet] = Field(default_factory=list, max_length=64)
    pin: Pin = Field(repr=False)


class CrewView(BaseModel):
    ref: str
    role: str
    outlets: list[str]
    locked: bool = Field(description="After too many wrong PINs.")
    added_s: int

    @classmethod
    def of(cls, member: CrewMember) -> CrewView:
        return cls(
            ref=member.ref,
            role=member.role.value,
            outlets=list(member.outlets),
            locked=member.locked,
            added_s=member.added_s,
        )


class RosterView(BaseModel):
    crew: list[CrewView]


class RosterApi:
    def __init__(self, services: Services) -> None:
        self._crew = services.crew

    def endpoints(self) -> list[Endpoint]:
        missing = {404: "No such crew member."}
        refused = {409: "Not checked in as crew, an unknown outlet, or a role that only an admin's token gives."}
        return [
            Endpoint("GET", _CREW, _EVERY, self.list_crew, "Who has a role", "crew"),
            *(
                Endpoint(method, path, roles, handler, summary, "crew", status, missing | refused)
                for method, path, roles, handler, summary, status in (
                    ("PUT", _MEMBER, _APPOINTERS, self.put_crew, "Give a crew member a role", 200),
                    ("DELETE", _MEMBER, _APPOINTERS, self.remove_crew, "Take the role away", 204),
                    ("POST", _MEMBER + "/unlock", _EVERY, self.unlock_crew, "Unlock a PIN", 200),
                )
            ),
        ]

    async def list_crew(self) -> RosterView:
        """Everybody who may log in at a handheld, by reference."""
        return RosterView(crew=[CrewView.of(member) for member in await self._crew.members()])

    async def put_crew(self, ref: RefPath, body: CrewBody, caller: Caller) -> CrewView:
        """For a guest who was checked in with `crew`. Sent again it changes role, outlets and PIN, unlocks, and ends
        the sessions there are. Logging in takes the crew band and this PIN. Pursers, safety and privacy officers are
        made, changed and removed with a token of role admin only: the desk could otherwise make itself one.
        """
        outlets = [OutletId(outlet) for outlet in body.outlets]
        by, appoints = _by(caller), _appoints(caller)
        return CrewView.of(await self._crew.add(GuestRef(ref), body.role, outlets, body.pin, by, may_appoint=appoints))

    async def remove_crew(self, ref: RefPath, caller: Caller) -> None:
        """Ends the sessions at once. The band stays as it is: freeze it too if it is lost."""
        await self._crew.remove(GuestRef(ref), _by(caller), may_appoint=_appoints(caller))

    async def unlock_crew(self, ref: RefPath, caller: Caller) -> CrewView:
        """After too many wrong PINs. The PIN stays as it was. Of pursers, safety and privacy officers: by an admin, or
        by another purser whom the token names.
        """
        appoints = _appoints(caller) or caller.crew is not None
        return CrewView.of(await self._crew.unlock(GuestRef(ref), _by(caller), may_appoint=appoints))


def _by(caller: Principal) -> str:
    return caller.crew or f"{TOKEN}{caller.id}"


def _appoints(caller: Principal) -> bool:
    return caller.role is Role.ADMIN
