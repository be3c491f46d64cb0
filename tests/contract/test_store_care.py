"""Profiles, photos, notes and cases in both stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.consentkit import agree
from tests.contract.makers import ANNA, AT_S, BAR, BOB
from tests.contract.serviceparts import (
    CASE,
    HOST,
    JPEG,
    MEDIC,
    NOTE,
    PNG,
    SHOP,
    WAITER,
    case,
    look,
    note,
    profile,
)

from steward.domain.care import CaseId, NoteId
from steward.domain.consent import ConsentPurpose
from steward.domain.profiles import Allergen, Diet, Photo, Profile
from steward.domain.viewing import Field, Purpose, Viewer, Way
from steward.errors import Conflict
from steward.ports import Store, Tx


@pytest.mark.parametrize(
    "bad",
    [
        profile(preferred_name=""),
        profile(preferred_name=" Anna"),
        profile(full_name="Anna\nBob"),
        profile(full_name="A" * 81),
        profile(language="english"),
        profile(language="EN"),
        profile(allergies=(Allergen.MILK, Allergen.EGGS)),
        profile(diet=(Diet.VEGAN, Diet.VEGAN)),
    ],
)
async def test_a_profile_that_cannot_be_is_refused_without_being_repeated(store: Store, bad: Profile) -> None:
    with pytest.raises(ValueError) as caught:
        await store.write(lambda tx: tx.put_profile(bad))
    assert "Anna" not in str(caught.value)
    assert not await store.read(lambda tx: tx.has_profile(ANNA))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<svg/>", JPEG + bytes(200_000)])
async def test_a_photo_is_a_small_jpeg_or_png(store: Store, content: bytes) -> None:
    with pytest.raises(ValueError):
        await store.write(lambda tx: tx.put_photo(Photo(ANNA, content)))
    await store.write(lambda tx: tx.put_photo(Photo(ANNA, JPEG + bytes(200_000 - len(JPEG)))))
    assert await store.read(lambda tx: tx.photo_hash(ANNA)) == Photo(ANNA, JPEG + bytes(200_000 - len(JPEG))).sha256


async def test_a_profile_is_replaced_and_removed(store: Store) -> None:
    def work(tx: Tx) -> tuple[str | None, str | None]:
        tx.put_profile(profile())
        tx.put_profile(profile(preferred_name="Ann"))
        tx.put_photo(Photo(ANNA, JPEG))
        tx.put_photo(Photo(ANNA, PNG))
        return tx.disclose(look({Field.PREFERRED_NAME})).preferred_name, tx.photo_hash(ANNA)

    assert await store.write(work) == ("Ann", Photo(ANNA, PNG).sha256)
    await store.write(lambda tx: tx.drop_profile(ANNA))
    assert await store.read(lambda tx: (tx.has_profile(ANNA), tx.photo_hash(ANNA))) == (False, None)


# notes and cases


async def test_notes_are_shown_for_their_purpose_until_they_expire(store: Store) -> None:
    late = note(NoteId("02"), at_s=AT_S - 1, text="later id, earlier time")
    others = (note(NoteId("03"), purpose=Purpose.EXCURSIONS), note(NoteId("04"), guest=BOB))

    def fill(tx: Tx) -> None:
        for each in (note(), late, *others):
            tx.put_note(each)
        agree(tx, ANNA, ConsentPurpose.PERSONAL_SERVICE)

    await store.write(fill)

    def seen(at_s: int, viewer: Viewer = WAITER, **more: Any) -> Callable[[Tx], list[str]]:
        return lambda tx: [n.id for n in tx.disclose(look({Field.NOTES}, viewer=viewer, at_s=at_s, **more)).notes]

    assert await store.write(seen(AT_S)) == [late.id, NOTE]
    assert await store.write(seen(AT_S + 99)) == [late.id, NOTE]
    assert await store.write(seen(AT_S + 100)) == []
    assert await store.write(seen(AT_S, HOST)) == []
    emergency = seen(AT_S, MEDIC, way=Way.BROKE_GLASS, reason="drill")
    assert await store.write(emergency) == [late.id, NoteId("03"), NOTE]
    assert await store.read(lambda tx: tx.note_count(ANNA)) == 3
    assert await store.read(lambda tx: tx.note_place(NOTE)) == note(text="")
    assert await store.write(lambda tx: tx.sweep_notes(AT_S + 99)) == 0
    assert await store.write(lambda tx: tx.sweep_notes(AT_S + 100)) == 4
    assert await store.read(lambda tx: tx.note_place(NOTE)) is None


async def test_a_case_is_open_until_it_is_closed_once(store: Store) -> None:
    other = case(CaseId("01"), outlet=SHOP, opened_s=AT_S - 5, guest=BOB)

    def fill(tx: Tx) -> None:
        tx.open_case(case())
        tx.open_case(other)

    await store.write(fill)
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.open_case(case(what="again")))
    hidden = [replace(other, what=""), replace(case(), what="")]
    assert await store.read(lambda tx: list(tx.open_cases(None))) == hidden
    assert await store.read(lambda tx: list(tx.open_cases(BAR))) == hidden[1:]
    assert await store.read(lambda tx: (tx.open_case_count(ANNA), tx.open_case_count(BOB))) == (1, 1)
    await store.write(lambda tx: tx.close_case(CASE, "c2", AT_S + 60, "new soup"))
    await store.write(lambda tx: tx.close_case(CASE, "c3", AT_S + 90, "rewritten"))
    closed = case(closed_by="c2", closed_s=AT_S + 60, what="")
    assert await store.read(lambda tx: tx.case_place(CASE)) == closed
    assert await store.read(lambda tx: tx.open_case_count(ANNA)) == 0
    assert (await store.write(lambda tx: tx.disclose(look({Field.RECOVERY}, viewer=WAITER)))).cases == ()


@pytest.mark.parametrize("text", ["", " ", "two\nlines", "x" * 281])
async def test_what_is_no_text_is_not_kept(store: Store, text: str) -> None:
    for write in (lambda tx: tx.put_note(note(text=text)), lambda tx: tx.open_case(case(what=text))):
        with pytest.raises(ValueError):
            await store.write(write)
