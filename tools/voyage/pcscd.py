"""A PC/SC service of our own with virtual readers (pcscd and vpcd), for the demo and the tests.

It runs in a mount namespace with a private /run, so it needs no root where user namespaces are allowed, and never
meets a pcscd that serves real readers. Where namespaces are forbidden (some containers) it runs in the open as
root, and if a pcscd is running there already, that one's two default virtual readers are used.
"""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from steward.adapters.pcsc import list_readers
from steward.errors import ReaderFault

READERS_MAX = 16  # of one pcscd
START_LIMIT_S = 15.0
STOP_LIMIT_S = 5.0
NOTICE_LIMIT_S = 5.0
START_TRIES = 3  # a port may be taken between our look and pcscd's bind
_SLOTS = 2  # virtual readers of one loaded driver; each further pair loads a copy of it
_DRIVER_PLACES = tuple(f"/usr/{lib}/pcsc/drivers/serial" for lib in ("lib", "lib64", "local/lib"))
_PUBLIC_SOCKET = Path("/run/pcscd/pcscd.comm")
_DEFAULT_READERS = (("Virtual PCD 00 00", 35963), ("Virtual PCD 00 01", 35964))
_INSTALL = "on Debian: apt install pcscd vsmartcard-vpcd"
_NOT_ALLOWED = (
    "virtual PC/SC readers need root, or user namespaces for everybody (sysctl kernel.unprivileged_userns_clone=1; "
    "on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)"
)
_ISOLATE = 'mount --bind "$1" /run && shift && exec "$@"'


class PcscdError(Exception):
    """pcscd or vpcd cannot be had here; the text says what to do."""


@dataclass(frozen=True, slots=True)
class VirtualReader:
    """A reader as PC/SC clients name it, and the TCP port on 127.0.0.1 where a virtual card enters it."""

    name: str
    port: int


class Pcscd:
    """`readers` virtual readers. Use as a context manager; `stop` ends only what `start` began.

    libpcsclite looks up its service once in a process, so all instances of a process share one address and only
    one may run at a time. `environment()` points other programs to it.
    """

    def __init__(self, readers: int, *, isolated: bool | None = None) -> None:
        if not 1 <= readers <= READERS_MAX:
            raise ValueError(f"one pcscd serves 1 to {READERS_MAX} readers")
        self._count = readers
        self._isolated = can_isolate() if isolated is None else isolated
        self._process: subprocess.Popen[bytes] | None = None
        self._home: Path | None = None
        self._ports: list[int] = []
        self.readers: tuple[VirtualReader, ...] = ()

    @property
    def pid(self) -> int | None:
        """Of the pcscd we started; None when it is somebody else's or has ended."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def reused(self) -> bool:
        """Whether this is a pcscd that was running before, which we must not stop."""
        return bool(self.readers) and self._process is None

    def environment(self) -> dict[str, str]:
        """os.environ for a client program in another process."""
        return os.environ | ({"PCSCLITE_CSOCK_NAME": str(_process_socket())} if self._isolated else {})

    def start(self) -> None:
        """Returns when every reader can be listed. Raises PcscdError."""
        if not self._isolated and _listening(_PUBLIC_SOCKET):
            self._reuse()
            return
        if not self._isolated and os.geteuid() != 0:
            raise PcscdError(_NOT_ALLOWED)
        for attempt in range(1, START_TRIES + 1):
            try:
                self._configure()
                self.start_again()
                return
            except PcscdError:
                self.stop()
                if attempt == START_TRIES:
                    raise

    def start_again(self) -> None:
        """After `kill` or `stop_service`: the same readers on the same ports."""
        assert self._home is not None
        assert self.pid is None
        command = [_tool("pcscd"), "--foreground", "--config", str(self._home / "conf")]
        if "--disable-polkit" in subprocess.run([command[0], "--help"], capture_output=True, text=True).stdout:
            command.append("--disable-polkit")
        if self._isolated:
            os.environ["PCSCLITE_CSOCK_NAME"] = str(_process_socket())
            command = [*_unshare(), "sh", "-c", _ISOLATE, "sh", str(_process_socket().parent.parent), *command]
            for name in ("pcscd.comm", "pcscd.pid"):
                (_process_socket().parent / name).unlink(missing_ok=True)
        atexit.register(self.stop)  # a caller that forgets leaves nothing behind
        with open(self._home / "pcscd.log", "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._await_readers()

    def stop_service(self) -> None:
        """End pcscd as an administrator would; the configuration stays for `start_again`."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End pcscd as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def await_empty(self, reader: VirtualReader) -> None:
        """Wait until pcscd has noticed that the last card left this reader. Blocks for half a second or so.

        pcscd looks at a virtual reader every 0.4 s, and does not see one card take another's place in between.
        It counts insertions and removals: after an even number of them the reader is empty and it knows.
        """
        api = importlib.import_module("smartcard.scard")
        code, context = api.SCardEstablishContext(api.SCARD_SCOPE_SYSTEM)
        limit = time.monotonic() + NOTICE_LIMIT_S
        try:
            while time.monotonic() < limit and not code:
                code, states = api.SCardGetStatusChange(context, 0, [(reader.name, api.SCARD_STATE_UNAWARE)])
                if not code and states[0][1] & api.SCARD_STATE_EMPTY and not states[0][1] >> 16 & 1:
                    return
                time.sleep(0.02)
        finally:
            api.SCardReleaseContext(context)
        raise PcscdError(f"reader {reader.name} still holds a card, or pcscd has gone")

    def stop(self) -> None:
        atexit.unregister(self.stop)
        self.stop_service()
        self._process = None
        self.readers = ()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def __enter__(self) -> Pcscd:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _configure(self) -> None:
        """Write reader.conf.d: one entry and one copy of the driver for each pair of readers.

        The driver keeps its slots in global variables, so loading one file twice would mix the readers up.
        """
        driver = find_driver()
        self._home = Path(tempfile.mkdtemp(prefix="voyage-pcscd-"))
        (self._home / "conf").mkdir()
        entries, found = [], []
        self._ports = []
        for pair in range((self._count + _SLOTS - 1) // _SLOTS):
            copy = self._home / f"libifdvpcd{pair}.so"
            shutil.copyfile(driver, copy)
            port = _free_ports(_SLOTS, taken=self._ports)
            self._ports += range(port, port + _SLOTS)
            entries.append(
                f'FRIENDLYNAME "Voyage {pair:02d}"\nDEVICENAME /dev/null:{port}\nLIBPATH {copy}\nCHANNELID {port}\n'
            )
            # pcscd adds two numbers to a name: which of several equal names, and which slot.
            found += [VirtualReader(f"Voyage {pair:02d} 00 {slot:02d}", port + slot) for slot in range(_SLOTS)]
        (self._home / "conf" / "voyage").write_text("\n".join(entries))
        self.readers = tuple(found[: self._count])

    def _await_readers(self) -> None:
        wanted = {reader.name for reader in self.readers}
        limit = time.monotonic() + START_LIMIT_S
        seen = "nothing yet"
        while time.monotonic() < limit:
            if self.pid is None:
                raise PcscdError(f"pcscd ended at once: {self._log_tail()}")
            try:
                names = list_readers()
                if wanted <= set(names):
                    return
                seen = ", ".join(names) or "no reader"
            except ReaderFault as fault:
                seen = str(fault)
            time.sleep(0.05)
        raise PcscdError(f"pcscd did not show its virtual readers in time ({seen}): {self._log_tail()}")

    def _reuse(self) -> None:
        names = list_readers()
        usable = [VirtualReader(name, port) for name, port in _DEFAULT_READERS if name in names]
        if len(usable) < self._count:
            raise PcscdError(
                f"a pcscd is running with {len(usable)} virtual readers and {self._count} are needed: stop it "
                f"(systemctl stop pcscd.socket pcscd) or allow user namespaces; for its readers {_INSTALL}"
            )
        self.readers = tuple(usable[: self._count])

    def _log_tail(self) -> str:
        assert self._home is not None
        text = (self._home / "pcscd.log").read_text(errors="replace")[-500:].strip()
        return text or "it said nothing"


_socket: Path | None = None


def _process_socket() -> Path:
    """Where this process's own pcscd listens; made once and kept, for libpcsclite remembers it."""
    global _socket
    if _socket is None:
        run = Path(tempfile.mkdtemp(prefix="voyage-run-"))
        atexit.register(shutil.rmtree, run, ignore_errors=True)
        (run / "pcscd").mkdir()
        _socket = run / "pcscd" / "pcscd.comm"
    return _socket


def _unshare() -> list[str]:
    return [_tool("unshare"), "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def can_isolate() -> bool:
    """Whether this user may give a process a /run of its own."""
    try:
        # An empty folder of our own: one with mounts below it, as /tmp may have, cannot be bound by an ordinary user.
        with tempfile.TemporaryDirectory(prefix="voyage-run-") as run:
            command = [*_unshare(), "sh", "-c", _ISOLATE, "sh", run, "true"]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except PcscdError:
        return False


def _tool(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise PcscdError(f"{name} is missing: {_INSTALL}")
    return found


def find_driver() -> Path:
    """The virtual reader's driver file. Raises PcscdError."""
    for place in _DRIVER_PLACES:
        candidate = Path(place) / "libifdvpcd.so"
        if candidate.exists():
            return candidate
    raise PcscdError(f"the virtual reader driver libifdvpcd.so is missing: {_INSTALL}")


def _listening(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True


def _free_ports(count: int, taken: Sequence[int]) -> int:
    """The first of `count` consecutive free TCP ports."""
    for _ in range(200):
        with socket.socket() as probe:
            probe.bind(("", 0))
            first = probe.getsockname()[1]
        ports = range(first, first + count)
        if ports[-1] < 65_536 and not set(ports) & set(taken) and all(_is_free(port) for port in ports):
            return int(first)
    raise PcscdError("no free TCP ports for virtual readers")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
