"""What the purser's desk keeps and asks behaves the same on both stores, and the stores themselves hold the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.contract import makers

from steward.domain.approvals import Approval, ApprovalState, Corrected, Correction, GivenAlone, decided, expired
from steward.domain.charges import ChargeState
from steward.domain.guests import BandState
from steward.domain.ids import ApprovalId, GuestRef, OutletId, TapId
from steward.domain.ledger import FolioTotals, Sale, deposit, refund, refund_transaction_id
from steward.domain.outlets import OutletKind
from steward.domain.viewing import CrewRole, Field, Purpose, Viewer, Way, look_at
from steward.errors import Conflict
from steward.ports import Store, Tx

P1, P2, P3 = "1111111111111111", "2222222222222222", "3333333333333333"


def approval(number: int = 1, **changes: Any) -> Approval:
    made = Approval(
        ApprovalId(f"{number:032x}"),
        Correction.REFUND,
        makers.tap_id(number),
        makers.ANNA,
        20_000,
        "EUR",
        f"r{number}",
        "it was cold",
        P1,
        "c117",
        makers.AT_S,
        makers.AT_S + 60,
    )
    return replace(made, **changes)


def done(asked: Approval, by: str = P2) -> Approval:
    return decided(asked, ApprovalState.DONE, by, makers.AT_S + 9)


def posted(tx: Tx, number: int, amount_minor: int, guest: GuestRef = makers.ANNA) -> Corrected:
    """A refund in the ledger, and the correction that belongs to it."""
    tap_id = makers.tap_id(number // 10)
    sale = Sale(tap_id, guest, makers.BAR, "EUR")
    tx.post(refund(sale, amount_minor, makers.AT_S, f"r{number}"))
    id_ = refund_transaction_id(tap_id, f"r{number}")
    return Corrected(id_, tap_id, guest, amount_minor, P1, "", None, makers.AT_S)


async def test_a_question_and_its_answer_come_back_as_they_were(store: Store) -> None:
    first, second = approval(1), approval(2, kind=Correction.VOID, refund_id="", said_by="")

    def ask(tx: Tx) -> None:
        tx.put_approval(first)
        tx.put_approval(second)

    await store.write(ask)
    assert await store.read(lambda tx: tx.approval(first.id)) == first
    assert await store.read(lambda tx: tx.approval(ApprovalId("f" * 32))) is None
    assert await store.read(lambda tx: list(tx.pending_approvals())) == [first, second]
    assert await store.read(lambda tx: list(tx.decided_approvals(9))) == []
    await store.write(lambda tx: tx.put_approval(done(first)))
    await store.write(lambda tx: tx.put_approval(expired(second, makers.AT_S + 99)))
    assert await store.read(lambda tx: list(tx.pending_approvals())) == []
    ended = [expired(second, makers.AT_S + 99), done(first)]
    assert await store.read(lambda tx: list(tx.decided_approvals(9))) == ended
    assert await store.read(lambda tx: list(tx.decided_approvals(1))) == ended[:1]
    assert await store.read(lambda tx: list(tx.decided_approvals(-1))) == []


async def test_the_newest_question_about_a_correction_is_found(store: Store) -> None:
    first = approval(1)
    again = replace(first, id=ApprovalId("a" * 32))
    no = decided(first, ApprovalState.REFUSED, P2, makers.AT_S + 1)
    await store.write(lambda tx: tx.put_approval(first))
    await store.write(lambda tx: tx.put_approval(no))
    found = await store.read(lambda tx: tx.newest_approval(Correction.REFUND, first.tap_id, "r1"))
    assert found == no
    await store.write(lambda tx: tx.put_approval(again))
    assert await store.read(lambda tx: tx.newest_approval(Correction.REFUND, first.tap_id, "r1")) == again
    assert await store.read(lambda tx: tx.newest_approval(Correction.REFUND, first.tap_id, "r2")) is None
    assert await store.read(lambda tx: tx.newest_approval(Correction.VOID, first.tap_id, "r1")) is None


@pytest.mark.parametrize(
    "wrong",
    [
        approval(1, id=ApprovalId("b" * 32)),  # the same correction is pending already
        approval(2, refund_id=""),
        approval(2, kind=Correction.VOID),  # only a refund has an id
        approval(2, asked_by=""),
        done(approval(2)),  # decided before it was asked
        approval(1, amount_minor=20_001),  # the question changes
        approval(1, asked_by=P3),
        approval(1, reason="another"),
        approval(1),  # asked again under the same id
        done(approval(1), P1),  # his own
        done(approval(1), "c117"),  # who was named when it was asked
        done(approval(1), ""),
        done(approval(1, amount_minor=1)),
        replace(done(approval(1)), decided_at_s=None),
        replace(expired(approval(1), 5), decided_by=P2),
    ],
    ids=range(15),
)
async def test_what_an_approval_cannot_be(store: Store, wrong: Approval) -> None:
    await store.write(lambda tx: tx.put_approval(approval(1)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_approval(wrong))
    assert await store.read(lambda tx: list(tx.pending_approvals())) == [approval(1)]


@pytest.mark.parametrize("state", ["done", "refused", "expired"])
async def test_nothing_is_decided_twice(store: Store, state: str) -> None:
    ends = {
        "done": done(approval(1)),
        "refused": decided(approval(1), ApprovalState.REFUSED, P1, 7),
        "expired": expired(approval(1), 7),
    }
    await store.write(lambda tx: tx.put_approval(approval(1)))
    await store.write(lambda tx: tx.put_approval(ends[state]))
    for other in (*ends.values(), approval(1)):
        with pytest.raises(Conflict):
            await store.write(lambda tx, other=other: tx.put_approval(other))  # type: ignore[misc]
    assert await store.read(lambda tx: tx.approval(approval(1).id)) == ends[state]


async def test_what_was_given_alone_is_summed_by_charge_and_by_person(store: Store) -> None:
    def give(tx: Tx) -> None:
        tx.put_correction(posted(tx, 10, 100))
        tx.put_correction(replace(posted(tx, 11, 30), by=P2))
        tx.put_correction(posted(tx, 20, 7))
        tx.put_correction(posted(tx, 30, 1000, makers.BOB))
        asked = approval(1, refund_id="r12", amount_minor=5000)
        tx.put_approval(asked)
        tx.put_approval(done(asked))
        tx.put_correction(replace(posted(tx, 12, 5000), second=P2, approval=asked.id))

    await store.write(give)

    async def alone(tap: TapId, guest: GuestRef, by: str) -> GivenAlone:
        return await store.read(lambda tx: tx.given_alone(tap, guest, by))

    assert await alone(makers.tap_id(1), makers.ANNA, P1) == GivenAlone(130, 107)
    assert await alone(makers.tap_id(2), makers.ANNA, P2) == GivenAlone(7, 30)
    assert await alone(makers.tap_id(9), makers.BOB, P1) == GivenAlone(0, 1000)
    assert await alone(makers.tap_id(9), makers.BOB, P2) == GivenAlone(0, 0)
    found = await store.read(lambda tx: list(tx.corrections_of(makers.tap_id(1))))
    assert [(c.amount_minor, c.by, c.second) for c in found] == [(100, P1, ""), (30, P2, ""), (5000, P1, P2)]


@pytest.mark.parametrize(
    "changes",
    [
        {"by": ""},
        {"second": P2},  # no approval
        {"approval": ApprovalId("c" * 32), "second": P2},  # no such approval
        {"approval": approval(1).id, "second": P3},  # another person approved it
        {"approval": approval(1).id, "second": P2, "by": P3},  # another person asked
        {"approval": approval(1).id, "second": P2, "amount_minor": 1},
        {"approval": approval(2).id, "second": P2},  # still pending
        {"approval": approval(1).id, "second": ""},
        {"approval": approval(1).id, "second": P1, "by": P1},
    ],
    ids=range(9),
)
async def test_a_correction_is_what_its_approval_was_for(store: Store, changes: dict[str, Any]) -> None:
    def work(tx: Tx, **changed: Any) -> None:
        tx.put_correction(replace(posted(tx, 10, 20_000), **changed))

    def ask(tx: Tx) -> None:
        for asked in (approval(1), approval(2, tap_id=makers.tap_id(1))):
            tx.put_approval(asked)
        tx.put_approval(done(approval(1)))

    await store.write(ask)
    with pytest.raises(Conflict):
        await store.write(lambda tx: work(tx, **changes))
    assert await store.read(lambda tx: list(tx.corrections_of(makers.tap_id(1)))) == []
    await store.write(lambda tx: work(tx, approval=approval(1).id, second=P2))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_correction(tx.corrections_of(makers.tap_id(1))[0]))


async def test_bands_are_counted_by_state_and_kind(store: Store) -> None:
    def put(tx: Tx) -> None:
        for number, (state, active) in enumerate(
            [(BandState.ISSUED, True), (BandState.ISSUED, True), (BandState.ISSUED, False), (BandState.FROZEN, True)]
        ):
            tx.put_band(replace(makers.band(number), state=state, active=active))

    assert dict(await store.read(lambda tx: tx.band_counts())) == {}
    await store.write(put)
    assert dict(await store.read(lambda tx: tx.band_counts())) == {
        (BandState.ISSUED, True): 2,
        (BandState.ISSUED, False): 1,
        (BandState.FROZEN, True): 1,
    }


async def test_folios_are_summed_by_currency(store: Store) -> None:
    def put(tx: Tx) -> None:
        tx.put_guest(replace(makers.guest(makers.ANNA), settled=False))
        tx.put_guest(replace(makers.guest(makers.BOB, currency="SEK"), settled=True))
        tx.put_guest(replace(makers.guest(GuestRef("c" * 16)), settled=False))
        tx.post(makers.transaction(1, 450))
        tx.post(deposit(GuestRef("c" * 16), 700, "EUR", makers.AT_S, "d1"))

    assert list(await store.read(lambda tx: tx.folio_totals())) == []
    await store.write(put)
    assert list(await store.read(lambda tx: tx.folio_totals())) == [
        FolioTotals("EUR", 2, 0, 450, 700),
        FolioTotals("SEK", 1, 1, 0, 0),
    ]


async def test_disputed_charges_are_found_whoever_they_are_of(store: Store) -> None:
    first = makers.charge(1, state=ChargeState.DISPUTED)
    second = makers.charge(2, makers.BOB, state=ChargeState.DISPUTED)

    def put(tx: Tx) -> None:
        for each in (makers.charge(3), first, second, makers.charge(4, state=ChargeState.HELD)):
            tx.put_charge(each)

    await store.write(put)
    assert list(await store.read(lambda tx: tx.disputed_charges(9))) == [first, second]
    assert list(await store.read(lambda tx: tx.disputed_charges(1))) == [first]
    await store.write(lambda tx: tx.put_charge(replace(first, state=ChargeState.POSTED)))
    assert list(await store.read(lambda tx: tx.disputed_charges(9))) == [second]


async def test_the_look_up_log_is_read_from_its_end(store: Store) -> None:
    purser = Viewer("p" * 16, CrewRole.PURSER, OutletId("desk"), OutletKind.SERVICE, Purpose.BILLING)
    medic = Viewer("m" * 16, CrewRole.SAFETY, OutletId("desk"), OutletKind.SERVICE, Purpose.SAFETY)

    def look(tx: Tx) -> None:
        for n in range(6):
            tx.log_look_up(look_at(purser, makers.ANNA if n % 2 else makers.BOB, {Field.FOLIO}, makers.AT_S + n))
        for reason in ("muster", "fire"):
            seen = {Field.CABIN}
            tx.log_look_up(look_at(medic, makers.ANNA, seen, makers.AT_S, way=Way.BROKE_GLASS, reason=reason))

    await store.write(look)

    async def seqs(before: int, limit: int, **only: Any) -> list[int]:
        found = await store.read(lambda tx: tx.looks_before(before, limit, **only))
        return [each.seq for each in found]

    assert await seqs(2**53, 3) == [8, 7, 6]
    assert await seqs(6, 99) == [5, 4, 3, 2, 1]
    assert await seqs(2**53, 99, only_glass=True) == [8, 7]
    assert await seqs(8, 1, only_glass=True) == [7]
    assert await seqs(2**53, 3, guest=makers.ANNA) == [8, 7, 6]
    assert await seqs(6, 9, guest=makers.BOB) == [5, 3, 1]
    assert await seqs(2**53, -1) == []
    assert dict(await store.read(lambda tx: tx.look_up_counts())) == {"purser": 6, "safety": 2}
