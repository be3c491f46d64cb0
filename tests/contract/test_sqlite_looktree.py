"""Look-ups written before there was a tree are given their leaves in small transactions, and queries use indexes."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import ANNA, AT_S
from tests.contract.serviceparts import look
from tests.unit.lookkit import GATEWAY, SHIP, LookClock
from tests.unit.moneykit import ring
from tests.vaultkit import DATA_KEY, sealing

from steward.adapters.sqlite import looktree
from steward.adapters.sqlite.connect import connect, create_file
from steward.adapters.sqlite.migrations import migrate, scripts
from steward.adapters.sqlite.snapshot import snapshot
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.viewing import Field
from steward.services.lookcheck import LookChecker, TrustedKeys
from steward.services.lookheads import GROW_AT_ONCE, LookHeads, RingSigner
from steward.services.lookproof import LookProofs

OLD_ROWS = 2 * GROW_AT_ONCE + 50
_ROW = "INSERT INTO look_up VALUES (?, ?, 'c1', 'safety', 'shop', 'service', 'safety', ?, 'language', ?, ?)"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of schema version 11, with look-ups, one of them an emergency."""
    path = tmp_path / "steward.db"
    create_file(path)
    connection = connect(path)
    with sealing(path) as functions:
        migrate(connection, path, functions, steps=scripts()[:11])
    connection.close()
    with closing(sqlite3.connect(path)) as connection:
        for seq in range(1, OLD_ROWS + 1):
            glass = ("broke_glass", "drill") if seq == 7 else ("opened", "")
            connection.execute(_ROW, (seq, AT_S + seq, ANNA, *glass))
        connection.commit()
    return path


async def test_old_rows_are_given_their_leaves_and_are_proven_like_new_ones(old: Path) -> None:
    store = SqliteStore.open(old, DATA_KEY)
    heads = LookHeads(store, LookClock(), RingSigner(ring()), SHIP, GATEWAY)
    assert (await heads.state()).behind == OLD_ROWS
    asked = replace(look({Field.LANGUAGE}), at_s=AT_S + OLD_ROWS + 1)
    await store.write(lambda tx: tx.log_look_up(asked))  # meanwhile the ship goes on
    assert await heads.sign() is None
    assert await store.write(lambda tx: tx.grow_look_tree(10)) == 10
    task = asyncio.create_task(heads.run())
    while not (await heads.state()).head_size:  # noqa: ASYNC110 any condition
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    state = await heads.state()
    assert (state.behind, state.size, state.head_size) == (0, OLD_ROWS + 1, OLD_ROWS + 1)
    proofs = LookProofs(store, LookClock(), heads)
    for seq in (1, 7, OLD_ROWS, OLD_ROWS + 1):
        assert (await proofs.proof_of(seq))["row"]["seq"] == seq
    await store.write(lambda tx: tx.log_look_up(asked))
    assert (await heads.state()).size == OLD_ROWS + 2
    await store.close()
    with snapshot(old, DATA_KEY) as tx:
        assert LookChecker(tx, GATEWAY, TrustedKeys((), ())).check().fits


async def test_a_guest_who_is_erased_before_their_rows_have_leaves(old: Path) -> None:
    """The rows are blank when their turn comes: their leaves commit to nothing but their places."""
    store = SqliteStore.open(old, DATA_KEY)
    await store.write(lambda tx: tx.grow_look_tree(20))
    assert await store.write(lambda tx: tx.drop_look_contents(ANNA)) == OLD_ROWS
    while await store.write(lambda tx: tx.grow_look_tree(GROW_AT_ONCE)):
        pass
    assert await store.read(lambda tx: (tx.look_tree_size(), tx.look_tree_behind())) == (OLD_ROWS, 0)
    await store.close()
    with snapshot(old, DATA_KEY) as tx:
        found = LookChecker(tx, GATEWAY, TrustedKeys((), ())).check()
    assert (found.bent, found.blank, found.unexplained) == (None, OLD_ROWS, OLD_ROWS)  # no erasure was written down


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (looktree.LAST_LEAF, ()),
        (looktree.NODE, (0, 1)),
        (looktree.LEAVES, (1, 2)),
        (looktree.HEADS, (1, 1, 5)),
        (looktree.LEAF_COUNT, ()),
        (looktree.LAST_HEAD, ()),
    ],
)
async def test_queries_go_through_no_table(old: Path, query: str, values: tuple[int, ...]) -> None:
    await SqliteStore.open(old, DATA_KEY).close()
    with closing(sqlite3.connect(old)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    assert all(step.startswith("SEARCH") for step in plan if "look_node" in step), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
