"""A release for bands on its way: ordered, fetched over a line that breaks, shown, halted and resumed by hand."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e.gatewaykit import SETTINGS, aboard, prepare
from tests.e2e.test_model_fetch import LINK, shore
from tests.releasekit import RELEASE, Aboard, container, order, public_of
from tests.unit.test_config import MINIMAL, load
from typer.testing import CliRunner, Result

from steward.__main__ import app
from steward.adapters.arrivals import FolderArrivals
from steward.adapters.httpsource import HttpSource
from steward.adapters.memory import MemoryStore
from steward.adapters.releasefolder import ENDING, FolderReleases
from steward.adapters.system import SystemClock
from steward.domain.bandstages import encode_orders
from steward.errors import ConfigError
from steward.ports.sync import DownRecord
from steward.services.bandfetch import release_fetch
from steward.services.bandreleases import KIND, BandReleases
from steward.services.filefetch import FetchSettings
from steward.wiring_bands import make_bands

BANDS = f'[bands]\nrelease_key = "{public_of(RELEASE).hex()}"\n'
FILES = {f"band/f{number}.mpy": os.urandom(30_000) for number in range(4)}


async def test_a_release_is_fetched_over_a_line_that_breaks_and_offered(tmp_path: Path) -> None:
    luck, content = random.Random(5), container(9, files=FILES)
    async with shore(tmp_path, content=content, cut=lambda: luck.choice((None, 700, 20_000))) as (there, ca):
        here = Aboard()
        uids = await here.issue(2)
        folder, source = FolderReleases(tmp_path / "releases"), HttpSource(ca)
        here.releases = BandReleases(here.store, here.clock, folder, public_of(RELEASE))
        arrivals = FolderArrivals(tmp_path / "releases", 1, ENDING)
        fetch = release_fetch(here.store, here.clock, folder.here, source, arrivals, FetchSettings(1 << 24))
        ordered = order(content, 9)
        url = f"https://localhost:{there.port}/band"
        await here.hear(1, encode_orders(replace(ordered, url=url)))
        for _ in range(60):
            if await folder.here(ordered.sha256):
                break
            await here.releases.look()
            assert await here.offered(uids) == 0
            await fetch.step()
        await here.releases.look()
        assert await here.offered(uids) == 2
        await here.hear(2, encode_orders(None))
        await fetch.step()
        await here.releases.look()
        await source.close()
    assert await folder.read(ordered.sha256) is None  # what is not wanted any more makes room
    assert await here.releases.status() is None


async def test_one_that_was_carried_aboard_counts_by_its_hash(tmp_path: Path) -> None:
    folder, content = FolderReleases(tmp_path / "none"), container(9)
    sha256 = hashlib.sha256(content).hexdigest()
    assert await folder.read(sha256) is None
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "other.release").write_bytes(b"other")
    (tmp_path / "none" / "folder.release").mkdir()
    (tmp_path / "none" / "from-a-stick.release").write_bytes(content)
    assert await folder.read(sha256) == content


def steward(folder: Path, url: str, *arguments: str) -> Result:
    token = folder / "desk.token"
    return CliRunner().invoke(app, ["bands", "releases", "--token-file", str(token), "--url", url, *arguments])


async def test_it_is_shown_halted_and_resumed_at_a_running_gateway(tmp_path: Path) -> None:
    tokens = prepare(tmp_path, SETTINGS + BANDS)
    content = container(9)
    (tmp_path / "band-releases").mkdir()
    (tmp_path / "band-releases" / "nine.release").write_bytes(content)
    async with aboard(tmp_path, tokens) as running:
        releases = running.gateway.parts.on_bands.releases
        assert releases is not None
        token = tmp_path / "desk.token"
        token.write_text(tokens["desk"])
        token.chmod(0o600)

        async def said(*arguments: str) -> str:
            return (await asyncio.to_thread(steward, tmp_path, running.gateway.url, *arguments)).output

        assert "no release for bands" in await said()
        body = encode_orders(order(content, 9))
        await running.gateway.parts.store.write(lambda tx: tx.put_down(DownRecord(KIND, 1, 5, 5, bytes(32), body)))
        assert "has not come yet" in await said()
        await releases.look()
        assert "release 9: stage 1 of 1; 0 bands run it, 0 failed" in await said()
        assert "stage 1 of 1" in (await running.client.get("/live")).text
        assert "halted (operator)" in await said("--halt")
        assert "halted already" in await said("--halt")
        assert "stage 1 of 1" in await said("--resume")
        assert "not halted" in await said("--resume")
        assert "give one of them" in await said("--resume", "--halt")
        assert (await running.call("monitor", "POST", "/v1/band-release/halt")).status_code == 403
        assert (await running.call("monitor", "GET", "/v1/band-release")).json()["number"] == 9


async def test_without_a_key_there_are_none(tmp_path: Path) -> None:
    async with aboard(tmp_path) as running:
        assert running.gateway.parts.on_bands.releases is None
        assert (await running.call("desk", "GET", "/v1/band-release")).status_code == 404
        assert (await running.call("desk", "POST", "/v1/band-release/halt")).status_code == 404


@pytest.mark.parametrize(
    ("text", "follows", "tasks"),
    [
        ("", False, []),
        (BANDS, True, []),
        (BANDS, False, ["band releases"]),
        (LINK + BANDS + "fetch_kib_per_day = 0\n", False, ["band releases"]),
        (LINK + BANDS, False, ["band releases", "band release files"]),
    ],
)
def test_it_is_made_where_a_key_is_named(tmp_path: Path, text: str, follows: bool, tasks: list[str]) -> None:
    made = make_bands(load(tmp_path, MINIMAL + text), MemoryStore(), SystemClock(), None, follows=follows)
    assert list(made.tasks) == tasks


@pytest.mark.parametrize("key", ["", "00", "g" * 64, "AB" * 32])
def test_a_key_that_is_none_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match="release_key"):
        load(tmp_path, MINIMAL + f'[bands]\nrelease_key = "{key}"\n')
