"""My data: what guests read and correct of themselves, and that nobody else gets in that way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.unit.servicekit import ASE, BAR, CREW, JPEG, KIRA, Deck, guest, item, viewer

from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.offers import Answer, OfferId
from steward.domain.outlets import OutletKind
from steward.domain.profiles import Allergen, Diet
from steward.domain.viewing import GUEST, CrewRole, Field, LookUp, Purpose, Viewer, look_at, own_actor, permitted
from steward.errors import NotFound, Refused
from steward.services.mydata import Correction, MyData
from steward.services.ownlook import own_look, own_viewer
from steward.services.ownoffers import OwnOfferService

NINA = GuestRef(f"{0xA3:016x}")
AS_IS = Correction("Kira", "nb", [Allergen.NUTS, Allergen.MILK], [Diet.VEGETARIAN], explicit=False)


@pytest.fixture
async def deck() -> Deck:
    """Nina has no profile."""
    made = await Deck().aboard()
    await made.store.write(lambda tx: tx.put_guest(guest(NINA, 8110)))
    return made


def data(deck: Deck, follows: bool = False) -> MyData:
    return MyData(deck.store, deck.clock, follows)


async def profile_events(deck: Deck) -> list[object]:
    events = await deck.store.read(lambda tx: tx.events(0, 999))
    return [event.payload for event in events if event.type is EventType.PROFILE_SET]


async def test_everything_is_read_without_a_row(deck: Deck) -> None:
    held = await data(deck).held(KIRA)
    assert (held.shown.full_name, held.shown.allergies) == ("Kira Testesen", (Allergen.MILK, Allergen.NUTS))
    assert held.has_photo
    assert (await data(deck).photo(KIRA)).content == JPEG
    assert await deck.looks() == []


@pytest.mark.parametrize("ref", [GuestRef("f" * 16), NINA])
async def test_what_is_not_there_is_not_found(deck: Deck, ref: GuestRef) -> None:
    with pytest.raises(NotFound):
        await data(deck).photo(ref)
    if ref != NINA:
        with pytest.raises(NotFound):
            await data(deck).held(ref)


async def test_only_what_changes_is_written(deck: Deck) -> None:
    assert await data(deck).correct(KIRA, AS_IS) == ()
    assert await profile_events(deck) == []
    assert await deck.store.read(lambda tx: tx.own_words(KIRA)) is None
    assert await data(deck).correct(KIRA, replace(AS_IS, language="en")) == ("language",)
    assert await profile_events(deck) == [{"guest": KIRA, "fields": "language", "by": "guest", "explicit": False}]
    assert await deck.store.read(lambda tx: tx.own_words(KIRA)) == deck.clock.unix_s


async def test_the_name_on_the_booking_stays(deck: Deck) -> None:
    await data(deck).correct(KIRA, replace(AS_IS, preferred_name="Kiki"))
    held = await data(deck).held(KIRA)
    assert (held.shown.preferred_name, held.shown.full_name) == ("Kiki", "Kira Testesen")


@pytest.mark.parametrize(
    ("correction", "code"),
    [
        (replace(AS_IS, preferred_name=""), "profile_invalid"),
        (replace(AS_IS, preferred_name=" Kira"), "profile_invalid"),
        (replace(AS_IS, preferred_name="K\u202eira\n"), "profile_invalid"),
        (replace(AS_IS, language="norsk"), "profile_invalid"),
        (replace(AS_IS, diet=[Diet.HALAL]), "explicit_needed"),
        (replace(AS_IS, allergies=[*AS_IS.allergies, Allergen.FISH]), "explicit_needed"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(deck: Deck, correction: Correction, code: str) -> None:
    with pytest.raises(Refused, match=code):
        await data(deck).correct(KIRA, correction)
    assert await profile_events(deck) == []


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("allergies", [[Allergen.NUTS], [*AS_IS.allergies, Allergen.FISH]])
async def test_what_a_child_cannot_eat_is_an_adults_to_say(
    deck: Deck, allergies: list[Allergen], *, explicit: bool
) -> None:
    """Neither can a child take an allergy away, nor agree by itself that one is kept."""
    await deck.store.write(lambda tx: tx.put_guest(guest(KIRA, child=True)))
    for change in ({"allergies": allergies}, {"diet": []}, {"diet": [*AS_IS.diet, Diet.VEGAN], "language": "en"}):
        with pytest.raises(Refused, match="child_health"):
            await data(deck).correct(KIRA, replace(AS_IS, explicit=explicit, **change))  # type: ignore[arg-type]
    assert await profile_events(deck) == []
    assert await data(deck).correct(KIRA, replace(AS_IS, preferred_name="Kiki")) == ("preferred_name",)


async def test_who_has_no_profile_and_who_asks_elsewhere_is_refused(deck: Deck) -> None:
    with pytest.raises(Refused, match="no_profile"):
        await data(deck).correct(NINA, AS_IS)
    for work in (data(deck, follows=True).correct(KIRA, AS_IS), data(deck, follows=True).remove_photo(KIRA)):
        with pytest.raises(Refused, match="authority_only"):
            await work
    with pytest.raises(NotFound):
        await data(deck).correct(GuestRef("f" * 16), AS_IS)


async def test_two_corrections_at_once_leave_one_of_them_whole(deck: Deck) -> None:
    words = [replace(AS_IS, preferred_name=f"Kira {n}", language=("en", "de")[n % 2]) for n in range(6)]
    await asyncio.gather(*(data(deck).correct(KIRA, each) for each in words))
    shown = (await data(deck).held(KIRA)).shown
    assert (shown.preferred_name, shown.language) in [(each.preferred_name, each.language) for each in words]


async def test_the_photo_goes_once(deck: Deck) -> None:
    for _ in range(2):
        await data(deck).remove_photo(KIRA)
    with pytest.raises(NotFound):
        await data(deck).photo(KIRA)
    assert await profile_events(deck) == [{"guest": KIRA, "fields": "photo", "by": "guest"}]


# the way in is for oneself


@pytest.mark.parametrize("role", [*CrewRole, "desk", "monitor", ""])
def test_no_other_role_sees_by_that_purpose(role: str) -> None:
    for kind in OutletKind:
        assert permitted(role, Purpose.OWN_DATA, kind) == frozenset()


@pytest.mark.parametrize("purpose", [each for each in Purpose if each is not Purpose.OWN_DATA])
def test_a_guest_sees_for_no_other_purpose(purpose: Purpose) -> None:
    for kind in OutletKind:
        assert permitted(GUEST, purpose, kind) == frozenset()


@pytest.mark.parametrize("actor", [own_actor(ASE), CREW, "", "guest:", "token:desk", KIRA])
async def test_nobody_looks_in_a_guests_name(deck: Deck, actor: str) -> None:
    other = replace(own_viewer(KIRA), actor=actor)
    look: LookUp = look_at(other, KIRA, {Field.FULL_NAME}, deck.clock.unix_s)
    with pytest.raises(ValueError, match="nobody else"):
        await deck.store.write(lambda tx: tx.disclose(look))


async def test_a_search_in_a_guests_name_finds_nobody(deck: Deck) -> None:
    with pytest.raises(ValueError, match="nobody else"):
        await deck.store.write(lambda tx: tx.search(own_viewer(KIRA), "Åse", deck.clock.unix_s, 9))
    found = await deck.store.write(lambda tx: tx.search(own_viewer(KIRA), "Kira", deck.clock.unix_s, 9))
    assert {each.look.guest for each in found} == {KIRA}


async def test_notes_of_every_purpose_and_closed_cases_are_the_guests_to_see(deck: Deck) -> None:
    front = Viewer(CREW, CrewRole.GUEST_SERVICES, BAR, OutletKind.SERVICE, Purpose.GUEST_SERVICES)
    bar = Viewer(CREW, CrewRole.SERVICE, BAR, OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK)
    await deck.notes.add(front, KIRA, "Wants a quiet cabin", deck.clock.unix_s + 999)
    await deck.notes.add(bar, KIRA, "Oat milk", deck.clock.unix_s + 999)
    case = await deck.recovery.open(bar, KIRA, "Coffee was cold")
    await deck.recovery.close(bar, case.id, "A new one")
    shown = (await data(deck).held(KIRA)).shown
    assert {note.text for note in shown.notes} == {"Wants a quiet cabin", "Oat milk"}
    assert [(each.what, each.outcome) for each in shown.cases] == [("Coffee was cold", "A new one")]
    look = own_look(KIRA, {Field.NOTES}, deck.clock.unix_s + 1000)
    assert (await deck.store.write(lambda tx: tx.disclose(look))).notes == ()  # what has expired is gone


async def test_an_offer_of_another_is_not_there_to_answer(deck: Deck) -> None:
    own = OwnOfferService(deck.store, deck.offers)
    with pytest.raises(NotFound):
        await own.answer(KIRA, OfferId("0" * 32), Answer.ACCEPT)
    with pytest.raises(NotFound):
        await own.of(GuestRef("f" * 16))
    assert (await own.of(KIRA)).offers == []


async def test_a_guest_answers_no_offer_of_another_whoever_asks(deck: Deck) -> None:
    """Also not where an answer is given without asking whose the offer is first."""
    await deck.stock(item("tea"))
    (made,) = await deck.offers.suggest(viewer(), KIRA)
    for ref in (ASE, GuestRef("")):
        with pytest.raises(NotFound):
            await deck.offers.answer(own_viewer(ref, BAR), made.offer, Answer.WRONG)
    assert (await OwnOfferService(deck.store, deck.offers).answer(KIRA, made.offer, Answer.WRONG)).answered_s
