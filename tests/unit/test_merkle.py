"""The tree against the published test vectors of RFC 6962's reference implementation, and against the definition."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.domain.merkle import (
    EMPTY_ROOT,
    Frontier,
    Place,
    consistency_proof,
    grow,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    peaks,
    root,
)

# The eight leaves of the Certificate Transparency reference tree, and what its trees of 1 to 8 leaves hash to.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (leaf counted from 1, size) and (old size, size), with their published proofs.
INCLUSION = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (3, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (2, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


class Tree:
    """Complete nodes in a dict."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.nodes: dict[Place, bytes] = {}
        for size, data in enumerate(leaves):
            for place, node in grow(size, leaf_hash(data), self.fetch):
                assert place not in self.nodes
                self.nodes[place] = node

    def fetch(self, places: Sequence[Place]) -> list[bytes]:
        return [self.nodes[place] for place in places]


def defined(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(defined(leaves[:k]), defined(leaves[k:]))


def test_the_published_roots() -> None:
    tree = Tree(LEAVES)
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root(0, tree.fetch) == EMPTY_ROOT
    assert [root(size, tree.fetch).hex() for size in range(1, 9)] == ROOTS


@pytest.mark.parametrize(("number", "size"), INCLUSION)
def test_the_published_paths(number: int, size: int) -> None:
    path = inclusion_proof(number - 1, size, Tree(LEAVES).fetch)
    assert [node.hex() for node in path] == INCLUSION[number, size]


@pytest.mark.parametrize(("old", "size"), CONSISTENCY)
def test_the_published_consistency(old: int, size: int) -> None:
    proof = consistency_proof(old, size, Tree(LEAVES).fetch)
    assert [node.hex() for node in proof] == CONSISTENCY[old, size]


def test_every_tree_up_to_seventy_leaves() -> None:
    """Every leaf and every older tree: the right proof is taken, and no other leaf, place, size or root with it."""
    leaves = [bytes([n]) * 3 for n in range(70)]
    tree = Tree(leaves)
    roots = [defined(leaves[:size]) for size in range(len(leaves) + 1)]
    for size in range(1, len(leaves) + 1):
        assert root(size, tree.fetch) == roots[size]
        for index in range(size):
            path = inclusion_proof(index, size, tree.fetch)
            assert is_included(leaf_hash(leaves[index]), index, size, path, roots[size])
            assert not is_included(leaf_hash(leaves[index]), index, size, path, roots[size - 1])
            assert not is_included(leaf_hash(b"other"), index, size, path, roots[size])
            assert not is_included(leaf_hash(leaves[index]), index ^ 1, size, path, roots[size])
        for old in range(size + 1):
            proof = consistency_proof(old, size, tree.fetch)
            assert is_consistent(old, roots[old], size, roots[size], proof), (old, size)
            assert not is_consistent(old, leaf_hash(b"x"), size, roots[size], proof), (old, size)
            if old > 0:
                assert not is_consistent(old, roots[old], size, leaf_hash(b"x"), proof), (old, size)
            assert not is_consistent(old, roots[old], size, roots[size], [*proof, roots[1]]), (old, size)


@given(st.integers(1, 300), st.data())
def test_a_bent_proof_is_no_proof(size: int, data: st.DataObject) -> None:
    leaves = [n.to_bytes(2, "big") for n in range(size)]
    tree, top = Tree(leaves), defined(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, tree.fetch)
    leaf = leaf_hash(leaves[index])
    assert is_included(leaf, index, size, path, top)
    if path:
        at, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
        bent = [*path]
        bent[at] = (int.from_bytes(bent[at], "big") ^ 1 << bit).to_bytes(32, "big")
        assert not is_included(leaf, index, size, bent, top)
        assert not is_included(leaf, index, size, path[:-1], top)
        assert not is_included(leaf, index, size, [*path, path[0]], top)
        assert not is_included(leaf, index, size, [node[:31] for node in path], top)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (1 << 63, 1 << 64)])
def test_there_is_no_path_to_a_leaf_there_is_not(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="is not in a tree"):
        inclusion_proof(index, size, lambda places: [])
    assert not is_included(EMPTY_ROOT, index, size, [], EMPTY_ROOT)


def test_there_is_no_proof_from_a_larger_tree() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        consistency_proof(4, 3, Tree(LEAVES).fetch)
    assert not is_consistent(4, EMPTY_ROOT, 3, EMPTY_ROOT, [])
    assert not is_consistent(3, EMPTY_ROOT, 4, EMPTY_ROOT, [])


def test_a_million_leaves_need_no_more_than_their_logarithm() -> None:
    asked: list[Place] = []

    def fetch(places: Sequence[Place]) -> list[bytes]:
        asked.extend(places)
        return [bytes(32)] * len(places)

    assert len(inclusion_proof(123_456, 1_000_000, fetch)) == 20
    assert len(consistency_proof(123_456, 1_000_000, fetch)) <= 21
    grow(2**20 - 1, bytes(32), fetch)
    assert len(asked) <= 100


def test_a_frontier_has_the_published_roots_and_goes_on_from_its_peaks() -> None:
    tree = Frontier()
    assert (tree.root, tree.nodes) == (EMPTY_ROOT, [])
    for size, (leaf, top) in enumerate(zip(LEAVES, ROOTS, strict=True), 1):
        tree.add(leaf_hash(leaf))
        assert (tree.size, tree.root.hex(), len(tree.nodes)) == (size, top, size.bit_count())
        again = Frontier(size, tree.nodes)
        for later in LEAVES[size:]:
            again.add(leaf_hash(later))
        assert again.root.hex() == ROOTS[-1]
        for nodes in (tree.nodes[1:], [*tree.nodes, bytes(32)]):
            with pytest.raises(ValueError, match="zip"):
                Frontier(size, nodes)
    assert peaks(7) == [(2, 0), (1, 2), (0, 6)]
