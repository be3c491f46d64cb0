"""Stores of the shore service: SQLite with threads, SQLite inline, and PostgreSQL in a cluster of the tests' own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.e2e.postgreskit import Cluster, running_cluster
from tests.shore.kit import prepared

from steward.shore.postgres import PostgresShore
from steward.shore.sqlite import SqliteShore
from steward.shore.store import ShoreStore

KINDS = ["sqlite", "sqlite-inline", pytest.param("postgres", marks=pytest.mark.postgres)]
Reopen = Callable[[], Awaitable[ShoreStore]]  # one more store on the same database


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """For a test that stops it."""
    with running_cluster() as running:
        yield running


@pytest_asyncio.fixture(params=KINDS)
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Opens stores of one kind on one database, as several processes would; all are closed at the end."""
    opened: list[ShoreStore] = []
    url = request.getfixturevalue("cluster").database() if request.param == "postgres" else ""

    async def open_one() -> ShoreStore:
        store: ShoreStore
        if url:
            store = await PostgresShore.open(url, connection_count=4)
        else:
            inline = request.param == "sqlite-inline"
            store = SqliteShore.open(tmp_path / "shore.db", create=True, inline=inline)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest_asyncio.fixture
async def empty(reopen: Reopen) -> ShoreStore:
    """A store whose schema is there, and nothing else."""
    return await reopen()


@pytest_asyncio.fixture
async def store(empty: ShoreStore) -> ShoreStore:
    """A store with the ship aurora and its gateways gw1 and gw2."""
    return await prepared(empty)
