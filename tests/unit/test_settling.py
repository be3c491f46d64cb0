"""The end of the voyage: folio after folio, whatever happens on the way, and never the crew's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from tests.unit.moneykit import NOON_S, Ship

from steward.domain.ids import GuestRef
from steward.domain.statement import Settlement
from steward.errors import Busy, Conflict, StoreUnavailable
from steward.services.folio import FolioService
from steward.services.settling import LEAVING_S, SettleAll

BY = "p" * 16


@pytest.fixture
def ship() -> Ship:
    return Ship()


@asynccontextmanager
async def running(ship: Ship, folio: FolioService | None = None) -> AsyncIterator[SettleAll]:
    settling = SettleAll(ship.store, ship.clock, folio or ship.folio)
    task = asyncio.create_task(settling.run())
    try:
        yield settling
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, StoreUnavailable):
            await task


async def ended(settling: SettleAll) -> str:
    for _ in range(2000):
        if settling.progress.state != "running":
            break
        await asyncio.sleep(0.005)
    return settling.progress.state


async def test_everybody_is_settled_but_the_crew_and_who_has_charges_held(ship: Ship) -> None:
    owing, credit, holding, crew = [await ship.guest() for _ in range(4)]
    await ship.edit(crew, crew=True)
    await ship.charge(ship.band(owing), 1000)
    await ship.folio.deposit(credit, 700, "d1")
    await ship.charge(ship.band(holding), 20_001)
    await ship.charge(ship.band(crew), 300)
    async with running(ship) as settling:
        preview = await settling.preview(everybody=True)
        assert (preview.guests, preview.owed_minor["EUR"], preview.credit_minor["EUR"]) == (3, 1000, 700)
        assert preview.blocked == 1
        await settling.start(BY, everybody=True)
        assert await ended(settling) == "done"
    progress = settling.progress
    assert (progress.total, progress.done, progress.blocked) == (3, 3, [holding])
    assert (progress.settled_minor["EUR"], progress.returned_minor["EUR"]) == (1000, 700)
    assert [(await ship.guest_row(ref)).settled for ref in (owing, credit, holding, crew)] == [True, True, False, False]
    assert await ship.ledger_sum() == 0


async def test_those_who_stay_are_left(ship: Ship) -> None:
    leaving, staying = await ship.guest(), await ship.guest()
    await ship.edit(leaving, not_after_s=NOON_S + LEAVING_S)
    await ship.edit(staying, not_after_s=NOON_S + LEAVING_S + 1)
    async with running(ship) as settling:
        assert (await settling.preview(everybody=False)).guests == 1
        await settling.start(BY, everybody=False)
        assert await ended(settling) == "done"
    assert (await ship.guest_row(leaving)).settled
    assert not (await ship.guest_row(staying)).settled


async def test_one_run_at_a_time_and_again_after_it(ship: Ship) -> None:
    await ship.guest()
    async with running(ship) as settling:
        await settling.start(BY, everybody=True)
        with pytest.raises(Conflict):
            await settling.start(BY, everybody=True)
        assert await ended(settling) == "done"
        await settling.start(BY, everybody=True)
        assert await ended(settling) == "done"
        assert settling.progress.total == 0, "all of them were settled before"


class Stumbling(FolioService):
    """Fails as it is told to, folio by folio."""

    def __init__(self, ship: Ship, *errors: Exception) -> None:
        super().__init__(ship.store, ship.clock, ship.settings)
        self.errors = list(errors)

    async def settle(self, ref: GuestRef, by: str = "", *, despite_away: bool = False) -> Settlement:
        if self.errors:
            raise self.errors.pop(0)
        return await super().settle(ref, by, despite_away=despite_away)


async def test_it_stands_back_while_taps_are_waiting(ship: Ship) -> None:
    ref = await ship.guest()
    async with running(ship, Stumbling(ship, Busy("full"), Busy("full"))) as settling:
        await settling.start(BY, everybody=True)
        assert await ended(settling) == "done"
    assert (await ship.guest_row(ref)).settled


async def test_a_full_disk_stops_it_and_the_next_run_goes_on(ship: Ship) -> None:
    refs = [await ship.guest() for _ in range(3)]
    folio = Stumbling(ship)
    async with running(ship, folio) as settling:
        await ship.folio.settle(refs[0])
        folio.errors.append(StoreUnavailable("full"))
        await settling.start(BY, everybody=True)
        assert await ended(settling) == "stopped"
        assert settling.progress.code == "store_unavailable"
    async with running(ship, folio) as settling:  # as the supervisor does
        await settling.start(BY, everybody=True)
        assert await ended(settling) == "done"
    assert [(await ship.guest_row(ref)).settled for ref in refs] == [True] * 3


async def test_a_bug_is_not_told_as_done(ship: Ship) -> None:
    await ship.guest()
    settling = SettleAll(ship.store, ship.clock, Stumbling(ship, ZeroDivisionError()))
    await settling.start(BY, everybody=True)
    with pytest.raises(ZeroDivisionError):
        await settling.run()
    assert settling.progress.state == "stopped"
