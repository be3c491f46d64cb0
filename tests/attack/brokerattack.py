"""A broker with TLS, the honest who use it, and a client with no manners: for attacks on what a broker lets through."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from tests.e2e.brokerkit import GW1, GW2, LIMIT_S, OTHER, Broker, Certificates, Crowd, running_broker

from steward.adapters.brokerrights import SHORE
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
        self._client.reinitialise()  # or the pair of sockets that wakes its thread is open until it is collected


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


@asynccontextmanager
async def fleet_of(kind: str, folder: Path) -> AsyncIterator[Fleet]:
    """Shore and three gateways on a broker of this kind."""
    certificates = Certificates(folder / "ca")
    crowd = Crowd()
    async with running_broker(kind, folder, certificates=certificates) as broker:
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


async def settled(fleet: Fleet) -> None:
    """When what shore says now has reached every gateway, all that was said before has too, or never will."""
    mark = b"mark %d" % len(fleet.crowd.got[fleet.pipes[OTHER]])
    for topic, user in ((OTHER_ACK, OTHER), (GW2_ACK, GW2)):
        await fleet.pipes[SHORE].publish(topic, mark)
        await fleet.crowd.until(fleet.pipes[user], mark)
    await fleet.pipes[OTHER].publish(OTHER_UP, mark)
    await fleet.crowd.until(fleet.pipes[SHORE], mark)
    await asyncio.sleep(0.1)
