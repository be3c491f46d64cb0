"""Notes and recovery cases: who may write them, what becomes of them, and that events never repeat them."""

from __future__ import annotations

import pytest
from tests.unit.servicekit import (
    ASE,
    BARKEEPER,
    CASHIER,
    CLEANER,
    CREW,
    END_S,
    HOST,
    KIRA,
    MEDIC,
    OFFICER,
    SHOP,
    Deck,
    item,
    viewer,
)

from steward.domain.care import CaseId, NoteId
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.viewing import CrewRole, Purpose, Viewer
from steward.errors import NotFound, Refused
from steward.services.notes import NOTES_EACH_MAX
from steward.services.recovery import OPEN_EACH_MAX

NOBODY = GuestRef("f" * 16)


@pytest.fixture
async def deck() -> Deck:
    return await Deck().aboard()


async def notes_of(deck: Deck, who: Viewer, ref: GuestRef = KIRA) -> list[str]:
    return [note.text for note in (await deck.lookups.card(who, ref, tapped=False)).notes]


async def test_a_note_is_for_its_purpose_until_it_expires(deck: Deck) -> None:
    await deck.notes.add(BARKEEPER, KIRA, " no ice ", deck.clock.unix_s + 3600)
    assert await notes_of(deck, BARKEEPER) == ["no ice"]
    assert await notes_of(deck, HOST) == []
    deck.clock.tick(3599)
    assert await notes_of(deck, BARKEEPER) == ["no ice"]
    deck.clock.tick(1)
    assert await notes_of(deck, BARKEEPER) == []
    assert await deck.store.write(lambda tx: tx.sweep_notes(deck.clock.unix_s)) == 1
    assert await deck.store.read(lambda tx: tx.note_count(KIRA)) == 0


@pytest.mark.parametrize("who", [MEDIC, OFFICER, viewer(CrewRole.SERVICE, Purpose.BILLING)])
async def test_who_sees_no_notes_writes_none(deck: Deck, who: Viewer) -> None:
    note = await deck.notes.add(BARKEEPER, KIRA, "no ice", deck.clock.unix_s + 60)
    for attempt in (deck.notes.add(who, KIRA, "x", deck.clock.unix_s + 60), deck.notes.remove(who, note.id)):
        with pytest.raises(Refused, match="not_permitted"):
            await attempt


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 281])
async def test_a_note_is_one_line(deck: Deck, text: str) -> None:
    with pytest.raises(Refused, match="note_invalid"):
        await deck.notes.add(BARKEEPER, KIRA, text, deck.clock.unix_s + 60)


async def test_a_note_ends_with_the_stay_at_the_latest(deck: Deck) -> None:
    for expires_s in (deck.clock.unix_s, 0, END_S + 1):
        with pytest.raises(Refused, match="note_expiry_invalid"):
            await deck.notes.add(BARKEEPER, KIRA, "x", expires_s)
    with pytest.raises(NotFound):
        await deck.notes.add(BARKEEPER, NOBODY, "x", END_S)
    assert (await deck.notes.add(BARKEEPER, KIRA, "x", END_S)).expires_s == END_S


async def test_notes_are_bounded(deck: Deck) -> None:
    for number in range(NOTES_EACH_MAX):
        await deck.notes.add(BARKEEPER, KIRA, f"note {number}", END_S)
    with pytest.raises(Refused, match="too_many_notes"):
        await deck.notes.add(BARKEEPER, KIRA, "one more", END_S)
    await deck.notes.add(BARKEEPER, ASE, "another guest", END_S)


async def test_a_note_is_removed_by_its_own_purpose(deck: Deck) -> None:
    note = await deck.notes.add(BARKEEPER, KIRA, "no ice", END_S)
    for attempt in (deck.notes.remove(HOST, note.id), deck.notes.remove(BARKEEPER, NoteId("f" * 16))):
        with pytest.raises(NotFound):
            await attempt
    await deck.notes.remove(BARKEEPER, note.id)
    assert await notes_of(deck, BARKEEPER) == []
    events = await deck.events(EventType.NOTE_ADDED, EventType.NOTE_REMOVED)
    assert [event.type for event in events] == [EventType.NOTE_ADDED, EventType.NOTE_REMOVED]
    assert "ice" not in repr(events)
    assert events[0].payload["by"] == CREW


# recovery


async def test_a_case_stops_selling_until_it_is_closed(deck: Deck) -> None:
    await deck.stock(item("tea"), item("cap", SHOP))
    shop = viewer(CrewRole.SERVICE, Purpose.GUEST_SERVICES, SHOP)
    assert len(await deck.offers.suggest(BARKEEPER, KIRA)) == 1
    case = await deck.recovery.open(HOST, KIRA, " cabin was not cleaned ")
    assert await deck.offers.suggest(BARKEEPER, KIRA) == []  # also the offer that waited
    assert await deck.offers.suggest(shop, KIRA) == []
    assert len(await deck.offers.suggest(BARKEEPER, KIRA)) == 0
    assert (await deck.lookups.card(BARKEEPER, KIRA, tapped=False)).cases == (case,)
    closed = await deck.recovery.close(BARKEEPER, case.id, "cleaned, flowers")
    assert (closed.is_open, closed.closed_by, closed.what) == (False, CREW, "")
    assert len(await deck.offers.suggest(BARKEEPER, KIRA)) == 1


async def test_closing_again_changes_nothing(deck: Deck) -> None:
    case = await deck.recovery.open(BARKEEPER, KIRA, "soup was cold")
    first = await deck.recovery.close(BARKEEPER, case.id, "new soup")
    deck.clock.tick(60)
    assert await deck.recovery.close(HOST, case.id, "something else") == first
    events = await deck.events(EventType.RECOVERY_OPENED, EventType.RECOVERY_CLOSED)
    assert [event.type for event in events] == [EventType.RECOVERY_OPENED, EventType.RECOVERY_CLOSED]
    assert "soup" not in repr(events)


async def test_open_cases_are_of_the_outlet_or_all_at_a_service_point_and_each_guest_is_a_look(deck: Deck) -> None:
    first = await deck.recovery.open(BARKEEPER, KIRA, "soup was cold")
    second = await deck.recovery.open(BARKEEPER, KIRA, "and the spoon dirty")
    deck.clock.tick(1)
    third = await deck.recovery.open(HOST, ASE, "luggage is late")
    assert await deck.recovery.open_cases(BARKEEPER) == sorted((first, second), key=lambda case: case.id)
    assert [look.guest for look in await deck.looks()] == [KIRA]
    assert (await deck.recovery.open_cases(HOST))[-1] == third
    assert [look.guest for look in await deck.looks()] == [KIRA, KIRA, ASE]


@pytest.mark.parametrize("who", [MEDIC, OFFICER, viewer(CrewRole.HOUSEKEEPING, Purpose.HOUSEKEEPING)])
async def test_who_puts_nothing_right_opens_no_case(deck: Deck, who: Viewer) -> None:
    case = await deck.recovery.open(CLEANER, KIRA, "towels missing")
    for attempt in (
        deck.recovery.open(who, KIRA, "x"),
        deck.recovery.close(who, case.id, "x"),
        deck.recovery.open_cases(who),
    ):
        with pytest.raises(Refused, match="not_permitted"):
            await attempt


async def test_cases_are_bounded_and_about_somebody(deck: Deck) -> None:
    for number in range(OPEN_EACH_MAX):
        await deck.recovery.open(CASHIER, KIRA, f"case {number}")
    with pytest.raises(Refused, match="too_many_cases"):
        await deck.recovery.open(CASHIER, KIRA, "one more")
    for attempt in (deck.recovery.open(CASHIER, NOBODY, "x"), deck.recovery.close(CASHIER, CaseId("0" * 16), "x")):
        with pytest.raises(NotFound):
            await attempt
    for text in ("", "a\nb", "x" * 281):
        with pytest.raises(Refused, match="case_invalid"):
            await deck.recovery.open(CASHIER, ASE, text)
