"""The shore's API and page: who may do what, what they answer, and nothing about a guest."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from tests.shore.kit import NOW_S, Sender, deliver, typical
from tests.shore.webkit import Web, busy_fleet, running_web

from steward.shore.alarms import AlarmKind, raise_alarm
from steward.shore.ingest import Ingest
from steward.web.roles import Role

BAND, GUEST = "04A1B2C3D4E5F6", "3f9c0a1b2c3d4e5f"
RELEASE = {"name": "preference", "version": "2.1.0", "sha256": "ab" * 32, "size": 5, "url": ""}
READERS, DECIDERS = {"monitor", "purser"}, {"purser"}
CALLS: list[tuple[str, str, object, set[str]]] = [
    ("GET", "/v1/fleet", None, READERS),
    ("GET", "/v1/events/count?ship=aurora", None, READERS),
    ("GET", "/v1/aggregates", None, READERS),
    ("GET", "/v1/decisions", None, READERS),
    ("POST", "/v1/ships/aurora/deny", {"bands": [BAND], "reason": "stolen"}, DECIDERS),
    ("POST", "/v1/ships/aurora/freeze", {"bands": [BAND], "guests": [GUEST], "reason": "lost"}, DECIDERS),
    ("POST", "/v1/ships/aurora/consents", {"guest": GUEST, "purpose": "suggestions", "given": False}, DECIDERS),
    ("POST", "/v1/ships/aurora/releases", RELEASE, DECIDERS),
    ("POST", "/v1/alarms/clear", {"kind": "garbage", "ship": ""}, DECIDERS),
]


@pytest_asyncio.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with running_web(tmp_path) as running:
        yield running


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[1])
async def test_each_call_is_for_its_roles_only(web: Web, call: tuple[str, str, object, set[str]]) -> None:
    method, path, body, allowed = call
    assert (await web.call(None, method, path, body)).status_code == 401
    for role in map(str, Role):
        answer = await web.call(role, method, path, body)
        assert answer.status_code == (200 if role in allowed else 403), (role, answer.text)


async def test_the_table_is_every_call_there_is(web: Web) -> None:
    paths = (await web.client.get("/openapi.json")).json()["paths"]
    listed = {(method.upper(), path) for path, calls in paths.items() for method in calls}
    tested = {(method, re.sub(r"/ships/\w+/", "/ships/{ship}/", path.partition("?")[0])) for method, path, *_ in CALLS}
    assert listed == tested


async def test_counts_are_those_of_the_events_themselves(web: Web) -> None:
    sender = Sender(typical(120))
    await deliver(Ingest(web.store, web.clock), sender)
    answer = await web.call("monitor", "GET", "/v1/events/count?ship=aurora")
    assert answer.json() == [{"gateway": "gw1", "epoch": sender.epoch, "events": 120, "first": 1, "last": 120}]
    fleet = (await web.call("monitor", "GET", "/v1/fleet")).json()
    (aurora,) = [ship for ship in fleet["ships"] if ship["ship"] == "aurora"]
    assert (aurora["gateways"][0]["events"], aurora["gateways"][0]["missing"]) == (120, 0)


async def test_a_decision_over_the_api_is_signed_once_and_published(web: Web) -> None:
    body = {"bands": [BAND], "reason": "stolen"}
    first = await web.call("purser", "POST", "/v1/ships/aurora/deny", body)
    again = await web.call("purser", "POST", "/v1/ships/aurora/deny", body)
    assert first.json() | {"new": False} == again.json()
    assert (first.json()["by"], first.json()["new"]) == ("token purser", True)
    assert len(web.decided) == 2
    (listed,) = (await web.call("monitor", "GET", "/v1/decisions")).json()
    assert listed["version"] == first.json()["version"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/ships/nowhere/deny", {"bands": [BAND], "reason": "stolen"}, 404),
        ("/v1/ships/UPPER/deny", {"bands": [BAND], "reason": "stolen"}, 422),
        ("/v1/ships/aurora/deny", {"bands": [], "reason": "stolen"}, 422),
        ("/v1/ships/aurora/deny", {"bands": ["04A1"], "reason": "stolen"}, 422),
        ("/v1/ships/aurora/deny", {"bands": [BAND] * 201, "reason": "stolen"}, 422),
        ("/v1/ships/aurora/deny", {"bands": [BAND], "reason": "Anna lost it"}, 422),
        ("/v1/ships/aurora/freeze", {"bands": [BAND], "reason": "lost", "more": 1}, 422),
        ("/v1/ships/aurora/freeze", {"reason": "lost"}, 409),
        ("/v1/ships/aurora/releases", RELEASE | {"url": "http://plain.example"}, 422),
        ("/v1/ships/aurora/releases", RELEASE | {"size": -1}, 422),
        ("/v1/ships/aurora/consents", {"guest": GUEST, "purpose": "suggestions", "given": "yes"}, 422),
        ("/v1/ships/aurora/consents", {"guest": GUEST, "purpose": "gossip", "given": True}, 422),
        ("/v1/alarms/clear", {"kind": "gossip", "ship": ""}, 422),
    ],
)
async def test_what_cannot_be_is_refused(web: Web, path: str, body: dict[str, object], status: int) -> None:
    answer = await web.call("purser", "POST", path, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (await web.call("monitor", "GET", "/v1/decisions")).json() == []


async def test_the_page_shows_every_state_in_words(web: Web) -> None:
    await busy_fleet(web)
    page = (await web.client.get("/")).text
    for words in ("up to date", "catching up", "silent", "link down", "never heard", "3 in conflict", "head-office"):
        assert words in page, words
    assert "came again with other content" in page
    assert "steward shore ship add" in page
    order = [page.index(f'id="h-{ship}"') for ship in ("boreal", "cygnus", "aurora", "delphinus")]
    assert order == sorted(order)  # who needs somebody comes first


async def test_nothing_of_an_event_is_on_the_page_or_in_the_figures(web: Web) -> None:
    await busy_fleet(web)
    texts = [(await web.client.get(path)).text for path in ("/", "/live", "/metrics")]
    values = {str(value) for event in typical(900, 1) for value in event.payload.values() if len(str(value)) >= 8}
    assert len(values) > 300
    assert [value for value in values if any(value in text for text in texts)] == []


async def test_a_name_cannot_break_the_page(web: Web) -> None:
    bad = "<script>alert(1)</script>"
    await web.store.write(raise_alarm(AlarmKind.GARBAGE, NOW_S, bad))
    page = (await web.client.get("/")).text
    assert bad not in page
    assert "&lt;script&gt;" in page


async def test_health_names_what_is_wrong(web: Web) -> None:
    assert (await web.client.get("/healthz")).json() == {"status": "ok", "node": "shore1"}
    web.links[0] = replace(web.links[0], connected=False, trouble="ConnectionRefusedError")
    answer = await web.client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["errors"] == [{"where": "broker", "problem": "ConnectionRefusedError"}]


async def test_figures_are_prometheus_figures(web: Web) -> None:
    await busy_fleet(web)
    lines = dict(
        line.rsplit(" ", 1)
        for line in (await web.client.get("/metrics")).text.splitlines()
        if line[:1] not in ("#", "")
    )
    assert lines['steward_shore_gateway_missing_events{gateway="gw1",ship="aurora"}'] == "0.0"
    assert float(lines['steward_shore_gateway_missing_events{gateway="gw2",ship="aurora"}']) > 0
    assert float(lines['steward_shore_bytes_today{class="money",ship="aurora"}']) > 0
    assert lines['steward_shore_link_bytes_total{direction="received",link="broker"}'] == "34.0"
    assert float(lines['steward_shore_decision_version{kind="deny",ship="aurora"}']) == NOW_S - 300


async def test_over_tls_the_page_asks_for_a_token(tmp_path: Path) -> None:
    async with running_web(tmp_path, https=True) as web:
        for path in ("/", "/live"):
            refused = await web.client.get(path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Basic ")
            for role, status in (("monitor", 200), ("purser", 200), ("desk", 401), ("till", 401)):
                answer = await web.client.get(path, auth=("anyone", web.tokens[role]))
                assert answer.status_code == status, role
        for junk in ("Basic", "Basic !!!", "Basic " + base64.b64encode(b"\xff:\xff").decode(), "Bearer x"):
            assert (await web.client.get("/", headers={"Authorization": junk})).status_code == 401
        assert (await web.client.get("/metrics")).status_code == 401
        assert (await web.call("monitor", "GET", "/metrics")).status_code == 200
        assert (await web.call("desk", "GET", "/metrics")).status_code == 403
        assert (await web.client.get("/healthz")).status_code == 200
