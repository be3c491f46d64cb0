"""Calls about consent: what a guest agreed to at the desk, and the history of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from steward.domain.consent import Consent, ConsentPurpose
from steward.domain.ids import GuestRef
from steward.domain.viewing import Field as Seen
from steward.ports import Tx
from steward.services.lookups import guest_in
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.looking import Looking
from steward.web.roles import Role
from steward.web.schemas import Body, RefPath

HISTORY_MAX = 100
_DESK = frozenset({Role.DESK})
_PATH = "/v1/guests/{ref}/consents"


class ConsentsBody(Body):
    """What the guest says, by purpose: true for yes, false for no. Purposes that are not named stay as they are."""

    consents: Annotated[
        dict[Annotated[ConsentPurpose, Field(strict=False)], bool],
        Field(min_length=1, examples=[{"suggestions": True, "photo": False}]),
    ]
    said_by: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{16}$",
        description="Who says yes for a child: an adult of the same booking, by reference.",
    )


class ConsentView(BaseModel):
    purpose: str
    given: bool
    at_s: int
    source: str = Field(description="`aboard` or `shore`.")
    version: int = Field(description="Counts the changes, from 1.")

    @classmethod
    def of(cls, consent: Consent) -> ConsentView:
        return cls(
            purpose=consent.purpose.value,
            given=consent.given,
            at_s=consent.at_s,
            source=consent.source.value,
            version=consent.version,
        )


class ConsentsView(BaseModel):
    consents: list[ConsentView] = Field(description="A purpose that is not listed was never asked: it is not given.")
    history: list[ConsentView] = Field(description=f"Every word, newest first; at most {HISTORY_MAX}.")


class ConsentApi:
    def __init__(self, services: Services) -> None:
        self._consents = services.consents
        self._looking = Looking(services.lookups)

    def endpoints(self) -> list[Endpoint]:
        missing = {404: "No such guest."}
        elsewhere = {409: "It is for the ship's folio authority to keep, or a yes for a child lacks an adult's name."}
        return [
            Endpoint("GET", _PATH, _DESK, self.get_consents, "What a guest agreed to", "desk", problems=missing),
            Endpoint(
                "PUT", _PATH, _DESK, self.put_consents, "What a guest says now", "desk", problems=missing | elsewhere
            ),
        ]

    async def get_consents(self, ref: RefPath, caller: Caller) -> ConsentsView:
        """What a guest agreed to, purpose by purpose, and when. A look-up: it is logged."""
        return await self._looking.read(caller, GuestRef(ref), Seen.CONSENTS, lambda tx: _view(tx, GuestRef(ref)))

    async def put_consents(self, ref: RefPath, body: ConsentsBody, caller: Caller) -> ConsentsView:
        """Counts from the next read on, at every gateway that is connected. Sent again it changes nothing.

        A no to `suggestions` stops all of them; where nothing was said, what is popular may still be offered, but
        nothing to a child.
        """
        parent = None if body.said_by is None else GuestRef(body.said_by)
        await self._consents.say(GuestRef(ref), body.consents, f"token:{caller.id}", parent)
        return await self._looking.read(caller, GuestRef(ref), Seen.CONSENTS, lambda tx: _view(tx, GuestRef(ref)))


def _view(tx: Tx, ref: GuestRef) -> ConsentsView:
    guest_in(tx, ref)
    return ConsentsView(consents=_views(tx.consents_of(ref)), history=_views(tx.consent_history(ref, HISTORY_MAX)))


def _views(consents: Sequence[Consent]) -> list[ConsentView]:
    return [ConsentView.of(consent) for consent in consents]
