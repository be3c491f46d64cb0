"""Cards, photos, searches and broken glass: what is shown to whom, and the one look that each leaves."""

from __future__ import annotations

import pytest
from tests.unit.servicekit import (
    ASE,
    BAR,
    BARKEEPER,
    CASHIER,
    CLEANER,
    CREW,
    END_S,
    HOST,
    JPEG,
    KIRA,
    MEDIC,
    OFFICER,
    SHOP,
    Deck,
    viewer,
)

from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.viewing import CrewRole, Field, Purpose, Viewer, Way
from steward.errors import NotFound, Refused
from steward.ports import Tx
from steward.services.feed import RECENT_S
from steward.services.lookups import GUESTS_AT_ONCE_MAX


@pytest.fixture
async def deck() -> Deck:
    return await Deck().aboard()


async def test_a_barkeeper_sees_whom_to_serve_and_nothing_else(deck: Deck) -> None:
    card = await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    assert (card.preferred_name, card.language, card.age_group) == ("Kira", "nb", AgeGroup.ADULT)
    assert (card.allergies, card.diet) == ((Allergen.MILK, Allergen.NUTS), (Diet.VEGETARIAN,))
    assert (card.full_name, card.cabins, card.has_photo) == (None, (), True)
    (look,) = await deck.looks()
    assert look == card.look
    assert (look.actor, look.role, look.outlet, look.purpose) == (CREW, "service", BAR, Purpose.FOOD_AND_DRINK)
    assert look.fields == {
        *(Field.PREFERRED_NAME, Field.LANGUAGE, Field.AGE_GROUP, Field.ALLERGIES, Field.DIET),
        *(Field.NOTES, Field.RECOVERY),
    }


async def test_a_shop_does_not_see_allergies_and_a_cleaner_no_face(deck: Deck) -> None:
    shop = await deck.lookups.card(viewer(CrewRole.SERVICE, Purpose.GUEST_SERVICES, SHOP), KIRA, tapped=False)
    assert (shop.allergies, shop.diet, shop.preferred_name) == (None, None, "Kira")
    cleaner = await deck.lookups.card(CLEANER, KIRA, tapped=False)
    assert (cleaner.cabins, cleaner.has_photo, cleaner.age_group, cleaner.allergies) == ((8104,), False, None, None)
    with pytest.raises(Refused, match="not_permitted"):
        await deck.lookups.photo(CLEANER, KIRA)


async def test_serving_food_is_no_purpose_where_none_is_served(deck: Deck) -> None:
    at_the_shop = viewer(CrewRole.SERVICE, Purpose.FOOD_AND_DRINK, SHOP)
    for attempt in (
        deck.lookups.card(at_the_shop, KIRA, tapped=False),
        deck.lookups.search(at_the_shop, "Kira"),
        deck.lookups.photo(at_the_shop, KIRA),
    ):
        with pytest.raises(Refused, match="not_permitted"):
            await attempt
    assert await deck.looks() == []


async def test_a_photo_is_a_look_of_its_own(deck: Deck) -> None:
    assert (await deck.lookups.photo(BARKEEPER, KIRA)).content == JPEG
    (look,) = await deck.looks()
    assert look.fields == {Field.PHOTO}
    with pytest.raises(NotFound):
        await deck.lookups.photo(BARKEEPER, ASE)
    assert len(await deck.looks()) == 1  # nothing was shown


async def test_a_tap_is_believed_only_if_there_was_one_there_just_now(deck: Deck) -> None:
    async def way(outlet_viewer: Viewer = BARKEEPER, ref: GuestRef = KIRA) -> Way:
        return (await deck.lookups.card(outlet_viewer, ref, tapped=True)).look.way

    assert await way() is Way.OPENED
    deck.tap()
    assert await way() is Way.TAPPED
    assert await way(ref=ASE) is Way.OPENED
    assert await way(HOST) is Way.OPENED
    assert (await deck.lookups.card(BARKEEPER, KIRA, tapped=False)).look.way is Way.OPENED
    deck.clock.tick(RECENT_S)
    assert await way() is Way.TAPPED
    deck.clock.tick(1)
    assert await way() is Way.OPENED


async def test_who_has_left_is_seen_no_more_but_for_money_safety_and_privacy(deck: Deck) -> None:
    deck.clock.unix_s = END_S
    for who in (BARKEEPER, HOST, CLEANER):
        with pytest.raises(NotFound):
            await deck.lookups.card(who, KIRA, tapped=False)
    with pytest.raises(NotFound):
        await deck.lookups.photo(BARKEEPER, KIRA)
    assert await deck.looks() == []
    for who in (CASHIER, MEDIC, OFFICER):
        assert (await deck.lookups.card(who, KIRA, tapped=False)).full_name is not None
    deck.clock.trusted = False  # it may have jumped: what she cannot eat stays to be seen
    assert (await deck.lookups.card(BARKEEPER, KIRA, tapped=False)).allergies == (Allergen.MILK, Allergen.NUTS)


async def test_a_guest_nobody_knows_leaves_no_look(deck: Deck) -> None:
    for attempt in (
        deck.lookups.card(BARKEEPER, GuestRef("f" * 16), tapped=False),
        deck.lookups.break_glass(MEDIC, GuestRef("f" * 16), "drill"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await deck.looks() == []
    assert await deck.events() == []


async def test_a_guest_without_a_profile_has_a_card_too(deck: Deck) -> None:
    await deck.store.write(lambda tx: tx.drop_profile(KIRA))
    card = await deck.lookups.card(HOST, KIRA, tapped=False)
    assert (card.preferred_name, card.cabins, card.has_photo) == (None, (8104,), False)


# search


async def test_each_hit_is_a_look(deck: Deck) -> None:
    hits = await deck.lookups.search(HOST, " kira ")
    assert [(h.ref, h.preferred_name, h.full_name, h.cabins, h.has_photo) for h in hits] == [
        (KIRA, "Kira", "Kira Testesen", (8104,), True)
    ]
    hits = await deck.lookups.search(BARKEEPER, "8106")
    assert [(h.ref, h.preferred_name, h.full_name, h.cabins, h.has_photo) for h in hits] == [
        (ASE, "Åse", None, (), False)
    ]
    looks = await deck.looks()
    assert [(look.guest, look.way, look.fields) for look in looks] == [
        (KIRA, Way.BY_NAME, {Field.PREFERRED_NAME, Field.FULL_NAME, Field.CABIN}),
        (ASE, Way.BY_CABIN, {Field.PREFERRED_NAME}),
    ]


@pytest.mark.parametrize("query", ["", " ", "k", " k ", "x" * 41])
async def test_a_search_is_for_two_characters_or_more(deck: Deck, query: str) -> None:
    with pytest.raises(Refused, match="query_invalid"):
        await deck.lookups.search(HOST, query)


async def test_the_privacy_officer_finds_whom_a_request_is_about(deck: Deck) -> None:
    (hit,) = await deck.lookups.search(OFFICER, "testesen")
    assert (hit.preferred_name, hit.full_name, hit.cabins, hit.has_photo) == (None, "Kira Testesen", (8104,), False)


# broken glass


async def test_safety_breaks_glass_with_a_reason_and_the_officer_is_told(deck: Deck) -> None:
    note = await deck.notes.add(BARKEEPER, KIRA, "uses a cane", deck.clock.unix_s + 60)
    before = await deck.lookups.card(MEDIC, KIRA, tapped=False)
    assert (before.notes, before.allergies) == ((), (Allergen.MILK, Allergen.NUTS))
    card = await deck.lookups.break_glass(MEDIC, KIRA, " found unconscious, deck 5 ")
    assert card.notes == (note,)
    assert (card.full_name, card.cabins, card.has_photo) == ("Kira Testesen", (8104,), True)
    look = (await deck.looks())[-1]
    assert (look.way, look.reason) == (Way.BROKE_GLASS, "found unconscious, deck 5")
    (event,) = await deck.events(EventType.BREAK_GLASS)
    assert dict(event.payload) == {"look": look.seq, "actor": CREW, "outlet": "front", "guest": KIRA}
    assert len(await deck.events(EventType.LOOKED_UP)) == 2


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 201])
async def test_no_reason_no_glass(deck: Deck, reason: str) -> None:
    with pytest.raises(Refused, match="reason_invalid"):
        await deck.lookups.break_glass(MEDIC, KIRA, reason)


@pytest.mark.parametrize("who", [BARKEEPER, HOST, CASHIER, CLEANER, OFFICER])
async def test_nobody_but_safety_breaks_glass(deck: Deck, who: Viewer) -> None:
    with pytest.raises(Refused, match="not_permitted: .* does not break the glass"):
        await deck.lookups.break_glass(who, KIRA, "curious")
    assert await deck.looks() == []


# what others read


async def test_what_is_read_elsewhere_is_logged_with_it_or_not_read(deck: Deck) -> None:
    def bands(tx: Tx) -> int:
        return len(tx.bands_of(KIRA))

    assert await deck.lookups.read_as(CASHIER, KIRA, {Field.BANDS}, bands) == 0
    assert await deck.lookups.read_as(CASHIER, lambda tx: KIRA, {Field.FOLIO, Field.CHARGES}, lambda tx: "x") == "x"
    assert await deck.lookups.read_as(CASHIER, lambda tx: None, {Field.FOLIO}, lambda tx: "nobody's") == "nobody's"
    assert [(look.guest, look.fields) for look in await deck.looks()] == [
        (KIRA, {Field.BANDS}),
        (KIRA, {Field.FOLIO, Field.CHARGES}),
    ]
    ran: list[str] = []
    with pytest.raises(Refused, match="not_permitted"):
        await deck.lookups.read_as(BARKEEPER, KIRA, {Field.FOLIO}, lambda tx: ran.append("read"))
    assert ran == []

    def fail(tx: Tx) -> None:
        raise NotFound("guest", KIRA)

    with pytest.raises(NotFound):
        await deck.lookups.read_as(CASHIER, KIRA, {Field.FOLIO}, fail)
    assert len(await deck.looks()) == 2


async def test_a_list_of_guests_is_a_look_at_each_of_them_once(deck: Deck) -> None:
    shown = await deck.lookups.read_each(CASHIER, {Field.CHARGES}, lambda tx: ("list", [KIRA, ASE, KIRA]))
    assert shown == "list"
    assert [look.guest for look in await deck.looks()] == [KIRA, ASE]
    many = [GuestRef(f"{n:016x}") for n in range(GUESTS_AT_ONCE_MAX + 1)]
    with pytest.raises(Refused, match="too_many_guests"):
        await deck.lookups.read_each(CASHIER, {Field.CHARGES}, lambda tx: ("list", many))
    assert len(await deck.looks()) == 2


async def test_the_log_is_read_by_guest_and_in_pages(deck: Deck) -> None:
    for who in (BARKEEPER, HOST, CASHIER):
        await deck.lookups.card(who, KIRA, tapped=False)
    await deck.lookups.card(HOST, ASE, tapped=False)
    assert [look.role for look in await deck.lookups.log_of(KIRA)] == ["purser", "guest_services", "service"]
    assert [look.seq for look in await deck.lookups.log_page(1, 2)] == [2, 3]
    assert await deck.looks() == list(await deck.lookups.log_page(0))


async def test_nothing_of_a_guest_is_in_a_repr(deck: Deck) -> None:
    await deck.notes.add(BARKEEPER, KIRA, "uses a cane", deck.clock.unix_s + 60)
    card = await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    hits = await deck.lookups.search(HOST, "kira")
    photo = await deck.lookups.photo(BARKEEPER, KIRA)
    shown = repr((card, hits, photo))
    for secret in ("Kira", "Testesen", "milk", "vegetarian", "cane", "8104", "xff"):
        assert secret not in shown.replace("preferred_name", "")
