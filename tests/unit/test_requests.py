"""Requests by right: the statutory clock, what may be done when, and who reads what was written."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.consentkit import agree
from tests.unit.moneykit import ring
from tests.unit.servicekit import ASE, BARKEEPER, CASHIER, END_S, KIRA, OFFICER, Deck, guest, profile

from steward.domain.consent import ConsentPurpose, purposes_given
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.requests import (
    DUE_SOON_S,
    OPEN_EACH_MAX,
    TEXT_MAX,
    DueCounts,
    Request,
    RequestId,
    RequestState,
    Right,
    due_after,
    is_words,
)
from steward.errors import NotFound, Refused
from steward.services.erasure import BY_GUEST, ErasureService, Scene
from steward.services.notracking import untracked_in
from steward.services.requests import RequestService, close_in

OSLO_S = 3600


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("opened", "months", "offset_s", "due"),
    [
        ("2026-03-05 10:00", 1, 0, "2026-04-06 00:00"),  # until and including the 5th of April
        ("2026-08-31 10:00", 1, 0, "2026-10-01 00:00"),  # September has no 31st
        ("2027-01-31 23:59", 1, 0, "2027-03-01 00:00"),
        ("2028-01-30 00:00", 1, 0, "2028-03-01 00:00"),  # a leap year
        ("2026-12-15 08:00", 1, 0, "2027-01-16 00:00"),
        ("2026-11-30 08:00", 3, 0, "2027-03-01 00:00"),
        ("2026-12-31 08:00", 3, 0, "2027-04-01 00:00"),
        ("2026-03-04 23:30", 1, OSLO_S, "2026-04-05 23:00"),  # the 5th already, ship's time
        ("2026-03-05 00:30", 1, -OSLO_S, "2026-04-05 01:00"),
    ],
)
def test_a_month_is_a_calendar_month_of_the_ships_days(opened: str, months: int, offset_s: int, due: str) -> None:
    assert due_after(at(opened), months, offset_s) == at(due)


def test_words_are_some_lines_of_plain_text() -> None:
    assert is_words("what you have\nand why")
    assert not any(is_words(text) for text in ("", "a\x00b", "a\tb", "x" * (TEXT_MAX + 1), "a\u202eb"))


@pytest.fixture
async def deck() -> Deck:
    return await Deck().aboard()


@pytest.fixture
def service(deck: Deck) -> RequestService:
    return RequestService(deck.store, deck.clock, deck.entropy, deck.lookups, OSLO_S)


async def opened(service: RequestService, right: Right = Right.ACCESS, text: str = "all of it, please") -> Request:
    return await service.open(KIRA, right, text, KIRA)


async def test_a_request_from_beginning_to_end(deck: Deck, service: RequestService) -> None:
    request = await opened(service)
    assert request.due_s == due_after(deck.clock.unix_s, 1, OSLO_S)
    assert [each.id for each in await service.waiting()] == [request.id]
    deck.clock.tick(86_400)
    longer = await service.extend(request.id, "many records, and the officer is ashore", "officer")
    assert longer.due_s == due_after(request.opened_s, 3, OSLO_S)
    done = await service.answer(request.id, RequestState.DONE, "handed over at the desk", "officer", "export:7")
    assert (done.state, done.linked, done.closed_by) == (RequestState.DONE, "export:7", "officer")
    assert (list(await service.waiting()), [each.id for each in await service.answered()]) == ([], [request.id])
    view = (await service.of_guest(KIRA))[0]
    assert [(each.step.state.value, each.step.by, each.words) for each in view.steps] == [
        ("open", KIRA, "all of it, please"),
        ("extended", "officer", "many records, and the officer is ashore"),
        ("done", "officer", "handed over at the desk"),
    ]


@pytest.mark.parametrize("right", list(Right))
@pytest.mark.parametrize("state", [RequestState.DONE, RequestState.REFUSED])
async def test_who_restricts_or_objects_is_left_alone_once_it_is_done(
    deck: Deck, service: RequestService, right: Right, state: RequestState
) -> None:
    await deck.store.write(lambda tx: agree(tx, KIRA, *ConsentPurpose))
    request = await opened(service, right)
    assert not await deck.store.read(lambda tx: untracked_in(tx, KIRA))
    await service.answer(request.id, state, "so be it", "officer")
    stops = state is RequestState.DONE and right in (Right.RESTRICTION, Right.OBJECTION)
    assert await deck.store.read(lambda tx: untracked_in(tx, KIRA)) is stops
    given = await deck.store.read(lambda tx: purposes_given(tx.consents_of(KIRA)))
    assert given == (set() if stops else set(ConsentPurpose))


async def test_the_log_says_that_it_was_asked_and_answered_and_no_word_of_it(
    deck: Deck, service: RequestService
) -> None:
    request = await opened(service, text="about my knee")
    await service.answer(request.id, RequestState.REFUSED, "we hold nothing of a knee", "officer")
    events = await deck.events(EventType.REQUEST_OPENED, EventType.REQUEST_CLOSED)
    assert [event.payload["right"] for event in events] == ["access", "access"]
    assert events[1].payload["state"] == "refused"
    assert not any("knee" in str(value) for event in events for value in event.payload.values())


async def test_a_guest_sees_own_requests_only(service: RequestService) -> None:
    await opened(service)
    assert await service.of_guest(ASE) == []


async def test_reading_what_was_written_is_a_look_up(deck: Deck, service: RequestService) -> None:
    request = await opened(service)
    before = len(await deck.looks())
    view = await service.view(OFFICER, request.id)
    assert view.steps[0].words == "all of it, please"
    look = (await deck.looks())[before]
    assert (look.guest, look.role, [field.value for field in look.fields]) == (KIRA, OFFICER.role, ["requests"])


@pytest.mark.parametrize("who", [BARKEEPER, CASHIER])
async def test_no_other_crew_reads_a_request(deck: Deck, service: RequestService, who) -> None:  # type: ignore[no-untyped-def]
    request = await opened(service)
    before = len(await deck.looks())
    with pytest.raises(Refused, match="not_permitted"):
        await service.view(who, request.id)
    assert len(await deck.looks()) == before


async def test_the_alarm_counts_what_is_due_soon_and_what_is_late(deck: Deck, service: RequestService) -> None:
    request = await opened(service)
    assert await service.due() == DueCounts(1, 0, 0)
    deck.clock.tick(request.due_s - DUE_SOON_S - deck.clock.unix_s)
    assert await service.due() == DueCounts(1, 1, 0)
    deck.clock.tick(DUE_SOON_S)
    assert await service.due() == DueCounts(1, 0, 1)
    await service.answer(request.id, RequestState.DONE, "done", "officer")
    assert await service.due() == DueCounts(0, 0, 0)


async def test_it_is_extended_once_and_within_the_first_month(deck: Deck, service: RequestService) -> None:
    first, second = await opened(service), await opened(service)
    await service.extend(first.id, "many records", "officer")
    with pytest.raises(Refused, match="request_not_extended"):
        await service.extend(first.id, "many more", "officer")
    deck.clock.tick(second.due_s - deck.clock.unix_s)
    with pytest.raises(Refused, match="request_not_extended"):
        await service.extend(second.id, "too late", "officer")
    await service.answer(second.id, RequestState.DONE, "late, but done", "officer")
    with pytest.raises(Refused, match="request_not_extended"):
        await service.extend(second.id, "it is over", "officer")


async def test_an_answer_stays(service: RequestService) -> None:
    request = await opened(service)
    await service.answer(request.id, RequestState.DONE, "done", "officer")
    again = await service.answer(request.id, RequestState.DONE, "done", "officer")  # the same button twice
    assert again.state is RequestState.DONE
    for state, by in ((RequestState.REFUSED, "officer"), (RequestState.DONE, "another")):
        with pytest.raises(Refused, match="request_answered"):
            await service.answer(request.id, state, "no", by)
    assert len((await service.of_guest(KIRA))[0].steps) == 2


async def test_two_who_answer_at_once_are_one_answer(service: RequestService) -> None:
    request = await opened(service)
    both = await asyncio.gather(
        service.answer(request.id, RequestState.DONE, "done", "one"),
        service.answer(request.id, RequestState.REFUSED, "no", "two"),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Refused) for each in both) == 1


@pytest.mark.parametrize("text", ["", "  \n ", "x" * (TEXT_MAX + 1), "a\x07b"])
async def test_an_answer_says_something(service: RequestService, text: str) -> None:
    request = await opened(service)
    for attempt in (
        service.answer(request.id, RequestState.REFUSED, text, "officer"),
        service.extend(request.id, text, "officer"),
    ):
        with pytest.raises(Refused, match="request_text_invalid"):
            await attempt
    assert (await service.of_guest(KIRA))[0].request.waits


async def test_a_request_may_say_no_more_than_its_right(deck: Deck, service: RequestService) -> None:
    await opened(service, Right.PORTABILITY, "")
    assert (await service.of_guest(KIRA))[0].steps[0].words == ""
    with pytest.raises(Refused, match="request_text_invalid"):
        await opened(service, text="a\x00b")


async def test_who_is_not_here_asks_nothing_and_nobody_asks_without_end(service: RequestService) -> None:
    with pytest.raises(NotFound):
        await service.open(GuestRef("f" * 16), Right.ACCESS, "mine", "officer")
    with pytest.raises(NotFound):
        await service.answer(RequestId("f" * 16), RequestState.DONE, "done", "officer")
    for _ in range(OPEN_EACH_MAX):
        await opened(service)
    with pytest.raises(Refused, match="too_many_requests"):
        await opened(service)


async def test_a_gateway_that_follows_sends_them_to_the_authority(deck: Deck) -> None:
    follower = RequestService(deck.store, deck.clock, deck.entropy, deck.lookups, follows=True)
    with pytest.raises(Refused, match="authority_only"):
        await opened(follower)


async def test_what_was_made_closes_the_requests_it_answers(deck: Deck, service: RequestService) -> None:
    access, erasure = await opened(service), await opened(service, Right.ERASURE)
    closed = await deck.store.write(
        lambda tx: close_in(tx, KIRA, Right.ACCESS, deck.clock.unix_s, "officer", "export:9")
    )
    assert closed == 1
    states = {view.request.id: (view.request.state.value, view.request.linked) for view in await service.of_guest(KIRA)}
    assert states == {access.id: ("done", "export:9"), erasure.id: ("open", "")}


async def test_a_forgotten_guests_words_are_gone_and_the_request_is_not(deck: Deck, service: RequestService) -> None:
    request = await opened(service, Right.ERASURE, "everything")
    await deck.store.write(lambda tx: tx.put_profile(profile(KIRA)))
    await deck.store.write(lambda tx: tx.destroy_key(KIRA))
    view = (await service.of_guest(KIRA))[0]
    assert (view.request.id, [each.words for each in view.steps]) == (request.id, [""])
    assert (await service.due()).waiting == 1


async def test_a_clock_set_back_does_not_date_the_answer_before_the_question(
    deck: Deck, service: RequestService
) -> None:
    request = await opened(service)
    deck.clock.step(-86_400)
    done = await service.answer(request.id, RequestState.DONE, "done", "officer")
    assert done.closed_s == request.opened_s


async def test_being_forgotten_answers_the_request_for_it_and_names_the_certificate(
    deck: Deck, service: RequestService
) -> None:
    asked, other = await opened(service, Right.ERASURE, "everything"), await opened(service)
    await deck.store.write(lambda tx: tx.put_guest(replace(guest(KIRA), settled=True)))
    deck.clock.tick(END_S - deck.clock.unix_s + 1)
    erasure = await ErasureService(deck.store, deck.clock, ring(), Scene("aurora", "gw1")).erase(KIRA, BY_GUEST)
    found = await deck.store.read(lambda tx: [tx.request(each.id) for each in (asked, other)])
    assert [None if each is None else (each.state.value, each.linked) for each in found] == [
        ("done", f"certificate:{erasure.certificate}"),
        ("open", ""),
    ]
