"""The look-up log's Merkle tree in memory: ports.looktree.LookTreeTx, but for what blanks rows (memory_lookups.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.adapters.store_leaves import CLOCK_FROM, entered_s, new_salts
from steward.domain.lookleaf import LookSalts, look_leaf
from steward.domain.merkle import Place, grow
from steward.domain.viewing import LookUp
from steward.errors import Conflict, NotFound
from steward.ports.looktree import LookHead, LookRow, LookWitnessed


@dataclass(frozen=True, slots=True)
class _Leaf:
    logged_s: int
    salts: LookSalts | None


class LookTreeState:
    """Read by MemoryLookTreeTx alone."""

    def __init__(self) -> None:
        self.leaves: dict[int, _Leaf] = {}  # by the row's number
        self.nodes: dict[Place, bytes] = {}
        self.heads: dict[tuple[int, int], LookHead] = {}  # by epoch and size
        self.witnessed: dict[tuple[int, int], LookWitnessed] = {}


class MemoryLookTreeTx(Tables):
    if TYPE_CHECKING:

        def meta(self, key: str) -> str | None:
            """Of the other parts, and likewise below."""
            ...

        def set_meta(self, key: str, value: str) -> None: ...
        def all_look_ups(self, after_seq: int, limit: int) -> Sequence[tuple[int, LookUp | None, bool]]: ...

    @property
    def _tree(self) -> LookTreeState:
        return self._part(LookTreeState)

    def add_look_leaf(self, look: LookUp, now_s: int) -> bytes:
        """The leaf of a row that was just logged."""
        tree, size = self._tree, self.look_tree_size()
        last_s = tree.leaves[size].logged_s if size else 0
        clock_set = now_s < last_s and self.meta(CLOCK_FROM) == str(size)
        logged_s, salts = entered_s(now_s, last_s, clock_set=clock_set), new_salts(self._keys.entropy)
        leaf = look_leaf(look, logged_s, salts)
        self._put(tree.leaves, look.seq, _Leaf(logged_s, salts))
        for place, node in grow(size, leaf, self.look_tree_nodes):
            self._put(tree.nodes, place, node)
        return leaf

    def look_tree_size(self) -> int:
        return len(self._tree.leaves)

    def look_tree_behind(self) -> int:
        return 0  # no row of this store is older than its tree

    def grow_look_tree(self, limit: int) -> int:
        return 0

    def look_tree_nodes(self, places: Sequence[Place]) -> Sequence[bytes]:
        nodes = self._tree.nodes
        for level, at in places:
            if (level, at) not in nodes:
                raise NotFound("node of the look-up log's tree", f"{level}/{at}")
        return [nodes[place] for place in places]

    def look_rows(self, after_seq: int, limit: int) -> Sequence[LookRow]:
        tree = self._tree
        found = []
        for seq, look, blank in self.all_look_ups(after_seq, limit):
            leaf = tree.leaves[seq]
            found.append(LookRow(seq, look, blank, leaf.logged_s, leaf.salts, tree.nodes[0, seq - 1]))
        return found

    def look_clock_confirmed(self) -> None:
        self.set_meta(CLOCK_FROM, str(self.look_tree_size()))

    def _forget_salts(self, seq: int) -> None:
        self._put(self._tree.leaves, seq, replace(self._tree.leaves[seq], salts=None))

    # heads

    def put_look_head(self, head: LookHead) -> None:
        key = (head.epoch, head.checkpoint.size)
        if any(known >= key for known in self._tree.heads):
            raise Conflict("look_head: newer than the last, or none")
        self._put(self._tree.heads, key, head)

    def last_look_head(self) -> LookHead | None:
        heads = self._tree.heads
        return heads[max(heads)] if heads else None

    def look_heads(self, after: tuple[int, int], limit: int) -> Sequence[tuple[LookHead, LookWitnessed | None]]:
        wanted = sorted(key for key in self._tree.heads if key > after)[: max(limit, 0)]
        return [(self._tree.heads[key], self._tree.witnessed.get(key)) for key in wanted]

    def look_head_over(self, seq: int) -> tuple[LookHead, LookWitnessed | None] | None:
        tree = self._tree
        over = [key for key in tree.heads if key[1] >= seq]
        if not over:
            return None
        best = max(over, key=lambda key: (key in tree.witnessed, key))
        return tree.heads[best], tree.witnessed.get(best)

    def put_look_witnessed(self, said: LookWitnessed) -> None:
        key = (said.epoch, said.size)
        if key not in self._tree.heads:
            raise Conflict(f"there is no head of {said.size} look-ups in epoch {said.epoch}")
        if key not in self._tree.witnessed:
            self._put(self._tree.witnessed, key, said)
