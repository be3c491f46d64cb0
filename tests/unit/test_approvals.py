"""Above a limit money goes back only with a second person, once, and small parts add up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.unit.moneykit import Ship

from steward.domain.approvals import (
    APPROVAL_S,
    WAITING_EACH_MAX,
    Approval,
    ApprovalState,
    GivenAlone,
    approve_problem,
    is_over,
    needs_second,
)
from steward.domain.charges import Charge, ChargeState
from steward.domain.events import EventType
from steward.domain.ids import ApprovalId, GuestRef, TapId
from steward.errors import Busy, Conflict, NotFound, Refused
from steward.services import approvals
from steward.services.payments import PaymentSettings

EVA, OLE, UNA, TOKEN = "e" * 16, "0" * 16, "a" * 16, "token:purser"


def aboard(above_minor: int = 1000) -> Ship:
    return Ship(PaymentSettings(second_person_above_minor=above_minor))


@pytest.fixture
def ship() -> Ship:
    return aboard()


async def posted(ship: Ship, amount_minor: int = 5000, ref: GuestRef | None = None) -> tuple[GuestRef, TapId]:
    ref = ref or await ship.guest()
    charge = await ship.charge(ship.band(ref), amount_minor)
    assert charge.state is ChargeState.POSTED
    return ref, charge.request.tap_id


async def refund(ship: Ship, tap_id: TapId, amount_minor: int, by: str = EVA, refund_id: str = "r1") -> object:
    return await ship.payments.refund(tap_id, amount_minor, "cold", by, refund_id)


async def waiting(ship: Ship, tap_id: TapId, amount_minor: int = 5000, by: str = EVA) -> Approval:
    asked = await refund(ship, tap_id, amount_minor, by)
    assert isinstance(asked, Approval)
    return asked


def code(refused: pytest.ExceptionInfo[Refused]) -> str:
    return refused.value.code


@pytest.mark.parametrize(
    ("amount", "of_charge", "to_guest", "above", "needed"),
    [
        (1000, 0, 0, 1000, False),
        (1001, 0, 0, 1000, True),
        (1, 1000, 0, 1000, True),
        (1, 0, 1000, 1000, True),
        (500, 500, 500, 1000, False),
        (1, 0, 0, 0, True),
        (2**31 - 1, 0, 0, 2**31 - 1, False),
    ],
)
def test_when_a_second_person_is_needed(amount: int, of_charge: int, to_guest: int, above: int, needed: bool) -> None:
    assert needs_second(amount, GivenAlone(of_charge, to_guest), above) is needed


async def test_up_to_the_limit_one_person_is_enough(ship: Ship) -> None:
    _, tap_id = await posted(ship)
    assert isinstance(await refund(ship, tap_id, 1000), Charge)
    (event,) = await ship.events(EventType.CHARGE_REFUNDED)
    assert (event.payload["by"], event.payload["second"]) == (EVA, "")


async def test_above_it_nothing_happens_before_another_person_agrees(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id)
    assert (asked.asked_by, asked.amount_minor, asked.reason) == (EVA, 5000, "cold")
    assert asked.expires_at_s == asked.asked_at_s + APPROVAL_S
    assert await ship.balance(ref) == 5000
    charge = await ship.payments.approve(asked.id, OLE)
    assert (charge.state, charge.refunded_minor, charge.reason) == (ChargeState.REFUNDED, 5000, "cold")
    assert await ship.balance(ref) == 0
    (event,) = await ship.events(EventType.CHARGE_REFUNDED)
    assert (event.payload["by"], event.payload["second"]) == (EVA, OLE)
    told = await ship.events(EventType.APPROVAL_ASKED, EventType.APPROVAL_GIVEN)
    assert [(e.payload["asked_by"], e.payload["decided_by"]) for e in told] == [(EVA, ""), (EVA, OLE)]
    assert "cold" not in repr([e.payload for e in await ship.events()])


@pytest.mark.parametrize("kind", ["void", "refund", "uphold"])
async def test_nobody_approves_his_own(ship: Ship, kind: str) -> None:
    ref, tap_id = await posted(ship)
    asked: object
    if kind == "void":
        asked = await ship.payments.void(tap_id, "typo", EVA)
    elif kind == "refund":
        asked = await refund(ship, tap_id, 5000)
    else:
        await ship.payments.dispute(tap_id, "not me", OLE)
        asked = await ship.payments.resolve_dispute(tap_id, True, EVA)
    assert isinstance(asked, Approval)
    with pytest.raises(Refused) as refused:
        await ship.payments.approve(asked.id, EVA)
    assert code(refused) == "own_approval"
    assert await ship.balance(ref) == 5000
    done = await ship.payments.approve(asked.id, OLE)
    assert done.state is (ChargeState.VOIDED if kind == "void" else ChargeState.REFUNDED)
    assert await ship.balance(ref) == 0


async def test_whoever_a_program_names_is_no_second_person(ship: Ship) -> None:
    _, tap_id = await posted(ship)
    asked = await ship.payments.refund(tap_id, 5000, "cold", EVA, "r1", said_by=OLE)
    assert isinstance(asked, Approval)
    for who in (EVA, OLE):
        with pytest.raises(Refused) as refused:
            await ship.payments.approve(asked.id, who)
        assert code(refused) == "own_approval"
    await ship.payments.approve(asked.id, UNA)
    (event,) = await ship.events(EventType.CHARGE_REFUNDED)
    assert (event.payload["by"], event.payload["said_by"], event.payload["second"]) == (EVA, OLE, UNA)


async def test_what_a_token_says_of_its_user_does_not_make_it_two_people(ship: Ship) -> None:
    _, tap_id = await posted(ship)
    for n, said in enumerate(("c1", "c2")):
        assert isinstance(await ship.payments.refund(tap_id, 400, "cold", TOKEN, f"r{n}", said_by=said), Charge)
    for n, said in enumerate(("c3", "c4", EVA)):
        with pytest.raises(Refused) as refused:
            await ship.payments.refund(tap_id, 400, "cold", TOKEN, f"s{n}", said_by=said)
        assert code(refused) == "token_names_nobody"
    assert await ship.events(EventType.APPROVAL_ASKED) == []


@pytest.mark.parametrize("kind", ["void", "refund", "uphold"])
async def test_a_token_that_names_nobody_asks_for_nothing_above_the_limit(ship: Ship, kind: str) -> None:
    ref, tap_id = await posted(ship)
    if kind == "uphold":
        await ship.payments.dispute(tap_id, "not me", EVA)
    with pytest.raises(Refused, match="steward tokens add --role purser --crew REF") as refused:
        if kind == "void":
            await ship.payments.void(tap_id, "typo", TOKEN)
        elif kind == "refund":
            await refund(ship, tap_id, 5000, TOKEN)
        else:
            await ship.payments.resolve_dispute(tap_id, True, TOKEN)
    assert code(refused) == "token_names_nobody"
    assert (await ship.balance(ref), await ship.events(EventType.APPROVAL_ASKED)) == (5000, [])


@pytest.mark.parametrize(("first", "then"), [(TOKEN, EVA), (EVA, TOKEN), (TOKEN, "token:other"), (TOKEN, TOKEN)])
async def test_a_token_that_names_nobody_may_be_anybody_so_small_sums_add_up(ship: Ship, first: str, then: str) -> None:
    """One human with a token and a band gives one guest back no more alone than with either."""
    ref, one = await posted(ship)
    _, other = await posted(ship, ref=ref)
    assert isinstance(await refund(ship, one, 600, first), Charge)
    assert isinstance(await refund(ship, other, 400, then, "r2"), Charge)
    if then == EVA:
        assert isinstance(await refund(ship, other, 1, then, "r3"), Approval)
    else:
        with pytest.raises(Refused):
            await refund(ship, other, 1, then, "r3")
    assert await ship.balance(ref) == 9000


async def test_two_people_have_a_limit_each_as_before(ship: Ship) -> None:
    ref, one = await posted(ship)
    _, other = await posted(ship, ref=ref)
    assert isinstance(await refund(ship, one, 1000, EVA), Charge)
    assert isinstance(await refund(ship, other, 1000, OLE, "r2"), Charge)


async def test_what_a_nameless_token_asked_before_it_was_forbidden_is_approved_by_nobody(ship: Ship) -> None:
    """A question that a landed store still holds: it can be refused, and asked again by somebody."""
    ref, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id)
    old = replace(asked, id=ApprovalId("a" * 32), asked_by=TOKEN, refund_id="old")
    await ship.store.write(lambda tx: tx.put_approval(old))
    for who in (EVA, OLE, "token:other"):
        with pytest.raises(Refused) as refused:
            await ship.payments.approve(old.id, who)
        assert code(refused) == "nobody_asked"
    assert await ship.balance(ref) == 5000
    assert (await ship.payments.refuse(old.id, OLE)).state is ApprovalState.REFUSED


async def test_a_nameless_token_approves_nothing(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id)
    with pytest.raises(Refused) as refused:
        await ship.payments.approve(asked.id, TOKEN)
    assert (code(refused), await ship.balance(ref)) == ("nobody_asked", 5000)


async def test_small_refunds_of_one_charge_add_up(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    assert isinstance(await refund(ship, tap_id, 600, EVA, "r1"), Charge)
    assert isinstance(await refund(ship, tap_id, 400, OLE, "r2"), Charge)
    for by in (EVA, OLE, "3" * 16):
        assert isinstance(await refund(ship, tap_id, 1, by, f"r-{by}"), Approval), "whoever does it"
    assert await ship.balance(ref) == 4000


async def test_small_refunds_to_one_guest_by_one_person_add_up(ship: Ship) -> None:
    ref = await ship.guest()
    taps = [(await posted(ship, 500, ref))[1] for _ in range(3)]
    assert isinstance(await refund(ship, taps[0], 500), Charge)
    assert isinstance(await ship.payments.void(taps[1], "typo", EVA), Charge)
    assert isinstance(await refund(ship, taps[2], 1), Approval), "EVA has given back 1000 alone"
    assert isinstance(await refund(ship, taps[2], 500, OLE, "r2"), Charge), "OLE nothing yet"


async def test_days_do_not_start_the_sum_again(ship: Ship) -> None:
    _, tap_id = await posted(ship)
    assert isinstance(await refund(ship, tap_id, 1000), Charge)
    ship.clock.tick(3 * 86_400)
    assert isinstance(await refund(ship, tap_id, 1, refund_id="r2"), Approval)


async def test_what_two_people_gave_does_not_count_as_given_alone(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id, 3000)
    await ship.payments.approve(asked.id, OLE)
    assert isinstance(await refund(ship, tap_id, 1000, refund_id="r2"), Charge)
    assert await ship.balance(ref) == 1000


async def test_a_dispute_upheld_is_no_way_around(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    await ship.payments.dispute(tap_id, "not me", EVA)
    asked = await ship.payments.resolve_dispute(tap_id, True, EVA)
    assert isinstance(asked, Approval)
    assert await ship.payments.resolve_dispute(tap_id, True, EVA) == asked
    assert await ship.balance(ref) == 5000
    done = await ship.payments.approve(asked.id, OLE)
    assert (done.state, done.code, done.reason) == (ChargeState.REFUNDED, "dispute_upheld", "not me")
    assert await ship.payments.resolve_dispute(tap_id, True, EVA) == done


async def test_always_two_at_zero() -> None:
    ship = aboard(0)
    _, tap_id = await posted(ship)
    assert isinstance(await refund(ship, tap_id, 1), Approval)


async def test_asking_again_is_the_same_question(ship: Ship) -> None:
    _, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id)
    assert await refund(ship, tap_id, 5000) == asked
    assert await refund(ship, tap_id, 5000, OLE) == asked, "asking is not approving"
    with pytest.raises(Conflict):
        await refund(ship, tap_id, 4000)
    assert len(await ship.events(EventType.APPROVAL_ASKED)) == 1


async def test_a_refused_refund_stays_refused_under_its_id(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id)
    no = await ship.payments.refuse(asked.id, OLE)
    assert (no.state, no.decided_by) == (ApprovalState.REFUSED, OLE)
    assert await ship.payments.refuse(asked.id, OLE) == no
    assert await refund(ship, tap_id, 5000) == no, "a retry after a lost answer"
    for late in (ship.payments.approve(asked.id, "3" * 16), ship.payments.refuse(asked.id, "3" * 16)):
        with pytest.raises(Refused) as refused:
            await late
        assert code(refused) == "approval_decided"
    again = await refund(ship, tap_id, 5000, refund_id="r2")
    assert isinstance(again, Approval)
    assert again.state is ApprovalState.PENDING
    assert await ship.balance(ref) == 5000


async def test_a_void_may_be_asked_for_again_after_a_no(ship: Ship) -> None:
    _, tap_id = await posted(ship)
    first = await ship.payments.void(tap_id, "typo", EVA)
    assert isinstance(first, Approval)
    await ship.payments.refuse(first.id, EVA)  # taken back
    second = await ship.payments.void(tap_id, "typo", EVA)
    assert isinstance(second, Approval)
    assert second.id != first.id


@pytest.mark.parametrize("step", [APPROVAL_S + 1, -APPROVAL_S - 1])
async def test_nobody_waits_for_ever(ship: Ship, step: int) -> None:
    ref, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id)
    ship.clock.step(step)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            await ship.payments.approve(asked.id, OLE)
        assert code(refused) == "approval_expired"
    stored = await ship.store.read(lambda tx: tx.approval(asked.id))
    assert stored is not None
    assert (stored.state, stored.decided_by) == (ApprovalState.EXPIRED, "")
    assert await refund(ship, tap_id, 5000) == stored
    assert await ship.balance(ref) == 5000
    with pytest.raises(Refused):
        await ship.payments.refuse(asked.id, OLE)


async def test_a_void_that_expired_is_asked_for_anew(ship: Ship) -> None:
    ship.clock.step(1)
    _, tap_id = await posted(ship)
    first = await ship.payments.void(tap_id, "typo", EVA)
    ship.clock.step(-APPROVAL_S - 1)  # back, so that the charge is still of today
    second = await ship.payments.void(tap_id, "typo", EVA)
    assert isinstance(first, Approval)
    assert isinstance(second, Approval)
    assert second.id != first.id
    assert (await ship.store.read(lambda tx: approvals.find(tx, first.id, ship.clock.unix_s))).state == "expired"


async def test_the_charge_may_have_changed_meanwhile(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id)
    assert isinstance(await refund(ship, tap_id, 500, OLE, "r2"), Charge)
    with pytest.raises(Refused) as refused:
        await ship.payments.approve(asked.id, OLE)
    assert code(refused) == "refund_exceeds"
    assert await ship.balance(ref) == 4500
    assert (await ship.payments.refuse(asked.id, OLE)).state is ApprovalState.REFUSED


async def test_an_uphold_is_for_the_amount_that_was_asked(ship: Ship) -> None:
    _, tap_id = await posted(ship)
    await ship.payments.dispute(tap_id, "not me")
    asked = await ship.payments.resolve_dispute(tap_id, True, EVA)
    assert isinstance(asked, Approval)
    await ship.payments.resolve_dispute(tap_id, False, OLE)
    assert isinstance(await refund(ship, tap_id, 500, OLE), Charge)
    await ship.payments.dispute(tap_id, "not me, again")
    with pytest.raises(Refused) as refused:
        await ship.payments.approve(asked.id, OLE)
    assert code(refused) == "approval_outdated"


async def test_approving_twice_is_harmless_and_by_two_people_is_refused(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    asked = await waiting(ship, tap_id)
    answers = await asyncio.gather(
        *(ship.payments.approve(asked.id, by) for by in (OLE, OLE, OLE, "3" * 16)), return_exceptions=True
    )
    assert sum(isinstance(answer, Charge) for answer in answers) == 3
    assert [a.code for a in answers if isinstance(a, Refused)] == ["approval_decided"]
    assert await ship.balance(ref) == 0
    assert len(await ship.events(EventType.CHARGE_REFUNDED)) == 1


async def test_many_small_refunds_at_once_do_not_slip_under_the_limit(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    outcomes = await asyncio.gather(*(refund(ship, tap_id, 300, EVA, f"r{n}") for n in range(10)))
    assert sum(isinstance(outcome, Charge) for outcome in outcomes) == 3
    assert await ship.balance(ref) == 4100


async def test_a_settled_guest_is_paid_out_with_two_people_too(ship: Ship) -> None:
    ref, tap_id = await posted(ship)
    await ship.folio.settle(ref)
    asked = await waiting(ship, tap_id)
    await ship.payments.approve(asked.id, OLE)
    assert await ship.balance(ref) == 0
    (event,) = await ship.events(EventType.CHARGE_REFUNDED)
    assert event.payload["paid_back_minor"] == 5000


async def test_one_person_cannot_fill_the_inbox(ship: Ship) -> None:
    ref = await ship.guest(stay_minor=10**8, day_minor=10**8)
    _, tap_id = await posted(ship, 15_000, ref)
    for n in range(WAITING_EACH_MAX):
        assert isinstance(await refund(ship, tap_id, 1001, EVA, f"r{n}"), Approval)
    with pytest.raises(Busy):
        await refund(ship, tap_id, 1001, EVA, "one-more")
    assert isinstance(await refund(ship, tap_id, 1001, OLE, "another-person"), Approval)


async def test_what_nobody_asked_for_is_not_found(ship: Ship) -> None:
    for ask in (ship.payments.approve(ApprovalId("f" * 32), OLE), ship.payments.refuse(ApprovalId("f" * 32), OLE)):
        with pytest.raises(NotFound):
            await ask


async def test_a_restart_forgets_no_question_and_no_sum() -> None:
    ship = aboard()
    _, tap_id = await posted(ship)
    assert isinstance(await refund(ship, tap_id, 1000), Charge)
    asked = await refund(ship, tap_id, 4000, refund_id="r2")
    ship.restart()
    assert await refund(ship, tap_id, 4000, refund_id="r2") == asked
    assert isinstance(asked, Approval)
    assert (await ship.payments.approve(asked.id, OLE)).state is ChargeState.REFUNDED


def test_an_approval_asked_in_the_future_is_over_too() -> None:
    asked = Approval(
        *(ApprovalId("1" * 32), "void", TapId("2" * 32), GuestRef("3" * 16), 1, "EUR", "", "", EVA, "", 1000, 2000)  # type: ignore[arg-type]
    )
    assert is_over(asked, 1001 + APPROVAL_S)
    assert is_over(asked, 999 - APPROVAL_S)
    assert not is_over(replace(asked, state=ApprovalState.DONE), 999 - APPROVAL_S)
    assert approve_problem(asked, OLE, 1000) is None
