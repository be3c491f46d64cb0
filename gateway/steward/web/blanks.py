"""Calls of the stock of blank bands: a station's signed report comes in, and how many are left."""

from __future__ import annotations

from pydantic import BaseModel, Field

from steward.services.blanks import BlankService, StockTaken
from steward.web.endpoints import Endpoint
from steward.web.imports import FileBytes
from steward.web.roles import Role
from steward.web.schemas import Body

_DESK = frozenset({Role.DESK})
_COUNTERS = frozenset({Role.DESK, Role.MONITOR})


class ReportBody(Body):
    """A station's report as it lies on the disk."""

    report: FileBytes = Field(repr=False, description="The JSON file, every byte of it, in base64.")


class LeftView(BaseModel):
    uid: str
    reason: str = Field(description="not_done, other_version, other_station, worn or denied")


class BlanksTakenView(BaseModel):
    """What a report did. Bands that were left can still be encoded, as a band from nowhere."""

    station: str
    taken: int
    known: int = Field(description="In the stock before: nothing changed.")
    left: list[LeftView]

    @classmethod
    def of(cls, done: StockTaken) -> BlanksTakenView:
        left = [LeftView(uid=uid, reason=reason.value) for uid, reason in done.left]
        return cls(station=done.station, taken=done.taken, known=done.known, left=left)


class BlankCountView(BaseModel):
    """Of one station, kind and key version."""

    station: str = Field(description="Its name; empty if the settings do not name it any more.")
    fingerprint: str
    kind: str = Field(description="active or passive")
    key_version: int
    waiting: int
    taken: int


class BlanksView(BaseModel):
    stations: list[BlankCountView]


class BlankApi:
    def __init__(self, blanks: BlankService) -> None:
        self._blanks = blanks

    def endpoints(self) -> list[Endpoint]:
        refused = {
            409: "This report is not taken: report_torn, station_unknown, other_site or other_link; `detail` says why.",
            413: "More than a report may have.",
        }
        take, count = "Bring in a station's report of keyed bands", "How many blank bands are left"
        return [
            Endpoint("POST", "/v1/blanks", _DESK, self.take, take, "desk", 200, refused),
            Endpoint("GET", "/v1/blanks", _COUNTERS, self.count, count, "desk", 200),
        ]

    async def take(self, body: ReportBody) -> BlanksTakenView:
        """Sent again it changes nothing more. Bands that are left out are named, each with the reason."""
        return BlanksTakenView.of(await self._blanks.take(body.report))

    async def count(self) -> BlanksView:
        """Those waiting in the stock, and those that were taken for a guest, or withdrawn as faulty."""
        return BlanksView(
            stations=[
                BlankCountView(
                    station=each.station,
                    fingerprint=each.fingerprint,
                    kind="active" if each.active else "passive",
                    key_version=each.key_version,
                    waiting=each.waiting,
                    taken=each.taken,
                )
                for each in await self._blanks.count()
            ]
        )
