"""The look-up log's Merkle tree: ports.looktree.LookTreeTx on SQLite, but for what blanks rows (lookups.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steward.adapters.sqlite.statements import Statements, select
from steward.adapters.store_leaves import CLOCK_FROM, blank_leaf, entered_s, new_salts
from steward.domain.lookleaf import LookSalts, look_leaf
from steward.domain.merkle import Place, grow
from steward.domain.signednote import Checkpoint
from steward.domain.viewing import LookUp
from steward.errors import Conflict, NotFound
from steward.ports.looktree import LookHead, LookRow, LookWitnessed

_HEAD = ("epoch", "size", "origin", "root", "at_s", "key", "signature")
_BOTH = (*(f"h.{column}" for column in _HEAD), "w.at_s", "w.key", "w.signature")

LEAF_COUNT = "SELECT coalesce(max(seq), 0) FROM look_leaf"
LAST_LEAF = "SELECT seq, logged_s FROM look_leaf ORDER BY seq DESC LIMIT 1"
ROW_COUNT = "SELECT coalesce(max(seq), 0) FROM look_up"
ADD_LEAF = "INSERT INTO look_leaf (seq, logged_s, salt, closed_salt) VALUES (?, ?, ?, ?)"
ADD_NODE = "INSERT INTO look_node (level, at, hash) VALUES (?, ?, ?)"
NODE = "SELECT hash FROM look_node WHERE level = ? AND at = ?"
LEAVES = (
    "SELECT l.seq, l.logged_s, l.salt, l.closed_salt, n.hash FROM look_leaf AS l "
    "LEFT JOIN look_node AS n ON n.level = 0 AND n.at = l.seq - 1 WHERE l.seq BETWEEN ? AND ?"
)
LAST_HEAD = select(_HEAD, "FROM look_head ORDER BY epoch DESC, size DESC LIMIT 1")
ADD_HEAD = "INSERT INTO look_head (epoch, size, origin, root, at_s, key, signature) VALUES (?, ?, ?, ?, ?, ?, ?)"
_WITH_WITNESS = "FROM look_head AS h LEFT JOIN look_witnessed AS w ON w.epoch = h.epoch AND w.size = h.size"
HEADS = select(_BOTH, f"{_WITH_WITNESS} WHERE (h.epoch, h.size) > (?, ?) ORDER BY h.epoch, h.size LIMIT ?")
HEAD_OVER = select(
    _BOTH, f"{_WITH_WITNESS} WHERE h.size >= ? ORDER BY w.at_s IS NULL, h.epoch DESC, h.size DESC LIMIT 1"
)
HAS_WITNESSED = "SELECT 1 FROM look_witnessed WHERE epoch = ? AND size = ?"
ADD_WITNESSED = "INSERT INTO look_witnessed (epoch, size, at_s, key, signature) VALUES (?, ?, ?, ?, ?)"


class LookTreeTx(Statements):
    if TYPE_CHECKING:

        def meta(self, key: str) -> str | None:
            """Of the other parts, and likewise below."""
            ...

        def set_meta(self, key: str, value: str) -> None: ...
        def all_look_ups(self, after_seq: int, limit: int) -> Sequence[tuple[int, LookUp | None, bool]]: ...

    def add_look_leaf(self, look: LookUp, now_s: int) -> bytes | None:
        """The leaf of a row that was just logged; none while older rows still wait for theirs."""
        size, last_s = self._one(LAST_LEAF) or (0, 0)
        return self._add_leaf(look, size, last_s, now_s)[1] if look.seq == size + 1 else None

    def look_tree_size(self) -> int:
        count: int = self._one(LEAF_COUNT)[0]
        return count

    def look_tree_behind(self) -> int:
        rows: int = self._one(ROW_COUNT)[0]
        return rows - self.look_tree_size()

    def grow_look_tree(self, limit: int) -> int:
        size, last_s = self._one(LAST_LEAF) or (0, 0)
        rows = self.all_look_ups(size, limit)
        for seq, look, blank in rows:
            if seq != size + 1 or (look is None and not blank):
                raise Conflict(f"look-up {size + 1} cannot be read, so it can have no leaf: restore the last backup")
            if look is None:  # of a guest who was erased before the row's turn came: a leaf that hides nothing
                self._put_leaf(size, last_s, None, blank_leaf(self._keys.entropy))
            else:
                last_s, _ = self._add_leaf(look, size, last_s, last_s if look.gateway else look.at_s)
            size = seq
        return len(rows)

    def look_tree_nodes(self, places: Sequence[Place]) -> Sequence[bytes]:
        nodes = []
        for place in places:
            row = self._one(NODE, place)
            if row is None:
                raise NotFound("node of the look-up log's tree", f"{place[0]}/{place[1]}")
            nodes.append(row[0])
        return nodes

    def look_rows(self, after_seq: int, limit: int) -> Sequence[LookRow]:
        last = min(max(self._one(ROW_COUNT)[0], self.look_tree_size()), after_seq + max(limit, 0))
        looks = {seq: (look, blank) for seq, look, blank in self.all_look_ups(after_seq, last - after_seq)}
        leaves = {row[0]: row[1:] for row in self._all(LEAVES, (after_seq + 1, last))}
        found = []
        for seq in range(after_seq + 1, last + 1):
            look, blank = looks.get(seq, (None, False))
            logged_s, salt, closed, leaf = leaves.get(seq, (0, None, None, None))
            salts = None if salt is None else LookSalts(salt, closed)
            found.append(LookRow(seq, look, blank, logged_s, salts, leaf))
        return found

    def look_clock_confirmed(self) -> None:
        self.set_meta(CLOCK_FROM, str(self.look_tree_size()))

    # heads

    def put_look_head(self, head: LookHead) -> None:
        point = head.checkpoint
        self._change(ADD_HEAD, (head.epoch, point.size, point.origin, point.root, head.at_s, head.key, head.signature))

    def last_look_head(self) -> LookHead | None:
        row = self._one(LAST_HEAD)
        return None if row is None else _head(row)

    def look_heads(self, after: tuple[int, int], limit: int) -> Sequence[tuple[LookHead, LookWitnessed | None]]:
        return [_both(row) for row in self._all(HEADS, (*after, max(limit, 0)))]

    def look_head_over(self, seq: int) -> tuple[LookHead, LookWitnessed | None] | None:
        row = self._one(HEAD_OVER, (seq,))
        return None if row is None else _both(row)

    def put_look_witnessed(self, said: LookWitnessed) -> None:
        if self._one(HAS_WITNESSED, (said.epoch, said.size)) is None:
            self._change(ADD_WITNESSED, (said.epoch, said.size, said.at_s, said.key, said.signature))

    def _add_leaf(self, look: LookUp, size: int, last_s: int, now_s: int) -> tuple[int, bytes]:
        """Returns when it is entered, and its hash."""
        clock_set = now_s < last_s and self.meta(CLOCK_FROM) == str(size)
        logged_s, salts = entered_s(now_s, last_s, clock_set=clock_set), new_salts(self._keys.entropy)
        leaf = look_leaf(look, logged_s, salts)
        self._put_leaf(size, logged_s, salts, leaf)
        return logged_s, leaf

    def _put_leaf(self, size: int, logged_s: int, salts: LookSalts | None, leaf: bytes) -> None:
        kept = (None, None) if salts is None else (salts.row, salts.closed)
        self._change(ADD_LEAF, (size + 1, logged_s, *kept))
        for place, node in grow(size, leaf, self.look_tree_nodes):
            self._change(ADD_NODE, (*place, node))


def _head(row: Sequence[Any]) -> LookHead:
    epoch, size, origin, root, at_s, key, signature = row
    return LookHead(epoch, Checkpoint(origin, size, root), at_s, key, signature)


def _both(row: Sequence[Any]) -> tuple[LookHead, LookWitnessed | None]:
    head, (at_s, key, signature) = _head(row[:7]), row[7:]
    return head, None if at_s is None else LookWitnessed(head.epoch, head.checkpoint.size, at_s, key, signature)
