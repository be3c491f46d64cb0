"""Calls of the stock of blank bands: a station's signed report comes in, and how many are left."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field

from steward.ports import Clock
from steward.services.blanks import BlankCount, BlankService, Signer, StockTaken, UnfitReport
from steward.web.endpoints import Endpoint
from steward.web.imports import FileBytes
from steward.web.roles import Role
from steward.web.schemas import Body

_DESK = frozenset({Role.DESK})
_COUNTERS = frozenset({Role.DESK, Role.MONITOR})
ARRIVALS_KEPT = 10


@dataclass(frozen=True, slots=True)
class Arrival:
    """A report that was brought here. done None: it was refused, `code` says why. signer None: who, nobody knows."""

    at_s: int
    signer: Signer | None
    done: StockTaken | None
    code: str = ""


class Arrivals:
    """Where reports come in, from the API and the page, and what came of the newest since this process started."""

    def __init__(self, blanks: BlankService, clock: Clock) -> None:
        self._blanks = blanks
        self._clock = clock
        self._kept: deque[Arrival] = deque(maxlen=ARRIVALS_KEPT)

    async def take(self, content: bytes) -> StockTaken:
        """Raises UnfitReport."""
        now_s = self._clock.now().unix_s
        try:
            done = await self._blanks.take(content)
        except UnfitReport as unfit:
            self._kept.appendleft(Arrival(now_s, unfit.signer, None, unfit.code))
            raise
        self._kept.appendleft(Arrival(now_s, done.signer, done))
        return done

    async def count(self) -> list[BlankCount]:
        return await self._blanks.count()

    @property
    def newest(self) -> Sequence[Arrival]:
        return tuple(self._kept)


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
    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

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
        return BlanksTakenView.of(await self._arrivals.take(body.report))

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
                for each in await self._arrivals.count()
            ]
        )
