"""A consistent copy of a live database as one durable file, put in place by a rename."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from steward.adapters.sqlite.connect import create_file, store_error, sync_file, sync_folder
from steward.errors import StoreUnavailable

PAGES_PER_STEP = 512

Progress = Callable[[int, int], None]  # pages copied, pages in all
Check = Callable[[Path], None]  # raises if the copy must not be kept


def copy_database(
    source: sqlite3.Connection, target: Path, *, check: Check | None = None, progress: Progress | None = None
) -> None:
    """Copy what `source` sees now to `target`, replacing it only once the copy is whole, checked and on disk.

    Others may write meanwhile. The copy has no write-ahead log: it is one file. Raises StoreUnavailable.
    """
    part = target.with_name(target.name + ".part")
    try:
        part.unlink(missing_ok=True)
        create_file(part)
        _copy_pages(source, part, progress)
        sync_file(part)
        if check is not None:
            check(part)
        os.replace(part, target)
        sync_folder(target.parent)
    except sqlite3.Error as error:
        raise store_error(error, str(target)) from error
    except OSError as error:
        raise StoreUnavailable(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _copy_pages(source: sqlite3.Connection, part: Path, progress: Progress | None) -> None:
    def tell(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    # One snapshot for the whole copy: without it, every commit of the gateway would start the copy again.
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    target = sqlite3.connect(part, isolation_level=None)
    try:
        source.backup(target, pages=PAGES_PER_STEP, progress=tell)
        target.execute("PRAGMA journal_mode = DELETE").fetchone()
    finally:
        target.close()
        source.execute("ROLLBACK")
