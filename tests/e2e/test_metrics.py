"""Figures, health and dashboards: what a monitoring system is told, and that nothing in it is about a guest."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from tests.e2e.gatewaykit import SETTINGS, Aboard, aboard, band_of, prepare

from steward.domain.topics import CLASS_WORDS
from steward.errors import StoreUnavailable
from steward.ports.sync import LinkBytes, Waiting
from steward.services.board import BANDS_MAX, TapBoard, TapRecord
from steward.services.health import HealthService, Machine, Vitals
from steward.services.supervise import TaskState, TaskStatus
from steward.services.uplink import UplinkSnapshot
from steward.web import dashboards
from steward.web.bundle import FollowedStatus, GatewayStatus, LinkStatus, ShipStatus
from steward.web.facts import StoreFacts
from steward.web.machine_view import link_rows, size, span
from steward.web.metrics import Snapshot
from steward.web.pages.language import Catalogue

ENGLISH = Catalogue().translator("en", "")
FOLDER = Path(dashboards.__path__[0])
LINK = LinkStatus(
    "mqtts://shore.example:8883",
    "",
    UplinkSnapshot(
        peer="shore",
        connected=True,
        answering=True,
        connected_since_s=1_800_000_000,
        waiting=Waiting(1200, 34_000, 1_800_000_100),
        rtt_ms=712.0,
        window_bytes=65_536,
        in_flight_bytes=0,
        batches=9,
        lost=1,
        rewound=0,
        diverged=0,
        bytes_today=dict.fromkeys(CLASS_WORDS, 1000),
        held_by_budget=frozenset({4}),
        budget={4: 2000, 5: 4000},
    ),
    LinkBytes(4096, 512),
    {"deny": 3},
)
GATEWAYS = (GatewayStatus("bar", "till", True, 2, 0), GatewayStatus("spa", "till", False, 400, 12))
QUIET = GatewayStatus("doors", "door", False, None, None)
FOLLOWED = FollowedStatus(True, 3, 1, 4711, Waiting(5, 900, 1_800_000_100))
SHIP = ShipStatus((*GATEWAYS, QUIET), FOLLOWED)  # no gateway is both; here for the figures of either


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running


def samples(text: str) -> dict[tuple[str, str], float]:
    """(name, labels as text) -> value."""
    return {
        (s.name, ",".join(f"{k}={v}" for k, v in sorted(s.labels.items()))): s.value
        for family in parse(text)
        for s in family.samples
    }


async def scrape(ship: Aboard) -> dict[tuple[str, str], float]:
    answer = await ship.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


async def until(ship: Aboard, figure: tuple[str, str], wanted: float) -> dict[tuple[str, str], float]:
    """Scrape until this figure has this value: some are read from the store only every few seconds."""
    async with asyncio.timeout(30):
        async for found in every_scrape(ship):
            if found.get(figure, 0) == wanted:
                return found
    raise AssertionError(figure)


async def every_scrape(ship: Aboard) -> AsyncIterator[dict[tuple[str, str], float]]:
    while True:
        yield await scrape(ship)
        await asyncio.sleep(0.3)


def tap(purpose: str, code: str, ms: float = 42.0) -> TapRecord:
    return TapRecord(0, "r", purpose, "p", code, ms, 0.0, 0.0, 5, 100, 200)


async def test_taps_charges_refusals_and_times_are_counted(ship: Aboard) -> None:
    board = ship.gateway.parts.services.board
    for purpose, code, ms in (
        ("door", "granted", 9.0),
        ("door", "wrong_cabin", 11.0),
        ("till", "posted", 42.0),
        ("till", "verification_required", 80.0),
        ("till", "day_limit", 80.0),
        ("till", "idle", 1.0),
        ("crew", "announced", 30.0),
        ("encoder", "encoded", 9000.0),
    ):
        board.record(tap(purpose, code, ms))
    board.alert("forged_token")
    found = await scrape(ship)
    taps = {key: value for key, value in found.items() if key[0] == "steward_taps_total"}
    assert taps["steward_taps_total", "purpose=door,result=done"] == 1
    assert taps["steward_taps_total", "purpose=till,result=held"] == 1
    assert taps["steward_taps_total", "purpose=crew,result=done"] == 1
    assert sum(taps.values()) == 8
    charges = {key[1]: value for key, value in found.items() if key[0] == "steward_charges_total"}
    assert charges == {"result=posted": 1, "result=held": 1, "result=refused": 1}
    assert found["steward_refusals_total", "code=wrong_cabin"] == 1
    assert found["steward_alerts_total", "kind=forged_token"] == 1
    assert found["steward_tap_seconds_bucket", "le=0.01,purpose=door"] == 1
    assert found["steward_tap_seconds_bucket", "le=0.02,purpose=door"] == 2
    assert found["steward_tap_seconds_bucket", "le=5.0,purpose=encoder"] == 0
    assert found["steward_tap_seconds_bucket", "le=+Inf,purpose=encoder"] == 1
    assert found["steward_tap_seconds_sum", "purpose=door"] == pytest.approx(0.020)


async def test_store_disk_tasks_and_readers_are_told(ship: Aboard) -> None:
    ref = await ship.guest()
    await ship.charged(ref)
    found = await scrape(ship)
    assert found["steward_healthy", ""] == 1
    assert found["steward_clock_trusted", ""] == 1
    assert found["steward_store_commits_total", ""] >= 3
    assert found["steward_store_failures_total", ""] == 0
    assert found["steward_disk_size_bytes", ""] > found["steward_disk_free_bytes", ""] > 0
    assert found["steward_database_bytes", ""] > 4096
    assert found["steward_reader_up", "purpose=till,reader=bar-1"] == 1
    assert found["steward_task_running", "task=clock mark"] == 1
    assert found["steward_task_restarts_total", "task=bar-1"] == 0
    assert not [name for name, _ in found if name.startswith("steward_link_")], "no link, no figures of one"
    await ship.gateway.parts.store.close()
    dead = await until(ship, ("steward_store_readable", ""), 0)
    assert dead["steward_healthy", ""] == 0, "what can be told without the store is told"


async def test_look_ups_are_counted_by_role_from_the_log(ship: Aboard) -> None:
    ref = await ship.guest()
    before = (await scrape(ship)).get(("steward_look_ups_total", "role=purser"), 0)
    for _ in range(3):
        assert (await ship.call("purser", "GET", f"/v1/guests/{ref}/statement")).status_code == 200
    await until(ship, ("steward_look_ups_total", "role=purser"), before + 3)


async def test_nothing_in_the_figures_is_about_a_guest(ship: Aboard) -> None:
    ref = await ship.guest()
    tap_id = await ship.charged(ref)
    band = band_of(ref)
    ship.gateway.parts.services.board.seen(band.uid.hex().upper(), 0)  # type: ignore[arg-type]
    text = (await ship.client.get("/metrics")).text + (await ship.client.get("/")).text
    for private in (ref, tap_id, band.uid.hex().upper(), "R-1"):
        assert private not in text


async def test_whoever_asks_for_openmetrics_gets_it(ship: Aboard) -> None:
    answer = await ship.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert len(list(parse_openmetrics(answer.text))) > 20
    assert answer.headers["cache-control"] == "no-store"


async def test_odd_codes_cannot_make_labels_without_end(ship: Aboard) -> None:
    board = ship.gateway.parts.services.board
    for n in range(1000):
        board.record(tap("door", f"code_{n}"))
        board.alert(f"kind_{n}")
    found = await scrape(ship)
    assert sum(name == "steward_refusals_total" for name, _ in found) <= 65
    assert sum(name == "steward_alerts_total" for name, _ in found) <= 65
    assert found["steward_refusals_total", "code=other"] > 900


@pytest.mark.parametrize("who", ["bar", "desk", "purser", None])
async def test_with_tls_only_a_monitor_sees_the_figures(
    ship: Aboard, monkeypatch: pytest.MonkeyPatch, who: str | None
) -> None:
    front = ship.gateway.parts.services.front
    object.__setattr__(ship.gateway.parts.services, "front", replace(front, https=True))
    answer = await ship.call(who, "GET", "/metrics")
    assert answer.status_code == (401 if who is None else 403)
    assert b"steward_" not in answer.content
    assert (await ship.call("monitor", "GET", "/metrics")).status_code == 200
    object.__setattr__(ship.gateway.parts.services, "front", front)
    assert monkeypatch is not None


# health


async def test_health_names_every_reason(ship: Aboard) -> None:
    parts = ship.gateway.parts
    await parts.supervisor.stop(5)
    answer = await ship.client.get("/healthz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["code"] == "task_failing"
    assert {"where": "task clock mark", "problem": "task_failing"} in body["errors"]
    assert not [e for e in body["errors"] if "gangway" in e["where"]], "a reader is no reason"
    await parts.store.close()
    codes = [e["problem"] for e in (await ship.client.get("/healthz")).json()["errors"]]
    assert codes[0] == "store_unavailable"
    assert str(ship.folder) not in answer.text


async def test_a_full_disk_and_a_lost_clock_are_told(tmp_path: Path) -> None:
    tokens = prepare(tmp_path, SETTINGS + "[monitor]\ndisk_floor_mb = 1000000\n")
    async with aboard(tmp_path, tokens) as ship:
        body = (await ship.client.get("/healthz")).json()
        assert (body["status"], body["code"]) == (503, "disk_low")
        page = (await ship.client.get("/")).text
        assert "nearly full" in page


async def test_asking_often_does_not_write_often(ship: Aboard) -> None:
    store = ship.gateway.parts.store
    await ship.client.get("/healthz")
    before = store.counts.closures  # type: ignore[attr-defined]
    for _ in range(20):
        await ship.client.get("/healthz")
    assert store.counts.closures - before <= 1  # type: ignore[attr-defined]


class DeadStore:
    async def write(self, work: object) -> None:
        raise StoreUnavailable("full")

    async def read(self, work: object) -> None:
        raise AssertionError("what cannot be written is not read")


class Watch:
    def __init__(self, trusted: bool) -> None:
        self.trusted = trusted

    def now(self) -> object:
        return type("R", (), {"unix_s": 5, "trusted": self.trusted})()

    def monotonic_ms(self) -> float:
        return 1.0


async def test_all_reasons_at_once() -> None:
    tasks = {"a": TaskStatus(TaskState.PAUSED), "reader": TaskStatus(TaskState.PAUSED), "b": TaskStatus()}
    machine = Machine(None, Vitals, lambda: tasks)  # type: ignore[arg-type]
    health = HealthService(DeadStore(), Watch(False), machine, ["reader"], 1)  # type: ignore[arg-type]
    troubles = [(t.where, t.code) for t in await health.check()]
    assert troubles == [
        ("store", "store_unavailable"),
        ("disk", "disk_low"),
        ("clock", "clock_lost"),
        ("task a", "task_failing"),
    ]


# the board behind it


def test_bands_are_sorted_by_the_age_of_their_last_tap() -> None:
    board = TapBoard()
    for uid, at_s in (("A", 0), ("B", 99_000), ("C", 99_900), ("D", 100_000), ("D", 100_000)):
        board.seen(uid, at_s)  # type: ignore[arg-type]
    assert board.tap_ages(100_000) == {"minutes_5": 2, "hour": 1, "day": 0, "older": 1}
    board.seen("A", 100_000)  # type: ignore[arg-type]
    assert board.tap_ages(100_000)["minutes_5"] == 3
    for n in range(BANDS_MAX + 50):
        board.seen(f"U{n}", 100_001)  # type: ignore[arg-type]
    assert sum(board.tap_ages(100_001).values()) == BANDS_MAX


def test_a_clock_that_went_back_makes_no_band_disappear() -> None:
    board = TapBoard()
    board.seen("A", 100_000)  # type: ignore[arg-type]
    assert sum(board.tap_ages(10).values()) == 1


# the link on the page


def test_the_link_in_words() -> None:
    rows = link_rows(LINK, 1_800_000_300, ENGLISH)
    assert rows is not None
    shown = {row.words: (row.value, row.light, row.more) for row in rows.rows}
    assert shown["Shore"] == ("answers", "ok", "for 5 min")
    assert shown["Waiting"] == ("1,200 events, 34.0 kB", "calm", "oldest 3 min")
    assert shown["Round trip"] == ("712 ms", "calm", "9 batches, 1 again")
    classes = {row.words: row for row in rows.classes}
    assert list(classes) == ["safety", "money", "identity", "insight", "telemetry", "link"]
    assert (classes["telemetry"].of, classes["telemetry"].width, classes["telemetry"].held) == ("2.0 kB", 50, True)
    assert (classes["safety"].of, classes["safety"].held) == ("", False)
    down = link_rows(
        replace(LINK, trouble="refused", uplink=replace(LINK.uplink, answering=False, connected=False)), 0, ENGLISH
    )
    assert down is not None
    assert (down.rows[0].value, down.rows[0].light, down.rows[0].more) == ("down", "bad", "refused")
    assert link_rows(None, 0, ENGLISH) is None


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (5_000_000_000, "5.0 GB")]
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")]
)
def test_spans(seconds: int, said: str) -> None:
    assert span(seconds, ENGLISH) == said


# what is shipped for Prometheus and Grafana


def exposed(ship: Aboard) -> Iterator[str]:
    """Every name there can be, those of a link included."""
    services = ship.gateway.parts.services
    for board_tap in (tap("till", "posted"), tap("door", "wrong_cabin")):
        services.board.record(board_tap)
    services.board.alert("clock_lost")
    for family in Snapshot(services, StoreFacts(look_ups={"purser": 1}, link=LINK, ship=SHIP), True, 0).collect():
        yield from (sample.name for sample in family.samples)
        yield family.name


async def test_every_figure_of_the_dashboard_exists(ship: Aboard) -> None:
    known = {*exposed(ship), "process_resident_memory_bytes"}
    dashboard = json.loads((FOLDER / "steward-gateway.json").read_text(encoding="utf-8"))
    texts = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    texts += [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    assert len(texts) > 25
    named = {name for text in texts for name in re.findall(r"\b(?:steward|process)_[a-z0-9_]+", text)}
    assert named - known == set()
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    shown = {name.removesuffix("_bucket") for name in named}
    figures = {f.name + ("_total" if f.type == "counter" else "") for f in families(ship)}
    unseen = {"steward_start_time_seconds", "steward_clock_seconds", "steward_charges_posted_total", "steward_readers"}
    unseen |= {"steward_store_readable", "steward_disk_size_bytes", "steward_task_running", "steward_link_connected"}
    unseen |= {"steward_link_answering", "steward_link_queue_bytes", "steward_link_window_bytes"}
    unseen |= {"steward_certificate_days_left", "steward_certificate_urgency"}
    unseen |= {"steward_link_batches_total", "steward_link_down_version", "steward_ship_position"}
    unseen |= {"steward_link_class_bytes_total", "steward_rules_findings"}
    assert figures - shown == unseen


def families(ship: Aboard) -> list[object]:
    services = ship.gateway.parts.services
    return list(Snapshot(services, StoreFacts(link=LINK, ship=SHIP), True, 0).collect())  # type: ignore[arg-type]


def test_the_scrape_example_names_what_there_is() -> None:
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    assert text.count("metrics_path: /metrics") == 2
    assert "127.0.0.1:8470" in text
    assert "credentials_file" in text
