"""Renewing the data key: all stays readable, the old key opens nothing any more, and a renewal cut short is settled."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.makers import ANNA, BOB, guest
from tests.contract.serviceparts import profile
from tests.vaultkit import guest_keys

from steward.adapters import datakey
from steward.adapters.keyseal import KeySecret
from steward.adapters.sqlite import guestkeys
from steward.adapters.sqlite.backup import backup, backup_keys, restore, restore_keys
from steward.adapters.sqlite.guestkeys import keys_path
from steward.adapters.sqlite.lock import DatabaseLock
from steward.adapters.sqlite.renewal import next_path, open_data_key, renew
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy
from steward.adapters.vault import GENERATION_MAX, DataKey, GuestKey
from steward.domain.ids import GuestRef
from steward.errors import Erased, KeyFileError, StewardError, StoreUnavailable
from steward.ports import Tx

SECRET = KeySecret("credential", b"\x05" * 32)
NOTE = b"likes the window"


@dataclass
class Ship:
    """A store that was opened and closed, and its data key file."""

    path: Path
    file: Path

    def load(self) -> DataKey:
        return open_data_key(self.path, self.file, SECRET, OsEntropy(), make=False)

    def __call__(self, *works: Callable[[Tx], object]) -> list[object]:
        async def life() -> list[object]:
            store = SqliteStore.open(self.path, self.load())
            try:
                return [await store.write(work) for work in works]
            finally:
                await store.close()

        return asyncio.run(life())

    def renew(self) -> int:
        async def life() -> int:
            store = SqliteStore.open(self.path, self.load())
            try:
                return await store.renew_data_key(self.file, SECRET)
            finally:
                await store.close()

        return asyncio.run(life())

    def wrapped(self) -> dict[tuple[str, int], bytes]:
        connection = sqlite3.connect(keys_path(self.path))
        try:
            rows = connection.execute("SELECT ref, generation, wrapped FROM guest_key").fetchall()
            (proof,) = connection.execute("SELECT proof FROM vault").fetchone()
        finally:
            connection.close()
        return {(ref, generation): wrapped for ref, generation, wrapped in rows} | {("", 0): proof}


@pytest.fixture
def ship(tmp_path: Path) -> Ship:
    (tmp_path / "data").mkdir()
    (tmp_path / "safe").mkdir()
    ship = Ship(tmp_path / "data" / "steward.db", tmp_path / "safe" / "data-key.sealed")
    datakey.create(ship.file, SECRET, OsEntropy())
    ship(put_anna)
    return ship


def put_anna(tx: Tx) -> None:
    tx.put_guest(guest(ANNA))
    tx.put_profile(profile(ANNA))


def reads(tx: Tx) -> tuple[bool, list[GuestRef]]:
    return tx.has_profile(ANNA), [each.ref for each in tx.party("B-1234")]


def seals(tx: Tx) -> bytes:
    return tx.seal(ANNA, "note", NOTE)


def opens(sealed: object) -> Callable[[Tx], bytes]:
    assert isinstance(sealed, bytes)
    return lambda tx: tx.unseal(ANNA, "note", sealed)


ALL_THERE = (True, [ANNA])


def test_all_is_readable_and_what_comes_next_has_new_keys(ship: Ship) -> None:
    (sealed,) = ship(seals)
    before = ship.load()
    assert ship.renew() == len({ref for ref, _ in ship.wrapped() if ref}) > 0
    assert ship(reads, opens(sealed)) == [ALL_THERE, NOTE]
    (later,) = ship(seals)
    assert isinstance(sealed, bytes)
    assert isinstance(later, bytes)
    assert (sealed[0], later[0]) == (1, 2)  # the generation
    after = ship.load()
    assert after.fingerprint != before.fingerprint
    assert (after.mark("x", "y"), after.heads_key) == (before.mark("x", "y"), before.heads_key)
    assert stat.S_IMODE(ship.file.stat().st_mode) == 0o600


def test_the_old_keys_open_nothing_that_is_sealed_later(ship: Ship, tmp_path: Path) -> None:
    """Who took the data key and the guests' keys meets a later backup."""
    (before,) = ship(seals)
    thief = Ship(tmp_path / "thief" / "steward.db", tmp_path / "thief" / "key")
    thief.path.parent.mkdir()
    shutil.copy(ship.file, thief.file)
    shutil.copy(keys_path(ship.path), keys_path(thief.path))
    ship.renew()
    (later,) = ship(seals)
    backup(ship.path, thief.path)
    assert thief(opens(before)) == [NOTE]  # what they had, they have
    with pytest.raises(Erased):
        thief(opens(later))


def test_it_can_be_renewed_again_and_again(ship: Ship) -> None:
    (sealed,) = ship(seals)
    prints = {ship.load().fingerprint}
    for _ in range(3):
        ship.renew()
        prints.add(ship.load().fingerprint)
    assert len(prints) == 4
    assert ship(reads, opens(sealed)) == [ALL_THERE, NOTE]


def test_a_store_goes_on_after_it_without_being_opened_again(ship: Ship) -> None:
    async def life() -> tuple[object, ...]:
        store = SqliteStore.open(ship.path, ship.load())
        try:
            before, sealed = store.data_key_fingerprint, await store.write(seals)
            await store.renew_data_key(ship.file, SECRET)
            await store.write(lambda tx: tx.put_profile(profile(BOB)))
            later = await store.write(seals)
            found = [await store.read(opens(each)) for each in (sealed, later)]
            return before != store.data_key_fingerprint, later[0], await store.read(reads), found
        finally:
            await store.close()

    assert asyncio.run(life()) == (True, 2, ALL_THERE, [NOTE, NOTE])
    assert ship(reads, lambda tx: tx.has_profile(BOB)) == [ALL_THERE, True]


def test_nothing_that_the_old_key_wrapped_is_left_in_the_file_or_its_log(ship: Ship) -> None:
    def fill(tx: Tx) -> None:
        for n in range(500):
            tx.seal(GuestRef(f"{n:016x}"), "x", b"y")

    ship(fill)
    spill(keys_path(ship.path))
    before, sealed = ship.wrapped(), ship.file.read_bytes()
    os.link(ship.file, ship.file.with_name("another name"))

    async def life() -> bytes:
        store = SqliteStore.open(ship.path, ship.load())
        try:
            await store.renew_data_key(ship.file, SECRET)
            files = [file for file in ship.path.parent.iterdir() if file.name.startswith("steward.guest-keys.db")]
            assert any(file.name.endswith("-wal") for file in files)
            return b"".join(file.read_bytes() for file in files)
        finally:
            await store.close()

    raw = asyncio.run(life())
    after = ship.wrapped()
    assert set(after) == set(before) | {(ref, 2) for ref, _ in before if ref}
    assert [key for key, wrapped in before.items() if wrapped in raw] == []
    assert all(wrapped in raw for wrapped in after.values())
    assert ship.file.with_name("another name").read_bytes() == bytes(len(sealed))
    assert not next_path(ship.file).exists()


def spill(path: Path) -> None:
    """Leave copies of the wrapped keys in free pages, as a program does that deletes without overwriting."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("CREATE TABLE spilt AS SELECT wrapped FROM guest_key, (VALUES (1), (2), (3), (4))")
    (wrapped,) = connection.execute("SELECT wrapped FROM guest_key LIMIT 1").fetchone()
    connection.execute("DROP TABLE spilt")
    connection.close()
    assert path.read_bytes().count(wrapped) == 5


def test_whoever_was_forgotten_stays_forgotten(ship: Ship) -> None:
    ship(lambda tx: tx.put_profile(profile(BOB)), lambda tx: tx.destroy_key(BOB), lambda tx: tx.renew_key(ANNA))
    assert {number for ref, number in ship.wrapped() if ref == ANNA} == {2}  # her first key was forgotten
    ship.renew()
    assert {number for ref, number in ship.wrapped() if ref == ANNA} == {2, 3}
    assert ship(lambda tx: tx.has_key(BOB)) == [False]
    with guest_keys(ship.path, ship.load()) as keys:
        assert (keys.destroyed(BOB), keys.destroyed(ANNA)) == (255, 1)


def test_a_guest_erased_after_it_loses_every_key(ship: Ship) -> None:
    (sealed,) = ship(seals)
    ship.renew()
    ship(seals, lambda tx: tx.destroy_key(ANNA))
    assert not any(ref == ANNA for ref, _ in ship.wrapped())
    with pytest.raises(Erased):
        ship(opens(sealed))


def test_the_last_generation_there_can_be_stays_in_use(ship: Ship) -> None:
    with guest_keys(ship.path, ship.load()) as keys:
        keys.keep({(BOB, GENERATION_MAX): GuestKey.of(GENERATION_MAX, bytes(32))})
    ship.renew()
    (sealed,) = ship(lambda tx: tx.seal(BOB, "x", b"y"))
    assert isinstance(sealed, bytes)
    assert sealed[0] == GENERATION_MAX


def test_a_key_that_was_lost_with_a_copy_is_not_taken_for_the_next_one(ship: Ship) -> None:
    with guest_keys(ship.path, ship.load()) as keys:
        keys.note_lost({ANNA: 4})
        keys.rewrap(DataKey(bytes(32)))
    assert {number for ref, number in ship.wrapped() if ref == ANNA} == {1, 5}


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_rows_are_read_in_pages_and_none_is_missed(ship: Ship, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guestkeys, "ROWS_AT_ONCE", at_once)
    for round_ in range(2):
        ship(lambda tx: [tx.seal(GuestRef(f"g{n}"), "x", b"y") for n in range(5)])
        count = len({ref for ref, _ in ship.wrapped() if ref})
        assert ship.renew() == count
        numbers = {number for ref, number in ship.wrapped() if ref.startswith("g")}
        assert numbers == set(range(1, round_ + 3))


def test_an_empty_ship_can_renew_its_key(tmp_path: Path) -> None:
    ship = Ship(tmp_path / "steward.db", tmp_path / "key")
    datakey.create(ship.file, SECRET, OsEntropy())
    assert ship.renew() == 0
    assert ship(lambda tx: tx.seal(ANNA, "x", b"y")) != [b""]


def test_older_backups_are_restored_after_it(ship: Ship, tmp_path: Path) -> None:
    (sealed,) = ship(seals)
    backup(ship.path, tmp_path / "copy.db")
    ship.renew()
    restore(tmp_path / "copy.db", ship.path, ship.load(), at_s=10**9)
    assert ship(reads, opens(sealed)) == [ALL_THERE, NOTE]


def test_a_copy_of_the_keys_from_before_is_refused_and_a_new_one_is_not(ship: Ship, tmp_path: Path) -> None:
    backup_keys(ship.path, ship.load(), tmp_path / "old")
    ship.renew()
    backup_keys(ship.path, ship.load(), tmp_path / "new")
    keys_path(ship.path).unlink()
    restore_keys(tmp_path / "old", ship.path)
    with pytest.raises(StoreUnavailable, match="does not open with this data key"):
        ship(reads)
    keys_path(ship.path).unlink()
    restore_keys(tmp_path / "new", ship.path)
    assert ship(reads) == [ALL_THERE]


def test_through_a_link_the_file_itself_is_renewed(ship: Ship, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(ship.file)
    assert Ship(ship.path, link).renew() > 0
    assert link.is_symlink()
    assert ship(reads) == [ALL_THERE]


# what goes wrong


def test_a_damaged_key_stops_it_before_anything_is_changed(ship: Ship) -> None:
    connection = sqlite3.connect(keys_path(ship.path), isolation_level=None)
    connection.execute("INSERT INTO guest_key VALUES ('zz', 1, zeroblob(60))")
    connection.close()
    before, print_ = ship.wrapped(), ship.load().fingerprint
    with pytest.raises(StoreUnavailable, match="the key of zz is damaged"):
        ship.renew()
    assert (ship.wrapped(), ship.load().fingerprint) == (before, print_)
    assert not next_path(ship.file).exists()
    assert ship(reads) == [ALL_THERE]


def test_a_full_disk_leaves_the_old_key(ship: Ship) -> None:
    with sqlite3.connect(keys_path(ship.path)) as connection:
        connection.execute("CREATE TRIGGER full BEFORE UPDATE ON vault BEGIN SELECT RAISE(ABORT, 'full'); END")
    connection.close()
    before = ship.wrapped()
    with pytest.raises(StewardError, match="full"):
        ship.renew()
    assert ship.wrapped() == before
    assert ship(reads) == [ALL_THERE]
    assert not next_path(ship.file).exists()


def test_a_folder_that_takes_no_file_leaves_the_old_key(ship: Ship) -> None:
    next_path(ship.file).mkdir()
    before = ship.wrapped()
    with pytest.raises(KeyFileError, match="never overwritten"), guest_keys(ship.path, ship_key(ship)) as keys:
        renew(keys, ship.file, SECRET, OsEntropy())
    assert ship.wrapped() == before


def ship_key(ship: Ship) -> DataKey:
    return datakey.load(ship.file, SECRET)


def test_while_somebody_reads_the_keys_it_says_so_and_is_finished_at_the_next_start(ship: Ship) -> None:
    before = ship_key(ship).fingerprint
    reader = sqlite3.connect(keys_path(ship.path), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM guest_key").fetchone()
    with pytest.raises(StoreUnavailable, match=r"still holds what the old one wrapped.*another program reads it"):
        ship.renew()
    assert next_path(ship.file).exists()
    assert ship_key(ship).fingerprint == before
    reader.close()
    assert ship(reads) == [ALL_THERE]
    assert ship_key(ship).fingerprint != before
    assert not next_path(ship.file).exists()


def test_two_at_once_are_refused_by_the_lock_and_a_start_meanwhile_as_well(ship: Ship) -> None:
    lock = DatabaseLock(ship.path)
    try:
        with pytest.raises(StoreUnavailable, match="is in use by process"):
            ship.renew()
        datakey.create_after(ship_key(ship), next_path(ship.file), SECRET, OsEntropy())
        with pytest.raises(StoreUnavailable, match="is in use by process"):
            ship.load()
        assert next_path(ship.file).exists()
    finally:
        lock.release()


def test_a_new_key_that_nothing_was_wrapped_by_goes(ship: Ship) -> None:
    before = ship_key(ship).fingerprint
    datakey.create_after(ship_key(ship), next_path(ship.file), SECRET, OsEntropy())
    assert ship(reads) == [ALL_THERE]
    assert ship_key(ship).fingerprint == before
    assert not next_path(ship.file).exists()


def test_a_new_key_is_taken_even_if_the_old_ones_file_is_gone_or_damaged(ship: Ship) -> None:
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"zeros")):
        with guest_keys(ship.path, ship_key(ship)) as keys:
            new = datakey.create_after(keys.data_key, next_path(ship.file), SECRET, OsEntropy())
            keys.rewrap(new)
        spoil(ship.file)
        assert ship(reads) == [ALL_THERE]
        assert ship_key(ship).fingerprint == new.fingerprint


def test_without_the_keys_nothing_is_decided_until_their_copy_is_put_back(ship: Ship, tmp_path: Path) -> None:
    with guest_keys(ship.path, ship_key(ship)) as keys:
        keys.rewrap(datakey.create_after(keys.data_key, next_path(ship.file), SECRET, OsEntropy()))
    keys_path(ship.path).rename(tmp_path / "moved")
    with pytest.raises(StoreUnavailable, match=r"guest-keys\.db is missing"):
        ship(reads)
    assert next_path(ship.file).exists()
    (tmp_path / "moved").rename(keys_path(ship.path))
    assert ship(reads) == [ALL_THERE]


def test_if_neither_opens_the_keys_both_files_stay(ship: Ship) -> None:
    for path in (ship.file, next_path(ship.file)):
        path.unlink(missing_ok=True)
        datakey.create(path, SECRET, OsEntropy())
    with pytest.raises(StoreUnavailable, match="does not open with this data key"):
        ship(reads)
    assert ship.file.exists()
    assert next_path(ship.file).exists()


def test_what_outlasts_a_key_is_not_shown_or_pickled(ship: Ship) -> None:
    lasting = ship.load().lasting
    assert lasting.index.hex() not in repr(lasting)
    with pytest.raises(TypeError):
        pickle.dumps(lasting)
