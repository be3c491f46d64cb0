"""The gateway's wall clock jumps forth and back by seconds, hours and years while guests tap and shore listens.

The clock cannot be moved for one process alone, so the gateway runs here with a wall clock of the test's; broker, shore
and bands are real. Nobody is locked out, nothing is charged twice or lost, and health says when time is not believed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests.chaos.chaoskit import ALL, ASHORE, LIMIT_S, PLENTY, eventually
from tests.chaos.links import link_to
from tests.e2e.brokerkit import running_broker
from tests.e2e.gatewaykit import SETTINGS, Aboard, aboard, band_of, prepare
from tests.shore.rig import GRANTS, Ashore, ShoreProcess, check_exact, make_shore

from steward.adapters.system import SystemClock
from steward.config import CREDENTIALS_ENV
from steward.domain.events import EventType, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.topics import TELEMETRY
from voyage.bandproc import BandOptions, BandProcess

SEED = 20_260_931
HOUR_S, DAY_S = 3600, 86_400
UNNOTICED_S = (100, -15)  # as when network time corrects a little
NOTICED_S = (HOUR_S, 3 * DAY_S, 400 * DAY_S, -HOUR_S, -10 * DAY_S, -3 * 365 * DAY_S)


@dataclass
class Wall:
    """What the machine's clock reads."""

    offset_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset_s


@dataclass
class Afloat:
    """A gateway with a guest whose band ends tomorrow, and what was sold."""

    folder: Path
    tokens: dict[str, str]
    ashore: Ashore
    wall: Wall
    band: BandProcess
    ref: GuestRef | None = None
    sold: dict[str, int] = field(default_factory=dict)
    opened: int = 0


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    made = Wall()
    monkeypatch.setattr("steward.app.SystemClock", partial(SystemClock, wall=made))
    return made


@asynccontextmanager
async def afloat(folder: Path, wall: Wall) -> AsyncIterator[Afloat]:
    async with (
        running_broker("nats", folder, GRANTS) as broker,
        await BandProcess.start(BandOptions(folder / "band"), "field") as band,
    ):
        ashore = await make_shore(folder / "shore", broker)
        ship = folder / "gw1"
        ship.mkdir()
        tokens = prepare(ship, SETTINGS + "[monitor]\ndisk_floor_mb = 1\n" + link_to(broker, ashore, folder))
        shore = ShoreProcess(ashore.settings)
        await shore.start()
        try:
            yield Afloat(ship, tokens, ashore, wall, band)
        finally:
            assert await shore.stop() == 0


async def port_of(ship: Aboard, reader: str) -> int:
    readers = (await ship.call("monitor", "GET", "/v1/readers")).json()
    return next(int(found["port"]) for found in readers if found["name"] == reader)


async def board_guest(trip: Afloat, ship: Aboard) -> None:
    """One guest, with a band that is good from an hour ago until tomorrow."""
    now_s = int(time.time())
    trip.ref = await ship.guest(not_before_s=now_s - HOUR_S, not_after_s=now_s + DAY_S, limits=PLENTY)
    job = (await ship.call("desk", "POST", f"/v1/guests/{trip.ref}/bands", {"encoder": "desk"})).json()["job"]
    await trip.band.enter("127.0.0.1", await port_of(ship, "desk"))

    async def encoded() -> bool:
        return bool((await ship.call("desk", "GET", f"/v1/jobs/{job}?wait_s=5")).json()["state"] == "done")

    await eventually(encoded)
    await trip.band.leave()


async def sell(trip: Afloat, ship: Aboard, tap_id: str, amount_minor: int) -> None:
    """The tap of a charge that was asked for; asked once more, it is the same charge."""
    assert trip.ref is not None
    await ship.book(band_of(trip.ref), tap_id, amount_minor, allow_duplicate=True)
    for _ in range(2):
        answer = await ship.ask(tap_id, amount_minor, allow_duplicate=True)
        assert (answer.status_code, answer.json()["state"]) == (200, "posted"), answer.text
    trip.sold[tap_id] = amount_minor


async def open_door(trip: Afloat, ship: Aboard) -> None:
    await trip.band.enter("127.0.0.1", await port_of(ship, "gangway"))

    async def opened() -> bool:
        return int((await ship.call("monitor", "GET", "/v1/board")).json()["doors_opened"]) > trip.opened

    await eventually(opened, 20)
    await trip.band.leave()
    trip.opened += 1


async def live_through(trip: Afloat, ship: Aboard, chance: random.Random, offset_s: float) -> None:
    """Somebody has asked for a charge when the clock jumps; then guests tap."""
    pending, amount_minor = ship.tap_id(), chance.randint(100, 900)
    assert (await ship.ask(pending, amount_minor, allow_duplicate=True)).status_code == 202
    trip.wall.offset_s = offset_s
    await sell(trip, ship, pending, amount_minor)
    for _ in range(3):
        tap_id, amount_minor = ship.tap_id(), chance.randint(100, 900)
        assert (await ship.ask(tap_id, amount_minor, allow_duplicate=True)).status_code == 202
        await sell(trip, ship, tap_id, amount_minor)
    await open_door(trip, ship)


async def is_believed(ship: Aboard) -> bool:
    """As health says it; nothing else is wrong."""
    answer = await ship.call(None, "GET", "/healthz")
    if answer.status_code == httpx.codes.OK:
        return True
    assert answer.json()["errors"] == [{"where": "clock", "problem": "clock_lost"}]
    return False


async def all_ashore(ship: Aboard) -> None:
    async def nothing_waits() -> bool:
        status = await ship.gateway.parts.link.status()
        assert status is not None
        return status.uplink.waiting.events == 0

    await eventually(nothing_waits)


async def spent_on_telemetry(ship: Aboard) -> int:
    status = await ship.gateway.parts.link.status()
    assert status is not None
    return status.uplink.bytes_today[TELEMETRY]


async def events_of(ship: Aboard) -> list[StoredEvent]:
    return list(await ship.gateway.parts.store.read(lambda tx: tx.events(0, ALL)))


@dataclass
class Ended:
    """A log that check_exact compares with shore's."""

    log: list[StoredEvent]
    ship: str = "aurora"
    name: str = "gw1"

    async def events(self) -> list[StoredEvent]:
        return [ASHORE.of(event) for event in self.log]


async def check_all(trip: Afloat, ship: Aboard) -> None:
    """Each charge once, books that agree, and every event ashore as it is here."""
    await all_ashore(ship)
    books = (await ship.call("purser", "GET", "/v1/ledger/check")).json()
    assert (books["ok"], books["sum_minor"], books["charges"]) == (True, 0, len(trip.sold))
    assert books["posted_minor"] == sum(trip.sold.values())
    log = await events_of(ship)
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    told = [event.payload["tap_id"] for event in log if event.type is EventType.CHARGE_POSTED]
    assert sorted(map(str, told)) == sorted(trip.sold)
    await check_exact(trip.ashore, Ended(log))  # type: ignore[arg-type]


async def test_jumps_of_a_running_gateway(tmp_path: Path, wall: Wall) -> None:
    print("seed", SEED)
    chance = random.Random(SEED)
    noticed = chance.sample(NOTICED_S, len(NOTICED_S))
    async with afloat(tmp_path, wall) as trip, aboard(trip.folder, trip.tokens) as ship:
        await board_guest(trip, ship)
        right_s = 0
        for offset_s in noticed:
            corrected_s = right_s + chance.choice(UNNOTICED_S)
            await live_through(trip, ship, chance, corrected_s)
            assert await is_believed(ship)
            spent = await spent_on_telemetry(ship)
            await live_through(trip, ship, chance, offset_s)
            assert not await is_believed(ship)
            assert await spent_on_telemetry(ship) >= spent  # a day's budget does not begin anew by a jump
            right_s = max(right_s, corrected_s)
            await live_through(trip, ship, chance, right_s)
            assert await is_believed(ship)
        lost = [e for e in await events_of(ship) if e.payload.get("alert") == "clock_lost"]
        assert len(lost) >= len(noticed)
        await check_all(trip, ship)


async def test_started_while_the_clock_is_ahead(tmp_path: Path, wall: Wall) -> None:
    """After a restart there is only the mark to compare with: the wrong time is believed, until it is put right.

    Then the right time looks lost, taps go on, and `steward confirm-clock` mends it.
    """
    print("seed", SEED + 1)
    chance = random.Random(SEED + 1)
    async with afloat(tmp_path, wall) as trip:
        async with aboard(trip.folder, trip.tokens) as ship:
            await board_guest(trip, ship)
            await live_through(trip, ship, chance, 3 * HOUR_S)
            assert not await is_believed(ship)
        trip.opened = 0
        async with aboard(trip.folder, trip.tokens) as ship:
            await live_through(trip, ship, chance, 3 * HOUR_S)
            assert await is_believed(ship)
            await live_through(trip, ship, chance, 0)
            assert not await is_believed(ship)
        said = await confirm_clock(trip.folder)
        assert "clock" in said, said
        trip.opened = 0
        async with aboard(trip.folder, trip.tokens) as ship:
            await live_through(trip, ship, chance, 0)
            assert await is_believed(ship)
            await check_all(trip, ship)


async def confirm_clock(folder: Path) -> str:
    """`steward confirm-clock` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "steward", "confirm-clock", "--config", str(folder / "steward.toml")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {CREDENTIALS_ENV: str(folder)},
    )
    async with asyncio.timeout(LIMIT_S):
        said, _ = await process.communicate()
    assert process.returncode == 0, said
    return said.decode()
