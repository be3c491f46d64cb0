"""Both ends of the link for real: a broker, gateways sending over MQTT, and the shore service, here or as a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.e2e.brokerkit import Broker, within
from tests.shore.kit import NOW_S, prepared, table
from tests.typical import Ship

from steward.adapters.brokerrights import identity, shore_broker
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.memory import MemoryStore
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.adapters.system import OsEntropy, SystemClock
from steward.domain.events import NewEvent, StoredEvent
from steward.domain.recipients import WHOLE
from steward.domain.topics import DOWN_KINDS, down_topic
from steward.ports import Tx
from steward.services.downlink import DownlinkService, DownlinkSettings
from steward.services.uplink import UplinkService, UplinkSettings
from steward.shore import key as shorekey
from steward.shore import parts
from steward.shore.alarms import alarms
from steward.shore.arrivals import events_in
from steward.shore.config import ShoreConfig, load
from steward.shore.fleet import count_events
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token

LIMIT_S = 120.0
FLEET = {"aurora": ("gw1", "gw2")}
GRANTS = shore_broker(FLEET)
PASSPHRASE = "a passphrase for tests"


@dataclass
class Ashore:
    """A folder with settings, key, tokens and a store that has begun."""

    settings: ShoreConfig
    public_key: bytes
    tokens: dict[str, str] = field(repr=False)


async def make_shore(folder: Path, broker: Broker, *, url: str | None = None) -> Ashore:
    """A shore beside a broker on loopback."""
    folder.mkdir()
    login = broker.settings("shore").login
    assert login is not None
    write_private(folder / "broker-password", f"{login[1]}\n".encode(), replace=False)
    link = f'[link]\nurl = "mqtt://127.0.0.1:{broker.port}"\npassword_file = "broker-password"\n'
    return await prepare_shore(folder, link, url=url)


async def prepare_shore(
    folder: Path, link: str, *, url: str | None = None, name: str = "shore1", begin: bool = True
) -> Ashore:
    """As `steward shore init` and `steward shore ship add` would. link: the sections [link] and [cluster]."""
    write_private(folder / "passphrase", f"{PASSPHRASE}\n".encode(), replace=False)
    store = f'url = "{url}"' if url else ""
    (folder / "shore.toml").write_text(
        f'[shore]\nfleet = "nordic"\nname = "{name}"\nworkers = 3\n[store]\n{store}\n{link}[http]\nport = 0\n'
    )
    settings = load(folder / "shore.toml")
    key = shorekey.create(settings.shore.key_file, KeySecret.from_passphrase(PASSPHRASE), OsEntropy())
    tokens = {}
    for role in (Role.MONITOR, Role.PURSER, Role.DESK):
        tokens[str(role)] = new_token(OsEntropy())
        entry = TokenEntry(str(role), role, None, hash_token(tokens[str(role)]), NOW_S)
        add_token(settings.shore.api_tokens_file, entry)
    opened = await parts.open_store(settings, create=True)
    try:
        if begin:
            await prepared(opened, **FLEET)
    finally:
        await opened.close()
    return Ashore(settings, key.public, tokens)


class ShoreProcess:
    """`steward shore run` as a process of its own."""

    def __init__(self, settings: ShoreConfig) -> None:
        self._file = settings.file
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
        with (self._file.parent / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "steward", "shore", "run", "--config", str(self._file)),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        assert self._process.stdout is not None
        line = (await within(self._process.stdout.readline())).decode()
        assert line.startswith("Steward shore for nordic: http"), line + self.log()
        self.url = line.rsplit(" ", 1)[1].strip()

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        return int(await within(self._process.wait()))

    def log(self) -> str:
        return (self._file.parent / "log").read_text(errors="replace")


class GatewayEnd:
    """A gateway's event log and its two link services, over a real broker."""

    def __init__(self, pipe: MqttPipe, public_key: bytes, ship: str, name: str, seed: int, store: MemoryStore) -> None:
        self.ship, self.name = ship, name
        self.store = store
        self.pipe = pipe
        clock = SystemClock()
        self.uplink = UplinkService(
            store, clock, OsEntropy(), pipe, UplinkSettings(ship, name, "shore", "9.9.9", WHOLE)
        )
        self.downlink = DownlinkService(store, clock, DownlinkSettings(ship, (public_key,)))
        self._tasks: list[asyncio.Task[None]] = []
        self._typical = iter(Ship(seed).events(60_000))

    async def start(self) -> None:
        await self.pipe.subscribe(self.uplink.topic, *(down_topic(self.ship, kind) for kind in DOWN_KINDS))
        for run in (self.pipe.run, self._read, self.uplink.run):
            self._tasks.append(asyncio.create_task(run()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in self._tasks:
            assert task.cancelled() or task.exception() is None, task.exception()

    async def add(self, count: int) -> None:
        """So many more events, in one transaction."""
        fresh = [next(self._typical) for _ in range(count)]

        def work(tx: Tx) -> None:
            for event in fresh:
                tx.append_event(NewEvent(event.type, event.at_s, event.payload))

        await self.store.write(work)

    async def events(self) -> list[StoredEvent]:
        return list(await self.store.read(lambda tx: tx.events(0, 1_000_000)))

    async def waiting(self) -> int:
        return (await self.uplink.snapshot()).waiting.events

    async def until_delivered(self) -> None:
        async def nothing_waits() -> bool:
            assert not any(task.done() for task in self._tasks), self._tasks
            return await self.waiting() == 0

        await eventually(nothing_waits)

    async def _read(self) -> None:
        async for message in self.pipe.messages():
            if message.topic == self.uplink.topic:
                await self.uplink.receive(message)
            else:
                await self.downlink.receive(message)


@asynccontextmanager
async def gateways(broker: Broker, ashore: Ashore, names: Sequence[str] = ("gw1",)) -> AsyncIterator[list[GatewayEnd]]:
    """Running gateways of the ship aurora on one broker."""
    settings = {name: broker.settings(identity("aurora", name)) for name in names}
    async with running_gateways(settings, ashore) as ends:
        yield ends


@asynccontextmanager
async def running_gateways(settings: Mapping[str, MqttSettings], ashore: Ashore) -> AsyncIterator[list[GatewayEnd]]:
    """Running gateways of the ship aurora by name, each with its own way to a broker."""
    made = [
        GatewayEnd(
            MqttPipe(replace(way, client_id=f"{name}-{secrets.token_hex(8)}")),
            ashore.public_key,
            "aurora",
            name,
            seed,
            MemoryStore(first_epoch=1_800_000_000),
        )
        for seed, (name, way) in enumerate(settings.items())
    ]
    async with contextlib.AsyncExitStack() as started:
        for gateway in made:
            await gateway.start()
            started.push_async_callback(gateway.stop)
        yield made


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(LIMIT_S):
        while not await holds():  # noqa: ASYNC110 any condition
            await asyncio.sleep(0.05)


async def check_exact(ashore: Ashore, gateway: GatewayEnd) -> None:
    """Every event of the gateway's log is ashore once, as it is there, and all counters agree."""
    store = await parts.open_store(ashore.settings)
    try:
        sent = await gateway.events()
        epoch = sent[0].epoch
        assert await store.read(events_in(gateway.ship, gateway.name, epoch, 1, 1 << 40)) == sent
        sql = "SELECT events, head, conflicts FROM log WHERE gateway = ? AND epoch = ?"
        assert await store.read(table(sql, gateway.name, epoch)) == [(len(sent), len(sent), 0)]
        counts = {line.gateway: line for line in await store.read(count_events(gateway.ship))}
        assert (counts[gateway.name].events, counts[gateway.name].last) == (len(sent), len(sent))
        assert await store.read(alarms()) == []
    finally:
        await store.close()
