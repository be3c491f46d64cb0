"""A real gateway process killed with -9 in the middle of charges, again and again, with real bands at several tills.

The tills do what a till must: whoever is not told what came of a tap asks again with the same tap id. In the end
every charge that a till was told is posted is on the ledger once, and nothing else is.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.attack.middleman import Cut, Exchange, Middleman
from tests.e2e.gatewaykit import FORM, prepare
from tests.unit.moneykit import NOON_S, SITE
from tests.vaultkit import DATA_KEY

from bandwire import apdu
from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import find_damage
from steward.adapters.system import OsEntropy
from steward.config import CREDENTIALS_ENV
from steward.domain.charges import Charge, ChargeState
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.ledger import guest_account
from steward.ports import Tx
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token
from voyage.bandproc import BandOptions, BandProcess
from voyage.client import Client, Desk, Gateway, Json, Purser, Till, Unreachable
from voyage.ship import GatewayProcess, free_ports

SEED = 20_260_702
TILLS = ("bar-1", "bar-2", "spa-1", "shop-1")
BANDS = 6  # more than tills, so that bands move between them
PASSIVE = 2  # of these
BEFORE, AFTER, BOOKING = "before", "after", "booking"
# When the gateway dies: before the band hears of the charge; when it has signed and the gateway does not know; or
# once the gateway has the signature, within these seconds.
ROUNDS = (BOOKING, AFTER, BOOKING, BEFORE, BOOKING, AFTER, BOOKING, BEFORE, BOOKING)
BOOKING_S = 0.012
START_LIMIT_S = 60.0
ROUND_LIMIT_S = 60.0
TOLD_LIMIT_S = 3
PAGE = 500

SETTINGS = """\
[gateway]
ship = "aurora"
site = {site}
credential = "keys"
[http]
port = {http}
[charges]
duplicate_window_s = 0
[zones]
gangway = 0
spa = 5
"""
READER = """\
[[reader]]
name = "{name}"
kind = "link"
purpose = "{purpose}"
port = {port}
"""


@dataclass
class Killer:
    """Kills the gateway at the `countdown`-th charge from now, at the moment named."""

    chance: random.Random
    pid: int = 0
    moment: str = ""
    countdown: int = 0
    died: asyncio.Event = field(default_factory=asyncio.Event)

    def arm(self, pid: int, moment: str) -> None:
        self.pid, self.moment, self.countdown = pid, moment, self.chance.randint(2, 9)
        self.died.clear()

    async def on_command(self, exchange: Exchange) -> bytes:
        if exchange.ins == apdu.INS_SIGN_CHARGE and self.moment == BEFORE and self._due():
            self._kill()
            raise Cut
        return exchange.command

    async def on_answer(self, exchange: Exchange) -> bytes:
        if exchange.ins == apdu.INS_SIGN_CHARGE and self.moment == AFTER and self._due():
            self._kill()
            raise Cut
        if exchange.ins == apdu.INS_SIGN_CHARGE and self.moment == BOOKING and self._due():
            asyncio.get_running_loop().call_later(self.chance.uniform(0, BOOKING_S), self._kill)
        return exchange.answer

    def _due(self) -> bool:
        self.countdown -= 1
        return self.countdown == 0

    def _kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.died.set()


@dataclass
class Ship:
    """The gateway's process, what its clients know, and what the tills were told."""

    process: GatewayProcess
    api: Gateway
    tokens: dict[str, str]
    ports: dict[str, int]
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)  # no new sales
    told: dict[str, tuple[str, int]] = field(default_factory=dict)  # tap id -> (state, amount)
    interrupted: set[str] = field(default_factory=set)  # taps during which the gateway died

    async def start(self) -> None:
        await self.process.start()
        await self.process.wait_healthy(self.api.healthy)
        self.up.set()


def settings(ports: dict[str, int]) -> str:
    text = SETTINGS.format(site=SITE, http=ports["http"])
    text += READER.format(name="desk", purpose="encoder", port=ports["desk"])
    for till in TILLS:
        text += READER.format(name=till, purpose="till", port=ports[till]) + f'till = "{till}"\noutlet = "bar"\n'
    return text


@asynccontextmanager
async def sailing(folder: Path) -> AsyncIterator[Ship]:
    ports = free_ports(("http", "desk", *TILLS))
    tokens = prepare(folder, settings(ports))
    for till in TILLS:
        tokens[till] = new_token(OsEntropy())
        add_token(
            folder / "api-tokens.json", TokenEntry(f"t-{till}", Role.TILL, till, hash_token(tokens[till]), NOON_S)
        )
    environment = os.environ | {CREDENTIALS_ENV: str(folder)}
    process = GatewayProcess(folder / "steward.toml", folder / "gateway.log", environment)
    api = Gateway(f"http://127.0.0.1:{ports['http']}")
    ship = Ship(process, api, tokens, ports)
    try:
        await ship.start()
        yield ship
    finally:
        await process.stop()
        await api.close()


async def issued_band(ship: Ship, stack: AsyncExitStack, folder: Path, number: int) -> tuple[BandProcess, GuestRef]:
    """A band of a guest of its own."""
    desk = Desk(ship.api, ship.tokens["desk"])
    limits = {"stay_minor": 10_000_000, "day_minor": 10_000_000, "verify_above_minor": 10_000_000}
    form = FORM | {"booking": f"R-{number}", "cabins": [100 + number], "limits": limits}
    ref = str((await desk.post("/v1/guests", form))["ref"])
    job = await desk.encode(ref, "desk", None)
    options = BandOptions(folder / f"band-{number}", passive=number < PASSIVE)
    band = await stack.enter_async_context(await BandProcess.start(options, "field"))
    await band.enter("127.0.0.1", ship.ports["desk"])
    done = await desk.job(job, ROUND_LIMIT_S)
    await band.leave()
    assert done["state"] == "done", done
    return band, GuestRef(ref)


async def sell(ship: Ship, till: Till, relay: Middleman, band: BandProcess, tap_id: str, amount_minor: int) -> None:
    """One sale, until the till has been told what came of it."""
    while True:
        try:
            status = await till.ask(tap_id, amount_minor, "drink", age_restricted=False, allow_duplicate=True)
            if status["state"] == "waiting":
                await band.enter("127.0.0.1", relay.port)
                try:
                    status = await till.answer(tap_id, TOLD_LIMIT_S)
                finally:
                    await band.leave()
        except Unreachable:
            ship.interrupted.add(tap_id)
            await ship.up.wait()
            continue
        if status["state"] != "waiting":
            ship.told[tap_id] = (str(status["state"]), amount_minor)
            return


async def keep_till(
    ship: Ship, name: str, relay: Middleman, bands: asyncio.Queue[BandProcess], chance: random.Random
) -> None:
    """Sell until it is over; never leave a sale before it is settled."""
    till = Till(ship.api, ship.tokens[name], name, "bar")
    while not ship.over.is_set():
        band = await bands.get()
        try:
            await sell(ship, till, relay, band, chance.randbytes(16).hex(), chance.randint(100, 5_000))
        finally:
            bands.put_nowait(band)


async def kill_again_and_again(ship: Ship, killer: Killer) -> None:
    for moment in ROUNDS:
        async with asyncio.timeout(ROUND_LIMIT_S):
            killer.arm(ship.process.pid, moment)
            await killer.died.wait()
            ship.up.clear()
            await ship.process.ended()
            await ship.start()
    ship.over.set()


async def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    async with AsyncExitStack() as stack:
        ship = await stack.enter_async_context(sailing(tmp_path))
        made = [await issued_band(ship, stack, tmp_path, number) for number in range(BANDS)]
        bands: asyncio.Queue[BandProcess] = asyncio.Queue()
        for band, _ in made:
            bands.put_nowait(band)
        killer = Killer(chance)
        async with asyncio.TaskGroup() as tasks:
            for name in TILLS:
                relay = Middleman(ship.ports[name], command=killer.on_command, answer=killer.on_answer)
                await stack.enter_async_context(relay)
                tasks.create_task(keep_till(ship, name, relay, bands, random.Random(chance.random())))
            tasks.create_task(kill_again_and_again(ship, killer))
        guests = [ref for _, ref in made]
        await assert_told_over_http(ship)
        assert len(ship.interrupted) >= len(ROUNDS)
        assert {state for state, _ in ship.told.values()} == {"posted"}
    await assert_on_disk(tmp_path / "data" / "steward.db", guests, ship)


async def assert_told_over_http(ship: Ship) -> None:
    """The books as the purser sees them, and an event log without holes that tells each charge once."""
    purser = Purser(ship.api, ship.tokens["purser"])
    books = await purser.ledger()
    assert (books["ok"], books["sum_minor"], books["charges"]) == (True, 0, len(ship.told))
    assert books["posted_minor"] == sum(amount for _, amount in ship.told.values())
    events = await all_events(Client(ship.api, ship.tokens["auditor"]))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    posted = [event["payload"]["tap_id"] for event in events if event["type"] == EventType.CHARGE_POSTED]
    assert Counter(posted) == Counter(list(ship.told))
    started = [event for event in events if event["type"] == EventType.GATEWAY_STARTED]
    assert len(started) == len(ROUNDS) + 1


async def all_events(client: Client) -> list[Json]:
    found: list[Json] = []
    after = 0
    while True:
        page = await client.get(f"/v1/events?after={after}&limit={PAGE}")
        if not page["events"]:
            return found
        found += page["events"]
        after = page["next_after"]


async def assert_on_disk(database: Path, guests: list[GuestRef], ship: Ship) -> None:
    """The same from the file itself, after the gateway has gone."""
    with closing(sqlite3.connect(database)) as connection:
        assert find_damage(connection, SCHEMA_VERSION) == []
    store = SqliteStore.open(database, DATA_KEY)
    try:
        charges: list[Charge] = []
        for ref in guests:
            mine, owed, lines = await store.read(partial(folio_of, ref=ref))
            assert (owed, lines) == (sum(charge.request.amount_minor for charge in mine), len(mine))
            charges += mine
        on_disk = {str(c.request.tap_id): (c.state.value, c.request.amount_minor) for c in charges}
        assert on_disk == ship.told
        assert all(charge.state is ChargeState.POSTED for charge in charges)
        assert await store.read(lambda tx: tx.ledger_sum()) == 0
        evidence = [charge.evidence for charge in charges if charge.evidence is not None]
        counters = [(proof.uid, proof.active, proof.counter) for proof in evidence]
        assert len(counters) == len(charges)
        assert len(set(counters)) == len(counters)
        assert {proof.active for proof in evidence} == {True, False}
    finally:
        await store.close()


def folio_of(tx: Tx, ref: GuestRef) -> tuple[list[Charge], int, int]:
    """A guest's charges, balance and number of ledger transactions."""
    account = guest_account(ref)
    return list(tx.charges_of(ref)), tx.balance(account), len(tx.ledger_of(account))
