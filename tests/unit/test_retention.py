"""What is over is deleted by itself, rule by rule, in small batches that say so; never on a doubtful clock's word."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.unit.moneykit import HandClock, ring
from tests.unit.servicekit import ASE, BARKEEPER, END_S, KIRA, MEDIC, Deck, guest, profile

from steward.domain.events import EventType, fact, is_erased
from steward.domain.ids import GuestRef
from steward.domain.presence import KEPT_S, Presence
from steward.domain.retention import DAY_S, JUMP_MAX_S, EventRule, Part, PartRule, Rule, days_of_all, rules_of
from steward.domain.usecases import REGISTER
from steward.domain.viewing import Field, Way, look_at
from steward.errors import Refused
from steward.ports import Store, Tx
from steward.ports.privacy import Finding, GlassReview
from steward.services.clockmark import last_time, set_mark
from steward.services.erasure import BY_OFFICER, ErasureService, Scene
from steward.services.retention import BATCHES_MAX, GUESTS_AT_ONCE, ROWS_AT_ONCE, RetentionService, read_passage

PROFILES = PartRule(Part.PROFILE, 30)
DOORS = EventRule(EventType.DOOR_OPENED, 30)


def keeper(deck: Deck, *rules: Rule, peers: Sequence[str] = ()) -> RetentionService:
    return RetentionService(deck.store, deck.clock, rules, peers, last_time)


@pytest.fixture
async def deck() -> Deck:
    return await Deck(clock=HandClock()).aboard()


async def days(deck: Deck, service: RetentionService, count: int) -> int:
    """Time goes by with the gateway running; how many rows went."""
    swept = 0
    for _ in range(count):
        deck.clock.tick(DAY_S)
        swept += await service.sweep()
    return swept


async def has_profile(store: Store, ref: GuestRef = KIRA) -> bool:
    return await store.read(lambda tx: tx.has_profile(ref))


async def runs(deck: Deck) -> list[tuple[str, int]]:
    return [(run.rule, run.deleted) for run in await deck.store.read(lambda tx: tx.runs(99))]


async def said(deck: Deck) -> list[tuple[str, int]]:
    """What the log says of it, in order."""
    events = await deck.store.read(lambda tx: tx.events(0, 10_000))
    kept = [event.payload for event in events if event.type is EventType.RETENTION_RUN]
    return [(str(payload["rule"]), int(str(payload["deleted"]))) for payload in kept]


async def test_it_runs_by_itself(deck: Deck) -> None:
    await deck.notes.add(BARKEEPER, KIRA, "no ice", deck.clock.unix_s + 60)
    keeping = asyncio.create_task(keeper(deck).run(every_s=0))
    deck.clock.tick(61)
    async with asyncio.timeout(20):
        while await deck.store.read(lambda tx: tx.note_count(KIRA)):  # noqa: ASYNC110 the store's own state
            await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert await said(deck) == [("expired:note", 1)]


async def test_where_a_band_was_heard_goes_in_hours(deck: Deck) -> None:
    seen_s = deck.clock.unix_s
    await deck.store.write(lambda tx: tx.put_presence(Presence(KIRA, "spa", seen_s, seen_s)))
    service = keeper(deck)
    deck.clock.tick(KEPT_S)
    await service.sweep()
    assert await deck.store.read(lambda tx: tx.presence(KIRA)) is not None
    deck.clock.tick(1)
    await service.sweep()
    assert await deck.store.read(lambda tx: tx.presence(KIRA)) is None
    assert await said(deck) == [("expired:presence", 1)]


async def test_a_profile_goes_when_its_time_after_the_stay_is_over_and_not_before(deck: Deck) -> None:
    service = keeper(deck, PROFILES)
    await service.sweep()
    assert await days(deck, service, 34) == 0
    assert await has_profile(deck.store)
    assert await days(deck, service, 1) == 2  # two profiles and a photo
    assert not await has_profile(deck.store)
    assert await runs(deck) == [("profile", 2)]
    assert await said(deck) == [("profile", 2)]


async def test_nothing_of_a_guest_is_in_what_it_says(deck: Deck) -> None:
    service = keeper(deck, PROFILES)
    await service.sweep()
    await days(deck, service, 36)
    events = await deck.store.read(lambda tx: tx.events(0, 10_000))
    payload = next(event.payload for event in events if event.type is EventType.RETENTION_RUN)
    assert payload.keys() == {"rule", "deleted", "before_s"}


async def test_a_clock_set_back_does_not_keep_what_is_over(deck: Deck) -> None:
    service = keeper(deck, PROFILES)
    await service.sweep()
    deck.clock.trusted = False
    for _ in range(36):
        deck.clock.ms += DAY_S * 1000
        await service.sweep()
    assert not await has_profile(deck.store)


async def test_a_clock_set_forward_deletes_nothing_until_somebody_confirms_it(deck: Deck) -> None:
    service = keeper(deck, PROFILES)
    await service.sweep()
    deck.clock.step(400 * DAY_S)
    assert await service.sweep() == 0
    assert await keeper(deck, PROFILES).sweep() == 0  # nor does a restart help
    passage = await service.passage()
    assert passage is not None
    assert passage.waits_s == deck.clock.unix_s
    assert await has_profile(deck.store)
    assert await service.confirm() == deck.clock.unix_s
    assert await service.sweep() == 2
    assert not await has_profile(deck.store)


async def test_a_clock_set_forward_in_small_steps_deletes_nothing_either(deck: Deck) -> None:
    for _ in range(400):
        deck.clock.step(JUMP_MAX_S)
        assert await keeper(deck, PROFILES).sweep() == 0
    assert await has_profile(deck.store)


async def test_a_doubtful_clock_cannot_be_confirmed(deck: Deck) -> None:
    deck.clock.trusted = False
    with pytest.raises(Refused, match="clock_not_believed"):
        await keeper(deck).confirm()
    assert await deck.store.read(read_passage) is None


async def test_with_no_clock_that_was_ever_believed_nothing_goes(deck: Deck) -> None:
    deck.clock.trusted = False
    deck.clock.step(400 * DAY_S)
    assert await keeper(deck, PROFILES).sweep() == 0
    assert await has_profile(deck.store)


async def test_a_store_from_before_begins_at_the_latest_time_that_was_believed(deck: Deck) -> None:
    await deck.store.write(lambda tx: set_mark(tx, deck.clock.unix_s))
    deck.clock.step(400 * DAY_S)
    assert await keeper(deck, PROFILES).sweep() == 0
    assert await has_profile(deck.store)


async def test_events_lose_what_they_say_and_stay_in_their_place(deck: Deck) -> None:
    service = keeper(deck, DOORS)
    await service.sweep()
    for _ in range(3):
        await deck.store.write(
            lambda tx: tx.append_event(fact(EventType.DOOR_OPENED, deck.clock.unix_s, guest=KIRA, place="d"))
        )
        await days(deck, service, 10)
    await days(deck, service, 1)
    events = [e for e in await deck.store.read(lambda tx: tx.events(0, 999)) if e.type is EventType.DOOR_OPENED]
    assert [is_erased(event) for event in events] == [True, False, False]


async def test_what_shore_has_not_acknowledged_waits_for_it_but_not_for_ever(deck: Deck) -> None:
    service = keeper(deck, DOORS, peers=["shore"])
    await service.sweep()
    seq = await deck.store.write(
        lambda tx: tx.append_event(fact(EventType.DOOR_OPENED, deck.clock.unix_s, guest=KIRA, place="d"))
    )

    async def gone() -> bool:
        return is_erased(next(iter(await deck.store.read(lambda tx: tx.events(seq - 1, 1)))))

    await days(deck, service, 40)
    assert not await gone()
    other = Deck(deck.store, deck.clock)
    await days(deck, service, 21)
    assert await gone()
    assert [run.held for run in await other.store.read(lambda tx: tx.runs(9))] == [True]


async def test_once_it_is_acknowledged_it_goes_at_its_time(deck: Deck) -> None:
    service = keeper(deck, DOORS, peers=["shore"])
    await service.sweep()
    seq = await deck.store.write(
        lambda tx: tx.append_event(fact(EventType.DOOR_OPENED, deck.clock.unix_s, guest=KIRA, place="d"))
    )

    def acknowledge(tx: Tx) -> None:
        for cls in range(1, 6):
            tx.set_covered("shore", tx.epoch(), cls, seq)

    await deck.store.write(acknowledge)
    await days(deck, service, 31)
    assert is_erased(next(iter(await deck.store.read(lambda tx: tx.events(seq - 1, 1)))))


async def test_much_that_is_over_goes_in_bounded_batches(deck: Deck) -> None:
    service = keeper(deck, PROFILES, DOORS)
    await service.sweep()
    count = GUESTS_AT_ONCE * 3 + 1

    def fill(tx: Tx) -> None:
        for n in range(count):
            ref = GuestRef(f"{n:016d}")
            tx.put_guest(replace(guest(ref), not_after_s=END_S))
            tx.put_profile(profile(ref))

    await deck.store.write(fill)
    batches = []
    write = deck.store.write

    async def counted(work):  # type: ignore[no-untyped-def]
        result = await write(work)
        batches.append(result)
        return result

    deck.store.write = counted  # type: ignore[method-assign]
    await days(deck, service, 40)
    most = max(each for each in batches if isinstance(each, int))
    assert most <= max(GUESTS_AT_ONCE * 2, ROWS_AT_ONCE)
    assert sum(deleted for _, deleted in await runs(deck)) == count + 2
    assert BATCHES_MAX * GUESTS_AT_ONCE >= 500  # a day's leavers in one round


async def test_what_would_go_can_be_asked_without_deleting_it(deck: Deck) -> None:
    service = keeper(deck, PROFILES, PartRule(Part.NOTE, 1, aged=True), DOORS)
    await service.sweep()
    deck.clock.tick(END_S - deck.clock.unix_s + 30 * DAY_S)
    passage, due = await service.due()
    assert passage.mark_s == deck.clock.unix_s
    assert [(each.rule, each.count) for each in due] == [("profile", 2)]
    assert await has_profile(deck.store, ASE)
    assert await runs(deck) == []


async def test_who_has_nothing_left_that_may_be_kept_is_forgotten_altogether(deck: Deck) -> None:
    forgotten: list[GuestRef] = []

    async def forget(ref: GuestRef) -> None:
        forgotten.append(ref)

    service = RetentionService(deck.store, deck.clock, (), (), last_time, forget, all_days=40)
    await service.sweep()
    await days(deck, service, 44)
    assert forgotten == []
    deck.clock.tick(DAY_S)
    await service.sweep()
    assert forgotten == [KIRA, ASE]  # and nobody of the crew
    assert await runs(deck) == [("guest", 2)]


async def test_allergies_go_by_their_own_shorter_time(deck: Deck) -> None:
    service = keeper(deck, PROFILES, PartRule(Part.HEALTH, 7))
    await service.sweep()
    await days(deck, service, 12)
    assert await has_profile(deck.store)
    assert await runs(deck) == [("health", 1)]  # Åse has none


async def test_an_emergencys_words_go_with_the_guest_and_its_finding_a_year_after_it_was_made(deck: Deck) -> None:
    """By the register's own times, from the emergency to the end."""
    erasures = ErasureService(deck.store, deck.clock, ring(), Scene("aurora", "gw1"))

    async def forget(ref: GuestRef) -> object:
        return await erasures.erase(ref, BY_OFFICER)

    rules = rules_of(REGISTER)
    service = RetentionService(deck.store, deck.clock, rules, (), last_time, forget, days_of_all(REGISTER))
    glass = look_at(MEDIC, KIRA, {Field.ALLERGIES}, deck.clock.unix_s, way=Way.BROKE_GLASS, reason="fainted")

    def review(tx: Tx) -> int:
        look = tx.log_look_up(glass)
        words = tx.seal(KIRA, "glass_review", b"she had fainted")
        tx.put_review(GlassReview(look.seq, "officer", deck.clock.unix_s, Finding.JUSTIFIED, words))
        return look.seq

    seq, made_s = await deck.store.write(review), deck.clock.unix_s

    async def kept() -> GlassReview | None:
        return (await deck.store.read(lambda tx: tx.reviews([seq]))).get(seq)

    await service.sweep()
    await days(deck, service, 94)  # five aboard, and 89
    known = await kept()
    assert known is not None
    assert known.words
    await days(deck, service, 2)
    assert await kept() == GlassReview(seq, "officer", made_s, Finding.JUSTIFIED, b"")
    assert await deck.store.read(lambda tx: tx.unreviewed_glass()) == 0
    await days(deck, service, 365 - 96)
    assert await kept() is not None
    await days(deck, service, 1)
    assert await kept() is None
    assert ("review", 1) in await runs(deck)
