"""No ship, gateway or shore says or hears more on a broker than its own topics allow.

Every attempt is made with a plain MQTT client, on nats-server and mosquitto as our own files set them up, over TLS.
What counts is what arrives: some brokers refuse, others take a message or a subscription and deliver nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.attack.brokerattack import (
    GW2_ACK,
    GW2_LINK,
    GW2_UP,
    OTHER_ACK,
    OTHER_DOWN,
    OTHER_LINK,
    OTHER_UP,
    Fleet,
    Stranger,
    context,
    fleet_of,
    settled,
)
from tests.e2e.brokerkit import ACK, DOWN, GW1, GW2, KINDS, LINK, OTHER, UP, Crowd, running_broker, until

from steward.adapters.brokerrights import SHORE, identity, ship_broker


@pytest.fixture(params=KINDS)
async def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(request.param, tmp_path) as fleet:
        yield fleet


WHO_MAY = [
    # user, topic, who hears it
    (GW1, UP, {SHORE}),
    (GW1, LINK, {SHORE}),
    (SHORE, ACK, {GW1}),
    (SHORE, DOWN, {GW1, GW2}),
    (SHORE, OTHER_DOWN, {OTHER}),
    (OTHER, OTHER_UP, {SHORE}),
]
WHO_MAY_NOT = [
    (GW1, OTHER_UP),
    (GW1, OTHER_LINK),
    (GW1, OTHER_ACK),
    (GW1, OTHER_DOWN),
    (GW1, GW2_UP),
    (GW1, GW2_LINK),
    (GW1, GW2_ACK),
    (GW1, ACK),  # nobody acknowledges himself
    (GW1, DOWN),
    (GW1, "steward/1/aurora/gw1/up/money/more"),
    (GW1, "steward/1/aurora/gw1/up"),
    (GW1, "steward/1/aurora.gw2.up.money"),
    (GW1, "steward.1.aurora.gw2.up.money"),
    (GW1, "steward/1/aurora/gw1/../gw2/up/money"),
    (GW1, "steward//1/aurora/gw2/up/money"),
    (GW1, "/steward/1/aurora/gw2/up/money"),
    (GW1, "$SYS/broker"),
    (GW1, "$SYS/REQ/SERVER/PING"),
    (GW1, "$JS/API/STREAM/PURGE/$MQTT_msgs"),
    (GW1, "$JS/API/STREAM/DELETE/$MQTT_rmsgs"),
    (GW1, "$JS/API/STREAM/NAMES"),
    (GW1, "$MQTT/msgs/steward/1/borealis/down/deny"),
    (GW1, "$MQTT/rmsgs/steward/1/borealis/down/deny"),
    (GW1, "$MQTT/sub/x"),
    (SHORE, UP),  # shore invents no events
    (SHORE, LINK),
    (SHORE, "steward/1/aurora/gw1/ack/ship"),  # and does not speak for the ship's authority
    (SHORE, "$JS/API/STREAM/PURGE/$MQTT_msgs"),
]


@pytest.mark.parametrize(("user", "topic", "hearers"), WHO_MAY)
async def test_what_each_may_say_is_heard(fleet: Fleet, user: str, topic: str, hearers: set[str]) -> None:
    stranger = await fleet.stranger(user)
    await asyncio.to_thread(stranger.publish, topic, b"said")
    await until(lambda: all(b"said" in fleet.heard(hearer) for hearer in hearers))
    await settled(fleet)
    assert {hearer for hearer in fleet.pipes if b"said" in fleet.heard(hearer)} == hearers


async def test_nothing_else_is_heard_by_anyone(fleet: Fleet) -> None:
    for number, (user, topic) in enumerate(WHO_MAY_NOT):
        stranger = await fleet.stranger(user, f"stranger-{number}")
        await asyncio.to_thread(stranger.publish, topic, b"forged", retain=number % 2 == 0)
    await settled(fleet)
    assert {user: b"forged" in fleet.heard(user) for user in fleet.pipes} == dict.fromkeys(fleet.pipes, False)
    late = await fleet.crowd.join(fleet.broker.pipe(OTHER, client_id="late"), "steward/1/borealis/down/+")
    await fleet.pipes[SHORE].publish(OTHER_DOWN, b"true")
    await fleet.crowd.until(late, b"true")
    assert fleet.crowd.payloads(late) == [b"true"]  # and nothing forged was retained


TRICKS = [
    *("#", "+", "+/#", "/#", "//#", "steward/#", "steward/1/#", "steward/1/+/#", "steward/1/+/+/#", "+/+/+/+/+"),
    *("+/+/+/+/+/+", "steward/1/+/down/+", "steward/1/+/down/deny", "steward/1/aurora/#", "steward/1/aurora/+/#"),
    *(OTHER_ACK, OTHER_DOWN, OTHER_UP, OTHER_LINK, "steward/1/borealis/#", "steward/1/borealis/+/ack/+"),
    *("steward/1/+/+/up/+", "steward/1/+/+/ack/+", "steward/1/aurora/+/ack/+", GW2_ACK, GW2_UP, UP),
    *("$SYS/#", "$SYS/broker/clients/#", "$share/x/#", "$share/x/steward/#", "$queue/#"),
    *(">", "steward.>", "steward.1.borealis.>", "steward.1.*.*.ack.*", "steward/1/*/down/*", "steward/1/borealis/>"),
    *("$MQTT/#", "$MQTT/sub/#", "$MQTT/msgs/#", "$MQTT/rmsgs/#", "$MQTT/sess/#", "$JS/#", "$JS/API/#", "_INBOX/#"),
    *("steward/1/aurora/gw1/ack/../../../borealis/#", "steward\t/#", "steward /1/#", "steward/1/\u2603/#"),
]


async def test_no_subscription_brings_what_is_others(fleet: Fleet) -> None:
    """One gateway of aurora against everything said on another ship, to another gateway, and what shore is told."""
    for number, trick in enumerate(TRICKS):
        stranger = await fleet.stranger(GW1, f"stranger-{number}")
        await asyncio.to_thread(stranger.subscribe, trick)
    await fleet.pipes[SHORE].publish(OTHER_DOWN, b"secret", retain=True)
    for topic in (OTHER_ACK, GW2_ACK):
        await fleet.pipes[SHORE].publish(topic, b"secret")
    await fleet.pipes[OTHER].publish(OTHER_UP, b"secret")
    await fleet.pipes[OTHER].publish(OTHER_LINK, b"secret", retain=True)
    await fleet.pipes[GW2].publish(GW2_UP, b"secret")
    await fleet.crowd.until(fleet.pipes[OTHER], b"secret")
    await settled(fleet)
    late = await fleet.stranger(GW1, "late")  # perhaps what is retained slips through
    for trick in TRICKS:
        await asyncio.to_thread(late.subscribe, trick)
        if late.ended.is_set():
            late = await fleet.stranger(GW1, "late")
    await settled(fleet)
    leaks = [
        (n, topic) for n, stranger in enumerate(fleet.strangers) for topic, said in stranger.got if said == b"secret"
    ]
    assert leaks == []


async def test_a_client_id_taken_over_brings_nothing_of_its_owners(fleet: Fleet) -> None:
    """Whoever knows the client id of a gateway can end its connection, but inherits no subscription and no message."""
    client_id = fleet.broker.settings(GW1).client_id
    await fleet.crowd.leave(fleet.pipes[GW1])
    await fleet.pipes[SHORE].publish(ACK, b"for gw1 alone")  # waits in the session
    thief = await fleet.stranger(OTHER, client_id, clean=False)
    await fleet.pipes[SHORE].publish(ACK, b"and this too")
    await settled(fleet)
    assert thief.got == []


async def test_the_owner_of_a_client_id_comes_back(fleet: Fleet) -> None:
    thief = await fleet.stranger(OTHER, fleet.broker.settings(GW1).client_id, clean=False)
    generation = fleet.pipes[GW1].generation
    await until(lambda: fleet.pipes[GW1].generation > generation)
    await fleet.pipes[SHORE].publish(ACK, b"still here")
    await fleet.crowd.until(fleet.pipes[GW1], b"still here")
    assert thief.got == []


async def test_a_will_says_nothing_that_its_client_may_not(fleet: Fleet) -> None:
    tls = context(fleet.certificates.client(GW1), fleet.certificates.ca)
    for number, topic in enumerate((OTHER_LINK, OTHER_DOWN, ACK, GW2_UP)):
        stranger = Stranger(fleet.broker.port, tls, f"dying-{number}")
        stranger._client.will_set(topic, b"forged", 1, retain=True)
        await asyncio.to_thread(stranger.connect)
        stranger._client.loop_stop()
        connection = stranger._client.socket()
        if connection is not None:
            connection.close()
    await settled(fleet)
    assert not any(b"forged" in fleet.heard(user) for user in fleet.pipes)


@pytest.mark.parametrize("kind", KINDS)
async def test_aboard_the_authority_speaks_to_each_gateway_alone(kind: str, tmp_path: Path) -> None:
    """On the ship's own broker: a gateway asks in its own name, and hears what the authority says to it only."""
    grants = ship_broker("aurora", ["gw1", "gw2", "gw3"], "gw1")
    gw3 = identity("aurora", "gw3")
    lan = "steward/1/aurora/lan"
    async with running_broker(kind, tmp_path, grants) as broker:
        crowd = Crowd()
        authority = await crowd.join(broker.pipe(GW1), f"{lan}/+/ask", "steward/1/aurora/+/up/+")
        two = await crowd.join(broker.pipe(GW2), f"{lan}/gw2/changes", "steward/1/aurora/gw2/ack/+")
        three = await crowd.join(broker.pipe(gw3), f"{lan}/gw3/changes")
        login = broker.settings(gw3).login
        assert login is not None
        spy = Stranger(broker.port, None, "spy")
        spy.login(*login)
        assert await asyncio.to_thread(spy.connect)
        for trick in ("#", f"{lan}/#", f"{lan}/+/changes", f"{lan}/gw2/changes", f"{lan}/+/ask", "steward/1/aurora/#"):
            await asyncio.to_thread(spy.subscribe, trick)
        for topic in (
            f"{lan}/gw2/ask",
            f"{lan}/gw2/changes",
            "steward/1/aurora/gw2/ack/ship",
            "steward/1/aurora/down/x",
        ):
            await asyncio.to_thread(spy.publish, topic, b"forged")
        await two.publish(f"{lan}/gw2/ask", b"question")
        await two.publish("steward/1/aurora/gw2/up/money", b"event")
        await authority.publish(f"{lan}/gw2/changes", b"answer")
        await authority.publish("steward/1/aurora/gw2/ack/ship", b"ack")
        await crowd.until(two, b"ack")
        await crowd.until(authority, b"event")
        await until(lambda: set(crowd.payloads(two)) >= {b"answer", b"ack"})
        assert set(crowd.payloads(authority)) == {b"question", b"event"}
        assert set(crowd.payloads(two)) == {b"answer", b"ack"}
        assert crowd.payloads(three) == []
        assert spy.got == []
        await asyncio.to_thread(spy.close)
        await crowd.end()
