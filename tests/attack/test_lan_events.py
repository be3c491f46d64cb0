"""What gateways say has happened, told by ones that lie, were copied or were stolen: charges, counters, PINs, words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.attack.lanattacks import aboard, events_of, true_charge
from tests.unit.lankit import SHIP, up

from steward.domain.batches import Batch, encode_batch
from steward.domain.charges import Charge, ChargeState
from steward.domain.events import ERASED_PAYLOAD, EventType, StoredEvent
from steward.domain.evidence import charge_payload
from steward.domain.ids import GuestRef, uid_from
from steward.domain.lanwire import encode_ask
from steward.domain.ledger import UNPLACED_CLEARING, guest_account
from steward.domain.replica import Ask, Position, ask_topic
from steward.ports import Tx
from steward.services.audit import check_ledger

WRONG = ["forged", "other amount", "other till's", "no signature", "overdrawn", "unknown guest"]


@pytest.mark.parametrize("how", WRONG)
async def test_a_charge_that_cannot_stand_is_booked_as_disputed_and_told(how: str) -> None:
    fleet, ref, band = await aboard()
    charge = await true_charge(fleet, band, 200 if how != "overdrawn" else 301)
    evidence = charge.evidence
    assert evidence is not None
    wrong, code = {
        "forged": (replace(charge, evidence=replace(evidence, mac=bytes(8))), "bad_charge_signature"),
        "other amount": (
            replace(charge, request=replace(charge.request, amount_minor=250)),
            "bad_charge_signature",
        ),
        "other till's": (await true_charge(fleet, band, 200, "spa-1"), "foreign_till"),
        "no signature": (replace(charge, evidence=replace(evidence, mac=b"", counter=None)), "no_charge_signature"),
        "overdrawn": (charge, "allowance_exceeded"),
        "unknown guest": (
            replace(charge, evidence=replace(evidence, guest=GuestRef("f" * 16))),
            "guest_unknown",
        ),
    }[how]
    await events_of(fleet, wrong)
    await events_of(fleet, wrong)
    booked = await fleet.booked(wrong.request.tap_id)
    assert booked is not None
    assert (booked.state, booked.code) == (ChargeState.DISPUTED, code)
    assert await fleet.alerts() == [code]
    assert fleet.authority.alerts == [code]
    owner = GuestRef("f" * 16) if how == "unknown guest" else ref
    balance = await fleet.authority.store.read(lambda tx: tx.balance(guest_account(owner)))
    assert balance == wrong.request.amount_minor
    assert (await fleet.authority.store.read(check_ledger)).ok
    if how != "unknown guest":
        await fleet.authority.payments.resolve_dispute(wrong.request.tap_id, True, "purser-1")
        assert await fleet.authority.store.read(lambda tx: tx.balance(guest_account(owner))) == 0


async def test_a_counter_used_twice_is_a_copy_whichever_comes_first() -> None:
    """The clone pays at the spa, the band at the bar, both cut off; taps of one band in the wrong order are fine."""
    fleet, _, band = await aboard()
    clone = replace(band)
    fleet.lan.cut |= {"bar", "spa"}
    first = await fleet.charge("bar-1", band, 100)
    second = await fleet.charge("spa-1", clone, 100)
    third = await fleet.charge("bar-1", band, 100)
    assert {first.code, second.code, third.code} == {"posted"}
    fleet.lan.cut.clear()
    await fleet.sync("bar")
    await fleet.sync("spa")
    states = [(await fleet.booked(c.request.tap_id)) for c in (first, second, third)]
    assert [c.code for c in states if c] == ["posted", "counter_replayed", "posted"]
    assert await fleet.alerts() == ["counter_replayed"]


async def test_taps_of_one_band_that_come_in_in_the_wrong_order_are_no_copy() -> None:
    fleet, _, band = await aboard()
    fleet.lan.cut.add("bar")
    await fleet.charge("bar-1", band, 100)
    await fleet.charge("spa-1", band, 100)
    await fleet.sync("spa")
    fleet.lan.cut.clear()
    await fleet.sync("bar")
    assert await fleet.alerts() == []
    assert len(await fleet.authority.store.read(lambda tx: tx.charges_of(band.guest))) == 2


async def test_a_known_copy_is_refused_at_the_till_that_has_heard_of_the_counter() -> None:
    fleet, _, band = await aboard()
    clone = replace(band)
    await fleet.charge("bar-1", band, 100)
    await fleet.sync("bar")
    await fleet.sync("spa")
    assert (await fleet.charge("spa-1", clone, 100)).code == "counter_replayed"


async def test_the_same_tap_charged_by_two_gateways_is_booked_once() -> None:
    fleet, ref, band = await aboard()
    request = fleet.ask("bar-1", 200)
    for name in ("bar", "spa"):
        await fleet[name].payments.book(request, band.tap(request))
    await fleet.sync()
    await fleet.sync()
    assert await fleet.authority.store.read(lambda tx: tx.balance(guest_account(ref))) == 200
    assert await fleet.alerts() == ["tap_booked_twice"]
    assert await fleet.outstanding(ref) == (await fleet["bar"].left(ref)) + (await fleet["spa"].left(ref))


async def test_a_charge_in_another_currency_than_the_folios_is_set_aside_and_told() -> None:
    fleet, ref, band = await aboard()
    request = replace(fleet.ask("bar-1", 200), currency="NOK")
    charge = Charge(request, fleet.authority.clock.unix_s, ChargeState.POSTED, "posted", band.read(request))
    await events_of(fleet, charge)
    assert await fleet.alerts() == ["currency_mismatch"]
    assert await fleet.authority.store.read(lambda tx: (tx.balance(UNPLACED_CLEARING), tx.ledger_sum())) == (200, 0)
    assert await fleet.authority.store.read(lambda tx: tx.balance(guest_account(ref))) == 0
    assert (await fleet.authority.store.read(check_ledger)).ok


@pytest.mark.parametrize("change", ["amount_minor", "tap_id", "uid", "mac", "counter", "verification", "guest"])
async def test_a_charge_event_that_cannot_be_is_set_aside_and_told_and_the_rest_goes_on(change: str) -> None:
    fleet, _, band = await aboard()
    bad = {
        "amount_minor": -5,
        "tap_id": "x",
        "uid": "zz",
        "mac": "text",
        "counter": -1,
        "verification": "oath",
        "guest": 3,
    }
    first, second = await true_charge(fleet, band, 100), await true_charge(fleet, band, 100)
    payload = charge_payload(first) | {"verification": "none", change: bad[change]}  # type: ignore[dict-item]
    good = charge_payload(second) | {"verification": "none"}
    events = (
        StoredEvent(1, 101, EventType.CHARGE_POSTED, first.at_s, payload),
        StoredEvent(1, 102, EventType.CHARGE_POSTED, second.at_s, good),
    )
    await fleet.authority.peers.hear(up("bar"), encode_batch(Batch(SHIP, "bar", 1, 1, 3, events, 102, 0)))
    assert await fleet.alerts() == ["peer_unreadable"]
    assert await fleet.booked(first.request.tap_id) is None
    assert await fleet.booked(second.request.tap_id) is not None


async def test_the_same_event_number_with_other_content_is_an_alarm() -> None:
    fleet, _, band = await aboard()
    first, second = await true_charge(fleet, band, 100), await true_charge(fleet, band, 101)
    await events_of(fleet, first)
    await events_of(fleet, second)
    assert await fleet.alerts() == ["peer_diverged"]
    assert await fleet.booked(second.request.tap_id) is None


async def test_an_event_that_was_emptied_since_is_no_other_one() -> None:
    """Its guest is forgotten at the till's gateway too; its acknowledgement was lost, so it comes again."""
    fleet, _, band = await aboard()
    charge = await true_charge(fleet, band, 100)
    await events_of(fleet, charge)
    emptied = StoredEvent(1, 101, EventType.CHARGE_POSTED, charge.at_s, ERASED_PAYLOAD)
    await fleet.authority.peers.hear(up("bar"), encode_batch(Batch(SHIP, "bar", 1, 1, 3, (emptied,), 101, 0)))
    assert await fleet.alerts() == []
    assert await fleet.booked(charge.request.tap_id) is not None


async def test_a_batch_in_another_gateways_name_or_class() -> None:
    fleet, _, band = await aboard()
    charge = await true_charge(fleet, band, 100)
    event = StoredEvent(1, 101, EventType.CHARGE_POSTED, charge.at_s, charge_payload(charge))
    batch = encode_batch(Batch(SHIP, "bar", 1, 1, 3, (event,), 101, 0))
    await fleet.authority.peers.hear(up("spa"), batch)
    await fleet.authority.peers.hear(up("bar", 2), batch)
    await fleet.authority.peers.hear(up("deck"), batch)
    assert await fleet.booked(charge.request.tap_id) is None
    assert set(await fleet.alerts()) == {"lan_foreign"}


async def test_a_door_gateway_books_no_charge() -> None:
    fleet, _, band = await aboard()
    await events_of(fleet, await true_charge(fleet, band, 100), name="deck")
    assert await fleet.alerts() == ["peer_unreadable"]


async def test_a_stolen_door_cannot_lock_everybody_out() -> None:
    """By claiming to have adopted numbers that nobody was given, or a deny epoch at the end of all."""
    fleet, ref, band = await aboard()
    uid = uid_from(band.uid)
    said = [
        (EventType.DOOR_OPENED, {"guest": ref, "serial": 65_535, "stays": "8104:65535"}),
        (EventType.BAND_FROZEN, {"uid": uid, "reason": "lost", "by": "x", "epoch": 2**52}),
        (EventType.BAND_ISSUED, {"uid": uid, "guest": ref, "serial": 65_535}),
        (EventType.BAND_RETURNED, {"uid": uid, "guest": ref}),
    ]
    for n, (type_, payload) in enumerate(said, 1):
        cls = int(type_) // 100
        event = StoredEvent(1, n, type_, 0, payload)  # type: ignore[arg-type]
        prev = 3 if n == 4 else 0  # of its class
        await fleet.authority.peers.hear(
            up("deck", cls), encode_batch(Batch(SHIP, "deck", 1, 1, cls, (event,), 4, prev))
        )

    def look(tx: Tx) -> tuple[int, int, int, int | None]:
        return tx.serial_of(ref), tx.stay_of(8104), tx.deny_epoch(), tx.denied_at(uid)

    assert await fleet.authority.store.read(look) == (0, 0, 0, None)


async def test_what_a_door_truly_adopted_is_told_to_everybody() -> None:
    fleet, ref, _ = await aboard()
    event = StoredEvent(1, 1, EventType.DOOR_OPENED, 0, {"guest": ref, "serial": 1, "stays": "8104:1"})
    await fleet.authority.peers.hear(up("deck", 5), encode_batch(Batch(SHIP, "deck", 1, 1, 5, (event,), 1, 0)))
    await fleet.sync("bar")
    assert await fleet["bar"].store.read(lambda tx: (tx.serial_of(ref), tx.stay_of(8104))) == (1, 1)


async def test_wrong_pins_add_up_over_the_ship() -> None:
    fleet, ref, band = await aboard()
    await fleet.authority.desk.set_pin(ref, "4711")
    await fleet.sync()
    wrong = [
        StoredEvent(
            1, n, EventType.CHARGE_HELD, 0, charge_payload(await true_charge(fleet, band)) | {"code": "pin_wrong"}
        )
        for n in (201, 202)
    ]
    await fleet.authority.peers.hear(up("bar"), encode_batch(Batch(SHIP, "bar", 1, 1, 3, (wrong[0],), 300, 0)))
    await fleet.authority.peers.hear(
        up("spa"), encode_batch(Batch(SHIP, "spa", 2, 1, 3, (replace(wrong[1], epoch=2),), 300, 0))
    )
    row = await fleet.authority.store.read(lambda tx: tx.guest(ref))
    assert row is not None
    assert row.pin_failures == 2
    locked = StoredEvent(1, 202, EventType.PIN_LOCKED, 0, {"guest": ref})
    await fleet.authority.peers.hear(up("bar"), encode_batch(Batch(SHIP, "bar", 1, 1, 3, (locked,), 300, 201)))
    await fleet.sync()
    for name in ("bar", "spa"):
        row = await fleet[name].store.read(lambda tx: tx.guest(ref))
        assert row is not None
        assert row.pin_failures == 3


async def test_words_for_anothers_charge_are_not_written_onto_it() -> None:
    fleet, _, band = await aboard()
    charge = await true_charge(fleet, band)
    await events_of(fleet, charge)
    ask = Ask(SHIP, "spa", b"liarliar", 1, 2, Position(), (), ((charge.request.tap_id, "Champagne"),))
    await fleet.authority.peers.hear(ask_topic(SHIP, "spa"), encode_ask(ask))
    booked = await fleet.booked(charge.request.tap_id)
    assert booked is not None
    assert booked.request.description == ""
