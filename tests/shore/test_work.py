"""The publisher and the workers, with a pipe and a store that fail when the test says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.shore.kit import NOW_S, FixedClock, Sender, deliver, typical, wire

from steward.domain.batches import decode_ack
from steward.domain.events import EventType, StoredEvent
from steward.domain.ids import Uid
from steward.domain.topics import TELEMETRY
from steward.errors import StoreUnavailable
from steward.ports.sync import LinkBytes, LinkDown, PipeMessage
from steward.shore.decisions import Signer, deny
from steward.shore.ingest import Ingest, Reply
from steward.shore.store import ShoreStore
from steward.shore.work import (
    LINK_FILTER,
    REPEAT_FIRST_S,
    REPEAT_MAX_S,
    RETRIES_MAX,
    UP_FILTER,
    LinkIntake,
    Presence,
    Publisher,
    store_patiently,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class HandPipe:
    """A Pipe worked by hand."""

    def __init__(self) -> None:
        self.generation = 1
        self.is_connected = True
        self.filters: list[str] = []
        self.sent: list[tuple[str, bytes, bool]] = []
        self.arriving: asyncio.Queue[PipeMessage] = asyncio.Queue()

    async def connected(self) -> None:
        return None

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if not self.is_connected:
            raise LinkDown("cut")
        self.sent.append((topic, payload, retain))

    async def subscribe(self, *filters: str) -> None:
        self.filters += filters

    async def messages(self) -> AsyncIterator[PipeMessage]:
        while True:
            yield await self.arriving.get()

    def counted(self) -> LinkBytes:
        return LinkBytes(0, 0)

    async def close(self) -> None:
        return None


def applied(sender: Sender, version: int) -> tuple[str, bytes]:
    """The gateway says that it has applied a version."""
    seq = len(sender.events) + 1
    event = StoredEvent(sender.epoch, seq, EventType.DOWN_APPLIED, NOW_S, {"kind": "deny", "version": version})
    sender.events = [*sender.events, event]
    return wire(replace(sender.batch(TELEMETRY, (event,), sender.covered[TELEMETRY - 1]), head=seq))


async def test_each_version_is_published_once_a_connection(store: ShoreStore) -> None:
    pipe, clock = HandPipe(), FixedClock()
    publisher = Publisher(store, pipe, clock)
    assert await publisher.publish() == 0
    await store.write(deny(Signer(KEY, "test", NOW_S), "aurora", [Uid("04000000000001")], "stolen"))
    assert await publisher.publish() == 1
    assert await publisher.publish() == 0
    pipe.generation += 1
    assert await publisher.publish() == 1
    await store.write(deny(Signer(KEY, "test", NOW_S), "aurora", [Uid("04000000000002")], "stolen"))
    assert await publisher.publish() == 1
    assert [(topic, retain) for topic, _, retain in pipe.sent] == [("steward/1/aurora/down/deny", True)] * 3


async def test_it_is_said_again_ever_more_seldom_until_all_have_it(store: ShoreStore) -> None:
    pipe, clock, ingest = HandPipe(), FixedClock(), Ingest(store, FixedClock())
    sender = Sender(typical(20))
    await deliver(ingest, sender)  # gw1 was heard, gw2 never
    decided = await store.write(deny(Signer(KEY, "test", NOW_S), "aurora", [Uid("04000000000001")], "stolen"))
    publisher, said = Publisher(store, pipe, clock), list[int]()
    for second in range(700):
        clock.now_s = NOW_S + second
        if await publisher.publish():
            said.append(second)
    first = int(REPEAT_FIRST_S)
    assert said == [0, first, 3 * first, 7 * first, 15 * first, 31 * first, 63 * first, 127 * first]
    assert await ingest.batch(*applied(sender, decided.issued.version)) is not None
    clock.now_s += int(REPEAT_MAX_S)
    assert await publisher.publish() == 0


async def test_a_gateway_that_is_heard_again_is_told_soon(store: ShoreStore) -> None:
    pipe, clock = HandPipe(), FixedClock()
    decided = await store.write(deny(Signer(KEY, "test", NOW_S), "aurora", [Uid("04000000000001")], "stolen"))
    publisher = Publisher(store, pipe, clock)
    assert await publisher.publish() == 1
    clock.now_s += 300
    assert await publisher.publish() == 0  # nobody was ever heard
    sender = Sender(typical(20))
    await deliver(Ingest(store, clock), sender)
    assert await publisher.publish() == 1
    await Ingest(store, clock).batch(*applied(sender, decided.issued.version - 1))
    clock.now_s += int(REPEAT_FIRST_S)
    assert await publisher.publish() == 1
    clock.now_s += 100_000  # not heard any more: the broker's retained message waits for it
    assert await publisher.publish() == 0


async def test_a_cut_link_loses_no_decision(store: ShoreStore) -> None:
    pipe = HandPipe()
    publisher = Publisher(store, pipe, FixedClock())
    await store.write(deny(Signer(KEY, "test", NOW_S), "aurora", [Uid("04000000000001")], "stolen"))
    pipe.is_connected = False
    with pytest.raises(LinkDown):
        await publisher.publish()
    pipe.is_connected = True
    assert await publisher.publish() == 1


class Moody:
    """An Ingest whose store is away for the first attempts."""

    def __init__(self, failures: int) -> None:
        self.counts: Counter[str] = Counter()
        self.left = failures

    async def batch(self, topic: str, payload: bytes) -> Reply | None:
        if self.left:
            self.left -= 1
            raise StoreUnavailable("away")
        return Reply("ack", payload)


async def test_a_store_that_is_away_is_waited_for_and_then_given_up() -> None:
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    patient = Moody(RETRIES_MAX - 1)
    assert await store_patiently(patient, "topic", b"x", sleep) == Reply("ack", b"x")  # type: ignore[arg-type]
    assert pauses == sorted(pauses)
    hopeless = Moody(10_000)
    assert await store_patiently(hopeless, "topic", b"x", sleep) is None  # type: ignore[arg-type]
    assert (hopeless.counts["failures"], hopeless.counts["given_up"]) == (RETRIES_MAX, 1)


async def test_workers_acknowledge_what_the_link_brings(store: ShoreStore) -> None:
    pipe, presence = HandPipe(), Presence()
    intake = LinkIntake(pipe, Ingest(store, FixedClock()), presence, workers=2, up=True)
    tasks = [asyncio.create_task(run()) for run in (intake.read, intake.work, intake.work)]
    sender = Sender(typical(200))
    for batch in sender.batches(20):
        pipe.arriving.put_nowait(PipeMessage(*wire(batch)))
    pipe.arriving.put_nowait(PipeMessage("steward/1/aurora/gw1/link/shore", b"here", True))
    pipe.arriving.put_nowait(PipeMessage("steward/1/aurora/gw2/link/shore", b"gone", True))
    pipe.arriving.put_nowait(PipeMessage("steward/1/no name/gw2/link/shore", b"here", True))
    async with asyncio.timeout(60):
        while len(presence.here) < 2 or len(pipe.sent) < sender.sent:  # noqa: ASYNC110 any condition
            await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert pipe.filters == [UP_FILTER, LINK_FILTER]
    assert {topic for topic, _, _ in pipe.sent} == {"steward/1/aurora/gw1/ack/shore"}
    assert sorted(decode_ack(payload).answers for _, payload, _ in pipe.sent) == list(range(1, sender.sent + 1))
    assert presence.here == {("aurora", "gw1"): True, ("aurora", "gw2"): False}


async def test_on_a_cluster_the_link_brings_no_batches(store: ShoreStore) -> None:
    pipe = HandPipe()
    intake = LinkIntake(pipe, Ingest(store, FixedClock()), Presence(), workers=1, up=False)
    reading = asyncio.create_task(intake.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert pipe.filters == [LINK_FILTER]
