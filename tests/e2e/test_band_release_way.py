"""A release for bands on its way: ordered, fetched over a line that breaks, shown, halted and resumed by hand."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import ANNA, band, guest, uid
from tests.e2e.gatewaykit import SETTINGS, aboard, prepare
from tests.e2e.test_model_fetch import LINK, shore
from tests.releasekit import RELEASE, Aboard, container, order, public_of
from tests.unit.radiokit import ADDRESS, FakeRadio
from tests.unit.test_config import MINIMAL, load
from typer.testing import CliRunner, Result

from steward.__main__ import app
from steward.adapters.arrivals import FolderArrivals
from steward.adapters.httpsource import HttpSource
from steward.adapters.memory import MemoryStore
from steward.adapters.releasefolder import ENDING, FolderReleases
from steward.adapters.system import SystemClock
from steward.domain.bandstages import BandState, BandUpdate, encode_orders
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.ids import Uid
from steward.domain.presence import BandRadio
from steward.errors import ConfigError
from steward.ports import Tx
from steward.ports.sync import DownRecord
from steward.services.bandfetch import release_fetch
from steward.services.bandreleases import KIND, BandReleases
from steward.services.filefetch import FetchSettings
from steward.services.presence import Heard
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


def lame(tx: Tx) -> None:
    """Two bands of a guest who agreed to be heard took the release an hour ago."""
    now_s = SystemClock().now().unix_s
    tx.put_guest(replace(guest(), not_after_s=now_s + 86_400))
    tx.put_consent(Consent(ANNA, ConsentPurpose.PRESENCE, True, now_s, Source.ABOARD, 1))
    for number in (1, 2):
        tx.put_band(band(number, serial=number))
        tx.put_radio(BandRadio(uid(number), True, True, 1, now_s - 7200))
        tx.put_band_update(BandUpdate(uid(number), 9, BandState.TRYING, 1, now_s - 3600))


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
        await running.gateway.parts.store.write(lame)
        await releases.look()
        assert "stage 1 of 1 (2 bands that took it are silent since" in await said()
        shown = (await running.call("monitor", "GET", "/v1/band-release")).json()
        assert shown["problem"].startswith("2 bands that took it are silent")
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


class HeardNow:
    """services.bandupdater.Ears: a band is heard at this moment."""

    listens = True

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock

    def heard_now(self) -> Sequence[Uid]:
        return [uid(1)]

    def where(self, uid: Uid) -> Heard | None:
        return Heard(FakeRadio("gw1", "deck 8"), ADDRESS, 0, self._clock.monotonic_ms(), None)

    def passkey(self, uid: Uid, heard: Heard, address: bytes) -> int:
        return 1

    def spent(self, uid: Uid) -> None:
        return None


async def test_where_a_radio_listens_bands_are_brought_releases_and_heard_again(tmp_path: Path) -> None:
    store, clock, content = MemoryStore(first_epoch=1), SystemClock(), container(9)
    (tmp_path / "band-releases").mkdir()
    (tmp_path / "band-releases" / "nine.release").write_bytes(content)
    made = make_bands(load(tmp_path, MINIMAL + BANDS), store, clock, HeardNow(clock), follows=False)
    assert list(made.tasks) == ["band releases", "band updates"]
    assert made.releases is not None
    now_s = clock.now().unix_s

    def work(tx: Tx) -> None:
        tx.put_down(DownRecord(KIND, 1, 5, 5, bytes(32), encode_orders(order(content, 9))))
        tx.put_guest(guest())
        tx.put_band(band())
        tx.put_band_update(BandUpdate(uid(1), 9, BandState.TRYING, 1, now_s - 3600))

    await store.write(work)
    await made.releases.look()
    update = await store.read(lambda tx: tx.band_update(uid(1)))
    assert update is not None
    assert now_s - 1 <= update.at_s <= now_s + 60


@pytest.mark.parametrize("key", ["", "00", "g" * 64, "AB" * 32])
def test_a_key_that_is_none_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match="release_key"):
        load(tmp_path, MINIMAL + f'[bands]\nrelease_key = "{key}"\n')
