"""Whatever several people and programs ask at once: no one alone gives back more than the limit, and nothing twice."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.moneykit import Ship
from tests.vaultkit import DATA_KEY, lay_store

from steward.adapters.memory import MemoryStore
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.approvals import APPROVAL_S, Approval, ApprovalState
from steward.domain.events import EventType
from steward.domain.ids import ApprovalId, GuestRef, TapId
from steward.errors import Busy, Conflict, NotFound, Refused
from steward.ports import Store, Tx
from steward.services.audit import check_ledger
from steward.services.payments import PaymentSettings

T = TypeVar("T")
LIMIT = 1000
PEOPLE = ("a" * 16, "b" * 16, "c" * 16, "token:pos")
HUMANS = {who for who in PEOPLE if ":" not in who}  # any of them may hold the token, which names nobody
CHARGES = 4  # of two guests


@dataclass(frozen=True)
class Ask:
    """One thing somebody asks. `at` chooses the charge, or the approval among those known so far."""

    what: str
    by: str
    at: int
    amount: int


ASKS = st.builds(
    Ask,
    st.sampled_from(["refund", "refund", "refund", "void", "dispute", "uphold", "reject", "approve", "approve", "no"]),
    st.sampled_from(PEOPLE),
    st.integers(0, 7),
    st.sampled_from([1, 200, 400, 999, 1000, 1001, 2500]),
)
# Batches: what is in one is asked at once; between them time may pass.
PLANS = st.lists(
    st.tuples(st.lists(ASKS, min_size=1, max_size=6), st.sampled_from([0, 0, 0, 3600, APPROVAL_S + 1])), max_size=12
)


class Desk:
    """A ship with four charges, asked about at once by several people."""

    def __init__(self, store: Store) -> None:
        self.ship = Ship(PaymentSettings(second_person_above_minor=LIMIT), store=store)
        self.taps: list[TapId] = []
        self.guests: list[GuestRef] = []
        self.known: list[ApprovalId] = []
        self.number = 0

    async def open(self) -> None:
        self.guests = [await self.ship.guest() for _ in range(2)]
        for n in range(CHARGES):
            ref = self.guests[n % 2]
            self.taps.append((await self.ship.charge(self.ship.band(ref), 3000)).request.tap_id)

    async def sail(self, plan: list[tuple[list[Ask], int]]) -> None:
        for asks, pause_s in plan:
            outcomes = await asyncio.gather(*map(self.put, asks), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, Approval):
                    self.known.append(outcome.id)
                elif isinstance(outcome, BaseException):
                    assert isinstance(outcome, Refused | Conflict | NotFound | Busy), repr(outcome)
            self.ship.clock.tick(pause_s)
            await self.check()

    def put(self, ask: Ask) -> Coroutine[Any, Any, object]:
        pay, tap = self.ship.payments, self.taps[ask.at % CHARGES]
        if ask.what in ("approve", "no"):
            id_ = self.known[ask.at % len(self.known)] if self.known else ApprovalId("f" * 32)
            return pay.approve(id_, ask.by) if ask.what == "approve" else pay.refuse(id_, ask.by)
        if ask.what == "refund":
            self.number += 1
            return pay.refund(tap, ask.amount, "cold", ask.by, f"r{self.number % 7}")
        if ask.what == "void":
            return pay.void(tap, "typo", ask.by)
        if ask.what == "dispute":
            return pay.dispute(tap, "not me", ask.by)
        return pay.resolve_dispute(tap, ask.what == "uphold", ask.by)

    async def check(self) -> None:
        def work(tx: Tx) -> None:
            assert check_ledger(tx).ok
            done = [c for tap in self.taps for c in tx.corrections_of(tap)]
            alone = [c for c in done if not c.second]
            by_charge, by_person = Counter[TapId](), Counter[tuple[GuestRef, str]]()
            for c in alone:
                by_charge[c.tap_id] += c.amount_minor
                by_person[c.guest, c.by] += c.amount_minor
            nameless = Counter[GuestRef]()
            for c in alone:
                nameless[c.guest] += c.amount_minor if c.by not in HUMANS else 0
            worst = [total + nameless[ref] for (ref, by), total in by_person.items() if by in HUMANS]
            assert max([*by_charge.values(), *nameless.values(), *worst], default=0) <= LIMIT
            assert all({c.by, c.second} <= HUMANS and c.second != c.by for c in done if c.second)
            approved = [a for a in tx.decided_approvals(10_000) if a.state is ApprovalState.DONE]
            assert sorted(a.id for a in approved) == sorted(str(c.approval) for c in done if c.approval)
            assert all(a.decided_by not in (a.asked_by, a.said_by, "") for a in approved)
            for tap in self.taps:
                charge = tx.charge(tap)
                assert charge is not None
                back = sum(c.amount_minor for c in done if c.tap_id == tap)
                assert back == (3000 if charge.state == "voided" else charge.refunded_minor)

        await self.ship.store.read(work)
        told = await self.ship.events(EventType.APPROVAL_GIVEN)
        assert len({e.payload["approval"] for e in told}) == len(told)


async def sail(store: Store, plan: list[tuple[list[Ask], int]]) -> None:
    desk = Desk(store)
    try:
        await desk.open()
        await desk.sail(plan)
    finally:
        await store.close()


@settings(max_examples=150, deadline=None)
@given(plan=PLANS)
def test_no_one_alone_above_the_limit_and_nothing_twice(plan: list[tuple[list[Ask], int]]) -> None:
    asyncio.run(sail(MemoryStore(), plan))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=PLANS)
def test_on_the_database_as_well(plan: list[tuple[list[Ask], int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(sail(SqliteStore.open(lay_store(Path(folder) / "steward.db"), DATA_KEY), plan))


@pytest.mark.parametrize("seed", range(3))
async def test_a_hundred_approve_one_question_at_once(seed: int, tmp_path: Path) -> None:
    desk = Desk(SqliteStore.open(tmp_path / "steward.db", DATA_KEY))
    await desk.open()
    asked = await desk.ship.payments.refund(desk.taps[seed], 2500, "cold", PEOPLE[0], "r1")
    assert isinstance(asked, Approval)
    crowd = [PEOPLE[n % 3] for n in range(100)]
    answers = await asyncio.gather(*(desk.ship.payments.approve(asked.id, by) for by in crowd), return_exceptions=True)
    assert {getattr(a, "code", None) for a in answers if isinstance(a, Refused)} == {"own_approval", "approval_decided"}
    assert await desk.ship.balance(desk.guests[seed % 2]) == 6000 - 2500
    await desk.check()
    await desk.ship.store.close()
