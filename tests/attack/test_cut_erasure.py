"""An erasure that the power cut short, and files of keys from another day: what the next start finds and finishes."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.lives import with_store
from tests.contract.makers import ANNA, AT_S, BOB, guest
from tests.contract.serviceparts import HOST, look, profile
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite import guestkeys
from steward.adapters.sqlite import store as store_module
from steward.adapters.sqlite.guestkeys import keys_path
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.events import EventType, fact, is_erased
from steward.domain.ids import GuestRef
from steward.domain.viewing import Field
from steward.errors import StoreUnavailable
from steward.ports import Tx


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for ref in (ANNA, BOB):
        with_store(folder / "steward.db", lambda tx, ref=ref: tx.put_profile(profile(ref)))  # type: ignore[misc]
    return folder / "steward.db"


def wrapped(path: Path, ref: str) -> list[bytes]:
    connection = sqlite3.connect(keys_path(path))
    found = [row[0] for row in connection.execute("SELECT wrapped FROM guest_key WHERE ref = ?", (ref,))]
    connection.close()
    return found


def raw_keys(path: Path) -> bytes:
    return b"".join(one.read_bytes() for one in path.parent.glob("steward.guest-keys.db*"))


def cut_after_forgetting(path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> None:
    """Destroy Anna's key, and keep the files as a cut at this place leaves them."""

    def cut(*_args: object) -> None:
        shutil.copytree(path.parent, kept)
        raise OSError("cut") if name == "drop_open_copies" else sqlite3.OperationalError("cut")

    async def erase() -> None:
        store = SqliteStore.open(path, DATA_KEY)
        monkeypatch.setattr(where, name, cut)
        try:
            with pytest.raises(StoreUnavailable):
                await store.write(lambda tx: tx.destroy_key(ANNA))
        finally:
            monkeypatch.undo()
            await store.close()

    asyncio.run(erase())


def cut_with_a_full_log(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, Path]:
    """The wrapped key that was destroyed, and the database as the power left it before the log was emptied."""
    (key,) = wrapped(path, ANNA)
    kept = tmp_path / "kept"
    cut_after_forgetting(path, kept, monkeypatch, guestkeys.GuestKeys, "_empty_log")
    return key, kept / path.name


def test_a_cut_before_the_log_of_keys_was_emptied_leaves_the_key_nowhere_after_the_next_start(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, cut = cut_with_a_full_log(path, tmp_path, monkeypatch)
    assert key[12:40] in raw_keys(cut)

    async def running() -> bool:
        store = SqliteStore.open(cut, DATA_KEY)
        try:
            return key[12:40] in raw_keys(cut)
        finally:
            await store.close()

    assert asyncio.run(running()) is False


def test_a_log_of_keys_that_somebody_reads_at_the_start_is_emptied_with_the_next_commit(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, cut = cut_with_a_full_log(path, tmp_path, monkeypatch)

    async def running() -> list[bool]:
        def held(self: object) -> None:
            raise sqlite3.OperationalError("held")

        monkeypatch.setattr(guestkeys.GuestKeys, "_empty_log", held)
        store = SqliteStore.open(cut, DATA_KEY)
        monkeypatch.undo()
        try:
            before = key[12:40] in raw_keys(cut)
            await store.write(lambda tx: tx.set_meta("anything", "else"))
            return [before, key[12:40] in raw_keys(cut)]
        finally:
            await store.close()

    assert asyncio.run(running()) == [True, False]


def test_a_cut_before_copies_in_clear_were_deleted_is_made_good_at_the_next_start(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = path.with_name(f"{path.name}.before-v12")
    old.write_bytes(b"names in clear")
    kept = tmp_path / "kept"
    cut_after_forgetting(path, kept, monkeypatch, store_module, "drop_open_copies")
    assert (kept / old.name).exists()
    with_store(kept / path.name)
    assert not (kept / old.name).exists()


def test_a_copy_in_clear_stays_until_somebody_is_erased(path: Path) -> None:
    old = path.with_name(f"{path.name}.before-v12")
    old.write_bytes(b"names in clear")
    with_store(path)
    assert old.exists()
    with_store(path, lambda tx: tx.destroy_key(ANNA))
    assert not old.exists()


# a file of keys from another day


def test_guests_whose_key_is_in_no_copy_go_on_and_what_was_sealed_with_it_is_read_as_gone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A copy of the keys that is older than the database: those guests' rows open for nobody, and are no damage."""
    old = path.parent / "old-keys"
    shutil.copy(keys_path(path), old)
    late = GuestRef("00000000000000dd")
    with_store(
        path,
        lambda tx: tx.put_guest(guest(late)),
        lambda tx: tx.put_profile(profile(late)),
        lambda tx: tx.append_event(fact(EventType.PROFILE_SET, AT_S, guest=late, fields="language")),
    )
    shutil.copy(old, keys_path(path))

    def name(tx: Tx) -> str | None:
        return tx.disclose(look({Field.FULL_NAME}, late, HOST)).full_name

    def told(tx: Tx) -> list[bool]:
        return [is_erased(event) for event in tx.events(0, 99) if event.type is EventType.PROFILE_SET]

    def tell(tx: Tx) -> None:
        tx.append_event(fact(EventType.PROFILE_SET, AT_S, guest=late, fields="language"))

    assert with_store(path, name, tell, name, told) == [None, None, None, [True, False]]
    named = with_store(path, lambda tx: tx.put_profile(profile(late)), name, told)
    assert named == [None, profile(late).full_name, [True, False]]
    assert with_store(path, lambda tx: tx.renew_key(late), tell, told)[2] == [True, True, False]
    record, *_ = [record for record in caplog.records if "keys_missing" in record.message]
    assert record.args is not None
    assert record.args[0] == 1


@pytest.mark.parametrize("booking", ["", "B-1234"])
def test_a_guest_of_whom_nothing_is_sealed_misses_no_key(
    path: Path, caplog: pytest.LogCaptureFixture, booking: str
) -> None:
    late = GuestRef("00000000000000dd")
    old = path.parent / "old-keys"
    shutil.copy(keys_path(path), old)
    with_store(path, lambda tx: tx.put_guest(replace(guest(late), booking=booking)))
    shutil.copy(old, keys_path(path))
    assert with_store(path, lambda tx: [one.booking for one in tx.guests() if one.ref == late]) == [[""]]
    assert any("keys_missing" in record.message for record in caplog.records) == bool(booking)


def test_a_damaged_row_of_a_guest_without_a_key_does_not_stop_the_start(path: Path) -> None:
    late = GuestRef("00000000000000dd")
    old = path.parent / "old-keys"
    shutil.copy(keys_path(path), old)
    with_store(path, lambda tx: tx.put_guest(guest(late)))
    shutil.copy(old, keys_path(path))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE guest SET booking = '*' WHERE ref = ?", (late,))
    assert with_store(path, lambda tx: tx.has_profile(ANNA)) == [True]
