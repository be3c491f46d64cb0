"""The link's pipe against real brokers: publishing, subscriptions, and what survives a broker's or a client's death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.brokerkit import (
    ACK,
    DOWN,
    GW1,
    KINDS,
    LINK,
    UP,
    Broker,
    Certificates,
    Crowd,
    running_broker,
    until,
    within,
)

from steward.adapters import brokerfiles
from steward.adapters.brokerrights import SHORE
from steward.errors import Refused
from steward.ports.sync import LinkDown

UPS, LINKS = "steward/1/+/+/up/+", "steward/1/+/+/link/+"


@pytest.fixture(params=[*KINDS, "nats with TLS", "mosquitto with TLS"])
async def broker(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Broker]:
    monkeypatch.setattr(brokerfiles, "ACK_WAIT_S", 2)
    kind, _, tls = request.param.partition(" ")
    certificates = Certificates(tmp_path / "ca") if tls else None
    async with running_broker(kind, tmp_path, certificates=certificates) as broker:
        yield broker


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    crowd = Crowd()
    yield crowd
    await crowd.end()


async def test_events_go_up_and_acknowledgements_come_down(broker: Broker, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    gateway = await crowd.join(broker.pipe(GW1), "steward/1/aurora/gw1/ack/+")
    for number in range(200):
        await gateway.publish(UP, b"%d" % number)
    await crowd.until(shore, b"199")
    assert crowd.payloads(shore) == [b"%d" % number for number in range(200)]
    assert {message.topic for message in crowd.got[shore]} == {UP}
    await shore.publish(ACK, b"ack")
    await crowd.until(gateway, b"ack")


async def test_many_at_once_arrive_each(broker: Broker, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    gateway = await crowd.join(broker.pipe(GW1))
    await within(asyncio.gather(*(gateway.publish(UP, b"%d" % number) for number in range(500))))
    await until(lambda: len(set(crowd.payloads(shore))) == 500)


async def test_a_large_batch_arrives_whole(broker: Broker, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    gateway = await crowd.join(broker.pipe(GW1))
    payload = bytes(range(256)) * 3600
    await gateway.publish(UP, payload)
    await crowd.until(shore, payload)


async def test_without_a_connection_nothing_is_taken(broker: Broker) -> None:
    with pytest.raises(LinkDown):
        await broker.pipe(GW1).publish(UP, b"x")


async def test_a_subscription_the_broker_refuses_is_an_error_or_brings_nothing(broker: Broker, crowd: Crowd) -> None:
    gateway = await crowd.join(broker.pipe(GW1))
    if broker.kind == "nats":
        with pytest.raises(Refused):
            await gateway.subscribe("#")
    else:
        await gateway.subscribe("#")  # mosquitto grants it and filters each message
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    await gateway.publish(UP, b"x")
    await crowd.until(shore, b"x")
    assert crowd.got[gateway] == []


async def test_a_broker_killed_and_started_again_is_used_again(broker: Broker, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    gateway = await crowd.join(broker.pipe(GW1), "steward/1/aurora/gw1/ack/+")
    before = gateway.generation
    await broker.kill()
    await until(lambda: not gateway.is_connected and not shore.is_connected)
    with pytest.raises(LinkDown):
        await gateway.publish(UP, b"lost")
    await broker.start()
    await within(gateway.connected())
    await within(shore.connected())
    assert gateway.generation > before
    await gateway.publish(UP, b"after")
    await crowd.until(shore, b"after")
    await shore.publish(ACK, b"ack")  # the subscriptions are there again
    await crowd.until(gateway, b"ack")


async def test_killed_while_publishing_every_message_taken_was_or_comes(broker: Broker, crowd: Crowd) -> None:
    """A publisher that repeats what was not taken gets all through, whatever the broker forgets when it dies."""
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    gateway = await crowd.join(broker.pipe(GW1))

    async def publish_until_seen(payload: bytes) -> None:
        while payload not in crowd.payloads(shore):
            try:
                await gateway.publish(UP, payload)
            except LinkDown:
                await gateway.connected()
            await asyncio.sleep(0.05)

    work = asyncio.gather(*(publish_until_seen(b"%d" % number) for number in range(40)))
    for _ in range(2):
        await until(lambda: len(crowd.got[shore]) > 5)
        await broker.kill()
        await broker.start()
    await within(work)
    assert set(crowd.payloads(shore)) == {b"%d" % number for number in range(40)}


async def test_what_is_sent_while_we_are_away_waits_for_us(broker: Broker, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    gateway = await crowd.join(broker.pipe(GW1), "steward/1/aurora/gw1/ack/+")
    await crowd.leave(gateway)
    await shore.publish(ACK, b"kept")
    again = await crowd.join(broker.pipe(GW1), "steward/1/aurora/gw1/ack/+")
    await crowd.until(again, b"kept")


async def test_a_retained_message_is_read_after_restarts_of_both_sides(broker: Broker, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE))
    await shore.publish(DOWN, b"version 1", retain=True)
    await shore.publish(DOWN, b"version 2", retain=True)
    await broker.stop()
    await broker.start()
    # The first client after a restart may come before nats-server has read what it retains, and is then given nothing:
    # so shore publishes its decisions again at each connection.
    for attempt in range(10):
        gateway = await crowd.join(broker.pipe(GW1, client_id=f"late-{attempt}"), "steward/1/aurora/down/+")
        await asyncio.wait([asyncio.create_task(crowd.until(gateway, b"version 2"))], timeout=2)
        if crowd.got[gateway]:
            break
    assert [(m.payload, m.retained) for m in crowd.got[gateway]] == [(b"version 2", True)]


async def test_presence_says_here_and_gone(broker: Broker, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE), LINKS)
    gateway = await crowd.join(broker.pipe(GW1, presence=LINK))
    await crowd.until(shore, b"here")
    await crowd.leave(gateway)
    await crowd.until(shore, b"gone")
    late = await crowd.join(broker.pipe(SHORE, client_id="late"), LINKS)
    await crowd.until(late, b"gone")  # it stays there for those who come later


async def test_what_was_not_dealt_with_comes_again(broker: Broker, crowd: Crowd) -> None:
    """A receiver that dies with a message in its hands finds it there when it is back."""
    shore = await crowd.join(broker.pipe(SHORE), UPS, reading=False)
    gateway = await crowd.join(broker.pipe(GW1))
    for number in range(10):
        await gateway.publish(UP, b"%d" % number)
    taken = await within(anext(shore.messages()))
    assert taken.payload == b"0"
    await crowd.leave(shore)
    again = await crowd.join(broker.pipe(SHORE), UPS)
    await crowd.until(again, b"9")
    assert {b"%d" % number for number in range(1, 10)} <= set(crowd.payloads(again))


async def test_who_does_not_read_holds_the_broker_back_and_loses_nothing(broker: Broker, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE), UPS, reading=False)
    gateway = await crowd.join(broker.pipe(GW1))
    await within(asyncio.gather(*(gateway.publish(UP, b"%d" % number) for number in range(1000))))
    await asyncio.sleep(0.2)
    assert len(shore._waiting) <= 300
    await within(shore.publish(ACK, b"x"))  # and what it publishes itself still gets through
    crowd.read(shore)
    await until(lambda: len(set(crowd.payloads(shore))) == 1000)
