"""Look-ups over HTTP with their logging, beside a bare one-row read by primary key on the same server in the same run.

The gateway runs as a process of its own, on SQLite with `synchronous=FULL`. The bare read and the first look-up are
the same call on the same row: a till asking for its charge is shown no guest and logs nothing, a purser is shown
whose it is, and that look is on disk before the answer leaves. The crew's card is the page a handheld opens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.httpline import HttpLine
from bench.store import GUEST_COUNT, payment
from steward import config
from steward.adapters import keyfile
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy
from steward.app import Gateway
from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.profiles import Diet, Profile
from steward.domain.viewing import CrewRole, Purpose
from steward.ports import Tx
from steward.services.board import percentile
from steward.services.logins import CrewTap
from steward.web.pages.cookies import SESSION
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token

SECONDS = 2.0
IN_FLIGHT = (1, 16)
CHARGES = 2000
START_S, STOP_S = 30.0, 20.0
_TILL, _BAR, _STATION, _PIN = "BAR00001", OutletId("pool-bar"), "pool-bar-crew", "471147"
_CREW = GuestRef("c" * 16)
_SETTINGS = f"""\
[gateway]
ship = "aurora"
site = 1
credential = "keys"
[http]
port = 0
[log]
level = "warning"
[[outlet]]
name = "{_BAR}"
kind = "food_and_drink"
[[reader]]
name = "{_STATION}"
kind = "link"
purpose = "crew"
outlet = "{_BAR}"
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of request at one number in flight. looks: rows of the log that each leaves."""

    what: str
    in_flight: int
    per_s: float
    p50_ms: float
    p99_ms: float
    looks: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A request by number, its credentials in `headers`; how many looks it must log."""

    what: str
    path: str
    names: tuple[str, ...]
    looks: int
    headers: Mapping[str, str] = field(repr=False)

    def request(self, number: int) -> tuple[str, Mapping[str, str]]:
        return self.path.format(self.names[number % len(self.names)]), self.headers


def run(seconds: float = SECONDS) -> dict[str, Any]:
    """Each kind and number in flight for `seconds`, in a folder of its own, removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="bench-lookups-", dir=Path.cwd()))
    try:
        rows = asyncio.run(_measure(place, seconds))
    finally:
        shutil.rmtree(place)
    return {"seconds_each": seconds, "rows": [asdict(row) for row in rows]}


async def _measure(place: Path, seconds: float) -> list[Row]:
    kinds = await _prepare(place)
    database = place / "data" / "steward.db"
    rows = [_bare_select(database, kinds[0].names, seconds)]
    async with _served(place) as (host, port):
        for kind in kinds:
            for in_flight in IN_FLIGHT:
                before = _logged(database)
                times_s, took_s = await _load(host, port, kind, in_flight, seconds)
                logged, made = _logged(database) - before, len(times_s) + in_flight  # the first of each warms up
                if logged != made * kind.looks:
                    raise RuntimeError(f"{kind.what}: {made} requests left {logged} look-ups, not {kind.looks} each")
                rows.append(_row(kind.what, in_flight, times_s, took_s, kind.looks))
    return rows


def _row(what: str, in_flight: int, times_s: list[float], took_s: float, looks: int) -> Row:
    ordered = sorted(times_s)
    p50_ms, p99_ms = (percentile(ordered, percent) * 1000 for percent in (50, 99))
    return Row(what, in_flight, len(ordered) / took_s, p50_ms, p99_ms, looks)


async def _load(host: str, port: int, kind: Kind, in_flight: int, seconds: float) -> tuple[list[float], float]:
    """Seconds that each request took, and all of them together."""
    numbers, times_s = count(), list[float]()

    async def caller(line: HttpLine, until_s: float) -> None:
        while (began_s := time.perf_counter()) < until_s:
            status = await line.get(*kind.request(next(numbers)))
            if status != 200:
                raise RuntimeError(f"{kind.what}: the gateway answered {status}")
            times_s.append(time.perf_counter() - began_s)

    async with contextlib.AsyncExitStack() as lines:
        opened = [await lines.enter_async_context(HttpLine(host, port)) for _ in range(in_flight)]
        for line in opened:
            await line.get(*kind.request(next(numbers)))  # the first answer fills caches
        began_s = time.perf_counter()
        await asyncio.gather(*(caller(line, began_s + seconds) for line in opened))
        took_s = time.perf_counter() - began_s
    return times_s, took_s


def _bare_select(database: Path, taps: tuple[str, ...], seconds: float) -> Row:
    """The same row without a server: what the database itself takes."""
    times_s: list[float] = []
    with contextlib.closing(sqlite3.connect(database)) as connection:
        began_s = now_s = time.perf_counter()
        while now_s - began_s < seconds / 2:
            tap = taps[len(times_s) % len(taps)]
            if connection.execute("SELECT * FROM charge WHERE tap_id = ?", (tap,)).fetchone() is None:
                raise RuntimeError("a charge is missing")
            after_s = time.perf_counter()
            times_s.append(after_s - now_s)
            now_s = after_s
    return _row("SELECT of one row, no server", 1, times_s, now_s - began_s, 0)


def _logged(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection:
        return int(connection.execute("SELECT max(seq) FROM look_up").fetchone()[0] or 0)


# the gateway


async def _prepare(place: Path) -> list[Kind]:
    """Settings, keys, tokens, guests with profiles and charges, and a crew member who is logged in."""
    (place / "steward.toml").write_text(_SETTINGS, encoding="utf-8")
    write_private(place / "keys", os.urandom(32), replace=False)
    now_s, entropy = int(time.time()), OsEntropy()
    keys = keyfile.new_key_file(1, entropy, now_s)
    keyfile.create(place / "keys.sealed", keys, KeySecret.from_credential(place / "keys"), entropy)
    tokens = {}
    for role, till in ((Role.TILL, _TILL), (Role.PURSER, None)):
        tokens[role] = new_token(entropy)
        add_token(place / "api-tokens.json", TokenEntry(str(role), role, till, hash_token(tokens[role]), now_s))
    gateway = await Gateway.start(config.load(place / "steward.toml", {config.CREDENTIALS_ENV: str(place)}))
    try:
        taps = await gateway.parts.store.write(_fill)
        for number in range(1, CHARGES + 1):
            await gateway.parts.store.write(payment(number))
        secret = await _log_in(gateway)
        refs = await gateway.parts.store.read(lambda tx: tuple(guest.ref for guest in tx.guests() if not guest.crew))
    finally:
        await gateway.stop()
    as_till, as_purser = ({"Authorization": f"Bearer {tokens[role]}"} for role in (Role.TILL, Role.PURSER))
    as_crew = {"Cookie": f"{SESSION}={secret}", "Accept": "text/html"}
    return [
        Kind("bare read of one row: a till's charge", "/v1/charges/{}", taps, 0, as_till),
        Kind("look-up: the same charge for the purser", "/v1/charges/{}", taps, 1, as_purser),
        Kind("look-up: a guest's statement", "/v1/guests/{}/statement", refs, 1, as_purser),
        Kind("look-up: the crew's card, a page with suggestions", "/crew/guests/{}", refs, 2, as_crew),
    ]


def _fill(tx: Tx) -> tuple[str, ...]:
    """Guests as bench.store's payments name them; the tap ids of those payments."""
    limits = Limits(2**30, 2**30, 2**30)
    for number in range(GUEST_COUNT):
        ref = GuestRef(f"{number:016x}")
        stay = (CabinStay(5000 + number, 1),)
        tx.put_guest(Guest(ref, f"R-{number}", stay, 0, False, False, 0, 2**32 - 1, "EUR", limits, 1))
        tx.put_profile(Profile(ref, f"Guest{number}", f"Guest{number} Example", "en", (), (Diet.VEGAN,)))
    crew_stay = (CabinStay(7001, 1),)
    tx.put_guest(Guest(_CREW, "crew-1", crew_stay, 0, False, True, 0, 2**32 - 1, "EUR", limits, 1))
    items = tuple(
        Item(ItemId(f"item-{n}"), _BAR, {"en": f"Item {n}"}, "drinks", (), (), tuple(Diet), 500 + n, "EUR", edible=True)
        for n in range(20)
    )
    tx.put_catalogue(Catalogue(1, items))
    return tuple(f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}" for number in range(1, CHARGES + 1))


async def _log_in(gateway: Gateway) -> str:
    """The secret of a bar's crew session; it outlives the restart."""
    crew = gateway.parts.services.crew
    await crew.add(_CREW, CrewRole.SERVICE, (), _PIN, "bench")
    login = crew.begin(_STATION, "bench")
    crew.tapped(_STATION, CrewTap(_STATION, _CREW, Uid("04A1B2C3D4E5F6"), 1, 0))
    secret, session = await crew.finish(login, _PIN)
    await crew.set_shift(session, _BAR, Purpose.FOOD_AND_DRINK)
    return secret


@contextlib.asynccontextmanager
async def _served(place: Path) -> AsyncIterator[tuple[str, int]]:
    """`steward run` as a process of its own; where it listens."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        config.CREDENTIALS_ENV: str(place),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "steward", "run", "--config", str(place / "steward.toml")),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await process.stdout.readline()).decode()
        host, _, port = line.strip().rstrip("/").rpartition("//")[2].partition(":")
        if not port.isdigit():
            raise RuntimeError(f"the gateway did not start: {line!r}")
        yield host, int(port)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(STOP_S):
            await process.wait()


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title="Look-ups over HTTP, logged, beside a bare read of one row on the same server")
    for heading in ("request", "in flight", "per second", "p50 ms", "p99 ms", "looks logged"):
        table.add_column(heading, justify="left" if heading == "request" else "right")
    for row in figures["rows"]:
        times = (f"{row[name]:.2f}" for name in ("p50_ms", "p99_ms"))
        table.add_row(row["what"], str(row["in_flight"]), f"{row['per_s']:,.0f}", *times, str(row["looks"]))
    console.print(table)
