"""Any sequence of taps, corrections, deposits, settlements, repeats and clock steps, against a model in plain sums."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from tests.unit.moneykit import FakeBand, Ship
from tests.vaultkit import DATA_KEY, lay_store

from steward.adapters.memory import MemoryStore
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.charges import Charge, ChargeRequest, ChargeState, TapFacts, Verification
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, TapId
from steward.domain.ledger import TransactionKind, guest_account, posted_to
from steward.errors import Conflict, Refused
from steward.ports import Store
from steward.services.folio import ChargesHeld

T = TypeVar("T")
STAY, DAY, VERIFY_ABOVE, WINDOW_S, HOLD_S = 6000, 3000, 1500, 20, 120
AMOUNTS = st.one_of(st.sampled_from([1, 100, 1500, 1501, 3000, 3001]), st.integers(1, 3100))
STEPS = st.sampled_from([0, 1, 19, 21, 119, 125, 3600, 86_400, -1, -30, -125, -3600, -86_400])
LIVE = ("held", "posted", "disputed")


@dataclass
class Tap:
    """What the model knows of one charge."""

    request: ChargeRequest
    facts: TapFacts
    ref: GuestRef
    at_s: int
    state: str
    refunded: int = 0

    @property
    def counts(self) -> int:
        return self.request.amount_minor - self.refunded if self.state in LIVE else 0


@dataclass
class Folio:
    child: bool
    deposits: int = 0
    settled: bool = False


def ship_day(at_s: int) -> int:
    """05:00 UTC, worked out by counting rather than by the formula under test."""
    midnight = at_s - at_s % 86_400
    five = midnight + 5 * 3600
    return five if at_s >= five else five - 86_400


class Money(RuleBasedStateMachine):
    taps = Bundle("taps")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.ship = Ship(store=self.open_store())
        self.folios: dict[GuestRef, Folio] = {}
        self.bands: dict[GuestRef, FakeBand] = {}
        self.model: dict[TapId, Tap] = {}
        self.refunds: dict[tuple[TapId, str], int] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def open_store(self) -> Store:
        return MemoryStore()

    def teardown(self) -> None:
        self.run(self.ship.store.close())
        self.runner.close()

    @initialize()
    def embark(self) -> None:
        for child, active in ((False, True), (True, False)):
            ref = self.run(self.ship.guest(STAY, DAY, VERIFY_ABOVE, child=child))
            self.folios[ref] = Folio(child)
            self.bands[ref] = self.ship.band(ref, active=active)

    # the model's own view

    def now(self) -> int:
        return self.ship.clock.unix_s

    def stale(self, tap: Tap) -> bool:
        return tap.state == "held" and not -HOLD_S <= self.now() - tap.at_s <= HOLD_S

    def expected(self, ref: GuestRef, request: ChargeRequest) -> str:
        """The code this tap must get. An expired hold no longer counts, noticed or not."""
        folio = self.folios[ref]
        mine = [tap for tap in self.model.values() if tap.ref == ref and not self.stale(tap)]
        if folio.settled:
            return "folio_settled"
        if folio.child and request.age_restricted:
            return "age_restricted"
        twin = any(
            tap.state in ("held", "posted")
            and tap.request.till == request.till
            and tap.request.amount_minor == request.amount_minor
            and tap.at_s >= self.now() - WINDOW_S
            for tap in mine
        )
        if twin and not request.allow_duplicate:
            return "duplicate_tap"
        over_day = request.amount_minor + sum(t.counts for t in mine if t.at_s >= ship_day(self.now())) > DAY
        over_stay = request.amount_minor + sum(t.counts for t in mine) > STAY
        if over_day or over_stay:
            return "child_limit" if folio.child else "day_limit" if over_day else "stay_limit"
        return "verification_required" if request.amount_minor > VERIFY_ABOVE else "posted"

    def follow(self, tap: Tap, charge: Charge) -> None:
        """Take over a charge's new state after the rule has checked that it is the expected one."""
        tap.state = charge.state.value
        tap.refunded = charge.refunded_minor

    # what may happen

    @rule(
        target=taps,
        who=st.integers(0, 1),
        amount=AMOUNTS,
        till=st.sampled_from(["bar-1", "bar-2"]),
        meant=st.booleans(),
        adult_only=st.booleans(),
    )
    def tap(self, who: int, amount: int, till: str, meant: bool, adult_only: bool) -> Any:
        ref = list(self.folios)[who]
        request = self.ship.ask(amount, till, allow_duplicate=meant, age_restricted=adult_only)
        expected = self.expected(ref, request)
        self.run(self.ship.payments.request(request))
        facts = self.bands[ref].tap(request)
        charge = self.run(self.ship.payments.book(request, facts))
        assert charge.code == expected
        assert (charge.state is ChargeState.REFUSED) == (expected not in ("posted", "verification_required"))
        self.model[request.tap_id] = Tap(request, facts, ref, self.now(), charge.state.value)
        return request.tap_id

    @rule(who=st.integers(0, 1), amount=AMOUNTS)
    def forged_tap(self, who: int, amount: int) -> None:
        ref = list(self.folios)[who]
        request = self.ship.ask(amount)
        seen = replace(self.bands[ref].read(request), mac=b"\0" * 8)
        assert self.run(self.ship.payments.book(request, TapFacts(seen))).code == "bad_charge_signature"

    @rule(tap_id=taps, restart=st.booleans(), change=st.integers(0, 2))
    def replay(self, tap_id: TapId, restart: bool, change: int) -> None:
        tap = self.model[tap_id]
        if restart:
            self.ship.restart()
        request = replace(tap.request, amount_minor=tap.request.amount_minor + change)
        try:
            charge = self.run(self.ship.payments.book(request, tap.facts))
        except Conflict:
            assert change
        else:
            assert not change
            assert charge.state.value == tap.state or self.stale(tap)

    @rule(tap_id=taps, matches=st.booleans())
    def look_at_photo(self, tap_id: TapId, matches: bool) -> None:
        tap = self.model[tap_id]
        was, stale = tap.state, self.stale(tap)
        charge = self.run(self.ship.payments.verify(tap_id, Verification.PHOTO, by="crew-1", matches=matches))
        if was != "held":
            assert charge.state.value == was
        elif stale:
            assert charge.code == "hold_expired"
        elif not matches:
            assert charge.code == "photo_mismatch"
        else:
            assert charge.code in ("posted", "day_limit", "child_limit", "stay_limit")
        self.follow(tap, charge)

    @rule(tap_id=taps)
    def cancel(self, tap_id: TapId) -> None:
        tap = self.model[tap_id]
        try:
            status = self.run(self.ship.payments.cancel(tap_id))
        except Conflict:
            assert tap.state not in ("held", "refused")
        else:
            assert tap.state in ("held", "refused")
            assert status.charge is not None
            assert status.charge.state is ChargeState.REFUSED
            tap.state = "refused"

    @rule(tap_id=taps)
    def void(self, tap_id: TapId) -> None:
        tap = self.model[tap_id]
        same_day = tap.at_s >= ship_day(self.now())
        allowed = tap.state == "posted" and not tap.refunded and same_day and not self.folios[tap.ref].settled
        try:
            charge = self.run(self.ship.payments.void(tap_id, "typo", "crew-1"))
        except Refused:
            assert not allowed
            assert tap.state != "voided"
        else:
            assert allowed or tap.state == "voided"
            self.follow(tap, charge)

    @rule(tap_id=taps, amount=AMOUNTS, name=st.sampled_from(["r1", "r2", "r3"]))
    def refund(self, tap_id: TapId, amount: int, name: str) -> None:
        tap = self.model[tap_id]
        before = self.refunds.get((tap_id, name))
        left = tap.request.amount_minor - tap.refunded
        try:
            charge = self.run(self.ship.payments.refund(tap_id, amount, "cold", "crew-1", name))
        except Conflict:
            assert before not in (None, amount)
        except Refused:
            assert before is None
            assert tap.state != "posted" or amount > left
        else:
            if before is None:
                assert tap.state == "posted"
                assert amount <= left
                assert charge.refunded_minor == tap.refunded + amount
                self.refunds[tap_id, name] = amount
            else:
                assert charge.refunded_minor == tap.refunded
            self.follow(tap, charge)

    @rule(tap_id=taps)
    def refund_the_rest(self, tap_id: TapId) -> None:
        tap = self.model[tap_id]
        left = tap.request.amount_minor - tap.refunded
        if tap.state == "posted" and (tap_id, "rest") not in self.refunds:
            self.refund(tap_id, left, "rest")
            assert tap.state == "refunded"

    @rule(tap_id=taps)
    def dispute(self, tap_id: TapId) -> None:
        tap = self.model[tap_id]
        try:
            charge = self.run(self.ship.payments.dispute(tap_id, "I was ashore"))
        except Refused:
            assert tap.state not in ("posted", "disputed")
        else:
            assert tap.state in ("posted", "disputed")
            self.follow(tap, charge)

    @rule(tap_id=taps, uphold=st.booleans())
    def resolve(self, tap_id: TapId, uphold: bool) -> None:
        tap = self.model[tap_id]
        try:
            charge = self.run(self.ship.payments.resolve_dispute(tap_id, uphold, "crew-1"))
        except Refused:
            assert tap.state != "disputed"
        else:
            if tap.state == "disputed":
                assert charge.state.value == ("refunded" if uphold else "posted")
            else:
                assert charge.state.value == tap.state
            self.follow(tap, charge)

    @rule(who=st.integers(0, 1), amount=AMOUNTS, name=st.sampled_from(["d1", "d2"]))
    def deposit(self, who: int, amount: int, name: str) -> None:
        ref = list(self.folios)[who]
        folio = self.folios[ref]
        key = (TapId(ref), name)
        before = self.refunds.get(key)
        try:
            self.run(self.ship.folio.deposit(ref, amount, name))
        except Conflict:
            assert before not in (None, amount)
        except Refused:
            assert folio.settled
            assert before is None
        else:
            if before is None:
                assert not folio.settled
                self.refunds[key] = amount
                folio.deposits += amount
            assert self.refunds[key] == amount

    @rule(who=st.integers(0, 1))
    def settle(self, who: int) -> None:
        ref = list(self.folios)[who]
        folio = self.folios[ref]
        mine = [tap for tap in self.model.values() if tap.ref == ref]
        owed = sum(tap.counts for tap in mine if tap.state != "held") - folio.deposits
        waiting = {tap.request.tap_id for tap in mine if tap.state == "held" and not self.stale(tap)}
        listed: set[TapId] = set()
        try:
            done = self.run(self.ship.folio.settle(ref))
        except ChargesHeld as held:
            listed = set(held.tap_ids)
        assert listed == waiting
        if not listed:
            assert done.repeated == folio.settled
            if not folio.settled:
                assert done.settled_minor - done.returned_minor == owed
                assert 0 in (done.settled_minor, done.returned_minor)
            folio.settled = True

    @rule(tap_id=consumes(taps))
    def forget(self, tap_id: TapId) -> None:
        """Leave this one as it is, so that later rules favour newer taps."""
        assert tap_id in self.model

    @rule(seconds=STEPS)
    def step_clock(self, seconds: int) -> None:
        self.ship.clock.step(seconds)

    # what must always hold

    @invariant()
    def the_books_balance(self) -> None:
        assert self.run(self.ship.ledger_sum()) == 0

    @invariant()
    def charges_are_as_the_model_says(self) -> None:
        for tap_id, tap in self.model.items():
            charge = self.run(self.ship.stored(tap_id))
            assert charge is not None
            if charge.state.value != tap.state:
                assert self.stale(tap)
                assert charge.code == "hold_expired"
                tap.state = "refused"
            assert charge.refunded_minor == tap.refunded <= tap.request.amount_minor

    @invariant()
    def folios_are_as_the_model_says(self) -> None:
        for ref, folio in self.folios.items():
            balance = self.run(self.ship.balance(ref))
            on_folio = sum(t.counts for t in self.model.values() if t.ref == ref and t.state != "held")
            assert balance == (0 if folio.settled else on_folio - folio.deposits)
            told = self.run(self.ship.folio.statement(ref)).totals
            credit = told.credited_minor + told.deposits_minor - told.returned_minor + told.settled_minor
            assert told.charged_minor - credit == told.balance_minor == balance

    @invariant()
    def no_limit_is_passed_and_no_tap_counts_twice(self) -> None:
        for ref in self.folios:
            mine = [tap for tap in self.model.values() if tap.ref == ref]
            assert sum(tap.counts for tap in mine) <= STAY
            for day in {ship_day(tap.at_s) for tap in mine}:
                assert sum(tap.counts for tap in mine if ship_day(tap.at_s) == day) <= DAY
            booked = self.run(self.ship.store.read(lambda tx, ref=ref: tx.ledger_of(guest_account(ref))))
            charged = [t for t in booked if t.kind is TransactionKind.CHARGE]
            assert len({t.tap_id for t in charged}) == len(charged)
            for tap_id in {t.tap_id for t in booked if t.tap_id is not None}:
                part = [t for t in booked if t.tap_id == tap_id]
                undone = [t for t in part if t.kind in (TransactionKind.VOID, TransactionKind.REFUND)]
                sold = [t for t in part if t.kind is TransactionKind.CHARGE]
                account = guest_account(ref)
                assert 0 <= -posted_to(account, undone) <= posted_to(account, sold)

    @invariant()
    def every_posting_has_its_event(self) -> None:
        posted = self.run(self.ship.events(EventType.CHARGE_POSTED))
        taps = [event.payload["tap_id"] for event in posted]
        assert len(set(taps)) == len(taps)
        ever = {t for t, tap in self.model.items() if tap.state in ("posted", "voided", "refunded", "disputed")}
        assert set(taps) == ever


class MoneyOnDisk(Money):
    """The same on SQLite: fewer runs, because each writes to a disk."""

    def open_store(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStore.open(lay_store(Path(self.folder.name) / "steward.db"), DATA_KEY)

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestMoney = Money.TestCase
TestMoney.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

TestMoneyOnDisk = MoneyOnDisk.TestCase
TestMoneyOnDisk.settings = settings(
    max_examples=8, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
