"""A real gateway process killed with -9 while it imports: after each kill the whole manifest is there, or none of it.

What was told to be imported is there for good, photos that were staged are not asked for again, and in the end the
same file changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
from tests.e2e.gatewaykit import SETTINGS, prepare
from tests.unit.manifestkit import jpeg, manifest, party

from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import find_damage
from steward.config import CREDENTIALS_ENV, load
from steward.domain.events import EventType
from steward.domain.photos import clean_photo
from steward.domain.viewing import Field
from steward.ports import Tx
from steward.services.ownlook import own_look
from steward.wiring import open_data_key
from voyage.client import Gateway
from voyage.ship import GatewayProcess, free_port

SEED = 20_260_725
GUESTS, PHOTOS = 3_000, 30
WHOLE = (GUESTS, GUESTS, GUESTS, PHOTOS)
DIETS = ("vegan", "vegetarian", "halal", "kosher", "pescatarian", "no_pork", "low_salt", "no_gluten")
DELAY_MAX_S = 1.2  # from sending the import to the kill: some die before the commit, some after
LIMIT_S = 120
TABLES = ("guest", "profile", "imported_guest", "photo")


@dataclass(frozen=True)
class Held:
    """What the database holds: rows of each table, the diets of the guests, imports that were recorded."""

    counts: tuple[int, ...]
    diets: set[str]
    imports: int


@dataclass
class Ship:
    folder: Path
    process: GatewayProcess
    url: str
    token: str

    async def start(self) -> None:
        await self.process.start()
        api = Gateway(self.url)
        try:
            await self.process.wait_healthy(api.healthy)
        finally:
            await api.close()

    async def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.ended()

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(base_url=self.url, timeout=LIMIT_S) as client:
            answer = await client.request(method, path, headers=headers, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def held(self) -> Held:
        """Of a gateway that is down. Opening the file finishes what the log holds, as a restart does."""
        with closing(sqlite3.connect(self.folder / "data" / "steward.db")) as database:
            assert find_damage(database, SCHEMA_VERSION) == []
            counts = tuple(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES)
            imports = database.execute("SELECT count(*) FROM event WHERE type = ?", (EventType.MANIFEST_IMPORTED,))
            return Held(counts, self._diets(), imports.fetchone()[0])

    def _diets(self) -> set[str]:
        """As the guests themselves would see them: they are sealed."""

        def work(tx: Tx) -> set[str]:
            looks = [own_look(guest.ref, {Field.DIET}, 0) for guest in tx.guests()]
            return {" ".join(tx.disclose(look).diet or ()) for look in looks}

        async def read() -> set[str]:
            settings = load(self.folder / "steward.toml", {CREDENTIALS_ENV: str(self.folder)})
            store = SqliteStore.open(settings.gateway.database, open_data_key(settings))
            try:
                return await store.write(work)
            finally:
                await store.close()

        with ThreadPoolExecutor(1) as apart:  # where no loop runs
            return apart.submit(asyncio.run, read()).result()


@asynccontextmanager
async def sailing(folder: Path) -> AsyncIterator[Ship]:
    port = free_port(0)
    tokens = prepare(folder, SETTINGS.replace("port = 0", f"port = {port}"))
    process = GatewayProcess(
        folder / "steward.toml", folder / "gateway.log", os.environ | {CREDENTIALS_ENV: str(folder)}
    )
    ship = Ship(folder, process, f"http://127.0.0.1:{port}", tokens["desk"])
    try:
        await ship.start()
        yield ship
    finally:
        await process.stop()


async def test_an_import_is_whole_or_not_there(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    pictures = [clean_photo(jpeg(width=100 + n)) for n in range(PHOTOS)]
    hashes = {f"{n}.jpg": hashlib.sha256(picture).hexdigest() for n, picture in enumerate(pictures)}
    held, torn = Held((0, 0, 0, 0), set(), 0), 0
    async with sailing(tmp_path) as ship:
        for picture in pictures:
            await ship.call("PUT", f"/v1/photos/{hashlib.sha256(picture).hexdigest()}", content=picture)
        for diet in DIETS:
            importing = asyncio.create_task(ship.call("POST", "/v1/manifest", json=body(diet, hashes)))
            await asyncio.wait([importing], timeout=chance.uniform(0, DELAY_MAX_S))
            await ship.kill()
            told = (await asyncio.gather(importing, return_exceptions=True))[0]
            done, before, held = Held(WHOLE, {diet}, held.imports + 1), held, ship.held()
            if isinstance(told, httpx.HTTPError):
                torn += 1
                assert held in (before, done)
            else:
                assert isinstance(told, dict), told
                assert (told["committed"], held) == (True, done)
            await ship.start()
        assert torn > 0  # some died before they could answer
        last = await ship.call("POST", "/v1/manifest", json=body("", hashes))
        assert (last["committed"], last["photos_wanted"], last["new"] + last["changed"]) == (True, [], GUESTS)
        again = await ship.call("POST", "/v1/manifest", json=body("", hashes))
        assert (again["unchanged"], again["changes"]) == (GUESTS, [])
    assert ship.held() == Held(WHOLE, {""}, held.imports + 1)


def body(diet: str, hashes: dict[str, str]) -> dict[str, Any]:
    """The same guests with another diet each time, so that each import changes every one of them."""
    today = date.today()  # of a stay that is over the gateway deletes profiles at each start
    stay = {"from": today.isoformat(), "to": (today + timedelta(days=7)).isoformat()}
    rows = [row | stay | {"photo": f"{n}.jpg" if n < PHOTOS else ""} for n, row in enumerate(party(GUESTS, diet=diet))]
    return {"manifest": base64.b64encode(manifest(*rows)).decode(), "photos": hashes}
