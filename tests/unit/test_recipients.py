"""What shore is sent of an event, and what both sides compare of it when one of them says less than the other."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.linkkit import ROUGH, Hub, LoopClock, SeededEntropy
from tests.property.test_batches import golden_batch
from tests.sim.loop import run
from tests.unit.uplinkkit import DAY_S, SETTINGS, World, as_new, world

from steward.adapters.memory import MemoryStore
from steward.domain.batches import BadBatch, decode_batch, encode_batch
from steward.domain.columns import type_of
from steward.domain.digest import Compare, answer_digest, compare_range
from steward.domain.events import ERASED_PAYLOAD, EventType, NewEvent, StoredEvent, fact, is_erased
from steward.domain.recipients import WHOLE, Mark, Projection, lesser
from steward.services.uplink import UplinkService

REF, UID = "00112233445566aa", "04A1B2C3D4E5F6"
NARROW = Projection(
    {EventType.CHARGE_POSTED: frozenset({"amount_minor", "currency"}), EventType.DOWN_APPLIED: frozenset({"kind"})}
)
NARROWER = Projection({EventType.CHARGE_POSTED: frozenset({"currency"})})
ASHORE = replace(SETTINGS, projection=NARROW)


def charge(n: int) -> NewEvent:
    at_s = 1_800_000_000 + n
    return fact(EventType.CHARGE_POSTED, at_s, guest=REF, uid=UID, amount_minor=n, currency="EUR", counter=n)


def stored(**payload: str | int | bool) -> StoredEvent:
    return StoredEvent(1, 7, EventType.CHARGE_POSTED, 1_800_000_000, payload)


# The rule


def test_only_what_is_allowed_goes_and_a_type_nobody_named_goes_bare() -> None:
    made = StoredEvent(1, 7, EventType.CHARGE_POSTED, 5, charge(3).payload)
    assert dict(NARROW.of(made).payload) == {"amount_minor": 3, "currency": "EUR"}
    assert dict(NARROW.of(replace(made, type=EventType.DOOR_OPENED)).payload) == {}
    assert dict(NARROW.of(replace(made, type=type_of(199))).payload) == {}
    assert WHOLE.of(made) is made


def test_an_erased_event_stays_erased() -> None:
    gone = replace(stored(), payload=ERASED_PAYLOAD)
    assert NARROW.of(gone) == gone


def test_a_fingerprint_is_of_what_goes() -> None:
    again = Projection(dict(reversed(list((NARROW.fields or {}).items()))) | {EventType.BAND_FROZEN: frozenset()})
    assert again.fingerprint == NARROW.fingerprint
    assert len({WHOLE.fingerprint, NARROW.fingerprint, NARROWER.fingerprint}) == 3


def test_by_the_register_every_type_is_asked_for() -> None:
    assert Projection.by(lambda type_: frozenset({type_.name})).of(stored(CHARGE_POSTED=1, guest=REF)) == stored(
        CHARGE_POSTED=1
    )


@given(st.lists(st.tuples(st.sampled_from([WHOLE, NARROW, NARROWER]), st.integers(1, 5), st.integers(0, 9))))
def test_a_mark_is_the_head_at_the_last_change_and_survives_writing_down(
    starts: list[tuple[Projection, int, int]],
) -> None:
    mark, epoch, head = Mark(), 1, 0
    for projection, on, grown in starts:
        epoch, head = (epoch, head + grown) if on < 4 else (epoch + 1, grown)
        before = mark
        mark = Mark.decode(mark.at_start(projection, epoch, head).encode())
        assert (mark.fingerprint, mark.epoch <= epoch) == (projection.fingerprint, True)
        if projection.fingerprint != before.fingerprint:
            assert (mark.epoch, mark.seq) == (epoch, head)
        else:
            assert mark.seq == (before.seq if mark.epoch == before.epoch else 0)
    assert Mark.decode(None) == Mark()


@pytest.mark.parametrize(
    ("known", "told", "kept"),
    [
        (stored(a=1, b="x"), stored(b="x", a=1), stored(a=1, b="x")),
        (stored(a=1, b="x"), stored(b="x"), stored(b="x")),
        (stored(b="x"), stored(a=1, b="x"), stored(b="x")),
        (stored(a=1), stored(), stored()),
        (stored(a=1), stored(erased=True), stored(erased=True)),
        (stored(erased=True), stored(a=1), stored(erased=True)),
        (stored(a=1), stored(a=2), None),
        (stored(a=1), stored(a=True), None),
        (stored(a=1), stored(b="x"), None),
        (stored(a=1), replace(stored(a=1), at_s=1), None),
        (stored(a=1), replace(stored(erased=True), type=EventType.CHARGE_HELD), None),
    ],
)
def test_of_two_forms_the_one_that_says_less_is_kept(
    known: StoredEvent, told: StoredEvent, kept: StoredEvent | None
) -> None:
    found = lesser(known, told)
    assert found == kept
    assert kept is None or (found is known) == (known == kept)


def test_digests_are_compared_in_the_fullest_form_that_both_sides_have() -> None:
    whole, less = [stored(a=1)], [stored(erased=True)]
    mine = compare_range(7, 7, whole)
    assert mine.full is not None
    assert answer_digest(mine.full, mine.bare, whole) == (mine.full, mine.full)
    assert answer_digest(mine.full, mine.bare, less) == (mine.bare, mine.bare)  # ours is erased: payloads are left out
    changed = answer_digest(mine.full, mine.bare, [stored(a=2)])
    assert changed is not None
    assert not mine.is_alike(changed[1])
    other_time = answer_digest(mine.full, mine.bare, [replace(less[0], at_s=1)])
    assert other_time is not None
    assert not mine.is_alike(other_time[1])
    assert compare_range(7, 7, less).full is None
    assert answer_digest(None, None, whole) is None
    old_program = answer_digest(mine.full, None, less)  # it knows no other form, and sees a difference
    assert old_program is not None
    assert old_program[0] != old_program[1]


def test_two_digests_of_one_question_are_of_one_range() -> None:
    asked = compare_range(1, 9, [])
    batch = replace(golden_batch(), digest=asked.full, bare=asked.bare)
    assert decode_batch(encode_batch(batch)) == batch
    with pytest.raises(BadBatch, match="different ranges"):
        decode_batch(encode_batch(replace(batch, bare=replace(asked.bare, first=2))))


# On the link


def sent_payloads(it: World) -> list[dict[str, object]]:
    return [dict(event.payload) for batch in it.batches for event in batch.events]


async def compared(it: World, epoch: int = 100) -> int:
    return await it.store.read(lambda tx: tx.compared("shore", epoch))


async def diverged(it: World) -> list[object]:
    events = await it.store.read(lambda tx: tx.events(0, 9999))
    return [event for event in events if event.type is EventType.PEER_DIVERGED]


async def begun(it: World) -> None:
    """The process runs: what is appended from now on is beyond its mark."""
    it.power()
    await it.until(lambda: len(it.batches) > 0)


async def next_day(it: World, upto: int, epoch: int = 100) -> None:
    await it.known_ashore()
    it.clock.wall_s += DAY_S
    for _ in range(600):
        if await compared(it, epoch) >= upto:
            return
        await asyncio.sleep(1)
    raise AssertionError(f"it never compared more than {await compared(it, epoch)}")


def test_what_shore_may_not_see_never_leaves_and_shore_s_copy_is_compared_whole() -> None:
    async def main(seed: int) -> None:
        async with world(ROUGH, seed, ASHORE) as it:
            for part in range(4):
                await it.append(*(charge(part * 50 + n) for n in range(50)))
                it.power()
                await asyncio.sleep(it.hub.draw.choice((0.2, 8.0, 40.0)))
                await it.kill()
            it.power()
            await it.all_ashore()
            await next_day(it, 200)
            assert all(set(payload) == {"amount_minor", "currency"} for payload in sent_payloads(it) if payload)
            assert it.shore.alarms == []
            assert await diverged(it) == []

    for seed in range(4):
        run(main(seed))


def test_a_payload_changed_ashore_is_found_beyond_the_mark() -> None:
    async def main() -> None:
        async with world(settings=ASHORE) as it:
            await begun(it)
            await it.append(*map(charge, range(20)))
            await it.all_ashore()
            key = ("aurora", "gw1", 100, 7)
            event = it.shore.held.events[key]
            it.shore.held.events[key] = replace(event, payload={**event.payload, "amount_minor": 5})
            await next_day(it, 20)
            assert len(await diverged(it)) == 1

    run(main())


def test_an_upgrade_makes_no_old_range_diverge_and_nothing_more_leaves() -> None:
    """Some of the log went whole, some was on its way, some is new; then the register changes twice."""

    async def main(seed: int) -> None:
        async with world(ROUGH, seed) as it:
            await it.append(*map(charge, range(100)))
            it.power()
            await asyncio.sleep(it.hub.draw.choice((0.3, 1.0, 2.0)))
            await it.kill()
            begun = len(it.batches)
            it.settings = ASHORE
            await it.append(*map(charge, range(100, 150)))
            it.power()
            await it.all_ashore()
            assert all("guest" not in dict(event.payload) for batch in it.batches[begun:] for event in batch.events)
            await next_day(it, 150)
            await it.kill()
            it.settings = replace(SETTINGS, projection=NARROWER)
            await it.append(*map(charge, range(150, 200)))
            it.power()
            await it.all_ashore()
            await next_day(it, 200)
            assert await diverged(it) == []
            assert it.shore.alarms == []

    for seed in range(6):
        run(main(seed))


def test_a_missing_event_is_found_also_before_the_mark() -> None:
    async def main() -> None:
        async with world() as it:
            await it.append(*map(charge, range(30)))
            it.power()
            await it.all_ashore()
            await it.known_ashore()
            await it.kill()
            it.settings = ASHORE
            del it.shore.held.events["aurora", "gw1", 100, 11]
            it.power()
            await next_day(it, 30)
            assert len(await diverged(it)) == 1

    run(main())


@pytest.mark.parametrize("erased_ashore", [True, False], ids=["ashore too", "aboard only"])
def test_an_erased_range_does_not_diverge(erased_ashore: bool) -> None:
    async def main() -> None:
        async with world(settings=ASHORE) as it:
            await begun(it)
            await it.append(*map(charge, range(30)))
            await it.all_ashore()
            if erased_ashore:
                for key, event in it.shore.held.events.items():
                    it.shore.held.events[key] = replace(event, payload=ERASED_PAYLOAD)
            await it.store.write(lambda tx: tx.redact_events(REF))
            await next_day(it, 30)
            assert await diverged(it) == []

    run(main())


def test_erased_ashore_and_not_yet_at_this_gateway_does_not_diverge() -> None:
    async def main() -> None:
        async with world(settings=ASHORE) as it:
            await begun(it)
            await it.append(*map(charge, range(30)))
            await it.all_ashore()
            key = ("aurora", "gw1", 100, 3)
            it.shore.held.events[key] = replace(it.shore.held.events[key], payload=ERASED_PAYLOAD)
            await next_day(it, 30)
            assert await diverged(it) == []

    run(main())


def test_what_was_erased_before_it_was_sent_arrives_erased() -> None:
    async def main() -> None:
        async with world(settings=ASHORE) as it:
            it.pipe.cut(True)
            await it.append(*map(charge, range(10)))
            await it.store.write(lambda tx: tx.redact_events(REF))
            it.power()
            it.pipe.cut(False)
            await it.all_ashore()
            assert all(is_erased(event) for event in it.shore.held.events.values())
            assert len(it.shore.held.events) == 10

    run(main())


def test_a_shore_put_back_from_a_backup_of_before_the_upgrade_takes_the_rest_in_the_new_form() -> None:
    async def main() -> None:
        async with world() as it:
            await it.append(*map(charge, range(40)))
            it.power()
            await it.all_ashore()
            await it.known_ashore()
            await it.kill()
            backup = it.shore.backup()
            it.settings = ASHORE
            await it.append(*map(charge, range(40, 60)))
            it.power()
            await it.all_ashore()
            await it.known_ashore()
            it.shore.restore(backup, b"restored")
            await it.append(charge(99))
            await it.all_ashore(900)
            await next_day(it, 61)
            assert await diverged(it) == []
            assert it.shore.alarms == []

    run(main())


def test_a_gateway_restored_from_a_backup_compares_its_older_log_without_payloads() -> None:
    async def main() -> None:
        async with world(settings=ASHORE) as it:
            await it.append(*map(charge, range(20)))
            backup = it.store.restored(2_000_000_000, 1_800_000_500)
            it.settings = replace(SETTINGS, projection=NARROWER)  # a newer program had sent it
            it.power()
            await it.all_ashore()
            await it.kill()
            it.store, it.settings = backup, ASHORE
            it.power()
            await it.append(*map(charge, range(5)))
            await it.all_ashore()
            await next_day(it, 5, 2_000_000_000)
            await next_day(it, 20)
            assert await diverged(it) == []

    run(main())


async def test_the_mark_is_kept_before_anything_is_sent() -> None:
    hub, store = Hub(), MemoryStore(first_epoch=100)
    pipe = hub.pipe()
    await store.write(lambda tx: [tx.append_event(charge(n)) for n in range(5)])
    sending = asyncio.create_task(UplinkService(store, LoopClock(), SeededEntropy(1), pipe, ASHORE).run())
    await asyncio.sleep(0.1)
    assert Mark.decode(await store.read(lambda tx: tx.meta("projection.shore"))) == Mark(NARROW.fingerprint, 100, 5)
    sending.cancel()
    await asyncio.wait([sending])


def test_a_comparison_names_its_range() -> None:
    ours: Compare = compare_range(3, 9, [])
    assert ours.span == (3, 9)
    assert as_new(stored(a=1)) == NewEvent(EventType.CHARGE_POSTED, 1_800_000_000, {"a": 1})
