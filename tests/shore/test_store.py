"""One suite on every kind of shore store: events once, acknowledged as stored, alarms for what should not be."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.shore.conftest import Reopen
from tests.shore.kit import (
    BOOT,
    NOW_S,
    FixedClock,
    Sender,
    deliver,
    deliver_until_done,
    prepared,
    stored,
    table,
    typical,
    wire,
)

from steward.domain.batches import Batch, decode_ack
from steward.domain.digest import Digest, digest_events
from steward.domain.events import EventType, StoredEvent
from steward.domain.topics import CLASSES, MONEY, TELEMETRY, class_of
from steward.errors import Conflict, NotFound, Refused, StoreUnavailable
from steward.shore.alarms import ALARMS_MAX, AlarmKind, alarms, clear, raise_alarm
from steward.shore.ingest import Ingest
from steward.shore.registry import add_ship, begin, boot, check_ship, renew_boot, ships
from steward.shore.script import Row, Script, change, insert_many, one, rows
from steward.shore.store import ShoreStore


@pytest.fixture
def ingest(store: ShoreStore) -> Ingest:
    return Ingest(store, FixedClock())


async def test_events_come_back_as_they_were_sent(store: ShoreStore, ingest: Ingest) -> None:
    sender = Sender(typical(700))
    await deliver(ingest, sender)
    assert sender.done
    assert await stored(store, sender) == list(sender.events)


async def test_an_acknowledgement_says_what_is_stored(store: ShoreStore, ingest: Ingest) -> None:
    sender = Sender(typical(300))
    acks = await deliver(ingest, sender)
    assert [ack.answers for ack in acks] == list(range(1, len(acks) + 1))
    assert {ack.boot for ack in acks} == {BOOT}
    newest = tuple(max(e.seq for e in sender.events if class_of(e.type) == cls) for cls in CLASSES)
    assert acks[-1].covered == newest
    assert acks[-1].held == ()


@pytest.mark.parametrize("seed", range(5))
async def test_disorder_and_repetition_change_nothing(store: ShoreStore, ingest: Ingest, seed: int) -> None:
    sender = Sender(typical(400, seed))
    for topic, payload in sender.shuffled(20, seed):
        reply = await ingest.batch(topic, payload)
        assert reply is not None
        sender.heed(decode_ack(reply.payload))
    await deliver_until_done(ingest, sender, 20)
    assert await stored(store, sender) == list(sender.events)
    (row,) = await store.read(table("SELECT events, head, duplicates, conflicts FROM log"))
    assert row[:2] == (400, 400)
    assert row[2] == ingest.counts["again"] > 0
    assert row[3] == 0
    assert await store.read(alarms()) == []


async def test_other_content_under_a_number_is_an_alarm_and_the_first_stays(store: ShoreStore, ingest: Ingest) -> None:
    sender = Sender(typical(50))
    await deliver(ingest, sender)
    forged = Sender([replace(event, payload=dict.fromkeys(event.payload, "else")) for event in sender.events])
    await deliver(ingest, forged)
    assert await stored(store, sender) == list(sender.events)
    assert ingest.counts["conflicts"] == 50
    listed = await store.read(alarms())
    assert {alarm.kind for alarm in listed} == {AlarmKind.CONFLICT}
    assert {(alarm.ship, alarm.gateway, alarm.epoch) for alarm in listed} == {("aurora", "gw1", sender.epoch)}
    ((conflicts,),) = await store.read(table("SELECT conflicts FROM log"))
    assert conflicts == 50


async def test_one_number_in_two_classes_does_not_stop_the_gateway(store: ShoreStore, ingest: Ingest) -> None:
    charge = StoredEvent(7, 1, EventType.CHARGE_POSTED, NOW_S, {"amount_minor": 5})
    start = StoredEvent(7, 1, EventType.GATEWAY_STARTED, NOW_S, {"role": "till"})
    after = StoredEvent(7, 2, EventType.GATEWAY_STARTED, NOW_S, {"role": "till"})
    sender = Sender([charge, start, after])
    assert await ingest.batch(*wire(sender.batch(MONEY, (charge,), 0))) is not None
    assert await ingest.batch(*wire(sender.batch(TELEMETRY, (start, after), 0))) is not None
    assert await stored(store, sender) == [charge, after]
    assert [(alarm.kind, alarm.seq) for alarm in await store.read(alarms())] == [(AlarmKind.CONFLICT, 1)]
    ((events,),) = await store.read(table("SELECT events FROM log"))
    assert events == 2


async def test_a_missing_number_inside_what_was_claimed_is_taken_when_it_comes(
    store: ShoreStore, ingest: Ingest
) -> None:
    events = [StoredEvent(7, n, EventType.CHARGE_POSTED, NOW_S, {"amount_minor": n}) for n in (1, 2, 3)]
    sender = Sender(events)
    await ingest.batch(*wire(sender.batch(MONEY, (events[0], events[2]), 0)))
    await ingest.batch(*wire(sender.batch(MONEY, tuple(events), 0)))
    assert await stored(store, sender) == events


async def test_gateways_and_epochs_are_logs_of_their_own(store: ShoreStore, ingest: Ingest) -> None:
    senders = [
        Sender(typical(60, 1)),
        Sender(typical(60, 2), gateway="gw2"),
        Sender(typical(60, 3, epoch=1_900_000_000)),
    ]
    for sender in senders:
        await deliver(ingest, sender)
    for sender in senders:
        assert await stored(store, sender) == list(sender.events)
    assert await store.read(alarms()) == []


async def test_an_unregistered_gateway_is_refused_until_it_is_added(store: ShoreStore, ingest: Ingest) -> None:
    sender = Sender(typical(10), gateway="gw9")
    first = next(sender.batches(100))
    assert await ingest.batch(*wire(first)) is None
    (alarm,) = await store.read(alarms())
    assert (alarm.kind, alarm.ship, alarm.gateway, alarm.count) == (AlarmKind.UNREGISTERED, "aurora", "gw9", 1)
    assert await stored(store, sender) == []
    assert await store.write(add_ship("aurora", ["gw1", "gw9"], NOW_S)) == ["gw9"]
    await deliver(ingest, sender)
    assert await stored(store, sender) == list(sender.events)


async def test_garbage_is_counted_and_named_and_stops_nothing(store: ShoreStore, ingest: Ingest) -> None:
    sender = Sender(typical(30))
    topic, payload = wire(next(sender.batches(30)))
    bad: list[tuple[str, bytes]] = [
        (topic, b""),
        (topic, payload[:-1]),
        (topic, bytes(300_000)),
        (topic.replace("gw1", "gw2"), payload),
        (topic.replace("aurora", "boreal"), payload),
        (topic.rpartition("/")[0] + "/money", payload) if not topic.endswith("money") else (topic, b"x"),
        ("steward/1/aurora/gw1/up/gossip", payload),
        ("elsewhere", payload),
    ]
    for wrong in bad:
        assert await ingest.batch(*wrong) is None
    assert ingest.counts["garbage"] == len(bad)
    assert sum(alarm.count for alarm in await store.read(alarms())) == len(bad)
    await deliver(ingest, sender)
    assert await stored(store, sender) == list(sender.events)


async def test_alarms_are_bounded_and_can_be_cleared(store: ShoreStore) -> None:
    for number in range(ALARMS_MAX + 20):
        await store.write(raise_alarm(AlarmKind.GARBAGE, NOW_S + number, "bytes", ship=f"ship-{number}", gateway="gw1"))
    listed = await store.read(alarms())
    assert len(listed) == ALARMS_MAX
    overflow = [alarm for alarm in await store.read(alarms(ALARMS_MAX + 9)) if not alarm.ship]
    assert [alarm.count for alarm in overflow] == [20]
    assert await store.write(clear(AlarmKind.GARBAGE, "ship-3")) == 1
    assert await store.write(clear(AlarmKind.GARBAGE, "ship-3")) == 0


async def test_bytes_are_counted_by_ship_class_and_day(store: ShoreStore) -> None:
    clock = FixedClock()
    ingest = Ingest(store, clock)
    sender = Sender(typical(100))
    sizes = {topic.rpartition("/")[2]: len(payload) for topic, payload in map(wire, sender.batches(1000))}
    sender.sent = 0
    await deliver(ingest, sender, 1000)
    found = {row[0]: row[1] for row in await store.read(table("SELECT class, bytes FROM traffic"))}
    assert found == sizes
    clock.now_s += 86_400
    late = Sender([replace(sender.events[0], epoch=9)])
    await deliver(ingest, late)
    days = await store.read(table("SELECT DISTINCT day FROM traffic ORDER BY day"))
    assert days == [(NOW_S // 86_400,), (NOW_S // 86_400 + 1,)]


async def test_the_gateways_version_and_contact_are_kept(store: ShoreStore, ingest: Ingest) -> None:
    sender = Sender(typical(20))
    await deliver(ingest, sender)
    sender.version = ""
    await ingest.batch(*wire(sender.batch(MONEY, (), 0)))
    gateways = await store.read(table("SELECT gateway, version, contact_s FROM gateway ORDER BY gateway"))
    assert gateways == [("gw1", "1.2.3", NOW_S), ("gw2", "", 0)]


async def test_a_digest_that_agrees_is_answered_and_one_that_does_not_is_an_alarm(
    store: ShoreStore, ingest: Ingest
) -> None:
    sender = Sender(typical(40))
    await deliver(ingest, sender)

    async def ask(digest: Digest) -> Digest | None:
        question = replace(sender.batch(MONEY, (), sender.covered[MONEY - 1]), digest=digest)
        reply = await ingest.batch(*wire(question))
        assert reply is not None
        return decode_ack(reply.payload).digest

    right = digest_events(1, 40, sender.events)
    assert await ask(right) == right
    assert await store.read(alarms()) == []
    assert await ask(Digest(1, 40, bytes(32))) == right
    assert [alarm.kind for alarm in await store.read(alarms())] == [AlarmKind.DIGEST]
    kept = await store.read(table("SELECT first, last, theirs, ours FROM digest"))
    assert [(row[0], row[1], bytes(row[2]), bytes(row[3])) for row in kept] == [(1, 40, bytes(32), right.sha256)]  # type: ignore[call-overload]
    assert await ask(Digest(1, 10**9, bytes(32))) is None


async def test_what_a_restored_gateway_lost_is_told_and_not_waited_for(store: ShoreStore, ingest: Ingest) -> None:
    before = Sender(typical(100))
    for batch in before.batches(30):
        if batch.cls != MONEY:
            await ingest.batch(*wire(batch))
    after = Sender(typical(20, epoch=before.epoch + 1000))
    first = replace(next(after.batches(20)), older=((before.epoch, 90),))
    assert await ingest.batch(*wire(first)) is not None
    rows = await store.read(table("SELECT ends, lost FROM log WHERE epoch = ?", before.epoch))
    lost = sum(1 for event in before.events if event.seq > 90 and class_of(event.type) == MONEY)
    assert lost > 0
    assert rows == [(90, lost)]
    (alarm,) = await store.read(alarms())
    assert (alarm.kind, alarm.epoch, alarm.detail) == (AlarmKind.LOST, before.epoch, f"{lost} events after 90")


async def test_two_workers_with_one_gateway_stay_exact(reopen: Reopen) -> None:
    one_store, other = await prepared(await reopen()), await reopen()
    workers = [Ingest(one_store, FixedClock()), Ingest(other, FixedClock())]
    senders = [Sender(typical(1500, 1)), Sender(typical(1500, 2), gateway="gw2")]
    waiting = [item for sender in senders for item in sender.shuffled(40, 5, twice=0.5)]

    async def work(ingest: Ingest) -> None:
        while waiting:
            assert await ingest.batch(*waiting.pop()) is not None

    await asyncio.gather(*(work(worker) for worker in workers for _ in range(3)))
    for sender in senders:
        await deliver_until_done(workers[0], sender)
        assert await stored(other, sender) == list(sender.events)
    assert await one_store.read(alarms()) == []
    counts = await other.read(table("SELECT events, head FROM log"))
    assert counts == [(1500, 1500), (1500, 1500)]
    ((total,),) = await other.read(table("SELECT sum(events) FROM traffic"))
    assert total == 3000


async def test_a_script_that_fails_leaves_nothing(store: ShoreStore) -> None:
    def work() -> Script[None]:
        yield from change("INSERT INTO ship (ship, added_s) VALUES (?, ?)", "boreal", NOW_S)
        raise Refused("changed_my_mind")

    with pytest.raises(Refused):
        await store.write(work())
    assert await store.read(ships()) == ["aurora"]


async def test_a_broken_rule_is_a_conflict_and_the_store_goes_on(store: ShoreStore) -> None:
    with pytest.raises(Conflict):
        await store.write(change("INSERT INTO ship (ship, added_s) VALUES (?, ?)", "aurora", NOW_S))
    with pytest.raises(Conflict):
        await store.write(change("INSERT INTO gateway (ship, gateway, added_s) VALUES (?, ?, ?)", "nowhere", "gw1", 1))
    assert await store.read(ships()) == ["aurora"]


@pytest.mark.parametrize("count", [1, 3, 200])
async def test_new_rows_are_kept_all_or_none_whether_few_or_many(store: ShoreStore, count: int) -> None:
    """However a store loads them. The bytes are what other forms trip over."""
    columns = ("ship", "gateway", "epoch", "seq", "type", "at_s", "payload")
    payload = b"\\x\t\n\x00\\.\r\xff'?%s"
    some = [("aurora", "gw1", 9, seq, 101, -seq, payload) for seq in range(1, count + 1)]

    def both() -> Script[None]:
        yield from insert_many("event", columns, some)
        yield from insert_many("event", columns, [])

    def stored() -> Script[list[Row]]:
        return (yield from rows("SELECT seq, at_s, payload FROM event WHERE epoch = 9 ORDER BY seq"))

    await store.write(both())
    expected = [(seq, -seq, payload) for *_, seq, _, _, _ in some]
    assert [(seq, at_s, bytes(held)) for seq, at_s, held in await store.read(stored())] == expected
    fresh = [("aurora", "gw1", 9, 1000 + seq, 101, 0, b"") for seq in range(count)]
    with pytest.raises(Conflict):
        await store.write(insert_many("event", columns, [*fresh, some[-1]]))
    assert len(await store.read(stored())) == count


async def test_a_read_cannot_write(store: ShoreStore) -> None:
    with pytest.raises(StoreUnavailable):
        await store.read(change("DELETE FROM gateway"))
    assert await store.read(one("SELECT count(*) FROM gateway")) == (2,)


async def test_a_store_begins_once_and_changes_its_name_when_restored(empty: ShoreStore) -> None:
    with pytest.raises(StoreUnavailable):
        await empty.read(boot())
    with pytest.raises(StoreUnavailable):
        await empty.write(renew_boot(b"boot-two"))
    await empty.write(begin(BOOT, NOW_S))
    with pytest.raises(Conflict):
        await empty.write(begin(b"boot-two", NOW_S))
    assert await empty.read(boot()) == BOOT
    await empty.write(renew_boot(b"boot-two"))
    assert await empty.read(boot()) == b"boot-two"


@pytest.mark.parametrize("name", ["", "Aurora", "a/b", "a.b", "-a", "a" * 33, "a b", "#", "+", "down"])
async def test_names_that_could_reach_beyond_their_topic_are_refused(store: ShoreStore, name: str) -> None:
    with pytest.raises(Refused):
        await store.write(add_ship(name, ["gw1"], NOW_S))
    with pytest.raises(Refused):
        await store.write(add_ship("boreal", [name], NOW_S))
    with pytest.raises(NotFound):
        await store.read(check_ship(name))
    assert await store.read(ships()) == ["aurora"]


async def test_whoever_is_cancelled_gives_back_its_place(store: ShoreStore, ingest: Ingest) -> None:
    sender = Sender(typical(600))
    for batch in sender.batches(5):
        task = asyncio.create_task(ingest.batch(*wire(batch)))
        await asyncio.sleep(0)
        await asyncio.sleep(0.0005 * (batch.number % 7))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    sender.sent = 0
    await deliver(ingest, sender)
    assert await stored(store, sender) == list(sender.events)
    ((events,),) = await store.read(table("SELECT events FROM log"))
    assert events == 600


async def test_a_closed_store_says_so(store: ShoreStore) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.read(ships())
    await store.close()


async def test_a_batch_beyond_many_gaps_is_refused_whole_and_can_come_again(store: ShoreStore, ingest: Ingest) -> None:
    events = [StoredEvent(7, n, EventType.CHARGE_POSTED, NOW_S, {"amount_minor": n}) for n in range(1, 200)]
    sender = Sender(events)
    lonely = [sender.batch(MONEY, (events[n],), n) for n in range(1, 199, 2)]
    refused = 0
    for batch in lonely:
        reply = await ingest.batch(*wire(batch))
        assert reply is not None
        refused += batch.last not in {last for _, _, last in decode_ack(reply.payload).held}
    assert refused > 0
    await deliver_until_done(ingest, sender)
    assert await stored(store, sender) == events


def test_a_question_without_events_is_a_batch() -> None:
    assert wire(Batch("aurora", "gw1", 7, 1, MONEY, (), 0))[0] == "steward/1/aurora/gw1/up/money"
