"""`steward privacy retention` on the store of a gateway that was stopped: shown first, then deleted, and said."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from tests.e2e.gatewaykit import aboard, prepare, settings_of
from tests.stewardkit import steward

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.ids import GuestRef
from steward.domain.profiles import Profile
from steward.domain.retention import DAY_S
from steward.ports import Tx
from steward.wiring import open_data_key

T = TypeVar("T")


def on_store(folder: Path, work: Callable[[Tx], T]) -> T:
    async def run() -> T:
        settings = settings_of(folder)
        store = SqliteStore.open(settings.gateway.database, open_data_key(settings))
        try:
            return await store.write(work)
        finally:
            await store.close()

    return asyncio.run(run())


@pytest.fixture
def ship(tmp_path: Path) -> tuple[Path, GuestRef]:
    """A guest who left 40 days ago, in a gateway that is stopped."""

    async def fill() -> GuestRef:
        tokens = prepare(tmp_path)
        async with aboard(tmp_path, tokens) as running:
            now_s = running.gateway.parts.services.clock.now().unix_s
            ref = await running.guest(not_after_s=now_s - 40 * DAY_S)
            await running.gateway.parts.services.store.write(
                lambda tx: tx.put_profile(Profile(ref, "Kim", "Kim Testesen", "nb", (), ()))
            )
            return ref

    return tmp_path, asyncio.run(fill())


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    where = ("--config", str(folder / "steward.toml"))
    return steward("privacy", "retention", *where, *words, CREDENTIALS_DIRECTORY=str(folder))


def test_what_is_over_is_shown_and_then_deleted(ship: tuple[Path, GuestRef]) -> None:
    folder, ref = ship
    shown = run(folder, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "profile" in shown.stdout
    assert on_store(folder, lambda tx: tx.has_profile(ref))
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert not on_store(folder, lambda tx: tx.has_profile(ref))
    assert "profile" in [row.rule for row in on_store(folder, lambda tx: tx.runs(99))]
    assert "Nothing is over" in run(folder, "--dry-run").stdout


def test_a_clock_that_jumped_deletes_nothing_and_says_so(ship: tuple[Path, GuestRef]) -> None:
    folder, ref = ship

    def set_back(tx: Tx) -> None:
        mark_s, _, _ = json.loads(tx.meta("retention.passage") or "")
        tx.set_meta("retention.passage", json.dumps([mark_s - 400 * DAY_S, 0, None]))

    on_store(folder, set_back)
    done = run(folder)
    assert "confirm-clock" in done.stderr
    assert on_store(folder, lambda tx: tx.has_profile(ref))
    told = steward("confirm-clock", "--config", str(folder / "steward.toml"), CREDENTIALS_DIRECTORY=str(folder))
    assert told.returncode == 0, told.stderr
    assert "confirm-clock" not in run(folder).stderr
    assert not on_store(folder, lambda tx: tx.has_profile(ref))


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    prepare(tmp_path)
    done = run(tmp_path)
    assert done.returncode == 1
    assert "never run" in done.stderr
