"""The one writer: a thread that takes what is waiting into one durable commit.

Each closure runs in its own savepoint, so one that fails is rolled back alone. Nobody is told anything, not even of
a refusal, before the commit is on disk: a refusal too was decided on what earlier closures of the batch had written.

Keys that closures made are kept before their commit, keys that they destroyed go after it: cut at any moment, no
sealed row is without its key, and what was to be destroyed is written in the database for the next start.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from steward.adapters.sqlite.connect import store_error
from steward.adapters.sqlite.tx import SqliteTx
from steward.adapters.store_jobs import Job
from steward.adapters.vault import Chest, KeyChanges, TxKeys
from steward.errors import Busy, StoreUnavailable
from steward.ports import Entropy

_LOG = logging.getLogger(__name__)
_STOP = None  # in the queue: nothing comes after it


@dataclass(frozen=True, slots=True)
class WriterCounts:
    """Since the store was opened: durable commits, closures carried out in them, commits that failed."""

    commits: int
    closures: int
    failures: int


class GroupWriter:
    """Owns a connection and the thread that writes on it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        chest: Chest,
        entropy: Entropy,
        *,
        queue_max: int,
        batch_max: int,
        on_forgotten: Callable[[], None],
    ) -> None:
        """on_forgotten: called on the writer's thread after keys were destroyed."""
        self._connection = connection
        self._chest = chest
        self._entropy = entropy
        self._on_forgotten = on_forgotten
        self._queue: queue.SimpleQueue[Job[SqliteTx] | None] = queue.SimpleQueue()
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._guard = threading.Lock()  # of the two below
        self._waiting = 0
        self._stopping = False
        self._counts = WriterCounts(0, 0, 0)
        self._in_hand: list[Job[SqliteTx]] = []
        self._thread = threading.Thread(target=self._run, name="steward-store-writer", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> WriterCounts:
        return self._counts

    def submit(self, work: Callable[[SqliteTx], Any]) -> asyncio.Future[Any]:
        """Queue a closure; the future is resolved on the running loop. Raises Busy or StoreUnavailable at once."""
        job: Job[SqliteTx] = Job(asyncio.get_running_loop(), work)
        with self._guard:
            if self._stopping:
                raise StoreUnavailable("the store is closed")
            if self._waiting >= self._queue_max:
                raise Busy(f"{self._waiting} writes are waiting already: try again")
            self._waiting += 1
            self._queue.put(job)
        return job.future

    def stop(self, timeout_s: float) -> bool:
        """Carry out what was accepted, refuse the rest, end the thread. False if that took too long."""
        with self._guard:
            if not self._stopping:
                self._stopping = True
                self._queue.put(_STOP)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while batch := self._take():
                self._in_hand = batch
                self._commit(batch)
                self._announce(batch)
                self._in_hand = []
        finally:
            self._abandon()

    def _take(self) -> list[Job[SqliteTx]]:
        """Wait for a job, then take what else is there. Empty: the end."""
        batch: list[Job[SqliteTx]] = []
        job = self._queue.get()
        while job is not _STOP:
            batch.append(job)
            if len(batch) == self._batch_max:
                return batch
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._queue.put(_STOP)  # seen too early: for the next turn
        return batch

    def _commit(self, batch: Sequence[Job[SqliteTx]]) -> None:
        counts, changes = self._counts, KeyChanges()
        forgetting: list[Job[SqliteTx]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                if self._attempt(job, changes):
                    forgetting.append(job)
            self._chest.keep(changes.made)
            self._connection.execute("COMMIT")
            self._counts = WriterCounts(counts.commits + 1, counts.closures + len(batch), counts.failures)
        except sqlite3.Error as error:
            self._counts = WriterCounts(counts.commits, counts.closures, counts.failures + 1)
            self._give_up(batch, error)
            return
        if changes.forgets or self._chest.late:
            self._forget(changes, forgetting)

    def _forget(self, changes: KeyChanges, jobs: Sequence[Job[SqliteTx]]) -> None:
        """Destroy keys. What the disk does not let go is tried again after the next commit, and at the next start."""
        try:
            self._chest.forget(changes.destroyed, changes.dropped)
            if changes.destroyed:
                self._on_forgotten()
        except (sqlite3.Error, OSError) as error:
            _LOG.error("store.keys_not_destroyed detail=%s", error)
            for job in jobs:
                job.fail(
                    StoreUnavailable(
                        "the guest's data is deleted, but the file of keys, or a copy from before an upgrade, cannot "
                        "be changed yet: free some space; the gateway goes on trying"
                    )
                )

    def _attempt(self, job: Job[SqliteTx], before: KeyChanges) -> bool:
        """Run one closure in its savepoint; whether it destroys keys. Raises sqlite3.Error if the batch is lost."""
        connection = self._connection
        connection.execute("SAVEPOINT closure")
        keys = TxKeys(self._chest, self._entropy, before)
        tx = SqliteTx(connection, keys, read_only=False)
        returned = job.run(tx)
        tx.end()
        if not connection.in_transaction:
            raise sqlite3.OperationalError(f"the transaction was dropped: {tx.failure}")
        if tx.failure is not None:
            job.fail(tx.failure)  # even if the closure carried on: what it wrote may be incomplete
        kept = tx.failure is None and returned
        if not kept:
            connection.execute("ROLLBACK TO closure")
        connection.execute("RELEASE closure")
        if kept:
            before.add(keys.changes)
        return kept and bool(keys.changes.destroyed)

    def _give_up(self, batch: Sequence[Job[SqliteTx]], error: sqlite3.Error) -> None:
        """Nothing of this batch is kept, and every one of its waiters hears why."""
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as worse:
                _LOG.error("store.rollback_failed detail=%s", worse)
        reason = str(store_error(error))
        _LOG.error("store.commit_failed closures=%d detail=%s", len(batch), reason)
        for job in batch:
            job.fail(StoreUnavailable(reason))

    def _announce(self, batch: Sequence[Job[SqliteTx]]) -> None:
        with self._guard:
            self._waiting -= len(batch)
        loops: dict[asyncio.AbstractEventLoop, list[Job[SqliteTx]]] = {}
        for job in batch:
            loops.setdefault(job.loop, []).append(job)
        for loop, jobs in loops.items():
            try:
                loop.call_soon_threadsafe(_resolve, jobs)
            except RuntimeError:  # the loop is closed: nobody waits any more
                _LOG.warning("store.waiters_gone closures=%d", len(jobs))

    def _abandon(self) -> None:
        """The thread ends. Should it end by a fault of ours, whoever waits must not wait for ever."""
        with self._guard:
            self._stopping = True
        left = self._in_hand
        while not self._queue.empty():
            job = self._queue.get_nowait()
            if job is not _STOP:
                left.append(job)
        for job in left:
            job.fail(StoreUnavailable("the store's writer has ended: restart the gateway"))
        self._announce(left)


def _resolve(jobs: Sequence[Job[SqliteTx]]) -> None:
    for job in jobs:
        job.resolve()
