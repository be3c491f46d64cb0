"""Do both sides say the same of the same events? A hash over a range of an epoch, compared once a day."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import cbor2

from steward.domain.events import StoredEvent

DIGEST_EVENTS_MAX = 2000  # in one range


@dataclass(frozen=True, slots=True)
class Digest:
    """SHA-256 over the canonical bytes of the events first..last of an epoch, as one side has them."""

    first: int
    last: int
    sha256: bytes


def canonical_event(event: StoredEvent) -> bytes:
    """The one form of an event that both sides hash and compare."""
    fields = [event.epoch, event.seq, int(event.type), event.at_s, dict(event.payload)]
    return cbor2.dumps(fields, canonical=True)


def digest_events(first: int, last: int, events: Iterable[StoredEvent]) -> Digest:
    """events: those of first..last that this side has, in order."""
    running = hashlib.sha256()
    for event in events:
        running.update(canonical_event(event))
    return Digest(first, last, running.digest())


def next_range(compared: int, complete: int) -> tuple[int, int] | None:
    """The next first..last to compare: after what was compared, within what the peer has acknowledged whole."""
    if complete <= compared:
        return None
    return compared + 1, min(complete, compared + DIGEST_EVENTS_MAX)
