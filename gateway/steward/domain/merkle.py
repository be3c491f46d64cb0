"""The Merkle tree of RFC 6962: roots, inclusion and consistency proofs, and checking them.

A tree is kept as its complete nodes, each for ever the same: place (level, at) covers the leaves from at * 2^level on,
2^level of them. Whatever else a proof needs is put together from those. `Fetch` hands out the nodes of some places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
SIZE_MAX = (1 << 62) - 1
EMPTY_ROOT = hashlib.sha256().digest()

Place = tuple[int, int]  # level, index within it
Fetch = Callable[[Sequence[Place]], Sequence[bytes]]


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def grow(size: int, leaf: bytes, fetch: Fetch) -> list[tuple[Place, bytes]]:
    """The nodes that the leaf with this hash completes in a tree of `size` leaves; the leaf itself is the first."""
    lefts = fetch([(level, (size >> level) - 1) for level in range(_trailing_ones(size))])
    made = [((0, size), leaf)]
    for level, left in enumerate(lefts):
        (_, at), right = made[-1]
        made.append(((level + 1, at >> 1), node_hash(left, right)))
    return made


def root(size: int, fetch: Fetch) -> bytes:
    """Of the first `size` leaves."""
    return _ranges([(0, size)], fetch)[0] if size else EMPTY_ROOT


def peaks(size: int) -> list[Place]:
    """The complete nodes that the root of the first `size` leaves is made of, largest first."""
    return _places(0, size)


class Frontier:
    """A tree of which only its peaks are kept: enough to grow, and to know the root."""

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        """nodes: at `peaks(size)`. Raises ValueError if there are more or fewer."""
        self.size = size
        self._latest = {level: (at, node) for (level, at), node in zip(peaks(size), nodes, strict=True)}

    def add(self, leaf: bytes) -> None:
        """The next leaf's hash."""
        for (level, at), node in grow(self.size, leaf, self._fetch):
            self._latest[level] = (at, node)
        self.size += 1

    @property
    def root(self) -> bytes:
        return root(self.size, self._fetch)

    @property
    def nodes(self) -> list[bytes]:
        """At `peaks(size)`."""
        return self._fetch(peaks(self.size))

    def _fetch(self, places: Sequence[Place]) -> list[bytes]:
        """Growing and a root need of each level only the last complete node."""
        assert all(self._latest[level][0] == at for level, at in places)
        return [self._latest[level][1] for level, _ in places]


def inclusion_proof(index: int, size: int, fetch: Fetch) -> list[bytes]:
    """The path from the leaf with this index to the root of the first `size` leaves."""
    if not 0 <= index < size <= SIZE_MAX:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    ranges, begin, end = [], 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return _ranges(ranges[::-1], fetch)


def consistency_proof(old: int, size: int, fetch: Fetch) -> list[bytes]:
    """That the tree of `size` leaves begins with the one of `old`. Empty for no leaves and for the same tree."""
    if not 0 <= old <= size <= SIZE_MAX:
        raise ValueError(f"a tree of {size} leaves does not begin with one of {old}")
    if old in (0, size):
        return []
    ranges, begin, end = [], 0, size
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:  # else the old tree is a node of the new one, and who checks has its root already
        ranges.append((begin, end))
    return _ranges(ranges[::-1], fetch)


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], top: bytes) -> bool:
    """Whether the leaf with this hash is at `index` of the tree of `size` leaves whose root is `top`."""
    if not 0 <= index < size <= SIZE_MAX or not _are_hashes([leaf, *path, top]):
        return False
    at, last, found = index, size - 1, leaf
    for node in path:
        if not last:
            return False
        if at & 1 or at == last:
            found = node_hash(node, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, node)
        at, last = at >> 1, last >> 1
    return not last and found == top


def is_consistent(old: int, old_root: bytes, size: int, top: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of `size` leaves with root `top` begins with the one of `old` leaves with root `old_root`."""
    if not 0 <= old <= size <= SIZE_MAX or not _are_hashes([old_root, top, *path]):
        return False
    if old == size:
        return not path and old_root == top
    if not old:
        return not path and old_root == EMPTY_ROOT
    whole = old & (old - 1) == 0
    nodes = [old_root, *path] if whole else list(path)
    if not nodes:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = nodes[0]
    for node in nodes[1:]:
        if not last:
            return False
        if at & 1 or at == last:
            was, now = node_hash(node, was), node_hash(node, now)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, node)
        at, last = at >> 1, last >> 1
    return not last and was == old_root and now == top


def _split(count: int) -> int:
    """The largest power of two below `count`, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1


def _trailing_ones(number: int) -> int:
    return ((number + 1) & -(number + 1)).bit_length() - 1


def _ranges(ranges: Sequence[tuple[int, int]], fetch: Fetch) -> list[bytes]:
    """The hash of each range of leaves, all their nodes fetched at once."""
    places = [_places(begin, end) for begin, end in ranges]
    nodes = iter(fetch([place for of_one in places for place in of_one]))
    hashes = []
    for of_one in places:
        parts = [next(nodes) for _ in of_one]
        found = parts.pop()
        while parts:
            found = node_hash(parts.pop(), found)
        hashes.append(found)
    return hashes


def _places(begin: int, end: int) -> list[Place]:
    """The complete nodes that a range of a proof is made of, largest first."""
    places = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        places.append((level, begin >> level))
        begin += 1 << level
    return places


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
