"""The receiver's side of the link, pure: which events of a batch are new, and what to acknowledge.

A stream is one (ship, gateway, epoch). Within it each class is a chain of its own: a batch says which seq it goes on
after, so the receiver knows that it has all of a class up to `covered`, though the seqs of the classes interleave.
What arrives before what it goes on after is held as an island, or refused by a receiver that needs the order.
Keep the returned stream in the same transaction as the fresh events; send the acknowledgement when that is on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cbor2

from steward.domain.batches import COUNT_MAX, Ack, Batch
from steward.domain.cborwire import NotPlain, is_count, plain_loads
from steward.domain.digest import Digest
from steward.domain.events import StoredEvent
from steward.domain.topics import CLASSES
from steward.errors import LocalError

ISLANDS_MAX = 32  # of all classes together; a batch that would make one more is refused

Island = tuple[int, int, int]  # class, after, last: all of the class with after < seq <= last is here


class DamagedStream(LocalError):
    """Bytes that encode_stream did not make."""

    code = "damaged_stream"


@dataclass(frozen=True, slots=True)
class Stream:
    """What a receiver has of one (ship, gateway, epoch). A new one is `Stream()`."""

    covered: tuple[int, ...] = (0,) * len(CLASSES)  # by class, 1 first: everything of it up to this seq is stored
    islands: tuple[Island, ...] = ()  # by class, then seq; apart from each other and beyond `covered`
    count: int = 0  # events stored
    head: int = 0  # the newest seq that the gateway ever named
    ends: int | None = None  # an old epoch: the newest seq that the gateway, restored from a backup, still has

    @property
    def behind(self) -> int:
        """How many events of this epoch are still to come, as far as is known; of an ended one, also those lost."""
        return max(self.head - self.count, 0)


@dataclass(frozen=True, slots=True)
class Taken:
    """What to do with a batch."""

    stream: Stream  # as it is when `fresh` is stored
    fresh: tuple[StoredEvent, ...]  # to be stored
    again: tuple[StoredEvent, ...]  # stored already, if they say the same: other content under a key is an alarm
    refused: bool = False  # came before what it goes on after: nothing of it was taken, the sender goes back


def take(stream: Stream, batch: Batch, *, in_order: bool = False) -> Taken:
    """Take a batch into its stream.

    in_order: refuse what comes early instead of holding it, for a receiver that acts on events one after the other.
    """
    index = batch.cls - 1
    covered = stream.covered[index]
    own = [(after, last) for cls, after, last in stream.islands if cls == batch.cls]
    head = max(stream.head, batch.head)
    early = batch.prev > covered
    if early and batch.events and (in_order or (len(stream.islands) >= ISLANDS_MAX and not _touches(own, batch))):
        return Taken(replace(stream, head=head), (), (), refused=True)
    fresh: list[StoredEvent] = []
    again: list[StoredEvent] = []
    for event in batch.events:
        known = event.seq <= covered or any(after < event.seq <= last for after, last in own)
        (again if known else fresh).append(event)
    spans = own if batch.last <= batch.prev else _merged([*own, (batch.prev, batch.last)])
    while spans and spans[0][0] <= covered:
        covered = max(covered, spans.pop(0)[1])
    others = [island for island in stream.islands if island[0] != batch.cls]
    taken = Stream(
        covered=(*stream.covered[:index], covered, *stream.covered[index + 1 :]),
        islands=tuple(sorted([*others, *((batch.cls, after, last) for after, last in spans)])),
        count=stream.count + len(fresh),
        head=head,
        ends=stream.ends,
    )
    return Taken(taken, tuple(fresh), tuple(again))


def acknowledge(stream: Stream, batch: Batch, boot: bytes, digest: Digest | None = None) -> Ack:
    """The answer to a batch, once `stream` is stored. digest: ours, over the range of the batch's digest."""
    return Ack(
        epoch=batch.epoch,
        answers=batch.number,
        covered=stream.covered,
        held=stream.islands,
        boot=boot,
        digest=digest,
    )


def end_older(streams: Mapping[int, Stream], batch: Batch) -> dict[int, Stream]:
    """Which streams of this gateway, by epoch, the batch shows to be at their end; only those that change.

    A gateway restored from a backup says how much it still has of its older epochs. What was named beyond that
    and is not here was lost with its disk: it is reported and not waited for.
    """
    if batch.older is None:
        return {}
    left = dict(batch.older)
    changed = {}
    for epoch, stream in streams.items():
        ends = left.get(epoch, 0)
        if epoch < batch.epoch and stream.ends != ends:
            changed[epoch] = replace(stream, ends=ends)
    return changed


def lost_count(stream: Stream, stored_beyond_end: int) -> int:
    """Events of an ended epoch that nobody has any more. stored_beyond_end: how many with seq > ends are stored."""
    return 0 if stream.ends is None else max(stream.head - stream.ends - stored_beyond_end, 0)


def encode_stream(stream: Stream) -> bytes:
    """For keeping it beside the events."""
    fields = [list(stream.covered), [list(island) for island in stream.islands], stream.count, stream.head]
    return cbor2.dumps([*fields, stream.ends])


def decode_stream(data: bytes) -> Stream:
    """Raises DamagedStream."""
    try:
        fields = plain_loads(data)
        covered, islands, count, head, ends = fields
        numbers = [*covered, count, head, *([] if ends is None else [ends]), *(n for island in islands for n in island)]
        shaped = len(covered) == len(CLASSES) and all(len(island) == 3 for island in islands)
    except (NotPlain, TypeError, ValueError) as error:
        raise DamagedStream("the link's state is damaged: restore the last backup") from error
    if not shaped or not all(is_count(number, COUNT_MAX) for number in numbers):
        raise DamagedStream("the link's state is damaged: restore the last backup")
    return Stream(tuple(covered), tuple((cls, after, last) for cls, after, last in islands), count, head, ends)


def _touches(own: list[tuple[int, int]], batch: Batch) -> bool:
    """Whether it joins an island that is there, and so makes no further one."""
    return any(after <= batch.last and batch.prev <= last for after, last in own)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, and those that overlap or meet joined."""
    joined: list[tuple[int, int]] = []
    for after, last in sorted(spans):
        if joined and after <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((after, last))
    return joined
