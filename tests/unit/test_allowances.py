"""Allowances between an authority and till gateways, message by message."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.lankit import Fleet
from tests.unit.moneykit import FakeBand

from steward.adapters.memory import MemoryStore
from steward.domain.charges import Charge, ChargeState, Verification
from steward.domain.events import EventType
from steward.domain.guests import Band, BandState, Limits
from steward.domain.ids import GuestRef, TillId, Uid
from steward.domain.ledger import LATE_CLEARING, guest_account
from steward.domain.replica import MemberRole
from steward.errors import Refused
from steward.services.allowances import AllowancesOut, Member
from steward.services.audit import check_ledger
from steward.services.replica import position


async def aboard(fleet: Fleet, **limits: int) -> tuple[GuestRef, FakeBand]:
    ref = await fleet.authority.guest(**limits)
    await fleet.sync()
    return ref, fleet.band(ref)


async def test_a_new_guest_has_an_advance_at_every_till_gateway_before_anything_was_asked() -> None:
    fleet = Fleet()
    ref, _ = await aboard(fleet)
    assert (await fleet["bar"].left(ref), await fleet["spa"].left(ref)) == (300, 300)
    assert await fleet.outstanding(ref) == 600


async def test_a_charge_out_of_the_allowance_reaches_the_folio_once_with_its_description() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet)
    charge = await fleet.charge("bar-1", band, 250)
    assert charge.code == "posted"
    await fleet.sync()
    await fleet.sync()
    booked = await fleet.booked(charge.request.tap_id)
    assert booked is not None
    assert (booked.state, booked.request) == (ChargeState.POSTED, replace(charge.request, allow_duplicate=False))
    assert booked.evidence is not None
    assert booked.evidence.verified is True
    assert await fleet.authority.store.read(lambda tx: tx.balance(guest_account(ref))) == 250
    assert (await fleet.authority.store.read(check_ledger)).ok
    assert await fleet["bar"].store.read(lambda tx: tx.words(9)) == []


async def test_cut_off_a_till_spends_what_it_has_and_no_more() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet)
    fleet.lan.cut.add("bar")
    assert [(await fleet.charge("bar-1", band, 200)).code for _ in range(3)] == [
        *("posted", "allowance_exceeded", "allowance_exceeded")
    ]
    assert (await fleet.charge("bar-1", band, 100)).code == "posted"
    assert await fleet["bar"].left(ref) == 0
    await fleet.settle_down()
    assert await fleet.authority.store.read(lambda tx: tx.balance(guest_account(ref))) == 300


async def test_what_is_needed_is_granted_with_something_beyond_it() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet)
    await fleet["bar"].want(ref, 1000)
    await fleet.sync("bar")
    assert await fleet["bar"].left(ref) == 1400  # 1000 and grant_minor
    assert (await fleet.charge("bar-1", band, 1000)).code == "posted"


async def test_what_another_gateway_does_not_need_is_recalled_for_who_does() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet, day_minor=1000)
    assert await fleet["spa"].left(ref) == 109  # an eighth of what was left
    await fleet["bar"].want(ref, 1000)
    for _ in range(3):
        await fleet.sync("bar")
        await fleet.sync("spa")
        await fleet["bar"].want(ref, 1000)
    assert (await fleet["bar"].left(ref), await fleet["spa"].left(ref)) == (1000, 0)
    assert (await fleet.charge("bar-1", band, 1000)).code == "posted"
    assert (await fleet.charge("spa-1", band, 1)).code == "allowance_exceeded"
    returned = await fleet.events(EventType.ALLOWANCE_RETURNED)
    assert [(e.payload["gateway"], e.payload["amount_minor"]) for e in returned] == [("spa", 109)]


async def test_the_authority_counts_what_is_out_as_spent() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet, day_minor=1000)
    out = await fleet.outstanding(ref)
    assert out == 125 + 109
    assert (await fleet.charge("desk-1", band, 1001 - out)).code == "day_limit"
    assert (await fleet.charge("desk-1", band, 1000 - out)).code == "posted"


async def test_the_till_is_told_which_limit_it_is() -> None:
    fleet = Fleet()
    ref, _ = await aboard(fleet, day_minor=1000)
    fleet.lan.cut.add("spa")
    fleet.authority.clock.tick(60)  # spa is away
    await fleet["bar"].want(ref, 1000)
    await fleet.sync("bar")
    escrow = await fleet["bar"].store.read(lambda tx: tx.escrow(ref))
    assert escrow is not None
    assert (escrow.why, escrow.left_minor) == ("day_limit", 891)


async def test_settlement_gathers_what_is_out_and_waits_for_charges() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet)
    await fleet.charge("bar-1", band, 250)
    with pytest.raises(AllowancesOut) as out:
        await fleet.authority.folio.settle(ref)
    assert out.value.gateways == ("bar", "spa")
    await fleet.sync()
    await fleet.sync()
    assert await fleet.outstanding(ref) == 0
    done = await fleet.authority.folio.settle(ref)
    assert done.settled_minor == 250
    await fleet.sync()
    assert (await fleet.charge("bar-1", band, 1)).code == "folio_settled"


async def test_a_late_charge_is_listed_and_the_settled_folio_stays_at_zero() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet)
    fleet.lan.cut.add("bar")
    late = [await fleet.charge("bar-1", band, amount) for amount in (200, 100)]
    done = await fleet.authority.folio.settle(ref, despite_away=True)
    assert done.settled_minor == 0
    await fleet.settle_down()
    authority = fleet.authority
    listed = await authority.folio.late_charges()
    assert [(x.charge.request.tap_id, x.open_minor) for x in listed] == [
        (c.request.tap_id, c.request.amount_minor) for c in late
    ]
    assert (await authority.store.read(check_ledger)).ok
    assert await authority.folio.collect_late(late[0].request.tap_id, "purser-1") == 200
    assert await authority.folio.collect_late(late[0].request.tap_id, "purser-1") == 0
    await authority.payments.refund(late[1].request.tap_id, 100, "forgiven", "purser-1", "r1")
    assert await authority.folio.late_charges() == []
    assert await authority.store.read(lambda tx: tx.balance(LATE_CLEARING)) == 0
    assert (await authority.store.read(check_ledger)).ok
    # Collected, it was paid: refunded now, the money goes back on the card.
    await authority.payments.refund(late[0].request.tap_id, 200, "cold", "purser-1", "r2")
    assert (await authority.store.read(check_ledger)).ok
    assert await authority.store.read(lambda tx: tx.balance(LATE_CLEARING)) == 0


async def test_folios_are_kept_at_the_authority_only() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet)
    charge = await fleet.charge("bar-1", band, 100)
    bar = fleet["bar"]
    for wrong in (
        bar.payments.void(charge.request.tap_id, "", "x"),
        bar.payments.refund(charge.request.tap_id, 1, "", "x", "r"),
        bar.payments.dispute(charge.request.tap_id, ""),
        bar.payments.resolve_dispute(charge.request.tap_id, False, "x"),
        bar.folio.deposit(ref, 1, "d"),
        bar.folio.settle(ref),
        bar.checkin.set_pin(ref, "1234"),
    ):
        with pytest.raises(Refused, match="authority_only"):
            await wrong


async def test_a_clock_that_is_a_day_behind_spends_nothing_of_today() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet)
    fleet["bar"].clock.step(-86_400)
    assert (await fleet.charge("bar-1", band, 100)).code == "allowance_exceeded"
    fleet["bar"].clock.step(86_400)
    assert (await fleet.charge("bar-1", band, 100)).code == "posted"
    assert ref == band.guest


async def test_a_lowered_limit_calls_back_what_is_out() -> None:
    fleet = Fleet()
    ref, _ = await aboard(fleet)
    guest = await fleet.authority.store.read(lambda tx: tx.guest(ref))
    assert guest is not None
    await fleet.authority.desk.set_limits(ref, Limits(100, 100, 100), "desk")
    for _ in range(3):
        await fleet.sync()
    assert await fleet.outstanding(ref) <= 100


async def test_a_gateway_that_lost_its_disk_begins_at_nothing() -> None:
    fleet = Fleet()
    ref, band = await aboard(fleet)
    await fleet.charge("bar-1", band, 300)
    fleet["bar"].disk = MemoryStore(first_epoch=77)
    fleet["bar"].restart()
    await fleet.sync()
    # Its old allowance stays reserved: those charges may exist somewhere. A fresh advance is granted to the new disk.
    grants = await fleet.authority.store.read(lambda tx: [g for g in tx.grants_of(ref) if g.gateway == "bar"])
    assert [(g.epoch, g.outstanding_minor) for g in grants] == [(1, 300), (77, 300)]
    assert await fleet["bar"].left(ref) == 300


async def held(fleet: Fleet) -> tuple[GuestRef, Charge]:
    """A charge of 200 out of 300 that waits for a photo at the bar."""
    ref = await fleet.authority.guest(verify_above_minor=150)
    await fleet.sync()
    charge = await fleet.charge("bar-1", fleet.band(ref), 200)
    assert charge.state is ChargeState.HELD
    return ref, charge


async def test_what_is_held_is_not_given_back_and_can_still_be_released() -> None:
    fleet = Fleet()
    ref, charge = await held(fleet)
    with pytest.raises(AllowancesOut):
        await fleet.authority.folio.settle(ref)
    await fleet.sync()
    await fleet.sync()
    assert await fleet.outstanding(ref) == 200
    released = await fleet["bar"].payments.verify(charge.request.tap_id, Verification.PHOTO, by="crew-1")
    assert released.code == "posted"
    await fleet.sync()
    assert await fleet.outstanding(ref) == 0
    assert (await fleet.authority.folio.settle(ref)).settled_minor == 200


async def test_what_was_held_too_long_is_given_back_after_all() -> None:
    fleet = Fleet()
    ref, charge = await held(fleet)
    with pytest.raises(AllowancesOut):
        await fleet.authority.folio.settle(ref)
    await fleet.sync()
    for clock in (fleet.authority.clock, fleet["bar"].clock):
        clock.tick(121)
    await fleet.sync()
    await fleet.sync()
    assert await fleet.outstanding(ref) == 0
    assert (await fleet["bar"].payments.status(charge.request.tap_id)).code == "hold_expired"


async def test_two_charges_do_not_share_what_one_of_them_holds() -> None:
    fleet = Fleet()
    ref, charge = await held(fleet)
    assert (await fleet.charge("bar-1", fleet.band(ref), 101)).code == "allowance_exceeded"
    assert (await fleet.charge("bar-1", fleet.band(ref), 100)).code == "posted"
    released = await fleet["bar"].payments.verify(charge.request.tap_id, Verification.PHOTO, by="crew-1")
    assert released.code == "posted"
    assert await fleet["bar"].left(ref) == 0


async def test_a_freeze_asked_at_an_encoder_reaches_everybody() -> None:
    desk = Member("desk", MemberRole.ENCODER)
    fleet = Fleet(Member("bar", MemberRole.TILL, frozenset({TillId("bar-1")})), Member("deck", MemberRole.DOOR), desk)
    ref = await fleet.authority.guest()
    await fleet.sync()
    uid = Uid("04AABBCCDDEEFF")
    band = Band(uid, ref, 1, True, 1, True, BandState.ISSUED)
    await fleet.authority.store.write(lambda tx: tx.put_band(band))
    await fleet.sync()
    await fleet["desk"].checkin.freeze(uid, "lost", "desk")
    await fleet.sync()
    await fleet.sync()
    for name in ("bar", "deck", "desk"):
        assert await fleet[name].store.read(lambda tx: tx.denied_at(uid)) is not None
    known = await fleet.authority.store.read(lambda tx: tx.band(uid))
    assert known is not None
    assert known.state is BandState.FROZEN


async def test_a_new_epoch_of_the_authority_is_followed_from_its_beginning() -> None:
    """Restored from a backup, its revisions begin lower; nobody mistakes them for old ones, and no freeze is lost."""
    fleet = Fleet()
    ref, _ = await aboard(fleet)
    uid = Uid("04AABBCCDDEEFF")
    await fleet.authority.store.write(lambda tx: tx.deny(uid, 1, "lost"))
    await fleet.sync()
    fleet.authority.disk = MemoryStore(first_epoch=5)
    fleet.authority.restart()
    again = await fleet.authority.guest()
    await fleet.sync()
    assert await fleet["bar"].store.read(lambda tx: position(tx).epoch) == 5
    assert await fleet["bar"].store.read(lambda tx: tx.guest(again)) is not None
    assert await fleet["bar"].store.read(lambda tx: tx.denied_at(uid)) == 1
    assert ref


async def test_an_authority_that_comes_back_has_everybody_ask() -> None:
    fleet = Fleet()
    ref, _ = await aboard(fleet)
    fleet.authority.restart()
    uid = Uid("04AABBCCDDEEFF")
    await fleet.authority.store.write(lambda tx: tx.deny(uid, 1, "lost"))
    await fleet.authority.peers.tell()
    assert fleet.lan.flight == []  # it does not know of anybody yet
    await fleet.authority.peers.greet()
    before = {name: await fleet[name].store.read(position) for name in ("bar", "deck")}
    asked: list[str] = []
    for name in before:
        fleet[name].replica.ask = lambda name=name: asked.append(name) is None  # type: ignore[method-assign,misc]
    await fleet.deliver_all()
    assert asked == ["bar", "deck"]
    assert {name: await fleet[name].store.read(position) for name in before} == before
    await fleet.sync()
    assert await fleet["deck"].store.read(lambda tx: tx.denied_at(uid)) == 1
    assert ref
