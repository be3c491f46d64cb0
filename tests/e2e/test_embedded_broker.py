"""The broker that the gateway brings along: its files, its life and death, and what it never does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.e2e.brokerkit import ACK, GW1, UP, Crowd, free_port, until, within

from steward.adapters import broker as embedded
from steward.adapters.broker import BrokerFault, BrokerSetup, EmbeddedBroker, find_program
from steward.adapters.brokerrights import SHORE, ship_broker
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.services.supervise import Backoff, Supervisor

GRANTS = ship_broker("aurora", ["gw1", "gw2"], "gw1")
UPS = "steward/1/+/+/up/+"

PARENT = """
import asyncio, sys
from pathlib import Path
from steward.adapters.broker import BrokerSetup, EmbeddedBroker
from steward.adapters.brokerrights import ship_broker

async def main():
    broker = await EmbeddedBroker.open(BrokerSetup("test", Path(sys.argv[1]), ship_broker("aurora", ["gw1"], "gw1")))
    running = asyncio.create_task(broker.run())
    await broker.ready.wait()
    print(broker.pid, flush=True)
    await running

asyncio.run(main())
"""


@asynccontextmanager
async def running(setup: BrokerSetup) -> AsyncIterator[EmbeddedBroker]:
    broker = await EmbeddedBroker.open(setup)
    life = asyncio.create_task(broker.run())
    try:
        await within(broker.ready.wait())
        yield broker
    finally:
        life.cancel()
        await asyncio.wait([life])
        broker.close()


def pipe_of(broker: EmbeddedBroker, user: str) -> MqttPipe:
    login = (user, broker.password(user))
    return MqttPipe(MqttSettings("127.0.0.1", broker.port, f"test-{user.replace('/', '-')}", login=login))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def test_its_files_are_its_owners_alone(tmp_path: Path) -> None:
    async with running(BrokerSetup("test", tmp_path / "broker", GRANTS)) as broker:
        folder = tmp_path / "broker"
        assert mode(folder) == 0o700
        assert {mode(path) for path in (folder / "nats.conf", broker.password_file(GW1))} == {0o600}
        first = broker.password(GW1)
        assert len({broker.password(grant.user) for grant in GRANTS}) == len(GRANTS)
    async with running(BrokerSetup("test", tmp_path / "broker", GRANTS)) as broker:
        assert broker.password(GW1) == first  # and shore need not be told a new one


async def test_it_listens_on_loopback_only_and_monitors_nothing(tmp_path: Path) -> None:
    async with running(BrokerSetup("test", tmp_path, GRANTS)) as broker:
        addresses = listening(broker.pid)
        assert len(addresses) == 2  # MQTT and its own protocol
        assert {host for host, _ in addresses} == {"127.0.0.1"}
        native = next(port for _, port in addresses if port != broker.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", native)
        await within(reader.readline())
        login = f'CONNECT {{"user":"{GW1}","pass":"{broker.password(GW1)}","verbose":false}}\r\nPING\r\n'
        writer.write(login.encode())
        assert b"Authorization Violation" in await within(reader.read())
        writer.close()


def listening(pid: int | None) -> list[tuple[str, int]]:
    """The TCP addresses a process listens on."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            inodes.add(os.readlink(link))
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                host, _, port = fields[1].partition(":")
                found.append((".".join(str(byte) for byte in bytes.fromhex(host)[::-1]), int(port, 16)))
    return found


async def test_it_ends_when_its_gateway_is_killed(tmp_path: Path) -> None:
    """And the next gateway takes over its folder at once."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    pid = int(await within(parent.stdout.readline()))
    assert is_alive(pid)
    parent.send_signal(signal.SIGKILL)
    await within(parent.wait())
    async with running(BrokerSetup("test", tmp_path, GRANTS)) as broker:
        assert not is_alive(pid)
        assert broker.pid != pid


async def test_a_broker_without_its_parent_does_not_start(tmp_path: Path) -> None:
    guard = Path(embedded.__file__).with_name("diewithparent.py")
    command = (sys.executable, "-I", "-S", str(guard), "1", sys.executable, "-c", "print('ran')")
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    said, complaint = await within(process.communicate())
    assert (process.returncode, said) == (1, b"")
    assert b"the parent is gone" in complaint


async def test_a_killed_broker_is_started_again_with_what_it_kept(tmp_path: Path) -> None:
    broker = await EmbeddedBroker.open(BrokerSetup("test", tmp_path, GRANTS))
    supervisor, crowd = Supervisor(asyncio.get_running_loop().time, Backoff(first_s=0.05)), Crowd()
    supervisor.start("broker", broker.run)
    await within(broker.ready.wait())
    port = broker.port
    shore = await crowd.join(pipe_of(broker, SHORE), UPS)
    gateway = await crowd.join(pipe_of(broker, GW1), "steward/1/aurora/gw1/ack/+")
    await shore.publish("steward/1/aurora/down/deny", b"kept", retain=True)
    for round_ in range(3):
        killed = broker.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await until(lambda killed=killed: broker.ready.is_set() and broker.pid not in (None, killed))  # type: ignore[misc]
        await until(lambda round_=round_: gateway.generation > round_ + 1 and shore.generation > round_ + 1)  # type: ignore[misc]
        await gateway.publish(UP, b"%d" % round_)
        await crowd.until(shore, b"%d" % round_)
    assert broker.port == port
    late = await crowd.join(MqttPipe(pipe_of(broker, "aurora/gw2")._settings), "steward/1/aurora/down/+")
    await crowd.until(late, b"kept")
    status = supervisor.status("broker")
    assert status is not None
    assert (status.failures, status.error) == (3, "broker")
    await crowd.end()
    assert await supervisor.stop(10) == []
    broker.close()


async def test_two_on_one_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOCK_LIMIT_S", 0.2)
    async with running(BrokerSetup("test", tmp_path, GRANTS)):
        with pytest.raises(BrokerFault, match="another broker works in"):
            await EmbeddedBroker.open(BrokerSetup("test", tmp_path, GRANTS))


async def test_the_folder_stays_locked_while_the_process_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the gateway has let go of it: a second process on the same files would spoil them."""
    monkeypatch.setattr(embedded, "LOCK_LIMIT_S", 0.2)
    async with running(BrokerSetup("test", tmp_path, GRANTS)) as broker:
        broker.close()
        with pytest.raises(BrokerFault, match="another broker works in"):
            await EmbeddedBroker.open(BrokerSetup("test", tmp_path, GRANTS))


async def test_a_port_that_is_taken_is_told_with_the_brokers_own_words(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    broker = await EmbeddedBroker.open(BrokerSetup("test", tmp_path, GRANTS, port=port))
    with pytest.raises(BrokerFault, match="address already in use"):
        await within(broker.run())
    broker.close()
    server.close()


async def test_a_machine_without_the_program_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerFault, match=r"no nats-server for this machine .* mosquitto"):
        await EmbeddedBroker.open(BrokerSetup("test", tmp_path, GRANTS))
    elsewhere = tmp_path / "nats-server"
    elsewhere.symlink_to("/bin/true")
    assert find_program() == elsewhere


@pytest.mark.parametrize(
    "spoil", [lambda folder: folder.write_text("a file"), lambda folder: folder.symlink_to("/proc/x")]
)
async def test_a_folder_that_cannot_be_is_told(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    spoil(tmp_path / "broker")
    with pytest.raises(BrokerFault, match="cannot hold the broker's files"):
        await EmbeddedBroker.open(BrokerSetup("test", tmp_path / "broker", GRANTS))


async def test_a_password_file_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shore.password"
    path.write_text("x" * 20)
    path.chmod(0o644)
    with pytest.raises(BrokerFault, match="chmod 600"):
        await EmbeddedBroker.open(BrokerSetup("test", tmp_path, GRANTS))
    async with running(BrokerSetup("test", tmp_path / "other", GRANTS)):
        pass


async def test_what_waits_for_shore_never_fills_the_store(tmp_path: Path) -> None:
    """Shore is away for long: the oldest make room, the disk's bound holds, and shore can come back and read."""
    bound = 16 * 1_048_576
    async with running(BrokerSetup("test", tmp_path, GRANTS, disk_bytes_max=bound)) as broker:
        crowd = Crowd()
        shore = await crowd.join(pipe_of(broker, SHORE), UPS)
        await crowd.leave(shore)
        gateway = await crowd.join(pipe_of(broker, GW1))
        for number in range(64):  # of half a megabyte
            await gateway.publish(UP, b"%02d" % number + os.urandom(512 * 1024))
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1.5 * bound
        back = await crowd.join(pipe_of(broker, SHORE), UPS)
        await until(lambda: any(payload.startswith(b"63") for payload in crowd.payloads(back)))
        await gateway.publish(UP, b"again")
        await crowd.until(back, b"again")
        await crowd.end()


async def test_the_stores_administrator_may_do_nothing_else(tmp_path: Path) -> None:
    async with running(BrokerSetup("test", tmp_path, GRANTS)) as broker:
        user, password = broker._admin
        reader, writer = await asyncio.open_connection("127.0.0.1", broker._native_port)
        await within(reader.readline())
        login = f'CONNECT {{"user":"{user}","pass":"{password}","verbose":false}}\r\n'
        for order in ("SUB steward.> 1", "SUB > 2", "PUB steward.1.aurora.down.deny 0\r\n", "PUB $JS.API.INFO 0\r\n"):
            writer.write(f"{login}{order}\r\n".encode())
            login = ""
            assert b"Permissions Violation" in await within(reader.readline())
        writer.close()
        pipe = MqttPipe(MqttSettings("127.0.0.1", broker.port, "admin", login=(user, password)))
        crowd = Crowd()
        await crowd.join(pipe, wait=False)
        await until(lambda: "refuses this client" in pipe.trouble)
        await crowd.end()


async def test_ports_are_free_ones(tmp_path: Path) -> None:
    async with (
        running(BrokerSetup("one", tmp_path / "1", GRANTS)) as one,
        running(BrokerSetup("two", tmp_path / "2", GRANTS, port=free_port())) as two,
    ):
        assert one.port != two.port
        crowd = Crowd()
        gateway = await crowd.join(pipe_of(one, GW1), "steward/1/aurora/gw1/ack/+")
        shore = await crowd.join(pipe_of(one, SHORE))
        await shore.publish(ACK, b"here")
        await crowd.until(gateway, b"here")
        await crowd.end()
