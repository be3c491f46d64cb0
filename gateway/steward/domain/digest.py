"""Do both sides say the same of the same events? A hash over a range of an epoch, compared once a day.

The bare digest is the same without payloads: for a range in which one side may rightly know less of an event than the
other, because it was sent before an upgrade changed what goes, or because its guest was erased since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cbor2

from steward.domain.events import StoredEvent, is_erased

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


def bare_digest(first: int, last: int, events: Iterable[StoredEvent]) -> Digest:
    """Over which events these are and when, not over what they say."""
    running = hashlib.sha256()
    for event in events:
        running.update(cbor2.dumps([event.epoch, event.seq, int(event.type), event.at_s], canonical=True))
    return Digest(first, last, running.digest())


@dataclass(frozen=True, slots=True)
class Compare:
    """One side's digests over a range. full: None where it would prove nothing."""

    bare: Digest
    full: Digest | None

    @property
    def span(self) -> tuple[int, int]:
        return self.bare.first, self.bare.last

    def is_alike(self, theirs: Digest) -> bool:
        """Whether the other side's answer, in whichever form it could give, says the same."""
        return theirs in (self.bare, self.full)


def compare_range(first: int, last: int, events: Sequence[StoredEvent], *, whole: bool = True) -> Compare:
    """events: those of first..last that this side has, in order. whole: whether their payloads are to be compared."""
    full = whole and not any(is_erased(event) for event in events)
    return Compare(bare_digest(first, last, events), digest_events(first, last, events) if full else None)


def answer_digest(
    theirs: Digest | None, theirs_bare: Digest | None, events: Sequence[StoredEvent]
) -> tuple[Digest, Digest] | None:
    """(what they asked with, ours) in the fullest form that both sides can give; None if there is none.

    events: ours of the range that they ask about.
    """
    asked = theirs or theirs_bare
    if asked is None:
        return None
    ours = compare_range(asked.first, asked.last, events)
    if theirs is not None and (ours.full is not None or theirs_bare is None):
        return theirs, ours.full or digest_events(theirs.first, theirs.last, events)
    assert theirs_bare is not None
    return theirs_bare, ours.bare


def next_range(compared: int, complete: int) -> tuple[int, int] | None:
    """The next first..last to compare: after what was compared, within what the peer has acknowledged whole."""
    if complete <= compared:
        return None
    return compared + 1, min(complete, compared + DIGEST_EVENTS_MAX)
