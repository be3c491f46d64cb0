"""A stolen till gateway that still has its key: what it can do to others' guests, money and words is bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.attack.lanattacks import aboard, events_of, true_charge
from tests.attack.test_lan_attacks import say
from tests.unit.lankit import SHIP, Fleet, up
from tests.unit.moneykit import NOON_S

from steward.domain.allowance import Report
from steward.domain.batches import Batch, encode_batch
from steward.domain.charges import ChargeState
from steward.domain.events import EventType, StoredEvent
from steward.domain.evidence import charge_payload
from steward.domain.ids import GuestRef, TapId
from steward.domain.lanwire import encode_ask
from steward.domain.peerepoch import AHEAD_S, DAY_S, NEW_A_DAY, Stores, take_up
from steward.domain.replica import WORDS_MAX, Ask, Position, ask_topic
from steward.services import needs, peerwords
from steward.services.peerbooks import STREAMS_MAX

DISK = 1  # the store of "bar" in lankit


async def ask(fleet: Fleet, epoch: int, *reports: Report, name: str = "bar", number: int = 1) -> None:
    boot = b"lie" + (epoch % 2**40).to_bytes(5, "big")
    question = Ask(SHIP, name, boot, number, epoch, Position(1, 0), reports)
    await fleet.authority.peers.hear(ask_topic(SHIP, name), encode_ask(question))


async def tell(fleet: Fleet, epoch: int, *events: StoredEvent, name: str = "bar", prev: int = 0) -> None:
    batch = Batch(SHIP, name, epoch, 1, 3, events, events[-1].seq if events else 0, prev)
    await fleet.authority.peers.hear(up(name), encode_batch(batch))


async def reserved(fleet: Fleet, ref: GuestRef, name: str = "bar") -> list[int]:
    """The stores of a gateway that something is granted to."""
    grants = await fleet.authority.store.read(lambda tx: tx.grants_of(ref))
    return sorted(grant.epoch for grant in grants if grant.gateway == name)


async def still_served(fleet: Fleet, ref: GuestRef) -> None:
    """The other till goes on as if nothing were."""
    charge = await fleet.charge("spa-1", fleet.band(ref), 200)
    assert charge.state is ChargeState.POSTED
    await fleet.sync("spa")
    assert await fleet.booked(charge.request.tap_id) is not None


# one store after another


@pytest.mark.parametrize("by", ["questions", "batches"])
async def test_a_new_store_again_and_again_is_refused_and_told(by: str) -> None:
    fleet, ref, _ = await aboard()
    for epoch in range(2, 200):
        await (ask(fleet, epoch) if by == "questions" else tell(fleet, epoch))
        await fleet.authority.peers.tell()
    taken_up = [DISK, *range(2, 2 + NEW_A_DAY)]
    assert await reserved(fleet, ref) == (taken_up if by == "questions" else [DISK])
    streams = await fleet.authority.store.read(lambda tx: tx.peer_streams("bar"))
    assert max([*streams, DISK]) < 2 + NEW_A_DAY
    assert await fleet.alerts() == ["epoch_refused"]
    fleet.lan.flight.clear()
    await still_served(fleet, ref)


async def test_a_restart_of_the_authority_forgets_nothing_and_a_day_later_it_may_again() -> None:
    fleet, ref, _ = await aboard()
    for epoch in range(2, 2 + NEW_A_DAY):
        await ask(fleet, epoch)
    fleet.authority.restart()
    await ask(fleet, 50, Report(ref, 0, 0, 5_000, 7))
    assert await fleet.alerts() == ["epoch_refused"]
    assert not fleet.authority.peers.is_here("bar")
    fleet.authority.clock.tick(DAY_S)
    await ask(fleet, 50, number=2)
    assert fleet.authority.peers.is_here("bar")


@pytest.mark.parametrize("epoch", [NOON_S + AHEAD_S + 1, 2**40, 2**53 - 1])
async def test_a_store_of_the_future_does_not_shut_the_true_gateway_out(epoch: int) -> None:
    fleet, ref, band = await aboard()
    await ask(fleet, epoch, Report(ref, 0, 0, 5_000, 7))
    await tell(fleet, epoch)
    assert await reserved(fleet, ref) == [DISK]
    charge = await fleet.charge("bar-1", band, 200)
    await fleet.sync("bar")
    assert await fleet.booked(charge.request.tap_id) is not None
    assert await fleet.alerts() == ["epoch_refused"]


async def test_many_old_stores_do_not_fill_the_authoritys() -> None:
    fleet, ref, _ = await aboard()
    await ask(fleet, 10_000)
    for epoch in range(2, 3 * STREAMS_MAX):
        await tell(fleet, epoch)
    assert len(await fleet.authority.store.read(lambda tx: tx.peer_streams("bar"))) == STREAMS_MAX
    await still_served(fleet, ref)


def test_which_stores_are_believed() -> None:
    first = take_up(Stores(), 5, NOON_S, clock_trusted=True)
    assert first == Stores(5)
    assert take_up(first, 5, NOON_S, clock_trusted=True) == take_up(first, 4, NOON_S, clock_trusted=True) == first
    known = first
    for epoch in (6, 7, 8):
        taken = take_up(known, epoch, NOON_S, clock_trusted=True)
        assert taken is not None
        known = taken
    assert known == Stores(8, (NOON_S,) * 3) == Stores.decode(known.encode())
    for now_s, believed in ((NOON_S, False), (NOON_S + DAY_S - 1, False), (NOON_S - 5, False), (NOON_S + DAY_S, True)):
        assert (take_up(known, 9, now_s, clock_trusted=True) is not None) is believed
    assert take_up(known, 9, NOON_S - DAY_S, clock_trusted=True) == Stores(9, (NOON_S - DAY_S,))
    assert take_up(Stores(), NOON_S, 5, clock_trusted=False) == Stores(NOON_S), "our clock is the one that is lost"
    assert Stores.decode(None) == Stores()


# allowances


async def test_it_cannot_reserve_what_every_guest_has_left() -> None:
    """Asking for a charge's need for one guest after the other: no more than people could stand at its till."""
    fleet = Fleet()
    refs = [await fleet.authority.guest() for _ in range(2 * needs.BURST)]
    await fleet.sync()
    for number, ref in enumerate(refs, 1):
        await ask(fleet, DISK, Report(ref, 0, 0, 5_000, 1000 + number), number=number)
    granted = [await fleet.authority.store.read(lambda tx, ref=ref: tx.grant("bar", DISK, ref)) for ref in refs]
    taken = [grant for grant in granted if grant is not None and grant.granted_minor > 1_000]
    assert len(taken) == needs.BURST
    assert await fleet.alerts() == ["allowance_hoarding"]
    await still_served(fleet, refs[-1])
    fleet.authority.clock.tick(2)
    await ask(fleet, DISK, Report(refs[-2], 0, 0, 2_000, 5), number=900)
    again = await fleet.authority.store.read(lambda tx: tx.grant("bar", DISK, refs[-2]))
    assert again is not None
    assert again.granted_minor >= 2_000, "a need now and then is met again"


async def test_asking_the_same_again_does_not_count_and_what_is_remembered_is_bounded() -> None:
    fleet = Fleet()
    book = fleet.authority.allowances._needs
    report = Report(GuestRef("a" * 16), 0, 0, 500, 7)
    assert all(book.may("bar", report) for _ in range(1_000))
    assert all(book.may("spa", replace(report, number=n)) for n in range(1, needs.BURST + 1))
    assert not book.may("spa", replace(report, number=needs.BURST + 1))
    for number in range(3 * needs.KEPT_MAX):
        fleet.authority.clock.tick(2)
        assert book.may("bar", Report(GuestRef(f"{number:016x}"), 0, 0, 500, 7))
    assert len(book._counted) == needs.KEPT_MAX


async def test_a_charge_at_anothers_till_spends_its_own_allowance_and_is_disputed() -> None:
    fleet, ref, band = await aboard()
    before = await fleet.authority.store.read(lambda tx: tx.grant("spa", 2, ref))
    charge = await true_charge(fleet, band, 200, "spa-1")
    await events_of(fleet, charge)
    booked = await fleet.booked(charge.request.tap_id)
    assert booked is not None
    assert (booked.state, booked.code) == (ChargeState.DISPUTED, "foreign_till")
    assert await fleet.authority.store.read(lambda tx: tx.grant("spa", 2, ref)) == before
    own = await fleet.authority.store.read(lambda tx: tx.grant("bar", DISK, ref))
    assert own is not None
    assert own.booked_minor == 200


async def test_its_own_messages_again_change_nothing() -> None:
    fleet, ref, band = await aboard()
    charge = await true_charge(fleet, band)
    for _ in range(3):
        await events_of(fleet, charge)
        await say(fleet, Report(ref, 200, 0), number=9)
    grant = await fleet.authority.store.read(lambda tx: tx.grant("bar", DISK, ref))
    assert grant is not None
    assert (grant.booked_minor, grant.used_minor) == (200, 200)
    assert len(await fleet.authority.store.read(lambda tx: tx.charges_of(ref))) == 1


# PINs


async def failures(fleet: Fleet, ref: GuestRef) -> int:
    guest = await fleet.authority.store.read(lambda tx: tx.guest(ref))
    assert guest is not None
    return guest.pin_failures


async def test_a_made_up_charge_gives_nobody_new_guesses_at_a_pin() -> None:
    fleet, ref, band = await aboard()
    await fleet.authority.desk.set_pin(ref, "4711")
    wrong = charge_payload(await true_charge(fleet, band)) | {"code": "pin_wrong"}
    await tell(fleet, 2, StoredEvent(2, 5, EventType.CHARGE_HELD, 0, wrong), name="spa")
    assert await failures(fleet, ref) == 1
    true = await true_charge(fleet, band, 50)
    assert true.evidence is not None
    forged = replace(true, evidence=replace(true.evidence, mac=bytes(8)))
    right = {"verification": "pin"}
    await tell(fleet, 1, StoredEvent(1, 5, EventType.CHARGE_POSTED, 0, charge_payload(forged) | right))
    assert await failures(fleet, ref) == 1
    good = charge_payload(await true_charge(fleet, band)) | right
    await tell(fleet, 1, StoredEvent(1, 6, EventType.CHARGE_POSTED, 0, good), prev=5)
    assert await failures(fleet, ref) == 0


async def test_a_wrong_pin_counts_only_with_a_band_that_was_there() -> None:
    fleet, ref, band = await aboard()
    await fleet.authority.desk.set_pin(ref, "4711")
    true = await true_charge(fleet, band)
    assert true.evidence is not None
    made_up = (
        {"guest": ref, "code": "pin_wrong"},
        charge_payload(replace(true, evidence=None)) | {"code": "pin_wrong", "guest": ref},
        charge_payload(replace(true, evidence=replace(true.evidence, mac=bytes(8)))) | {"code": "pin_wrong"},
    )
    for seq, payload in enumerate(made_up, 1):
        await tell(fleet, 1, StoredEvent(1, seq, EventType.CHARGE_HELD, 0, payload), prev=seq - 1)
    assert await failures(fleet, ref) == 0


# words


async def words(fleet: Fleet, name: str, epoch: int, number: int, *pairs: tuple[TapId, str]) -> None:
    question = Ask(SHIP, name, b"liarliar", number, epoch, Position(1, 0), (), pairs)
    await fleet.authority.peers.hear(ask_topic(SHIP, name), encode_ask(question))


async def test_words_sent_ahead_do_not_land_on_anothers_charge() -> None:
    fleet, _, band = await aboard()
    charge = await true_charge(fleet, band, 200, "spa-1")
    await words(fleet, "bar", 1, 50, (charge.request.tap_id, "You owe us more"))
    payload = charge_payload(charge) | {"verification": "none"}
    await tell(fleet, 2, StoredEvent(2, 5, EventType.CHARGE_POSTED, 0, payload), name="spa")
    booked = await fleet.booked(charge.request.tap_id)
    assert booked is not None
    assert (booked.state, booked.request.description) == (ChargeState.POSTED, "")
    await words(fleet, "spa", 2, 50, (charge.request.tap_id, "Massage"))
    booked = await fleet.booked(charge.request.tap_id)
    assert booked is not None
    assert booked.request.description == "Massage"


async def test_a_flood_of_words_takes_nobody_elses_room() -> None:
    fleet, _, band = await aboard()
    for start in range(0, 2 * peerwords.EACH_MAX, WORDS_MAX):
        pairs = tuple((TapId(f"{start + n:032x}"), "x") for n in range(WORDS_MAX))
        await words(fleet, "bar", 1, 50 + start, *pairs)
    kept = await fleet.authority.store.read(lambda tx: tx.words(10_000))
    assert len(kept) == peerwords.EACH_MAX
    charge = await true_charge(fleet, band, 200, "spa-1")
    await words(fleet, "spa", 2, 50, (charge.request.tap_id, "Massage"))
    payload = charge_payload(charge) | {"verification": "none"}
    await tell(fleet, 2, StoredEvent(2, 5, EventType.CHARGE_POSTED, 0, payload), name="spa")
    booked = await fleet.booked(charge.request.tap_id)
    assert booked is not None
    assert booked.request.description == "Massage"
    assert len(await fleet.authority.store.read(lambda tx: tx.words(10_000))) == peerwords.EACH_MAX
