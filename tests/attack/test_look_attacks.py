"""Whoever wants to see a guest without being seen: through other SQL, the log itself, a full disk, errors and logs."""

from __future__ import annotations

import ast
import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract import serviceparts as contract
from tests.contract.makers import BOB
from tests.unit.servicekit import BARKEEPER, CASHIER, HOST, KIRA, MEDIC, Deck, item
from tests.vaultkit import DATA_KEY, lay_store

import steward
from steward.adapters.sqlite.connect import connect
from steward.adapters.sqlite.lookups import forbid_looks
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.tx import SqliteTx
from steward.adapters.system import OsEntropy
from steward.adapters.vault import KeyChanges, MemoryChest, TxKeys
from steward.domain.care import CaseId
from steward.domain.viewing import Field
from steward.errors import StewardError, StoreUnavailable

SOURCE = Path(steward.__file__).parent
GUARDED = {
    "profile": {"name", "names", "language", "health"},
    "picture": {"content"},
    "note": {"text"},
    "recovery_case": {"what", "outcome"},
}
# A statement about one of these tables, whatever its case, quotes and blanks; and one that changes the log.
STATEMENT = re.compile(
    rf"""\b(FROM|JOIN|INTO|UPDATE|TABLE)\s+(main\s*\.\s*)?["'`\[]?({"|".join(GUARDED)})\b
    |\b(INTO|UPDATE|DELETE\s+FROM|TABLE)\s+(main\s*\.\s*)?["'`\[]?look_up\b""",
    re.IGNORECASE | re.VERBOSE,
)
THE_ONE_MODULE = SOURCE / "adapters" / "sqlite" / "lookups.py"
PICTURES = SOURCE / "adapters" / "sqlite" / "pictures.py"  # what `disclose` shows of them, and what an import stages


def texts(path: Path) -> Iterator[str]:
    """Every string of a module, pieces of f-strings included, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def names_a_guarded_table(text: str) -> bool:
    return STATEMENT.search(text) is not None


def test_the_walk_sees_what_it_looks_for() -> None:
    for text in ("SELECT * FROM profile", "from  main.note n", 'JOIN "picture" AS p', "UPDATE recovery_case SET"):
        assert names_a_guarded_table(text), text
    assert names_a_guarded_table("INSERT INTO look_up SELECT")
    for text in ("a note from a guest", "FROM staged_picture", "profile", "the picture", "SELECT seq FROM look_up"):
        assert not names_a_guarded_table(text), text
    assert any(names_a_guarded_table(text) for text in texts(THE_ONE_MODULE))


def test_no_other_module_says_anything_to_these_tables() -> None:
    for path in SOURCE.rglob("*.py"):
        if path in (THE_ONE_MODULE, PICTURES) or "shore" in path.relative_to(SOURCE).parts:  # has another database
            continue
        said = [text for text in texts(path) if names_a_guarded_table(text)]
        said = [text for text in said if not re.fullmatch(r"DELETE FROM \w+ WHERE \w+ = \?", text)]  # an erasure
        said = [text for text in said if "length(health)" not in text]  # whether there is anything, for retention
        assert said == [], path
        if path.parent == THE_ONE_MODULE.parent:  # upsert("profile", ...) names it without a statement
            # By the names of the columns that say whose rows are, and how old; what is in them is not read.
            counts_rows = path.name in ("erasure.py", "privacy.py")
            assert counts_rows or [text for text in texts(path) if text in GUARDED] == [], path


def test_in_that_module_only_disclose_reads_what_is_in_them() -> None:
    """The statements that read contents are named in the helpers of `disclose`, and these are called by it alone."""
    both = "".join(
        path.read_text(encoding="utf-8").replace("from __future__ import annotations", "")
        for path in (PICTURES, THE_ONE_MODULE)
    )
    tree = ast.parse(both)
    used: dict[str, set[str]] = {}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        for node in ast.walk(function):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
            if name is not None:
                used.setdefault(name, set()).add(function.name)
    assert used["_photo"] | used["_profile"] | used["_notes"] | used["_cases"] == {"disclose"}
    assert (used["_PHOTO_CONTENT"], used["_FIND_NAMED"], used["_FIND_CABIN"]) == (
        {"_photo"},
        {"_called"},
        {"_in_cabin"},
    )
    assert used["_called"] | used["_in_cabin"] == {"search"}
    assert (used["_NOTES"], used["_CASES"], used["_profile_columns"]) == ({"_notes"}, {"_cases"}, {"_profile"})
    (disclose,) = (function for function in functions if function.name == "disclose")
    assert ast.unparse(disclose.body[0]) == "logged = self.log_look_up(look)"
    reading = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and (target := node.targets[0]) and isinstance(target, ast.Name)
        for column in set().union(*GUARDED.values())
        if target.id.isupper() and not target.id.startswith("_") and _reads(node.value, column)
    }
    assert reading == set()


def _reads(value: ast.expr, column: str) -> bool:
    """A public statement that selects this column. Matching by name_key shows nothing of it."""
    statement = " ".join(n.value for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    selected = re.search(r"SELECT (.*?) FROM", statement, re.DOTALL)
    return selected is not None and re.search(rf"\b{column}\b", selected[1]) is not None


def test_only_the_memory_stores_own_modules_open_its_tables() -> None:
    named = {path.name for path in SOURCE.rglob("*.py") if "LookUpState" in path.read_text(encoding="utf-8")}
    assert named == {
        *("memory_lookups.py", "memory_manifest.py"),  # the second puts pictures, as its SQLite half does
        *("memory_erasure.py", "memory_privacy.py"),  # count and delete rows
    }


CHEST = MemoryChest(DATA_KEY)


@pytest.mark.parametrize("name", [*contract.WRITES, "everything"])
def test_whatever_reads_contents_writes_the_log_in_the_same_breath(tmp_path: Path, name: str) -> None:
    """Not by reading the source but by asking SQLite what each method of the port touches."""
    connection = filled(tmp_path)
    read: set[tuple[str, str]] = set()
    logged = 0

    def watch(action: int, table: str | None, column: str | None, *_: object) -> int:
        nonlocal logged
        if action == sqlite3.SQLITE_READ and column in GUARDED.get(table or "", ()):
            read.add((str(table), str(column)))
        logged += action == sqlite3.SQLITE_INSERT and table == "look_up"
        return sqlite3.SQLITE_OK

    connection.set_authorizer(watch)
    tx = SqliteTx(connection, TxKeys(CHEST, OsEntropy(), KeyChanges()), read_only=False)
    (contract.everything if name == "everything" else contract.WRITES[name])(tx)
    assert bool(read) == (name in ("disclose", "search"))
    assert bool(logged) == (name in ("disclose", "search", "log_look_up", "enter_peer_look"))
    connection.close()


def filled(folder: Path) -> sqlite3.Connection:
    """A database with a profile, a photo, a note and a case; statements are prepared anew each time."""
    path = lay_store(folder / "steward.db")
    SqliteStore.open(path, DATA_KEY)._resources.close()
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=0)
    tx = SqliteTx(connection, TxKeys(CHEST, OsEntropy(), KeyChanges()), read_only=False)
    for name in ("put_profile", "put_photo", "put_note"):
        contract.WRITES[name](tx)
    tx.open_case(contract.case(CaseId("c0" * 8)))
    CHEST.keep(tx._keys.changes.made)
    return connection


SNEAKY = [
    "SELECT names FROM profile",
    "SELECT * FROM profile",
    "SELECT count(*) FROM profile WHERE hex(names) LIKE 'K%'",
    "SELECT 1 FROM guest WHERE EXISTS (SELECT 1 FROM profile p WHERE p.ref = guest.ref AND p.health <> x'')",
    "SELECT name FROM profile",
    "SELECT ref FROM profile ORDER BY names",
    "SELECT hex(content) FROM picture",
    "SELECT length(content) FROM photo JOIN picture USING (mark)",
    "SELECT json_group_array(text) FROM note",
    "WITH n AS (SELECT * FROM note) SELECT * FROM n",
    "SELECT what || outcome FROM recovery_case",
]


@pytest.mark.parametrize("sql", SNEAKY)
async def test_a_reading_connection_is_refused_the_contents(tmp_path: Path, sql: str) -> None:
    """Store.read cannot log, so it cannot look, whatever SQL somebody writes into it one day."""
    store = SqliteStore.open(lay_store(tmp_path / "steward.db"), DATA_KEY)
    deck = await Deck(store).aboard()
    await deck.notes.add(BARKEEPER, KIRA, "no ice", deck.clock.unix_s + 60)
    try:
        with pytest.raises(StoreUnavailable, match="prohibited|not authorized"):
            await store.read(lambda tx: tx._all(sql))
        assert await store.read(lambda tx: tx.has_profile(KIRA))  # the connection is as good as before
    finally:
        await store.close()


def test_the_guard_is_on_every_reading_connection_and_on_nothing_else(tmp_path: Path) -> None:
    filled(tmp_path).close()
    reading, writing = connect(tmp_path / "steward.db", query_only=True), connect(tmp_path / "steward.db")
    forbid_looks(reading)
    for table, columns in GUARDED.items():
        for column in columns:
            with pytest.raises(sqlite3.DatabaseError):
                reading.execute(f"SELECT {column} FROM {table}")
            assert len(writing.execute(f"SELECT {column} FROM {table}").fetchall()) == 1
        for (open_column,) in writing.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall():
            if open_column not in columns:
                assert reading.execute(f"SELECT {open_column} FROM {table}").fetchone()[0] is not None or open_column
    reading.close()
    writing.close()


# the log


TAMPERING = [
    "UPDATE look_up SET actor = 'nobody'",
    "UPDATE look_up SET guest = 'x' WHERE seq = 1",
    "UPDATE OR REPLACE look_up SET seq = 1 WHERE seq = 2",
    "UPDATE look_up SET seq = -seq",
    "DELETE FROM look_up",
    "DELETE FROM look_up WHERE seq = 3",
    "INSERT OR REPLACE INTO look_up "
    "SELECT 3, at_s, 'x', role, outlet, outlet_kind, purpose, guest, fields, way, reason, '' "
    "FROM look_up WHERE seq = 3",
    "REPLACE INTO look_up SELECT 1, at_s, 'x', role, outlet, outlet_kind, purpose, guest, fields, way, reason, '' "
    "FROM look_up WHERE seq = 1",
    "INSERT INTO look_up SELECT seq, at_s, actor, role, outlet, outlet_kind, purpose, guest, fields, way, reason, '' "
    "FROM look_up WHERE seq = 1 ON CONFLICT (seq) DO UPDATE SET actor = 'x'",
    "INSERT INTO look_up SELECT 9, at_s, actor, role, outlet, outlet_kind, purpose, guest, fields, way, reason, '' "
    "FROM look_up WHERE seq = 1",
    "INSERT INTO look_up SELECT 4, at_s, '', role, outlet, outlet_kind, purpose, guest, fields, way, reason, '' "
    "FROM look_up WHERE seq = 1",
    "INSERT INTO look_up SELECT 4, at_s, actor, role, outlet, outlet_kind, purpose, guest, '', way, reason, '' "
    "FROM look_up WHERE seq = 1",
    "INSERT INTO look_up SELECT 4, at_s, actor, role, outlet, outlet_kind, purpose, guest, fields, way, 'why', '' "
    "FROM look_up WHERE seq = 1",
]


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("sql", TAMPERING)
async def test_the_database_itself_keeps_the_log(tmp_path: Path, sql: str, recursive: str) -> None:
    """Another program with the file open cannot rewrite who looked, with whatever conflict clause."""
    path = lay_store(tmp_path / "steward.db")
    deck = await Deck(SqliteStore.open(path, DATA_KEY)).aboard()
    for who in (BARKEEPER, HOST, CASHIER):
        await deck.lookups.card(who, KIRA, tapped=False)
    before = await deck.looks()
    await deck.store.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(f"PRAGMA recursive_triggers = {recursive}")
    with pytest.raises(sqlite3.IntegrityError):
        other.execute(sql)
    other.close()
    again = SqliteStore.open(path, DATA_KEY)
    assert list(await again.read(lambda tx: tx.look_ups(0, 99))) == before
    await again.close()


async def test_what_cannot_be_logged_is_not_shown(tmp_path: Path) -> None:
    """The disk refuses the log's row: no card, no photo, no hit, no statement comes back."""
    path = lay_store(tmp_path / "steward.db")
    deck = await Deck(SqliteStore.open(path, DATA_KEY)).aboard()
    await deck.stock(item("tea"))
    case = await deck.recovery.open(BARKEEPER, KIRA, "cold soup")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON look_up BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    other.close()
    attempts: list[Callable[[], Any]] = [
        lambda: deck.lookups.card(BARKEEPER, KIRA, tapped=False),
        lambda: deck.lookups.photo(BARKEEPER, KIRA),
        lambda: deck.lookups.search(HOST, "kira"),
        lambda: deck.lookups.break_glass(MEDIC, KIRA, "drill"),
        lambda: deck.lookups.read_as(CASHIER, KIRA, {Field.FOLIO}, lambda tx: "statement"),
        lambda: deck.offers.suggest(BARKEEPER, KIRA),
        lambda: deck.recovery.open_cases(BARKEEPER),
    ]
    for attempt in attempts:
        with pytest.raises(StewardError):
            await attempt()
    assert case.is_open
    assert await deck.looks() == []
    await deck.store.close()


# what leaks beside the log


async def test_no_name_note_or_reason_reaches_an_event_a_log_line_or_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    deck = await Deck(SqliteStore.open(tmp_path / "steward.db", DATA_KEY)).aboard()
    await deck.notes.add(BARKEEPER, KIRA, "walks with a cane", deck.clock.unix_s + 60)
    case = await deck.recovery.open(BARKEEPER, KIRA, "soup was cold")
    for who in (BARKEEPER, HOST, CASHIER, MEDIC):
        await deck.lookups.card(who, KIRA, tapped=False)
    await deck.lookups.search(HOST, "testesen")
    await deck.lookups.photo(HOST, KIRA)
    await deck.lookups.break_glass(MEDIC, KIRA, "collapsed on deck five")
    await deck.recovery.close(BARKEEPER, case.id, "new soup and wine")
    errors = []
    for failing in (deck.lookups.card(CASHIER, BOB, tapped=False), deck.lookups.photo(MEDIC, BOB)):
        with pytest.raises(StewardError) as caught:
            await failing
        errors.append(str(caught.value))
    told = repr([dict(event.payload) for event in await deck.events()]) + caplog.text + repr(errors)
    await deck.store.close()
    for secret in ("kira", "testesen", "cane", "soup", "collapsed", "milk", "vegetarian", "8104"):
        assert secret not in told.lower()
