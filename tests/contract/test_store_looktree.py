"""The look-up log's tree in both stores: a leaf with each look, proofs at any size, heads, and what erasing leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.makers import ANNA, AT_S, BOB
from tests.contract.serviceparts import look

from steward.adapters.store_rules import ReadOnlyError
from steward.domain.ids import GuestRef
from steward.domain.lookleaf import LookSalts, look_leaf
from steward.domain.merkle import consistency_proof, inclusion_proof, is_consistent, is_included, root
from steward.domain.signednote import Checkpoint
from steward.domain.viewing import Field, LookUp, Way
from steward.errors import Conflict, NotFound
from steward.ports import Store, Tx
from steward.ports.looktree import LookHead, LookWitnessed

KEY, SIGNATURE = b"k" * 32, b"s" * 64
SHOWN = {Field.PREFERRED_NAME}


def at(number: int, ref: GuestRef = ANNA, **changes: Any) -> LookUp:
    return replace(look(SHOWN), at_s=AT_S + number, guest=ref, **changes)


def log(tx: Tx, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        tx.log_look_up(at(number, BOB if number % 3 == 0 else ANNA))


def head(size: int, top: bytes, epoch: int = 1) -> LookHead:
    return LookHead(epoch, Checkpoint("steward/aurora/main/look-ups/1", size, top), AT_S, KEY, SIGNATURE)


async def test_every_look_has_its_leaf_in_the_same_transaction(store: Store) -> None:
    for number in range(1, 20):
        await store.write(lambda tx, n=number: tx.log_look_up(at(n)))  # type: ignore[misc]
        rows = await store.read(lambda tx: tx.look_rows(0, 100))
        assert [row.seq for row in rows] == list(range(1, number + 1))
        last = rows[-1]
        assert last.look is not None
        assert last.salts is not None
        assert last.leaf == look_leaf(last.look, last.logged_s, last.salts)
        assert await store.read(lambda tx: (tx.look_tree_size(), tx.look_tree_behind())) == (number, 0)


async def test_a_look_that_is_undone_leaves_no_leaf(store: Store) -> None:
    await store.write(lambda tx: log(tx, 5))
    before = await store.read(lambda tx: (tx.look_rows(0, 9), root(5, tx.look_tree_nodes)))

    def broken(tx: Tx) -> None:
        log(tx, 4, 6)
        raise RuntimeError("undo")

    with pytest.raises(RuntimeError):
        await store.write(broken)
    assert await store.read(lambda tx: (tx.look_rows(0, 9), root(5, tx.look_tree_nodes))) == before
    await store.write(lambda tx: log(tx, 3, 6))
    assert await store.read(lambda tx: tx.look_tree_size()) == 8


async def test_proofs_of_every_row_and_every_older_tree(store: Store) -> None:
    await store.write(lambda tx: log(tx, 23))

    def work(tx: Tx) -> None:
        leaves = [row.leaf for row in tx.look_rows(0, 99)]
        for size in range(1, 24):
            top = root(size, tx.look_tree_nodes)
            for index in range(size):
                leaf = leaves[index]
                assert leaf is not None
                path = inclusion_proof(index, size, tx.look_tree_nodes)
                assert is_included(leaf, index, size, path, top)
                proof = consistency_proof(index, size, tx.look_tree_nodes)
                assert is_consistent(index, root(index, tx.look_tree_nodes), size, top, proof)

    await store.read(work)


async def test_two_looks_alike_have_leaves_that_are_not(store: Store) -> None:
    def twice(tx: Tx) -> None:
        tx.log_look_up(at(1))
        tx.log_look_up(at(1))

    await store.write(twice)
    first, second = await store.read(lambda tx: tx.look_rows(0, 9))
    assert first.salts != second.salts
    assert first.leaf != second.leaf
    assert isinstance(first.salts, LookSalts)
    assert first.salts.row != first.salts.closed
    assert repr(first.salts) == "LookSalts()"


async def test_erasing_blanks_the_rows_and_their_salts_and_leaves_the_tree(store: Store) -> None:
    await store.write(lambda tx: log(tx, 9))
    before = await store.read(lambda tx: tx.look_rows(0, 99))
    top = await store.read(lambda tx: root(9, tx.look_tree_nodes))
    assert await store.write(lambda tx: tx.drop_look_contents(BOB)) == 3
    assert await store.write(lambda tx: tx.drop_look_contents(BOB)) == 0
    after = await store.read(lambda tx: tx.look_rows(0, 99))
    assert await store.read(lambda tx: root(9, tx.look_tree_nodes)) == top
    for was, now in zip(before, after, strict=True):
        assert (now.seq, now.leaf, now.logged_s) == (was.seq, was.leaf, was.logged_s)
        blank = was.look is not None and was.look.guest == BOB
        assert now == (replace(was, look=None, blank=True, salts=None) if blank else was)
    assert await store.read(lambda tx: tx.look_ups_of(BOB, 9)) == []
    assert [look.seq for look in await store.read(lambda tx: tx.look_ups(0, 99))] == [1, 2, 4, 5, 7, 8]
    assert [look.seq for look in await store.read(lambda tx: tx.look_ups(2, 3))] == [4, 5, 7]
    assert [look.seq for look in await store.read(lambda tx: tx.looks_before(99, 3))] == [8, 7, 5]
    assert await store.read(lambda tx: tx.look_up_counts()) == {"safety": 6}


async def test_the_log_goes_on_after_an_erasure(store: Store) -> None:
    await store.write(lambda tx: log(tx, 3))
    await store.write(lambda tx: tx.drop_look_contents(BOB))
    logged = await store.write(lambda tx: tx.log_look_up(at(9, BOB)))
    assert logged.seq == 4
    assert [look.seq for look in await store.read(lambda tx: tx.look_ups_of(BOB, 9))] == [4]
    assert [look.seq for look in await store.read(lambda tx: tx.look_ups_of(ANNA, 9))] == [2, 1]


async def test_an_erasure_that_is_undone_leaves_the_rows(store: Store) -> None:
    await store.write(lambda tx: log(tx, 3))
    before = await store.read(lambda tx: tx.look_rows(0, 99))

    def broken(tx: Tx) -> None:
        tx.drop_look_contents(BOB)
        raise RuntimeError("undo")

    with pytest.raises(RuntimeError):
        await store.write(broken)
    assert await store.read(lambda tx: tx.look_rows(0, 99)) == before


async def test_a_broken_glass_is_blanked_with_its_reason(store: Store) -> None:
    await store.write(lambda tx: tx.log_look_up(at(1, way=Way.BROKE_GLASS, reason="guest overboard")))
    assert await store.write(lambda tx: tx.drop_look_contents(ANNA)) == 1
    (row,) = await store.read(lambda tx: tx.look_rows(0, 9))
    assert (row.look, row.blank) == (None, True)
    assert await store.read(lambda tx: tx.looks_before(9, 9, only_glass=True)) == []


async def test_a_row_is_never_entered_before_the_one_in_front_of_it(store: Store) -> None:
    """Unless somebody set a clock right that was ahead: then one row may go back."""

    def work(tx: Tx) -> None:
        for number in (100, 40, 99, 120):
            tx.log_look_up(at(number))
        tx.look_clock_confirmed()
        for number in (50, 45, 60):
            tx.log_look_up(at(number))

    await store.write(work)
    rows = await store.read(lambda tx: tx.look_rows(0, 99))
    assert [row.logged_s - AT_S for row in rows] == [100, 100, 100, 120, 50, 50, 60]
    assert [row.look.at_s - AT_S for row in rows if row.look] == [100, 40, 99, 120, 50, 45, 60]


async def test_heads_are_kept_in_order_and_for_ever(store: Store) -> None:
    tops = [bytes([n]) * 32 for n in range(9)]

    def work(tx: Tx) -> None:
        for size in (3, 5):
            tx.put_look_head(head(size, tops[size]))
        tx.put_look_head(head(4, tops[4], epoch=2))

    await store.write(work)
    for stale in (head(4, tops[4]), head(4, tops[4], epoch=2), head(3, tops[3], epoch=2), head(9, tops[1])):
        with pytest.raises(Conflict):
            await store.write(lambda tx, h=stale: tx.put_look_head(h))  # type: ignore[misc]
    assert await store.read(lambda tx: tx.last_look_head()) == head(4, tops[4], epoch=2)
    listed = await store.read(lambda tx: tx.look_heads((0, 0), 9))
    assert [(found.epoch, found.checkpoint.size, said) for found, said in listed] == [
        (1, 3, None),
        (1, 5, None),
        (2, 4, None),
    ]
    assert len(await store.read(lambda tx: tx.look_heads((1, 3), 1))) == 1
    assert await store.read(lambda tx: tx.look_heads((2, 4), 9)) == []


async def test_a_witnessed_head_is_the_one_to_prove_by(store: Store) -> None:
    tops = [bytes([n]) * 32 for n in range(9)]

    def work(tx: Tx) -> None:
        for size in (3, 5, 7):
            tx.put_look_head(head(size, tops[size]))

    await store.write(work)
    over = await store.read(lambda tx: tx.look_head_over(2))
    assert over == (head(7, tops[7]), None)
    said = LookWitnessed(1, 5, AT_S + 9, KEY, SIGNATURE)
    await store.write(lambda tx: tx.put_look_witnessed(said))
    await store.write(lambda tx: tx.put_look_witnessed(replace(said, at_s=AT_S)))  # again: the first word stays
    assert await store.read(lambda tx: tx.look_head_over(2)) == (head(5, tops[5]), said)
    assert await store.read(lambda tx: tx.look_head_over(6)) == (head(7, tops[7]), None)
    assert await store.read(lambda tx: tx.look_head_over(8)) is None
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_look_witnessed(replace(said, size=4)))


async def test_an_empty_log(store: Store) -> None:
    def work(tx: Tx) -> None:
        assert (tx.look_tree_size(), tx.look_tree_behind(), list(tx.look_rows(0, 9))) == (0, 0, [])
        assert (tx.last_look_head(), tx.look_head_over(1)) == (None, None)
        with pytest.raises(NotFound):
            tx.look_tree_nodes([(0, 0)])

    await store.read(work)


WRITES: dict[str, Callable[[Tx], object]] = {
    "drop_look_contents": lambda tx: tx.drop_look_contents(BOB),
    "look_clock_confirmed": lambda tx: tx.look_clock_confirmed(),
    "put_look_head": lambda tx: tx.put_look_head(head(9, bytes(32))),
    "put_look_witnessed": lambda tx: tx.put_look_witnessed(LookWitnessed(1, 3, AT_S, KEY, SIGNATURE)),
}


@pytest.mark.parametrize("name", WRITES)
async def test_what_writes_is_undone_whole_and_refused_to_who_only_reads(store: Store, name: str) -> None:
    def fill(tx: Tx) -> None:
        log(tx, 3)
        tx.put_look_head(head(3, bytes(32)))

    def everything(tx: Tx) -> object:
        return tx.look_rows(0, 99), tx.look_heads((0, 0), 9), tx.look_ups(0, 9), tx.meta("look.clock_from")

    def fail(tx: Tx) -> None:
        WRITES[name](tx)
        assert everything(tx) != before
        raise RuntimeError("undo")

    await store.write(fill)
    before = await store.read(everything)
    with pytest.raises(RuntimeError):
        await store.write(fail)
    assert await store.read(everything) == before
    with pytest.raises(ReadOnlyError):
        await store.read(WRITES[name])
    assert await store.read(everything) == before
