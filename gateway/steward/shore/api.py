"""The shore's JSON API: the fleet's figures, checks, and decisions for ships."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from steward.domain.consent import ConsentPurpose
from steward.domain.ids import GuestRef, Uid
from steward.domain.shorebodies import ConsentChange, ModelRelease
from steward.shore.aggregates import answers
from steward.shore.alarms import AlarmKind, clear
from steward.shore.bundle import Shore
from steward.shore.decisions import Decided, Signer, change_consent, deny, freeze, release_model
from steward.shore.downs import newest
from steward.shore.fleet import count_events, fleet
from steward.shore.registry import check_ship
from steward.shore.script import Script
from steward.web.endpoints import Caller, Endpoint
from steward.web.roles import Principal, Role

READERS = frozenset({Role.MONITOR, Role.PURSER})
DECIDERS = frozenset({Role.PURSER})
BANDS_MAX = 200

UidText = Annotated[str, Field(pattern=r"^04[0-9A-F]{12}$")]
RefText = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
ReasonText = Annotated[str, Field(pattern=r"^[a-z][a-z_-]{0,31}$")]
ShipPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
ShipQuery = Annotated[str, Query(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DenyForm(_Strict):
    bands: Annotated[list[UidText], Field(min_length=1, max_length=BANDS_MAX)]
    reason: ReasonText


class FreezeForm(_Strict):
    bands: Annotated[list[UidText], Field(max_length=BANDS_MAX)] = []
    guests: Annotated[list[RefText], Field(max_length=BANDS_MAX)] = []
    reason: ReasonText


class ConsentForm(_Strict):
    guest: RefText
    purpose: Annotated[ConsentPurpose, Field(strict=False)]
    given: bool


class ReleaseForm(_Strict):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    url: Annotated[str, Field(pattern=r"^(https://[!-~]{1,500})?$")] = ""


class ClearForm(_Strict):
    kind: Annotated[AlarmKind, Field(strict=False)]
    ship: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?$")]


class DecisionView(BaseModel):
    """new: false if an earlier version says it already."""

    ship: str
    kind: str
    version: int
    issued_s: int
    by: str
    new: bool


class ShoreApi:
    def __init__(self, shore: Shore) -> None:
        self._shore = shore

    def endpoints(self) -> list[Endpoint]:
        ship = "/v1/ships/{ship}"
        no_ship = {404: "No such ship: `steward shore ship add`."}
        return [
            Endpoint("GET", "/v1/fleet", READERS, self.get_fleet, "Ships, gateways, what is missing", "fleet"),
            Endpoint("GET", "/v1/events/count", READERS, self.count, "Events stored", "fleet", problems=no_ship),
            Endpoint("GET", "/v1/aggregates", READERS, self.list_answers, "What ships answered", "fleet"),
            Endpoint("GET", "/v1/decisions", READERS, self.list_decisions, "The newest of each kind", "decisions"),
            Endpoint("POST", f"{ship}/deny", DECIDERS, self.post_deny, "Refuse bands", "decisions", problems=no_ship),
            Endpoint("POST", f"{ship}/freeze", DECIDERS, self.post_freeze, "Freeze", "decisions", problems=no_ship),
            Endpoint("POST", f"{ship}/consents", DECIDERS, self.post_consent, "Consent", "decisions", problems=no_ship),
            Endpoint("POST", f"{ship}/releases", DECIDERS, self.post_release, "A model", "decisions", problems=no_ship),
            Endpoint("POST", "/v1/alarms/clear", DECIDERS, self.post_clear, "Forget alarms", "fleet"),
        ]

    async def get_fleet(self) -> dict[str, Any]:
        """The same as on the page at `/`. `missing` is what a gateway has named and shore does not have yet."""
        return asdict(await self._shore.store.read(fleet(self._now_s())))

    async def count(self, ship: ShipQuery) -> list[dict[str, Any]]:
        """Counted in the event table itself, per gateway and epoch. For checks: it reads every event's key."""
        await self._shore.store.read(check_ship(ship))
        return [asdict(line) for line in await self._shore.store.read(count_events(ship))]

    async def list_answers(self) -> list[dict[str, Any]]:
        """Noisy figures over many guests, newest first. The noise was added aboard; nothing exact ever came."""
        return [asdict(told) for told in await self._shore.store.read(answers())]

    async def list_decisions(self) -> list[dict[str, Any]]:
        """What each ship is told now. Older versions are no longer published."""
        return [asdict(issued) for issued in await self._shore.store.read(newest())]

    async def post_deny(self, caller: Caller, ship: ShipPath, form: DenyForm) -> DecisionView:
        """Refuse these bands at every door and till of the ship, known there or not."""
        uids = [Uid(uid) for uid in form.bands]
        return await self._decide(deny(self._signer(caller), ship, uids, form.reason))

    async def post_freeze(self, caller: Caller, ship: ShipPath, form: FreezeForm) -> DecisionView:
        """Freeze bands, and every band that these guests have now."""
        uids, guests = [Uid(uid) for uid in form.bands], [GuestRef(ref) for ref in form.guests]
        return await self._decide(freeze(self._signer(caller), ship, uids, guests, form.reason))

    async def post_consent(self, caller: Caller, ship: ShipPath, form: ConsentForm) -> DecisionView:
        """What a guest decided ashore."""
        change = ConsentChange(GuestRef(form.guest), form.purpose.value, form.given, self._now_s())
        return await self._decide(change_consent(self._signer(caller), ship, change))

    async def post_release(self, caller: Caller, ship: ShipPath, form: ReleaseForm) -> DecisionView:
        """A model's name, version and hash; the file may follow later."""
        release = ModelRelease(form.name, form.version, form.sha256, form.size, form.url)
        return await self._decide(release_model(self._signer(caller), ship, release))

    async def post_clear(self, form: ClearForm) -> dict[str, int]:
        """Alarms of one kind and ship that somebody has looked at; how many lines there were."""
        return {"cleared": await self._shore.store.write(clear(form.kind, form.ship))}

    async def _decide(self, script: Script[Decided]) -> DecisionView:
        decided = await self._shore.store.write(script)
        self._shore.decided()
        return DecisionView(**asdict(decided.issued), new=decided.new)

    def _signer(self, caller: Principal) -> Signer:
        return Signer(self._shore.key, f"token {caller.id}", self._now_s())

    def _now_s(self) -> int:
        return self._shore.clock.now().unix_s
