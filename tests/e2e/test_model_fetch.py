"""A released model's file on its way aboard: over HTTPS that breaks, at a bounded cost, believed by its hash alone."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.e2e.gatewaykit import SETTINGS, aboard, prepare
from tests.e2e.tlskit import issue, make_ca
from tests.servekit import ended
from tests.unit.modelkit import TINY
from tests.unit.moneykit import NOON_S, HandClock
from tests.unit.test_config import MINIMAL, load

from steward.adapters import arrivals as arriving
from steward.adapters import httpsource
from steward.adapters.arrivals import FolderArrivals
from steward.adapters.httpsource import HttpSource
from steward.adapters.memory import MemoryStore
from steward.adapters.modelfolder import FolderModels
from steward.adapters.popularity import PopularityRanker
from steward.domain.shorebodies import ModelRelease, encode_releases
from steward.domain.topics import TELEMETRY
from steward.domain.trial import Phase, Trial
from steward.ports.fetching import Part, SourceFailed
from steward.ports.sync import DownRecord
from steward.services.filefetch import AGAIN_MAX_S, LOOK_EVERY_S, PART_BYTES, PAUSE_S, FetchSettings
from steward.services.modelfetch import model_fetch
from steward.services.modelwatch import ModelWatch
from steward.services.ranking import Ranking
from steward.services.supervise import TaskState
from steward.wiring_fetch import make_fetch
from steward.wiring_models import make_rankers

FILE = TINY.read_bytes()
SHA = hashlib.sha256(FILE).hexdigest()
DAY_BYTES = 64 * 1024 * 1024
STEPS_MAX = 400


@dataclass
class Shore:
    """An HTTPS server with one file. cut: after how many bytes of a body to break the line, None: never."""

    port: int = 0
    content: bytes = FILE
    ranges: bool = True
    status: int = 0
    cut: Callable[[], int | None] = lambda: None
    asked: list[str] = field(default_factory=list)
    sent: int = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/preference.model"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if not await self._answer(head.decode(), writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> bool:
        found = re.search(r"^range: bytes=(\d+)-(\d+)\r$", head, re.MULTILINE | re.IGNORECASE)
        assert found is not None
        self.asked.append(found[0].strip())
        first, last = int(found[1]), min(int(found[2]), len(self.content) - 1)
        body, total = self.content[first : last + 1], len(self.content)
        line = f"206 Partial Content\r\nContent-Range: bytes {first}-{last}/{total}"
        if self.status:
            body, line = b"", f"{self.status} No"
        elif not self.ranges:
            body, line = self.content, "200 OK"
        elif first >= total:
            body, line = b"", "416 Range Not Satisfiable"
        cut = self.cut()
        writer.write(f"HTTP/1.1 {line}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:cut])
        self.sent += len(body[:cut])
        await writer.drain()
        return cut is None or cut >= len(body)


@asynccontextmanager
async def shore(folder: Path, **changes: object) -> AsyncIterator[tuple[Shore, Path]]:
    """And the CA's certificate that its own is of."""
    ca = make_ca(folder)
    issued = issue(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.private_key)
    made = Shore(**changes)  # type: ignore[arg-type]
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made, ca
    finally:
        await ended(server)


class Aboard:
    """A store, a folder of arrivals, and what fetches into it."""

    def __init__(self, folder: Path, ca: Path | None = None, bytes_per_day: int = DAY_BYTES) -> None:
        self.folder = folder / "arrivals"
        self.store, self.clock = MemoryStore(), HandClock()
        self.ranking = Ranking(PopularityRanker())
        self.models = FolderModels(self.folder)
        self.source = HttpSource(ca)
        self.bytes_per_day = bytes_per_day
        self.restart()

    def restart(self) -> None:
        self.fetch = model_fetch(
            self.store,
            self.clock,
            self.ranking,
            self.models.here,
            self.source,
            FolderArrivals(self.folder, 1),
            FetchSettings(self.bytes_per_day),
        )

    async def told(self, url: str, sha256: str = SHA, size: int = len(FILE), version: int = 1) -> None:
        body = encode_releases([ModelRelease("preference", "2.0", sha256, size, url)])
        record = DownRecord("release", version, NOON_S, NOON_S, b"x" * 32, body)
        await self.store.write(lambda tx: tx.put_down(record))

    async def until_here(self) -> int:
        """Steps that it took."""
        for step in range(STEPS_MAX):
            if await self.models.here(SHA):
                return step
            await self.fetch.step()
        raise AssertionError("never came")

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    async def spent(self) -> int:
        day = self.clock.unix_s // 86_400
        return (await self.store.read(lambda tx: tx.bytes_spent("models", day))).get(TELEMETRY, 0)


async def test_a_release_is_fetched_over_a_line_that_breaks_and_goes_on_trial(tmp_path: Path) -> None:
    """Every third answer breaks off within, and every few parts this gateway is started anew."""
    luck = random.Random(3)
    async with shore(tmp_path, cut=lambda: luck.randrange(0, PART_BYTES) if luck.random() < 0.4 else None) as (
        there,
        ca,
    ):
        here = Aboard(tmp_path, ca)
        await here.told(there.url)
        steps = 0
        while not await here.models.here(SHA):
            await here.fetch.step()
            steps += 1
            assert steps < STEPS_MAX
            if steps % 3 == 0:
                here.restart()
        await here.source.close()
    assert steps > len(FILE) // PART_BYTES + 1  # it did break
    assert there.sent < len(FILE) + PART_BYTES  # and nothing came twice
    assert here.files() == [f"fetched-{SHA}.model"]
    assert there.sent <= await here.spent() <= there.sent + 1024 * steps
    watch = ModelWatch(here.store, here.ranking, here.models)
    await watch.look()
    trial = await here.store.read(here.ranking.read)
    assert (trial.phase, trial.other) == (Phase.SHADOW, SHA)
    asked = len(there.asked)
    assert await here.fetch.step() == LOOK_EVERY_S
    assert len(there.asked) == asked
    here.ranking.close()


async def test_a_source_without_parts_will_do_for_a_file_of_one_part(tmp_path: Path) -> None:
    small = FILE[: PART_BYTES - 7]
    async with shore(tmp_path, ranges=False, content=small) as (there, ca):
        here = Aboard(tmp_path, ca)
        await here.told(there.url, hashlib.sha256(small).hexdigest(), len(small))
        assert await here.fetch.step() == LOOK_EVERY_S
        assert len(here.files()) == 1
        await here.source.close()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"status": 404}, "answers 404"),
        ({"status": 302}, "answers 302"),
        ({"ranges": False}, "no parts"),
        ({"status": 500}, "answers 500"),
        ({"content": FILE + b"x"}, "another size"),
        ({"content": b""}, "answers 416"),
        ({"cut": lambda: 0}, "nothing came"),
    ],
)
async def test_a_source_that_has_it_not_is_asked_ever_more_seldom(
    changes: dict[str, object], problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with shore(tmp_path, **changes) as (there, ca):
        here = Aboard(tmp_path, ca)
        await here.told(there.url)
        waits = [await here.fetch.step() for _ in range(4)]
        await here.source.close()
    assert waits == [5, 10, 20, 40]
    assert here.files() == []
    (said,) = [record.getMessage() for record in caplog.records if "model.not_fetched" in record.getMessage()]
    assert problem in said
    assert "https" not in said


async def test_a_stranger_with_another_certificate_is_not_even_asked(tmp_path: Path) -> None:
    async with shore(tmp_path) as (there, _):
        here = Aboard(tmp_path)
        await here.told(there.url)
        assert await here.fetch.step() == 5
        await here.source.close()
    assert (there.asked, here.files()) == ([], [])


async def test_other_bytes_of_the_same_size_are_thrown_away_and_not_asked_for_at_once(tmp_path: Path) -> None:
    wrong = FILE[:50_000] + bytes([FILE[50_000] ^ 1]) + FILE[50_001:]
    async with shore(tmp_path, content=wrong) as (there, ca):
        here = Aboard(tmp_path, ca)
        await here.told(there.url)
        waits = [await here.fetch.step() for _ in range(-(-len(FILE) // PART_BYTES))]
        assert waits == [PAUSE_S] * (len(waits) - 1) + [AGAIN_MAX_S]
        assert here.files() == []
        there.content = FILE
        await here.until_here()
        await here.source.close()


async def test_a_days_bytes_are_bounded_also_over_a_restart_and_go_on_the_next_day(tmp_path: Path) -> None:
    async with shore(tmp_path) as (there, ca):
        here = Aboard(tmp_path, ca, bytes_per_day=PART_BYTES + 2048)
        here.clock.unix_s = NOON_S - NOON_S % 86_400  # midnight: a quarter of the day's bytes
        await here.told(there.url)
        assert await here.fetch.step() == PAUSE_S
        for _ in range(3):
            here.restart()
            assert await here.fetch.step() == LOOK_EVERY_S
        assert there.sent == PART_BYTES
        here.clock.unix_s += 86_399
        assert await here.fetch.step() == PAUSE_S  # the rest of the day's
        assert await here.fetch.step() == LOOK_EVERY_S
        assert there.sent == 2 * PART_BYTES
        here.clock.unix_s += 1
        assert await here.fetch.step() == PAUSE_S
        assert there.sent == 3 * PART_BYTES
        await here.source.close()


async def test_a_full_disk_and_sizes_that_cannot_be_fetch_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shore(tmp_path) as (there, ca):
        here = Aboard(tmp_path, ca)
        for version, size in enumerate((0, 1 << 40), 1):
            await here.told(there.url, size=size, version=version)
            assert await here.fetch.step() > 0
        await here.told(there.url, version=3)
        usage = shutil.disk_usage(tmp_path)._replace(free=len(FILE))
        monkeypatch.setattr(arriving.shutil, "disk_usage", lambda _path: usage)
        assert await here.fetch.step() >= 5
        assert (there.asked, here.files()) == ([], [])
        usage = usage._replace(free=len(FILE) + 1)
        assert await here.fetch.step() == PAUSE_S
        await here.source.close()


async def test_what_is_not_wanted_any_more_makes_room(tmp_path: Path) -> None:
    async with shore(tmp_path) as (there, ca):
        here = Aboard(tmp_path, ca)
        here.folder.mkdir()
        for name in (
            f"fetched-{'a' * 64}.model",
            f"fetched-{'b' * 64}.part",
            "carried.model",
            f"fetched-{'c' * 64}.model",
        ):
            (here.folder / name).write_bytes(b"old")
        shown = Trial("c" * 64, "c" * 64)
        await here.store.write(lambda tx: here.ranking.write(tx, shown))
        await here.told(there.url)
        await here.until_here()
        await here.fetch.step()
        await here.source.close()
    assert here.files() == sorted(["carried.model", f"fetched-{SHA}.model", f"fetched-{'c' * 64}.model"])


async def test_without_an_address_and_after_a_refusal_nothing_is_fetched(tmp_path: Path) -> None:
    async with shore(tmp_path) as (there, ca):
        here = Aboard(tmp_path, ca)
        assert await here.fetch.step() == LOOK_EVERY_S
        await here.told("")
        assert await here.fetch.step() == LOOK_EVERY_S
        await here.store.write(lambda tx: here.ranking.write(tx, Trial(refused=(SHA,))))
        await here.told(there.url, version=2)
        assert await here.fetch.step() == LOOK_EVERY_S
        await here.source.close()
    assert there.asked == []


async def test_a_source_that_dribbles_is_left_alone_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = asyncio.Event()

    async def dribble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            writer.transport.abort()
            left.set()

    monkeypatch.setattr(httpsource, "PART_LIMIT_S", 0.5)
    server = await asyncio.start_server(dribble, "127.0.0.1", 0)
    source = HttpSource()
    with pytest.raises(SourceFailed, match=r"took more than 0\.5 s|nothing came"):
        await source.fetch(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", 0, 10, 10)
    await source.close()
    server.close()
    async with asyncio.timeout(20):  # a connection left open would be told of in another test
        await left.wait()


async def test_a_part_that_does_not_follow_is_not_kept(tmp_path: Path) -> None:
    arrivals = FolderArrivals(tmp_path / "new", 0)
    await arrivals.add(SHA, Part(0, b"abc", 3))
    with pytest.raises(SourceFailed):
        await arrivals.add(SHA, Part(4, b"e", 1))
    await arrivals.add(SHA, Part(2, b"cd", 2))  # what overlaps takes the place of what was there
    assert await arrivals.begun(SHA) == 4
    assert not await arrivals.finish(SHA)
    assert await arrivals.begun(SHA) == 0
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceFailed):
        await FolderArrivals(tmp_path / "file", 0).add(SHA, Part(0, b"a", 1))


async def test_a_running_gateway_fetches_and_stops(tmp_path: Path) -> None:
    tokens = prepare(tmp_path, SETTINGS + LINK + '[models]\nfolder = "arrivals"\n')
    async with shore(tmp_path) as (there, _), aboard(tmp_path, tokens) as running:
        parts = running.gateway.parts
        assert parts.fetch is not None
        here = Aboard(tmp_path)
        here.store = parts.store  # type: ignore[assignment]
        await here.told(there.url)
        assert await parts.fetch.step() == 5  # of a CA that this gateway does not trust
        status = parts.supervisor.status("model files")
        assert status is not None
        assert status.state is TaskState.RUNNING
        await here.source.close()
    assert there.asked == []


LINK = '[link]\nurl = "mqtt://127.0.0.1:1"\n'


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("", False),
        (LINK, False),
        ('[models]\nfolder = "a"\n', False),
        (LINK + '[models]\nfolder = "a"\nfetch_kib_per_day = 0\n', False),
        (LINK + '[models]\nfolder = "a"\n', True),
    ],
)
def test_it_is_made_where_there_is_a_link_and_a_folder(tmp_path: Path, text: str, made: bool) -> None:
    config, store = load(tmp_path, MINIMAL + text), MemoryStore()
    rankers = make_rankers(config, store)
    assert (make_fetch(config, store, HandClock(), rankers) is not None) is made
    rankers.ranking.close()
