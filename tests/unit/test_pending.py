"""A till's request until its tap: kept, cancelled, expired, waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.moneykit import Ship

from steward.domain.charges import ChargeState, Verification
from steward.domain.ids import TapId, TillId
from steward.errors import Busy, Conflict, NotFound, Refused, StoreUnavailable
from steward.ports import Tx
from steward.services.payments import WAITING, PaymentSettings


@pytest.fixture
def ship() -> Ship:
    return Ship()


# the request


async def test_a_request_waits_for_its_tap_and_writes_nothing(ship: Ship) -> None:
    request = ship.ask()
    status = await ship.payments.request(request)
    assert (status.code, status.charge) == (WAITING, None)
    assert ship.payments.pending_for(request.till) == request
    assert ship.payments.pending_for(TillId("bar-2")) is None
    assert await ship.events() == []
    assert await ship.stored(request.tap_id) is None


async def test_a_malformed_request_is_refused_before_anything(ship: Ship) -> None:
    for changes, code in (({"amount_minor": 0}, "amount_invalid"), ({"currency": "euro"}, "request_invalid")):
        request = ship.ask(**changes)
        with pytest.raises(Refused) as refused:
            await ship.payments.request(request)
        assert refused.value.code == code
        assert ship.payments.pending_for(request.till) is None


async def test_the_same_request_again_is_the_same_attempt(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    for _ in range(2):
        assert (await ship.payments.request(request)).code == WAITING
    charge = await ship.payments.book(request, ship.band(ref).tap(request))
    again = await ship.payments.request(request)
    assert (again.code, again.charge) == ("posted", charge)
    assert ship.payments.pending_for(request.till) is None


@pytest.mark.parametrize("stage", ["pending", "booked", "after restart"])
async def test_one_tap_id_cannot_stand_for_two_charges(ship: Ship, stage: str) -> None:
    ref = await ship.guest()
    request = ship.ask()
    await ship.payments.request(request)
    if stage != "pending":
        await ship.payments.book(request, ship.band(ref).tap(request))
    if stage == "after restart":
        ship.restart()
    for change in ({"amount_minor": 1}, {"till": "bar-2"}, {"description": "Tea"}, {"allow_duplicate": True}):
        other = replace(request, **change)
        with pytest.raises(Conflict):
            await ship.payments.request(other)
        with pytest.raises(Conflict):
            await ship.payments.book(other, ship.band(ref).tap(other))


async def test_a_till_waits_for_one_tap_at_a_time(ship: Ship) -> None:
    first, second, elsewhere = ship.ask(), ship.ask(), ship.ask(till="bar-2")
    await ship.payments.request(first)
    with pytest.raises(Conflict, match="cancel"):
        await ship.payments.request(second)
    await ship.payments.request(elsewhere)
    await ship.payments.cancel(first.tap_id)
    await ship.payments.request(second)
    assert ship.payments.pending_for(first.till) == second


async def test_a_request_expires_and_its_late_tap_is_not_charged(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    await ship.payments.request(request)
    ship.clock.tick(59)
    assert ship.payments.pending_for(request.till) == request
    ship.clock.tick(1)
    assert ship.payments.pending_for(request.till) is None
    assert (await ship.payments.status(request.tap_id)).code == "request_expired"
    with pytest.raises(Conflict, match="new tap id"):
        await ship.payments.request(request)
    charge = await ship.payments.book(request, ship.band(ref).tap(request))
    assert (charge.state, charge.code) == (ChargeState.REFUSED, "request_expired")
    assert await ship.balance(ref) == 0


async def test_a_step_of_the_wall_clock_does_not_expire_a_request(ship: Ship) -> None:
    request = ship.ask()
    await ship.payments.request(request)
    ship.clock.step(86_400)
    assert ship.payments.pending_for(request.till) == request


async def test_asking_again_does_not_prolong_a_request(ship: Ship) -> None:
    request = ship.ask()
    await ship.payments.request(request)
    ship.clock.tick(59)
    await ship.payments.request(request)
    ship.clock.tick(1)
    assert ship.payments.pending_for(request.till) is None


async def test_the_number_of_waiting_tills_is_bounded_and_expired_ones_make_room() -> None:
    ship = Ship(PaymentSettings(tills_max=2))
    for till in ("a", "b"):
        await ship.payments.request(ship.ask(till=till))
    with pytest.raises(Busy):
        await ship.payments.request(ship.ask(till="c"))
    ship.clock.tick(60)
    assert (await ship.payments.request(ship.ask(till="c"))).code == WAITING


async def test_a_request_cannot_expire_while_its_tap_is_written_down(ship: Ship) -> None:
    """The till must not hear that nothing came of it a moment before it is on the folio."""
    ref = await ship.guest()
    request = ship.ask()
    await ship.payments.request(request)
    booking = asyncio.create_task(ship.payments.book(request, ship.band(ref).tap(request)))
    await asyncio.sleep(0)
    ship.clock.tick(60)
    assert (await ship.payments.status(request.tap_id)).code == WAITING
    assert (await booking).state is ChargeState.POSTED
    assert (await ship.payments.status(request.tap_id)).code == "posted"


# cancelling


async def test_a_cancelled_tap_can_never_be_charged(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    await ship.payments.request(request)
    for _ in range(2):
        assert (await ship.payments.cancel(request.tap_id)).code == "cancelled"
    assert ship.payments.pending_for(request.till) is None
    with pytest.raises(Conflict):
        await ship.payments.request(request)
    charge = await ship.payments.book(request, ship.band(ref).tap(request))
    assert (charge.state, charge.code) == (ChargeState.REFUSED, "cancelled")
    assert (await ship.payments.cancel(request.tap_id)).code == "cancelled"


async def test_cancelling_ahead_of_a_late_request_holds(ship: Ship) -> None:
    request = ship.ask()
    assert (await ship.payments.cancel(request.tap_id)).code == "cancelled"
    with pytest.raises(Conflict, match="cancelled"):
        await ship.payments.request(request)


async def test_what_is_on_the_folio_cannot_be_cancelled(ship: Ship) -> None:
    charge = await ship.charge(ship.band(await ship.guest()))
    with pytest.raises(Conflict, match="void or refund"):
        await ship.payments.cancel(charge.request.tap_id)


async def test_cancelling_while_the_tap_is_written_down_waits_and_tells_the_truth(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    await ship.payments.request(request)
    booking = asyncio.create_task(ship.payments.book(request, ship.band(ref).tap(request)))
    await asyncio.sleep(0)
    assert ship.payments.pending_for(request.till) is None
    assert (await ship.payments.status(request.tap_id)).code == WAITING
    with pytest.raises(Conflict):
        await ship.payments.cancel(request.tap_id)
    assert (await booking).state is ChargeState.POSTED


async def test_cancelling_ends_a_hold(ship: Ship) -> None:
    ref = await ship.guest(verify_above_minor=100)
    held = await ship.charge(ship.band(ref))
    status = await ship.payments.cancel(held.request.tap_id)
    assert status.charge is not None
    assert (status.code, status.charge.state) == ("cancelled", ChargeState.REFUSED)
    assert (await ship.payments.verify(held.request.tap_id, Verification.PHOTO, by="crew-1")).code == "cancelled"
    assert await ship.balance(ref) == 0


# waiting


async def test_a_long_poll_ends_with_the_tap(ship: Ship) -> None:
    request = ship.ask()
    await ship.payments.request(request)
    polls = [asyncio.create_task(ship.payments.wait(request.tap_id, 50)) for _ in range(3)]
    await asyncio.sleep(0)
    charge = await ship.charge_asked(request, await ship.guest())
    assert [(await poll).charge for poll in polls] == [charge] * 3


async def test_a_long_poll_ends_with_a_cancel(ship: Ship) -> None:
    request = ship.ask()
    await ship.payments.request(request)
    poll = asyncio.create_task(ship.payments.wait(request.tap_id, 50))
    await asyncio.sleep(0)
    await ship.payments.cancel(request.tap_id)
    assert (await poll).code == "cancelled"


async def test_a_long_poll_can_wait_for_the_end_of_a_hold(ship: Ship) -> None:
    held = await ship.charge(ship.band(await ship.guest(verify_above_minor=1)))
    tap_id = held.request.tap_id
    assert (await ship.payments.wait(tap_id, 50)).code == "verification_required"
    poll = asyncio.create_task(ship.payments.wait(tap_id, 50, seen="verification_required"))
    await asyncio.sleep(0)
    await ship.payments.verify(tap_id, Verification.PHOTO, by="crew-1")
    assert (await poll).code == "posted"


async def test_a_long_poll_gives_up_in_time(ship: Ship) -> None:
    request = ship.ask()
    await ship.payments.request(request)
    assert (await ship.payments.wait(request.tap_id, 0)).code == WAITING
    assert (await ship.payments.wait(request.tap_id, 0.01)).code == WAITING
    ship.clock.tick(60)
    assert (await ship.payments.wait(request.tap_id, 50)).code == "request_expired"


async def test_long_polls_are_bounded_and_leave_room_when_they_end() -> None:
    ship = Ship(PaymentSettings(listeners_max=1))
    request = ship.ask()
    await ship.payments.request(request)
    poll = asyncio.create_task(ship.payments.wait(request.tap_id, 50))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await ship.payments.wait(request.tap_id, 50)
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    assert (await ship.payments.wait(request.tap_id, 0)).code == WAITING


async def test_an_unknown_tap_is_not_found(ship: Ship) -> None:
    for ask in (ship.payments.status(TapId("f" * 32)), ship.payments.wait(TapId("f" * 32), 50)):
        with pytest.raises(NotFound):
            await ask


async def test_a_reader_hears_when_its_till_wants_a_tap(ship: Ship) -> None:
    request = ship.ask()
    reader = asyncio.create_task(ship.payments.wanted(request.till))
    await asyncio.sleep(0)
    await ship.payments.request(ship.ask(till="bar-2"))
    await ship.payments.request(request)
    assert await reader == request
    assert await ship.payments.wanted(request.till) == request


async def test_a_reader_hears_again_when_a_booking_failed(ship: Ship) -> None:
    request = ship.ask()
    await ship.payments.request(request)

    def full(tx: Tx) -> str | None:
        raise StoreUnavailable("disk full")

    tap = ship.band(await ship.guest()).tap(request)
    booking = asyncio.create_task(ship.payments.book(request, tap, full))
    await asyncio.sleep(0)
    reader = asyncio.create_task(ship.payments.wanted(request.till))
    with pytest.raises(StoreUnavailable):
        await booking
    assert await reader == request


async def test_a_request_sent_again_while_its_tap_is_written_down_does_not_wait_for_another(ship: Ship) -> None:
    request, band = ship.ask(), ship.band(await ship.guest())
    await ship.payments.request(request)
    looked, go_on = asyncio.Event(), asyncio.Event()
    read = ship.store.read

    async def slow(work: Callable[[Tx], object]) -> object:
        found = await read(work)
        looked.set()
        await go_on.wait()
        return found

    ship.store.read = slow  # type: ignore[method-assign,assignment]
    again = asyncio.create_task(ship.payments.request(request))
    await looked.wait()  # it has seen that nothing is recorded
    await ship.payments.book(request, band.tap(request))
    go_on.set()
    assert (await again).code == "posted"
    assert ship.payments.pending_for(request.till) is None
