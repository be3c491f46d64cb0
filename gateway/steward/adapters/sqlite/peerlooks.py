"""Leaves and heads of other gateways' look-up logs: ports.peerlooks on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select
from steward.domain.merkle import HASH_BYTES
from steward.ports.peerlooks import PeerHead

_HEAD = ("gateway", "epoch", "size", "root", "peaks")

PUT_PEER_LOOK = "INSERT INTO peer_look (gateway, epoch, seq, leaf) VALUES (?, ?, ?, ?)"
PEER_LOOKS = "SELECT seq, leaf FROM peer_look WHERE gateway = ? AND epoch = ? AND seq > ? ORDER BY seq LIMIT ?"
PUT_PEER_HEAD = "INSERT INTO peer_look_head (gateway, epoch, size, root, peaks) VALUES (?, ?, ?, ?, ?)"
PEER_HEAD = select(_HEAD, "FROM peer_look_head WHERE gateway = ? AND epoch = ? AND size = ?")
PEER_HEAD_BEFORE = select(
    _HEAD, "FROM peer_look_head WHERE gateway = ? AND epoch = ? AND size < ? ORDER BY size DESC LIMIT 1"
)
PEER_HEADS = select(
    _HEAD, "FROM peer_look_head WHERE (gateway, epoch, size) > (?, ?, ?) ORDER BY gateway, epoch, size LIMIT ?"
)


class PeerLookTx(Statements):
    def put_peer_look(self, gateway: str, epoch: int, seq: int, leaf: bytes) -> None:
        self._change(PUT_PEER_LOOK, (gateway, epoch, seq, leaf))

    def peer_looks(self, gateway: str, epoch: int, after_seq: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return [(seq, leaf) for seq, leaf in self._all(PEER_LOOKS, (gateway, epoch, after_seq, max(limit, 0)))]

    def put_peer_head(self, head: PeerHead) -> None:
        self._change(PUT_PEER_HEAD, (head.gateway, head.epoch, head.size, head.root, b"".join(head.peaks)))

    def peer_head(self, gateway: str, epoch: int, size: int) -> PeerHead | None:
        row = self._one(PEER_HEAD, (gateway, epoch, size))
        return None if row is None else _head(row)

    def peer_head_before(self, gateway: str, epoch: int, size: int) -> PeerHead | None:
        row = self._one(PEER_HEAD_BEFORE, (gateway, epoch, size))
        return None if row is None else _head(row)

    def peer_heads(self, after: tuple[str, int, int], limit: int) -> Sequence[PeerHead]:
        return [_head(row) for row in self._all(PEER_HEADS, (*after, max(limit, 0)))]


def _head(row: Sequence[Any]) -> PeerHead:
    gateway, epoch, size, root, peaks = row
    nodes = tuple(peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES))
    return PeerHead(gateway, epoch, size, root, nodes)
