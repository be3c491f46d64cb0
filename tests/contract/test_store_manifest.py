"""What the import keeps, on both stores: who a row became, and photos that wait for their guest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.manifestkit import jpeg, png

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.ids import GuestRef
from steward.domain.manifest import Imported
from steward.domain.photos import clean_photo
from steward.domain.profiles import PHOTO_BYTES_MAX, Photo
from steward.errors import NotFound
from steward.ports import Store, Tx

NOBODY, MIA, BO = GuestRef(""), GuestRef("a" * 16), GuestRef("b" * 16)
ONE, TWO = Photo(NOBODY, clean_photo(jpeg())), Photo(NOBODY, clean_photo(png()))


def record(guest: str = "1", **changes: object) -> Imported:
    return replace(Imported("R-1", guest, MIA, b"s" * 32, b"p" * 32, ONE.sha256), **changes)  # type: ignore[arg-type]


async def test_a_booking_remembers_its_guests_by_key(store: Store) -> None:
    other = record(booking="R-2", ref=BO)
    await store.write(lambda tx: [tx.put_imported(r) for r in (record("2"), record("10"), record("1"), other)])
    found = await store.read(lambda tx: tx.imported("R-1"))
    assert found == [record("1"), record("10"), record("2")]
    changed = record("2", stay=b"t" * 32, photo="")
    await store.write(lambda tx: tx.put_imported(changed))
    assert await store.read(lambda tx: tx.imported("R-1")) == [record("1"), record("10"), changed]
    assert await store.read(lambda tx: tx.imported("R-2")) == [other]
    assert await store.read(lambda tx: tx.imported("R-3")) == []


async def test_a_staged_photo_becomes_a_guests(store: Store) -> None:
    await store.write(lambda tx: tx.stage_photo(ONE, 100))
    assert await store.read(lambda tx: (tx.is_staged(ONE.sha256), tx.is_staged(TWO.sha256))) == (True, False)
    assert await store.read(lambda tx: tx.staged_count()) == 1
    await store.write(lambda tx: tx.use_photo(MIA, ONE.sha256))
    assert await store.read(lambda tx: tx.photo_hash(MIA)) == ONE.sha256
    assert await store.read(lambda tx: tx.staged_count()) == 0
    await store.write(lambda tx: tx.use_photo(BO, ONE.sha256))  # twins share a picture
    assert await store.read(lambda tx: tx.photo_hash(BO)) == ONE.sha256
    assert await store.write(lambda tx: tx.sweep_photos(10**9, 10)) == 0
    await store.write(lambda tx: tx.drop_profile(MIA))
    assert await store.read(lambda tx: (tx.photo_hash(MIA), tx.photo_hash(BO))) == (None, ONE.sha256)
    assert await store.read(lambda tx: tx.is_staged(ONE.sha256))
    await store.write(lambda tx: tx.drop_profile(BO))
    assert not await store.read(lambda tx: tx.is_staged(ONE.sha256))


async def test_a_photo_that_is_replaced_is_not_kept(store: Store) -> None:
    await store.write(lambda tx: tx.put_photo(Photo(MIA, ONE.content)))
    await store.write(lambda tx: tx.stage_photo(TWO, 100))
    await store.write(lambda tx: tx.use_photo(MIA, TWO.sha256))
    assert not await store.read(lambda tx: tx.is_staged(ONE.sha256))
    await store.write(lambda tx: tx.put_photo(Photo(MIA, ONE.content)))
    assert await store.read(lambda tx: (tx.is_staged(ONE.sha256), tx.is_staged(TWO.sha256))) == (True, False)


async def test_staging_again_only_keeps_it_longer(store: Store) -> None:
    for at_s in (100, 300, 200):
        await store.write(lambda tx, at_s=at_s: tx.stage_photo(ONE, at_s))
    assert await store.read(lambda tx: tx.staged_count()) == 1
    assert await store.write(lambda tx: tx.sweep_photos(300, 10)) == 0
    assert await store.write(lambda tx: tx.sweep_photos(301, 10)) == 1
    assert not await store.read(lambda tx: tx.is_staged(ONE.sha256))


async def test_a_photo_that_a_guest_has_is_not_staged_again(store: Store) -> None:
    await store.write(lambda tx: tx.put_photo(Photo(MIA, ONE.content)))
    await store.write(lambda tx: tx.stage_photo(ONE, 100))
    assert await store.read(lambda tx: tx.staged_count()) == 0
    assert await store.write(lambda tx: tx.sweep_photos(10**9, 10)) == 0
    assert await store.read(lambda tx: tx.photo_hash(MIA)) == ONE.sha256


async def test_the_sweep_takes_the_oldest_and_not_more_than_asked(store: Store) -> None:
    photos = [Photo(NOBODY, clean_photo(jpeg(width=100 + n))) for n in range(5)]
    for n, photo in enumerate(photos):
        await store.write(lambda tx, n=n, photo=photo: tx.stage_photo(photo, 100 - n))
    assert await store.write(lambda tx: tx.sweep_photos(10**9, 3)) == 3
    left = await store.read(lambda tx: [tx.is_staged(photo.sha256) for photo in photos])
    assert left == [True, True, False, False, False]


async def test_what_is_not_there_cannot_be_used(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.write(lambda tx: tx.use_photo(MIA, ONE.sha256))
    assert await store.read(lambda tx: tx.photo_hash(MIA)) is None


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff" + bytes(PHOTO_BYTES_MAX)])
async def test_what_is_no_photo_is_not_staged(store: Store, content: bytes) -> None:
    with pytest.raises(ValueError, match="photo"):
        await store.write(lambda tx: tx.stage_photo(Photo(NOBODY, content), 1))
    assert await store.read(lambda tx: tx.staged_count()) == 0


async def test_a_transaction_that_fails_keeps_nothing(store: Store) -> None:
    await store.write(lambda tx: tx.stage_photo(TWO, 1))

    def work(tx: Tx) -> None:
        tx.put_imported(record())
        tx.stage_photo(ONE, 1)
        tx.use_photo(MIA, TWO.sha256)
        raise NotFound("thing", "x")

    with pytest.raises(NotFound):
        await store.write(work)
    assert await store.read(lambda tx: (tx.imported("R-1"), tx.staged_count(), tx.photo_hash(MIA))) == ([], 1, None)


async def test_no_picture_is_left_without_an_owner(sqlite_store: SqliteStore) -> None:
    """Whatever happens to guests and staged photos, a picture is one of them or gone."""

    def orphans(tx: Tx) -> int:
        owned = "SELECT mark FROM photo UNION SELECT mark FROM staged_picture"
        rows = tx._all(f"SELECT count(*) FROM picture WHERE mark NOT IN ({owned})")  # type: ignore[attr-defined]
        return int(rows[0][0])

    steps = (
        lambda tx: tx.stage_photo(ONE, 1),
        lambda tx: tx.put_photo(Photo(MIA, ONE.content)),
        lambda tx: tx.use_photo(BO, ONE.sha256),
        lambda tx: tx.stage_photo(TWO, 2),
        lambda tx: tx.use_photo(MIA, TWO.sha256),
        lambda tx: tx.drop_profile(BO),
        lambda tx: tx.stage_photo(ONE, 3),
        lambda tx: tx.put_photo(Photo(MIA, ONE.content)),
        lambda tx: tx.sweep_photos(100, 10),
        lambda tx: tx.drop_profile(MIA),
    )
    for step in steps:
        await sqlite_store.write(step)
        assert await sqlite_store.read(orphans) == 0
    assert await sqlite_store.read(lambda tx: (tx.is_staged(ONE.sha256), tx.is_staged(TWO.sha256))) == (False, False)
