"""Deposits, the statement, and settlement to exactly zero."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.moneykit import Ship

from steward.domain.charges import Verification
from steward.domain.events import EventType
from steward.domain.guests import Limits
from steward.domain.ids import GuestRef
from steward.domain.ledger import DEPOSIT_CLEARING, SETTLEMENT_CLEARING, TransactionKind
from steward.errors import Conflict, NotFound, Refused
from steward.services.folio import ChargesHeld


@pytest.fixture
def ship() -> Ship:
    return Ship()


async def clearing(ship: Ship) -> tuple[int, int]:
    """(deposits kept, money on cards)."""
    return await ship.store.read(lambda tx: (tx.balance(DEPOSIT_CLEARING), tx.balance(SETTLEMENT_CLEARING)))


async def test_a_deposit_counts_once(ship: Ship) -> None:
    ref = await ship.guest()
    first = await ship.folio.deposit(ref, 5000, "d1", "crew-1")
    assert await ship.folio.deposit(ref, 5000, "d1") == first
    with pytest.raises(Conflict):
        await ship.folio.deposit(ref, 5001, "d1")
    assert await ship.balance(ref) == -5000
    (event,) = await ship.events()
    assert (event.type, event.payload["amount_minor"], event.payload["by"]) == (
        EventType.DEPOSIT_TAKEN,
        5000,
        "crew-1",
    )


async def test_a_deposit_id_belongs_to_its_guest(ship: Ship) -> None:
    one, two = await ship.guest(), await ship.guest()
    for ref in (one, two):
        await ship.folio.deposit(ref, 100, "d1")
    assert await ship.balance(one) == await ship.balance(two) == -100


@pytest.mark.parametrize("amount", [0, -100, 2**31, True, 10.0])
async def test_what_is_no_deposit(ship: Ship, amount: int) -> None:
    ref = await ship.guest()
    with pytest.raises(Refused) as refused:
        await ship.folio.deposit(ref, amount, "d1")
    assert refused.value.code == "amount_invalid"
    with pytest.raises(Refused):
        await ship.folio.deposit(ref, 1, "d 1")
    assert await ship.balance(ref) == 0


async def test_guests_nobody_knows(ship: Ship) -> None:
    nobody = GuestRef("ffffffffffffffff")
    for ask in (ship.folio.deposit(nobody, 1, "d"), ship.folio.statement(nobody), ship.folio.settle(nobody)):
        with pytest.raises(NotFound):
            await ask


async def test_what_is_owed_goes_on_the_card(ship: Ship) -> None:
    ref = await ship.guest()
    await ship.folio.deposit(ref, 300, "d1")
    await ship.charge(ship.band(ref), 1000)
    done = await ship.folio.settle(ref, "crew-1")
    assert (done.settled_minor, done.returned_minor, done.repeated) == (700, 0, False)
    assert await ship.balance(ref) == 0
    assert await clearing(ship) == (300, 700)
    (event,) = await ship.events(EventType.FOLIO_SETTLED)
    assert (event.payload["settled_minor"], event.payload["returned_minor"]) == (700, 0)


async def test_an_unspent_deposit_goes_back_in_full_unasked(ship: Ship) -> None:
    ref = await ship.guest()
    await ship.folio.deposit(ref, 5000, "d1")
    await ship.charge(ship.band(ref), 1000)
    done = await ship.folio.settle(ref)
    assert (done.settled_minor, done.returned_minor) == (0, 4000)
    assert await ship.balance(ref) == 0
    assert await clearing(ship) == (1000, 0)


async def test_an_empty_folio_settles_without_a_line(ship: Ship) -> None:
    ref = await ship.guest()
    done = await ship.folio.settle(ref)
    assert (done.settled_minor, done.returned_minor, done.disputes) == (0, 0, ())
    assert (await ship.folio.statement(ref)).lines == ()
    assert (await ship.guest_row(ref)).settled


async def test_settling_again_changes_nothing(ship: Ship) -> None:
    ref = await ship.guest()
    await ship.charge(ship.band(ref), 1000)
    first, *others = await asyncio.gather(*(ship.folio.settle(ref) for _ in range(5)))
    assert not first.repeated
    for other in others:
        assert (other.settled_minor, other.repeated) == (1000, True)
    assert await clearing(ship) == (0, 1000)
    assert len(await ship.events(EventType.FOLIO_SETTLED)) == 1


async def test_a_settled_folio_takes_no_money(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    taken = await ship.folio.deposit(ref, 100, "d1")
    await ship.folio.settle(ref)
    assert (await ship.charge(band)).code == "folio_settled"
    with pytest.raises(Refused) as refused:
        await ship.folio.deposit(ref, 100, "d2")
    assert refused.value.code == "folio_settled"
    assert await ship.folio.deposit(ref, 100, "d1") == taken
    assert await ship.balance(ref) == 0


async def test_held_charges_stop_settlement_and_are_listed(ship: Ship) -> None:
    ref = await ship.guest(verify_above_minor=500)
    band = ship.band(ref)
    held = [(await ship.charge(band, amount)).request.tap_id for amount in (600, 700)]
    with pytest.raises(ChargesHeld) as stopped:
        await ship.folio.settle(ref)
    assert stopped.value.tap_ids == tuple(held)
    assert (stopped.value.code, isinstance(stopped.value, Conflict)) == ("charges_held", True)
    assert not (await ship.guest_row(ref)).settled
    await ship.payments.verify(held[0], Verification.PHOTO, by="crew-1")
    await ship.payments.cancel(held[1])
    assert (await ship.folio.settle(ref)).settled_minor == 600


async def test_an_expired_hold_does_not_stop_settlement(ship: Ship) -> None:
    ref = await ship.guest(verify_above_minor=500)
    tap_id = (await ship.charge(ship.band(ref), 600)).request.tap_id
    ship.clock.tick(121)
    assert (await ship.folio.settle(ref)).settled_minor == 0
    late = await ship.payments.verify(tap_id, Verification.PHOTO, by="crew-1")
    assert late.code == "hold_expired"
    assert await ship.balance(ref) == 0


async def test_open_disputes_are_listed_and_paid_out_when_upheld_later(ship: Ship) -> None:
    ref = await ship.guest()
    await ship.folio.deposit(ref, 700, "d1")
    tap_id = (await ship.charge(ship.band(ref), 1000)).request.tap_id
    await ship.payments.dispute(tap_id, "I was ashore")
    assert (await ship.folio.settle(ref)).disputes == (tap_id,)
    assert await clearing(ship) == (700, 300)
    await ship.payments.resolve_dispute(tap_id, True, "crew-1")
    assert await ship.balance(ref) == 0
    assert await clearing(ship) == (0, 0)
    assert (await ship.folio.settle(ref)).disputes == ()


async def test_a_folio_larger_than_one_charge_may_be_settles(ship: Ship) -> None:
    ref = await ship.guest()
    most = 2**31 - 1
    await ship.edit(ref, limits=Limits(2**40, 2**40, 2**40))
    band = ship.band(ref)
    for _ in range(3):
        assert (await ship.charge(band, most)).code == "posted"
    assert (await ship.folio.settle(ref)).settled_minor == 3 * most
    assert await ship.balance(ref) == 0


async def test_the_statement_tells_the_whole_story(ship: Ship) -> None:
    ref = await ship.guest(verify_above_minor=5000)
    band = ship.band(ref)
    await ship.folio.deposit(ref, 2000, "d1")
    one = (await ship.charge(band, 1000, description="Coffee")).request.tap_id
    two = (await ship.charge(band, 3000, description="Dinner")).request.tap_id
    three = (await ship.charge(band, 400, description="Tea")).request.tap_id
    held = (await ship.charge(band, 6000)).request.tap_id
    await ship.payments.refund(one, 250, "it was cold", "crew-1", "r1")
    await ship.payments.void(three, "wrong table", "crew-1")
    await ship.payments.dispute(two, "I was ashore")
    told = await ship.folio.statement(ref)
    assert [(line.kind, line.text, line.amount_minor, line.balance_minor) for line in told.lines] == [
        (TransactionKind.DEPOSIT, "", -2000, -2000),
        (TransactionKind.CHARGE, "Coffee", 1000, -1000),
        (TransactionKind.CHARGE, "Dinner", 3000, 2000),
        (TransactionKind.CHARGE, "Tea", 400, 2400),
        (TransactionKind.REFUND, "it was cold", -250, 2150),
        (TransactionKind.VOID, "wrong table", -400, 1750),
    ]
    assert [line.disputed for line in told.lines] == [False, False, True, False, False, False]
    assert [line.outlet for line in told.lines] == ["", *["skybar"] * 5]
    assert (told.held, told.disputes, told.currency, told.settled) == ((held,), (two,), "EUR", False)
    totals = told.totals
    assert (totals.charged_minor, totals.credited_minor, totals.deposits_minor) == (4400, 650, 2000)
    assert (totals.balance_minor, totals.disputed_minor, totals.held_minor) == (1750, 3000, 6000)


async def test_the_totals_add_up_through_settlement_and_after(ship: Ship) -> None:
    ref = await ship.guest()
    await ship.folio.deposit(ref, 600, "d1")
    tap_id = (await ship.charge(ship.band(ref), 1000)).request.tap_id
    await ship.folio.settle(ref)
    await ship.payments.refund(tap_id, 700, "all of it cold", "crew-1", "r1")
    told = await ship.folio.statement(ref)
    t = told.totals
    assert (t.charged_minor, t.credited_minor, t.deposits_minor) == (1000, 700, 600)
    assert (t.returned_minor, t.settled_minor, t.balance_minor) == (300, 0, 0)
    left = t.charged_minor - t.credited_minor - t.deposits_minor + t.returned_minor - t.settled_minor
    assert left == t.balance_minor == told.lines[-1].balance_minor
    assert told.settled
