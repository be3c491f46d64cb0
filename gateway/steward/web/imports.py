"""Calls of the manifest import: photos first, then a check of the file, then its import in one transaction."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated

from fastapi import Path, Request
from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema

from steward.services.manifest import ManifestService
from steward.services.manifest_plan import Report
from steward.web.endpoints import Caller, Endpoint
from steward.web.errors import Problem
from steward.web.roles import Role
from steward.web.schemas import Body

PHOTOS_MAX = 10_000
PROBLEMS_SHOWN_MAX = 20_000

_DESK = frozenset({Role.DESK})
_SHA256 = r"^[0-9a-f]{64}$"
Sha256 = Annotated[str, Field(pattern=_SHA256)]
Sha256Path = Annotated[str, Path(pattern=_SHA256, description="SHA-256 of the body, in hex.", examples=["0" * 64])]
FileName = Annotated[str, Field(min_length=1, max_length=128)]


def _from_base64(text: object) -> bytes:
    """Strictly: a torn body must not pass for a shorter file."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else _no_base64()
    except (binascii.Error, ValueError):
        return _no_base64()


def _no_base64() -> bytes:
    raise ValueError("give the file's bytes in base64, without line breaks")


FileBytes = Annotated[
    bytes, PlainValidator(_from_base64), WithJsonSchema({"type": "string", "contentEncoding": "base64"})
]


class ManifestBody(Body):
    """A manifest as it lies on the disk, and the photos that were staged for it."""

    manifest: FileBytes = Field(repr=False, description="The CSV file, every byte of it, in base64.")
    photos: dict[FileName, Sha256] = Field(
        default_factory=dict, max_length=PHOTOS_MAX, repr=False, description="By file name: the hash of the photo."
    )


class ProblemRow(BaseModel):
    """row: as a spreadsheet counts, the header is 1. column: empty for the whole row."""

    row: int
    column: str
    problem: str
    remedy: str


class ChangeRow(BaseModel):
    """needs_band: the guest holds a band that says otherwise."""

    row: int
    kind: str = Field(description="new or changed")
    fields: list[str] = Field(description="Of a changed row: what changes.")
    needs_band: bool


class GuestRow(BaseModel):
    """Who a row is, to have a band made for."""

    row: int
    ref: str


class ManifestReport(BaseModel):
    """What an import would do, or, if `committed`, has done. With problems nothing is done."""

    committed: bool
    rows: int = Field(description="Rows that could be read.")
    new: int
    changed: int
    unchanged: int
    problem_count: int
    problems: list[ProblemRow]
    changes: list[ChangeRow]
    photos_wanted: list[str] = Field(description="Hashes of photos to stage before the import.")
    guests: list[GuestRow] = Field(description="Of all rows whose guest is there: before a check, after an import.")

    @classmethod
    def of(cls, report: Report) -> ManifestReport:
        new = sum(change.kind == "new" for change in report.changes)
        return cls(
            committed=report.committed,
            rows=report.rows,
            new=new,
            changed=len(report.changes) - new,
            unchanged=report.unchanged,
            problem_count=len(report.problems),
            problems=[
                ProblemRow(row=problem.row, column=problem.column, problem=problem.what, remedy=problem.remedy)
                for problem in report.problems[:PROBLEMS_SHOWN_MAX]
            ],
            changes=[
                ChangeRow(row=change.row, kind=change.kind, fields=list(change.fields), needs_band=change.needs_band)
                for change in report.changes
            ],
            photos_wanted=list(report.photos_wanted),
            guests=[GuestRow(row=row, ref=ref) for row, ref in report.guests],
        )


class StagedView(BaseModel):
    photo: str = Field(description="What the manifest's `photos` call it: the hash of what was kept of it.")


class ImportApi:
    def __init__(self, manifests: ManifestService) -> None:
        self._manifests = manifests

    def endpoints(self) -> list[Endpoint]:
        elsewhere = "Guests are kept at the ship's folio authority: send it there."
        refused = {
            409: f"This photo cannot be kept; `detail` says why. {elsewhere}",
            413: "More than a photo may have.",
        }
        large = {409: elsewhere, 413: "More than a manifest may have."}
        check, take = "What a manifest would do", "Import a manifest, whole or not at all"
        return [
            Endpoint("PUT", "/v1/photos/{sha256}", _DESK, self.stage_photo, "Stage a photo", "desk", 200, refused),
            Endpoint("POST", "/v1/manifest/check", _DESK, self.check_manifest, check, "desk", 200, large),
            Endpoint("POST", "/v1/manifest", _DESK, self.import_manifest, take, "desk", 200, large),
        ]

    async def stage_photo(self, sha256: Sha256Path, request: Request) -> StagedView:
        """The body is a JPEG or PNG file. Place, time, device and thumbnails are taken out before it is kept; that
        changes its hash, so go on with the one that is answered. A photo that no import takes up is gone after a day.
        """
        body = await request.body()
        if hashlib.sha256(body).hexdigest() != sha256:
            raise Problem(422, "photo_torn", "the body's SHA-256 is not that of the path: send it again")
        return StagedView(photo=await self._manifests.stage_photo(body))

    async def check_manifest(self, body: ManifestBody) -> ManifestReport:
        """Changes nothing. Every problem is listed with its row; `photos_wanted` are to be staged before the import."""
        return ManifestReport.of(await self._manifests.check(body.manifest, body.photos))

    async def import_manifest(self, body: ManifestBody, caller: Caller) -> ManifestReport:
        """Does nothing, and says so in `committed`, if there is any problem. Sent again it changes nothing more."""
        return ManifestReport.of(await self._manifests.commit(body.manifest, body.photos, f"token:{caller.id}"))
