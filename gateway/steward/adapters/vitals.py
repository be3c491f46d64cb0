"""What the disk and the database file say of themselves."""

from __future__ import annotations

import shutil
from pathlib import Path

from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.writer import WriterCounts
from steward.ports import Store
from steward.services.health import Vitals


def read_vitals(database: Path, store: Store) -> Vitals:
    """A few system calls, no waiting. A folder that is gone reads as a full disk."""
    try:
        usage = shutil.disk_usage(database.parent)
    except OSError:
        return Vitals()
    counts = store.counts if isinstance(store, SqliteStore) else WriterCounts(0, 0, 0)
    return Vitals(
        disk_free_bytes=usage.free,
        disk_total_bytes=usage.total,
        database_bytes=sum(_size(database.with_name(database.name + end)) for end in ("", "-wal")),
        commits=counts.commits,
        writes=counts.closures,
        write_failures=counts.failures,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
