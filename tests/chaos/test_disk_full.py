"""The gateway's disk is full while events wait for shore: clear refusals, nothing lost, and it goes on by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.chaos.chaoskit import Log, Vessel, Wearer, assert_books, assert_log, boarded, eventually, peek, sailing
from tests.chaos.disks import DISKS, SizeLimit, SmallDisk
from tests.chaos.links import link_to
from tests.chaos.load import Sales
from tests.e2e.brokerkit import running_broker
from tests.e2e.gatewaykit import FORM
from tests.shore.rig import GRANTS, Ashore, ShoreProcess, check_exact, make_shore

from steward.domain.events import EventType, StoredEvent
from voyage.client import Client, Refused

SEED = 20_260_921
TILLS = ("bar-1", "spa-1")
BANDS = 3
SOLD_BEFORE, SOLD_AFTER, TURNED_AWAY = 40, 40, 6
DiskKind = type[SizeLimit] | type[SmallDisk]


@dataclass
class Ship:
    vessel: Vessel
    disk: SizeLimit | SmallDisk
    ashore: Ashore

    @property
    def monitor(self) -> Client:
        return Client(self.vessel.api, self.vessel.tokens["monitor"])

    def fill(self) -> None:
        self.disk.fill(self.vessel.pid)

    def free(self) -> None:
        self.disk.free(self.vessel.pid)


@asynccontextmanager
async def ship(folder: Path, kind: DiskKind) -> AsyncIterator[Ship]:
    """A gateway with a disk of its own, a broker elsewhere, and shore, which does not run yet."""
    async with running_broker("nats", folder, GRANTS) as broker:
        ashore = await make_shore(folder / "shore", broker)
        vessel = Vessel(folder / "gw1", "gw1", TILLS, door=True)
        vessel.write(link_to(broker, ashore, folder))
        data = vessel.database.parent
        data.mkdir(mode=0o700)
        disk = kind(data)
        try:
            async with sailing(vessel):
                yield Ship(vessel, disk, ashore)
        finally:
            disk.close()


async def until_sold(sales: Sales, count: int) -> None:
    async with asyncio.timeout(60):
        while len(sales.told) < count:  # noqa: ASYNC110 sales have no event for it
            await asyncio.sleep(0.02)


async def refuses_plainly(ship: Ship, wearer: Wearer) -> None:
    """Everybody is told, in the way made for them: health, the desk, the purser, the door."""
    status, body = await ship.vessel.health()
    assert status == httpx.codes.SERVICE_UNAVAILABLE
    assert {"where": "store", "problem": "store_unavailable"} in body["errors"]
    with pytest.raises(Refused, match="cannot write to its disk: nothing was recorded") as refused:
        await ship.vessel.desk.post("/v1/guests", FORM | {"booking": "R-no", "cabins": [999]})
    assert (refused.value.status, refused.value.code) == (503, "store_unavailable")
    with pytest.raises(Refused) as refused:  # a look that cannot be logged shows nothing
        await ship.vessel.purser.statement(wearer.ref)
    assert refused.value.code == "store_unavailable"
    before = await ship.monitor.get("/v1/board")
    await wearer.band.enter("127.0.0.1", ship.vessel.ports["gangway"])

    async def is_refused() -> bool:  # it need not be the newest: the tills are turned away as well
        board = await ship.monitor.get("/v1/board")
        return ("gangway", "store_unavailable") in [(tap["reader"], tap["code"]) for tap in board["recent"]]

    await eventually(is_refused)
    await wearer.band.leave()
    assert (await ship.monitor.get("/v1/board"))["doors_opened"] == before["doors_opened"]


@pytest.mark.parametrize("kind", DISKS)
async def test_a_full_disk_refuses_and_heals(tmp_path: Path, kind: DiskKind) -> None:
    print("seed", SEED)
    chance, sales = random.Random(SEED), Sales()
    async with AsyncExitStack() as stack, ship(tmp_path, kind) as ship_:
        vessel = ship_.vessel
        made = [await boarded(vessel, stack, tmp_path, number) for number in range(BANDS + 1)]
        *sold_to, walker = made
        async with asyncio.TaskGroup() as tasks:
            await sell_until_full(tasks, ship_, sold_to, sales, chance)
            before = peek(vessel, lambda tx: tx.newest_seq(tx.epoch()))
            sold = len(sales.told)
            await refuses_plainly(ship_, walker)
            assert len(sales.told) == sold  # no till was told anything meanwhile
            assert peek(vessel, lambda tx: tx.newest_seq(tx.epoch())) == before
            ship_.free()
            await until_sold(sales, sold + SOLD_AFTER)
            sales.over.set()
        await is_well(ship_)
        assert vessel.starts == 1
        await all_ashore(ship_)
        await check_everything(ship_, sales, made)


async def sell_until_full(
    tasks: asyncio.TaskGroup, ship_: Ship, buyers: list[Wearer], sales: Sales, chance: random.Random
) -> None:
    """Sell at every till, fill the disk once some is sold, and return when it refuses; the tills go on."""
    wearers: asyncio.Queue[Wearer] = asyncio.Queue()
    for wearer in buyers:
        wearers.put_nowait(wearer)
    for till in TILLS:
        tasks.create_task(sales.keep(ship_.vessel, till, wearers, random.Random(chance.random())))
    await until_sold(sales, SOLD_BEFORE)
    ship_.fill()
    await until_refusing(ship_)


async def until_refusing(ship: Ship) -> None:
    """Small writes may still fit into what is there: until the store says no."""

    async def refusing() -> bool:
        figures = await ship.vessel.figures()
        return figures["steward_store_failures_total"] >= TURNED_AWAY

    await eventually(refusing)


async def is_well(ship: Ship) -> None:
    async def well() -> bool:
        return (await ship.vessel.health())[0] == httpx.codes.OK

    await eventually(well)


async def all_ashore(ship: Ship) -> None:
    """Shore starts only now: whatever was recorded has waited for it."""
    assert (await ship.vessel.figures())["steward_link_queue_events"] > SOLD_BEFORE
    shore = ShoreProcess(ship.ashore.settings)
    await shore.start()
    try:

        async def nothing_waits() -> bool:
            return (await ship.vessel.figures())["steward_link_queue_events"] == 0

        await eventually(nothing_waits)
    finally:
        assert await shore.stop() == 0


async def check_everything(ship: Ship, sales: Sales, made: list[Wearer]) -> list[StoredEvent]:
    """Stop the gateway and look at its disk; its event log."""
    await ship.vessel.stop()
    assert {sale.state for sale in sales.told} == {"posted"}
    await assert_books(ship.vessel, sales.posted, [wearer.ref for wearer in made])
    events = await assert_log(ship.vessel, sales.posted)
    await check_exact(ship.ashore, Log(ship.vessel))  # type: ignore[arg-type]
    return events


@pytest.mark.parametrize("kind", DISKS)
async def test_killed_while_the_disk_is_full(tmp_path: Path, kind: DiskKind) -> None:
    """It does not start on a full disk and says why; with space again it does, and has everything."""
    print("seed", SEED + 1)
    chance, sales = random.Random(SEED + 1), Sales()
    async with AsyncExitStack() as stack, ship(tmp_path, kind) as ship_:
        vessel = ship_.vessel
        made = [await boarded(vessel, stack, tmp_path, number) for number in range(BANDS)]
        async with asyncio.TaskGroup() as tasks:
            await sell_until_full(tasks, ship_, made, sales, chance)
            await vessel.kill()
            with ship_.disk.full_for_a_start():
                said = await vessel.fails_to_start()
            assert "the disk is full: free some space" in said or "check the disk and its free space" in said, said
            assert "Traceback" not in said
            ship_.disk.free(vessel.pid)
            await vessel.start()
            sold = len(sales.told)
            await until_sold(sales, sold + SOLD_AFTER)
            sales.over.set()
        await is_well(ship_)
        await all_ashore(ship_)
        events = await check_everything(ship_, sales, made)
        assert sum(event.type is EventType.GATEWAY_STARTED for event in events) == vessel.starts == 2
