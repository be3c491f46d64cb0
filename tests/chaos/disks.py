"""A gateway's disk that fills up and gets space again: a small file system, or a limit on the size of its files."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

SIZE = "32m"
CHUNK = bytes(65_536)


class SmallDisk:
    """A file system of its own in memory, filled up with ballast: "no space left on device". Needs mount."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "steward-test", folder], check=True)
        self._folder = folder

    def fill(self, pid: int) -> None:
        """Leave nothing to the process that runs."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(CHUNK)
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def free(self, pid: int) -> None:
        self._ballast.unlink()

    @contextlib.contextmanager
    def full_for_a_start(self) -> Iterator[None]:
        """A process that is started in here finds it full: what a start itself would free is taken before it."""
        (keys,) = self._folder.glob("*.guest-keys.db")
        with contextlib.closing(sqlite3.connect(keys)) as connection, contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.fill(0)
        yield

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", self._folder], check=True)


class SizeLimit:
    """No file may grow beyond what its log has already: every machine has this. The process sees "file too large"."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "steward.db-wal"

    def fill(self, pid: int) -> None:
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (self._log.stat().st_size, most))

    def free(self, pid: int) -> None:
        """The limit went with the process if that is gone."""
        with contextlib.suppress(ProcessLookupError):
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))

    @contextlib.contextmanager
    def full_for_a_start(self) -> Iterator[None]:
        """Children inherit it. It is lifted as soon as the child is there, so this process must write nothing large."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(CHUNK), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def close(self) -> None:
        """Nothing to undo: the limit was the process's own."""


def can_mount() -> bool:
    """Root in a container may be without that right."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "steward-test", folder], capture_output=True, check=False)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0


DISKS: tuple[type[SmallDisk] | type[SizeLimit], ...] = (SizeLimit, *((SmallDisk,) if can_mount() else ()))
