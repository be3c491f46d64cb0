"""Calls about the program that bands are given: how far its release is, and stopping it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from steward.errors import NotFound
from steward.services.bandreleases import BandReleases, ReleaseStatus
from steward.web.endpoints import Endpoint
from steward.web.roles import Role

_LOOKERS = frozenset({Role.DESK, Role.MONITOR})
_HANDS = frozenset({Role.DESK})
_PATH = "/v1/band-release"


class BandReleaseView(BaseModel):
    """stage counts from 1, and is 0 while the file has not come. limit: percent of failures that halts it."""

    number: int
    here: bool = Field(description="Whether its file has come, whole and signed by the release key.")
    problem: str = Field(description="Why it is not offered though its file has come; empty for nothing.")
    stage: int
    stages: int
    since_s: int
    halted: str = Field(description="failures or operator; empty while it goes on.")
    limit: int
    kept: int = Field(description="Bands that run it.")
    failed: int = Field(description="Bands that went back, or would not take it.")

    @classmethod
    def of(cls, status: ReleaseStatus) -> BandReleaseView:
        order, rollout, tally = status.order, status.rollout, status.tally
        return cls(
            number=order.number,
            here=status.here,
            problem=status.problem,
            stage=0 if rollout is None else rollout.stage + 1,
            stages=len(order.stages),
            since_s=0 if rollout is None else rollout.since_s,
            halted="" if rollout is None else rollout.halted.value,
            limit=order.limit_percent,
            kept=tally.kept,
            failed=tally.failed,
        )


class BandReleaseApi:
    def __init__(self, releases: BandReleases | None) -> None:
        self._releases = releases

    def endpoints(self) -> list[Endpoint]:
        none = {404: "This gateway brings bands no releases, or shore has ordered none."}
        refused = none | {409: "It is halted already, or it is not halted."}
        return [
            Endpoint("GET", _PATH, _LOOKERS, self.show, "How far the bands' release is", "desk", problems=none),
            Endpoint("POST", f"{_PATH}/halt", _HANDS, self.halt, "Offer it no more", "desk", 200, refused),
            Endpoint("POST", f"{_PATH}/resume", _HANDS, self.resume, "Go on with it", "desk", 200, refused),
        ]

    async def show(self) -> BandReleaseView:
        """Counted over the bands that are worn."""
        return BandReleaseView.of(await self._status())

    async def halt(self) -> BandReleaseView:
        """Bands that have it keep it."""
        await self._status()
        await self._there().halt()
        return BandReleaseView.of(await self._status())

    async def resume(self) -> BandReleaseView:
        """The failures so far halt it no more."""
        await self._status()
        await self._there().resume()
        return BandReleaseView.of(await self._status())

    def _there(self) -> BandReleases:
        if self._releases is None:
            raise NotFound("release for bands", "at this gateway ([bands] release_key)")
        return self._releases

    async def _status(self) -> ReleaseStatus:
        status = await self._there().status()
        if status is None:
            raise NotFound("release for bands", "ordered by shore")
        return status
