"""Copies of the database of before an erasure: put back, they show nothing of that guest, by whatever reading."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from tests.contract import makers
from tests.contract.serviceparts import HOST, JPEG, MEDIC, case, look, note, offer, profile
from tests.vaultkit import DATA_KEY, lend_keys

from steward.adapters.sqlite.backup import backup, restore
from steward.adapters.sqlite.guestkeys import keys_path
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.tx import SqliteTx
from steward.adapters.sqlite.verify import verify_file
from steward.domain.care import CaseId, NoteId
from steward.domain.context import StayCompany
from steward.domain.events import EventType, fact, is_erased
from steward.domain.features import Company
from steward.domain.ids import GuestRef
from steward.domain.manifest import Imported
from steward.domain.offers import OfferId
from steward.domain.profiles import Photo
from steward.domain.viewing import Field, Way
from steward.errors import Erased, StoreUnavailable
from steward.ports import Tx

T = TypeVar("T")
GONE, STAYS = makers.ANNA, makers.BOB
AT_S = makers.AT_S
WORDS = ("Ingeborg", "Gulbrandsen", "ingeborg", "B-1234", "massage oil", "wheelchair", "cold soup", "shellfish")
SECRETS = [word.encode() for word in WORDS]
FACE = JPEG + b"a face that nobody else has" * 40
SEEN = {Field.FULL_NAME, Field.ALLERGIES, Field.PHOTO, Field.NOTES, Field.RECOVERY}
LOOK = look(SEEN, GONE, MEDIC, way=Way.BROKE_GLASS, reason="wheelchair stuck")


def live(path: Path, *works: Callable[[SqliteTx], T]) -> list[T]:
    """A life of a gateway on this database."""

    async def live_() -> list[T]:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            return [await store.write(work) for work in works]
        finally:
            await store.close()

    return asyncio.run(live_())


def fill(tx: Tx) -> None:
    for ref, number in ((GONE, 1), (STAYS, 2)):
        tx.put_guest(replace(makers.guest(ref), crew=False))
        tx.put_profile(profile(ref, preferred_name="Ingeborg", full_name=f"Ingeborg Gulbrandsen {number}"))
        tx.put_photo(Photo(ref, FACE if ref == GONE else JPEG))
        tx.put_note(note(NoteId(f"{number:016x}"), guest=ref, text="needs a wheelchair"))
        tx.open_case(case(CaseId(f"{number:016x}"), guest=ref, what="cold soup, shellfish in it"))
        tx.put_offer(offer(OfferId(f"{number:032x}"), guest=ref))
        tx.put_company(StayCompany(ref, Company.FAMILY))
        tx.append_event(fact(EventType.PROFILE_SET, AT_S, guest=ref, fields="shellfish"))
        tx.put_imported(Imported("B-1234", str(number), ref, b"s" * 32, b"p" * 32, "ab" * 32))
    bought = makers.charge(1)
    tx.put_charge(replace(bought, request=replace(bought.request, description="massage oil")))
    tx.disclose(LOOK)


def erase(tx: Tx) -> None:
    tx.drop_profile(GONE)
    tx.redact_events(GONE)
    tx.destroy_key(GONE)


def bytes_of(folder: Path, but: str = "guest-keys") -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file() and but not in file.name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    database = folder / "steward.db"
    live(database, fill)
    return database


def test_none_of_it_was_ever_in_the_file(path: Path) -> None:
    raw = bytes_of(path.parent)
    assert [secret for secret in [*SECRETS, FACE, FACE[20:60]] if secret in raw] == []


def shown(tx: SqliteTx) -> list[object]:
    """All that can be asked of the store about who was erased."""
    found = tx.disclose(LOOK)
    return [
        *(found.full_name, found.preferred_name, found.allergies, found.diet, found.photo, found.language),
        *found.notes,
        *(text for one in found.cases for text in (one.what, one.outcome) if text),
        *(hit for hit in tx.search(HOST, "ingeborg", AT_S, 9) if hit.look.guest == GONE),
        tx.photo_hash(GONE),
        tx.company(GONE) and tx.company(GONE).company,  # type: ignore[union-attr]
        *(one.reasons for one in tx.offers_of(GONE, 0) if one.reasons),
        *(one.request.description for one in tx.charges_of(GONE) if one.request.description),
        *(one.reason for one in tx.look_ups_of(GONE, 99) if one.reason and one.at_s < AT_S),
        *(
            event
            for event in tx.events_in(1, 0, 99)
            if event.payload.get("guest") == GONE and event.at_s == AT_S and event.type is EventType.PROFILE_SET
        ),
        *(one.person for one in tx.imported("B-1234") if one.ref == GONE and one.person),
        *(one for one in tx.party("B-1234") if one.ref == GONE and one.booking),
    ]


def test_before_the_erasure_all_of_it_is_shown(path: Path) -> None:
    (found,) = live(path, shown)
    assert len([one for one in found if one]) > 12


@pytest.mark.parametrize("kind", ["backup", "files", "files with their log"])
def test_a_copy_put_back_shows_nothing(path: Path, tmp_path: Path, kind: str) -> None:
    copy = tmp_path / "copy.db"
    if kind == "backup":
        backup(path, copy)
    elif kind == "files":
        shutil.copy(path, copy)
    else:
        held = sqlite3.connect(path)  # so that closing leaves the log where it is
        held.execute("SELECT count(*) FROM event").fetchone()
        live(path, lambda tx: tx.put_note(note(NoteId("9" * 16), guest=GONE, text="needs a wheelchair")))
        shutil.copy(path, copy)
        shutil.copy(path.with_name("steward.db-wal"), tmp_path / "copy.db-wal")
        held.close()
    live(path, erase)
    if kind == "backup":
        restore(copy, path, DATA_KEY, at_s=AT_S)
        for left in path.parent.glob("*.replaced-*"):
            left.unlink()
    else:
        shutil.copy(copy, path)
        log = tmp_path / "copy.db-wal"
        if log.exists():
            shutil.copy(log, path.with_name("steward.db-wal"))
    (found,) = live(path, shown)
    assert [one for one in found if one] == []
    (events, gone) = live(path, lambda tx: tx.events_in(1, 0, 2), lambda tx: tx.guest(GONE))  # type: ignore[list-item]
    assert is_erased(events[0])  # type: ignore[index]
    assert gone is None
    assert _rows_naming(path, GONE) == 0
    (other,) = live(path, lambda tx: tx.search(HOST, "ingeborg", AT_S, 9))
    assert [hit.full_name for hit in other] == ["Ingeborg Gulbrandsen 2"]
    assert [secret for secret in [*SECRETS, FACE] if secret in bytes_of(path.parent, but="none")] == []
    verify_file(path)
    with pytest.raises(Erased):
        live(path, lambda tx: tx.put_profile(profile(GONE)))


def test_with_all_keys_that_are_left_the_copy_stays_shut(path: Path, tmp_path: Path) -> None:
    """Not asked through the program: whoever has the copy, the keys and the data key tries each on each cell."""
    copy = tmp_path / "copy.db"
    backup(path, copy)
    live(path, erase)
    lend_keys(path, copy)
    keys = sqlite3.connect(keys_path(copy))
    left = {ref for (ref,) in keys.execute("SELECT ref FROM guest_key")}
    keys.close()
    assert GONE not in left
    assert STAYS in left
    connection = sqlite3.connect(copy)
    ((sealed,),) = connection.execute("SELECT names FROM profile WHERE ref = ?", (GONE,)).fetchall()
    connection.close()

    def opens(tx: SqliteTx) -> list[GuestRef]:
        found = []
        for ref in left:
            try:
                tx.unseal(GuestRef(ref), "names", sealed)
                found.append(GuestRef(ref))
            except (Erased, StoreUnavailable):
                continue
        return found

    assert live(path, opens) == [[]]


def test_the_destroyed_key_is_in_no_byte_of_the_file_of_keys(path: Path) -> None:
    file = keys_path(path)
    connection = sqlite3.connect(file)
    ((wrapped,),) = connection.execute("SELECT wrapped FROM guest_key WHERE ref = ?", (GONE,)).fetchall()
    connection.close()
    assert wrapped in file.read_bytes()
    live(path, erase)
    raw = b"".join(one.read_bytes() for one in path.parent.glob("steward.guest-keys.db*"))
    assert wrapped not in raw
    assert wrapped[12:40] not in raw


def test_an_old_file_of_keys_put_back_is_told_what_was_destroyed(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old-keys"
    shutil.copy(keys_path(path), old)
    live(path, erase)
    shutil.copy(old, keys_path(path))
    assert live(path, lambda tx: tx.has_key(GONE)) == [False]
    connection = sqlite3.connect(keys_path(path))
    assert connection.execute("SELECT count(*) FROM guest_key WHERE ref = ?", (GONE,)).fetchone() == (0,)
    connection.close()


def test_cells_swapped_between_guests_and_columns_do_not_open(path: Path) -> None:
    swaps = [
        "UPDATE profile SET names = (SELECT names FROM profile WHERE ref = '{other}') WHERE ref = '{mine}'",
        "UPDATE profile SET names = health WHERE ref = '{mine}'",
        "UPDATE note SET text = (SELECT names FROM profile WHERE ref = '{mine}') WHERE guest = '{mine}'",
        "UPDATE photo SET key = hash WHERE ref = '{mine}'",
    ]
    for swap in swaps:
        kept = path.read_bytes()
        connection = sqlite3.connect(path)
        connection.execute(swap.format(mine=GONE, other=STAYS))
        connection.commit()
        connection.close()
        with pytest.raises(StoreUnavailable, match="sealed as something else"):
            live(path, lambda tx: tx.disclose(LOOK))
        path.write_bytes(kept)
    live(path, lambda tx: tx.disclose(LOOK))


def test_a_name_that_was_searched_for_before_is_not_found_once_its_key_is_destroyed(path: Path) -> None:
    """In the very transaction, when the row and the name remembered from the first search are still there."""

    def both(tx: SqliteTx) -> list[int]:
        before = len(tx.search(HOST, "ingeborg", AT_S, 9))
        tx.destroy_key(GONE)
        return [before, len(tx.search(HOST, "ingeborg", AT_S, 9))]

    assert live(path, both) == [[2, 1]]


def test_the_destroyed_key_is_gone_from_the_log_while_the_gateway_runs(path: Path) -> None:
    async def erased_at_once() -> list[bytes]:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            await store.write(lambda tx: tx.seal(GuestRef("new"), "x", b"y"))
            wrapped = _wrapped(path, "new")
            await store.write(lambda tx: tx.destroy_key(GuestRef("new")))
            raw = b"".join(one.read_bytes() for one in path.parent.glob("steward.guest-keys.db*"))
            return [key for key in wrapped if key[12:40] in raw]
        finally:
            await store.close()

    assert asyncio.run(erased_at_once()) == []


def _rows_naming(path: Path, ref: str) -> int:
    """Events and looks that still say whose they are: the start itself swept them, before anybody was served."""
    connection = sqlite3.connect(path)
    try:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table} WHERE guest = ? AND at_s <= ?", (ref, AT_S)).fetchone()[0]
            for table in ("event", "note", "offer")
        ]
    finally:
        connection.close()
    return sum(counts)


def _wrapped(path: Path, ref: str) -> list[bytes]:
    connection = sqlite3.connect(keys_path(path))
    try:
        found = [row[0] for row in connection.execute("SELECT wrapped FROM guest_key WHERE ref = ?", (ref,))]
    finally:
        connection.close()
    assert found
    return found
