"""Old events ashore are brought down to what shore may see, and nothing else of them changes."""

from __future__ import annotations

from dataclasses import replace

from tests.shore.kit import NOW_S, FixedClock, Sender, deliver, stored, wire
from tests.shore.test_cli import Operator, operator

from steward.domain.batches import decode_ack
from steward.domain.digest import compare_range
from steward.domain.events import ERASED_PAYLOAD, EventType, StoredEvent
from steward.domain.recipients import Projection
from steward.domain.usecases import REGISTER
from steward.shore.alarms import alarms
from steward.shore.ingest import Ingest
from steward.shore.narrowing import CHUNK_EVENTS, Narrowed, narrow
from steward.shore.store import ShoreStore

__all__ = ["operator"]  # the fixture

BY_REGISTER = Projection.by(REGISTER.shore_fields)
REF = "00112233445566aa"


def log(count: int) -> list[StoredEvent]:
    said = {"guest": REF, "amount_minor": 5, "currency": "EUR"}
    return [StoredEvent(100, seq, EventType.CHARGE_POSTED, NOW_S + seq, said) for seq in range(1, count + 1)]


async def test_every_log_is_brought_down_once(store: ShoreStore) -> None:
    ingest = Ingest(store, FixedClock())
    senders = [Sender(log(CHUNK_EVENTS + 5)), Sender(log(7), gateway="gw2")]
    for sender in senders:
        await deliver(ingest, sender, size=1000)
    count = CHUNK_EVENTS + 12
    assert await narrow(store, BY_REGISTER) == Narrowed(count, count)
    for sender in senders:
        kept = await stored(store, sender)
        assert kept == [BY_REGISTER.of(event) for event in sender.events]
        assert all(dict(event.payload) == {"amount_minor": 5, "currency": "EUR"} for event in kept)
    assert await narrow(store, BY_REGISTER) == Narrowed(count, 0)


async def test_what_is_erased_stays_erased_and_an_old_event_that_comes_again_stays_narrow(store: ShoreStore) -> None:
    ingest, sender = Ingest(store, FixedClock()), Sender(log(3))
    gone = Sender([replace(event, payload=ERASED_PAYLOAD) for event in log(3)], gateway="gw2")
    await deliver(ingest, sender)
    await deliver(ingest, gone)
    assert await narrow(store, BY_REGISTER) == Narrowed(6, 3)
    sender.covered = [0] * 5
    await deliver(ingest, sender)
    assert REF not in str(await stored(store, sender))
    assert await stored(store, gone) == list(gone.events)
    assert ingest.counts["conflicts"] == 0


async def test_a_gateway_of_this_version_sees_no_difference_in_what_it_sent_before(store: ShoreStore) -> None:
    ingest, sender = Ingest(store, FixedClock()), Sender(log(20))
    await deliver(ingest, sender)
    await narrow(store, BY_REGISTER)
    ours = compare_range(1, 20, [BY_REGISTER.of(event) for event in sender.events], whole=False)
    reply = await ingest.batch(*wire(replace(sender.batch(3, (), 20), digest=ours.full, bare=ours.bare)))
    assert reply is not None
    answer = decode_ack(reply.payload).digest
    assert answer is not None
    assert ours.is_alike(answer)
    assert await store.read(alarms()) == []


def test_on_the_command_line(operator: Operator) -> None:
    assert "0 of 0 events" in operator.said("narrow")
