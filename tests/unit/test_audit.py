"""The check of the books finds what the code that writes them would never do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.unit.moneykit import NOON_S, Ship

from steward.adapters.memory import MemoryStore
from steward.domain import ledger
from steward.domain.charges import Charge, ChargeState, sale_of
from steward.domain.ids import GuestRef
from steward.ports import Tx
from steward.services import audit
from steward.services.audit import LedgerCheck, check_ledger


async def check(ship: Ship) -> LedgerCheck:
    return await ship.store.read(check_ledger)


async def posted(ship: Ship, ref: GuestRef, amount_minor: int = 1000) -> Charge:
    charge = await ship.charge(ship.band(ref), amount_minor)
    assert charge.state is ChargeState.POSTED
    return charge


async def test_an_empty_ship_is_in_order() -> None:
    found = await check(Ship())
    assert found == LedgerCheck(True, 0, 0, 0, {}, 0, 0, (), ())


async def test_every_kind_of_charge_is_borne_out() -> None:
    ship = Ship()
    ref, other = await ship.guest(), await ship.guest(day_minor=100)
    voided, refunded, disputed, _ = [await posted(ship, ref, amount) for amount in (100, 200, 300, 400)]
    await ship.payments.void(voided.request.tap_id, "x", "c1")
    await ship.payments.refund(refunded.request.tap_id, 50, "x", "c1", "r1")
    await ship.payments.dispute(disputed.request.tap_id, "x")
    assert (await ship.charge(ship.band(ref), 20_001)).state is ChargeState.HELD
    assert (await ship.charge(ship.band(other), 101)).state is ChargeState.REFUSED
    found = await check(ship)
    assert (found.ok, found.guests, found.charges) == (True, 2, 6)
    assert found.by_state == {"disputed": 1, "held": 1, "posted": 2, "refused": 1, "voided": 1}
    assert found.posted_minor == found.balance_minor == 150 + 300 + 400


async def test_a_settled_folio_stays_in_order_when_money_is_paid_back_later() -> None:
    ship = Ship()
    ref = await ship.guest()
    charge = await posted(ship, ref)
    await ship.folio.deposit(ref, 400, "d1")
    await ship.folio.settle(ref)
    await ship.payments.refund(charge.request.tap_id, 700, "x", "c1", "r1")
    found = await check(ship)
    assert (found.ok, found.balance_minor, found.posted_minor) == (True, 0, 300)


@pytest.mark.parametrize("harm", ["lost", "doubled", "doubled and undone", "amount", "refused", "orphan"])
async def test_a_charge_and_a_ledger_that_differ_are_found(harm: str) -> None:
    store = MemoryStore()
    ship = Ship(store=store)
    ref = await ship.guest()
    charge = await posted(ship, ref)
    sale = sale_of(charge)

    def work(tx: Tx) -> None:
        if harm == "lost":  # on the folio, never in the ledger
            tx.put_charge(replace(charge, request=replace(charge.request, tap_id="ab" * 16)))
        elif harm.startswith("doubled"):
            tx.post(replace(ledger.charge(sale, 1000, NOON_S), id="cd" * 16))
            if harm == "doubled and undone":  # the balance is right again, and yet it was charged twice
                tx.post(ledger.refund(sale, 1000, NOON_S, "r1"))
        elif harm == "amount":
            tx.put_charge(replace(charge, request=replace(charge.request, amount_minor=999)))
        elif harm == "refused":
            tx.put_charge(replace(charge, state=ChargeState.REFUSED, code="day_limit"))
        else:  # in the ledger, no charge
            tx.post(ledger.charge(replace(sale, tap_id="ef" * 16), 5, NOON_S))

    await store.write(work)
    found = await check(ship)
    assert found.ok is False
    assert found.sum_minor == 0
    assert found.wrong_taps == {"lost": ("ab" * 16,), "orphan": ("ef" * 16,)}.get(harm, (charge.request.tap_id,))


async def test_a_settled_folio_that_is_not_at_zero_is_found() -> None:
    ship = Ship()
    ref = await ship.guest()
    await posted(ship, ref)
    await ship.edit(ref, settled=True)
    found = await check(ship)
    assert (found.ok, found.wrong_guests, found.wrong_taps) == (False, (ref,), ())


async def test_a_guest_of_many_charges_is_looked_through_once() -> None:
    class Counted(tuple[Charge, ...]):
        times = 0

        def __iter__(self) -> Iterator[Charge]:
            Counted.times += 1
            return super().__iter__()

    ship = Ship()
    ref = await ship.guest()
    charges = Counted([await posted(ship, ref, 100 + n) for n in range(12)])
    lines = await ship.store.read(lambda tx: tx.ledger_of(ledger.guest_account(ref)))
    assert audit._unborne(ref, charges, lines) == []
    assert Counted.times == 2
