"""Void, refund, dispute: what the desk may still do to a charge."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.moneykit import Ship

from steward.domain.charges import Charge, ChargeState
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, TapId
from steward.domain.ledger import SETTLEMENT_CLEARING, guest_account
from steward.errors import Conflict, NotFound, Refused


@pytest.fixture
def ship() -> Ship:
    return Ship()


async def posted(ship: Ship, amount_minor: int = 1000) -> tuple[GuestRef, TapId]:
    ref = await ship.guest()
    charge = await ship.charge(ship.band(ref), amount_minor)
    assert charge.state is ChargeState.POSTED
    return ref, charge.request.tap_id


async def refund(ship: Ship, tap_id: TapId, amount_minor: int, refund_id: str = "r1") -> Charge:
    return await ship.payments.refund(tap_id, amount_minor, "cold", "crew-1", refund_id)


async def test_a_void_undoes_the_charge_once(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    charge = await ship.payments.void(tap_id, "wrong guest", "crew-1")
    assert (charge.state, charge.code, charge.reason) == (ChargeState.VOIDED, "voided", "wrong guest")
    assert await ship.payments.void(tap_id, "again", "crew-2") == charge
    assert await ship.balance(ref) == 0
    (event,) = await ship.events(EventType.CHARGE_VOIDED)
    assert event.payload["by"] == "crew-1"
    assert "wrong guest" not in repr(event.payload)


async def test_a_void_frees_the_limit(ship: Ship) -> None:
    ref = await ship.guest(day_minor=1000)
    band = ship.band(ref)
    charge = await ship.charge(band)
    assert (await ship.charge(band)).code == "day_limit"
    await ship.payments.void(charge.request.tap_id, "typo", "crew-1")
    assert (await ship.charge(band)).code == "posted"


async def test_a_void_is_for_the_same_ships_day(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    ship.clock.tick(17 * 3600)
    with pytest.raises(Refused) as refused:
        await ship.payments.void(tap_id, "typo", "crew-1")
    assert refused.value.code == "void_too_late"
    assert await ship.balance(ref) == 1000


async def test_a_clock_that_steps_back_does_not_forbid_a_void(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    ship.clock.step(-86_400)
    assert (await ship.payments.void(tap_id, "typo", "crew-1")).state is ChargeState.VOIDED
    assert await ship.balance(ref) == 0


async def test_refunds_add_up_to_the_charge_and_no_further(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    part = await refund(ship, tap_id, 400)
    assert (part.state, part.code, part.refunded_minor) == (ChargeState.POSTED, "partly_refunded", 400)
    with pytest.raises(Refused) as refused:
        await refund(ship, tap_id, 601, "r2")
    assert refused.value.code == "refund_exceeds"
    whole = await refund(ship, tap_id, 600, "r3")
    assert (whole.state, whole.refunded_minor) == (ChargeState.REFUNDED, 1000)
    with pytest.raises(Refused):
        await refund(ship, tap_id, 1, "r4")
    assert await ship.balance(ref) == 0
    refunds = [event.payload["refund_minor"] for event in await ship.events(EventType.CHARGE_REFUNDED)]
    assert refunds == [400, 600]


async def test_a_refund_id_counts_once(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    first = await refund(ship, tap_id, 400)
    assert await refund(ship, tap_id, 400) == first
    with pytest.raises(Conflict):
        await refund(ship, tap_id, 300)
    assert await ship.balance(ref) == 600


async def test_a_refund_id_belongs_to_its_charge(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    for _ in range(2):
        await refund(ship, (await ship.charge(band)).request.tap_id, 1000, "desk-1")
    assert await ship.balance(ref) == 0


async def test_a_refund_may_come_on_a_later_day_and_frees_the_limits(ship: Ship) -> None:
    ref = await ship.guest(stay_minor=1000)
    band = ship.band(ref)
    charge = await ship.charge(band)
    ship.clock.tick(86_400)
    await refund(ship, charge.request.tap_id, 300)
    assert (await ship.charge(band, 301)).code == "stay_limit"
    assert (await ship.charge(band, 300)).code == "posted"


@pytest.mark.parametrize("amount", [0, -1, 2**31, True, 1.5])
async def test_what_cannot_be_refunded(ship: Ship, amount: int) -> None:
    ref, tap_id = await posted(ship)
    with pytest.raises(Refused) as refused:
        await refund(ship, tap_id, amount)
    assert refused.value.code == "amount_invalid"
    assert await ship.balance(ref) == 1000


async def test_a_refunds_id_and_reason_are_checked(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    for reason, refund_id in (("", "a b"), ("x" * 201, "r"), ("a\x00b", "r")):
        with pytest.raises(Refused) as refused:
            await ship.payments.refund(tap_id, 1, reason, "crew-1", refund_id)
        assert refused.value.code == "request_invalid"
    assert await ship.balance(ref) == 1000


async def test_no_void_after_a_partial_refund(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    await refund(ship, tap_id, 400)
    with pytest.raises(Refused) as refused:
        await ship.payments.void(tap_id, "typo", "crew-1")
    assert refused.value.code == "partly_refunded"
    assert await ship.balance(ref) == 600


async def test_what_never_reached_the_folio_cannot_be_corrected(ship: Ship) -> None:
    band = ship.band(await ship.guest(day_minor=1))
    refused_charge = (await ship.charge(band)).request.tap_id
    held = (await ship.charge(ship.band(await ship.guest(verify_above_minor=1)))).request.tap_id
    for tap_id in (refused_charge, held):
        for ask in (
            ship.payments.void(tap_id, "", "crew-1"),
            refund(ship, tap_id, 1),
            ship.payments.dispute(tap_id, ""),
        ):
            with pytest.raises(Refused) as refused:
                await ask
            assert refused.value.code == "not_posted"
    for ask in (ship.payments.void(TapId("f" * 32), "", "crew-1"), refund(ship, TapId("f" * 32), 1)):
        with pytest.raises(NotFound):
            await ask


async def test_a_dispute_marks_the_charge_and_leaves_it_on_the_folio(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    charge = await ship.payments.dispute(tap_id, "I was ashore")
    assert (charge.state, charge.reason) == (ChargeState.DISPUTED, "I was ashore")
    assert await ship.payments.dispute(tap_id, "again") == charge
    assert await ship.balance(ref) == 1000
    for ask in (ship.payments.void(tap_id, "", "crew-1"), refund(ship, tap_id, 1)):
        with pytest.raises(Refused) as refused:
            await ask
        assert refused.value.code == "dispute_open"
    assert len(await ship.events(EventType.CHARGE_DISPUTED)) == 1


async def test_an_upheld_dispute_gives_back_what_is_left(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    await refund(ship, tap_id, 300)
    await ship.payments.dispute(tap_id, "I was ashore")
    charge = await ship.payments.resolve_dispute(tap_id, True, "crew-1")
    assert (charge.state, charge.code, charge.refunded_minor) == (ChargeState.REFUNDED, "dispute_upheld", 1000)
    assert await ship.payments.resolve_dispute(tap_id, True, "crew-1") == charge
    assert await ship.balance(ref) == 0
    types = [event.type for event in await ship.events()][-2:]
    assert types == [EventType.DISPUTE_RESOLVED, EventType.CHARGE_REFUNDED]


async def test_a_rejected_dispute_leaves_the_charge_posted(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    await ship.payments.dispute(tap_id, "I was ashore")
    charge = await ship.payments.resolve_dispute(tap_id, False, "crew-1")
    assert (charge.state, charge.code) == (ChargeState.POSTED, "dispute_rejected")
    assert await ship.payments.resolve_dispute(tap_id, False, "crew-1") == charge
    with pytest.raises(Refused) as refused:
        await ship.payments.resolve_dispute(tap_id, True, "crew-1")
    assert refused.value.code == "not_disputed"
    assert await ship.balance(ref) == 1000
    assert (await ship.payments.dispute(tap_id, "new proof")).state is ChargeState.DISPUTED


async def test_a_guest_cannot_name_a_refund_like_an_upheld_dispute(ship: Ship) -> None:
    """The resolution's own refund id is a word like any other: used before, it must not swallow the resolution."""
    ref, tap_id = await posted(ship)
    await refund(ship, tap_id, 400, "dispute_upheld")
    await ship.payments.dispute(tap_id, "?")
    assert (await ship.payments.resolve_dispute(tap_id, True, "crew-1")).state is ChargeState.REFUNDED
    assert await ship.balance(ref) == 0


async def test_a_refund_after_settlement_is_paid_out_at_once(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    await ship.folio.settle(ref)
    await refund(ship, tap_id, 400)
    assert await ship.balance(ref) == 0
    assert await ship.store.read(lambda tx: tx.balance(SETTLEMENT_CLEARING)) == 600
    assert (await ship.events())[-1].payload["paid_back_minor"] == 400
    await refund(ship, tap_id, 400)
    assert await ship.store.read(lambda tx: tx.balance(SETTLEMENT_CLEARING)) == 600


async def test_evidence_shows_and_checks_the_proof(ship: Ship) -> None:
    _, tap_id = await posted(ship)
    view = await ship.payments.evidence(tap_id)
    assert (view.verified, view.matches_charge, view.signed_amount_minor) == (True, True, 1000)
    stored = await ship.stored(tap_id)
    assert stored is not None
    assert stored.evidence is not None
    forged = replace(stored, evidence=replace(stored.evidence, mac=bytes(8)))
    await ship.store.write(lambda tx: tx.put_charge(forged))
    assert (await ship.payments.evidence(tap_id)).verified is False
    with pytest.raises(NotFound):
        await ship.payments.evidence(TapId("f" * 32))


async def test_the_books_balance_after_all_of_it(ship: Ship) -> None:
    ref, first = await posted(ship)
    band = ship.band(ref)
    second = (await ship.charge(band)).request.tap_id
    third = (await ship.charge(band)).request.tap_id
    await ship.payments.void(first, "typo", "crew-1")
    await refund(ship, second, 250)
    await ship.payments.dispute(third, "?")
    await ship.payments.resolve_dispute(third, True, "crew-1")
    assert await ship.balance(ref) == 750
    assert await ship.ledger_sum() == 0
    booked = await ship.store.read(lambda tx: tx.ledger_of(guest_account(ref)))
    assert len({transaction.id for transaction in booked}) == len(booked) == 6
