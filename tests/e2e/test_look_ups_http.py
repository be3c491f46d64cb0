"""Every call of the API that answers with something of a guest leaves exactly one look-up, and every other none."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.gatewaykit import FORM, Aboard, aboard, band_of

from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.viewing import Field, LookUp, Purpose
from steward.web.api import create_app
from steward.web.endpoints import ROLES_TABLE
from steward.web.roles import Role

UID = Uid("04A1B2C3D4E5F6")
PIN = {"pin": "246810"}
BY = {"reason": "lost", "by": "d1"}
CREW_BODY = {"role": "service", "outlets": [], "pin": "246810"}
UNKNOWN = {"tap_id": "0" * 32, "ref": "f" * 16, "uid": "04" + "A" * 12, "job": "e" * 16, "approval": "d" * 32}
UNKNOWN |= {"sha256": "c" * 64, "certificate": "c" * 32, "question": "nothing"}
# What comes in through these is not shown again: they answer with counts and numbers of rows.
TAKES_IN = {("PUT", "/v1/photos/{sha256}"), ("POST", "/v1/manifest"), ("POST", "/v1/manifest/check")}


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running


def roles_of(ship: Aboard) -> dict[tuple[str, str], frozenset[Role]]:
    """Every call there is, and who may make it."""
    table = getattr(create_app(ship.gateway.parts.services).state, ROLES_TABLE)
    assert isinstance(table, dict)
    return table


class Walk:
    """A guest with a band, a charge, a job; each call is made once and what it left is compared."""

    def __init__(self, ship: Aboard) -> None:
        self.ship = ship
        self.walked: set[tuple[str, str]] = set()

    async def looks(self) -> list[LookUp]:
        return list(await self.ship.gateway.parts.store.read(lambda tx: tx.look_ups(0, 10_000)))

    async def made(
        self, who: str, method: str, template: str, body: Any = None, status: int = 200, **ids: str
    ) -> tuple[httpx.Response, list[LookUp]]:
        """The answer, and the looks it left."""
        before = len(await self.looks())
        answer = await self.ship.call(who, method, template.format(**(UNKNOWN | ids)), body)
        assert answer.status_code == status, (template, answer.text)
        self.walked.add((method, template))
        return answer, (await self.looks())[before:]

    async def sees(
        self, field: Field, guest: GuestRef, who: str, method: str, template: str, body: Any = None, **more: Any
    ) -> httpx.Response:
        answer, looks = await self.made(who, method, template, body, **more)
        (look,) = looks
        assert (look.guest, look.fields) == (guest, {field}), template
        expected = ("desk", Purpose.CHECK_IN) if who == "desk" else ("purser", Purpose.BILLING)
        assert (look.role, look.purpose) == expected
        assert look.actor.startswith("token:")
        return answer

    async def sees_nobody(self, who: str, method: str, template: str, body: Any = None, **more: Any) -> httpx.Response:
        answer, looks = await self.made(who, method, template, body, **more)
        assert looks == [], template
        return answer


async def a_band(ship: Aboard, ref: GuestRef, uid: Uid) -> None:
    band = Band(uid, ref, 1, True, 1, False, BandState.ISSUED)
    await ship.gateway.parts.store.write(lambda tx: tx.put_band(band))


async def test_every_route_with_a_guest_in_its_answer_grows_the_log_by_one(ship: Aboard) -> None:
    walk = Walk(ship)
    answer = await walk.sees_nobody("desk", "POST", "/v1/guests", FORM, status=201)  # what the desk itself has written
    ref = GuestRef(answer.json()["ref"])
    await walk_the_desk(walk, ref)
    await walk_the_charges(walk, ref)
    await walk_the_rest(walk, ref)
    assert walk.walked | TAKES_IN == set(roles_of(ship)), "a route is not walked: say whether it shows a guest"


async def walk_the_desk(walk: Walk, ref: GuestRef) -> None:
    one, band = "/v1/guests/{ref}", "/v1/bands/{uid}"
    job = (await walk.sees_nobody("desk", "POST", one + "/bands", {"encoder": "desk"}, status=202, ref=ref)).json()
    await walk.sees(Field.BANDS, ref, "desk", "GET", "/v1/jobs/{job}", job=job["job"])
    await walk.sees(Field.BANDS, ref, "desk", "DELETE", "/v1/jobs/{job}", job=job["job"])
    limits = FORM["limits"] | {"by": "d1"}
    await walk.sees_nobody("desk", "POST", one + "/pin", PIN, status=204, ref=ref)
    await walk.sees_nobody("desk", "POST", one + "/limits", limits, status=204, ref=ref)
    await walk.sees_nobody("desk", "GET", one + "/explanation", status=422, ref=ref)  # no outlet: test_cli_offers.py
    await walk.sees(Field.CONSENTS, ref, "desk", "GET", one + "/consents", ref=ref)
    await walk.sees(Field.CONSENTS, ref, "desk", "PUT", one + "/consents", {"consents": {"photo": True}}, ref=ref)
    await walk.sees(Field.CONSENTS, ref, "desk", "GET", one + "/signals", ref=ref)
    await walk.sees(Field.CONSENTS, ref, "desk", "PUT", one + "/signals", {"signals": {"hour": False}}, ref=ref)
    for who in ("desk", "purser"):
        await walk.sees_nobody(who, "GET", "/v1/weather")
        await walk.sees_nobody(who, "PUT", "/v1/weather", {"weather": "rain"})
        await walk.sees_nobody(who, "GET", "/v1/port-calls")
        await walk.sees_nobody(who, "PUT", "/v1/port-calls", {"calls": []})
    await walk.sees_nobody("desk", "GET", "/v1/blanks")
    report = base64.b64encode(b"no report").decode()
    await walk.sees_nobody("desk", "POST", "/v1/blanks", {"report": report}, status=409)
    for who, uid in (("desk", UID), ("purser", Uid("04A1B2C3D4E5F7"))):
        await a_band(walk.ship, ref, uid)
        await walk.sees(Field.BANDS, ref, who, "POST", one + "/freeze", BY, ref=ref)
        await walk.sees(Field.BANDS, ref, who, "POST", band + "/freeze", BY, uid=uid)
    await walk.sees(Field.BANDS, ref, "desk", "POST", band + "/return", uid=UID)


async def walk_the_charges(walk: Walk, ref: GuestRef) -> None:
    one, ship = "/v1/charges/{tap_id}", walk.ship
    tap = ship.tap_id()
    body = {"till": "bar-1", "outlet": "bar", "amount_minor": 450, "currency": "EUR"}
    await walk.sees_nobody("bar", "GET", "/v1/stock")
    await walk.sees_nobody("desk", "GET", "/v1/band-release", status=404)
    await walk.sees_nobody("desk", "POST", "/v1/band-release/halt", status=404)
    await walk.sees_nobody("desk", "POST", "/v1/band-release/resume", status=404)
    await walk.sees_nobody("bar", "PUT", "/v1/stock/{item}", {"gone": "full"}, status=404, item="lager")
    await walk.sees_nobody("bar", "DELETE", "/v1/stock/{item}", status=404, item="lager")
    await walk.sees_nobody("bar", "PUT", one, body, status=202, tap_id=tap)
    await walk.sees_nobody("purser", "GET", one, tap_id=tap)  # nobody has tapped yet
    await ship.book(band_of(ref), tap, 450)
    await walk.sees_nobody("bar", "GET", one, tap_id=tap)  # what it sold, not to whom
    await walk.sees_nobody("bar", "POST", one + "/verification", {"method": "photo", "by": "c1"}, tap_id=tap)
    await walk.sees_nobody("bar", "DELETE", one, status=409, tap_id=tap)
    refund = {"refund_id": "r-1", "amount_minor": 50, "reason": "cold", "by": "p1"}
    await walk.sees(Field.CHARGES, ref, "purser", "GET", one, tap_id=tap)
    await walk.sees(Field.EVIDENCE, ref, "purser", "GET", one + "/evidence", tap_id=tap)
    await walk.sees(Field.CHARGES, ref, "purser", "POST", one + "/refund", refund, tap_id=tap)
    await walk.sees(Field.CHARGES, ref, "purser", "POST", one + "/collection", {}, tap_id=tap)
    await walk.sees(Field.CHARGES, ref, "purser", "POST", one + "/dispute", {"reason": "not mine"}, tap_id=tap)
    verdict = {"outcome": "reject", "by": "p1"}
    await walk.sees(Field.CHARGES, ref, "purser", "POST", one + "/dispute/resolution", verdict, tap_id=tap)
    voided = await ship.charged(ref, 460)
    await walk.sees(Field.CHARGES, ref, "purser", "POST", one + "/void", {"reason": "twice", "by": "p1"}, tap_id=voided)
    dear = await ship.charged(ref, 20_000)
    office = walk.ship.bind(await walk.ship.hire())
    twice = {"reason": "twice", "by": "p1"}
    ask = await walk.sees(Field.CHARGES, ref, office, "POST", one + "/void", twice, status=202, tap_id=dear)
    await walk.sees(Field.CHARGES, ref, "purser", "GET", "/v1/approvals/{approval}", approval=ask.json()["approval"])


async def walk_the_rest(walk: Walk, ref: GuestRef) -> None:
    one = "/v1/guests/{ref}"
    deposit = {"deposit_id": "d-1", "amount_minor": 500}
    await walk.sees(Field.FOLIO, ref, "purser", "POST", one + "/deposits", deposit, ref=ref)
    await walk.sees(Field.FOLIO, ref, "purser", "GET", one + "/statement", ref=ref)
    await walk.sees(Field.FOLIO, ref, "purser", "POST", one + "/settlement", {}, ref=ref)
    crew = GuestRef((await walk.ship.call("desk", "POST", "/v1/guests", FORM | {"crew": True})).json()["ref"])
    await walk.sees_nobody("desk", "PUT", "/v1/crew/{ref}", CREW_BODY, ref=crew)
    await walk.sees_nobody("purser", "GET", "/v1/crew")
    await walk.sees_nobody("purser", "POST", "/v1/crew/{ref}/unlock", ref=crew)
    await walk.sees_nobody("desk", "DELETE", "/v1/crew/{ref}", status=204, ref=crew)
    for path in ("/v1/ledger/check", "/v1/ledger/late"):  # none is late here: tests/pages
        await walk.sees_nobody("purser", "GET", path)
    await walk.sees_nobody("auditor", "GET", "/v1/events")  # what goes ashore: the log of looks itself is in it
    for path in ("/v1/readers", "/v1/board", "/v1/ship"):
        await walk.sees_nobody("monitor", "GET", path)
    await walk.sees_nobody("purser", "GET", "/v1/aggregates")
    await walk.sees_nobody("purser", "POST", "/v1/aggregates/{question}", {}, status=404)
    await walk_out(walk, ref)


async def walk_out(walk: Walk, ref: GuestRef) -> None:
    """A guest takes everything along, by their own PIN, and is forgotten; what the law keeps is looked at."""
    one = "/v1/guests/{ref}"
    _, (look,) = await walk.made("desk", "POST", one + "/export", {"pin": PIN["pin"]}, ref=ref)
    assert (look.guest, look.role, look.purpose) == (ref, "desk", Purpose.CHECK_IN)
    assert {Field.FULL_NAME, Field.CONSENTS} <= look.fields  # what passes through the desk's hands
    certificate = (await walk.sees_nobody("desk", "POST", one + "/erasure", {"sure": True}, ref=ref)).json()
    number = certificate["body"]["certificate"]
    await walk.sees_nobody("desk", "GET", "/v1/erasures/{certificate}", certificate=number)
    await walk.sees(Field.FOLIO, ref, "purser", "GET", one + "/papers", ref=ref)


async def test_a_call_that_is_refused_shows_nobody_and_leaves_nothing(ship: Aboard) -> None:
    walk = Walk(ship)
    for (method, template), roles in roles_of(ship).items():
        if "{" not in template or (method, template) in TAKES_IN:
            continue
        for who in sorted(roles & {Role.DESK, Role.PURSER}):
            body = {"reason": "lost", "by": "d1"} if method == "POST" else None
            answer = await ship.call(who, method, template.format(**UNKNOWN), body)
            assert answer.status_code in (404, 422), (template, answer.text)
    assert await walk.looks() == []


async def test_what_cannot_be_logged_is_not_answered(ship: Aboard, tmp_path: Path) -> None:
    ref = await ship.guest()
    tap = await ship.charged(ref)
    database = next(tmp_path.rglob("steward.db"))
    other = sqlite3.connect(database, isolation_level=None, timeout=30)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON look_up BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    other.close()
    for who, method, path, body in (
        ("purser", "GET", f"/v1/guests/{ref}/statement", None),
        ("purser", "GET", f"/v1/charges/{tap}/evidence", None),
        ("purser", "GET", f"/v1/charges/{tap}", None),
        ("desk", "POST", f"/v1/guests/{ref}/freeze", BY),
    ):
        answer = await ship.call(who, method, path, body)
        assert answer.status_code >= 400, path
        assert "lines" not in answer.text
    assert await ship.gateway.parts.store.read(lambda tx: tx.charge(TapId(tap)) is not None)


async def test_crew_get_roles_over_the_api(ship: Aboard) -> None:
    guest, crew = await ship.guest(), await ship.guest(crew=True)
    refused = await ship.call("desk", "PUT", f"/v1/crew/{guest}", CREW_BODY)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_crew")
    for bad in ({"role": "cook"}, {"pin": "12"}, {"outlets": ["a b"]}, {"extra": 1}):
        assert (await ship.call("desk", "PUT", f"/v1/crew/{crew}", CREW_BODY | bad)).status_code == 422
    unknown = await ship.call("desk", "PUT", f"/v1/crew/{crew}", CREW_BODY | {"outlets": ["casino"]})
    assert (unknown.status_code, unknown.json()["code"]) == (409, "unknown_outlet")
    added = await ship.call("desk", "PUT", f"/v1/crew/{crew}", CREW_BODY)
    assert added.status_code == 200
    assert added.json() | {"added_s": 0} == {
        "ref": crew,
        "role": "service",
        "outlets": [],
        "locked": False,
        "added_s": 0,
    }
    assert (await ship.call("purser", "GET", "/v1/crew")).json() == {"crew": [added.json()]}
    assert "246810" not in added.text
    assert (await ship.call("desk", "DELETE", f"/v1/crew/{crew}")).status_code == 204
    assert (await ship.call("purser", "POST", f"/v1/crew/{crew}/unlock")).status_code == 404
    assert (await ship.call("purser", "GET", "/v1/crew")).json() == {"crew": []}
