"""Who speaks for a child: an adult of the same booking, and nobody else."""

from __future__ import annotations

import pytest
from tests.unit.servicekit import KIRA, Deck, guest

from steward.domain.consent import ConsentPurpose, Said
from steward.domain.ids import GuestRef
from steward.errors import NotFound, Refused
from steward.services.consents import ConsentService
from steward.services.family import check_speaks_for, children_of, speaks_for

ADULT, OTHER, CHILD, CREW = (guest(GuestRef(f"{n:016x}"), booking="B-5") for n in (1, 2, 3, 4))
PHOTO = ConsentPurpose.PHOTO


def test_only_an_adult_of_the_booking_speaks_for_its_children() -> None:
    child = guest(CHILD.ref, booking="B-5", child=True)
    assert speaks_for(ADULT, child)
    assert not speaks_for(ADULT, OTHER)  # an adult speaks for nobody's else
    assert not speaks_for(child, child)
    assert not speaks_for(guest(ADULT.ref, booking="B-5", child=True), child)
    assert not speaks_for(guest(ADULT.ref, booking="B-5", crew=True), child)
    assert not speaks_for(guest(ADULT.ref, booking="B-6"), child)


@pytest.fixture
async def deck() -> Deck:
    made = await Deck().aboard()

    def work(tx: object) -> None:
        for each in (ADULT, OTHER, guest(CHILD.ref, booking="B-5", child=True)):
            tx.put_guest(each)  # type: ignore[attr-defined]

    await made.store.write(work)
    return made


async def test_children_are_found_by_their_adults(deck: Deck) -> None:
    for adult in (ADULT, OTHER):
        found = await deck.store.read(lambda tx: children_of(tx, adult))  # noqa: B023
        assert [child.ref for child in found] == [CHILD.ref]
    assert await deck.store.read(lambda tx: children_of(tx, guest(KIRA))) == []


async def test_nobody_else_gets_at_a_child(deck: Deck) -> None:
    for adult, child, error in (
        (KIRA, CHILD.ref, Refused),
        (ADULT.ref, OTHER.ref, Refused),
        (ADULT.ref, GuestRef("f" * 16), NotFound),
    ):
        with pytest.raises(error):
            await deck.store.read(lambda tx: check_speaks_for(tx, adult, child))  # noqa: B023


async def test_a_yes_for_a_child_is_the_adults_and_a_no_anybodys(deck: Deck) -> None:
    consents = ConsentService(deck.store, deck.clock)
    for parent in (None, KIRA, CHILD.ref):
        with pytest.raises(Refused, match="parent_needed"):
            await consents.say(CHILD.ref, {PHOTO: True}, "guest", parent, Said.PAGE)
    (given,) = await consents.say(CHILD.ref, {PHOTO: True}, "guest", ADULT.ref, Said.PARENT)
    assert given.given
    (taken,) = await consents.say(CHILD.ref, {PHOTO: False}, "guest", None, Said.PAGE)
    assert not taken.given
    ways = [basis.way for _, basis in sorted((await deck.store.read(lambda tx: tx.bases_of(CHILD.ref))).items())]
    assert ways == [Said.PARENT, Said.PAGE]
