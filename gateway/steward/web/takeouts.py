"""Calls about a guest's right to leave: their data to take along, and to be forgotten. For the desk, at their word."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from steward.domain.ids import GuestRef
from steward.domain.viewing import Field as Seen
from steward.errors import Refused
from steward.services.erasure import BY_DESK, BY_PARENT
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.looking import Looking, token_viewer
from steward.web.roles import Role
from steward.web.schemas import Body, RefPath

_DESK, _PURSER = frozenset({Role.DESK}), frozenset({Role.PURSER})
_CERTIFICATE = r"^[0-9a-f]{32}$"


class ExportBody(Body):
    """pin: typed by the guest, or for a child by the adult who asks."""

    pin: str = Field(pattern=r"^[0-9]{4,8}$", repr=False)
    said_by: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{16}$",
        description="Who asks for a child: an adult of the same booking, by reference.",
    )


class ErasureBody(Body):
    """The guest's wish, as the desk heard it. It cannot be taken back."""

    sure: bool = Field(description="True: the guest was told that this cannot be undone.")
    reason: str = Field("", max_length=200, description="A few words for the record; never a name.")
    said_by: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{16}$",
        description="Who asks for a child: an adult of the same booking, by reference.",
    )


class TakeoutApi:
    def __init__(self, services: Services) -> None:
        self._takeouts = services.takeouts
        self._erasures = services.erasures
        self._looking = Looking(services.lookups)

    def endpoints(self) -> list[Endpoint]:
        missing = {404: "No such guest."}
        refused = {409: "Crew, a child without an adult who asks, not the folio authority, or nobody is sure."}
        lost = {404: "No such certificate."}
        file = {200: {"description": "The document, to export.schema.json.", "content": {"application/json": {}}}}
        return [
            Endpoint(
                "POST",
                "/v1/guests/{ref}/export",
                _DESK,
                self.take_export,
                "What is held of a guest, to take along",
                "desk",
                problems=missing | {409: "Not this guest's PIN, none was set, or a child without an adult who asks."},
                responses=file,
            ),
            Endpoint(
                "POST",
                "/v1/guests/{ref}/erasure",
                _DESK,
                self.erase_guest,
                "Forget a guest",
                "desk",
                problems=missing | refused,
            ),
            Endpoint(
                "GET",
                "/v1/erasures/{certificate}",
                _DESK | _PURSER,
                self.get_erasure,
                "How far an erasure is",
                "desk",
                problems=lost,
            ),
            Endpoint(
                "GET",
                "/v1/guests/{ref}/papers",
                _PURSER,
                self.get_papers,
                "What the law keeps of a forgotten guest's folio",
                "purser",
                problems={404: "No papers: nothing was bought, or their time is over."},
            ),
        ]

    async def take_export(self, ref: RefPath, body: ExportBody, caller: Caller) -> Response:
        """One JSON document with all of it. Staff may not see all of it by themselves, so it takes the guest's own PIN,
        typed at the desk. That it was made is recorded, and by whose token; a look-up: it is logged.
        """
        parent = None if body.said_by is None else GuestRef(body.said_by)
        taken = await self._takeouts.export_with_pin(token_viewer(caller), GuestRef(ref), body.pin, parent=parent)
        headers = {"Content-Disposition": f'attachment; filename="steward-{ref}.json"'}
        return StreamingResponse(taken.chunks(), media_type="application/json", headers=headers)

    async def erase_guest(self, ref: RefPath, body: ErasureBody) -> Response:
        """Everything that keys, muster and money do not need goes at once, the rest when the stay is over and the folio
        settled. Answers with the signed certificate; asked again, with how far things are.
        """
        if not body.sure:
            raise Refused("not_sure", "say sure: true once the guest was told that this cannot be undone")
        guest = GuestRef(ref)
        parent = None if body.said_by is None else GuestRef(body.said_by)
        await self._erasures.erase(guest, BY_DESK if parent is None else BY_PARENT, body.reason, parent=parent)
        return JSONResponse(await self._erasures.certificate(guest))

    async def get_erasure(self, certificate: Annotated[str, Path(pattern=_CERTIFICATE)]) -> Response:
        """The certificate as things stand, signed anew: which gateways have obeyed, and whether shore has."""
        return JSONResponse(await self._erasures.certificate_of(certificate))

    async def get_papers(self, ref: RefPath, caller: Caller) -> Response:
        """Name, booking and what was sold, for an auditor. A look-up: it is logged, also of who is forgotten."""
        papers: dict[str, Any] = await self._erasures.papers(GuestRef(ref))
        return JSONResponse(await self._looking.show(caller, GuestRef(ref), Seen.FOLIO, papers))
