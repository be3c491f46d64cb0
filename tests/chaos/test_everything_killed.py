"""Gateway, broker and shore killed with -9 in random order under load: nothing acknowledged is lost, nothing doubled.

Three tills sell to real bands and a purser opens folios all the time; in the middle shore decides. In the end every
charge that a till was told is on its folio once, every folio that was shown is in the look-up log, and every event of
the gateway's log is ashore once.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.chaos.chaoskit import ALL, Log, Vessel, Wearer, assert_books, assert_log, boarded, eventually, on_disk, peek
from tests.chaos.links import link_to
from tests.chaos.load import Killer, Looking, Sales, Victim
from tests.e2e.brokerkit import free_port, running_broker
from tests.shore.rig import GRANTS, Ashore, ShoreProcess, check_exact, make_shore, prepare_shore

from steward.domain.events import EventType
from steward.domain.ids import GuestRef, Uid
from steward.domain.viewing import LookUp
from steward.ports import Tx

SEED = 20_260_901
TILLS = ("bar-1", "bar-2", "spa-1")
BANDS, PASSIVE = 4, 1
KILLS = 15
BANNED = Uid("04A1B2C3D4E5F7")


@dataclass
class EmbeddedBroker:
    """The broker that the gateway brings along: it is killed alone, and the gateway starts it again."""

    vessel: Vessel
    port: int

    async def kill(self) -> None:
        if self.vessel.up.is_set() and (pid := child_of(self.vessel.pid, "nats-server")) is not None:
            os.kill(pid, signal.SIGKILL)

    async def start(self) -> None:
        """Nothing to do: that is the gateway's work."""


def child_of(parent: int, name: str) -> int | None:
    """The process of this name whose parent it is."""
    for folder in Path("/proc").iterdir():
        try:
            said = (folder / "stat").read_text() if folder.name.isdigit() else ""
        except (FileNotFoundError, ProcessLookupError):
            continue
        _, _, rest = said.rpartition(")")
        if f"({name})" in said and int(rest.split()[1]) == parent:
            return int(folder.name)
    return None


@dataclass
class Fleet:
    vessel: Vessel
    ashore: Ashore
    shore: ShoreProcess
    broker: Victim

    async def decide(self) -> None:
        """Shore refuses a band aboard: said again until shore has answered."""

        async def decided() -> bool:
            headers = {"Authorization": f"Bearer {self.ashore.tokens['purser']}"}
            body = {"bands": [BANNED], "reason": "stolen"}
            async with httpx.AsyncClient(base_url=self.shore.url, trust_env=False, timeout=5) as client:
                answer = await client.post("/v1/ships/aurora/deny", json=body, headers=headers)
            return answer.status_code == httpx.codes.OK

        await eventually(decided)

    async def count_ashore(self) -> int:
        headers = {"Authorization": f"Bearer {self.ashore.tokens['monitor']}"}
        async with httpx.AsyncClient(base_url=self.shore.url, trust_env=False, timeout=10) as client:
            answer = await client.get("/v1/events/count?ship=aurora", headers=headers)
        return sum(line["events"] for line in answer.json() if line["gateway"] == self.vessel.name)


@asynccontextmanager
async def broker_apart(folder: Path) -> AsyncIterator[Fleet]:
    """A broker of its own, which survives the gateway."""
    async with running_broker("nats", folder, GRANTS) as broker:
        vessel = Vessel(folder / "gw1", "gw1", TILLS)
        ashore = await make_shore(folder / "shore", broker)
        vessel.write(link_to(broker, ashore, folder))
        async with fleet(Fleet(vessel, ashore, ShoreProcess(ashore.settings), broker)) as running:
            yield running


@asynccontextmanager
async def broker_within(folder: Path) -> AsyncIterator[Fleet]:
    """The default: the gateway's own broker, which dies with it."""
    port, vessel = free_port(), Vessel(folder / "gw1", "gw1", TILLS)
    (folder / "shore").mkdir()
    password = vessel.folder / "data" / "broker" / "shore.password"
    link = f'[link]\nurl = "mqtt://127.0.0.1:{port}"\npassword_file = "{password}"\n'
    ashore = await prepare_shore(folder / "shore", link)
    vessel.write(f'[link]\nurl = "embedded"\nshore_keys = ["{ashore.public_key.hex()}"]\n[broker]\nport = {port}\n')
    broker = EmbeddedBroker(vessel, port)
    async with fleet(Fleet(vessel, ashore, ShoreProcess(ashore.settings), broker)) as running:
        yield running


@asynccontextmanager
async def fleet(made: Fleet) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as ending:
        ending.push_async_callback(made.vessel.stop)
        await made.vessel.start()
        ending.push_async_callback(made.shore.stop)
        await made.shore.start()
        yield made


async def under_load(fleet: Fleet, folder: Path, stack: AsyncExitStack, chance: random.Random) -> Outcome:
    """Sell, look and kill at once; in the end everything has come to an end by itself."""
    vessel = fleet.vessel
    made = [await boarded(vessel, stack, folder, number, passive=number < PASSIVE) for number in range(BANDS)]
    wearers: asyncio.Queue[Wearer] = asyncio.Queue()
    for wearer in made:
        wearers.put_nowait(wearer)
    refs = [wearer.ref for wearer in made]
    sales, looking = Sales(), Looking()
    killer = Killer(chance, {"gateway": vessel, "broker": fleet.broker, "shore": fleet.shore})

    async def kill() -> None:
        await killer.strike(KILLS // 2)
        deciding = asyncio.create_task(fleet.decide())
        await killer.strike(KILLS)
        await deciding
        sales.over.set()

    async with asyncio.TaskGroup() as tasks:
        for name in TILLS:
            tasks.create_task(sales.keep(vessel, name, wearers, random.Random(chance.random())))
        tasks.create_task(looking.keep(vessel, refs, random.Random(chance.random()), sales.over))
        tasks.create_task(kill())
    print("killed:", " ".join(killer.deaths))
    return Outcome(refs, sales, looking, killer)


@dataclass
class Outcome:
    refs: Sequence[GuestRef]
    sales: Sales
    looking: Looking
    killer: Killer


async def all_ashore(fleet: Fleet) -> None:
    """Nothing waits any more, shore counts as many events as the gateway has, and the decision is applied."""

    async def come_together() -> bool:
        figures = await fleet.vessel.figures()
        if figures["steward_link_queue_events"] or not figures['steward_link_down_version{kind="deny"}']:
            return False
        newest = peek(fleet.vessel, lambda tx: tx.newest_seq(tx.epoch()))
        return await fleet.count_ashore() == newest

    await eventually(come_together)


def check_looks(looks: Sequence[LookUp], looking: Looking) -> None:
    """Each folio that was shown is in the log; what is there beyond was asked for, and cut off on its way."""
    logged = Counter(look.guest for look in looks if look.role == "purser")
    for ref, asked in looking.asked.items():
        assert looking.shown.get(ref, 0) <= logged[ref] <= asked, ref


async def run(fleet: Fleet, folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    print("seed", seed)
    async with AsyncExitStack() as stack:
        outcome = await under_load(fleet, folder, stack, chance)
        await all_ashore(fleet)
    await fleet.vessel.stop()
    assert await fleet.shore.stop() == 0
    assert len(outcome.killer.deaths) >= KILLS
    assert {sale.state for sale in outcome.sales.told} == {"posted"}
    assert outcome.sales.interrupted
    await assert_books(fleet.vessel, outcome.sales.posted, outcome.refs)
    events = await assert_log(fleet.vessel, outcome.sales.posted)
    await check_exact(fleet.ashore, Log(fleet.vessel))  # type: ignore[arg-type]

    def look(tx: Tx) -> tuple[list[LookUp], int | None]:
        return list(tx.look_ups(0, ALL)), tx.denied_at(BANNED)

    looks, denied_at = await on_disk(fleet.vessel, look)
    told = [event.payload["look"] for event in events if event.type is EventType.LOOKED_UP]
    assert told == [look.seq for look in looks] == list(range(1, len(looks) + 1))
    assert denied_at is not None
    check_looks(looks, outcome.looking)
    print(len(outcome.sales.told), "charges,", len(looks), "look-ups,", fleet.vessel.starts, "starts of the gateway")


async def test_with_a_broker_apart(tmp_path: Path) -> None:
    async with broker_apart(tmp_path) as fleet:
        await run(fleet, tmp_path, SEED)


async def test_with_the_gateways_own_broker(tmp_path: Path) -> None:
    async with broker_within(tmp_path) as fleet:
        await run(fleet, tmp_path, SEED + 1)
