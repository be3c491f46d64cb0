"""Guest service in both stores: records come back whole, looks are logged as they are read, nothing else leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from types import MappingProxyType
from typing import Any

import pytest
from tests.contract.makers import ANNA, AT_S, BAR, BOB, charge, guest, uid, without_tap

from steward.adapters.store_rules import ReadOnlyError, TransactionOverError
from steward.domain.care import Case, CaseId, Note, NoteId
from steward.domain.catalogue import Catalogue, Hours, Item, ItemId
from steward.domain.charges import ChargeState
from steward.domain.crew import CrewMember, CrewSession, SessionId
from steward.domain.events import EventType
from steward.domain.guests import CabinStay, PinHash
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import Offer, OfferId, OfferState, Reason
from steward.domain.outlets import OutletKind
from steward.domain.profiles import AgeGroup, Allergen, Diet, Photo, Profile
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, Viewer, Way, allowed, look_at
from steward.errors import Conflict, Refused
from steward.ports import Store, Tx
from steward.ports.service import ServiceTx

SHOP = OutletId("shop")
MEDIC = Viewer("c9", CrewRole.SAFETY, SHOP, OutletKind.SERVICE, Purpose.SAFETY)
WAITER = Viewer("c1", CrewRole.SERVICE, BAR, OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK)
HOST = Viewer("c2", CrewRole.GUEST_SERVICES, SHOP, OutletKind.RETAIL, Purpose.GUEST_SERVICES)
NOTE, CASE, SESSION, OFFER = NoteId("0a" * 8), CaseId("0b" * 8), SessionId("0c" * 32), OfferId("0d" * 16)
JPEG, PNG = b"\xff\xd8\xff\xe0rest", b"\x89PNG\r\n\x1a\nrest"


def profile(ref: GuestRef = ANNA, **changes: Any) -> Profile:
    made = Profile(ref, "Anna", "Anna Bjørnstad-Müller", "pt-BR", (Allergen.EGGS, Allergen.MILK), (Diet.VEGAN,))
    return replace(made, **changes)


def note(id_: NoteId = NOTE, **changes: Any) -> Note:
    made = Note(id_, ANNA, Purpose.FOOD_AND_DRINK, "no ice", "c1", BAR, AT_S, AT_S + 100)
    return replace(made, **changes)


def case(id_: CaseId = CASE, **changes: Any) -> Case:
    return replace(Case(id_, ANNA, BAR, "soup was cold", "c1", AT_S), **changes)


def member(ref: GuestRef = ANNA, **changes: Any) -> CrewMember:
    made = CrewMember(ref, CrewRole.SAFETY, (BAR, SHOP), PinHash(b"salt\x00", b"digest\xff"), 3, AT_S)
    return replace(made, **changes)


def session(id_: SessionId = SESSION, **changes: Any) -> CrewSession:
    made = CrewSession(
        id_, ANNA, CrewRole.PURSER, uid(1), 4, 7, AT_S, AT_S + 5, outlet=BAR, purpose=Purpose.FOOD_AND_DRINK
    )
    return replace(made, **changes)


def item(id_: str = "latte", outlet: OutletId = BAR, **changes: Any) -> Item:
    made = Item(
        id=ItemId(id_),
        outlet=outlet,
        titles=MappingProxyType({"en": "Latte", "nb": "Kaffe med blåbær"}),
        category="coffee",
        tags=("hot", "milk"),
        allergens=(Allergen.MILK,),
        suits=(Diet.HALAL, Diet.VEGETARIAN),
        price_minor=550,
        currency="EUR",
        min_age_group=AgeGroup.ADULT,
        hours=(Hours(420, 660), Hours(1320, 120)),
        edible=True,
    )
    return replace(made, **changes)


def offer(id_: OfferId = OFFER, **changes: Any) -> Offer:
    made = Offer(
        id=id_,
        guest=ANNA,
        outlet=BAR,
        item=ItemId("latte"),
        category="coffee",
        at_s=AT_S,
        hour=15,
        propensity_ppm=925_000,
        ranker="popularity-1",
        reasons=(Reason("popular_now", 12), Reason("popular_here", 40)),
        state=OfferState.WRONG,
        answered_s=AT_S + 9,
    )
    return replace(made, **changes)


def look(fields_: set[Field], ref: GuestRef = ANNA, viewer: Viewer = MEDIC, at_s: int = AT_S, **more: Any) -> LookUp:
    return look_at(viewer, ref, fields_, at_s, **more)


WRITES: dict[str, Callable[[Tx], object]] = {
    "put_profile": lambda tx: tx.put_profile(profile()),
    "put_photo": lambda tx: tx.put_photo(Photo(ANNA, JPEG)),
    "drop_profile": lambda tx: (tx.put_profile(profile(BOB)), tx.drop_profile(ANNA)),
    "put_note": lambda tx: tx.put_note(note()),
    "drop_note": lambda tx: (tx.put_note(note(NoteId("1a" * 8))), tx.drop_note(NoteId("ff" * 8))),
    "sweep_notes": lambda tx: (tx.put_note(note()), tx.sweep_notes(AT_S)),
    "open_case": lambda tx: tx.open_case(case()),
    "close_case": lambda tx: (tx.open_case(case(CaseId("1b" * 8))), tx.close_case(CASE, "c", AT_S, "done")),
    "disclose": lambda tx: tx.disclose(look({Field.PHOTO})),
    "search": lambda tx: (tx.put_guest(replace(guest(), crew=False)), tx.search(MEDIC, "8104", AT_S, 5)),
    "log_look_up": lambda tx: tx.log_look_up(look({Field.CABIN})),
    "put_crew": lambda tx: tx.put_crew(member()),
    "drop_crew": lambda tx: (tx.put_crew(member(BOB)), tx.drop_crew(ANNA)),
    "put_session": lambda tx: tx.put_session(session()),
    "drop_session": lambda tx: (tx.put_session(session()), tx.drop_session(SessionId("ff" * 32))),
    "sweep_sessions": lambda tx: (tx.put_session(session()), tx.sweep_sessions(0, 0)),
    "put_catalogue": lambda tx: tx.put_catalogue(Catalogue(3, (item(),))),
    "put_offer": lambda tx: tx.put_offer(offer()),
}


def everything(tx: Tx) -> tuple[object, ...]:
    """All that can be read without leaving a look."""
    return (
        *(tx.has_profile(ANNA), tx.has_profile(BOB), tx.photo_hash(ANNA), tx.note_place(NOTE), tx.note_count(ANNA)),
        *(tx.case_place(CASE), tx.open_case_count(ANNA), list(tx.open_cases(None))),
        *(list(tx.look_ups(0, 99)), list(tx.look_ups_of(ANNA, 99)), list(tx.events(0, 99))),
        *(tx.crew(ANNA), list(tx.crew_members()), tx.session(SESSION), list(tx.sessions_of(ANNA))),
        *(tx.catalogue(), tx.catalogue_version(), list(tx.items_at(BAR)), tx.offer(OFFER)),
        *(list(tx.offers_of(ANNA, 0)), list(tx.taken(BAR, 0)), list(tx.sold(BAR, 0, 0))),
    )


def test_every_method_of_the_port_is_in_one_of_the_lists() -> None:
    methods = {name for part in ServiceTx.__mro__ for name in vars(part) if not name.startswith("_")} - {"mro"}
    assert methods - set(WRITES) == set(everything.__code__.co_names) & methods
    assert set(WRITES) <= methods


@pytest.mark.parametrize(
    "made",
    [
        profile(),
        note(),
        case(),
        member(),
        session(),
        item(),
        offer(),
        look({Field.NOTES}, way=Way.BROKE_GLASS, reason="x"),
    ],
)
def test_the_records_of_these_tests_show_every_field(made: Any) -> None:
    """A field left at its default would come back right from a store that forgets it."""
    forgettable = [f.name for f in fields(made) if f.default is not MISSING and getattr(made, f.name) == f.default]
    assert set(forgettable) <= {"seq", "closed_by", "closed_s", "outcome"}


@pytest.mark.parametrize("name", WRITES)
async def test_a_failed_closure_leaves_nothing(store: Store, name: str) -> None:
    before = await store.read(everything)

    def fail(tx: Tx) -> None:
        WRITES[name](tx)
        assert everything(tx) != before
        raise Refused("late")

    with pytest.raises(Refused, match="late"):
        await store.write(fail)
    assert await store.read(everything) == before


async def test_a_failed_closure_restores_what_it_had_replaced_or_removed(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for name in ("put_profile", "put_photo", "put_note", "open_case", "put_crew", "put_session", "put_offer"):
            WRITES[name](tx)
        tx.put_catalogue(Catalogue(3, (item(),)))

    def undo_all(tx: Tx) -> None:
        tx.put_profile(profile(preferred_name="Other"))
        tx.drop_profile(ANNA)
        tx.drop_note(NOTE)
        tx.close_case(CASE, "c", AT_S, "done")
        tx.drop_crew(ANNA)
        tx.drop_session(SESSION)
        tx.put_offer(offer(state=OfferState.ACCEPTED))
        tx.put_catalogue(Catalogue(4))
        tx.disclose(look({Field.PREFERRED_NAME}))
        raise Refused("late")

    await store.write(fill)
    before = await store.read(everything)
    with pytest.raises(Refused, match="late"):
        await store.write(undo_all)
    assert await store.read(everything) == before
    shown = await store.write(lambda tx: tx.disclose(look({Field.PREFERRED_NAME})))
    assert shown.preferred_name == "Anna"


@pytest.mark.parametrize("name", WRITES)
async def test_a_reading_transaction_refuses(store: Store, name: str) -> None:
    with pytest.raises(ReadOnlyError):
        await store.read(WRITES[name])


@pytest.mark.parametrize("name", WRITES)
async def test_a_transaction_that_is_over_is_of_no_use(store: Store, name: str) -> None:
    kept: list[Tx] = []
    await store.write(kept.append)
    with pytest.raises(TransactionOverError):
        WRITES[name](kept[0])


# looks


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


# profiles


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


# crew


async def test_crew_and_their_sessions_come_back_as_they_were(store: Store) -> None:
    bare = session(SessionId("0e" * 32), outlet=None, purpose=None, created_s=AT_S - 9)

    def fill(tx: Tx) -> None:
        tx.put_crew(member(BOB, outlets=()))
        tx.put_crew(member())
        for each in (session(), bare, session(SessionId("0f" * 32), crew=BOB), session(seen_s=AT_S + 8)):
            tx.put_session(each)

    await store.write(fill)
    assert await store.read(lambda tx: list(tx.crew_members())) == [member(), member(BOB, outlets=())]
    assert await store.read(lambda tx: tx.crew(BOB)) == member(BOB, outlets=())
    assert await store.read(lambda tx: tx.session(SESSION)) == session(seen_s=AT_S + 8)
    assert await store.read(lambda tx: list(tx.sessions_of(ANNA))) == [bare, session(seen_s=AT_S + 8)]
    assert await store.write(lambda tx: tx.sweep_sessions(AT_S + 4, AT_S - 10)) == 0
    assert await store.write(lambda tx: tx.sweep_sessions(AT_S + 4, AT_S - 9)) == 1
    assert await store.write(lambda tx: tx.sweep_sessions(AT_S + 5, AT_S - 9)) == 1
    assert await store.read(lambda tx: list(tx.sessions_of(BOB))) == []
    await store.write(lambda tx: (tx.drop_session(SESSION), tx.drop_crew(ANNA)))
    assert await store.read(lambda tx: (tx.session(SESSION), tx.crew(ANNA))) == (None, None)


def test_secrets_of_crew_are_not_in_a_repr() -> None:
    assert "salt" not in repr(member())
    assert "0c0c" not in repr(session())


# catalogue and offers


async def test_a_catalogue_is_replaced_whole_and_never_goes_back(store: Store) -> None:
    first = Catalogue(3, (item("latte"), item("cap", SHOP, edible=False, allergens=(), suits=()), item("tea")))
    assert await store.read(lambda tx: tx.catalogue()) == Catalogue()
    await store.write(lambda tx: tx.put_catalogue(first))
    assert await store.read(lambda tx: (tx.catalogue(), tx.catalogue_version())) == (first, 3)
    assert [i.id for i in await store.read(lambda tx: tx.items_at(BAR))] == ["latte", "tea"]
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_catalogue(Catalogue(2)))
    second = Catalogue(4, (item("tea", price_minor=1),))
    await store.write(lambda tx: tx.put_catalogue(second))
    assert await store.read(lambda tx: tx.catalogue()) == second
    assert await store.read(lambda tx: list(tx.items_at(SHOP))) == []


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ((item("latte"), item("latte")), "twice"),
        ((item("Latte!"),), "lower-case"),
        ((item(titles={"nb": "Kaffe"}),), "English"),
        ((item(titles={"en": ""}),), "title"),
        ((item(titles={"en": "a\x00"}),), "title"),
        ((item(titles={"en": "a", "<b>": "b"}),), "language tags"),
        ((item(price_minor=-1),), "price"),
        ((item(currency="euro"),), "price"),
        ((item(hours=(Hours(1440, 5),)),), "hours"),
        ((item(edible=False),), "edible"),
        (tuple(item(f"i{n}") for n in range(2001)), "at most 2000"),
    ],
)
async def test_a_catalogue_that_cannot_be_is_refused(store: Store, bad: tuple[Item, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        await store.write(lambda tx: tx.put_catalogue(Catalogue(9, bad)))
    assert await store.read(lambda tx: tx.catalogue_version()) == 0


async def test_offers_and_what_was_taken(store: Store) -> None:
    taken = [
        offer(OfferId(f"{n}"), state=OfferState.ACCEPTED, at_s=AT_S + n, hour=hour, item=ItemId(what))
        for n, hour, what in ((1, 15, "tea"), (2, 15, "tea"), (3, 9, "tea"), (4, 15, "latte"))
    ]
    rest = [offer(OfferId("5"), outlet=SHOP, state=OfferState.ACCEPTED), offer(OfferId("6"), guest=BOB)]

    def fill(tx: Tx) -> None:
        for each in (*taken, *rest, offer()):
            tx.put_offer(each)
        tx.put_offer(replace(taken[3], answered_s=None))

    await store.write(fill)
    assert await store.read(lambda tx: tx.offer(OFFER)) == offer()
    ids = [one.id for one in await store.read(lambda tx: tx.offers_of(ANNA, AT_S))]
    assert ids == ["5", OFFER, "1", "2", "3", "4"]
    assert [one.id for one in await store.read(lambda tx: tx.offers_of(ANNA, AT_S + 3))] == ["3", "4"]
    assert (await store.read(lambda tx: tx.offers_of(ANNA, AT_S + 4)))[0].answered_s is None
    assert await store.read(lambda tx: list(tx.taken(BAR, AT_S))) == [("latte", 15, 1), ("tea", 9, 1), ("tea", 15, 2)]
    assert await store.read(lambda tx: list(tx.taken(BAR, AT_S + 4))) == [("latte", 15, 1)]


async def test_what_was_sold_is_counted_by_the_ships_hour(store: Store) -> None:
    hour = AT_S // 3600 % 24

    def fill(tx: Tx) -> None:
        for number, at_s, state in (
            (1, AT_S, ChargeState.POSTED),
            (2, AT_S + 3600, ChargeState.POSTED),
            (3, AT_S, ChargeState.VOIDED),
            (4, AT_S - 1, ChargeState.POSTED),
        ):
            tx.put_charge(charge(number, at_s=at_s, state=state))
        tx.put_charge(without_tap(charge(5)))

    await store.write(fill)
    assert await store.read(lambda tx: list(tx.sold(BAR, AT_S, 0))) == sorted(
        [("two coffees", hour, 2), ("two coffees", (hour + 1) % 24, 1)]
    )
    west = await store.read(lambda tx: list(tx.sold(BAR, AT_S, -2 * 3600)))
    assert west == sorted([("two coffees", (hour - 2) % 24, 2), ("two coffees", (hour - 1) % 24, 1)])
    assert await store.read(lambda tx: list(tx.sold(SHOP, 0, 0))) == []


def test_the_viewers_of_these_tests_are_allowed_what_they_look_at() -> None:
    assert allowed(MEDIC) >= {Field.PHOTO, Field.ALLERGIES}
    assert Field.CABIN not in allowed(WAITER)
