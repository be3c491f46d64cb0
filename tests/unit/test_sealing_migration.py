"""A database from before anything was sealed: version 12 seals every name in it, and none lingers in the file."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cbor2
import pytest
from tests.contract.serviceparts import HOST, JPEG, MEDIC, look
from tests.vaultkit import DATA_KEY, guest_keys, sealing

from steward.adapters.sqlite.backup import restore
from steward.adapters.sqlite.connect import connect, create_file
from steward.adapters.sqlite.migrations import SCHEMA_VERSION, migrate, migrate_file, scripts
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import verify_file
from steward.domain.events import EventType, is_erased
from steward.domain.features import Company
from steward.domain.ids import GuestRef, TapId
from steward.domain.viewing import Field, Way
from steward.errors import StoreUnavailable
from steward.ports import Tx

T = TypeVar("T")
REF = GuestRef("00000000000000aa")
AT_S = 1_800_000_000
TAP = TapId("000000000000000000000000000000c1")
FACE = JPEG + b"the only face of its kind" * 900
HASH = hashlib.sha256(FACE).hexdigest()
WORDS = (b"Ingeborg", b"gulbrandsen", b"R-4711", b"no ice for her", b"cold soup", b"molluscs", b"massage")
SECRETS = [*WORDS, FACE, HASH.encode()]
OLD_VERSIONS = [3, 7, 11]

_GUEST = {
    **{"ref": REF, "booking": "R-4711", "cabin_a": 8104, "stay_a": 1, "zones": 0, "child": 0, "crew": 0},
    **{"not_before_s": 0, "not_after_s": 4_000_000_000, "currency": "EUR", "stay_minor": 1, "day_minor": 1},
    **{"verify_above_minor": 1, "serial": 1, "pin_failures": 0, "settled": 0},
}
_CHARGE = {
    **{"tap_id": TAP, "till": "B1", "outlet": "spa", "amount_minor": 5, "currency": "EUR", "description": "massage"},
    **{"age_restricted": 0, "allow_duplicate": 0, "at_s": 5, "state": "posted", "code": "posted"},
    **{"verification": "none", "refunded_minor": 0, "uid": "04A1B2C3D4E5F6", "guest": REF, "serial": 1},
    **{"key_version": 1, "active": 1, "counter": 1, "signed": b"", "mac": b"", "verified": 1, "reader": "r"},
}
_LOOK = (1, 5, "c1", "safety", "bar", "service", "safety", REF, "full_name", "broke_glass", "massage table fell")
_PROFILE = (REF, "Ingeborg", "Ingeborg Gulbrandsen", " ingeborg gulbrandsen", "nb", "molluscs", "")
# Since which version, in which table, what.
_ROWS: list[tuple[int, str, tuple[Any, ...]]] = [
    (3, "profile", _PROFILE),
    (3, "picture", (1, HASH, FACE)),
    (3, "photo", (REF, HASH)),
    (3, "note", ("0a0a", REF, "safety", "no ice for her", "c1", "bar", 5, 4_000_000_000)),
    (3, "recovery_case", ("0b0b", REF, "bar", "cold soup", "c1", 5, "", None, "")),
    (3, "look_up", _LOOK),
    (3, "imported_guest", ("R-4711", "1", REF, bytes(32), bytes(32), HASH)),
    (1, f"guest ({', '.join(_GUEST)})", tuple(_GUEST.values())),
    (1, f"charge ({', '.join(_CHARGE)})", tuple(_CHARGE.values())),
    (10, "stay_company", (REF, "family")),
    (6, "charge_words", (1, "gw2/c2", "massage")),
]


def old_database(path: Path, version: int) -> None:
    """As that version's program left it: a guest with everything, deleted rows, and a log of writes."""
    create_file(path)
    connection = connect(path)
    with sealing(path.with_name("made.db")) as functions:
        migrate(connection, path, functions, steps=scripts()[:version])
    payload = cbor2.dumps({"guest": REF, "fields": "molluscs"})
    connection.execute("BEGIN")
    for since, table, values in _ROWS:
        if since <= version:
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
    for seq in range(1, 301):
        connection.execute("INSERT INTO event VALUES (1, ?, ?, ?, ?)", (seq, int(EventType.PROFILE_SET), AT_S, payload))
    connection.execute("COMMIT")
    if version >= 3:  # free pages that still hold what was on them
        connection.execute("PRAGMA secure_delete = OFF")
        many: list[Any] = [(f"{n:016x}", f"Ingeborg {n}") for n in range(1000, 1400)]
        connection.executemany("INSERT INTO profile VALUES (?1, ?2, ?2, ?2, 'nb', '', '')", many)
        connection.execute("DELETE FROM profile WHERE preferred_name GLOB 'Ingeborg *'")
    connection.close()


def live(path: Path, *works: Callable[[Tx], T]) -> list[T]:
    async def live_() -> list[T]:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            return [await store.write(work) for work in works]
        finally:
            await store.close()

    return asyncio.run(live_())


def lingering(path: Path) -> list[bytes]:
    files = [file for file in path.parent.glob("steward.*") if ".before-v" not in file.name]
    raw = b"".join(file.read_bytes() for file in files)
    return [secret[:24] for secret in SECRETS if secret in raw]


@pytest.fixture(params=OLD_VERSIONS, ids=lambda version: f"v{version}")
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    database = tmp_path / "steward.db"
    old_database(database, request.param)
    assert lingering(database)
    return database


def everything(tx: Tx) -> list[object]:
    fields = {Field.FULL_NAME, Field.ALLERGIES, Field.PHOTO, Field.NOTES, Field.RECOVERY}
    seen = tx.disclose(look(fields, REF, MEDIC, way=Way.BROKE_GLASS, reason="to see"))
    charge, known = tx.charge(TAP), tx.guest(REF)
    assert charge is not None
    assert known is not None
    assert seen.photo is not None
    return [
        *(seen.full_name, seen.allergies, seen.photo.content, seen.photo.sha256 == tx.photo_hash(REF)),
        *(seen.notes[0].text, seen.cases[0].what, charge.request.description, known.booking),
        *(tx.look_ups(0, 1)[0].reason, tx.imported("R-4711")[0].photo, len(tx.party("R-4711"))),
        *(dict(tx.events_in(1, 299, 1)[0].payload), [hit.full_name for hit in tx.search(HOST, "gulb", AT_S, 9)]),
    ]


def test_everything_is_there_and_nothing_is_in_the_file(path: Path) -> None:
    (found,) = live(path, everything)
    assert found == [
        *("Ingeborg Gulbrandsen", ("molluscs",), FACE, True, "no ice for her", "cold soup", "massage", "R-4711"),
        *("massage table fell", HASH, 1, {"guest": REF, "fields": "molluscs"}, ["Ingeborg Gulbrandsen"]),
    ]
    assert lingering(path) == []
    assert verify_file(path) == SCHEMA_VERSION


def test_while_it_runs_the_log_holds_nothing_either(path: Path) -> None:
    async def look_at_it() -> list[bytes]:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            return lingering(path)
        finally:
            await store.close()

    assert asyncio.run(look_at_it()) == []


def test_the_copy_of_before_goes_with_the_first_erasure(path: Path) -> None:
    kept = migrate_file(path, DATA_KEY).kept
    assert kept is not None
    assert b"Ingeborg" in kept.read_bytes()
    live(path, lambda tx: tx.has_key(REF))
    assert kept.exists()
    live(path, lambda tx: tx.destroy_key(REF))
    assert not kept.exists()


def test_a_migration_cut_short_leaves_the_old_database_and_goes_through_the_next_time(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO event VALUES (1, 301, 1, 1, x'a0')")
        connection.execute("CREATE TRIGGER full BEFORE UPDATE ON guest BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(StoreUnavailable, match="schema version 12.*Nothing was changed"):
        migrate_file(path, DATA_KEY)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT full_name FROM profile").fetchall() == [("Ingeborg Gulbrandsen",)]
        connection.execute("DROP TRIGGER full")
    assert live(path, lambda tx: tx.has_profile(REF)) == [True]
    assert lingering(path) == []


def test_cleaning_that_the_disk_refused_is_done_at_the_next_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("steward.adapters.sqlite.migrations.clean", lambda *_, **_more: None)
        migrate_file(path, DATA_KEY)
    live(path, lambda tx: tx.has_profile(REF))
    assert lingering(path) == []


def test_an_old_backup_is_sealed_when_it_is_restored(path: Path) -> None:
    backup = path.with_name("old-backup.db")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    path.rename(backup)
    restore(backup, path, DATA_KEY, at_s=AT_S)
    (found,) = live(path, everything)
    assert found[0] == "Ingeborg Gulbrandsen"
    assert lingering(path) == []


def test_an_old_backup_of_who_was_erased_comes_back_without_them(path: Path) -> None:
    backup = path.with_name("old-backup.db")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    backup.write_bytes(path.read_bytes())
    live(path, lambda tx: tx.destroy_key(REF))
    restore(backup, path, DATA_KEY, at_s=AT_S)
    assert live(path, lambda tx: (tx.has_key(REF), tx.has_profile(REF), tx.guest(REF))) == [(False, False, None)]
    assert all(is_erased(event) for (events,) in [live(path, lambda tx: tx.events_in(1, 0, 999))] for event in events)
    for left in path.parent.glob("steward.db.replaced-*"):
        left.unlink()
    assert lingering(path) == []


def test_company_is_sealed_in_its_column(tmp_path: Path) -> None:
    path = tmp_path / "steward.db"
    old_database(path, 11)
    (found,) = live(path, lambda tx: (tx.company(REF), tx.words(9)))
    assert found[0] is not None
    assert found[0].company is Company.FAMILY
    assert list(found[1]) == [("gw2/c2", "massage")]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT company FROM stay_company").fetchall() != [("family",)]
    with guest_keys(path) as keys:
        assert keys.newest(REF) == 1
