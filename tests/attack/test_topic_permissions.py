"""A broker lets nobody in without a certificate of ours, and no ship, gateway or shore beyond its own topics.

Every attempt is made with a plain MQTT client, on nats-server and mosquitto as our own files set them up, over TLS.
What counts is what arrives: some brokers refuse, others take a message or a subscription and deliver nothing.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.e2e.brokerkit import (
    ACK,
    DOWN,
    GW1,
    GW2,
    KINDS,
    LIMIT_S,
    LINK,
    OTHER,
    UP,
    Broker,
    Certificates,
    Crowd,
    running_broker,
    until,
)

from steward.adapters.brokerrights import SHORE, identity, ship_broker
from steward.adapters.dial import ClientTls
from steward.adapters.mqtt import MqttPipe

OTHER_UP, OTHER_ACK = "steward/1/borealis/gw1/up/money", "steward/1/borealis/gw1/ack/shore"
OTHER_DOWN, OTHER_LINK = "steward/1/borealis/down/deny", "steward/1/borealis/gw1/link/shore"
GW2_UP, GW2_ACK, GW2_LINK = (f"steward/1/aurora/gw2/{rest}" for rest in ("up/money", "ack/shore", "link/shore"))


class Stranger:
    """A plain MQTT client with no manners."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, client_id: str, *, clean: bool = True) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.accepted = threading.Event()
        self.ended = threading.Event()
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=clean, reconnect_on_failure=False
        )
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_connect = lambda _c, _d, _f, code, _p: None if code.is_failure else self.accepted.set()
        self._client.on_message = lambda _c, _d, message: self.got.append((message.topic, message.payload))
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_disconnect = lambda *_: self.ended.set()
        self._port = port

    def connect(self) -> bool:
        """Whether the broker takes us."""
        try:
            self._client.connect("127.0.0.1", self._port, keepalive=30)
        except OSError:
            return False
        self._client.loop_start()
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s and not self.accepted.is_set() and not self.ended.is_set():
            time.sleep(0.01)
        return self.accepted.is_set()

    def login(self, user: str, password: str) -> None:
        self._client.username_pw_set(user, password)

    def subscribe(self, topic: str) -> None:
        """Wait for whatever the broker says to it, if it does not hang up."""
        self._subscribed.clear()
        try:
            self._client.subscribe(topic, 1)
        except ValueError:  # paho itself knows better
            return
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s and not self._subscribed.is_set() and not self.ended.is_set():
            time.sleep(0.01)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc == 0:
            end_s = time.monotonic() + 2  # a broker that refuses may say nothing
            while time.monotonic() < end_s and not info.is_published() and not self.ended.is_set():
                time.sleep(0.01)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def context(tls: ClientTls | None, ca: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(ca))
    if tls is not None:
        made.load_cert_chain(tls.certificate, tls.private_key)
    return made


@dataclass
class Fleet:
    """A broker with TLS and the honest: shore and all gateways, who hear what they may."""

    broker: Broker
    certificates: Certificates
    crowd: Crowd
    pipes: dict[str, MqttPipe] = field(default_factory=dict)
    strangers: list[Stranger] = field(default_factory=list)

    async def stranger(self, user: str, client_id: str = "stranger", **more: bool) -> Stranger:
        """A client with this user's good certificate."""
        tls = context(self.certificates.client(user), self.certificates.ca)
        stranger = Stranger(self.broker.port, tls, client_id, **more)
        self.strangers.append(stranger)
        assert await asyncio.to_thread(stranger.connect)
        return stranger

    def heard(self, user: str) -> set[bytes]:
        return set(self.crowd.payloads(self.pipes[user]))


@pytest.fixture(params=KINDS)
async def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Fleet]:
    certificates = Certificates(tmp_path / "ca")
    crowd = Crowd()
    async with running_broker(request.param, tmp_path, certificates=certificates) as broker:
        fleet = Fleet(broker, certificates, crowd)
        filters = {SHORE: ("steward/1/+/+/up/+", "steward/1/+/+/link/+")} | {
            user: (f"steward/1/{user}/ack/+", f"steward/1/{user.split('/')[0]}/down/+") for user in (GW1, GW2, OTHER)
        }
        for user, wanted in filters.items():
            fleet.pipes[user] = await crowd.join(broker.pipe(user), *wanted)
        yield fleet
        for stranger in fleet.strangers:
            await asyncio.to_thread(stranger.close)
        await crowd.end()


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
    await _settled(fleet)
    assert {hearer for hearer in fleet.pipes if b"said" in fleet.heard(hearer)} == hearers


async def test_nothing_else_is_heard_by_anyone(fleet: Fleet) -> None:
    for number, (user, topic) in enumerate(WHO_MAY_NOT):
        stranger = await fleet.stranger(user, f"stranger-{number}")
        await asyncio.to_thread(stranger.publish, topic, b"forged", retain=number % 2 == 0)
    await _settled(fleet)
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
    await _settled(fleet)
    late = await fleet.stranger(GW1, "late")  # perhaps what is retained slips through
    for trick in TRICKS:
        await asyncio.to_thread(late.subscribe, trick)
        if late.ended.is_set():
            late = await fleet.stranger(GW1, "late")
    await _settled(fleet)
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
    await _settled(fleet)
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
    await _settled(fleet)
    assert not any(b"forged" in fleet.heard(user) for user in fleet.pipes)


def _nobody(fleet: Fleet, folder: Path) -> ClientTls | None:
    return None


def _foreign_ca(fleet: Fleet, folder: Path) -> ClientTls:
    return Certificates(folder / "foreign").client(GW1)


def _expired(fleet: Fleet, folder: Path) -> ClientTls:
    return _dated(fleet, -40 * 86_400)


def _not_yet(fleet: Fleet, folder: Path) -> ClientTls:
    return _dated(fleet, 2 * 86_400)


def _unknown(fleet: Fleet, folder: Path) -> ClientTls:
    return fleet.certificates.client(identity("cetus", "gw1"))


def _server_only(fleet: Fleet, folder: Path) -> ClientTls:
    broker = fleet.certificates.broker
    return ClientTls(fleet.certificates.ca, broker.certificate, broker.private_key)


def _dated(fleet: Fleet, at_s: int) -> ClientTls:
    return fleet.certificates.client(GW1, at_s=at_s, days=30)


@pytest.mark.parametrize("make", [_nobody, _foreign_ca, _expired, _not_yet, _server_only])
async def test_without_a_good_certificate_nobody_is_let_in(
    fleet: Fleet, tmp_path: Path, make: Callable[[Fleet, Path], ClientTls | None]
) -> None:
    stranger = Stranger(fleet.broker.port, context(make(fleet, tmp_path), fleet.certificates.ca), "stranger")
    stranger.login(GW1, "guess")
    assert not await asyncio.to_thread(stranger.connect)
    await asyncio.to_thread(stranger.close)


async def test_without_tls_nobody_is_let_in(fleet: Fleet) -> None:
    stranger = Stranger(fleet.broker.port, None, "stranger")
    stranger.login(GW1, "guess")
    assert not await asyncio.to_thread(stranger.connect)
    await asyncio.to_thread(stranger.close)


async def test_a_certificate_of_an_unlisted_gateway_is_worth_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """So is one of a gateway that was shut out by leaving it out: nats-server refuses, mosquitto is deaf and mute."""
    stranger = Stranger(fleet.broker.port, context(_unknown(fleet, tmp_path), fleet.certificates.ca), "stranger")
    if await asyncio.to_thread(stranger.connect):
        assert fleet.broker.kind == "mosquitto"
        await asyncio.to_thread(stranger.subscribe, "#")
        await asyncio.to_thread(stranger.publish, "steward/1/cetus/gw1/up/money", b"forged")
        await fleet.pipes[SHORE].publish(DOWN, b"secret", retain=True)
        await _settled(fleet)
    await asyncio.to_thread(stranger.close)
    assert stranger.got == []
    assert b"forged" not in fleet.heard(SHORE)


async def test_a_name_in_the_login_changes_nothing(fleet: Fleet) -> None:
    """Who a client is stands in its certificate; a user name beside it makes nobody else of him."""
    tls = context(fleet.certificates.client(OTHER), fleet.certificates.ca)
    stranger = Stranger(fleet.broker.port, tls, "stranger")
    stranger.login(GW1, "guess")
    if await asyncio.to_thread(stranger.connect):
        await asyncio.to_thread(stranger.publish, UP, b"forged")
        await asyncio.to_thread(stranger.subscribe, ACK)
        await fleet.pipes[SHORE].publish(ACK, b"secret")
        await _settled(fleet)
    await asyncio.to_thread(stranger.close)
    assert b"forged" not in fleet.heard(SHORE)
    assert stranger.got == []


async def test_a_gateway_does_not_talk_to_a_broker_of_a_foreign_ca(tmp_path: Path) -> None:
    for kind in KINDS:
        folder = tmp_path / kind
        folder.mkdir()
        ours = Certificates(folder / "ours")
        async with running_broker(kind, folder, certificates=Certificates(folder / "theirs")) as broker:
            crowd = Crowd()
            pipe = await crowd.join(broker.pipe(GW1, tls=ours.client(GW1)), wait=False)
            await until(lambda pipe=pipe: "certificate" in pipe.trouble.lower())  # type: ignore[misc]
            assert pipe.generation == 0
            await crowd.end()


async def test_a_revoked_certificate_is_refused_by_mosquitto(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "ca")
    revoked = certificates.client(GW1)
    crl = certificates.revoking(revoked.certificate)
    async with running_broker("mosquitto", tmp_path, certificates=certificates, crl=crl) as broker:
        stranger = Stranger(broker.port, context(revoked, certificates.ca), "stranger")
        assert not await asyncio.to_thread(stranger.connect)
        await asyncio.to_thread(stranger.close)
        honest = Stranger(broker.port, context(certificates.client(GW2), certificates.ca), "honest")
        assert await asyncio.to_thread(honest.connect)
        await asyncio.to_thread(honest.close)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_embedded_brokers_passwords(kind: str, tmp_path: Path) -> None:
    """Without TLS, on loopback: no password, a wrong one, or another's opens nothing."""
    async with running_broker(kind, tmp_path) as broker:
        login = broker.settings(OTHER).login
        assert login is not None
        for user, password in ((None, None), (GW1, ""), (GW1, "guess"), (GW1, login[1]), ("nobody", "x")):
            stranger = Stranger(broker.port, None, "stranger")
            if user is not None:
                stranger.login(user, str(password))
            assert not await asyncio.to_thread(stranger.connect), user
            await asyncio.to_thread(stranger.close)


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


async def _settled(fleet: Fleet) -> None:
    """When what shore says now has reached every gateway, all that was said before has too, or never will."""
    mark = b"mark %d" % len(fleet.crowd.got[fleet.pipes[OTHER]])
    for topic, user in ((OTHER_ACK, OTHER), (GW2_ACK, GW2)):
        await fleet.pipes[SHORE].publish(topic, mark)
        await fleet.crowd.until(fleet.pipes[user], mark)
    await fleet.pipes[OTHER].publish(OTHER_UP, mark)
    await fleet.crowd.until(fleet.pipes[SHORE], mark)
    await asyncio.sleep(0.1)
