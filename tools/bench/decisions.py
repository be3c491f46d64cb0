"""Decisions a second: two hundred crew pages opened at once, each with a suggestion for a guest who was not yet seen.

The same page by popularity alone, in the same run, is the peer: what the model costs a whole gateway, not a call. Each
page is two logged look-ups, one decision and its log, all on disk before the answer leaves. Each guest has 24 deeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.served import BAR, CREW, SETTINGS, Kind, load, log_in, make_row, served
from steward import config
from steward.adapters import keyfile
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy
from steward.app import Gateway
from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef
from steward.domain.offers import Offer, OfferId, OfferState
from steward.domain.profiles import Profile
from steward.ports import Tx
from steward.web.pages.cookies import SESSION

SECONDS = 3.0
IN_FLIGHT = (1, 200)
GUESTS, ITEMS, DEEDS = 4000, 64, 24
_RANKERS = {"popularity": "[models]\nstarter = false\n", "model": ""}


@dataclass(frozen=True, slots=True)
class Row:
    """decisions: as the log of them counted. rss_mb: of the gateway's process afterwards."""

    ranker: str
    in_flight: int
    per_s: float
    p50_ms: float
    p99_ms: float
    decisions: int
    by_model: int
    rss_mb: float


def run(seconds: float = SECONDS) -> dict[str, Any]:
    """Each ranker and number in flight for `seconds`, in a folder of its own, removed afterwards."""
    rows = []
    for ranker, settings in _RANKERS.items():
        place = Path(tempfile.mkdtemp(prefix="bench-decisions-", dir=Path.cwd()))
        try:
            rows += asyncio.run(_measure(place, ranker, settings, seconds))
        finally:
            shutil.rmtree(place)
    return {"seconds_each": seconds, "items": ITEMS, "deeds": DEEDS, "rows": [asdict(row) for row in rows]}


async def _measure(place: Path, ranker: str, settings: str, seconds: float) -> list[Row]:
    secret = await _prepare(place, settings)
    database, rows, used = place / "data" / "steward.db", [], 0
    async with served(place) as (host, port):
        for in_flight in IN_FLIGHT:
            names = tuple(f"{number:016x}" for number in range(used, GUESTS))
            kind = Kind(ranker, "/crew/guests/{}", names, 2, {"Cookie": f"{SESSION}={secret}", "Accept": "text/html"})
            before = _decided(database)
            times_s, took_s = await load(host, port, kind, in_flight, seconds)
            made, by_model = (now - then for now, then in zip(_decided(database), before, strict=True))
            used += made
            if made != len(times_s) + in_flight or (ranker != "model" and by_model):
                raise RuntimeError(f"{ranker}: {len(times_s)} pages, {made} decisions, {by_model} of them by a model")
            row = make_row(ranker, in_flight, times_s, took_s, 2)
            rows.append(Row(ranker, in_flight, row.per_s, row.p50_ms, row.p99_ms, made, by_model, _rss_mb(place)))
    return rows


def _decided(database: Path) -> tuple[int, int]:
    """Decisions logged, and how many of them a model ranked."""
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection:
        row = connection.execute("SELECT count(*), count(nullif(features, '')) FROM decision").fetchone()
    return int(row[0]), int(row[1])


def _rss_mb(place: Path) -> float:
    """Resident memory of the process that was started with this folder's settings."""
    wanted = str(place / "steward.toml").encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "cmdline").read_bytes().split(b"\0"):
                pages = int((process / "statm").read_text().split()[1])
                return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        except OSError:
            continue  # ended meanwhile
    raise RuntimeError("the gateway has ended")


async def _prepare(place: Path, settings: str) -> str:
    """Settings, keys, guests with a past; the session of a crew member who is logged in."""
    (place / "steward.toml").write_text(SETTINGS + settings, encoding="utf-8")
    write_private(place / "keys", os.urandom(32), replace=False)
    now_s, entropy = int(time.time()), OsEntropy()
    keys = keyfile.new_key_file(1, entropy, now_s)
    keyfile.create(place / "keys.sealed", keys, KeySecret.from_credential(place / "keys"), entropy)
    gateway = await Gateway.start(config.load(place / "steward.toml", {config.CREDENTIALS_ENV: str(place)}))
    try:
        await gateway.parts.store.write(lambda tx: _fill(tx, now_s))
        return await log_in(gateway)
    finally:
        await gateway.stop()


def _fill(tx: Tx, now_s: int) -> None:
    limits, open_end = Limits(2**30, 2**30, 2**30), 2**32 - 1
    items = tuple(
        Item(ItemId(f"item-{n}"), BAR, {"en": f"Item {n}"}, f"category-{n % 9}", (), (), (), 500 + n, "EUR")
        for n in range(ITEMS)
    )
    tx.put_catalogue(Catalogue(1, items))
    crew = (CabinStay(7001, 1),)
    tx.put_guest(Guest(CREW, "crew-1", crew, 0, False, True, 0, open_end, "EUR", limits, 1))
    for number in range(GUESTS):
        ref, stay = GuestRef(f"{number:016x}"), (CabinStay(5000 + number, 1),)
        tx.put_guest(Guest(ref, f"R-{number}", stay, 0, False, False, 0, open_end, "EUR", limits, 1))
        tx.put_profile(Profile(ref, f"Guest{number}", f"Guest{number} Example", "en"))
        for purpose in (ConsentPurpose.PERSONAL_SERVICE, ConsentPurpose.SUGGESTIONS):
            tx.put_consent(Consent(ref, purpose, True, now_s, Source.ABOARD, 1))
        for deed in range(DEEDS):
            tx.put_offer(_taken(ref, number * DEEDS + deed, items[(number + deed * 7) % 20], now_s))


def _taken(ref: GuestRef, number: int, item: Item, now_s: int) -> Offer:
    """Days ago, so that no limit of today holds anything back."""
    at_s = now_s - (3 + number % DEEDS) * 86_400
    return Offer(
        id=OfferId(f"{number:032x}"),
        guest=ref,
        outlet=BAR,
        item=item.id,
        category=item.category,
        at_s=at_s,
        hour=12,
        propensity_ppm=1_000_000,
        ranker="bench",
        reasons=(),
        state=OfferState.ACCEPTED,
        answered_s=at_s + 60,
    )


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(
        title=f"A crew page with its decision, of {figures['items']} items, guests with {figures['deeds']} deeds"
    )
    table.add_column("ranked by")
    for heading in ("pages at once", "decisions per second", "p50 ms", "p99 ms", "by the model", "memory MB"):
        table.add_column(heading, justify="right")
    for row in figures["rows"]:
        numbers = [f"{row['per_s']:,.0f}", f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}"]
        share = f"{row['by_model'] / row['decisions']:.0%}"
        table.add_row(row["ranker"], str(row["in_flight"]), *numbers, share, f"{row['rss_mb']:.0f}")
    console.print(table)
