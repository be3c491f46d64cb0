"""The two stores, opened and closed for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.vaultkit import DATA_KEY, lay_store

from steward.adapters.memory import MemoryStore
from steward.adapters.sqlite.store import SqliteStore, StoreLimits
from steward.ports import Store

OpenStore = Callable[[int], Store]  # how many writes may wait


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens a store of either kind; whatever was opened is closed at the end."""
    opened: list[Store] = []

    def open_one(write_queue_max: int) -> Store:
        store: Store
        if request.param == "memory":
            store = MemoryStore(queue_max=write_queue_max)
        else:
            path = lay_store(tmp_path / f"steward{len(opened)}.db")
            store = SqliteStore.open(path, DATA_KEY, limits=StoreLimits(write_queue_max=write_queue_max))
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store(1024)


@pytest_asyncio.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(lay_store(tmp_path / "steward.db"), DATA_KEY)
    yield opened
    await opened.close()
