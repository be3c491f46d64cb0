"""The API against a real server and a real SQLite store: who may call what, and what comes back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.gatewaykit import FORM, SETTINGS, Aboard, aboard, band_of, prepare, settings_of

from steward import __version__
from steward.app import Gateway
from steward.domain.events import EventType
from steward.errors import ConfigError
from steward.web.api import create_app
from steward.web.endpoints import ROLES_TABLE
from steward.web.pages.base import PAGES_TABLE
from steward.web.pages.guestbase import GUEST_TABLE
from steward.web.roles import Role
from voyage.bandproc import BandOptions, BandProcess

TILL, DESK, PURSER, ADMIN, MONITOR, AUDITOR = "bar", "desk", "purser", "admin", "monitor", "auditor"
EVERYBODY = {TILL, DESK, PURSER, ADMIN, MONITOR, AUDITOR}
TAP, REF, UID, JOB = "0" * 32, "f" * 16, "04" + "A" * 12, "e" * 16

# Every call under /v1 and who may make it. A route that is missing here fails the test below.
WHO_MAY = {
    ("PUT", "/v1/charges/{tap_id}"): {TILL},
    ("GET", "/v1/charges/{tap_id}"): {TILL, PURSER},
    ("DELETE", "/v1/charges/{tap_id}"): {TILL},
    ("POST", "/v1/charges/{tap_id}/verification"): {TILL},
    ("GET", "/v1/approvals/{approval}"): {PURSER},
    ("POST", "/v1/charges/{tap_id}/void"): {PURSER},
    ("POST", "/v1/charges/{tap_id}/refund"): {PURSER},
    ("POST", "/v1/charges/{tap_id}/dispute"): {PURSER},
    ("POST", "/v1/charges/{tap_id}/dispute/resolution"): {PURSER},
    ("GET", "/v1/charges/{tap_id}/evidence"): {PURSER},
    ("POST", "/v1/guests"): {DESK},
    ("PUT", "/v1/photos/{sha256}"): {DESK},
    ("POST", "/v1/manifest/check"): {DESK},
    ("POST", "/v1/manifest"): {DESK},
    ("POST", "/v1/guests/{ref}/bands"): {DESK},
    ("POST", "/v1/guests/{ref}/pin"): {DESK},
    ("POST", "/v1/guests/{ref}/limits"): {DESK},
    ("POST", "/v1/guests/{ref}/freeze"): {DESK, PURSER},
    ("GET", "/v1/guests/{ref}/explanation"): {DESK},
    ("POST", "/v1/guests/{ref}/export"): {DESK},
    ("POST", "/v1/guests/{ref}/erasure"): {DESK},
    ("GET", "/v1/erasures/{certificate}"): {DESK, PURSER},
    ("GET", "/v1/guests/{ref}/papers"): {PURSER},
    ("GET", "/v1/aggregates"): {PURSER, MONITOR},
    ("POST", "/v1/aggregates/{question}"): {PURSER},
    ("GET", "/v1/stock"): {TILL},
    ("PUT", "/v1/stock/{item}"): {TILL},
    ("DELETE", "/v1/stock/{item}"): {TILL},
    ("GET", "/v1/guests/{ref}/consents"): {DESK},
    ("PUT", "/v1/guests/{ref}/consents"): {DESK},
    ("GET", "/v1/guests/{ref}/signals"): {DESK},
    ("PUT", "/v1/guests/{ref}/signals"): {DESK},
    ("GET", "/v1/blanks"): {DESK, MONITOR},
    ("POST", "/v1/blanks"): {DESK},
    ("GET", "/v1/band-release"): {DESK, MONITOR},
    ("POST", "/v1/band-release/halt"): {DESK},
    ("POST", "/v1/band-release/resume"): {DESK},
    ("GET", "/v1/weather"): {DESK, PURSER},
    ("PUT", "/v1/weather"): {DESK, PURSER},
    ("GET", "/v1/port-calls"): {DESK, PURSER},
    ("PUT", "/v1/port-calls"): {DESK, PURSER},
    ("POST", "/v1/guests/{ref}/deposits"): {PURSER},
    ("GET", "/v1/guests/{ref}/statement"): {PURSER},
    ("POST", "/v1/guests/{ref}/settlement"): {PURSER},
    ("GET", "/v1/jobs/{job}"): {DESK},
    ("DELETE", "/v1/jobs/{job}"): {DESK},
    ("POST", "/v1/bands/{uid}/freeze"): {DESK, PURSER},
    ("POST", "/v1/bands/{uid}/return"): {DESK},
    ("POST", "/v1/charges/{tap_id}/collection"): {PURSER},
    ("GET", "/v1/ledger/late"): {PURSER},
    ("GET", "/v1/ledger/check"): {PURSER},
    ("GET", "/v1/events"): {AUDITOR},
    ("GET", "/v1/crew"): {DESK, PURSER, ADMIN},
    ("PUT", "/v1/crew/{ref}"): {DESK, ADMIN},
    ("DELETE", "/v1/crew/{ref}"): {DESK, ADMIN},
    ("POST", "/v1/crew/{ref}/unlock"): {DESK, PURSER, ADMIN},
    ("GET", "/v1/readers"): EVERYBODY,
    ("GET", "/v1/board"): EVERYBODY,
    ("GET", "/v1/ship"): EVERYBODY,
}
OPEN = {"/", "/live", "/static/{name}", "/healthz", "/metrics", "/openapi.json"}


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running


def route_table(ship: Aboard) -> set[tuple[str, str]]:
    app = create_app(ship.gateway.parts.services)
    return {(method, route.path) for route in app.routes for method in route.methods - {"HEAD"}}  # type: ignore[attr-defined]


async def test_every_route_is_listed_with_its_roles(ship: Aboard) -> None:
    routes = route_table(ship)
    assert {(m, p) for m, p in routes if p.startswith("/v1")} == set(WHO_MAY)
    app_state = create_app(ship.gateway.parts.services).state
    pages = {*getattr(app_state, PAGES_TABLE), *getattr(app_state, GUEST_TABLE)}  # their roles: tests/pages
    assert {p for m, p in routes - pages if not p.startswith("/v1")} == OPEN
    table = getattr(app_state, ROLES_TABLE)
    named = {TILL: Role.TILL, **{who: Role(who) for who in EVERYBODY - {TILL}}}
    assert {key: frozenset(named[who] for who in roles) for key, roles in WHO_MAY.items()} == table


async def test_each_route_lets_in_its_roles_and_nobody_else(ship: Aboard) -> None:
    ids = {"tap_id": TAP, "ref": REF, "uid": UID, "job": JOB, "approval": "0" * 32, "sha256": "0" * 64}
    ids |= {"item": "lager", "question": "guests", "certificate": "0" * 32}
    for (method, template), allowed in WHO_MAY.items():
        path = template.format(**ids)
        nobody = await ship.call(None, method, path)
        assert (nobody.status_code, nobody.json()["code"]) == (401, "token_missing"), path
        for who in sorted(EVERYBODY):
            answer = await ship.call(who, method, path, None if method in ("GET", "DELETE") else {})
            let_in = answer.status_code not in (401, 403)
            assert let_in == (who in allowed), f"{who} {method} {path}: {answer.status_code}"
            if not let_in:
                assert answer.json()["code"] == "role_not_allowed"


async def test_a_path_that_does_not_exist_needs_a_token_too(ship: Aboard) -> None:
    assert (await ship.call(None, "GET", "/v1/nothing")).status_code == 401
    answer = await ship.call(MONITOR, "GET", "/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")
    answer = await ship.call(PURSER, "PATCH", "/v1/board")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_a_charge_from_the_question_to_the_folio(ship: Aboard) -> None:
    ref, tap = await ship.guest(), ship.tap_id()
    asked = await ship.ask(tap, 450, description="2 x coffee")
    assert (asked.status_code, asked.json()["state"], asked.json()["till"]) == (202, "waiting", None)
    assert (await ship.ask(tap, 450, description="2 x coffee")).status_code == 202
    waiting = asyncio.create_task(ship.call(TILL, "GET", f"/v1/charges/{tap}?wait_s=30"))
    await ship.book(band_of(ref), tap, 450, description="2 x coffee")
    told = (await waiting).json()
    assert (told["state"], told["code"], told["message"]) == ("posted", "posted", "Charged.")
    assert (told["amount_minor"], told["currency"], told["outlet"], told["till"]) == (450, "EUR", "bar", "bar-1")
    again = await ship.ask(tap, 450, description="2 x coffee")
    assert (again.status_code, again.json()) == (200, told)
    assert (await ship.ask(tap, 451)).json()["code"] == "conflict"
    assert (await ship.call(TILL, "DELETE", f"/v1/charges/{tap}")).status_code == 409
    lines = (await ship.call(PURSER, "GET", f"/v1/guests/{ref}/statement")).json()
    assert [(line["kind"], line["amount_minor"], line["text"]) for line in lines["lines"]] == [
        ("charge", 450, "2 x coffee")
    ]


async def test_a_wait_ends_with_things_as_they_are(ship: Aboard) -> None:
    tap = ship.tap_id()
    await ship.ask(tap)
    answer = await ship.call(TILL, "GET", f"/v1/charges/{tap}?wait_s=0.05")
    assert (answer.status_code, answer.json()["state"]) == (200, "waiting")


async def test_a_cancelled_charge_can_never_be_charged(ship: Aboard) -> None:
    tap = ship.tap_id()
    early = await ship.call(TILL, "DELETE", f"/v1/charges/{tap}")
    assert (early.status_code, early.json()["state"]) == (200, "cancelled")
    assert (await ship.ask(tap)).status_code == 409
    assert (await ship.call(TILL, "GET", f"/v1/charges/{tap}")).json()["code"] == "cancelled"
    asked = ship.tap_id()
    await ship.ask(asked)
    for _ in range(2):
        assert (await ship.call(TILL, "DELETE", f"/v1/charges/{asked}")).json()["state"] == "cancelled"
    assert (await ship.ask(ship.tap_id())).status_code == 202


async def test_a_held_charge_is_released_by_pin_or_photo(ship: Aboard) -> None:
    ref = await ship.guest(pin="4711")
    taps = [ship.tap_id(), ship.tap_id()]
    for tap in taps:
        await ship.ask(tap, 20_001, allow_duplicate=True)
        await ship.book(band_of(ref), tap, 20_001, allow_duplicate=True)
    held = (await ship.call(TILL, "GET", f"/v1/charges/{taps[0]}")).json()
    assert (held["state"], held["code"]) == ("held", "verification_required")
    verification = f"/v1/charges/{taps[0]}/verification"
    wrong = (await ship.call(TILL, "POST", verification, {"method": "pin", "pin": "0000"})).json()
    assert (wrong["state"], wrong["code"]) == ("held", "pin_wrong")
    waiting = asyncio.create_task(ship.call(TILL, "GET", f"/v1/charges/{taps[0]}?wait_s=30&seen=pin_wrong"))
    right = (await ship.call(TILL, "POST", verification, {"method": "pin", "pin": "4711"})).json()
    assert (right["state"], right["verification"]) == ("posted", "pin")
    assert (await waiting).json()["state"] == "posted"
    await ship.call(TILL, "POST", verification, {"method": "pin", "pin": "4711"})  # again: changes nothing
    photo = {"method": "photo", "by": "c117"}
    done = (await ship.call(TILL, "POST", f"/v1/charges/{taps[1]}/verification", photo)).json()
    assert (done["state"], done["verification"]) == ("posted", "photo")
    board = (await ship.call(MONITOR, "GET", "/v1/board")).json()
    assert board["charges_posted"] == 2


async def test_what_may_become_of_a_charge(ship: Aboard) -> None:
    ref = await ship.guest()
    voided, refunded, disputed = [await ship.charged(ref, amount) for amount in (100, 200, 300)]
    why = {"reason": "wrong drink", "by": "c117"}
    assert (await ship.call(PURSER, "POST", f"/v1/charges/{voided}/void", why)).json()["state"] == "voided"
    part = {"refund_id": "r-1", "amount_minor": 50, **why}
    for _ in range(2):  # sent again after a lost answer
        answer = (await ship.call(PURSER, "POST", f"/v1/charges/{refunded}/refund", part)).json()
        assert (answer["state"], answer["code"], answer["refunded_minor"]) == ("posted", "partly_refunded", 50)
    too_much = await ship.call(
        PURSER, "POST", f"/v1/charges/{refunded}/refund", part | {"refund_id": "r-2", "amount_minor": 151}
    )
    assert (too_much.status_code, too_much.json()["code"]) == (409, "refund_exceeds")
    assert (await ship.call(PURSER, "POST", f"/v1/charges/{disputed}/dispute", {"reason": "not me"})).json()[
        "state"
    ] == "disputed"
    proof = (await ship.call(PURSER, "GET", f"/v1/charges/{disputed}/evidence")).json()
    assert (proof["verified"], proof["matches_charge"], proof["signed_amount_minor"]) == (True, True, 300)
    ruling = {"outcome": "uphold", "by": "c117"}
    resolved = await ship.call(PURSER, "POST", f"/v1/charges/{disputed}/dispute/resolution", ruling)
    assert (resolved.json()["state"], resolved.json()["code"]) == ("refunded", "dispute_upheld")
    check = (await ship.call(PURSER, "GET", "/v1/ledger/check")).json()
    assert check == {
        "ok": True,
        "sum_minor": 0,
        "guests": 1,
        "charges": 3,
        "by_state": {"posted": 1, "refunded": 1, "voided": 1},
        "posted_minor": 150,
        "balance_minor": 150,
        "wrong_taps": [],
        "wrong_guests": [],
    }


async def test_a_folio_ends_at_zero(ship: Aboard) -> None:
    ref = await ship.guest()
    deposit = {"deposit_id": "d-1", "amount_minor": 1000}
    for _ in range(2):
        taken = (await ship.call(PURSER, "POST", f"/v1/guests/{ref}/deposits", deposit)).json()
        assert (taken["amount_minor"], taken["currency"], taken["ref"]) == (1000, "EUR", ref)
    await ship.charged(ref, 300)
    settled = (await ship.call(PURSER, "POST", f"/v1/guests/{ref}/settlement", {})).json()
    assert (settled["settled_minor"], settled["returned_minor"], settled["repeated"]) == (0, 700, False)
    again = (await ship.call(PURSER, "POST", f"/v1/guests/{ref}/settlement", {})).json()
    assert again == settled | {"repeated": True}
    statement = (await ship.call(PURSER, "GET", f"/v1/guests/{ref}/statement")).json()
    assert (statement["settled"], statement["totals"]["balance_minor"]) == (True, 0)


async def test_a_party_shares_its_cabin_and_the_next_one_retires_it(ship: Aboard) -> None:
    stays = []
    for booking in ("R-1", "R-1", "R-2"):
        answer = await ship.call(DESK, "POST", "/v1/guests", FORM | {"booking": booking})
        stays.append(answer.json()["cabins"][0]["stay"])
    assert stays == [1, 1, 2]


async def test_a_band_is_asked_for_and_given_up(ship: Aboard) -> None:
    ref = await ship.guest()
    asked = await ship.call(DESK, "POST", f"/v1/guests/{ref}/bands", {"encoder": "desk"})
    assert asked.status_code == 202
    job = f"/v1/jobs/{asked.json()['job']}"
    found = (await ship.call(DESK, "GET", job + "?wait_s=0.05")).json()
    assert (found["state"], found["ref"], found["encoder"], found["uid"]) == ("waiting", ref, "desk", None)
    second = await ship.call(DESK, "POST", f"/v1/guests/{ref}/bands", {"encoder": "desk"})
    assert (second.status_code, second.json()["code"]) == (409, "conflict")
    waiting = asyncio.create_task(ship.call(DESK, "GET", job + "?wait_s=30"))
    assert (await ship.call(DESK, "DELETE", job)).json()["state"] == "failed"
    assert (await waiting).json()["code"] == "cancelled"
    other = await ship.call(DESK, "POST", f"/v1/guests/{ref}/bands", {"encoder": "gangway"})
    assert (other.status_code, other.json()["code"]) == (404, "not_found")


async def test_what_is_unknown_is_told(ship: Aboard) -> None:
    why = {"reason": "lost", "by": "c117"}
    calls: list[tuple[str, str, str, Any]] = [
        (TILL, "GET", f"/v1/charges/{TAP}", None),
        (PURSER, "GET", f"/v1/charges/{TAP}/evidence", None),
        (PURSER, "POST", f"/v1/charges/{TAP}/void", why),
        (PURSER, "GET", f"/v1/guests/{REF}/statement", None),
        (DESK, "POST", f"/v1/guests/{REF}/bands", {"encoder": "desk"}),
        (DESK, "POST", f"/v1/guests/{REF}/pin", {"pin": "4711"}),
        (DESK, "POST", f"/v1/guests/{REF}/freeze", why),
        (DESK, "POST", f"/v1/bands/{UID}/freeze", why),
        (DESK, "POST", f"/v1/bands/{UID}/return", None),
        (DESK, "GET", f"/v1/jobs/{JOB}", None),
    ]
    for who, method, path, body in calls:
        answer = await ship.call(who, method, path, body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (404, "not_found"), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(problem) == {"type", "title", "status", "code", "detail"}


async def test_rules_of_the_form_are_told_by_code(ship: Aboard) -> None:
    answer = await ship.call(DESK, "POST", "/v1/guests", FORM | {"zones": ["bridge"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "unknown_zone")
    assert "gangway" in answer.json()["detail"]
    answer = await ship.call(DESK, "POST", "/v1/guests", FORM | {"not_after_s": 0})
    assert (answer.status_code, answer.json()["code"]) == (409, "bad_validity")


async def test_a_pin_can_be_set_and_is_never_said_again(ship: Aboard) -> None:
    ref = await ship.guest()
    answer = await ship.call(DESK, "POST", f"/v1/guests/{ref}/pin", {"pin": "4711"})
    assert (answer.status_code, answer.content) == (204, b"")
    wrong = await ship.call(DESK, "POST", f"/v1/guests/{ref}/pin", {"pin": "99x9999"})
    assert wrong.status_code == 422
    assert "99x9999" not in wrong.text


async def test_limits_can_be_raised_at_the_desk(ship: Aboard) -> None:
    ref = await ship.guest()
    body = {"stay_minor": 900_000, "day_minor": 90_000, "verify_above_minor": 9_000, "by": "desk-2"}
    answer = await ship.call(DESK, "POST", f"/v1/guests/{ref}/limits", body)
    assert (answer.status_code, answer.content) == (204, b"")
    missing = await ship.call(DESK, "POST", f"/v1/guests/{'f' * 16}/limits", body)
    assert missing.status_code == 404
    events = (await ship.call(AUDITOR, "GET", "/v1/events?after=0&limit=100")).json()["events"]
    told = [e["payload"] for e in events if e["type"] == 107]
    assert [(p["guest"], p["by"], p["day_minor"]) for p in told] == [(ref, "desk-2", 90_000)]


async def test_readers_tell_their_real_ports(ship: Aboard) -> None:
    readers = {r["name"]: r for r in (await ship.call(MONITOR, "GET", "/v1/readers")).json()}
    assert {name: (r["purpose"], r["place"], r["kind"]) for name, r in readers.items()} == {
        "desk": ("encoder", "encoder", "link"),
        "gangway": ("door", "zone gangway", "link"),
        "cabin-5012": ("door", "cabin 5012", "link"),
        "bar-1": ("till", "till bar-1", "link"),
        "spa-1": ("till", "till spa-1", "link"),
    }
    ports = [r["port"] for r in readers.values()]
    assert len(set(ports)) == len(ports)
    _, writer = await asyncio.open_connection("127.0.0.1", readers["gangway"]["port"])
    writer.close()
    await writer.wait_closed()


async def test_events_are_paged_in_order(ship: Aboard) -> None:
    for _ in range(3):
        await ship.guest()
    first = (await ship.call(AUDITOR, "GET", "/v1/events?limit=2")).json()
    rest = (await ship.call(AUDITOR, "GET", f"/v1/events?after={first['next_after']}")).json()
    events = first["events"] + rest["events"]
    assert [e["name"] for e in events] == ["GATEWAY_STARTED"] + ["GUEST_CHECKED_IN"] * 3
    assert [e["seq"] for e in events] == list(range(events[0]["seq"], events[0]["seq"] + 4))
    assert events[0]["type"] == EventType.GATEWAY_STARTED
    assert events[0]["payload"] == {
        "gateway": "gw1",
        "role": "authority",
        "version": __version__,
        "clock_trusted": True,
    }
    after = rest["next_after"]
    assert (await ship.call(AUDITOR, "GET", f"/v1/events?after={after}")).json()["next_after"] == after


async def test_a_charge_is_still_there_after_a_restart(tmp_path: Path) -> None:
    async with aboard(tmp_path) as ship:
        ref = await ship.guest()
        tap = await ship.charged(ref, 450)
        tokens = ship.tokens
    async with aboard(tmp_path, tokens) as ship:
        assert (await ship.call(TILL, "GET", f"/v1/charges/{tap}")).json()["state"] == "posted"
        assert (await ship.call("spa", "GET", f"/v1/charges/{tap}")).status_code == 404
        events = (await ship.call(AUDITOR, "GET", "/v1/events")).json()["events"]
        assert [e["name"] for e in events].count("GATEWAY_STARTED") == 2
        marks = await ship.gateway.parts.store.read(lambda tx: tx.meta("clock.high_water_s"))
        assert int(marks or 0) >= events[-1]["at_s"] - 1


async def test_a_revoked_token_stops_at_once(ship: Aboard) -> None:
    from steward.web.tokens import revoke_token

    assert (await ship.call(MONITOR, "GET", "/v1/board")).status_code == 200
    revoke_token(ship.folder / "api-tokens.json", "monitor")
    assert (await ship.call(MONITOR, "GET", "/v1/board")).status_code == 401
    assert (await ship.call(PURSER, "GET", "/v1/board")).status_code == 200


async def test_tokens_that_others_can_read_let_nobody_in(ship: Aboard) -> None:
    (ship.folder / "api-tokens.json").chmod(0o640)
    (ship.folder / "api-tokens.json").touch()
    assert (await ship.call(MONITOR, "GET", "/v1/board")).status_code == 401


async def test_stopping_ends_waits_and_answers_them(tmp_path: Path) -> None:
    async with aboard(tmp_path) as ship:
        tap = ship.tap_id()
        await ship.ask(tap)
        waiting = asyncio.create_task(ship.call(TILL, "GET", f"/v1/charges/{tap}?wait_s=30"))
        ship.gateway.parts.services.closing.set()
        answer = await waiting
        assert (answer.status_code, answer.json()["state"]) == (200, "waiting")


async def test_answers_are_not_held_back_by_the_kernel(ship: Aboard) -> None:
    _, writer = await asyncio.open_connection(ship.client.base_url.host, ship.client.base_url.port)
    await ship.call(MONITOR, "GET", "/v1/board")
    connections = ship.gateway._http.server.server_state.connections
    sockets = [connection.transport.get_extra_info("socket") for connection in connections]  # type: ignore[union-attr]
    assert len(sockets) == 2
    assert all(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock in sockets)
    writer.close()
    await writer.wait_closed()


async def test_a_band_made_over_the_api_opens_its_door_and_pays(ship: Aboard, tmp_path: Path) -> None:
    """The firmware on a real MicroPython, through a real reader socket, asked for and answered over HTTP."""
    ports = {r["name"]: r["port"] for r in (await ship.call(MONITOR, "GET", "/v1/readers")).json()}
    ref = await ship.guest()
    job = (await ship.call(DESK, "POST", f"/v1/guests/{ref}/bands", {"encoder": "desk"})).json()["job"]
    async with await BandProcess.start(BandOptions(state=tmp_path / "band"), "field") as band:
        await band.enter("127.0.0.1", ports["desk"])
        made = (await ship.call(DESK, "GET", f"/v1/jobs/{job}?wait_s=30")).json()
        await band.leave()
        assert (made["state"], made["serial"], made["active"], made["step"]) == ("done", 1, True, made["steps"])
        tap = ship.tap_id()
        await ship.ask(tap, 450)
        await band.enter("127.0.0.1", ports["bar-1"])
        paid = (await ship.call(TILL, "GET", f"/v1/charges/{tap}?wait_s=30")).json()
        await band.leave()
        assert (paid["state"], paid["code"]) == ("posted", "posted")
        frozen = await ship.call(PURSER, "POST", f"/v1/bands/{made['uid']}/freeze", {"reason": "lost", "by": "c1"})
        assert frozen.json()["state"] == "frozen"
        tap = ship.tap_id()
        await ship.ask(tap, 450)
        await band.enter("127.0.0.1", ports["bar-1"])
        refused = (await ship.call(TILL, "GET", f"/v1/charges/{tap}?wait_s=30")).json()
        assert (refused["state"], refused["code"]) == ("refused", "frozen")
        assert refused["message"] == "This band was reported lost or stolen."
        returned = await ship.call(DESK, "POST", f"/v1/bands/{made['uid']}/return")
        assert returned.json()["state"] == "returned"
    board = (await ship.call(MONITOR, "GET", "/v1/board")).json()
    assert (board["taps"], board["charges_posted"], board["refusals"]) == (3, 1, {"frozen": 1})
    assert board["apdus"]["till"]["count_p50"] > 0
    assert board["recent"][-1]["purpose"] == "encoder"


async def test_a_tap_in_flight_is_finished_before_the_gateway_ends(ship: Aboard, tmp_path: Path) -> None:
    ports = {r["name"]: r["port"] for r in (await ship.call(MONITOR, "GET", "/v1/readers")).json()}
    ref = await ship.guest()
    job = (await ship.call(DESK, "POST", f"/v1/guests/{ref}/bands", {"encoder": "desk"})).json()["job"]
    async with await BandProcess.start(BandOptions(state=tmp_path / "band"), "field") as band:
        await band.enter("127.0.0.1", ports["desk"])
        async with asyncio.timeout(20):
            while (await ship.call(DESK, "GET", f"/v1/jobs/{job}")).json()["state"] == "waiting":
                pass  # the band is being activated
        assert await ship.gateway.parts.supervisor.stop(20) == []
        assert (await ship.call(DESK, "GET", f"/v1/jobs/{job}")).json()["state"] == "done"


async def test_two_gateways_cannot_share_a_port(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with aboard(tmp_path / "one") as ship:
        port = ship.gateway.url.rpartition(":")[2].strip("/")
        prepare(tmp_path / "two", SETTINGS.replace("port = 0", f"port = {port}"))
        with pytest.raises(ConfigError, match=rf"\[http\] port: {port} on 127\.0\.0\.1 cannot be used.*another port"):
            await Gateway.start(settings_of(tmp_path / "two"))


async def test_a_reader_port_in_use_is_told_with_its_reader(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    prepare(tmp_path, SETTINGS.replace('name = "gangway"', f'name = "gangway"\nport = {port}'))
    with pytest.raises(ConfigError, match=rf"\[reader gangway\] port.*{port}"):
        await Gateway.start(settings_of(tmp_path))
    taken.close()
    await taken.wait_closed()


async def test_the_schema_describes_every_call(ship: Aboard) -> None:
    schema = (await ship.call(None, "GET", "/openapi.json")).json()
    calls = {(m.upper(), p) for p, item in schema["paths"].items() for m in item if p.startswith("/v1")}
    assert calls == set(WHO_MAY)
    operations = [item for path in schema["paths"].values() for item in path.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert operation["tags"], (method, path)
            if path.startswith("/v1"):
                assert operation["security"] == [{"token": []}], (method, path)
                assert "Roles: " in operation["description"]
                assert {"401", "403", "503"} <= set(operation["responses"])
    text = (await ship.call(None, "GET", "/openapi.json")).text
    assert "HTTPValidationError" not in text
    assert "ProblemView" in schema["components"]["schemas"]
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in schema["components"]["schemas"], reference
    assert (await ship.call(None, "GET", "/docs")).status_code == 404
    assert (await ship.call(None, "GET", "/redoc")).status_code == 404
