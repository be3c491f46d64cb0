"""The script that takes a batch: new events, the intake's state, counters and alarms, all in one transaction.

What the event table holds decides what is new; the stream says what to acknowledge. The gateway's row is locked
first, so two workers with batches of one gateway, of whatever epoch, go one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cbor2

from steward.domain.batches import COUNT_MAX, Ack, Batch
from steward.domain.cborwire import NotPlain, is_count, plain_loads
from steward.domain.columns import type_of
from steward.domain.digest import DIGEST_EVENTS_MAX, Digest, answer_digest
from steward.domain.events import EventType, StoredEvent
from steward.domain.intake import Stream, acknowledge, decode_stream, encode_stream, end_older, lost_count, take
from steward.domain.recipients import lesser
from steward.domain.topics import CLASS_WORDS, DOWN_KINDS
from steward.errors import StoreUnavailable
from steward.shore.aggregates import take_answers
from steward.shore.alarms import AlarmKind, raise_alarm
from steward.shore.erasure import without_erased
from steward.shore.ordered import take_orders
from steward.shore.registry import boot
from steward.shore.script import Script, among, change, change_many, first, insert_many, one, rows
from steward.shore.witness import note_heads

DAY_S = 86_400
_ALARMS_PER_BATCH = 4

_LOCK = (
    "UPDATE gateway SET contact_s = ?, version = CASE WHEN ? = '' THEN version ELSE ? END "
    "WHERE ship = ? AND gateway = ? RETURNING 1"
)
_KEY = "ship = ? AND gateway = ? AND epoch = ?"
_STREAM = f"SELECT stream, whole_s FROM log WHERE {_KEY}"  # noqa: S608 a constant
_OLDER = "SELECT epoch, stream FROM log WHERE ship = ? AND gateway = ? AND epoch < ?"
_STORED = f"SELECT seq, type, at_s, payload FROM event WHERE {_KEY} AND seq IN "  # noqa: S608 a constant
_RANGE = f"SELECT seq, type, at_s, payload FROM event WHERE {_KEY} AND seq BETWEEN ? AND ? ORDER BY seq"  # noqa: S608
_BEYOND = f"SELECT count(*) FROM event WHERE {_KEY} AND seq > ?"  # noqa: S608 a constant
_NARROW = f"UPDATE event SET payload = ? WHERE {_KEY} AND seq = ?"  # noqa: S608 a constant
_EVENT = ("ship", "gateway", "epoch", "seq", "type", "at_s", "payload")
_LOG = (
    "INSERT INTO log (ship, gateway, epoch, stream, events, head, bytes, duplicates, conflicts, whole_s, contact_s) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ship, gateway, epoch) DO UPDATE SET "
    "stream = excluded.stream, events = excluded.events, head = excluded.head, bytes = log.bytes + excluded.bytes, "
    "duplicates = log.duplicates + excluded.duplicates, conflicts = log.conflicts + excluded.conflicts, "
    "whole_s = excluded.whole_s, contact_s = excluded.contact_s"
)
_END = f"UPDATE log SET stream = ?, ends = ?, lost = ? WHERE {_KEY}"  # noqa: S608 a constant
_TRAFFIC = (
    "INSERT INTO traffic (ship, class, day, bytes, batches, events, duplicates) VALUES (?, ?, ?, ?, 1, ?, ?) "
    "ON CONFLICT (ship, class, day) DO UPDATE SET bytes = traffic.bytes + excluded.bytes, "
    "batches = traffic.batches + 1, events = traffic.events + excluded.events, "
    "duplicates = traffic.duplicates + excluded.duplicates"
)
_APPLIED = (
    "INSERT INTO applied (ship, gateway, kind, version) VALUES (?, ?, ?, ?) ON CONFLICT (ship, gateway, kind) "
    "DO UPDATE SET version = CASE WHEN excluded.version > applied.version THEN excluded.version "
    "ELSE applied.version END"
)
_DIGEST = (
    "INSERT INTO digest (ship, gateway, epoch, first, last, theirs, ours, at_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (ship, gateway, epoch, first, last) DO UPDATE SET theirs = excluded.theirs, ours = excluded.ours, "
    "at_s = excluded.at_s"
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch as it was received: how many bytes it was, and when."""

    batch: Batch
    size: int
    now_s: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of it, durably, when the script is over. ack is None if the gateway is not registered."""

    ack: Ack | None
    new: int = 0
    again: int = 0
    conflicts: int = 0


@dataclass(frozen=True, slots=True)
class _Sorted:
    """A batch's events by what is stored already."""

    new: list[StoredEvent]
    again: int
    conflicts: list[int]  # seqs
    lesser: list[StoredEvent]  # came again and say less: they take the place of what is stored


def keep(arrival: Arrival) -> Script[Kept]:
    """Take a batch into the store; the acknowledgement is to be sent once this is durable."""
    batch, now_s = arrival.batch, arrival.now_s
    who = (batch.ship, batch.gateway)
    if not (yield from rows(_LOCK, now_s, batch.version, batch.version, *who)):
        detail = "add it with: steward shore ship add"
        yield from raise_alarm(AlarmKind.UNREGISTERED, now_s, detail, ship=batch.ship, gateway=batch.gateway)
        return Kept(None)
    row = yield from first(_STREAM, batch.ship, batch.gateway, batch.epoch)
    before, whole_s = (Stream(), now_s) if row is None else (decode_stream(bytes(row[0])), row[1])
    taken = take(before, batch)
    events = yield from without_erased(batch.ship, () if taken.refused else batch.events)
    key = (*who, batch.epoch)
    found = yield from _sort(batch, events)
    stream = replace(taken.stream, count=before.count + len(found.new))
    yield from insert_many("event", _EVENT, [_row(batch, event) for event in found.new])
    yield from change_many(_NARROW, [(payload_of(event), *key, event.seq) for event in found.lesser])
    yield from take_orders(batch, found.new, now_s)
    yield from take_answers(batch.ship, batch.gateway, found.new)
    yield from note_heads(batch, found.new)
    yield from change_many(_APPLIED, [row for event in found.new for row in _applied(batch, event)])
    yield from _conflicts(batch, found.conflicts, now_s)
    yield from _save(arrival, stream, found, whole_s if stream.behind else now_s)
    yield from _end_older(batch, now_s)
    ours = yield from _compare(batch, now_s)
    ack = acknowledge(stream, batch, (yield from boot()), ours)
    return Kept(ack, len(found.new), found.again, len(found.conflicts))


def events_in(ship: str, gateway: str, epoch: int, first_seq: int, last_seq: int) -> Script[list[StoredEvent]]:
    """Those stored of a range, in order."""
    found = yield from rows(_RANGE, ship, gateway, epoch, first_seq, last_seq)
    return [event_of(epoch, *row) for row in found]


def _sort(batch: Batch, events: Sequence[StoredEvent]) -> Script[_Sorted]:
    """Not by the stream alone: a gateway at fault may give one number to events of two classes."""
    if not events:
        return _Sorted([], 0, [], [])
    places, seqs = among([event.seq for event in events])
    key = (batch.ship, batch.gateway, batch.epoch)
    stored = {row[0]: event_of(batch.epoch, *row) for row in (yield from rows(_STORED + places, *key, *seqs))}
    again = [(stored[event.seq], lesser(stored[event.seq], event)) for event in events if event.seq in stored]
    conflicts = [known.seq for known, kept in again if kept is None]
    less = [kept for known, kept in again if kept is not None and kept is not known]
    new = [event for event in events if event.seq not in stored]
    return _Sorted(new, len(again) - len(conflicts), conflicts, less)


def _row(batch: Batch, event: StoredEvent) -> tuple[str | int | bytes, ...]:
    return (batch.ship, batch.gateway, batch.epoch, event.seq, int(event.type), event.at_s, payload_of(event))


def payload_of(event: StoredEvent) -> bytes:
    """As the event table has it."""
    return cbor2.dumps(dict(event.payload), canonical=True)


def _applied(batch: Batch, event: StoredEvent) -> Iterator[tuple[str | int, ...]]:
    """What a gateway says it has applied of what it was told."""
    kind, version = event.payload.get("kind"), event.payload.get("version")
    if event.type is EventType.DOWN_APPLIED and kind in DOWN_KINDS and is_count(version, COUNT_MAX):
        yield batch.ship, batch.gateway, str(kind), int(str(version))


def event_of(epoch: int, seq: int, kind: int, at_s: int, payload: bytes) -> StoredEvent:
    """From a row of the event table. Raises StoreUnavailable."""
    try:
        return StoredEvent(epoch, seq, type_of(kind), at_s, plain_loads(bytes(payload)))
    except NotPlain:
        raise StoreUnavailable(f"event {seq} of epoch {epoch} is damaged: restore the last backup") from None


def _conflicts(batch: Batch, seqs: Sequence[int], now_s: int) -> Script[None]:
    """The first content stays. A few are listed, the log counts them all."""
    for seq in seqs[:_ALARMS_PER_BATCH]:
        yield from raise_alarm(
            AlarmKind.CONFLICT,
            now_s,
            "the first content is kept",
            ship=batch.ship,
            gateway=batch.gateway,
            epoch=batch.epoch,
            seq=seq,
        )


def _save(arrival: Arrival, stream: Stream, found: _Sorted, whole_s: int) -> Script[None]:
    batch, size = arrival.batch, arrival.size
    counts = (stream.count, stream.head, size, found.again, len(found.conflicts), whole_s, arrival.now_s)
    yield from change(_LOG, batch.ship, batch.gateway, batch.epoch, encode_stream(stream), *counts)
    day = arrival.now_s // DAY_S
    yield from change(_TRAFFIC, batch.ship, CLASS_WORDS[batch.cls], day, size, len(found.new), found.again)


def _end_older(batch: Batch, now_s: int) -> Script[None]:
    """A gateway restored from a backup says what it still has: what it lost with its disk is not waited for."""
    if batch.older is None:
        return
    key = (batch.ship, batch.gateway)
    streams = {row[0]: decode_stream(bytes(row[1])) for row in (yield from rows(_OLDER, *key, batch.epoch))}
    for epoch, stream in end_older(streams, batch).items():
        (beyond,) = yield from one(_BEYOND, *key, epoch, stream.ends)
        lost = lost_count(stream, beyond)
        yield from change(_END, encode_stream(stream), stream.ends, lost, *key, epoch)
        if lost:
            detail = f"{lost} events after {stream.ends}"
            yield from raise_alarm(AlarmKind.LOST, now_s, detail, ship=key[0], gateway=key[1], epoch=epoch)


def _compare(batch: Batch, now_s: int) -> Script[Digest | None]:
    """Ours over the range that the gateway asks about, kept beside theirs; a difference is an alarm.

    Payloads are left out where either side has rightly forgotten some.
    """
    asked = batch.digest or batch.bare
    if asked is None or asked.last - asked.first >= DIGEST_EVENTS_MAX:
        return None
    key = (batch.ship, batch.gateway, batch.epoch)
    answer = answer_digest(batch.digest, batch.bare, (yield from events_in(*key, asked.first, asked.last)))
    assert answer is not None
    theirs, ours = answer
    yield from change(_DIGEST, *key, theirs.first, theirs.last, theirs.sha256, ours.sha256, now_s)
    if ours != theirs:
        detail = f"events {theirs.first} to {theirs.last}"
        ship, gateway, epoch = key
        yield from raise_alarm(
            AlarmKind.DIGEST, now_s, detail, ship=ship, gateway=gateway, epoch=epoch, seq=theirs.first
        )
    return ours
