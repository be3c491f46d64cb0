"""A bad line: bytes counted at the socket, lines that stall or break or lie, and a broker that speaks no MQTT."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e.brokerkit import (
    ACK,
    GW1,
    KINDS,
    UP,
    Broker,
    Certificates,
    Crowd,
    Relay,
    running_broker,
    until,
    within,
)
from tests.servekit import ended

from steward.adapters import bytemeter, dial, mqtt, mqttline
from steward.adapters.brokerrights import SHORE
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.ports.sync import LinkBytes, LinkDown

UPS = "steward/1/+/+/up/+"


@pytest.fixture(params=[*KINDS, "nats with TLS", "mosquitto with TLS"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broker]:
    kind, _, tls = request.param.partition(" ")
    certificates = Certificates(tmp_path / "ca") if tls else None
    async with running_broker(kind, tmp_path, certificates=certificates) as broker:
        yield broker


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    crowd = Crowd()
    yield crowd
    await crowd.end()


@pytest.fixture
async def relay(broker: Broker) -> AsyncIterator[Relay]:
    async with Relay(broker.port) as relay:
        yield relay


async def test_bytes_are_those_that_crossed_the_line(broker: Broker, relay: Relay, crowd: Crowd) -> None:
    """Over several connections, handshakes and good-byes included."""
    gateway = await crowd.join(broker.pipe(GW1, port=relay.port), "steward/1/aurora/gw1/ack/+")
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    for number in range(3):
        await gateway.publish(UP, os.urandom(20_000))
        await shore.publish(ACK, b"ack %d" % number)
        await crowd.until(gateway, b"ack %d" % number)
        await until(lambda: _is_close(gateway.counted(), relay))  # what is on the way would be lost with the line
        relay.cut()
        await until(lambda: gateway.generation == number + 2)  # noqa: B023 awaited here
    await crowd.leave(gateway)
    await until(lambda: _is_close(gateway.counted(), relay))
    assert relay.connections == 4
    assert relay.up > 60_000


def _is_close(counted: LinkBytes, relay: Relay) -> bool:
    """The same, but for a byte that the kernel counts for the end of a connection."""
    return counted.sent == relay.up and 0 <= counted.received - relay.down <= relay.connections


async def test_without_the_kernels_count_the_payload_is_counted(
    broker: Broker, relay: Relay, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bytemeter.sys, "platform", "plan9")
    gateway = await crowd.join(broker.pipe(GW1, port=relay.port), "steward/1/aurora/gw1/ack/+")
    await gateway.publish(UP, os.urandom(20_000))
    await crowd.leave(gateway)
    assert 20_000 < gateway.counted().sent <= relay.up
    assert 0 < gateway.counted().received <= relay.down


@pytest.mark.parametrize("kind", KINDS)
async def test_a_tls_session_is_taken_up_again(kind: str, tmp_path: Path, crowd: Crowd) -> None:
    """The second handshake takes fewer bytes than the first, on every broker."""
    certificates = Certificates(tmp_path / "ca")
    async with running_broker(kind, tmp_path, certificates=certificates) as broker, Relay(broker.port) as relay:
        gateway = await crowd.join(broker.pipe(GW1, port=relay.port))
        first = relay.up + relay.down
        relay.cut()
        await until(lambda: gateway.generation == 2)
        assert relay.up + relay.down - first < first - 300


@pytest.mark.parametrize("kind", KINDS)
async def test_an_expired_certificate_is_told_and_a_renewed_one_used_without_a_restart(
    kind: str, tmp_path: Path, crowd: Crowd
) -> None:
    certificates = Certificates(tmp_path / "ca")
    expired = certificates.client(GW1, at_s=-40 * 86_400)
    async with running_broker(kind, tmp_path, certificates=certificates) as broker:
        gateway = await crowd.join(broker.pipe(GW1, tls=expired), wait=False)
        await until(lambda: gateway.trouble != "")
        assert "SSLError: " in gateway.trouble
        assert "certificate" in gateway.trouble
        assert gateway.generation == 0
        renewed = certificates.client(GW1)
        for fresh, old in ((renewed.private_key, expired.private_key), (renewed.certificate, expired.certificate)):
            fresh.replace(old)
        await within(gateway.connected())
        assert gateway.trouble == ""


async def test_a_line_that_stalls_is_given_up_and_another_is_dialled(
    broker: Broker, relay: Relay, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqttline, "PUBLISH_LIMIT_S", 1.0)
    gateway = await crowd.join(broker.pipe(GW1, port=relay.port))
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    relay.stall()
    with pytest.raises(LinkDown):
        await gateway.publish(UP, b"into the void")
    relay.cut()
    relay.flow()
    await within(gateway.connected())
    await gateway.publish(UP, b"again")
    await crowd.until(shore, b"again")


async def test_a_line_that_is_only_slow_is_waited_for(broker: Broker, relay: Relay, crowd: Crowd) -> None:
    gateway = await crowd.join(broker.pipe(GW1, port=relay.port))
    generation = gateway.generation
    relay.stall()
    publishing = asyncio.create_task(gateway.publish(UP, b"patience"))
    await asyncio.sleep(1.5)
    assert not publishing.done()
    relay.flow()
    await within(publishing)
    assert gateway.generation == generation


async def test_silence_without_traffic_is_noticed_by_keep_alive(broker: Broker, relay: Relay, crowd: Crowd) -> None:
    gateway = await crowd.join(broker.pipe(GW1, port=relay.port, keep_alive_s=1))
    relay.stall()
    await until(lambda: not gateway.is_connected)


async def test_a_partition_ends_by_itself(broker: Broker, relay: Relay, crowd: Crowd) -> None:
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    gateway = await crowd.join(broker.pipe(GW1, port=relay.port))
    relay.refusing = True
    relay.cut()
    await until(lambda: not gateway.is_connected and gateway.trouble != "")
    with pytest.raises(LinkDown):
        await gateway.publish(UP, b"x")
    relay.refusing = False
    await within(gateway.connected())
    assert gateway.trouble == ""
    await gateway.publish(UP, b"after")
    await crowd.until(shore, b"after")


async def test_publishers_in_flight_are_told_when_the_line_breaks(broker: Broker, relay: Relay, crowd: Crowd) -> None:
    gateway = await crowd.join(broker.pipe(GW1, port=relay.port))
    relay.stall()
    publishing = [asyncio.create_task(gateway.publish(UP, b"%d" % number)) for number in range(50)]
    await asyncio.sleep(0.1)
    relay.cut()
    results = await within(asyncio.gather(*publishing, return_exceptions=True))
    assert {type(result) for result in results} == {LinkDown}


async def test_a_publisher_that_gives_up_leaves_the_line_usable(broker: Broker, crowd: Crowd) -> None:
    gateway = await crowd.join(broker.pipe(GW1))
    shore = await crowd.join(broker.pipe(SHORE), UPS)
    for number in range(100):
        publishing = asyncio.create_task(gateway.publish(UP, b"%d" % number))
        await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])
    await gateway.publish(UP, b"last")
    await crowd.until(shore, b"last")


async def test_closing_while_dialling_a_silent_host_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    pipe = MqttPipe(MqttSettings("127.0.0.1", server.sockets[0].getsockname()[1], "c"))
    running = asyncio.create_task(pipe.run())
    await until(lambda: bool(held))
    async with asyncio.timeout(5):
        await pipe.close()
    assert running.cancelled()
    for writer in held:
        writer.close()
    await ended(server)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x02\x00\x00\x30",  # accepted, and then a packet without end
        b"\x20\x02\x00\x00\x30\xff\xff\xff\x7f" + b"x" * 100_000,  # a packet of 256 MB
        b"\x20\x02\x00\x00\x30\xff\xff\xff\xff\xff",
        b"\x20\x02\x00\x00\x32\x05\x00\x09ab",  # topic longer than the packet
        b"\x20\x02\x00\x00\x32\x06\x00\x02\xff\xfe\x00\x01",  # topic that is no UTF-8
        b"\x20\x02\x00\x00\x40\x01\x00",
        b"\x20\x02\x00\x00\x90\x03\x00\x01\x80\x90\x00",
        b"\x20\x02\x00\x09",
        b"\x20\x00",
        b"\x00" * 64,
        b"\xff" * 64,
        bytes(range(256)),
    ],
)
async def test_a_broker_that_speaks_no_mqtt_does_no_harm(answer: bytes, crowd: Crowd) -> None:
    """It is tried again and again, nothing is raised elsewhere, and memory stays small."""
    calls = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.read(100)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    pipe = MqttPipe(MqttSettings("127.0.0.1", server.sockets[0].getsockname()[1], "c"))
    await crowd.join(pipe, wait=False)
    await until(lambda: calls >= 3)
    assert crowd.got[pipe] == []
    await crowd.leave(pipe)
    await ended(server)


async def test_a_broker_that_floods_fills_no_memory(crowd: Crowd) -> None:
    """Messages that want no acknowledgement come as fast as they can; nobody reads them, and then somebody does."""
    flood = b"".join(b"\x30\x0a\x00\x01t%07d" % number for number in range(100_000))
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x20\x02\x00\x00" + flood)
        await writer.drain()
        served.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    pipe = MqttPipe(MqttSettings("127.0.0.1", server.sockets[0].getsockname()[1], "c"))
    await crowd.join(pipe, reading=False)
    await asyncio.sleep(0.3)
    assert len(pipe._waiting) == mqtt.WAITING_MAX
    crowd.read(pipe)
    await until(lambda: len(crowd.got[pipe]) == 100_000)
    assert crowd.payloads(pipe) == [b"%07d" % number for number in range(100_000)]
    await crowd.leave(pipe)
    await ended(server)


async def test_a_line_lost_while_nobody_reads_is_noticed(broker: Broker, relay: Relay, crowd: Crowd) -> None:
    pipe = broker.pipe(SHORE, port=relay.port, keep_alive_s=1)
    shore = await crowd.join(pipe, UPS, reading=False)
    line = shore._line
    assert line is not None
    line.pause()
    relay.cut()
    await until(lambda: shore.generation == 2)


async def test_publishers_that_gave_up_before_the_line_broke_leave_no_trace(
    broker: Broker, relay: Relay, crowd: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await crowd.join(broker.pipe(GW1, port=relay.port))
    relay.stall()
    for number in range(5):
        publishing = asyncio.create_task(gateway.publish(UP, b"%d" % number))
        await asyncio.sleep(0.01)
        publishing.cancel()
        await asyncio.wait([publishing])
    relay.cut()
    relay.flow()
    await until(lambda: gateway.generation == 2)
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_pauses_between_attempts_grow_to_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 12:
            raise asyncio.CancelledError

    monkeypatch.setattr(mqtt.asyncio, "sleep", sleep)
    server = await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0)
    pipe = MqttPipe(MqttSettings("127.0.0.1", server.sockets[0].getsockname()[1], "c"))
    with pytest.raises(asyncio.CancelledError):
        await pipe.run()
    server.close()
    for rounds, pause_s in enumerate(pauses, start=1):
        bound_s = min(mqtt.BACKOFF_FIRST_S * 2**rounds, mqtt.BACKOFF_MAX_S)
        assert mqtt.BACKOFF_MIN_S <= pause_s <= bound_s
    assert len(set(pauses)) > 6


def test_a_pause_is_anywhere_up_to_its_bound() -> None:
    """Half of all gateways come back in the first half of it, or a broker's return would be a storm of them."""
    pauses = [mqtt.pause_s(99) for _ in range(2000)]
    assert all(mqtt.BACKOFF_MIN_S <= pause_s <= mqtt.BACKOFF_MAX_S for pause_s in pauses)
    for part in range(4):
        low_s = part * mqtt.BACKOFF_MAX_S / 4
        assert 350 < sum(low_s <= pause_s < low_s + mqtt.BACKOFF_MAX_S / 4 for pause_s in pauses) < 650


async def test_only_a_message_taken_makes_the_pauses_short_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that accepts and drops us is no better than one that is not there."""
    asked: list[int] = []

    def pause_s(rounds: int) -> float:
        asked.append(rounds)
        return 0.01

    monkeypatch.setattr(mqtt, "pause_s", pause_s)
    async with running_broker("nats", tmp_path) as broker, Relay(broker.port) as relay:
        crowd = Crowd()
        gateway = await crowd.join(broker.pipe(GW1, port=relay.port))
        for generation in (2, 3, 4):
            relay.cut()
            await until(lambda generation=generation: gateway.generation == generation)  # type: ignore[misc]
        assert asked[-3:] == sorted(asked)[-3:], "connected only, and each time later"
        assert asked[-1] >= 3
        await within(gateway.publish(UP, b"taken"))
        relay.cut()
        await until(lambda: gateway.generation == 5)
        assert 0 in asked[3:]
        await crowd.end()


async def test_the_next_address_is_tried_and_the_first_comes_first_again(tmp_path: Path) -> None:
    async with (
        running_broker("nats", tmp_path) as broker,
        Relay(broker.port) as first,
        Relay(broker.port) as second,
    ):
        crowd = Crowd()
        gateway = await crowd.join(broker.pipe(GW1, port=first.port, others=(("127.0.0.1", second.port),)))
        assert (first.connections, second.connections) == (1, 0)
        await within(gateway.publish(UP, b"over the first"))
        first.refusing = True
        first.cut()
        await until(lambda: gateway.generation == 2)
        assert second.connections == 1
        await within(gateway.publish(UP, b"over the second"))
        first.refusing = False
        before = first.connections
        second.cut()
        await until(lambda: gateway.generation == 3)
        assert (first.connections, second.connections) == (before + 1, 1)
        await crowd.end()


async def test_a_host_that_cannot_be_is_told_as_trouble(crowd: Crowd) -> None:
    pipe = await crowd.join(MqttPipe(MqttSettings("a..b", 1, "c")), wait=False)
    await until(lambda: pipe.trouble != "")
    missing = dial.ClientTls(Path("/nowhere/ca"), Path("/nowhere/crt"), Path("/nowhere/key"))
    other = await crowd.join(MqttPipe(replace(MqttSettings("127.0.0.1", 1, "c"), tls=missing)), wait=False)
    await until(lambda: "FileNotFoundError" in other.trouble)
