"""Several gateways of a ship under any partition, loss, repetition, reordering, restart and clock: nothing is passed,
nothing is lost, and when the network heals everybody agrees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.lankit import Fleet
from tests.unit.moneykit import FakeBand

from steward.domain.charges import Charge, ChargeState, Verification
from steward.domain.guests import Band, BandState
from steward.domain.ids import TapId, Uid, uid_from
from steward.domain.replica import Kind, Position
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Store, Tx
from steward.services.audit import check_ledger
from steward.services.replica import position

T = TypeVar("T")
STAY, DAY, VERIFY_ABOVE = 1000, 600, 250
TILLS = ("bar-1", "spa-1", "desk-1")
GATEWAYS = ("bar", "spa", "deck")
LIVE = (ChargeState.HELD, ChargeState.POSTED, ChargeState.DISPUTED)
AMOUNTS = st.one_of(st.sampled_from([1, 100, 250, 251]), st.integers(1, 400))


def ship_day(at_s: int) -> int:
    return (at_s - 5 * 3600) // 86_400


class Ship(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.fleet = Fleet()
        self.bands: list[FakeBand] = []
        self.taps: dict[TapId, tuple[str, Charge]] = {}
        self.frozen: dict[Uid, int] = {}  # the authority's revision of it
        self.positions: dict[str, Position] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        try:
            self.heal()
        finally:
            self.runner.close()

    @initialize()
    def embark(self) -> None:
        for active in (True, False):
            ref = self.run(self.fleet.authority.guest(STAY, DAY, VERIFY_ABOVE))
            band = self.fleet.band(ref, active=active)
            self.bands.append(band)
            made = Band(uid_from(band.uid), ref, 1, active, 1, True, BandState.ISSUED)
            self.run(self.fleet.authority.store.write(lambda tx, made=made: tx.put_band(made)))
        self.run(self.fleet.sync())

    # people

    @rule(who=st.integers(0, 1), till=st.sampled_from(TILLS), amount=AMOUNTS)
    def tap(self, who: int, till: str, amount: int) -> None:
        charge = self.run(self.fleet.charge(till, self.bands[who], amount))
        self.taps[charge.request.tap_id] = (till, charge)

    @rule(who=st.integers(0, 1), till=st.sampled_from(TILLS[:2]), amount=AMOUNTS)
    def ask_first_then_tap(self, who: int, till: str, amount: int) -> None:
        gateway = till.removesuffix("-1")
        self.run(self.fleet[gateway].want(self.bands[who].guest, amount))
        self.run(self.fleet.sync(gateway))
        self.tap(who, till, amount)

    @precondition(lambda self: any(charge.state is ChargeState.HELD for _, charge in self.taps.values()))
    @rule(data=st.data(), matches=st.booleans())
    def look_at_a_photo(self, data: st.DataObject, matches: bool) -> None:
        held = [tap for tap, (_, charge) in self.taps.items() if charge.state is ChargeState.HELD]
        tap_id = data.draw(st.sampled_from(held))
        till, _ = self.taps[tap_id]
        payments = self.fleet.payments_at(till)
        charge = self.run(payments.verify(tap_id, Verification.PHOTO, by="crew", matches=matches))
        self.taps[tap_id] = (till, charge)

    @precondition(lambda self: self.taps)
    @rule(data=st.data(), part=st.integers(1, 900))
    def refund(self, data: st.DataObject, part: int) -> None:
        tap_id = data.draw(st.sampled_from(list(self.taps)))
        try:
            self.run(self.fleet.authority.payments.refund(tap_id, part, "", "crew", f"r{part}"))
        except (Refused, Conflict, NotFound):
            return  # the authority may not have heard of it yet

    @rule(who=st.integers(0, 1), despite=st.booleans())
    def settle(self, who: int, despite: bool) -> None:
        ref = self.bands[who].guest
        try:
            self.run(self.fleet.authority.folio.settle(ref, despite_away=despite))
        except Conflict:
            return

    @precondition(lambda self: len(self.frozen) < 2)
    @rule(who=st.integers(0, 1))
    def freeze(self, who: int) -> None:
        uid = uid_from(self.bands[who].uid)
        if uid not in self.frozen:
            self.run(self.fleet.authority.desk.freeze(uid, "lost", "desk"))
            changes = self.run(self.fleet.authority.store.read(lambda tx: tx.changes(0, 10_000)))
            self.frozen[uid] = next(c.revision for c in changes if (c.kind, c.name) == (Kind.DENY, uid))

    # the network

    @rule(gateway=st.sampled_from(GATEWAYS))
    def cut(self, gateway: str) -> None:
        self.fleet.lan.cut.add(gateway)

    @rule(gateway=st.sampled_from(GATEWAYS))
    def mend(self, gateway: str) -> None:
        self.fleet.lan.cut.discard(gateway)

    @rule(gateway=st.sampled_from(GATEWAYS))
    def sync(self, gateway: str) -> None:
        self.run(self.fleet.sync(gateway))

    @rule(gateway=st.sampled_from(GATEWAYS), what=st.sampled_from(["ask", "up"]))
    def send(self, gateway: str, what: str) -> None:
        follower = self.fleet[gateway]
        self.run(follower.ask() if what == "ask" else follower.send_up(3))

    @rule()
    def tell(self) -> None:
        self.run(self.fleet.authority.peers.tell())

    @precondition(lambda self: self.fleet.lan.flight)
    @rule(data=st.data(), keep=st.booleans())
    def deliver_any(self, data: st.DataObject, keep: bool) -> None:
        """Out of order, and perhaps again later."""
        at = data.draw(st.integers(0, len(self.fleet.lan.flight) - 1))
        message = self.fleet.lan.flight[at] if keep else self.fleet.lan.flight.pop(at)
        self.run(self.fleet.deliver(*message))

    @precondition(lambda self: self.fleet.lan.flight)
    @rule(data=st.data())
    def lose_one(self, data: st.DataObject) -> None:
        self.fleet.lan.flight.pop(data.draw(st.integers(0, len(self.fleet.lan.flight) - 1)))

    # machines

    @rule(gateway=st.sampled_from((*GATEWAYS, "authority")))
    def restart(self, gateway: str) -> None:
        if gateway == "authority":
            self.fleet.authority.restart()
        else:
            self.fleet[gateway].restart()

    @rule(
        gateway=st.sampled_from((*GATEWAYS, "authority")), seconds=st.sampled_from([-86_400, -3600, 130, 3600, 86_400])
    )
    def clock_jumps(self, gateway: str, seconds: int) -> None:
        clock = self.fleet.authority.clock if gateway == "authority" else self.fleet[gateway].clock
        clock.step(seconds)

    @rule(seconds=st.sampled_from([1, 20, 125]))
    def time_passes(self, seconds: int) -> None:
        for clock in (self.fleet.authority.clock, *(f.clock for f in self.fleet.followers.values())):
            clock.tick(seconds)

    # what must always hold

    def stores(self) -> list[Store]:
        return [self.fleet.authority.store, *(follower.store for follower in self.fleet.followers.values())]

    def truth(self) -> dict[TapId, Charge]:
        """Every charge wherever it is; where the authority knows it, as the authority has it."""
        found: dict[TapId, Charge] = {}
        for store in reversed(self.stores()):
            for band in self.bands:
                for charge in self.run(store.read(lambda tx, ref=band.guest: tx.charges_of(ref))):
                    found[charge.request.tap_id] = charge
        return found

    @invariant()
    def no_limit_is_passed(self) -> None:
        truth = self.truth().values()
        for band in self.bands:
            live = [c for c in truth if c.evidence and c.evidence.guest == band.guest and c.state in LIVE]
            assert sum(charge.left_minor for charge in live) <= STAY
            for day in {ship_day(charge.at_s) for charge in live}:
                assert sum(charge.left_minor for charge in live if ship_day(charge.at_s) == day) <= DAY

    @invariant()
    def every_ledger_balances(self) -> None:
        for store in self.stores():
            assert self.run(store.read(lambda tx: tx.ledger_sum())) == 0
        assert self.run(self.fleet.authority.store.read(check_ledger)).ok

    @invariant()
    def a_freeze_that_has_arrived_holds(self) -> None:
        for follower in self.fleet.followers.values():

            def denied(tx: Tx) -> bool:
                heard = position(tx).revision
                return all(tx.denied_at(uid) is not None for uid, at in self.frozen.items() if heard >= at)

            assert self.run(follower.store.read(denied))

    @invariant()
    def nobody_goes_backwards(self) -> None:
        for name, follower in self.fleet.followers.items():
            now = self.run(follower.store.read(position))
            before = self.positions.get(name, Position())
            assert (now.epoch, now.revision) >= (before.epoch, before.revision)
            self.positions[name] = now

    @invariant()
    def an_honest_ship_raises_no_alarm(self) -> None:
        told = set(self.run(self.fleet.alerts()))
        assert told <= {"late_charge", "photo_mismatch"}

    @rule()
    def heal(self) -> None:
        """Everybody can talk again: all that happened is on the folio once, and all agree."""
        self.run(self.fleet.settle_down())
        authority = self.fleet.authority.store
        booked = {tap: c for tap, c in self.truth().items() if c.state not in (ChargeState.HELD, ChargeState.REFUSED)}
        for tap_id, charge in booked.items():
            known = self.run(self.fleet.booked(tap_id))
            assert known is not None
            assert known.request.amount_minor == charge.request.amount_minor
            assert known.request.description == "Two coffees"
        for name in ("bar", "spa"):
            follower = self.fleet[name]
            assert self.run(follower.behind()) == 0
            for band in self.bands:
                self.agree(follower.store, authority, name, band)
        revision = self.run(authority.read(lambda tx: tx.revision()))
        for follower in self.fleet.followers.values():
            assert self.run(follower.store.read(position)).epoch == 1
            assert self.run(follower.store.read(lambda tx: position(tx).revision)) <= revision

    def agree(self, store: Store, authority: Store, name: str, band: FakeBand) -> None:
        ref, uid = band.guest, uid_from(band.uid)
        epoch = self.run(store.read(lambda tx: tx.epoch()))
        grant = self.run(authority.read(lambda tx: tx.grant(name, epoch, ref)))
        escrow = self.run(store.read(lambda tx: tx.escrow(ref)))
        if grant is None or escrow is None:
            assert (grant, escrow) == (None, None)
            return
        assert grant.granted_minor == escrow.granted_minor
        assert grant.returned_minor == escrow.returned_minor == escrow.confirmed_minor
        assert grant.booked_minor == escrow.used_minor
        assert grant.outstanding_minor == escrow.left_minor

        def known(tx: Tx) -> tuple[object, ...]:
            guest = tx.guest(ref)
            assert guest is not None
            counters = (tx.charge_counter(uid, "charge"), tx.charge_counter(uid, "sdm"))
            return (guest.limits, guest.settled, guest.serial, tx.denied_at(uid), tx.band(uid), *counters)

        here, there = self.run(store.read(known)), self.run(authority.read(known))
        assert here[:5] == there[:5]
        assert here[5:] == there[5:]


TestShip = Ship.TestCase
TestShip.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
