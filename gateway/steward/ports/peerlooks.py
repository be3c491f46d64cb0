"""What other gateways' look-up logs said of themselves, as the folio authority remembers it: leaves and heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PeerHead:
    """A head of another gateway's log, of its store of this epoch. peaks: what its root is made of."""

    gateway: str
    epoch: int
    size: int
    root: bytes
    peaks: tuple[bytes, ...]


class PeerLookTx(Protocol):
    """Part of ports.ShipTx. Nothing of it names a guest, and nothing of it changes or goes."""

    def put_peer_look(self, gateway: str, epoch: int, seq: int, leaf: bytes) -> None:
        """Remember the leaf of a look as it was told. Raises Conflict if that number was told before."""
        ...

    def peer_looks(self, gateway: str, epoch: int, after_seq: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Numbers and leaves above `after_seq`, in order; there may be holes."""
        ...

    def put_peer_head(self, head: PeerHead) -> None:
        """Raises Conflict if one of that gateway, epoch and size is known."""
        ...

    def peer_head(self, gateway: str, epoch: int, size: int) -> PeerHead | None: ...
    def peer_head_before(self, gateway: str, epoch: int, size: int) -> PeerHead | None:
        """The largest of the same store that is smaller."""
        ...

    def peer_heads(self, after: tuple[str, int, int], limit: int) -> Sequence[PeerHead]:
        """Above (gateway, epoch, size), in order."""
        ...
