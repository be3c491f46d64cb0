"""Real brokers for tests: nats-server as the gateway embeds it, and mosquitto from its own files; TLS or loopback."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from steward.adapters import localca
from steward.adapters.broker import BrokerSetup, EmbeddedBroker
from steward.adapters.brokerfiles import BrokerPlan, BrokerTls, mosquitto_files
from steward.adapters.brokerrights import Grant, identity, shore_broker
from steward.adapters.dial import ClientTls
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.adapters.system import OsEntropy
from steward.ports.sync import PipeMessage
from voyage import ship

LIMIT_S = 60.0
KINDS = ("nats", "mosquitto")
SHIPS = {"aurora": ("gw1", "gw2"), "borealis": ("gw1",)}
GW1, GW2, OTHER = identity("aurora", "gw1"), identity("aurora", "gw2"), identity("borealis", "gw1")
UP, ACK, DOWN = "steward/1/aurora/gw1/up/money", "steward/1/aurora/gw1/ack/shore", "steward/1/aurora/down/deny"
LINK = "steward/1/aurora/gw1/link/shore"


class Certificates:
    """A CA in a folder, the broker's certificate, and a client's for whoever is named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = localca.new_ca(folder, "test CA", (), None, OsEntropy(), int(time.time()) - 100 * 86_400, 3650)
        order = localca.Order("broker", "broker", ("127.0.0.1", "localhost"), False, 30)
        made = localca.issue(folder, order, None, int(time.time()) - 3600)
        self.broker = BrokerTls(made.certificate, made.private_key, self.ca)

    def client(self, user: str, *, at_s: int = -3600, days: int = 30) -> ClientTls:
        """A certificate made as if it were `at_s` from now."""
        name = hashlib.sha256(f"{user} {at_s} {days}".encode()).hexdigest()[:16]
        order = localca.Order(name, user, (), True, days)
        made = localca.issue(self.folder, order, None, int(time.time()) + at_s, replace=True)
        return ClientTls(self.ca, made.certificate, made.private_key)

    def revoking(self, *revoked: Path) -> Path:
        """A revocation list with these certificates."""
        ca = x509.load_pem_x509_certificate(self.ca.read_bytes())
        key = localca.read_key(self.folder / localca.CA_KEY)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(ca.subject, now - timedelta(hours=1), now + timedelta(days=1))
        for path in revoked:
            serial = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(serial, now - timedelta(hours=1)).build()
            )
        path = self.folder / "revoked.pem"
        path.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
        return path


@dataclass
class Broker:
    """A broker that can be killed and started again on the same port and files."""

    kind: str
    port: int
    settings: Callable[[str], MqttSettings]
    _begin: Callable[[], Awaitable[int]]
    _end: Callable[[signal.Signals], Awaitable[None]]
    pid: int = 0

    async def start(self) -> None:
        self.pid = await self._begin()

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    def pipe(self, user: str, **changes: Any) -> MqttPipe:
        return MqttPipe(replace(self.settings(user), **changes))


@asynccontextmanager
async def running_broker(
    kind: str,
    folder: Path,
    grants: Sequence[Grant] = shore_broker(SHIPS),
    certificates: Certificates | None = None,
    crl: Path | None = None,
) -> AsyncIterator[Broker]:
    """A broker that is up. With certificates it speaks TLS only, else it has passwords."""
    make = _nats if kind == "nats" else _mosquitto
    tls = None if certificates is None else replace(certificates.broker, crl=crl)
    async with make(folder, grants, certificates, tls) as broker:
        await broker.start()
        yield broker


@asynccontextmanager
async def _nats(
    folder: Path, grants: Sequence[Grant], certificates: Certificates | None, tls: BrokerTls | None
) -> AsyncIterator[Broker]:
    setup = BrokerSetup("steward-test", folder / "nats", grants, tls=tls)
    embedded = await EmbeddedBroker.open(setup)
    life: list[asyncio.Task[None]] = []

    async def begin() -> int:
        life.append(asyncio.create_task(embedded.run()))
        ready = asyncio.create_task(embedded.ready.wait())
        await asyncio.wait([ready, life[-1]], timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        assert embedded.pid is not None, life[-1]
        return embedded.pid

    async def end(number: signal.Signals) -> None:
        if life and not life[-1].done():
            if number is signal.SIGKILL and embedded.pid is not None:
                os.kill(embedded.pid, number)
            else:
                life[-1].cancel()
            await asyncio.wait([life[-1]])

    def settings(user: str) -> MqttSettings:
        login = None if certificates else (user, embedded.password(user))
        return _settings(user, embedded.port, certificates, login)

    broker = Broker("nats", embedded.port, settings, begin, end)
    try:
        yield broker
    finally:
        await broker.stop()
        for task in life:
            if not task.cancelled():
                task.exception()
        embedded.close()


@asynccontextmanager
async def _mosquitto(
    folder: Path, grants: Sequence[Grant], certificates: Certificates | None, tls: BrokerTls | None
) -> AsyncIterator[Broker]:
    work = folder / "mosquitto"
    work.mkdir(exist_ok=True)
    passwords = {} if tls else {grant.user: f"password of {grant.user}" for grant in grants}
    plan = BrokerPlan("test", "127.0.0.1", free_port(), work, grants, tls, passwords)
    conf, acl = mosquitto_files(plan, work / "acl", work / "passwords")
    (work / "mosquitto.conf").write_text(conf + ("user root\n" if os.getuid() == 0 else ""))
    (work / "acl").write_text(acl)
    (work / "acl").chmod(0o600)
    (work / "passwords").write_text("".join(f"{user}:{_mosquitto_hash(word)}\n" for user, word in passwords.items()))
    (work / "passwords").chmod(0o600)
    running: list[asyncio.subprocess.Process] = []
    log = (work / "log").open("ab")

    async def begin() -> int:
        command = ("/usr/sbin/mosquitto", "-c", str(work / "mosquitto.conf"))
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        running.append(process)
        async with asyncio.timeout(LIMIT_S):
            while not await _listens(plan.port):
                assert process.returncode is None, (work / "log").read_text()
                await asyncio.sleep(0.02)
        return process.pid

    async def end(number: signal.Signals) -> None:
        if running and running[-1].returncode is None:
            running[-1].send_signal(number)
            await running[-1].wait()

    def settings(user: str) -> MqttSettings:
        return _settings(user, plan.port, certificates, None if certificates else (user, passwords[user]))

    broker = Broker("mosquitto", plan.port, settings, begin, end)
    try:
        yield broker
    finally:
        await broker.stop()
        log.close()


def _settings(user: str, port: int, certificates: Certificates | None, login: tuple[str, str] | None) -> MqttSettings:
    tls = None if certificates is None else certificates.client(user)
    return MqttSettings("127.0.0.1", port, f"test-{user.replace('/', '-')}-5f3a", tls=tls, login=login)


def _mosquitto_hash(password: str) -> str:
    """As mosquitto_passwd writes it: PBKDF2 with SHA-512."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return f"$7$101${b64encode(salt).decode()}${b64encode(digest).decode()}"


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def free_port() -> int:
    return ship.free_port(0)


@dataclass
class Crowd:
    """Pipes that run until the end of a test, and what each has received."""

    got: dict[MqttPipe, list[PipeMessage]] = field(default_factory=dict)
    _tasks: dict[MqttPipe, list[asyncio.Task[None]]] = field(default_factory=dict)

    async def join(self, pipe: MqttPipe, *filters: str, reading: bool = True, wait: bool = True) -> MqttPipe:
        await pipe.subscribe(*filters)
        self.got[pipe] = []
        self._tasks[pipe] = [asyncio.create_task(pipe.run())]
        if reading:
            self.read(pipe)
        if wait:
            await within(pipe.connected())
        return pipe

    def read(self, pipe: MqttPipe) -> None:
        self._tasks[pipe].append(asyncio.create_task(self._read(pipe)))

    async def leave(self, pipe: MqttPipe) -> None:
        for task in self._tasks.pop(pipe):
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                assert task.exception() is None, task.exception()

    async def end(self) -> None:
        for pipe in list(self._tasks):
            await self.leave(pipe)

    async def until(self, pipe: MqttPipe, payload: bytes) -> None:
        """Wait for a message with this payload."""
        await until(lambda: any(message.payload == payload for message in self.got[pipe]))

    def payloads(self, pipe: MqttPipe) -> list[bytes]:
        return [message.payload for message in self.got[pipe]]

    async def _read(self, pipe: MqttPipe) -> None:
        async for message in pipe.messages():
            self.got[pipe].append(message)


async def within(what: Awaitable[Any]) -> Any:
    async with asyncio.timeout(LIMIT_S):
        return await what


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 any condition
            await asyncio.sleep(0.01)


class Relay:
    """A TCP relay that counts bytes, and can stall, cut, or lead nowhere."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.up = 0
        self.down = 0
        self.connections = 0
        self.refusing = False

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._open.set()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def stall(self) -> None:
        """From now on nothing passes, and nobody is told."""
        self._open.clear()

    def flow(self) -> None:
        self._open.set()

    def cut(self) -> None:
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()
        self._pairs.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.refusing:
                return
            self.connections += 1
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            self._pairs.append((writer, back))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, back, up=True))
                group.create_task(self._copy(there, writer, up=False))
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if up:
                    self.up += len(data)
                else:
                    self.down += len(data)
                await self._open.wait()
                target.write(data)
                await target.drain()
        target.transport.abort() if target.transport.is_closing() else target.close()
