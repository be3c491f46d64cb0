"""The ship's network under attack: forged and replayed messages, lying, stolen and flooding gateways."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.lankit import SHIP, Fleet, up
from tests.unit.moneykit import FakeBand, ring

from steward.adapters.keyfile import Role
from steward.domain.allowance import Report
from steward.domain.batches import Batch, encode_batch
from steward.domain.charges import Charge, ChargeState
from steward.domain.events import EventType, StoredEvent
from steward.domain.evidence import charge_payload
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, uid_from
from steward.domain.lanwire import encode_ask, seal_changes
from steward.domain.ledger import UNPLACED_CLEARING, guest_account
from steward.domain.replica import Ask, ChangeSet, Deny, Position, ask_topic, changes_topic
from steward.errors import KeyNotHeld
from steward.ports import Tx
from steward.services.audit import check_ledger
from steward.services.peers import AWAY_MS, MESSAGES_BURST
from steward.services.replica import position


async def aboard() -> tuple[Fleet, GuestRef, FakeBand]:
    fleet = Fleet()
    ref = await fleet.authority.guest()
    await fleet.sync()
    return fleet, ref, fleet.band(ref)


async def heard_alerts(fleet: Fleet, name: str) -> list[str]:
    found = await fleet[name].store.read(lambda tx: tx.events(0, 1000))
    return [str(e.payload["alert"]) for e in found if e.type is EventType.STAFF_ALERT]


def denying(band: FakeBand, epoch: int = 1, to: str = "bar", rev_prev: int = 0, rev_to: int = 10**6) -> ChangeSet:
    return ChangeSet(SHIP, to, epoch, rev_prev, rev_to, 0, (Deny(uid_from(band.uid), 1),))


# downwards


@pytest.mark.parametrize("how", ["another ship's key", "no key", "flipped", "garbage", "empty", "huge"])
async def test_a_change_set_that_the_authority_did_not_sign(how: str) -> None:
    fleet, _, band = await aboard()
    good = seal_changes(denying(band), ring().sign_lan)
    payload = {
        "another ship's key": seal_changes(denying(band), lambda body: (1, _sign(b"\x07" * 32, body))),
        "no key": good[:2] + bytes(64) + good[66:],
        "flipped": good[:-1] + bytes([good[-1] ^ 1]),
        "garbage": b"\x01\x01" + b"\xff" * 200,
        "empty": b"",
        "huge": good + bytes(300_000),
    }[how]
    before = await fleet["bar"].store.read(position)
    await fleet["bar"].replica.hear(payload)
    assert await fleet["bar"].store.read(lambda tx: tx.denied_at(uid_from(band.uid))) is None
    assert await fleet["bar"].store.read(position) == before
    told = "lan_garbage" if how in ("empty", "huge") else "lan_forged"
    assert await heard_alerts(fleet, "bar") == [told]


def _sign(seed: bytes, body: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(b"steward-lan-v1\0" + body)


@pytest.mark.parametrize("role", [Role.DOOR, Role.TILL])
async def test_a_stolen_door_or_till_cannot_sign_for_the_authority(role: Role) -> None:
    with pytest.raises(KeyNotHeld):
        ring(role).sign_lan(b"x")


def test_neither_signature_passes_for_the_other() -> None:
    keyring = ring()
    body = bytes(11) + b"\x01" + bytes(36)
    _, lan = keyring.sign_lan(body)
    assert not keyring.verify_token(body, lan)
    assert not keyring.verify_lan(1, body, keyring.sign_token(body))
    assert keyring.verify_lan(1, body, lan)


async def test_a_replayed_older_change_set_changes_nothing() -> None:
    """Recorded before the freeze and played after it; and played to another gateway."""
    fleet, ref, band = await aboard()
    made = Band(uid_from(band.uid), ref, 1, True, 1, True, BandState.ISSUED)
    await fleet.authority.store.write(lambda tx: tx.put_band(made))
    await fleet["bar"].ask()
    await fleet.deliver_all()
    await fleet.authority.peers.tell()
    recorded = [payload for topic, payload in fleet.lan.flight if topic == changes_topic(SHIP, "bar")]
    assert recorded
    await fleet.deliver_all()
    await fleet.authority.desk.freeze(uid_from(band.uid), "lost", "desk")
    await fleet.sync()

    def look(tx: Tx) -> tuple[object, ...]:
        return tx.denied_at(made.uid), tx.band(made.uid), position(tx)

    before = await fleet["bar"].store.read(look)
    assert before[0] is not None
    for payload in recorded:
        await fleet["bar"].replica.hear(payload)
        await fleet["spa"].replica.hear(payload)
        await fleet["deck"].replica.hear(payload)
    assert await fleet["bar"].store.read(look) == before
    assert await heard_alerts(fleet, "bar") == []
    assert await heard_alerts(fleet, "spa") == ["lan_foreign"]


async def test_a_change_set_over_a_gap_is_not_applied_but_asked_for() -> None:
    fleet, _, band = await aboard()
    before = await fleet["bar"].store.read(position)
    gap = denying(band, rev_prev=before.revision + 5)
    await fleet["bar"].replica.hear(seal_changes(gap, ring().sign_lan))
    assert await fleet["bar"].store.read(lambda tx: (tx.denied_at(uid_from(band.uid)), position(tx))) == (None, before)


async def test_a_door_is_told_no_limits_pins_bookings_or_guests_at_all() -> None:
    fleet = Fleet()
    ref = await fleet.authority.guest()
    await fleet.authority.desk.set_pin(ref, "4711")
    await fleet.authority.store.write(lambda tx: tx.adopt_serial(ref, 1))
    await fleet["deck"].ask()
    await fleet["bar"].ask()
    await fleet.deliver_all()
    await fleet.authority.peers.tell()
    told = {
        name: b"".join(p for t, p in fleet.lan.flight if t == changes_topic(SHIP, name)) for name in ("bar", "deck")
    }
    await fleet.deliver_all()
    door = await fleet["deck"].store.read(lambda tx: (tx.guests(), tx.serial_of(ref)))
    assert door == ([], 1)
    (till,) = await fleet["bar"].store.read(lambda tx: tx.guests())
    assert (till.booking, till.cabins[0].cabin, till.zones, till.not_after_s) == ("", 0, 0, 0)
    assert till.pin is not None
    salt = till.pin.salt
    assert salt in told["bar"]
    assert salt not in told["deck"]
    assert b"B-1" not in told["bar"]


# upwards: what a gateway says of its allowances


@pytest.mark.parametrize(
    ("used", "returned", "problem"),
    [
        (-1, 0, "allowance_malformed"),
        (0, -300, "allowance_malformed"),
        (2**60, 0, "allowance_malformed"),
        (301, 0, "allowance_overdrawn"),
        (200, 101, "allowance_overdrawn"),
        (0, 301, "allowance_overdrawn"),
    ],
)
async def test_a_till_gateway_that_lies_about_its_allowance(used: int, returned: int, problem: str) -> None:
    fleet, ref, _ = await aboard()
    before = await fleet.authority.store.read(lambda tx: tx.grants_of(ref))
    await say(fleet, Report(ref, used, returned, 0, 0))
    assert await fleet.authority.store.read(lambda tx: tx.grants_of(ref)) == before
    assert await fleet.alerts() == [problem]


async def test_used_or_returned_going_down_is_refused_unless_it_is_an_old_message() -> None:
    fleet, ref, _ = await aboard()
    await say(fleet, Report(ref, 100, 50), number=10)
    await say(fleet, Report(ref, 90, 50), number=9)  # overtaken on the way: harmless
    assert await fleet.alerts() == []
    await say(fleet, Report(ref, 90, 50), number=11)
    await say(fleet, Report(ref, 100, 40), number=12)
    assert await fleet.alerts() == ["allowance_went_down"]  # told once a minute
    grant = await fleet.authority.store.read(lambda tx: tx.grant("bar", 1, ref))
    assert grant is not None
    assert (grant.used_minor, grant.returned_minor, grant.outstanding_minor) == (100, 50, 250)


async def test_giving_back_what_was_spent_is_found_out() -> None:
    """The till says that nothing is used and gives all back, while its charges are still on their way."""
    fleet, ref, band = await aboard()
    charge = await fleet.charge("bar-1", band, 300)
    await say(fleet, Report(ref, 0, 300))
    await fleet["bar"].send_up()
    await fleet.deliver_all()
    booked = await fleet.booked(charge.request.tap_id)
    assert booked is not None
    assert (booked.state, booked.code) == (ChargeState.DISPUTED, "allowance_exceeded")
    assert "allowance_exceeded" in await fleet.alerts()


async def say(fleet: Fleet, report: Report, number: int = 1, name: str = "bar", topic: str = "") -> None:
    ask = Ask(SHIP, name, b"liarliar", number, 1, Position(1, 0), (report,))
    await fleet.authority.peers.hear(topic or ask_topic(SHIP, name), encode_ask(ask))


async def test_asking_in_another_gateways_name_or_of_an_unknown_one() -> None:
    fleet, ref, _ = await aboard()
    before = await fleet.authority.store.read(lambda tx: tx.grants_of(ref))
    await say(fleet, Report(ref, 0, 100), name="spa", topic=ask_topic(SHIP, "bar"))
    await say(fleet, Report(ref, 0, 100), name="bar", topic=ask_topic(SHIP, "thief"))
    await fleet.authority.peers.hear(ask_topic("other", "bar"), b"x")
    await fleet.authority.peers.hear("steward/1/aurora/lan/bar/ask/more", b"x")
    assert await fleet.authority.store.read(lambda tx: tx.grants_of(ref)) == before
    assert set(await fleet.alerts()) == {"lan_foreign", "lan_garbage"}


@pytest.mark.parametrize(
    "payload", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" + cbor2.dumps([1, 2]), b"\x01" * 70_000]
)
async def test_a_question_that_is_garbage(payload: bytes) -> None:
    fleet, _, _ = await aboard()
    await fleet.authority.peers.hear(ask_topic(SHIP, "bar"), payload)
    await fleet.authority.peers.hear(up("bar"), payload)
    assert await fleet.alerts() == ["lan_garbage"]


async def test_a_door_gateway_gets_no_allowance_by_asking() -> None:
    fleet, ref, _ = await aboard()
    await say(fleet, Report(ref, 0, 0, 5000, 7), name="deck")
    assert await fleet.authority.store.read(lambda tx: tx.grant("deck", 1, ref)) is None


async def test_a_flooding_gateway_is_not_listened_to_and_holds_up_nobody() -> None:
    fleet, ref, band = await aboard()
    for _ in range(MESSAGES_BURST + 50):
        await fleet.authority.peers.hear(ask_topic(SHIP, "bar"), b"x")
    assert sorted(await fleet.alerts()) == ["lan_flood", "lan_garbage"]
    charge = await fleet.charge("spa-1", band, 200)
    await fleet.sync("spa")
    assert await fleet.booked(charge.request.tap_id) is not None
    fleet.authority.clock.tick(60)
    charge = await fleet.charge("bar-1", band, 200)
    await fleet.sync("bar")
    assert await fleet.booked(charge.request.tap_id) is not None
    assert ref == band.guest


# upwards: what a gateway says has happened


async def events_of(fleet: Fleet, *charges: Charge, name: str = "bar", after: int = 100) -> None:
    """Send made-up charge events as this gateway would."""
    events = tuple(
        StoredEvent(1, after + n, EventType.CHARGE_POSTED, c.at_s, charge_payload(c) | {"verification": "none"})
        for n, c in enumerate(charges, 1)
    )
    batch = Batch(SHIP, name, 1, 1, 3, events, events[-1].seq, 0)
    await fleet.authority.peers.hear(up(name), encode_batch(batch))
    fleet.lan.flight.clear()


async def true_charge(fleet: Fleet, band: FakeBand, amount_minor: int = 200, till: str = "bar-1") -> Charge:
    request = fleet.ask(till, amount_minor)
    return Charge(request, fleet.authority.clock.unix_s, ChargeState.POSTED, "posted", band.read(request))


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


async def test_a_late_question_of_an_older_process_deafens_nobody() -> None:
    """To an authority that was just started, what comes last seems the newest, until the other goes on asking."""
    fleet, _, band = await aboard()
    bar, clock = fleet["bar"], fleet.authority.clock
    await bar.ask()
    late = fleet.lan.flight.pop()
    bar.restart()
    fleet.authority.restart()
    await fleet.sync("bar")
    await fleet.deliver(*late)
    clock.ms += AWAY_MS + 1
    await fleet.authority.store.write(lambda tx: tx.deny(uid_from(band.uid), 1, "lost"))
    await fleet.sync("bar")
    assert fleet.authority.peers.is_here("bar")
    assert await bar.store.read(lambda tx: tx.denied_at(uid_from(band.uid))) == 1
    await fleet.deliver(*late)  # and once more: it stays an old one
    clock.ms += AWAY_MS + 1
    assert not fleet.authority.peers.is_here("bar")
