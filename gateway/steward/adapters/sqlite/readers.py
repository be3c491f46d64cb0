"""Readers: a few connections that cannot write, each used by one thread at a time."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from steward.adapters.sqlite.connect import DATABASE_ERRORS, store_error
from steward.adapters.sqlite.tx import SqliteTx
from steward.adapters.vault import Chest, TxKeys
from steward.errors import Busy, StoreUnavailable
from steward.ports import Entropy

T = TypeVar("T")


class ReaderPool:
    """As many threads as connections, and a bounded number of reads that may wait for them."""

    def __init__(
        self, connections: Sequence[sqlite3.Connection], chest: Chest, entropy: Entropy, *, queue_max: int
    ) -> None:
        self._chest = chest
        self._entropy = entropy
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for connection in connections:
            self._idle.put(connection)
        self._count = len(connections)
        self._executor = ThreadPoolExecutor(self._count, thread_name_prefix="steward-store-reader")
        self._queue_max = queue_max
        self._guard = threading.Lock()  # of the two below
        self._waiting = 0
        self._closed = False

    async def run(self, work: Callable[[SqliteTx], T]) -> T:
        """Run a closure on a snapshot. Raises Busy or StoreUnavailable."""
        with self._guard:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._waiting >= self._queue_max:
                raise Busy(f"{self._waiting} reads are waiting already: try again")
            future = self._executor.submit(self._read, work)
            self._waiting += 1
        future.add_done_callback(self._over)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Finish what was accepted, then close the connections. Blocks; may be called again."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
        self._executor.shutdown()
        for _ in range(self._count):
            self._idle.get().close()

    def _over(self, _future: Future[Any]) -> None:
        with self._guard:
            self._waiting -= 1

    def _read(self, work: Callable[[SqliteTx], T]) -> T:
        connection = self._idle.get()
        tx = SqliteTx(connection, TxKeys(self._chest, self._entropy), read_only=True)
        try:
            connection.execute("BEGIN")  # one snapshot for everything the closure reads
            return work(tx)
        except DATABASE_ERRORS as error:
            raise store_error(error) from error
        except StopIteration as error:  # no future takes it: the waiter would never hear
            raise RuntimeError("the closure given to the store raised StopIteration") from error
        finally:
            tx.end()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.put(connection)
