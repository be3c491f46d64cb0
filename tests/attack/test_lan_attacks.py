"""The ship's network under attack: forged and replayed messages, lying, stolen and flooding gateways."""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.attack.lanattacks import aboard, denying, heard_alerts
from tests.unit.lankit import SHIP, Fleet, up
from tests.unit.moneykit import ring

from steward.adapters.keyfile import Role
from steward.domain.allowance import Report
from steward.domain.charges import ChargeState
from steward.domain.guests import Band, BandState
from steward.domain.ids import uid_from
from steward.domain.lanwire import encode_ask, seal_changes
from steward.domain.replica import Ask, Position, ask_topic, changes_topic
from steward.errors import KeyNotHeld
from steward.ports import Tx
from steward.services.peers import AWAY_MS, MESSAGES_BURST
from steward.services.replica import position

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
