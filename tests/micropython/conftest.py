"""Bands on the bench of the NFC chip, keyed once for all its tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.micropython.pn532bench import BenchBand, bench_band
from tests.micropython.pn532till import UID, key_band

from voyage.bandproc import BandOptions


@pytest.fixture(scope="session")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flash of a keyed band, to copy."""
    state = tmp_path_factory.mktemp("keyed") / "flash"
    asyncio.run(key_band(state))
    return state


@pytest.fixture
def keyed_options(keyed: Path, tmp_path: Path) -> BandOptions:
    return BandOptions(shutil.copytree(keyed, tmp_path / "flash"), uid=UID)


@pytest.fixture
async def keyed_band(keyed_options: BandOptions) -> AsyncIterator[BenchBand]:
    async with bench_band(keyed_options) as band:
        yield band
