"""The look-up log's Merkle tree as a store keeps it: a leaf for each row, signed heads, a witness's word on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from steward.domain.ids import GuestRef
from steward.domain.lookleaf import LookSalts
from steward.domain.merkle import Place
from steward.domain.signednote import Checkpoint
from steward.domain.viewing import LookUp


@dataclass(frozen=True, slots=True)
class LookRow:
    """One number of the log with its leaf.

    look: None where the row is blank because its guest was erased, or where it is missing or makes no sense; `blank`
    tells which. salts: None where they are gone. leaf: its hash as the tree has it, None if there is none.
    """

    seq: int
    look: LookUp | None
    blank: bool
    logged_s: int
    salts: LookSalts | None
    leaf: bytes | None


@dataclass(frozen=True, slots=True)
class LookHead:
    """The tree at one moment, signed. key: the public half of what signed it."""

    epoch: int
    checkpoint: Checkpoint
    at_s: int
    key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class LookWitnessed:
    """A witness's signature over a head: that it extends every one it had seen of this log."""

    epoch: int
    size: int
    at_s: int
    key: bytes
    signature: bytes


class LookTreeTx(Protocol):
    """Part of ports.Tx. Each look's leaf is added by `log_look_up` itself, in the same transaction."""

    def look_tree_size(self) -> int:
        """How many leaves there are."""
        ...

    def look_tree_behind(self) -> int:
        """Rows without a leaf yet: from before there was a tree."""
        ...

    def grow_look_tree(self, limit: int) -> int:
        """Give up to `limit` of them their leaves; how many."""
        ...

    def look_tree_nodes(self, places: Sequence[Place]) -> Sequence[bytes]:
        """Complete nodes, in the order asked for. Raises NotFound for one there is not."""
        ...

    def look_rows(self, after_seq: int, limit: int) -> Sequence[LookRow]:
        """Every number of the log above `after_seq`, in order, missing ones among them."""
        ...

    def drop_look_contents(self, ref: GuestRef) -> int:
        """Blank this guest's rows and their salts for ever; how many. Leaves, numbers and times stay."""
        ...

    def look_clock_confirmed(self) -> None:
        """The next row may be dated before the last: somebody has set a clock right that was ahead."""
        ...

    def put_look_head(self, head: LookHead) -> None:
        """Record it for ever. Raises Conflict unless it is newer than the last: of a later epoch, or larger."""
        ...

    def last_look_head(self) -> LookHead | None: ...

    def look_heads(self, after: tuple[int, int], limit: int) -> Sequence[tuple[LookHead, LookWitnessed | None]]:
        """Those above (epoch, size), in order, each with what its witness said."""
        ...

    def look_head_over(self, seq: int) -> tuple[LookHead, LookWitnessed | None] | None:
        """A head whose tree has this row: the newest that was witnessed, else the newest."""
        ...

    def put_look_witnessed(self, said: LookWitnessed) -> None:
        """Record it for ever; the same head again changes nothing. Raises Conflict for a head there is not."""
        ...
