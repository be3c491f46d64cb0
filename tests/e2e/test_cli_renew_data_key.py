"""`steward keys renew-data-key` as an operator types it, on the store of a gateway that was stopped, or was not."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from tests.contract.makers import ANNA
from tests.contract.serviceparts import profile
from tests.e2e.gatewaykit import SETTINGS, aboard, prepare, settings_of
from tests.stewardkit import steward
from tests.vaultkit import guest_keys

from steward.adapters import datakey
from steward.adapters.keyseal import KeySecret
from steward.adapters.sqlite.renewal import next_path
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy
from steward.adapters.vault import DataKey
from steward.wiring import open_data_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path, SETTINGS)
    return tmp_path


def data_key_of(folder: Path) -> DataKey:
    return open_data_key(settings_of(folder))


def renew(folder: Path) -> subprocess.CompletedProcess[str]:
    return steward("keys", "renew-data-key", "--config", folder / "steward.toml", CREDENTIALS_DIRECTORY=str(folder))


async def a_voyage(folder: Path) -> subprocess.CompletedProcess[str]:
    """A gateway runs and keeps a name; what the command says meanwhile."""
    async with aboard(folder, {"x": "y"}) as running:
        await running.gateway.parts.services.store.write(lambda tx: tx.put_profile(profile(ANNA)))
        return await asyncio.to_thread(renew, folder)


async def name_is_there(folder: Path) -> bool:
    store = SqliteStore.open(settings_of(folder).gateway.database, data_key_of(folder))
    try:
        return await store.read(lambda tx: tx.has_profile(ANNA))
    finally:
        await store.close()


def test_while_the_gateway_runs_it_says_to_stop_it_and_then_it_renews(folder: Path) -> None:
    meanwhile = asyncio.run(a_voyage(folder))
    before = data_key_of(folder).fingerprint
    assert meanwhile.returncode == 1
    assert "is in use by process" in meanwhile.stderr
    assert "stop it" in meanwhile.stderr
    done = renew(folder)
    assert done.returncode == 0, done.stderr
    assert "a new data key" in done.stdout
    assert "steward backup --keys" in done.stdout
    assert data_key_of(folder).fingerprint != before
    assert asyncio.run(name_is_there(folder))
    assert asyncio.run(a_voyage(folder)).returncode == 1  # and a gateway starts with it


def test_without_a_store_there_is_nothing_to_renew(folder: Path) -> None:
    before = (folder / "data-key.sealed").read_bytes()
    done = renew(folder)
    assert done.returncode == 1
    assert "has never run with these settings" in done.stderr
    assert (folder / "data-key.sealed").read_bytes() == before


def test_a_gateway_that_was_cut_short_in_it_finishes_it_at_its_start(folder: Path) -> None:
    asyncio.run(a_voyage(folder))
    settings = settings_of(folder).gateway
    data_key = data_key_of(folder)
    secret = KeySecret.from_credential(folder / "keys")
    with guest_keys(settings.database, data_key) as keys:
        new = datakey.create_after(data_key, next_path(settings.data_key_file), secret, OsEntropy())
        keys.rewrap(new)
    asyncio.run(a_voyage(folder))
    assert datakey.load(settings.data_key_file, secret).fingerprint == new.fingerprint
    assert not next_path(settings.data_key_file).exists()
    assert asyncio.run(name_is_there(folder))
