"""Bytes per event on the link to shore, beside the same events as JSON with named keys, plain and in zstd.

Events of an evening, cut by class into batches as the uplink cuts them, and encoded by the link's own codec at the
level the uplink uses for that many: whole, as the ship's own gateways are sent them, and as shore is, with the keys
alone that the register names it as recipient of. The floor is what no codec can leave out: the bytes drawn at random
for each event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import zstandard
from rich.console import Console
from rich.table import Table

from bench.typical import Ship, as_json
from steward.domain.batches import Batch, encode_batch
from steward.domain.events import EventType, StoredEvent
from steward.domain.recipients import Projection
from steward.domain.tally import publish_bytes
from steward.domain.topics import CLASS_WORDS, class_of, up_topic
from steward.domain.usecases import REGISTER
from steward.services.uplink import BUSY_EVENTS, LEVEL_BUSY, LEVEL_IDLE

EVENTS = 20_000
SIZES = (1, 10, 100, 500)
CLASSES_AT = 100
_BY_REGISTER = Projection.by(REGISTER.shore_fields)
_RANDOM_BYTES = {EventType.CHARGE_POSTED: 16 + 8}  # the tap's id and the band's MAC; all else is drawn from few


@dataclass(frozen=True, slots=True)
class Row:
    """Bytes per event. ours: what the codec makes; on_line: with the topic and MQTT's own bytes; ashore: ours of what
    shore may see."""

    what: str
    batch_events: int
    events: int
    ours: float
    on_line: float
    ashore: float
    json_plain: float
    json_zstd: float
    random: float


def run(events: int = EVENTS) -> dict[str, Any]:
    """Rows by batch size over all classes, then by class."""
    drawn = Ship(seed=1).events(events)
    rows = [measure("all classes", drawn, size) for size in SIZES]
    for cls, word in CLASS_WORDS.items():
        if own := [event for event in drawn if class_of(event.type) == cls]:
            rows.append(measure(word, own, CLASSES_AT))
    return {"events": events, "rows": [asdict(row) for row in rows]}


def measure(what: str, events: Sequence[StoredEvent], size: int) -> Row:
    """The same events each way, in the same batches."""
    ours = topics = ashore = plain = packed = 0
    level = level_of(size)
    zstd = zstandard.ZstdCompressor(level=level, write_content_size=True)
    for batch in batches(events, size):
        payload = encode_batch(batch, level)
        ours += len(payload)
        topics += publish_bytes(up_topic(batch.ship, batch.gateway, batch.cls), payload) - len(payload)
        seen = tuple(map(_BY_REGISTER.of, batch.events))
        ashore += len(encode_batch(replace(batch, events=seen), level))
        text = as_json(batch.events)
        plain += len(text)
        packed += len(zstd.compress(text))
    per = float(len(events))
    random = sum(_RANDOM_BYTES.get(event.type, 0) for event in events)
    return Row(what, size, len(events), *(n / per for n in (ours, ours + topics, ashore, plain, packed, random)))


def level_of(batch_events: int) -> int:
    """As the uplink chooses."""
    return LEVEL_BUSY if batch_events >= BUSY_EVENTS else LEVEL_IDLE


def batches(events: Sequence[StoredEvent], size: int, ship: str = "aurora", gateway: str = "gw1") -> Iterator[Batch]:
    """All of a log, class after class, `size` events at a time; the last batch of a class may be smaller."""
    by_class: dict[int, list[StoredEvent]] = defaultdict(list)
    for event in events:
        by_class[class_of(event.type)].append(event)
    number, head = 0, events[-1].seq
    for cls, own in sorted(by_class.items()):
        prev = 0
        for at in range(0, len(own), size):
            part = tuple(own[at : at + size])
            number += 1
            yield Batch(ship, gateway, part[0].epoch, number, cls, part, head, prev)
            prev = part[-1].seq


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Bytes per event on the link, {figures['events']:,} events of an evening")
    for heading in (
        "events",
        "in batches of",
        "codec",
        "with MQTT",
        "ashore",
        "JSON",
        "JSON + zstd",
        "JSON / codec",
        "random",
    ):
        table.add_column(heading, justify="left" if heading == "events" else "right")
    for row in figures["rows"]:
        sizes = (f"{row[name]:.1f}" for name in ("ours", "on_line", "ashore", "json_plain", "json_zstd"))
        ratio = f"{row['json_plain'] / row['ours']:.1f}"
        table.add_row(row["what"], str(row["batch_events"]), *sizes, ratio, f"{row['random']:.1f}")
    console.print(table)
