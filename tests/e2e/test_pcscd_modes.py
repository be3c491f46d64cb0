"""voyage's pcscd where namespaces are forbidden or another pcscd runs, and what is said when something is missing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from steward.adapters import pcsc
from steward.adapters.pcsc import PcscReader
from steward.errors import ReaderFault
from voyage import pcscd
from voyage.pcscd import Pcscd, PcscdError

pytestmark = pytest.mark.pcsc

# Run with a /run of its own, so that "in the open" is open to nobody else. Prints a line a step.
_IN_THE_OPEN = """
import subprocess, sys, time
from voyage.pcscd import _PUBLIC_SOCKET, Pcscd, PcscdError, _listening, _tool
from steward.adapters.pcsc import list_readers

with Pcscd(3, isolated=False) as ours:
    print("own", not ours.reused, {r.name for r in ours.readers} <= set(list_readers()))
    try:
        Pcscd(3, isolated=False).start()
    except PcscdError as error:
        print("busy", "systemctl stop pcscd" in str(error))
print("stopped", ours.pid is None)
theirs = subprocess.Popen([_tool("pcscd"), "--foreground", "--config", sys.argv[1]], stdout=subprocess.DEVNULL)
while not _listening(_PUBLIC_SOCKET):  # or we would start one of our own
    time.sleep(0.05)
guest = Pcscd(2, isolated=False)
for _ in range(100):
    try:
        guest.start()
        break
    except PcscdError:
        guest.stop()
        time.sleep(0.05)
print("reused", guest.reused, [r.name for r in guest.readers])
guest.stop()
print("left alone", theirs.poll() is None)
theirs.terminate()
theirs.wait()
"""


def test_in_the_open_it_starts_its_own_or_uses_the_one_that_runs(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "vpcd").write_text(
        f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:35963\nLIBPATH {pcscd.find_driver()}\nCHANNELID 35963\n'
    )
    private = 'mount -t tmpfs none /run && ip link set lo up && exec "$@"'
    command = [*pcscd._unshare(), "--net", "sh", "-c", private, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", _IN_THE_OPEN, str(tmp_path / "conf")],
        env={k: v for k, v in os.environ.items() if k != "PCSCLITE_CSOCK_NAME"} | {"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "own True True",
        "busy True",
        "stopped True",
        "reused True ['Virtual PCD 00 00', 'Virtual PCD 00 01']",
        "left alone True",
    ], done.stderr


def test_a_caller_that_forgets_to_stop_it_leaves_nothing_behind() -> None:
    program = "from voyage.pcscd import Pcscd\nservice = Pcscd(1)\nservice.start()\nprint(service.pid, service._home)\n"
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    pid, home = done.stdout.split()
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(home).exists()


def test_without_pcscd_or_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Pcscd(1, isolated=True)
    with monkeypatch.context() as machine:
        machine.setattr(pcscd, "_DRIVER_PLACES", ())
        with pytest.raises(
            PcscdError, match=r"libifdvpcd\.so is missing: on Debian: apt install pcscd vsmartcard-vpcd"
        ):
            service.start()
    with monkeypatch.context() as machine:
        machine.setattr(pcscd.shutil, "which", lambda name, path: None)
        with pytest.raises(PcscdError, match="pcscd is missing: on Debian: apt install pcscd vsmartcard-vpcd"):
            service.start()
    assert service.pid is None


def test_an_ordinary_user_without_namespaces_hears_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcscd, "can_isolate", lambda: False)
    monkeypatch.setattr(pcscd, "_listening", lambda address: False)
    monkeypatch.setattr(pcscd.os, "geteuid", lambda: 1000)
    service = Pcscd(1)
    with pytest.raises(PcscdError, match=r"need root, or user namespaces for everybody \(sysctl kernel\."):
        service.start()
    assert service.pid is None


def test_a_pcscd_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "pcscd"
    broken.write_text("#!/bin/sh\necho no such luck\nexit 3\n")
    broken.chmod(0o755)
    real = pcscd._tool
    monkeypatch.setattr(pcscd, "_tool", lambda name: str(broken) if name == "pcscd" else real(name))
    with pytest.raises(PcscdError, match="pcscd ended at once: no such luck"):
        Pcscd(1).start()


@pytest.mark.parametrize("readers", [0, 17])
def test_one_pcscd_serves_a_limited_number_of_readers(readers: int) -> None:
    with pytest.raises(ValueError, match="1 to 16"):
        Pcscd(readers)


def test_sixteen_readers_are_possible() -> None:
    with Pcscd(16) as service:
        assert {reader.name for reader in service.readers} <= set(pcsc.list_readers())
        assert len({reader.port for reader in service.readers}) == 16


async def test_without_pyscard_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    reader = PcscReader("any")
    with pytest.raises(ReaderFault, match=r"pip install 'steward-edge\[pcsc\]'.*libpcsclite-dev"):
        await reader.connect()
    with pytest.raises(ReaderFault, match="pyscard is missing"):
        await asyncio.to_thread(pcsc.list_readers)
    await reader.close()


def test_without_a_service_it_says_what_to_install_and_start() -> None:
    program = "from steward.adapters.pcsc import list_readers\nlist_readers()\n"
    environment = os.environ | {"PCSCLITE_CSOCK_NAME": "/nonexistent", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "ReaderFault: the PC/SC service does not answer: install it (Debian: apt install pcscd)" in done.stderr


async def test_errors_of_pyscard_do_not_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    class ScardError(Exception):
        """Stands for smartcard.scard.error."""

    failures: list[Exception] = [SystemError("returned NULL"), ScardError("odd")]

    def fail(*arguments: object) -> None:
        raise failures.pop()

    broken = types.ModuleType("broken")
    vars(broken).update(error=ScardError, SCARD_SCOPE_SYSTEM=2, SCardEstablishContext=fail)
    monkeypatch.setitem(sys.modules, "smartcard.scard", broken)
    while failures:
        reader = PcscReader("any")
        with pytest.raises(ReaderFault, match="SCardEstablishContext failed"):
            await reader.connect()
        await reader.close()


async def test_a_bug_in_the_readers_thread_is_a_fault_and_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends with a traceback for the log; the caller gets an error, and the next call a new thread."""
    died: list[object] = []
    monkeypatch.setattr("threading.excepthook", died.append)
    reader = PcscReader("any")
    monkeypatch.setattr(reader._link, "wait", lambda stop: 1 // 0)
    for _ in range(2):
        with pytest.raises(ReaderFault, match="thread failed"):
            await reader.connect()
    await reader.close()
    assert len(died) == 2
