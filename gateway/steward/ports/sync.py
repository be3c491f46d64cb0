"""What the link needs: the outbox read by class, cursors of each peer, what came down, and the pipe itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from steward.domain.events import StoredEvent
from steward.errors import RemoteError


class LinkDown(RemoteError):
    """No broker took the message: not connected, or the connection broke before it said so. It may have arrived."""

    code = "link_down"


@dataclass(frozen=True, slots=True)
class PipeMessage:
    """One message from the broker. `retained`: it was kept there, and was perhaps sent long ago."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class LinkBytes:
    """Bytes at the socket since the pipe was made, everything included."""

    sent: int
    received: int


class Pipe(Protocol):
    """A connection to a broker that may lose, repeat, delay and reorder. It connects again by itself, for ever."""

    @property
    def is_connected(self) -> bool: ...

    @property
    def generation(self) -> int:
        """0 before the first connection; grows with each one."""
        ...

    async def connected(self) -> None:
        """Return when there is a connection."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return when the broker has taken it (QoS 1). Raises LinkDown."""
        ...

    async def subscribe(self, *filters: str) -> None:
        """From now on, also over later connections. Returns at once when there is no connection."""
        ...

    def messages(self) -> AsyncIterator[PipeMessage]:
        """What arrives, for one consumer, without end. Who does not read holds the broker back: nothing is dropped."""
        ...

    def counted(self) -> LinkBytes: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a peer has not acknowledged yet. `oldest_at_s` is None if that is nothing."""

    events: int
    bytes: int  # of the payloads as they are stored
    oldest_at_s: int | None


@dataclass(frozen=True, slots=True)
class DownRecord:
    """A message from ashore that was verified and applied."""

    kind: str
    version: int
    issued_s: int
    applied_s: int
    sha256: bytes  # of the whole signed message
    body: bytes


class SyncTx(Protocol):
    """Part of ports.Tx."""

    # the outbox: every epoch of this store, also those before a restore
    def epochs(self) -> Sequence[tuple[int, int]]:
        """(epoch, its newest seq), oldest first. The current epoch is always there, with 0 while it is empty."""
        ...

    def newest_seq(self, epoch: int) -> int:
        """0 if there is none."""
        ...

    def newest_of_class(self, epoch: int, cls: int) -> int:
        """The newest seq of this class (1 to 5); 0 if there is none."""
        ...

    def events_of(self, cls: int, epoch: int, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        """Events of one class with seq > after_seq, in order."""
        ...

    def events_in(self, epoch: int, after_seq: int, limit: int) -> Sequence[StoredEvent]:
        """Events of all classes with seq > after_seq, in order, of any epoch."""
        ...

    # what a peer ("shore" or "ship") has durably: of each class, everything up to this seq
    def covered(self, peer: str) -> Mapping[tuple[int, int], int]:
        """By (epoch, class); what is missing is 0."""
        ...

    def set_covered(self, peer: str, epoch: int, cls: int, seq: int) -> None:
        """Also back to a lower seq: a peer that was restored from a backup has less than before."""
        ...

    def count_of(self, cls: int, epoch: int, after_seq: int, upto_seq: int) -> int:
        """How many events of the class have after_seq < seq <= upto_seq: reads that part of an index, no event."""
        ...

    def sizes_of(self, cls: int, epoch: int, after_seq: int, limit: int) -> tuple[int, int, int]:
        """Of the first `limit` events of the class after a seq: how many, bytes of payload as stored, earliest time."""
        ...

    # the daily comparison with a peer: up to where both sides agree on what the events say
    def compared(self, peer: str, epoch: int) -> int: ...
    def set_compared(self, peer: str, epoch: int, seq: int) -> None: ...

    # bytes at the socket, by the ship's day and class; LINK (0) is what no class caused
    def bytes_spent(self, peer: str, day: int) -> Mapping[int, int]:
        """By class and LINK; what is missing is 0."""
        ...

    def spend_bytes(self, peer: str, day: int, cls: int, count: int) -> None:
        """Add to the day's count. Days long gone are forgotten."""
        ...

    # what came down the link
    def put_down(self, record: DownRecord) -> None:
        """Keep a version. Raises Conflict if a version of this kind as high is there already."""
        ...

    def down(self, kind: str) -> DownRecord | None:
        """The newest version."""
        ...

    def downs(self, kind: str, limit: int) -> Sequence[DownRecord]:
        """Newest first."""
        ...
