"""Messages through each broker with the gateway's own client, beside a bare TCP echo in the same run.

256 bytes at QoS 1, from publisher to subscriber: as many as go through, and the time of one at 200 a second.
`python -m bench.link [--seconds 3]`; mosquitto is measured where it is installed, else its row says so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from steward.adapters.broker import BrokerSetup, EmbeddedBroker
from steward.adapters.brokerrights import SHORE, identity, shore_broker
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.domain.topics import MONEY, up_topic

SECONDS = 3.0
MESSAGE_BYTES = 256
IN_FLIGHT = 20
PACE_PER_S = 200
GATEWAY = identity("bench", "gw1")
TOPIC = up_topic("bench", "gw1", MONEY)
_SENT_AT = struct.Struct("!d")
_PADDING = bytes(MESSAGE_BYTES - _SENT_AT.size)

Settings = Callable[[str], MqttSettings]


@dataclass(frozen=True, slots=True)
class Row:
    """One way of carrying: messages a second with IN_FLIGHT under way, and each one's time at PACE_PER_S."""

    name: str
    per_s: float
    p50_ms: float
    p99_ms: float


def run(seconds: float = SECONDS) -> dict[str, Any]:
    """Measure each for twice `seconds`, in a folder of its own, removed afterwards."""
    return asyncio.run(_measure(seconds))


def show(results: dict[str, Any], console: Console) -> None:
    table = Table(title=f"{MESSAGE_BYTES} bytes from publisher to subscriber, QoS 1")
    for head in ("through", "a second", "p50 / p99 ms"):
        table.add_column(head, justify="left" if head == "through" else "right")
    for row in results["rows"]:
        table.add_row(row["name"], f"{row['per_s']:,.0f}", f"{row['p50_ms']:.2f} / {row['p99_ms']:.2f}")
    for what, why in results["off"].items():
        table.add_row(what, "off", why)
    console.print(table)


async def _measure(seconds: float) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="bench-link-", dir=Path.cwd()))
    rows, off = [await _echo(seconds)], dict[str, str]()
    try:
        async with _embedded(folder / "nats") as settings:
            rows.append(await _through("nats-server, embedded", settings, seconds))
        if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None:
            async with _mosquitto(folder / "mosquitto") as settings:
                rows.append(await _through("mosquitto", settings, seconds))
        else:
            off["mosquitto"] = "not installed"
    finally:
        shutil.rmtree(folder)
    return {"seconds_each": seconds, "rows": [asdict(row) for row in rows], "off": off}


async def _through(name: str, settings: Settings, seconds: float) -> Row:
    publisher, subscriber = MqttPipe(settings(GATEWAY)), MqttPipe(settings(SHORE))
    await subscriber.subscribe(TOPIC)
    took_ms: list[float] = []
    tasks = [asyncio.create_task(pipe.run()) for pipe in (publisher, subscriber)]
    tasks.append(asyncio.create_task(_receive(subscriber, took_ms)))
    await publisher.connected()
    await subscriber.connected()
    began_s = time.perf_counter()
    await asyncio.gather(*(_saturate(publisher, began_s + seconds) for _ in range(IN_FLIGHT)))
    await asyncio.sleep(0.5)
    per_s = len(took_ms) / seconds
    took_ms.clear()
    await _pace(publisher, seconds)
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return Row(name, per_s, *_quantiles(took_ms))


async def _receive(pipe: MqttPipe, took_ms: list[float]) -> None:
    async for message in pipe.messages():
        took_ms.append((time.perf_counter() - _SENT_AT.unpack_from(message.payload)[0]) * 1000)


async def _saturate(pipe: MqttPipe, until_s: float) -> None:
    while time.perf_counter() < until_s:
        await pipe.publish(TOPIC, _SENT_AT.pack(time.perf_counter()) + _PADDING)


async def _pace(pipe: MqttPipe, seconds: float) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(int(seconds * PACE_PER_S)):
            payload = _SENT_AT.pack(time.perf_counter()) + _PADDING
            group.create_task(pipe.publish(TOPIC, payload))
            await asyncio.sleep(1 / PACE_PER_S)


async def _echo(seconds: float) -> Row:
    """What the loop and loopback TCP take for one message there and back: nothing here is faster."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    took_ms: list[float] = []
    end_s = time.perf_counter() + seconds
    while (sent_s := time.perf_counter()) < end_s:
        writer.write(_SENT_AT.pack(sent_s) + _PADDING)
        await reader.readexactly(MESSAGE_BYTES)
        took_ms.append((time.perf_counter() - sent_s) * 1000)
    writer.close()
    server.close()
    return Row("TCP echo, one at a time", len(took_ms) / seconds, *_quantiles(took_ms))


@asynccontextmanager
async def _embedded(folder: Path) -> AsyncIterator[Settings]:
    broker = await EmbeddedBroker.open(BrokerSetup("bench", folder, shore_broker({"bench": ["gw1"]})))
    life = asyncio.create_task(broker.run())
    await broker.ready.wait()
    try:
        yield lambda user: MqttSettings("127.0.0.1", broker.port, f"bench-{user}", login=(user, broker.password(user)))
    finally:
        life.cancel()
        await asyncio.wait([life])
        broker.close()


@asynccontextmanager
async def _mosquitto(folder: Path) -> AsyncIterator[Settings]:
    folder.mkdir()  # noqa: ASYNC240 once, before anything runs
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}/",
    ]
    if os.getuid() == 0:
        lines.append("user root")
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program is not None
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(program, "-c", str(folder / "mosquitto.conf"), stderr=quiet)
    try:
        yield lambda user: MqttSettings("127.0.0.1", port, f"bench-{user}")
    finally:
        process.terminate()
        await process.wait()


def _quantiles(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    show(run(parser.parse_args().seconds), Console())


if __name__ == "__main__":
    main()
