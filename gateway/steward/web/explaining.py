"""One decision about what to offer, explained step by step by the gateway that makes them: for the desk, a look-up.

The answer is what the decision was made of, whole, so that `steward offers explain` prints the same of a gateway that
runs as of a store that it opens by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Annotated

from fastapi import Query

from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import Outlet, OutletKind
from steward.domain.rulekinds import Rules
from steward.domain.viewing import CrewRole, Purpose, Viewer
from steward.errors import NotFound
from steward.services.explain import ExplainService, Explanation
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.errors import Problem
from steward.web.roles import Role
from steward.web.schemas import RefPath

PATH = "/v1/guests/{ref}/explanation"
_DESK = frozenset({Role.DESK})
_PURPOSES: Mapping[OutletKind, Purpose] = MappingProxyType(
    {OutletKind.FOOD_AND_DRINK: Purpose.FOOD_AND_DRINK, OutletKind.EXCURSIONS: Purpose.EXCURSIONS}
)


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision at an outlet. why: what each rule of the operator's file is for, in English, by its name."""

    outlet: str
    utc_offset_min: int
    why: dict[str, str]
    found: Explanation


def explained(found: Explanation, place: Outlet, rules: Rules, utc_offset_min: int) -> Explained:
    return Explained(place.id, utc_offset_min, {rule.name: rule.why["en"] for rule in rules}, found)


def served_by(actor: str, place: Outlet) -> Viewer:
    """Whoever asks, as the crew who serve at this outlet: they are shown what the decision rests on, and no more."""
    return Viewer(actor, CrewRole.SERVICE, place.id, place.kind, _PURPOSES.get(place.kind, Purpose.GUEST_SERVICES))


def moment_s(text: str, utc_offset_min: int) -> int:
    """ISO 8601; without an offset it is ship's time. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone(timedelta(minutes=utc_offset_min)))
    return int(at.astimezone(UTC).timestamp())


class ExplainApi:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._explain = ExplainService(services.store, services.clock, services.offers)

    def endpoints(self) -> list[Endpoint]:
        problems = {
            404: "No such guest, or no such outlet.",
            409: "The guest objects to suggestions, or the time is still to come.",
        }
        summary = "Why a guest was offered this, or nothing"
        return [Endpoint("GET", PATH, _DESK, self.explain_offer, summary, "desk", problems=problems)]

    async def explain_offer(
        self,
        ref: RefPath,
        caller: Caller,
        outlet: Annotated[
            str | None, Query(max_length=64, description="Where; may be left out if there is only one.")
        ] = None,
        at: Annotated[
            str | None,
            Query(max_length=40, description="ISO 8601, without an offset ship's time. Left out: now."),
        ] = None,
    ) -> Explained:
        """One decision made again as it was made, without offering anything: every step, and what could be offered.
        A look-up as the crew of that outlet make it when they serve the guest, logged under this token's name. Of a
        time in the past are known: offers and answers, consent, cases, what the guest had bought; the rest is as now.
        """
        place, offset_min = self._place(outlet), self._services.identity.utc_offset_min
        try:
            at_s = None if at is None else moment_s(at, offset_min)
        except (ValueError, OverflowError):
            raise Problem(422, "time_invalid", "give a time such as 2026-05-17T14:30:05") from None
        found = await self._explain.explain(served_by(f"token:{caller.id}", place), GuestRef(ref), at_s)
        return explained(found, place, self._services.offers.rules, offset_min)

    def _place(self, name: str | None) -> Outlet:
        outlets = self._services.outlets
        if name is None and len(outlets) == 1:
            return next(iter(outlets.values()))
        if name is None:
            known = ", ".join(outlets) or "none: add an [[outlet]]"
            raise Problem(422, "outlet_needed", f"give the outlet, one of {known}")
        place = outlets.get(OutletId(name))
        if place is None:
            raise NotFound("outlet", name)
        return place
