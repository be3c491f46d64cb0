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
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.served import BAR, CREW, SETTINGS, Kind, Row, load, log_in, make_row, served
from bench.store import GUEST_COUNT, payment
from steward import config
from steward.adapters import keyfile
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy
from steward.app import Gateway
from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef
from steward.domain.profiles import Diet, Profile
from steward.ports import Tx
from steward.web.pages.cookies import SESSION
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token

SECONDS = 2.0
IN_FLIGHT = (1, 16)
CHARGES = 2000
_TILL = "BAR00001"


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
    async with served(place) as (host, port):
        for kind in kinds:
            for in_flight in IN_FLIGHT:
                before = _logged(database)
                times_s, took_s = await load(host, port, kind, in_flight, seconds)
                logged, made = _logged(database) - before, len(times_s) + in_flight  # the first of each warms up
                if logged != made * kind.looks:
                    raise RuntimeError(f"{kind.what}: {made} requests left {logged} look-ups, not {kind.looks} each")
                rows.append(make_row(kind.what, in_flight, times_s, took_s, kind.looks))
    return rows


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
    return make_row("SELECT of one row, no server", 1, times_s, now_s - began_s, 0)


def _logged(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection:
        return int(connection.execute("SELECT max(seq) FROM look_up").fetchone()[0] or 0)


# the gateway


async def _prepare(place: Path) -> list[Kind]:
    """Settings, keys, tokens, guests with profiles and charges, and a crew member who is logged in."""
    (place / "steward.toml").write_text(SETTINGS, encoding="utf-8")
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
        secret = await log_in(gateway)
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
    tx.put_guest(Guest(CREW, "crew-1", crew_stay, 0, False, True, 0, 2**32 - 1, "EUR", limits, 1))
    items = tuple(
        Item(ItemId(f"item-{n}"), BAR, {"en": f"Item {n}"}, "drinks", (), (), tuple(Diet), 500 + n, "EUR", edible=True)
        for n in range(20)
    )
    tx.put_catalogue(Catalogue(1, items))
    return tuple(f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}" for number in range(1, CHARGES + 1))


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title="Look-ups over HTTP, logged, beside a bare read of one row on the same server")
    for heading in ("request", "in flight", "per second", "p50 ms", "p99 ms", "looks logged"):
        table.add_column(heading, justify="left" if heading == "request" else "right")
    for row in figures["rows"]:
        times = (f"{row[name]:.2f}" for name in ("p50_ms", "p99_ms"))
        table.add_row(row["what"], str(row["in_flight"]), f"{row['per_s']:,.0f}", *times, str(row["looks"]))
    console.print(table)
