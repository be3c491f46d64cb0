"""Two till gateways and their folio authority as processes; authority, broker and one till killed with -9 as they sell.

Guests have small limits and want more than that. Whoever was cut off, the sum over both tills never passes a limit;
once all are back every charge that a till was told is on the authority's folio once, and nothing else is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.chaoskit import Vessel, Wearer, assert_books, assert_log, boarded, eventually, on_disk, peek, sailing
from tests.chaos.load import Killer, Sales
from tests.e2e.brokerkit import Broker, running_broker

from steward.adapters.brokerrights import identity, ship_broker
from steward.adapters.keyfile import Role
from steward.adapters.keyseal import write_private
from steward.domain.charges import ChargeState
from steward.domain.events import EventType, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.intake import decode_stream
from steward.ports import Tx

SEED = 20_260_911
KILLS = 15
BANDS, PASSIVE = 4, 1
STAY_MINOR, LARGEST_MINOR = 20_000, 1_500
LIMITS = {"stay_minor": STAY_MINOR, "day_minor": 2 * STAY_MINOR, "verify_above_minor": STAY_MINOR}
TILLS = {"bar": "bar-1", "spa": "spa-1"}
GRANTS = ship_broker("aurora", ["gw1", *TILLS], "gw1")


@dataclass
class Ship:
    broker: Broker
    authority: Vessel
    tills: dict[str, Vessel]  # by till


def link(broker: Broker, folder: Path, name: str) -> str:
    login = broker.settings(identity("aurora", name)).login
    assert login is not None
    path = folder / f"{name}-password"
    write_private(path, login[1].encode(), replace=False)
    return f'[ship_link]\nurl = "mqtt://127.0.0.1:{broker.port}"\npassword_file = "{path}"\n'


@asynccontextmanager
async def ship(folder: Path) -> AsyncIterator[Ship]:
    async with running_broker("nats", folder, GRANTS) as broker:
        authority = Vessel(folder / "gw1", "gw1", ())
        members = "".join(
            f'[[ship_link.gateway]]\nname = "{name}"\nrole = "till"\ntills = ["{till}"]\n'
            for name, till in TILLS.items()
        )
        authority.write(link(broker, folder, "gw1") + members)
        others = {till: Vessel(folder / name, name, (till,)) for name, till in TILLS.items()}
        for vessel in others.values():
            vessel.write(link(broker, folder, vessel.name), Role.TILL)
        async with sailing(authority, *others.values()):
            yield Ship(broker, authority, others)


async def sell_and_kill(ship: Ship, wearers: list[Wearer], chance: random.Random) -> tuple[Sales, Killer]:
    sales, queue = Sales(), asyncio.Queue[Wearer]()
    for wearer in wearers:
        queue.put_nowait(wearer)
    killer = Killer(chance, {"authority": ship.authority, "broker": ship.broker, "bar": ship.tills["bar-1"]})

    async def kill() -> None:
        await killer.strike(KILLS)
        sales.over.set()

    async with asyncio.TaskGroup() as tasks:
        for till, vessel in ship.tills.items():
            keeping = sales.keep(vessel, till, queue, random.Random(chance.random()), (100, LARGEST_MINOR))
            tasks.create_task(keeping)
        tasks.create_task(kill())
    print("killed:", " ".join(killer.deaths))
    return sales, killer


def taken_in(authority: Vessel, vessel: Vessel) -> bool:
    """Whether the authority has every event of this gateway's log."""
    epoch, newest = peek(vessel, lambda tx: (tx.epoch(), tx.newest_seq(tx.epoch())))
    kept = peek(authority, lambda tx: tx.peer_streams(vessel.name).get(epoch))
    return kept is not None and decode_stream(kept).count == newest


def alerts(events: Sequence[StoredEvent]) -> list[str]:
    """What staff were told: a ship whose machines die is not a ship whose gateways lie."""
    return [str(event.payload["alert"]) for event in events if event.type is EventType.STAFF_ALERT]


async def spent(vessel: Vessel, refs: list[GuestRef]) -> dict[GuestRef, int]:
    """What a stopped gateway has booked of each guest."""

    def look(tx: Tx) -> dict[GuestRef, int]:
        return {
            ref: sum(c.request.amount_minor for c in tx.charges_of(ref) if c.state is ChargeState.POSTED)
            for ref in refs
        }

    return await on_disk(vessel, look)


async def test_limits_hold_and_all_converge(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    print("seed", SEED)
    async with AsyncExitStack() as stack, ship(tmp_path) as running:
        made = [
            await boarded(running.authority, stack, tmp_path, number, LIMITS, passive=number < PASSIVE)
            for number in range(BANDS)
        ]
        sales, killer = await sell_and_kill(running, made, chance)

        async def all_taken_in() -> bool:
            return all(taken_in(running.authority, vessel) for vessel in running.tills.values())

        await eventually(all_taken_in)
    refs = [wearer.ref for wearer in made]
    assert len(killer.deaths) >= KILLS
    assert sales.interrupted
    assert {sale.state for sale in sales.told} == {"posted", "refused"}
    assert {sale.code for sale in sales.told if sale.state == "refused"} <= {"allowance_exceeded", "stay_limit"}
    await assert_books(running.authority, sales.posted, refs)
    booked = await spent(running.authority, refs)
    apart = [await spent(vessel, refs) for vessel in running.tills.values()]
    assert booked == {ref: sum(part[ref] for part in apart) for ref in refs}
    assert all(minor <= STAY_MINOR for minor in booked.values()), booked
    assert sum(booked.values()) > BANDS * STAY_MINOR // 2, booked
    for till, vessel in running.tills.items():
        await assert_log(vessel, [sale.tap_id for sale in sales.told if (sale.till, sale.state) == (till, "posted")])
    assert alerts(await assert_log(running.authority, ())) == []
    refused = sum(sale.state == "refused" for sale in sales.told)
    print(len(sales.posted), "charges,", refused, "refused,", sorted(booked.values()), "of", STAY_MINOR)
