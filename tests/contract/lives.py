"""One life of a gateway on a database file: opened, used, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.contract.makers import ANNAS_ACCOUNT, event, transaction
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.events import StoredEvent
from steward.ports import Store, Tx


def pay(number: int) -> Callable[[Tx], int]:
    def work(tx: Tx) -> int:
        tx.post(transaction(number))
        return tx.append_event(event(number))

    return work


def with_store(path: Path, *works: Callable[[Tx], object], first_epoch: int = 1) -> list[object]:
    """Open the store, run the closures, close it: one life of a gateway."""

    async def live() -> list[object]:
        store: Store = SqliteStore.open(path, DATA_KEY, first_epoch=first_epoch)
        try:
            return [await store.write(work) for work in works]
        finally:
            await store.close()

    return asyncio.run(live())


def look(tx: Tx) -> tuple[int, int, list[StoredEvent]]:
    return tx.balance(ANNAS_ACCOUNT), tx.epoch(), list(tx.events(0, 99))


def state_of(path: Path) -> tuple[int, int, list[StoredEvent]]:
    """Anna's balance, the epoch and its events, as a gateway started on this file sees them."""
    (found,) = with_store(path, look)
    assert isinstance(found, tuple)
    return found
