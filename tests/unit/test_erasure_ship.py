"""Forgetting a guest on all gateways of a ship: also one that was away, sends late, or is told old things again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.lankit import SHIP, Fleet, Follower
from tests.unit.moneykit import ring

from steward.adapters.keyfile import Role
from steward.domain import ledger
from steward.domain.charges import ChargeState
from steward.domain.erasure import AWAY_MAX_S, Part, Wait
from steward.domain.events import ERASED_PAYLOAD, EventType, fact
from steward.domain.ids import GuestRef
from steward.domain.lanwire import open_changes, seal_changes
from steward.domain.replica import ChangeSet, Forgotten
from steward.ports import Tx
from steward.services.erasure import BY_GUEST, ErasureService, Scene

ROLES = {"bar": Role.TILL, "spa": Role.TILL, "deck": Role.DOOR}


def authority(fleet: Fleet) -> ErasureService:
    scene = Scene(SHIP, "gw1", tuple(fleet.followers), shore=False)
    return ErasureService(fleet.authority.store, fleet.authority.clock, ring(), scene)


async def obey(follower: Follower) -> int:
    """What the gateway's own task does every minute."""
    scene = Scene(SHIP, follower.name, follows=True)
    return await ErasureService(follower.store, follower.clock, ring(ROLES[follower.name]), scene).go_on()


async def stay_with_a_charge(fleet: Fleet) -> GuestRef:
    """A guest who has bought something at the bar's gateway and gone through a door."""
    ref = await fleet.authority.guest()
    await fleet.sync()
    await fleet.sync()
    assert (await fleet.charge("bar-1", fleet.band(ref), 100)).state is ChargeState.POSTED
    opened = fact(EventType.DOOR_OPENED, fleet["deck"].clock.unix_s, guest=ref, serial=1, stays="8104:1")
    await fleet["deck"].store.write(lambda tx: tx.append_event(opened))
    return ref


async def leave(fleet: Fleet, ref: GuestRef, *, despite_away: bool = False) -> None:
    """The folio is settled and the stay is over."""
    await fleet.authority.folio.settle(ref, "purser", despite_away=despite_away)

    def over(tx: Tx) -> None:
        guest = tx.guest(ref)
        assert guest is not None
        tx.put_guest(replace(guest, not_after_s=fleet.authority.clock.unix_s))

    await fleet.authority.store.write(over)


def wait_out(fleet: Fleet) -> None:
    """What a silent till may have spent holds nothing up any more."""
    fleet.authority.clock.tick(AWAY_MAX_S)


async def words_of(follower: Follower, ref: GuestRef) -> list[object]:
    """What a gateway's log still says of a guest."""
    events = await follower.store.read(lambda tx: tx.events(0, 9999))
    return [event.type for event in events if ref in event.payload.values() and event.type != EventType.GUEST_ERASED]


async def is_clean(follower: Follower, ref: GuestRef) -> bool:
    left = await follower.store.read(lambda tx: (tx.rows_of(ref), tx.has_key(ref)))
    return left == ({}, False) and not await words_of(follower, ref)


async def forget(fleet: Fleet, ref: GuestRef) -> None:
    erasure = await authority(fleet).erase(ref, BY_GUEST)
    assert erasure.part is Part.ALL, erasure.waits


async def test_every_gateway_forgets_and_says_so() -> None:
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    await fleet.settle_down()
    await leave(fleet, ref, despite_away=True)
    wait_out(fleet)
    await forget(fleet, ref)
    await fleet.settle_down()
    for follower in fleet.followers.values():
        assert await obey(follower) == 1
        assert await is_clean(follower, ref)
        assert await obey(follower) == 0
    await fleet.settle_down()
    body = (await authority(fleet).certificate(ref))["body"]
    assert [(each["gateway"], each["state"]) for each in body["gateways"]] == [
        (name, "confirmed") for name in sorted(ROLES)
    ]


async def test_what_a_till_may_have_spent_is_waited_for() -> None:
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    fleet.lan.cut.add("bar")
    await leave(fleet, ref, despite_away=True)
    erasure = await authority(fleet).erase(ref, BY_GUEST)
    assert (erasure.part, erasure.waits) == (Part.OPTIONAL, (Wait.GATEWAY_AWAY,))
    fleet.authority.clock.tick(AWAY_MAX_S - 1)
    assert await authority(fleet).go_on() == 0
    fleet.authority.clock.tick(1)
    assert await authority(fleet).go_on() == 1


async def test_a_charge_that_nobody_knows_yet_is_booked_before_its_event_is_emptied() -> None:
    """The till was away for weeks with a charge in its log: money is never wrong quietly, not even theirs."""
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    fleet.lan.cut.add("bar")
    await leave(fleet, ref, despite_away=True)
    wait_out(fleet)
    await forget(fleet, ref)
    assert await obey(fleet["bar"]) == 0  # it has not heard
    fleet.lan.cut.clear()
    bar = fleet["bar"]
    await bar.ask()
    await fleet.deliver_all()
    await fleet.authority.peers.tell()
    await fleet.deliver_all()
    assert not await bar.store.read(lambda tx: tx.guest(ref) is not None)
    assert await obey(bar) == 0  # its charge is still to come
    assert EventType.CHARGE_POSTED in await words_of(bar, ref)
    await fleet.settle_down()
    assert await obey(bar) == 1
    assert await is_clean(bar, ref)

    def books(tx: Tx) -> tuple[int, int, int]:
        account = ledger.guest_account(ref)
        return tx.balance(account), tx.balance(ledger.LATE_CLEARING), tx.ledger_sum()

    assert await fleet.authority.store.read(books) == (0, 100, 0)
    assert "late_charge" in await fleet.alerts()
    assert not await fleet.authority.store.read(lambda tx: tx.rows_of(ref))
    assert await fleet.authority.store.read(lambda tx: [c.request.description for c in tx.charges_of(ref)]) == [""]


async def test_an_acknowledgement_that_comes_after_the_order_lets_it_go_on() -> None:
    """A batch is in flight when the order comes: its events are emptied once it is acknowledged, and not before."""
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    await fleet.settle_down()
    door = fleet["deck"]
    late = fact(EventType.DOOR_OPENED, door.clock.unix_s, guest=ref, serial=1, stays="8104:1")
    await door.store.write(lambda tx: tx.append_event(late))
    await door.send_up()
    in_flight, fleet.lan.flight = fleet.lan.flight, []
    await leave(fleet, ref, despite_away=True)
    wait_out(fleet)
    await forget(fleet, ref)
    await fleet.authority.peers.tell()
    await door.ask()
    await fleet.deliver_all()
    await fleet.authority.peers.tell()
    await fleet.deliver_all()
    assert await obey(door) == 0
    for topic, payload in in_flight:
        await fleet.deliver(topic, payload)
    await fleet.deliver_all()
    assert await obey(door) == 1
    assert await is_clean(door, ref)


async def test_old_records_told_again_bring_nobody_back() -> None:
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    await fleet.settle_down()
    spa = fleet["spa"]
    guest = await fleet.authority.store.read(lambda tx: tx.guest(ref))
    assert guest is not None
    await leave(fleet, ref, despite_away=True)
    wait_out(fleet)
    await forget(fleet, ref)
    await fleet.settle_down()
    assert await obey(spa) == 1
    await _tell(fleet, spa, replace(guest, booking=""))
    assert await is_clean(spa, ref)


async def _tell(fleet: Fleet, follower: Follower, *rows: object) -> None:
    """A change set of the authority's, put together by hand, right behind what the gateway has."""
    have = (await follower.replica.question()).have
    changes = ChangeSet(SHIP, follower.name, have.epoch, have.revision, have.revision + 1, 0, rows)  # type: ignore[arg-type]
    await follower.replica.hear(seal_changes(changes, ring().sign_lan))


async def test_a_record_that_comes_with_the_order_or_between_its_steps_is_not_taken_in() -> None:
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    await fleet.sync("spa")
    guest = await fleet.authority.store.read(lambda tx: tx.guest(ref))
    assert guest is not None
    spa, told = fleet["spa"], replace(guest, booking="")
    await _tell(fleet, spa, Forgotten(ref, "c" * 32, Part.ALL, 1), told)
    assert await spa.store.read(lambda tx: tx.guest(ref)) is None
    await _tell(fleet, spa, told)
    assert await spa.store.read(lambda tx: tx.guest(ref)) is None


async def test_the_same_order_twice_is_one() -> None:
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    await fleet.settle_down()
    spa = fleet["spa"]
    order = Forgotten(ref, "c" * 32, Part.ALL, 1)
    await _tell(fleet, spa, order)
    assert await obey(spa) == 1
    await _tell(fleet, spa, order, Forgotten(ref, "c" * 32, Part.OPTIONAL, 1))
    assert await obey(spa) == 0
    erased = [e for e in await spa.store.read(lambda tx: tx.events(0, 999)) if e.type is EventType.GUEST_ERASED]
    assert len(erased) == 1


async def test_the_first_part_leaves_what_tills_and_doors_need() -> None:
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    await fleet.settle_down()
    erasure = await authority(fleet).erase(ref, BY_GUEST)
    assert erasure.part is Part.OPTIONAL
    await fleet.settle_down()
    for follower in fleet.followers.values():
        assert await obey(follower) == 1
    bar = fleet["bar"]
    assert await bar.store.read(lambda tx: tx.guest(ref) is not None)
    assert not await words_of(bar, ref)
    assert (await fleet.charge("bar-1", fleet.band(ref), 50)).state is ChargeState.POSTED
    await fleet.settle_down()
    assert await fleet.authority.store.read(lambda tx: tx.balance(ledger.guest_account(ref))) == 150
    said = await bar.store.read(lambda tx: tx.consents_of(ref))
    assert said
    assert not any(word.given for word in said)


async def test_a_follower_is_told_in_bytes_that_it_reads_back() -> None:
    word = Forgotten(GuestRef("a" * 16), "b" * 32, Part.ALL, 1_800_000_000)
    changes = ChangeSet(SHIP, "spa", 1, 0, 1, 0, (word,))
    assert open_changes(seal_changes(changes, ring().sign_lan), SHIP, "spa", ring().verify_lan) == changes


@pytest.mark.parametrize("part", [0, 3, "all"])
async def test_a_gateway_that_claims_nonsense_is_not_believed(part: int | str) -> None:
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    await fleet.settle_down()
    await authority(fleet).erase(ref, BY_GUEST)
    claim = fact(EventType.GUEST_ERASED, 1, ref=ref, certificate="c" * 32, part=part, gateway="bar")
    stranger = fact(EventType.GUEST_ERASED, 1, ref="f" * 16, certificate="c" * 32, part=2, gateway="bar")
    await fleet["bar"].store.write(lambda tx: (tx.append_event(claim), tx.append_event(stranger)))
    await fleet.settle_down()
    assert list(await fleet.authority.store.read(lambda tx: tx.obeyed(ref))) == []
    assert list(await fleet.authority.store.read(lambda tx: tx.obeyed(GuestRef("f" * 16)))) == []


async def test_what_a_forgotten_band_does_at_a_door_is_in_no_log() -> None:
    fleet = Fleet()
    ref = await stay_with_a_charge(fleet)
    await fleet.settle_down()
    await leave(fleet, ref, despite_away=True)
    wait_out(fleet)
    await forget(fleet, ref)
    await fleet.settle_down()
    door = fleet["deck"]
    assert await obey(door) == 1
    refused = fact(EventType.DOOR_REFUSED, 1, guest=ref, uid="04" * 7, code="expired")
    seq = await door.store.write(lambda tx: tx.append_event(refused))
    kept = (await door.store.read(lambda tx: tx.events(seq - 1, 1)))[0]
    assert dict(kept.payload) == ERASED_PAYLOAD
