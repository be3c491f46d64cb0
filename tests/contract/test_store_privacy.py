"""The privacy officer's records behave the same on both stores, and the stores themselves hold the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.contract import serviceparts
from tests.contract.makers import ANNA, AT_S, BOB, guest
from tests.contract.serviceparts import MEDIC, WAITER, look

from steward.adapters.store_rules import ReadOnlyError
from steward.domain.care import NoteId
from steward.domain.context import StayCompany
from steward.domain.erasure import Erasure
from steward.domain.events import EventType, fact, is_erased
from steward.domain.features import Company
from steward.domain.ids import GuestRef
from steward.domain.incident import DeviceKind, Incident, IncidentId, IncidentStep, StepState
from steward.domain.requests import Request, RequestId, RequestState, RequestStep, Right, closed, extended
from steward.domain.retention import AGED, TABLES, Part, RetentionRun
from steward.domain.viewing import Field, Way
from steward.errors import Conflict, Refused
from steward.ports import Store, Tx
from steward.ports.privacy import ActorLooks, Finding, GlassReview, LookQuery, PrivacyTx

DAY_S = 86_400
ONE, TWO = RequestId("01" * 8), RequestId("02" * 8)


def request(id_: RequestId = ONE, ref: GuestRef = ANNA, **changes: Any) -> Request:
    return replace(Request(id_, ref, Right.ACCESS, AT_S, ref, AT_S + 30 * DAY_S), **changes)


def step(made: Request, at_s: int = AT_S, words: bytes = b"sealed") -> RequestStep:
    return RequestStep(made.id, at_s, "officer", made.state, words)


def put(tx: Tx, made: Request, words: bytes = b"sealed") -> None:
    tx.put_request(made, step(made, words=words))


async def test_a_request_comes_back_with_its_steps_in_order(store: Store) -> None:
    asked = request()
    longer = extended(asked, 0)
    done = closed(longer, RequestState.DONE, AT_S + 9, "officer", "export:1")
    for each in (asked, longer, done):
        await store.write(lambda tx, each=each: put(tx, each, str(each.state).encode()))
    found, steps = await store.read(lambda tx: (tx.request(ONE), list(tx.request_steps(ONE))))
    assert found == done
    assert [(each.state, each.words) for each in steps] == [
        (RequestState.OPEN, b"open"),
        (RequestState.EXTENDED, b"extended"),
        (RequestState.DONE, b"done"),
    ]
    assert await store.read(lambda tx: (tx.request(TWO), list(tx.request_steps(TWO)))) == (None, [])


async def test_what_waits_is_listed_by_its_due_date_and_the_rest_by_its_answer(store: Store) -> None:
    rows = [request(RequestId(f"{n:016x}"), due_s=AT_S + 100 - n) for n in range(4)]
    answered = (
        closed(rows[0], RequestState.REFUSED, AT_S + 5, "officer"),
        closed(rows[2], RequestState.DONE, AT_S + 7, "officer"),
    )

    def fill(tx: Tx) -> None:
        for each in rows:
            put(tx, each)
        for each in answered:
            put(tx, each)

    await store.write(fill)
    waiting, done = await store.read(lambda tx: (list(tx.waiting_requests()), list(tx.answered_requests(9))))
    assert waiting == [rows[3], rows[1]]
    assert done == [answered[1], answered[0]]
    assert await store.read(lambda tx: list(tx.answered_requests(1))) == [answered[1]]
    assert [each.id for each in await store.read(lambda tx: tx.requests_of(ANNA, 2))] == [rows[3].id, rows[2].id]
    assert await store.read(lambda tx: (list(tx.requests_of(BOB, 9)), list(tx.requests_of(ANNA, -1)))) == ([], [])


@pytest.mark.parametrize(
    "changed",
    [
        request(guest=BOB),
        request(right=Right.ERASURE),
        request(opened_s=AT_S - 1),
        request(opened_by="another"),
        request(due_s=AT_S + 31 * DAY_S),
        request(),
        request(state=RequestState.EXTENDED),
        request(state=RequestState.EXTENDED, due_s=AT_S + DAY_S),
        request(state=RequestState.DONE),
        request(state=RequestState.DONE, closed_s=AT_S),
        request(state=RequestState.DONE, closed_s=AT_S - 1, closed_by="x"),
        request(closed_s=AT_S, closed_by="x"),
    ],
)
async def test_what_was_asked_stays(store: Store, changed: Request) -> None:
    await store.write(lambda tx: put(tx, request()))
    with pytest.raises(Conflict):
        await store.write(lambda tx: put(tx, changed))
    found, steps = await store.read(lambda tx: (tx.request(ONE), list(tx.request_steps(ONE))))
    assert (found, len(steps)) == (request(), 1)


async def test_it_is_extended_once_and_answered_once(store: Store) -> None:
    longer = extended(request(), 0)
    done = closed(longer, RequestState.DONE, AT_S + 9, "officer")
    for each in (request(), longer):
        await store.write(lambda tx, each=each: put(tx, each))
    with pytest.raises(Conflict):
        await store.write(lambda tx: put(tx, replace(longer, due_s=longer.due_s + 1)))
    await store.write(lambda tx: put(tx, done))
    for late in (done, replace(done, state=RequestState.REFUSED), replace(done, linked="other")):
        with pytest.raises(Conflict):
            await store.write(lambda tx, late=late: put(tx, late))


async def test_forgetting_a_guest_takes_the_words_and_leaves_that_they_asked(store: Store) -> None:
    def fill(tx: Tx) -> None:
        put(tx, request())
        put(tx, request(TWO, BOB))
        seq = tx.log_look_up(look({Field.ALLERGIES}, way=Way.BROKE_GLASS, reason="she fainted")).seq
        tx.put_review(GlassReview(seq, "officer", AT_S, Finding.JUSTIFIED, b"sealed"))

    await store.write(fill)
    assert await store.write(lambda tx: tx.drop_request_words(ANNA)) == 2
    assert await store.write(lambda tx: tx.drop_request_words(ANNA)) == 0
    own, other, review = await store.read(
        lambda tx: (list(tx.request_steps(ONE)), list(tx.request_steps(TWO)), tx.reviews([1])[1])
    )
    assert [each.words for each in own] == [b""]
    assert [each.words for each in other] == [b"sealed"]
    assert (review.words, review.finding) == (b"", Finding.JUSTIFIED)
    assert await store.read(lambda tx: tx.request(ONE)) == request()


async def test_look_ups_are_found_by_everything_that_is_asked(store: Store) -> None:
    def fill(tx: Tx) -> None:
        tx.log_look_up(look({Field.CABIN}))
        tx.log_look_up(look({Field.LANGUAGE}, BOB, WAITER, AT_S + 10))
        tx.log_look_up(look({Field.ALLERGIES}, BOB, at_s=AT_S + 20, way=Way.BROKE_GLASS, reason="fainted"))
        tx.log_look_up(look({Field.LANGUAGE}, ANNA, WAITER, AT_S + 30, way=Way.TAPPED))

    await store.write(fill)

    async def seqs(before: int = 99, limit: int = 9, **asked: Any) -> list[int]:
        query = LookQuery(**asked)
        return [each.seq for each in await store.read(lambda tx: tx.find_looks(query, before, limit))]

    assert await seqs() == [4, 3, 2, 1]
    assert await seqs(before=3, limit=1) == [2]
    assert await seqs(guest=BOB) == [3, 2]
    assert await seqs(actor=WAITER.actor) == [4, 2]
    assert await seqs(actor=WAITER.actor, guest=ANNA) == [4]
    assert await seqs(role=MEDIC.role) == [3, 1]
    assert await seqs(purpose=WAITER.purpose, from_s=AT_S + 11) == [4]
    assert await seqs(from_s=AT_S + 10, to_s=AT_S + 30) == [3, 2]
    assert await seqs(only_glass=True) == [3]
    assert await seqs(guest=GuestRef("x' OR 1=1 --")) == []
    assert await seqs(limit=-1) == []


async def test_who_looks_at_many_is_counted(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for n in range(5):
            tx.log_look_up(look({Field.LANGUAGE}, GuestRef(f"{n:016x}"), WAITER))
        tx.log_look_up(look({Field.LANGUAGE}, GuestRef("0" * 16), WAITER, way=Way.TAPPED))
        tx.log_look_up(look({Field.ALLERGIES}, way=Way.BROKE_GLASS, reason="fainted"))
        tx.log_look_up(look({Field.CABIN}, BOB, at_s=AT_S + 100))

    await store.write(fill)
    rows = list(await store.read(lambda tx: tx.looks_by_actor(AT_S, AT_S + 1, 9)))
    assert rows == [ActorLooks("c1", WAITER.role, 5, 6, 5, 0), ActorLooks("c9", MEDIC.role, 1, 1, 1, 1)]
    assert list(await store.read(lambda tx: tx.looks_by_actor(AT_S, AT_S + 1, 1))) == rows[:1]
    assert list(await store.read(lambda tx: tx.looks_by_actor(0, AT_S, 9))) == []


async def test_a_broken_glass_is_reviewed_once_and_never_by_who_broke_it(store: Store) -> None:
    def fill(tx: Tx) -> None:
        tx.log_look_up(look({Field.ALLERGIES}, way=Way.BROKE_GLASS, reason="fainted"))
        tx.log_look_up(look({Field.CABIN}))

    await store.write(fill)
    assert await store.read(lambda tx: tx.unreviewed_glass()) == 1
    review = GlassReview(1, "officer", AT_S, Finding.UNCLEAR, b"sealed")
    for wrong in (replace(review, by=MEDIC.actor), replace(review, look=2), replace(review, look=3)):
        with pytest.raises(Conflict):
            await store.write(lambda tx, wrong=wrong: tx.put_review(wrong))
    await store.write(lambda tx: tx.put_review(review))
    assert await store.read(lambda tx: (tx.unreviewed_glass(), dict(tx.reviews([1, 2])))) == (1, {1: review})
    final = replace(review, finding=Finding.NOT_JUSTIFIED, at_s=AT_S + 5, words=b"more")
    await store.write(lambda tx: tx.put_review(final))
    assert await store.read(lambda tx: (tx.unreviewed_glass(), dict(tx.reviews([1])))) == (0, {1: final})
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_review(replace(final, finding=Finding.JUSTIFIED)))


def fill_parts(tx: Tx) -> None:
    """Something of each part, of a guest who left and of one who has not."""
    for ref, until_s in ((ANNA, AT_S), (BOB, AT_S + 9)):
        tx.put_guest(replace(guest(ref), crew=False, not_after_s=until_s))
    for name, write in serviceparts.WRITES.items():
        if name.startswith("put_") and name not in ("put_crew", "put_session"):
            write(tx)
    put(tx, closed(request(), RequestState.DONE, AT_S + 9, "officer"))
    seq = tx.log_look_up(look({Field.ALLERGIES}, way=Way.BROKE_GLASS, reason="she fainted")).seq
    tx.put_review(GlassReview(seq, "officer", AT_S, Finding.JUSTIFIED, b"sealed"))


PARTS = [part for part in Part if part not in (Part.LOOK_UP, Part.DECISION, Part.SIGNAL, Part.HEALTH)]


@pytest.mark.parametrize("part", PARTS)
async def test_what_is_over_goes_part_by_part(store: Store, part: Part) -> None:
    await store.write(fill_parts)
    if part is Part.COMPANY:
        await store.write(lambda tx: tx.put_company(StayCompany(ANNA, next(iter(Company)))))
    if part is Part.CASE:
        await store.write(lambda tx: tx.open_case(serviceparts.case()))

    def left(tx: Tx, before_s: int) -> tuple[list[GuestRef], int]:
        return list(tx.left_with(part, before_s, 9)), tx.count_left_with(part, before_s)

    assert await store.read(lambda tx: left(tx, AT_S - 1)) == ([], 0)
    assert await store.read(lambda tx: left(tx, AT_S)) == ([ANNA], 1)
    assert await store.write(lambda tx: tx.drop_part(part, ANNA)) > 0
    assert await store.write(lambda tx: tx.drop_part(part, ANNA)) == 0
    assert await store.read(lambda tx: left(tx, AT_S)) == ([], 0)


async def test_the_crews_own_rows_are_not_swept_with_the_guests(store: Store) -> None:
    def fill(tx: Tx) -> None:
        tx.put_guest(replace(guest(ANNA), crew=True, not_after_s=0))
        tx.put_profile(serviceparts.profile())

    await store.write(fill)
    assert await store.read(lambda tx: list(tx.left_with(Part.PROFILE, AT_S, 9))) == []


@pytest.mark.parametrize("part", sorted(AGED))
async def test_rows_with_a_time_of_their_own_go_by_it(store: Store, part: Part) -> None:
    def fill(tx: Tx) -> None:
        for n in range(3):
            tx.put_note(serviceparts.note(NoteId(f"{n:016x}"), at_s=AT_S + n))
            tx.open_case(serviceparts.case(f"{n:016x}", opened_s=AT_S + n))  # type: ignore[arg-type]
            tx.put_offer(serviceparts.offer(f"{n:032x}", at_s=AT_S + n, answered_s=AT_S + n))  # type: ignore[arg-type]
            asked = request(RequestId(f"{n:016x}"))
            put(tx, asked)
            put(tx, closed(asked, RequestState.DONE, AT_S + n, "officer"))
            seq = tx.log_look_up(look({Field.ALLERGIES}, way=Way.BROKE_GLASS, reason="she fainted")).seq
            tx.put_review(GlassReview(seq, "officer", AT_S + n, Finding.JUSTIFIED, b""))
        put(tx, request(RequestId("f" * 16)))
        tx.drop_look_contents(ANNA)

    await store.write(fill)
    assert await store.read(lambda tx: [tx.count_aged(part, AT_S + n) for n in (0, 2, 9)]) == [0, 2, 3]
    assert await store.write(lambda tx: tx.drop_aged(part, AT_S + 2, 1)) == 1
    assert await store.write(lambda tx: tx.drop_aged(part, AT_S + 2, 9)) == 1
    assert await store.write(lambda tx: tx.drop_aged(part, AT_S + 2, 9)) == 0
    assert await store.read(lambda tx: tx.count_aged(part, AT_S + 9)) == 1
    assert await store.read(lambda tx: [each.id for each in tx.waiting_requests()]) == [RequestId("f" * 16)]


async def test_a_finding_goes_no_sooner_than_what_it_is_about(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for ref in (ANNA, BOB):
            seq = tx.log_look_up(look({Field.ALLERGIES}, ref, way=Way.BROKE_GLASS, reason="fainted")).seq
            tx.put_review(GlassReview(seq, "officer", AT_S, Finding.JUSTIFIED, b"sealed"))
        tx.drop_request_words(ANNA)
        tx.drop_look_contents(ANNA)

    await store.write(fill)
    erased = GlassReview(1, "officer", AT_S, Finding.JUSTIFIED, b"")
    assert (await store.read(lambda tx: tx.reviews([1])))[1] == erased
    assert await store.read(lambda tx: (tx.count_aged(Part.REVIEW, AT_S), tx.count_aged(Part.REVIEW, AT_S + 1))) == (
        0,
        1,
    )
    alone = await store.read(lambda tx: (list(tx.reviews_alone(9)), list(tx.reviews_alone(0))))
    assert alone == ([erased], [])
    assert await store.write(lambda tx: tx.drop_aged(Part.REVIEW, AT_S + 1, 9)) == 1
    assert list(await store.read(lambda tx: tx.reviews_alone(9))) == []
    assert list(await store.read(lambda tx: tx.reviews([1, 2]))) == [2]
    assert await store.read(lambda tx: tx.unreviewed_glass()) == 0


async def test_events_that_can_be_read_are_counted(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for n in range(3):
            tx.append_event(fact(EventType.DOOR_OPENED, AT_S + n, guest=ANNA))
        tx.append_event(fact(EventType.PIN_SET, AT_S, guest=ANNA))

    await store.write(fill)
    assert await store.read(
        lambda tx: [tx.count_events_before(EventType.DOOR_OPENED, AT_S + n) for n in (0, 2, 9)]
    ) == [0, 2, 3]
    assert await store.write(lambda tx: tx.redact_events_before(EventType.DOOR_OPENED, AT_S + 2, 9)) == 2
    assert await store.read(lambda tx: tx.count_events_before(EventType.DOOR_OPENED, AT_S + 9)) == 1


async def test_events_go_by_the_stay_of_their_guest(store: Store) -> None:
    left, aboard = ANNA, BOB

    def fill(tx: Tx) -> None:
        tx.put_guest(replace(guest(left), not_after_s=AT_S))
        tx.put_guest(replace(guest(aboard), not_after_s=AT_S + 9))
        for n, named in enumerate(({"guest": left}, {"guest": aboard}, {"guest": left}, {"unlocked": True})):
            tx.append_event(fact(EventType.PIN_SET, AT_S - 10 + n, **named))

    def counts(tx: Tx) -> tuple[int, int, int]:
        kind = EventType.PIN_SET
        some = tx.count_events_left(kind, AT_S - 1, 0), tx.count_events_left(kind, AT_S, 0)
        return *some, tx.count_events_left(kind, AT_S, AT_S)

    await store.write(fill)
    assert await store.read(counts) == (0, 2, 3)
    assert await store.write(lambda tx: tx.redact_left(EventType.PIN_SET, AT_S, 0, 1)) == 1
    assert await store.write(lambda tx: tx.redact_left(EventType.PIN_SET, AT_S, 0, 9)) == 1
    assert await store.write(lambda tx: tx.redact_left(EventType.DOOR_OPENED, AT_S + 99, AT_S, 9)) == 0
    events = await store.read(lambda tx: tx.events(0, 99))
    assert [is_erased(event) for event in events if event.type is EventType.PIN_SET] == [True, False, True, False]


async def test_runs_come_back_newest_first_and_never_empty(store: Store) -> None:
    runs = [RetentionRun(AT_S + n, "note", n + 1, AT_S - n, held=n == 1) for n in range(3)]
    for run in runs:
        await store.write(lambda tx, run=run: tx.put_run(run))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_run(replace(runs[0], deleted=0)))
    assert list(await store.read(lambda tx: tx.runs(2))) == runs[:0:-1]


async def test_an_incident_stays_as_it_was_declared_and_what_is_done_is_done(store: Store) -> None:
    incident = Incident(IncidentId("0a" * 6), DeviceKind.BAND, "04A1", AT_S, AT_S + 1, AT_S + 2, "officer", 1)
    begun = IncidentStep(incident.id, "freeze_bands", StepState.BEGUN, AT_S, "1")
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_incident_step(begun))
    await store.write(lambda tx: (tx.put_incident(incident), tx.put_incident(incident)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_incident(replace(incident, guests=2)))
    done = replace(begun, state=StepState.DONE)
    for each in (begun, begun, done, done):
        await store.write(lambda tx, each=each: tx.put_incident_step(each))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_incident_step(begun))
    found = await store.read(
        lambda tx: (tx.incident(incident.id), list(tx.incidents(9)), list(tx.incident_steps(incident.id)))
    )
    assert found == (incident, [incident], [done])
    assert await store.read(lambda tx: tx.incident(IncidentId("ff"))) is None


def test_every_part_has_tables() -> None:
    assert set(TABLES) == set(Part)


async def test_what_implies_health_goes_before_the_name_does(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for ref in (ANNA, BOB):
            tx.put_guest(replace(guest(ref), crew=False, not_after_s=AT_S))
        tx.put_profile(serviceparts.profile(ANNA))
        tx.put_profile(serviceparts.profile(BOB, allergies=(), diet=()))

    await store.write(fill)
    assert list(await store.write(lambda tx: tx.left_with(Part.HEALTH, AT_S, 9))) == [ANNA]
    await store.write(lambda tx: tx.drop_part(Part.HEALTH, ANNA))
    assert list(await store.write(lambda tx: tx.left_with(Part.HEALTH, AT_S, 9))) == []
    fields = {Field.ALLERGIES, Field.DIET, Field.FULL_NAME}
    shown = await store.write(lambda tx: tx.disclose(look(fields, ANNA)))
    assert (shown.allergies, shown.diet, shown.full_name) == ((), (), "Anna Bjørnstad-Müller")


async def test_what_a_look_up_says_goes_and_its_place_stays(store: Store) -> None:
    def fill(tx: Tx) -> None:
        tx.put_guest(replace(guest(ANNA), crew=False, not_after_s=AT_S))
        for _ in range(2):
            tx.log_look_up(look({Field.CABIN}))

    await store.write(fill)
    assert list(await store.read(lambda tx: tx.left_with(Part.LOOK_UP, AT_S, 9))) == [ANNA]
    assert await store.write(lambda tx: tx.drop_part(Part.LOOK_UP, ANNA)) == 2
    assert list(await store.read(lambda tx: tx.left_with(Part.LOOK_UP, AT_S, 9))) == []
    assert list(await store.read(lambda tx: tx.find_looks(LookQuery(), 99, 9))) == []


async def test_who_was_asked_to_be_forgotten_is_not_asked_for_again(store: Store) -> None:
    def fill(tx: Tx) -> None:
        tx.put_guest(replace(guest(ANNA), crew=False, not_after_s=AT_S))
        tx.put_guest(replace(guest(BOB), crew=True, not_after_s=AT_S))
        tx.put_erasure(Erasure(ANNA, "c" * 32, AT_S, "guest", ""))

    await store.write(lambda tx: tx.put_guest(replace(guest(ANNA), crew=False, not_after_s=AT_S)))
    assert list(await store.read(lambda tx: tx.forgotten_next(AT_S, 9))) == [ANNA]
    assert list(await store.read(lambda tx: tx.forgotten_next(AT_S - 1, 9))) == []
    await store.write(fill)
    assert list(await store.read(lambda tx: tx.forgotten_next(AT_S, 9))) == []


INCIDENT = Incident(IncidentId("0b" * 6), DeviceKind.BAND, "04A2", AT_S, AT_S + 1, AT_S + 2, "officer", 1)
WRITES: dict[str, Callable[[Tx], object]] = {
    "put_request": lambda tx: put(tx, request(TWO)),
    "drop_request_words": lambda tx: (put(tx, request(TWO)), tx.drop_request_words(ANNA)),
    "put_review": lambda tx: tx.put_review(GlassReview(1, "officer", AT_S, Finding.JUSTIFIED, b"sealed")),
    "drop_part": lambda tx: tx.drop_part(Part.REQUEST, ANNA),
    "drop_aged": lambda tx: tx.drop_aged(Part.NOTE, AT_S + 99, 9),
    "redact_left": lambda tx: tx.redact_left(EventType.PIN_SET, AT_S + 99, AT_S + 99, 9),
    "put_run": lambda tx: tx.put_run(RetentionRun(AT_S, "note", 1, AT_S)),
    "put_incident": lambda tx: tx.put_incident(INCIDENT),
    "put_incident_step": lambda tx: (
        tx.put_incident(INCIDENT),
        tx.put_incident_step(IncidentStep(INCIDENT.id, "x", StepState.DONE, AT_S)),
    ),
}


def begin(tx: Tx) -> None:
    """Something for each of them to change."""
    tx.put_guest(replace(guest(ANNA), crew=False, not_after_s=AT_S))
    tx.put_note(serviceparts.note())
    put(tx, request())
    tx.append_event(fact(EventType.PIN_SET, AT_S, guest=ANNA, unlocked=False))
    tx.log_look_up(look({Field.ALLERGIES}, way=Way.BROKE_GLASS, reason="fainted"))


def everything(tx: Tx) -> tuple[object, ...]:
    return (
        *(list(tx.waiting_requests()), list(tx.requests_of(ANNA, 9)), list(tx.request_steps(ONE))),
        *(list(tx.request_steps(TWO)), dict(tx.reviews([1])), tx.unreviewed_glass(), tx.note_count(ANNA)),
        *(list(tx.events(0, 99)), list(tx.runs(9)), list(tx.incidents(9)), list(tx.incident_steps(INCIDENT.id))),
    )


@pytest.mark.parametrize("name", WRITES)
async def test_a_failed_closure_leaves_nothing(store: Store, name: str) -> None:
    await store.write(begin)
    before = await store.read(everything)

    def fail(tx: Tx) -> None:
        WRITES[name](tx)
        assert everything(tx) != before
        raise Refused("late")

    with pytest.raises(Refused, match="late"):
        await store.write(fail)
    assert await store.read(everything) == before
    await store.write(WRITES[name])
    assert await store.read(everything) != before


@pytest.mark.parametrize("name", WRITES)
async def test_who_only_reads_writes_nothing(store: Store, name: str) -> None:
    await store.write(begin)
    before = await store.read(everything)
    with pytest.raises(ReadOnlyError):
        await store.read(WRITES[name])
    assert await store.read(everything) == before


def test_every_method_that_writes_is_among_them() -> None:
    methods = {name for name in vars(PrivacyTx) if not name.startswith("_")}
    writing = {name for name in methods if name.startswith(("put_", "drop_", "redact_"))}
    assert writing == set(WRITES)
