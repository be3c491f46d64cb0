"""The event log over real brokers: every event at the receiver once, whatever happens to the broker and the line."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.e2e.brokerkit import GW1, KINDS, Broker, Certificates, Crowd, Relay, running_broker, until, within
from tests.e2e.gatewaykit import SETTINGS, Aboard, aboard, prepare
from tests.linkkit import Peer
from tests.typical import Ship
from tests.vaultkit import DATA_KEY

from steward.adapters.brokerrights import SHORE
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy, SystemClock
from steward.domain.batches import DownMessage, sign_down
from steward.domain.downs import Freezes, encode_freeze
from steward.domain.events import NewEvent, StoredEvent
from steward.domain.recipients import WHOLE
from steward.domain.tally import LINK
from steward.domain.topics import TELEMETRY, down_topic
from steward.ports import Tx
from steward.services.router import MessageRouter
from steward.services.uplink import UplinkService, UplinkSettings

EVENTS = 20_000
SLICE = 500


@dataclass
class Sender:
    """A gateway's store and uplink on a pipe."""

    store: SqliteStore
    pipe: MqttPipe
    service: UplinkService
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def append(self, events: list[StoredEvent]) -> None:
        def work(tx: Tx) -> None:
            for event in events:
                tx.append_event(NewEvent(event.type, event.at_s, event.payload))

        await self.store.write(work)

    async def waiting(self) -> int:
        return (await self.service.snapshot()).waiting.events


@asynccontextmanager
async def sender(folder: Path, pipe: MqttPipe) -> AsyncIterator[Sender]:
    store = SqliteStore.open(folder / "gateway.db", DATA_KEY, first_epoch=100)
    settings = UplinkSettings("aurora", "gw1", "shore", "1.2.3", WHOLE)
    service = UplinkService(store, SystemClock(), OsEntropy(), pipe, settings)
    router = MessageRouter(pipe, service.overheard)
    router.on(service.topic, service.receive)
    made = Sender(store, pipe, service)
    made.tasks = [asyncio.create_task(run()) for run in (pipe.run, service.run, router.run)]
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                raise AssertionError("a task of the link ended") from task.exception()
        await store.close()


@pytest.mark.parametrize("kind", [*KINDS, "nats with TLS", "mosquitto with TLS"])
async def test_every_event_once_though_the_broker_is_killed_three_times(kind: str, tmp_path: Path) -> None:
    kind, _, tls = kind.partition(" ")
    certificates = Certificates(tmp_path / "ca") if tls else None
    events = Ship(seed=7).events(EVENTS)
    async with running_broker(kind, tmp_path, certificates=certificates) as broker:
        crowd = Crowd()
        shore = await crowd.join(broker.pipe(SHORE), reading=False)
        peer = Peer(shore)  # type: ignore[arg-type]
        receiving = asyncio.create_task(peer.run())
        async with sender(tmp_path, broker.pipe(GW1)) as gateway:
            await _with_kills(broker, gateway, peer, events)
            assert await gateway.waiting() == 0
            sent = gateway.pipe.counted().sent
        receiving.cancel()
        await asyncio.wait([receiving])
        await crowd.end()
    _check_all(peer, events)
    assert sent < 100 * EVENTS  # a third of JSON, resends and handshakes included


async def _with_kills(broker: Broker, gateway: Sender, peer: Peer, events: list[StoredEvent]) -> None:
    """Append all the time; kill the broker whenever another quarter has arrived."""
    killings = [EVENTS // 4, EVENTS // 2, 3 * EVENTS // 4]

    async def append() -> None:
        for start in range(0, len(events), SLICE):
            await gateway.append(events[start : start + SLICE])
            await asyncio.sleep(0.01)

    appending = asyncio.create_task(append())
    async with asyncio.timeout(240):
        for mark in killings:
            while len(peer.arrivals) < mark:  # noqa: ASYNC110 a peer has no event for it
                await asyncio.sleep(0.005)
            await broker.kill()
            await broker.start()
        await appending
        while len(peer.arrivals) < EVENTS or await gateway.waiting():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _check_all(peer: Peer, events: list[StoredEvent]) -> None:
    """Each once, with the content it had; a repeated one was known as such."""
    assert len(peer.arrivals) == len(events)
    assert peer.alarms == []
    by_seq = {event.seq: event for event in peer.arrivals}
    assert sorted(by_seq) == list(range(1, len(events) + 1))
    for number, event in enumerate(events, start=1):
        found = by_seq[number]
        assert (found.type, found.at_s, dict(found.payload)) == (event.type, event.at_s, dict(event.payload))


@pytest.mark.parametrize("kind", KINDS)
async def test_every_event_once_over_a_line_that_keeps_breaking(kind: str, tmp_path: Path) -> None:
    events = Ship(seed=8).events(3000)
    async with running_broker(kind, tmp_path) as broker, Relay(broker.port) as relay:
        crowd = Crowd()
        peer = Peer(await crowd.join(broker.pipe(SHORE), reading=False))  # type: ignore[arg-type]
        receiving = asyncio.create_task(peer.run())
        async with sender(tmp_path, broker.pipe(GW1, port=relay.port)) as gateway:
            for start in range(0, len(events), 600):
                await gateway.append(events[start : start + 600])
                await until(lambda start=start: len(peer.arrivals) > start)  # type: ignore[misc]
                relay.cut()
            async with asyncio.timeout(120):
                while await gateway.waiting():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            shown = await gateway.service.snapshot()
            assert sum(shown.bytes_total.values()) == shown.socket.sent + shown.socket.received
            assert shown.socket.sent > relay.up * 0.99, "counted at the socket, lost bytes too"
            assert shown.bytes_total[LINK] < 0.5 * sum(shown.bytes_total.values())  # more is lost where cuts come late
        receiving.cancel()
        await asyncio.wait([receiving])
        await crowd.end()
    _check_all(peer, events)


# A whole gateway with the broker of its own


def _linked(key: Ed25519PrivateKey) -> str:
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    link = f'[link]\nurl = "embedded"\nshore_keys = ["{public}"]\n[link.budget_kib_per_day]\ntelemetry = 64\n'
    return SETTINGS + link


async def _shore_of(ship: Aboard, crowd: Crowd) -> MqttPipe:
    broker = ship.gateway.parts.link.broker
    assert broker is not None
    await within(broker.ready.wait())
    settings = MqttSettings("127.0.0.1", broker.port, "shore-of-a-test", login=(SHORE, broker.password(SHORE)))
    return await crowd.join(MqttPipe(settings), reading=False)


async def test_a_gateway_with_its_own_broker_sends_and_obeys(tmp_path: Path) -> None:
    """One settings line: events go up, shore's freeze comes down, and the status says how it is."""
    key = Ed25519PrivateKey.generate()
    tokens = prepare(tmp_path, _linked(key))
    crowd = Crowd()
    async with aboard(tmp_path, tokens) as ship:
        shore = await _shore_of(ship, crowd)
        peer = Peer(shore)  # type: ignore[arg-type]
        receiving = asyncio.create_task(peer.run())
        ref = await ship.guest()
        await ship.charged(ref)
        store = ship.gateway.parts.store
        newest = await store.read(lambda tx: tx.newest_seq(tx.epoch()))
        await until(lambda: len(peer.arrivals) >= newest)
        body = encode_freeze(Freezes(guests=((ref, "lost"),)))
        signed = sign_down(DownMessage("aurora", "freeze", 1, int(time.time()), body), key)
        forged = sign_down(DownMessage("aurora", "freeze", 2, int(time.time()), body), Ed25519PrivateKey.generate())
        await shore.publish(down_topic("aurora", "freeze"), forged, retain=True)
        await shore.publish(down_topic("aurora", "freeze"), signed, retain=True)
        async with asyncio.timeout(60):
            while True:  # until it is applied
                status = await ship.gateway.parts.link.status()
                if status is not None and status.down_versions["freeze"]:
                    break
                await asyncio.sleep(0.05)
        assert status.down_versions["freeze"] == 1
        assert (status.trouble, status.uplink.answering, status.url) == ("", True, "embedded")
        assert status.socket.sent > 0
        assert status.uplink.bytes_today[TELEMETRY] < 64 * 1024
        receiving.cancel()
        await asyncio.wait([receiving])
        await crowd.end()


async def test_a_gateway_lives_on_when_its_broker_dies_and_comes_back(tmp_path: Path) -> None:
    tokens = prepare(tmp_path, _linked(Ed25519PrivateKey.generate()))
    crowd = Crowd()
    async with aboard(tmp_path, tokens) as ship:
        peer = Peer(await _shore_of(ship, crowd))  # type: ignore[arg-type]
        receiving = asyncio.create_task(peer.run())
        broker = ship.gateway.parts.link.broker
        assert broker is not None
        await until(lambda: len(peer.arrivals) > 0)
        killed = broker.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        ref = await ship.guest()
        await ship.charged(ref)
        store = ship.gateway.parts.store
        newest = await store.read(lambda tx: tx.newest_seq(tx.epoch()))
        await until(lambda: len(peer.arrivals) >= newest)
        assert {event.seq for event in peer.arrivals} == set(range(1, newest + 1))
        receiving.cancel()
        await asyncio.wait([receiving])
        await crowd.end()
    assert broker.pid is None
