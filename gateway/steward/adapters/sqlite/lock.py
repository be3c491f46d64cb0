"""One gateway on one database: a lock file beside it, held as long as the store is open."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from steward.adapters.sqlite.connect import FILE_MODE
from steward.errors import StoreUnavailable


class DatabaseLock:
    """An exclusive advisory lock. The kernel drops it when the process dies, so a stale file locks nobody out."""

    def __init__(self, database: Path) -> None:
        """Take the lock. Raises StoreUnavailable at once if somebody else has it."""
        self.path = database.with_name(database.name + ".lock")
        try:
            # Never through a link: what it leads to would be cut to our process number.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self.path, flags, FILE_MODE)
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise StoreUnavailable(
                f"{database} is in use by process {holder} (lock file {self.path}): stop it, or use another database"
            ) from error
        except OSError as error:
            self.release()
            raise StoreUnavailable(f"{self.path}: cannot be locked: {error.strerror}: use a local disk") from error
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number, which is for people
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let others in. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def restoring_path(database: Path) -> Path:
    """The restored database before it takes its place. While it exists, a restore is not over."""
    return database.with_name(database.name + ".restoring")


def check_not_restoring(database: Path) -> None:
    """Raises StoreUnavailable after a restore that was cut short: the old database may lack its log."""
    if restoring_path(database).exists():
        raise StoreUnavailable(
            f"{database}: a restore was interrupted ({restoring_path(database)} is still there): run the restore again"
        )
