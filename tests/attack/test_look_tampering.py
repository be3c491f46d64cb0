"""Whoever has the database's file bends the look-up log: at each row, each column, with the tree or without it.

The triggers are dropped first: they bind the program, not somebody with the file. `Bender` may also have the key that
signs heads; what is then left to find him are the witness ashore and what came down from it.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.makers import ANNA, AT_S, BOB, guest
from tests.contract.serviceparts import look
from tests.unit.lookkit import LookClock
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.backup import backup, restore
from steward.adapters.sqlite.snapshot import snapshot
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.erasure import Erasure, Part, carried_out, certificate_id
from steward.domain.events import EventType, fact
from steward.domain.lookleaf import LookSalts, look_leaf, origin
from steward.domain.lookwords import WitnessWord, encode_words
from steward.domain.merkle import grow, root
from steward.domain.retention import DAY_S, PartRule
from steward.domain.retention import Part as Kept
from steward.domain.signednote import Checkpoint, cosigned
from steward.domain.viewing import Field, Way
from steward.ports import Tx
from steward.ports.looktree import LookHead, LookWitnessed
from steward.ports.sync import DownRecord
from steward.services.forgetting import destroy
from steward.services.lookcheck import LookCheck, LookChecker, TrustedKeys
from steward.services.retention import RetentionService

ROWS, HEADS, WITNESSED = 24, (6, 12, 18, 24), (6, 12)
GATEWAY = "main"
SHIP_KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
SHORE_KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
SHIP, SHORE = SHIP_KEY.public_key().public_bytes_raw(), SHORE_KEY.public_key().public_bytes_raw()
COLUMNS = {
    "at_s": "at_s + 1",
    "actor": "'c8'",
    "role": "'service'",
    "outlet": "'other'",
    "outlet_kind": "'retail'",
    "purpose": "'billing'",
    "guest": "'00000000000000cc'",
    "fields": "'photo'",
    "way": "'tapped'",
    "gateway": "'bar'",
}


def sign_head(tx: Tx, size: int, at_s: int) -> None:
    point = Checkpoint(origin("aurora", GATEWAY, tx.epoch()), size, root(size, tx.look_tree_nodes))
    tx.put_look_head(LookHead(tx.epoch(), point, at_s, SHIP, SHIP_KEY.sign(point.text.encode())))
    if size in WITNESSED:
        signature = SHORE_KEY.sign(cosigned(point.text, at_s + 60))
        tx.put_look_witnessed(LookWitnessed(tx.epoch(), size, at_s + 60, SHORE, signature))
        word = WitnessWord(GATEWAY, tx.epoch(), size, point.root, at_s + 60, signature)
        body = encode_words([word])
        tx.put_down(DownRecord("witness", at_s, at_s, at_s, bytes(32), body))


def fill(tx: Tx) -> None:
    for number in range(1, ROWS + 1):
        glass: dict[str, Any] = {"way": Way.BROKE_GLASS, "reason": f"drill {number}"} if number % 7 == 0 else {}
        asked = look({Field.PREFERRED_NAME, Field.LANGUAGE}, **glass)
        tx.log_look_up(replace(asked, at_s=AT_S + 60 * number, guest=BOB if number % 3 == 0 else ANNA))
        if number in HEADS:
            sign_head(tx, number, AT_S + 60 * number)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a log of 24 rows, heads over 6, 12, 18 and 24, the first two of them witnessed."""
    path = tmp_path_factory.mktemp("log") / "steward.db"

    async def make() -> None:
        store = SqliteStore.open(path, DATA_KEY)
        await store.write(fill)
        await store.close()

    asyncio.run(make())
    return path


@dataclass
class Bender:
    """A copy of the database, and somebody who may write anything into it."""

    path: Path

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'look%'")
            for (name,) in names.fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def rebuild(self, *, sign: bool) -> None:
        """The whole tree anew over the rows as they are, and with the key the heads as well."""
        with snapshot(self.path, DATA_KEY) as tx:
            rows = tx.look_rows(0, 1000)
            epoch = tx.epoch()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM look_node")
            nodes: dict[tuple[int, int], bytes] = {}
            for row in rows:
                assert row.look is not None
                salts = row.salts or LookSalts(bytes(32), bytes(32))
                leaf = look_leaf(row.look, row.logged_s, salts)
                nodes.update(grow(row.seq - 1, leaf, lambda places: [nodes[place] for place in places]))
            connection.executemany(
                "INSERT INTO look_node VALUES (?, ?, ?)", [(*place, node) for place, node in nodes.items()]
            )
            if sign:
                for (size,) in connection.execute("SELECT size FROM look_head").fetchall():
                    top = root(min(size, len(rows)), lambda places: [nodes[place] for place in places])
                    text = Checkpoint(origin("aurora", GATEWAY, epoch), size, top).text
                    connection.execute(
                        "UPDATE look_head SET root = ?, signature = ? WHERE size = ?",
                        (top, SHIP_KEY.sign(text.encode()), size),
                    )

    def check(self) -> LookCheck:
        with snapshot(self.path, DATA_KEY) as tx:
            return LookChecker(tx, GATEWAY, TrustedKeys((SHIP,), (SHORE,))).check()


Make = Callable[[], Bender]


@pytest.fixture
def bender(written: Path, tmp_path: Path) -> Make:
    made = 0

    def make() -> Bender:
        nonlocal made
        made += 1
        folder = tmp_path / str(made)
        shutil.copytree(written.parent, folder)
        return Bender(folder / written.name)

    return make


def test_the_log_as_it_was_written_fits(bender: Make) -> None:
    found = bender().check()
    assert found.fits
    assert (found.rows, found.heads, found.witnessed, found.behind, found.blank) == (ROWS, 4, WITNESSED[-1], 0, 0)


@pytest.mark.parametrize("row", range(1, ROWS + 1))
def test_a_row_that_was_removed(bender: Make, row: int) -> None:
    it = bender()
    it.sql(f"DELETE FROM look_up WHERE seq = {row}")
    found = it.check()
    assert found.bent is not None
    assert (found.bent.first, found.bent.last) == (row, row)


@pytest.mark.parametrize("row", range(1, ROWS + 1))
def test_a_row_that_was_changed_in_any_column(bender: Make, row: int) -> None:
    for column, value in COLUMNS.items():
        it = bender()
        it.sql("PRAGMA ignore_check_constraints = ON", f"UPDATE look_up SET {column} = {value} WHERE seq = {row}")
        found = it.check()
        assert found.bent is not None, column
        assert (found.bent.first, found.bent.last) == (row, row), column
        assert "the row was" in found.bent.problem, column


@pytest.mark.parametrize("row", range(7, ROWS + 1, 7))
def test_the_reason_of_a_broken_glass_that_was_changed(bender: Make, row: int) -> None:
    it = bender()
    other = 14 if row == 7 else 7
    it.sql(f"UPDATE look_up SET reason = (SELECT reason FROM look_up WHERE seq = {other}) WHERE seq = {row}")
    found = it.check()
    assert found.bent is not None
    assert (found.bent.first, found.bent.last) == (row, row)


@pytest.mark.parametrize("row", range(1, ROWS))
def test_two_rows_that_changed_places(bender: Make, row: int) -> None:
    it = bender()
    it.sql(
        f"UPDATE look_up SET seq = 1000 WHERE seq = {row}",
        f"UPDATE look_up SET seq = {row} WHERE seq = {row + 1}",
        f"UPDATE look_up SET seq = {row + 1} WHERE seq = 1000",
    )
    found = it.check()
    assert found.bent is not None
    assert found.bent.first == row


@pytest.mark.parametrize("row", range(1, ROWS + 1))
def test_a_row_that_was_blanked_as_if_its_guest_were_erased(bender: Make, row: int) -> None:
    """Each row fits; there is one more of them than erasures and retention account for."""
    it = bender()
    every = ", ".join(f"{column} = 'erased'" for column in COLUMNS if column != "at_s")
    it.sql(f"UPDATE look_up SET {every}, reason = '' WHERE seq = {row}")
    found = it.check()
    assert (found.bent, found.blank, found.unexplained, found.fits) == (None, 1, 1, False)


@pytest.mark.parametrize(("early_s", "fits"), [(600, True), (86_400, False)])
def test_rows_that_say_they_were_entered_after_the_witness_had_seen_them(
    bender: Make, early_s: int, fits: bool
) -> None:
    """The witness's signature is good, and the clocks aboard and ashore may differ, but not by a day."""
    it = bender()
    with closing(sqlite3.connect(it.path)) as connection:
        query = "SELECT origin, size, root FROM look_head WHERE size = 12"
        point = Checkpoint(*connection.execute(query).fetchone())
    seen_s = AT_S + 60 * 12 - early_s
    signature = SHORE_KEY.sign(cosigned(point.text, seen_s)).hex()
    it.sql(f"UPDATE look_witnessed SET at_s = {seen_s}, signature = x'{signature}' WHERE size = 12")
    found = it.check()
    assert found.fits == fits
    if not fits:
        assert found.bent is not None
        assert "witnessed before the last of them was entered" in found.bent.problem


def forget(tx: Tx) -> None:
    """Of Bob, as an erasure does."""
    tx.put_guest(guest(BOB))
    done = destroy(tx, BOB, Part.ALL, AT_S)
    tx.put_erasure(carried_out(Erasure(BOB, certificate_id(BOB), AT_S, "guest"), done, (), ()))


def later(path: Path, *works: Callable[[Tx], object]) -> None:
    async def live() -> None:
        store = SqliteStore.open(path, DATA_KEY)
        for work in works:
            await store.write(work)
        await store.close()

    asyncio.run(live())


def test_what_an_erasure_blanked_is_accounted_for_and_not_one_row_more(bender: Make) -> None:
    it = bender()
    later(it.path, forget)
    found = it.check()
    assert (found.fits, found.blank, found.unexplained) == (True, ROWS // 3, 0)
    every = ", ".join(f"{column} = 'erased'" for column in COLUMNS if column != "at_s")
    it.sql(f"UPDATE look_up SET {every}, reason = '' WHERE seq = 1")
    assert it.check().unexplained == 1


def test_what_a_restored_backup_brought_back_is_blanked_again_and_accounted_for(bender: Make, tmp_path: Path) -> None:
    it = bender()
    backup(it.path, tmp_path / "copy.db")
    later(it.path, forget)
    restore(tmp_path / "copy.db", it.path, DATA_KEY, at_s=AT_S)
    later(it.path)
    found = it.check()
    assert (found.bent, found.blank, found.unexplained) == (None, ROWS // 3, 0)


async def test_what_retention_blanked_is_accounted_for(bender: Make) -> None:
    it = bender()
    store = SqliteStore.open(it.path, DATA_KEY)
    await store.write(lambda tx: tx.put_guest(replace(guest(BOB), crew=False, not_after_s=AT_S)))
    clock = LookClock()
    clock.now_s += 91 * DAY_S
    keeping = RetentionService(store, clock, [PartRule(Kept.LOOK_UP, 90)], (), lambda _tx: clock.now_s)
    assert await keeping.sweep() == ROWS // 3
    await store.close()
    found = it.check()
    assert (found.fits, found.blank, found.unexplained) == (True, ROWS // 3, 0)


@pytest.mark.parametrize("row", range(1, ROWS + 1))
@pytest.mark.parametrize("what", ["salt", "leaf", "node"])
def test_a_salt_or_a_node_that_was_changed(bender: Make, row: int, what: str) -> None:
    it = bender()
    change = {
        "salt": f"UPDATE look_leaf SET salt = zeroblob(32) WHERE seq = {row}",
        "leaf": f"UPDATE look_node SET hash = zeroblob(32) WHERE level = 0 AND at = {row - 1}",
        "node": f"DELETE FROM look_node WHERE level = 0 AND at = {row - 1}",
    }
    it.sql(change[what])
    found = it.check()
    assert found.bent is not None
    assert found.bent.first == row


@pytest.mark.parametrize("row", range(1, ROWS + 1))
def test_a_row_changed_with_its_leaf_and_the_whole_tree(bender: Make, row: int) -> None:
    """Without the key: the heads that were signed over it no longer fit."""
    it = bender()
    it.sql(f"UPDATE look_up SET actor = 'c8' WHERE seq = {row}")
    it.rebuild(sign=False)
    found = it.check()
    assert found.bent is not None
    assert found.bent.first <= row <= found.bent.last
    assert found.bent.last - found.bent.first < 6


@pytest.mark.parametrize("row", range(1, ROWS + 1))
def test_a_row_changed_by_somebody_who_holds_the_ships_key(bender: Make, row: int) -> None:
    """Tree and heads are made anew. Up to the last head that was witnessed the witness's signature finds it aboard;
    beyond, shore does when the next head comes (tests/shore/test_witness.py), and nobody before."""
    it = bender()
    it.sql(f"UPDATE look_up SET actor = 'c8' WHERE seq = {row}")
    it.rebuild(sign=True)
    found = it.check()
    assert (found.bent is None) == (row > WITNESSED[-1])
    it.sql("DELETE FROM look_witnessed")  # and the signatures that give him away
    found = it.check()
    assert (found.bent is None) == (row > WITNESSED[-1])


@pytest.mark.parametrize("row", range(1, ROWS + 1))
def test_a_row_that_was_put_in(bender: Make, row: int) -> None:
    """In front of this one, the others moved up: as it is, and with the tree made anew."""
    it = bender()
    columns = "at_s, actor, role, outlet, outlet_kind, purpose, guest, fields, way, reason"
    it.sql(
        f"UPDATE look_up SET seq = seq + 1000 WHERE seq >= {row}",
        f"INSERT INTO look_up (seq, {columns}) SELECT {row}, {columns} FROM look_up "
        "WHERE seq = 1 OR seq = 1001 LIMIT 1",
        "UPDATE look_up SET seq = seq - 999 WHERE seq > 1000",
    )
    found = it.check()
    assert found.bent is not None
    assert found.bent.first <= row + 1
    it.sql(
        f"UPDATE look_leaf SET seq = seq + 1000 WHERE seq >= {row}",
        f"INSERT INTO look_leaf SELECT {row}, logged_s, zeroblob(32), zeroblob(32) FROM look_leaf "
        "WHERE seq = 1 OR seq = 1001 LIMIT 1",
        "UPDATE look_leaf SET seq = seq - 999 WHERE seq > 1000",
    )
    it.rebuild(sign=False)
    assert it.check().bent is not None


@pytest.mark.parametrize("left", range(ROWS))
def test_rows_that_were_cut_off_at_the_end(bender: Make, left: int) -> None:
    """With their leaves, the nodes over them and the heads over those: up to the last word of the witness."""
    it = bender()
    it.sql(f"DELETE FROM look_up WHERE seq > {left}")
    found = it.check()
    assert found.bent is not None
    assert found.bent.first == left + 1
    it.sql(f"DELETE FROM look_leaf WHERE seq > {left}", f"DELETE FROM look_node WHERE (at + 1) << level > {left}")
    found = it.check()
    assert found.bent is not None
    assert found.bent.first <= left + 1
    it.sql(f"DELETE FROM look_witnessed WHERE size > {left}", f"DELETE FROM look_head WHERE size > {left}")
    assert (it.check().bent is None) == (left >= WITNESSED[-1])


@pytest.mark.parametrize("row", range(2, ROWS + 1))
def test_a_row_that_was_dated_back_with_tree_and_heads_made_anew(bender: Make, row: int) -> None:
    """By somebody with the key, beyond what was witnessed or not: a row cannot be older than the one in front of it."""
    it = bender()
    it.sql(f"UPDATE look_up SET at_s = at_s - 86400 WHERE seq = {row}")
    if row % 7 == 0:  # its reason is sealed together with its time: without the guest's key nothing fits any more
        found = it.check()
        assert found.bent is not None
        assert (found.bent.first, found.bent.last) == (row, row)
        return
    it.rebuild(sign=True)
    found = it.check()
    assert not found.fits
    assert found.bent is not None or found.late == [row]
    it.sql(f"UPDATE look_leaf SET logged_s = logged_s - 86400 WHERE seq = {row}")
    it.rebuild(sign=True)
    found = it.check()
    assert found.bent is not None
    assert found.bent.first <= row <= found.bent.last


async def test_a_row_that_the_program_itself_was_made_to_date_back(tmp_path: Path) -> None:
    """A clock put back for one look: the row says both, when it happened and after which one it was entered."""
    path = tmp_path / "steward.db"
    store = SqliteStore.open(path, DATA_KEY)
    await store.write(fill)
    asked = replace(look({Field.PREFERRED_NAME}), at_s=AT_S - 86_400)
    await store.write(lambda tx: tx.log_look_up(asked))
    await store.close()
    found = Bender(path).check()
    assert (found.bent, found.late, found.late_count, found.fits) == (None, [ROWS + 1], 1, False)


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_clock_that_was_ahead_and_was_set_right(tmp_path: Path, confirmed: bool) -> None:
    path = tmp_path / "steward.db"
    store = SqliteStore.open(path, DATA_KEY)
    ahead_s = AT_S + 10**8

    def work(tx: Tx) -> None:
        tx.log_look_up(replace(look({Field.PREFERRED_NAME}), at_s=ahead_s))
        if confirmed:
            tx.append_event(fact(EventType.CLOCK_CONFIRMED, AT_S, believed_before_s=ahead_s))
        tx.look_clock_confirmed()
        tx.log_look_up(replace(look({Field.PREFERRED_NAME}), at_s=AT_S + 5))

    await store.write(work)
    await store.close()
    found = Bender(path).check()
    assert found.fits == confirmed
    if not confirmed:
        assert found.bent is not None
        assert found.bent.first == 2


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE look_head SET signature = zeroblob(64) WHERE size = 12", "wrong signature"),
        ("UPDATE look_head SET key = zeroblob(32) WHERE size = 12", "not this ship's"),
        ("UPDATE look_witnessed SET signature = zeroblob(64) WHERE size = 12", "signature of its witness"),
        ("UPDATE look_witnessed SET key = zeroblob(32) WHERE size = 12", "not shore's"),
        ("UPDATE look_witnessed SET at_s = at_s - 86400 WHERE size = 12", "signature of its witness"),
    ],
)
def test_a_head_or_a_witness_that_was_changed(bender: Make, statement: str, said: str) -> None:
    it = bender()
    it.sql(statement)
    found = it.check()
    assert found.bent is not None
    assert said in found.bent.problem
    assert found.bent.first == 7


ATTACKS = [
    "UPDATE look_up SET actor = 'c8' WHERE seq = 3",
    "UPDATE look_up SET way = 'erased' WHERE seq = 3",
    "DELETE FROM look_up WHERE seq = 3",
    "INSERT OR REPLACE INTO look_up SELECT * FROM look_up WHERE seq = 3",
    "UPDATE look_leaf SET salt = zeroblob(32) WHERE seq = 3",
    "UPDATE look_leaf SET salt = NULL, closed_salt = NULL WHERE seq = 3",
    "UPDATE look_leaf SET logged_s = 0 WHERE seq = 3",
    "DELETE FROM look_leaf WHERE seq = 24",
    "INSERT INTO look_leaf VALUES (25, 0, zeroblob(32), zeroblob(32))",
    "INSERT OR REPLACE INTO look_leaf VALUES (24, 0, zeroblob(32), zeroblob(32))",
    "UPDATE look_node SET hash = zeroblob(32)",
    "DELETE FROM look_node WHERE level = 0 AND at = 23",
    "INSERT OR REPLACE INTO look_node VALUES (0, 23, zeroblob(32))",
    "INSERT INTO look_node VALUES (0, 25, zeroblob(32))",
    "UPDATE look_head SET root = zeroblob(32)",
    "DELETE FROM look_head WHERE size = 24",
    "INSERT OR REPLACE INTO look_head SELECT * FROM look_head WHERE size = 24",
    "INSERT INTO look_head SELECT epoch, 23, origin, root, at_s, key, signature FROM look_head WHERE size = 24",
    "UPDATE look_witnessed SET at_s = 0",
    "DELETE FROM look_witnessed",
    "INSERT OR REPLACE INTO look_witnessed SELECT * FROM look_witnessed WHERE size = 12",
    "INSERT INTO look_witnessed SELECT epoch, 17, at_s, key, signature FROM look_witnessed WHERE size = 12",
]


@pytest.mark.parametrize("statement", ATTACKS)
@pytest.mark.parametrize("foreign_keys", ["ON", "OFF"])
def test_the_schema_refuses_it_by_itself(bender: Make, statement: str, foreign_keys: str) -> None:
    path = bender().path
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
