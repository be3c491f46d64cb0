"""What the benches compute by themselves: bytes, batches, percentiles, the line, rates; and what they say is off."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench import catchup, freeze, ingest, linkbytes, natsnodes, virtualtime, voyages
from bench.httpline import BadAnswer, parse_head, request
from bench.postgres import PostgresMissing
from bench.typical import Ship, as_json
from steward.adapters.memory import MemoryStore
from steward.domain.batches import decode_batch, encode_batch
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, Uid
from steward.domain.topics import CLASS_WORDS, class_of
from steward.ports.sync import LinkDown

UID = Uid("04A1B2C3D4E5F6")


# bytes


def test_batches_hold_every_event_once_in_its_class_and_can_be_read_back() -> None:
    events = Ship(seed=3).events(500)
    made = [decode_batch(encode_batch(batch)) for batch in linkbytes.batches(events, 30)]
    assert sorted(event.seq for batch in made for event in batch.events) == [event.seq for event in events]
    assert all(class_of(event.type) == batch.cls for batch in made for event in batch.events)
    assert max(len(batch.events) for batch in made) == 30
    for cls in CLASS_WORDS:
        own = [batch for batch in made if batch.cls == cls]
        assert [batch.prev for batch in own] == [0, *(batch.last for batch in own[:-1])]


def test_larger_batches_cost_fewer_bytes_and_json_always_more() -> None:
    events = Ship(seed=3).events(1000)
    rows = [linkbytes.measure("all", events, size) for size in (1, 10, 100)]
    assert rows[0].ours > rows[1].ours > rows[2].ours > rows[2].random > 0
    assert all(row.json_plain > row.json_zstd > row.ours and row.on_line > row.ours for row in rows)
    assert rows[0].events == 1000


def test_json_has_what_the_events_have() -> None:
    events = Ship(seed=3).events(20)
    rows = json.loads(as_json(events))
    assert [row["seq"] for row in rows] == [event.seq for event in events]
    assert all(set(event.payload) <= set(row) for row, event in zip(rows, events, strict=True))


# the line


@pytest.mark.parametrize(
    ("topic", "size", "expected"),
    [
        ("t", 0, 7 + 1 + 22 + 52),
        ("t" * 10, 1400, 7 + 10 + 1400 + 22 + 52),  # one segment
        ("t" * 10, 1410, 7 + 10 + 1410 + 22 + 2 * 52),  # 1449 bytes are two
        ("t", 20_000, 7 + 1 + 20_000 + 2 * 22 + 14 * 52),
    ],
)
def test_what_a_message_takes_on_the_line(topic: str, size: int, expected: int) -> None:
    assert catchup.bytes_on_line(topic, size) == expected


def test_a_way_sends_one_thing_after_the_other_and_forgets_what_was_not_sent() -> None:
    way = catchup.Way()
    assert way.travel_s(32_000, 10.0) == pytest.approx(1.0 + 0.35)
    assert way.travel_s(32_000, 10.0) == pytest.approx(2.0 + 0.35)
    assert way.travel_s(16_000, 50.0) == pytest.approx(0.5 + 0.35)  # what was sent long ago is in nobody's way
    way.forget(50.25)
    assert way.sent == 32_000 * 2 + 8_000
    assert way.travel_s(32_000, 50.25) == pytest.approx(1.0 + 0.35)


def test_what_is_on_the_way_when_the_line_is_cut_is_lost() -> None:
    arrived: list[str] = []

    async def ashore(topic: str, payload: bytes) -> None:
        arrived.append(topic)

    async def sail() -> None:
        pipe = catchup.SatellitePipe(ashore)
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, pipe.cut)
        loop.call_later(0.25, pipe.connect)
        with pytest.raises(LinkDown):
            await pipe.publish("on-the-way", bytes(100))
        pipe.cut()
        with pytest.raises(LinkDown):
            await pipe.publish("while-cut", bytes(100))
        pipe.connect()
        await pipe.publish("again", bytes(100))
        assert pipe.generation == 3

    virtualtime.run(sail())
    assert arrived == ["again"]


def test_a_small_catch_up_is_exact_and_never_faster_than_the_line() -> None:
    figures = catchup.run(events=1500)
    clear, cut = figures["rows"]
    assert clear["caught_up_s"] > clear["limit_s"] > 0
    assert clear["lost_batches"] == 0
    assert clear["bytes_up"] < cut["bytes_up"]
    assert cut["caught_up_s"] > cut["cut_s"] == 180
    assert 0.7 <= clear["freeze_s"] < clear["caught_up_s"]
    assert figures["json_s"] > clear["caught_up_s"]
    again = catchup.run(events=1500)["rows"][0]
    assert again | {"worked_s": 0} == clear | {"worked_s": 0}  # simulated time comes again to the bit


# a freeze


def test_spread_is_of_the_values_themselves() -> None:
    assert freeze.spread("x", [5.0, 1.0, 3.0]) == freeze.Spread("x", 3, 3.0, 5.0, 5.0)


async def test_a_store_tells_when_the_freeze_is_in_it_and_only_then() -> None:
    store = freeze.Noticing(MemoryStore())
    store.wanted = UID
    await store.write(lambda tx: tx.put_band(Band(UID, GuestRef("1" * 16), 1, True, 1, True, BandState.ISSUED)))
    await store.write(lambda tx: tx.deny(Uid("04A1B2C3D4E5F7"), 1, "lost"))
    assert not store.came.is_set()
    await store.write(lambda tx: tx.deny(UID, 2, "lost"))
    first_s = store.refused_s[UID]
    assert store.came.is_set()
    await store.write(lambda tx: tx.deny(UID, 2, "lost"))
    assert store.refused_s == {UID: first_s}


# what comes ashore


def test_batches_of_all_gateways_come_in_turn() -> None:
    made = ingest.made_batches(800 * ingest.GATEWAYS)
    assert [batch.gateway for batch in made[: ingest.GATEWAYS]] == [f"gw{n}" for n in range(1, ingest.GATEWAYS + 1)]
    assert sum(len(batch.events) for batch in made) == 800 * ingest.GATEWAYS
    for topic, payload in ingest.messages(made[:20]):
        batch = decode_batch(payload)
        assert topic == f"steward/1/{batch.ship}/{batch.gateway}/up/{CLASS_WORDS[batch.cls]}"


def test_what_is_missing_is_named() -> None:
    assert ingest.missing("json") is None
    assert ingest.missing("json", "no_such_module") == "not installed: no_such_module (extra `fleet`)"


def test_rows_that_are_off_say_why_in_the_table() -> None:
    console = Console(width=200, file=io.StringIO(), record=True)
    row = {"what": "SQLite", "workers": 1, "per_s": 9e3, "per_worker_s": 9e3, "batches": 3, "p50_ms": 1, "p99_ms": 2}
    off = {"PostgreSQL, one node": "PostgreSQL's server programs are not installed"}
    ingest.show({"batch_events": 100, "rows": [row], "off": off}, console)
    text = console.export_text()
    assert "9,000" in text
    assert "PostgreSQL, one node" in text
    assert "not installed" in text


async def test_without_a_server_the_other_rows_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> None:
        raise PostgresMissing("PostgreSQL's server programs are not installed")

    monkeypatch.setattr(ingest, "postgres", nowhere)
    rows, off = await ingest._measure(tmp_path, 0.05, ingest.made_batches(400))
    assert [row.what for row in rows] == ["SQLite, bare rows", "SQLite, one node", "SQLite, one node"]
    assert set(off.values()) == {"PostgreSQL's server programs are not installed"}
    assert all(row.per_s == pytest.approx(row.per_worker_s * row.workers) for row in rows)


def test_each_node_knows_all_three(tmp_path: Path) -> None:
    node = json.loads(natsnodes.node_file(1, tmp_path, [1, 2, 3], [4, 5, 6]))
    assert (node["server_name"], node["listen"], node["cluster"]["listen"]) == ("n1", "127.0.0.1:2", "127.0.0.1:5")
    assert node["cluster"]["routes"] == ["nats://127.0.0.1:4", "nats://127.0.0.1:5", "nats://127.0.0.1:6"]


# voyages and HTTP


def test_rates_of_processes_add_up() -> None:
    found = [
        {"voyages": 10, "events": 1000, "simulated_s": 3000.0, "took_s": 30.0},
        {"voyages": 6, "events": 500, "simulated_s": 1500.0, "took_s": 15.0},
    ]
    summed = voyages.summed(found)
    assert (summed["processes"], summed["voyages"]) == (2, 16)
    assert summed["seeds_a_minute"] == pytest.approx(20 + 24)
    assert summed["simulated_s_a_second"] == pytest.approx(200)


def test_a_request_and_the_head_of_an_answer() -> None:
    assert request("h", 80, "/a", {"X": "1"}) == b"GET /a HTTP/1.1\r\nHost: h:80\r\nX: 1\r\n\r\n"
    assert parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n") == (200, 12)
    for bad in (b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 200\r\nContent-Length: -1\r\n\r\n"):
        with pytest.raises(BadAnswer):
            parse_head(bad)
