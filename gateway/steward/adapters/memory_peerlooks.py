"""Leaves and heads of other gateways' look-up logs: ports.peerlooks in memory."""

from __future__ import annotations

from collections.abc import Sequence

from steward.adapters.memory_tables import Tables
from steward.errors import Conflict
from steward.ports.peerlooks import PeerHead


class PeerLookState:
    """Read by MemoryPeerLookTx alone."""

    def __init__(self) -> None:
        self.looks: dict[tuple[str, int], dict[int, bytes]] = {}  # of a gateway's store, by number
        self.heads: dict[tuple[str, int, int], PeerHead] = {}


class MemoryPeerLookTx(Tables):
    @property
    def _peers(self) -> PeerLookState:
        return self._part(PeerLookState)

    def put_peer_look(self, gateway: str, epoch: int, seq: int, leaf: bytes) -> None:
        known = self._peers.looks.setdefault((gateway, epoch), {})
        if seq in known:
            raise Conflict("peer_look: a number is told once")
        self._put(known, seq, leaf)

    def peer_looks(self, gateway: str, epoch: int, after_seq: int, limit: int) -> Sequence[tuple[int, bytes]]:
        known = self._peers.looks.get((gateway, epoch), {})
        return sorted((seq, leaf) for seq, leaf in known.items() if seq > after_seq)[: max(limit, 0)]

    def put_peer_head(self, head: PeerHead) -> None:
        key = (head.gateway, head.epoch, head.size)
        if key in self._peers.heads:
            raise Conflict("peer_look_head: a size is told once")
        self._put(self._peers.heads, key, head)

    def peer_head(self, gateway: str, epoch: int, size: int) -> PeerHead | None:
        return self._peers.heads.get((gateway, epoch, size))

    def peer_head_before(self, gateway: str, epoch: int, size: int) -> PeerHead | None:
        store = (gateway, epoch)
        smaller = [key for key in self._peers.heads if key[:2] == store and key[2] < size]
        return self._peers.heads[max(smaller)] if smaller else None

    def peer_heads(self, after: tuple[str, int, int], limit: int) -> Sequence[PeerHead]:
        wanted = sorted(key for key in self._peers.heads if key > after)[: max(limit, 0)]
        return [self._peers.heads[key] for key in wanted]
