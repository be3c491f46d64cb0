"""Real card readers: ports.CardReader over PC/SC, through pyscard.

PC/SC calls block, so each reader has one thread of its own that makes all of them, in order; the event loop only
waits for its answers. Nothing here waits longer than POLL_MS without looking whether it should stop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from steward.adapters.pcsclink import PcscLink
from steward.errors import CardRemoved, ReaderFault
from steward.ports import Card

_LOG = logging.getLogger(__name__)
T = TypeVar("T")

EXCHANGE_LIMIT_S = 5.0  # a card may ask for more time, but a guest who holds a band to a door will not wait longer
CLOSE_LIMIT_S = 1.0
JOBS_MAX = 8


def list_readers() -> list[str]:
    """Names of the readers PC/SC sees now. Blocks shortly; ReaderFault if pyscard or the service is missing."""
    link = PcscLink("")
    try:
        return link.readers()
    finally:
        link.release()


class PcscCard:
    """A card in the reader, ours alone until `disconnect`."""

    def __init__(self, reader: PcscReader, anticollision_id: bytes) -> None:
        self._reader = reader
        self._anticollision_id = anticollision_id

    @property
    def anticollision_id(self) -> bytes:
        return self._anticollision_id

    async def exchange(self, capdu: bytes) -> bytes:
        return await self._reader.exchange(self, capdu)


class PcscReader:
    """One PC/SC reader by its exact name.

    A card is returned by `connect` once: it must leave the field, or be swapped, before there is a next one. A
    card already lying there at the first connect, or after the service restarted, counts as new, and so does one
    that comes after CardRemoved: a guest whose band was torn away taps again within a moment. After a
    ReaderFault the next `connect` starts afresh, so a reader plugged in again or a restarted service is found.
    """

    def __init__(self, name: str, *, exchange_limit_s: float = EXCHANGE_LIMIT_S) -> None:
        self._name = name
        self._limit_s = exchange_limit_s
        self._link = PcscLink(name)
        self._worker = _Worker(name)
        self._card: PcscCard | None = None
        self._stop = threading.Event()
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    async def connect(self) -> PcscCard:
        if self._closed:
            raise ReaderFault(f"reader {self._name} is closed")
        self._card = None
        stop = self._stop = threading.Event()
        try:
            found = await asyncio.wrap_future(self._worker.submit(lambda: self._link.wait(stop)))
        except asyncio.CancelledError:
            stop.set()
            self._let_go(self._link.give_back)
            raise
        self._card = PcscCard(self, found)
        return self._card

    async def exchange(self, card: Card, capdu: bytes) -> bytes:
        """For PcscCard: one APDU, within the time limit."""
        if card is not self._card:
            raise CardRemoved(f"the card is no longer held by reader {self._name}")
        try:
            async with asyncio.timeout(self._limit_s):
                return await asyncio.wrap_future(self._worker.submit(lambda: self._link.transmit(capdu)))
        except TimeoutError:
            self._card = None
            raise CardRemoved(f"the card in reader {self._name} did not answer within {self._limit_s:g} s") from None
        except (CardRemoved, ReaderFault):
            self._card = None
            raise

    async def disconnect(self, card: Card) -> None:
        """End the transaction and power the card down. Harmless if it is gone already."""
        if card is self._card:
            self._card = None
        elif self._card is not None:
            return  # an old card object: the card now held is somebody else's
        future = self._let_go(self._link.drop)
        if future is not None:
            await asyncio.wait([asyncio.wrap_future(future)], timeout=CLOSE_LIMIT_S)

    async def close(self) -> None:
        """Stop waiting, let the card go, end the thread: within POLL_MS, or CLOSE_LIMIT_S if a card hangs."""
        if self._closed:
            return
        self._closed = True
        self._card = None
        self._stop.set()
        await asyncio.to_thread(self._worker.close, self._link.release)

    def _let_go(self, how: Callable[[], None]) -> concurrent.futures.Future[None] | None:
        try:
            return self._worker.submit(how)
        except ReaderFault:
            return None  # the thread hangs in a dead card; the next connect lets go first


class _Worker:
    """One daemon thread that runs blocking jobs in order; at most JOBS_MAX wait."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(JOBS_MAX)
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], T]) -> concurrent.futures.Future[T]:
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            self._jobs.put_nowait(lambda: _settle(future, work))
        except queue.Full:
            raise ReaderFault(f"reader {self._name} is stuck: take the card away, or unplug the reader") from None
        if self._thread is None or not self._thread.is_alive():
            # Daemon: a driver that never returns must not keep the gateway from ending.
            self._thread = threading.Thread(target=self._run, name=f"pcsc {self._name}", daemon=True)
            self._thread.start()
        return future

    def close(self, last: Callable[[], None]) -> None:
        """Run `last` after what is queued and end the thread; give up after CLOSE_LIMIT_S if it is stuck."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            last()
            return
        try:
            self._jobs.put_nowait(last)
            self._jobs.put_nowait(None)
        except queue.Full:
            _LOG.warning("reader.stuck name=%s", self._name)
        thread.join(CLOSE_LIMIT_S)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(future: concurrent.futures.Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except (CardRemoved, ReaderFault) as error:
        future.set_exception(error)
    finally:
        if not future.done():  # a bug: it ends this thread with a traceback, and the caller must not hang
            future.set_exception(ReaderFault("the reader's thread failed: see the log"))
