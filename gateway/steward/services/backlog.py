"""How much a peer has not acknowledged, counted on from the last look: a long queue costs no more than a short one.

What a lane of the log holds between two seqs never changes. So only what was added, and what was acknowledged, since
the last look is counted; everything is at the first look of a process only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from steward.domain.topics import CLASSES
from steward.ports.sync import SyncTx, Waiting

SAMPLE_EVENTS = 500  # of a class, whose size stands for the others'

Lane = tuple[int, int]  # epoch, class


@dataclass(frozen=True, slots=True)
class Span:
    """Of a lane: `count` events with after < seq <= newest."""

    after: int
    newest: int
    count: int


def look(tx: SyncTx, peer: str, known: Mapping[Lane, Span]) -> tuple[Waiting, dict[Lane, Span]]:
    """What waits for the peer, and what to give the next look. known: of an earlier look at the same log; may be {}."""
    covered = tx.covered(peer)
    events, size, oldest, spans = 0, 0.0, [], dict[Lane, Span]()
    for epoch, _ in tx.epochs():
        for cls in CLASSES:
            lane = epoch, cls
            newest = tx.newest_of_class(epoch, cls)
            after = min(covered.get(lane, 0), newest)  # a peer may have more than we: what our disk lost
            spans[lane] = span = _counted(tx, lane, after, newest, known.get(lane, Span(0, 0, 0)))
            if span.count:
                sampled, sample_bytes, at_s = tx.sizes_of(cls, epoch, after, SAMPLE_EVENTS)
                events += span.count
                size += sample_bytes * span.count / sampled
                oldest.append(at_s)
    return Waiting(events, round(size), min(oldest, default=None)), spans


def _counted(tx: SyncTx, lane: Lane, after: int, newest: int, known: Span) -> Span:
    added = _between(tx, lane, known.newest, newest)
    acknowledged = _between(tx, lane, known.after, after)
    return Span(after, newest, known.count + added - acknowledged)


def _between(tx: SyncTx, lane: Lane, before: int, now: int) -> int:
    """Events from one seq to the other; negative if it went back, as a cursor may."""
    epoch, cls = lane
    if now >= before:
        return tx.count_of(cls, epoch, before, now)
    return -tx.count_of(cls, epoch, now, before)
