"""ports.Store on one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from steward.adapters.keyseal import KeySecret
from steward.adapters.sqlite.connect import check_folder, connect, create_file, store_error
from steward.adapters.sqlite.guestkeys import GuestKeys
from steward.adapters.sqlite.lock import DatabaseLock, check_not_restoring
from steward.adapters.sqlite.lookups import forbid_looks
from steward.adapters.sqlite.migrations import Migration, clean, migrate, open_keys
from steward.adapters.sqlite.readers import ReaderPool
from steward.adapters.sqlite.renewal import renew
from steward.adapters.sqlite.sealing import Sealing
from steward.adapters.sqlite.sweeping import drop_open_copies, finish_erasures, note_lost, sweep_destroyed
from steward.adapters.sqlite.tx import SqliteTx
from steward.adapters.sqlite.writer import GroupWriter, WriterCounts
from steward.adapters.store_register import check_columns
from steward.adapters.system import OsEntropy
from steward.adapters.vault import DataKey
from steward.errors import StoreUnavailable
from steward.ports import Store

T = TypeVar("T")

# An event log that has never been used may begin at any epoch; a used one keeps its own.
_BEGIN_EPOCH = "UPDATE store_state SET epoch = max(epoch, ?) WHERE NOT EXISTS (SELECT 1 FROM event)"


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Bounds of an open store."""

    write_queue_max: int = 1024  # writes accepted and not yet durable
    batch_max: int = 128  # closures in one commit
    read_queue_max: int = 256
    reader_count: int = 2
    close_timeout_s: float = 30.0


class SqliteStore:
    """The gateway's store. Open it with `open`; `close` finishes what was accepted."""

    def __init__(
        self,
        writer: GroupWriter,
        readers: ReaderPool,
        keys: GuestKeys,
        resources: ExitStack,
        migration: Migration,
        limits: StoreLimits,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._keys = keys
        self._resources = resources
        self._limits = limits
        self.migration = migration

    @classmethod
    def open(
        cls, path: Path, data_key: DataKey, *, limits: StoreLimits | None = None, first_epoch: int = 1
    ) -> SqliteStore:
        """Open the database, made or migrated if need be, for this process alone. Blocks.

        data_key: opens the guests' keys, which are in a file beside the database (adapters/sqlite/guestkeys.py). An
        erasure that was cut short is finished first, and one that a restored database has not heard of is repeated.
        first_epoch: where the event log of a *new* database begins. Give the unix time, so that a gateway which
        lost its disk never numbers events as it did before. Raises StoreUnavailable.
        """
        limits = limits or StoreLimits()
        check_folder(path)
        with ExitStack() as resources:
            lock = DatabaseLock(path)
            resources.callback(lock.release)
            check_not_restoring(path)
            create_file(path)
            connection = connect(path)
            resources.callback(connection.close)
            entropy = OsEntropy()
            keys = open_keys(connection, path, data_key, entropy)
            resources.callback(keys.close)
            migration = migrate(connection, path, Sealing(keys, entropy))
            check_columns(connection, path)
            _begin(connection, path, first_epoch)
            sweep_destroyed(connection, path, keys)
            finish_erasures(path, keys)
            note_lost(connection, path, keys)
            reading = [connect(path, query_only=True) for _ in range(limits.reader_count)]
            for reader in reading:
                forbid_looks(reader)
            readers = ReaderPool(reading, keys, entropy, queue_max=limits.read_queue_max)
            resources.callback(readers.close)
            writer = GroupWriter(
                connection,
                keys,
                entropy,
                queue_max=limits.write_queue_max,
                batch_max=limits.batch_max,
                on_forgotten=lambda: drop_open_copies(path),
            )
            return cls(writer, readers, keys, resources.pop_all(), migration, limits)

    @property
    def counts(self) -> WriterCounts:
        return self._writer.counts

    async def write(self, work: Callable[[SqliteTx], T]) -> T:
        """See ports.Store. A write that was accepted is carried out even if its waiter is cancelled."""
        result: T = await self._writer.submit(work)
        return result

    async def read(self, work: Callable[[SqliteTx], T]) -> T:
        """See ports.Store."""
        return await self._readers.run(work)

    @property
    def data_key_fingerprint(self) -> str:
        """Of the data key in force; it tells nothing of the key."""
        return self._keys.data_key.fingerprint

    async def renew_data_key(self, file: Path, secret: KeySecret) -> int:
        """See adapters/sqlite/renewal.py. For a command that has the store to itself: nobody writes meanwhile."""
        return await asyncio.to_thread(renew, self._keys, file, secret, OsEntropy())

    async def close(self) -> None:
        """Finish what was accepted, then let go of the file. Raises StoreUnavailable if a closure does not end."""
        if not await asyncio.to_thread(self._writer.stop, self._limits.close_timeout_s):
            raise StoreUnavailable(f"a write has not ended after {self._limits.close_timeout_s:.0f} s: end the process")
        await asyncio.to_thread(self._resources.close)


def _begin(connection: sqlite3.Connection, path: Path, first_epoch: int) -> None:
    clean(connection, path)  # a full disk may have kept a migration from it
    try:
        connection.execute(_BEGIN_EPOCH, (first_epoch,))
    except sqlite3.Error as error:
        raise store_error(error, str(path)) from error


if TYPE_CHECKING:

    def _is_a_store(store: SqliteStore) -> Store:
        return store
