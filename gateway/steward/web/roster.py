"""Calls about the crew: who has which role at a handheld. Names nobody: crew are references, as guests are."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from steward.domain.crew import CrewMember
from steward.domain.ids import GuestRef, OutletId
from steward.domain.viewing import CrewRole
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.roles import Role
from steward.web.schemas import Body, Outlet, Pin, RefPath

_DESK = frozenset({Role.DESK})
_UNLOCKERS = frozenset({Role.DESK, Role.PURSER})
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
        refused = {409: "Not checked in as crew, or an outlet that the settings do not name."}
        return [
            Endpoint("GET", _CREW, _UNLOCKERS, self.list_crew, "Who has a role", "crew"),
            Endpoint(
                "PUT", _MEMBER, _DESK, self.put_crew, "Give a crew member a role", "crew", problems=missing | refused
            ),
            Endpoint("DELETE", _MEMBER, _DESK, self.remove_crew, "Take the role away", "crew", 204, missing),
            Endpoint("POST", _MEMBER + "/unlock", _UNLOCKERS, self.unlock_crew, "Unlock a PIN", "crew", 200, missing),
        ]

    async def list_crew(self) -> RosterView:
        """Everybody who may log in at a handheld, by reference."""
        return RosterView(crew=[CrewView.of(member) for member in await self._crew.members()])

    async def put_crew(self, ref: RefPath, body: CrewBody, caller: Caller) -> CrewView:
        """For a guest who was checked in with `crew`. Sent again it changes role, outlets and PIN, unlocks, and ends
        the sessions there are. Logging in takes the crew band and this PIN.
        """
        outlets = [OutletId(outlet) for outlet in body.outlets]
        return CrewView.of(await self._crew.add(GuestRef(ref), body.role, outlets, body.pin, f"token:{caller.id}"))

    async def remove_crew(self, ref: RefPath, caller: Caller) -> None:
        """Ends the sessions at once. The band stays as it is: freeze it too if it is lost."""
        await self._crew.remove(GuestRef(ref), f"token:{caller.id}")

    async def unlock_crew(self, ref: RefPath, caller: Caller) -> CrewView:
        """After too many wrong PINs. The PIN stays as it was."""
        return CrewView.of(await self._crew.unlock(GuestRef(ref), f"token:{caller.id}"))
