"""Looks and searches in both stores: they show what was asked and no more, and are logged as they are read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.contract.makers import ANNA, AT_S, BOB, guest
from tests.contract.serviceparts import (
    HOST,
    MEDIC,
    PNG,
    WAITER,
    case,
    look,
    note,
    profile,
)

from steward.domain.events import EventType
from steward.domain.guests import CabinStay
from steward.domain.ids import GuestRef
from steward.domain.outlets import OutletKind
from steward.domain.profiles import Allergen, Diet, Photo
from steward.domain.viewing import Field, LookUp, Purpose, Way, allowed
from steward.errors import Refused
from steward.ports import Store, Tx


async def test_a_look_shows_its_fields_and_no_other(store: Store) -> None:
    def fill(tx: Tx) -> None:
        tx.put_profile(profile())
        tx.put_photo(Photo(ANNA, PNG))
        tx.put_note(note(purpose=Purpose.SAFETY))
        tx.open_case(case())

    await store.write(fill)
    whole = {
        Field.PREFERRED_NAME: "Anna",
        Field.FULL_NAME: "Anna Bjørnstad-Müller",
        Field.LANGUAGE: "pt-BR",
        Field.ALLERGIES: (Allergen.EGGS, Allergen.MILK),
        Field.DIET: (Diet.VEGAN,),
        Field.PHOTO: Photo(ANNA, PNG),
        Field.NOTES: (note(purpose=Purpose.SAFETY),),
        Field.RECOVERY: (case(),),
    }
    at = {field: str(field) for field in whole} | {Field.RECOVERY: "cases"}
    blank = {Field.NOTES: (), Field.RECOVERY: ()}
    for field, value in whole.items():
        glass = {"way": Way.BROKE_GLASS, "reason": "drill"} if field in blank else {}
        shown = await store.write(lambda tx, f=field, g=glass: tx.disclose(look({f}, **g)))  # type: ignore[misc]
        for other, name in at.items():
            assert getattr(shown, name) == (value if other is field else blank.get(other)), (field, name)
        assert shown.look.fields == {field}


async def test_a_look_and_its_event_are_in_the_log(store: Store) -> None:
    asked = look({Field.LANGUAGE, Field.ALLERGIES}, way=Way.TAPPED)
    shown = await store.write(lambda tx: tx.disclose(asked))
    logged = replace(asked, seq=1)
    assert shown.look == logged
    assert (shown.language, shown.allergies, shown.notes) == (None, None, ())  # nobody has written a profile
    assert await store.read(lambda tx: tx.look_ups(0, 9)) == [logged]
    (event,) = await store.read(lambda tx: tx.events(0, 9))
    assert (event.type, event.at_s) == (EventType.LOOKED_UP, AT_S)
    assert dict(event.payload) == {
        "look": 1,
        "actor": "c9",
        "role": "safety",
        "outlet": "shop",
        "purpose": "safety",
        "guest": ANNA,
        "fields": "allergies language",
        "way": "tapped",
        "kind": asked.outlet_kind.value,
        "leaf": (await store.read(lambda tx: tx.look_rows(0, 1)))[0].leaf,
    }


async def test_a_broken_glass_keeps_its_reason_in_the_log_and_out_of_the_event(store: Store) -> None:
    asked = look({Field.NOTES}, way=Way.BROKE_GLASS, reason="guest overboard, deck 5")
    await store.write(lambda tx: tx.log_look_up(asked))
    assert await store.read(lambda tx: tx.look_ups(0, 9)) == [replace(asked, seq=1)]
    (event,) = await store.read(lambda tx: tx.events(0, 9))
    assert event.payload["way"] == "broke_glass"
    assert "overboard" not in repr(event)


@pytest.mark.parametrize(
    "bad",
    [
        look({Field.FOLIO}),
        look(set()),
        look({Field.PHOTO}, GuestRef("")),
        look({Field.NOTES}),
        look({Field.PHOTO}, viewer=replace(MEDIC, role="cook")),
        look({Field.ALLERGIES}, viewer=replace(WAITER, outlet_kind=OutletKind.RETAIL)),
    ],
)
async def test_a_look_that_the_policy_forbids_is_neither_made_nor_logged(store: Store, bad: LookUp) -> None:
    await store.write(lambda tx: tx.put_profile(profile()))
    for way in (lambda tx: tx.disclose(bad), lambda tx: tx.log_look_up(bad)):
        with pytest.raises(ValueError):
            await store.write(way)
    assert await store.read(lambda tx: tx.look_ups(0, 9)) == []


async def test_the_log_is_numbered_without_holes_and_read_in_pages(store: Store) -> None:
    for number in range(1, 6):
        ref = ANNA if number % 2 else BOB
        await store.write(lambda tx, r=ref, n=number: tx.log_look_up(look({Field.CABIN}, r, at_s=AT_S + n)))  # type: ignore[misc]
        with pytest.raises(Refused):
            await store.write(lambda tx: (tx.log_look_up(look({Field.CABIN})), _refuse()))
    page = await store.read(lambda tx: tx.look_ups(2, 2))
    assert [(one.seq, one.guest) for one in page] == [(3, ANNA), (4, BOB)]
    assert [one.seq for one in await store.read(lambda tx: tx.look_ups_of(ANNA, 2))] == [5, 3]
    assert await store.read(lambda tx: (tx.look_ups(0, 0), tx.look_ups(5, 9), tx.look_ups(0, -1))) == ([], [], [])


def _refuse() -> None:
    raise Refused("late")


# search


NAMES = {
    "a0": ("Åse", "Åse Ødegård-Lie", 8104),
    "a1": ("Anna", "Anna Bjørnstad", 8104),
    "a2": ("Annika", "Annika Şahin", 8106),
    "a3": ("Jo", "João d'Ávila 3rd", 81),
    "a4": ("Łukasz", "Łukasz Æbeltoft", 10_400),
}


async def fill_cabins(store: Store) -> None:
    def work(tx: Tx) -> None:
        for name, (preferred, full, cabin) in NAMES.items():
            ref = GuestRef(name)
            tx.put_guest(replace(guest(ref), cabins=(CabinStay(cabin, 1),), crew=False))
            tx.put_profile(profile(ref, preferred_name=preferred, full_name=full))
        tx.put_guest(replace(guest(GuestRef("a5")), cabins=(CabinStay(7, 1), CabinStay(8104, 2)), crew=False))
        tx.put_guest(replace(guest(GuestRef("c1")), cabins=(CabinStay(8104, 3),)))  # crew
        tx.put_profile(profile(GuestRef("c1"), preferred_name="Anna", full_name="Anna Crew"))
        left = replace(guest(GuestRef("b1")), cabins=(CabinStay(8104, 2),), not_after_s=AT_S, crew=False)
        tx.put_guest(left)
        tx.put_profile(profile(GuestRef("b1"), preferred_name="Anna", full_name="Anna Gone"))

    await store.write(work)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ann", ["a1", "a2"]),
        ("ANNA", ["a1"]),
        ("ase", ["a0"]),
        ("åse", ["a0"]),
        ("lie", ["a0"]),
        ("degard", []),  # the beginning of a word only
        ("odegard lie", ["a0"]),
        ("lie ase", ["a0"]),
        ("ase nobody", []),
        ("sahin", ["a2"]),
        ("avila", ["a3"]),
        ("lukasz ae", ["a4"]),
        ("3rd", ["a3"]),
        ("8104", ["a5", "a1", "a0"]),
        ("81", ["a3"]),
        ("08104", ["a5", "a1", "a0"]),
        ("810", []),
        ("999999", []),
        ("%", []),
        ("an_a", ["a1", "a2"]),  # two beginnings, not a pattern
        ("' OR 1=1 --", []),
        ("  ", []),
    ],
)
async def test_search_by_the_beginning_of_a_name_or_the_whole_cabin(store: Store, query: str, found: list[str]) -> None:
    await fill_cabins(store)
    hits = await store.write(lambda tx: tx.search(HOST, query, AT_S, 20))
    assert [hit.look.guest for hit in hits] == found
    way = Way.BY_CABIN if query.isdigit() else Way.BY_NAME
    logged = await store.read(lambda tx: tx.look_ups(0, 99))
    assert [(one.guest, one.way, one.actor) for one in logged] == [(ref, way, "c2") for ref in found]
    assert [hit.look for hit in hits] == logged


async def test_a_search_shows_and_logs_what_the_viewer_may_see_and_no_more_than_the_limit(store: Store) -> None:
    await fill_cabins(store)
    (hit,) = await store.write(lambda tx: tx.search(WAITER, "8104", AT_S, 2)[1:])
    assert (hit.preferred_name, hit.full_name, hit.language) == ("Anna", None, None)
    assert hit.look.fields == {Field.PREFERRED_NAME}
    (hit,) = await store.write(lambda tx: tx.search(HOST, "anna", AT_S, 1))
    assert (hit.preferred_name, hit.full_name) == ("Anna", "Anna Bjørnstad")
    assert hit.look.fields == {Field.PREFERRED_NAME, Field.FULL_NAME, Field.CABIN}
    assert len(await store.read(lambda tx: tx.look_ups(0, 99))) == 3
    assert await store.write(lambda tx: tx.search(HOST, "8104", AT_S, 0)) == []


def test_the_viewers_of_these_tests_are_allowed_what_they_look_at() -> None:
    assert allowed(MEDIC) >= {Field.PHOTO, Field.ALLERGIES}
    assert Field.CABIN not in allowed(WAITER)
