"""The shore's web application without a broker: a store, a clock, and callers of each role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.shore.kit import NOW_S, FixedClock, Sender, prepared, typical, wire

from steward.adapters.system import OsEntropy
from steward.domain.ids import Uid
from steward.domain.topics import MONEY
from steward.ports.sync import PipeMessage
from steward.services.supervise import Supervisor
from steward.shore.bundle import LinkState, Node, Shore
from steward.shore.decisions import Signer, deny, freeze
from steward.shore.ingest import Ingest
from steward.shore.registry import add_ship
from steward.shore.sqlite import SqliteShore
from steward.shore.store import ShoreStore
from steward.shore.web import create_app
from steward.shore.work import Presence
from steward.web.bundle import Front
from steward.web.roles import Role
from steward.web.server import HttpServer, RunningHttp, bind, url_of
from steward.web.tokens import TokenEntry, TokenFile, add_token, hash_token, new_token

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FLEET = {"aurora": ("gw1", "gw2"), "boreal": ("gw1",), "cygnus": ("bridge", "spa"), "delphinus": ("gw1",)}


@dataclass
class Web:
    """links may be changed by a test."""

    shore: Shore
    store: ShoreStore
    clock: FixedClock
    url: str
    tokens: dict[str, str] = field(repr=False)
    links: list[LinkState]
    decided: list[None]
    client: httpx.AsyncClient

    async def call(self, who: str | None, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        more: dict[str, Any] = {} if body is None else {"json": body}
        return await self.client.request(method, path, headers=headers, **more)


@asynccontextmanager
async def running_web(folder: Path, *, https: bool = False) -> AsyncIterator[Web]:
    """On a free loopback port. https: as if behind TLS, so that pages ask who is there."""
    store = await prepared(SqliteShore.open(folder / "shore.db", create=True), **FLEET)
    clock, presence = FixedClock(), Presence()
    tokens = {str(role): new_token(OsEntropy()) for role in Role}
    for name, token in tokens.items():
        till = "bar-1" if name == "till" else None
        add_token(folder / "tokens.json", TokenEntry(name, Role(name), till, hash_token(token), NOW_S))
    links, decided = [LinkState("broker", True, "", 12, 34)], list[None]()
    shore = Shore(
        node=Node("nordic", "shore1", "9.9.9", NOW_S - 90_000),
        store=store,
        clock=clock,
        key=KEY,
        ingest=Ingest(store, clock),
        presence=presence,
        supervisor=Supervisor(lambda: 0.0),
        links=lambda: links,
        find_token=TokenFile(folder / "tokens.json").find,
        front=replace(Front(), https=https),
        decided=lambda: decided.append(None),
    )
    with bind("127.0.0.1", 0, folder) as listener:
        http = RunningHttp(HttpServer(create_app(shore), None), listener)
        await http.wait()
        async with httpx.AsyncClient(base_url=url_of(listener, None), timeout=30) as client:
            yield Web(shore, store, clock, url_of(listener, None), tokens, links, decided, client)
        await http.stop()
    await store.close()


async def busy_fleet(web: Web) -> None:
    """Ships in every state: up to date, catching up, silent, link down, never heard; alarms and decisions."""
    for ship, name, seed, share, ago_s in (
        ("aurora", "gw1", 1, 1.0, 20),
        ("aurora", "gw2", 2, 0.7, 12),
        ("boreal", "gw1", 3, 0.9, 9000),
        ("cygnus", "bridge", 4, 1.0, 3),
    ):
        ingest = Ingest(web.store, FixedClock(NOW_S - ago_s))
        sender = Sender(typical(900, seed), ship=ship, gateway=name)
        batches = list(sender.batches(60))
        for batch in batches[: int(len(batches) * share)]:
            assert await ingest.batch(*wire(batch)) is not None
        if ship == "cygnus":
            forged = replace(batches[0], events=tuple(replace(event, at_s=1) for event in batches[0].events[:3]))
            await ingest.batch(*wire(forged))
    stranger = Sender(typical(5), ship="cygnus", gateway="galley")
    await Ingest(web.store, FixedClock(NOW_S - 60)).batch(*wire(stranger.batch(MONEY, (), 0)))
    web.shore.presence.note(PipeMessage("steward/1/cygnus/bridge/link/shore", b"gone", True))
    signer = Signer(KEY, "token head-office", NOW_S - 300)
    await web.store.write(deny(signer, "aurora", [Uid("04A1B2C3D4E5F7")], "stolen"))
    await web.store.write(freeze(signer, "aurora", [Uid("04A1B2C3D4E5F6")], [], "lost"))
    await web.store.write(add_ship("empty-ship", [], NOW_S))
    await asyncio.sleep(0)
