"""PIN and photo: what releases a held charge, what locks a PIN, and what never leaks."""

from __future__ import annotations

import hashlib
import logging

import pytest
from tests.unit.moneykit import FakeBand, Ship

from steward.domain.charges import Charge, ChargeState, Verification
from steward.domain.events import EventType
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, TapId
from steward.errors import Busy, NotFound, Refused
from steward.services import pins as pins_module

PIN = "4711"


@pytest.fixture
def ship() -> Ship:
    return Ship()


async def held(ship: Ship, pin: str | None = PIN, **limits: int) -> tuple[GuestRef, FakeBand, TapId]:
    """A guest and a charge of 10.00 that waits for verification."""
    ref = await ship.guest(**{"verify_above_minor": 999, **limits}, pin=pin)
    band = ship.band(ref)
    charge = await ship.charge(band, 1000)
    assert charge.state is ChargeState.HELD
    return ref, band, charge.request.tap_id


async def guess(ship: Ship, tap_id: TapId, pin: str) -> Charge:
    return await ship.payments.verify(tap_id, Verification.PIN, pin=pin)


async def test_a_held_charge_owes_nothing_yet(ship: Ship) -> None:
    ref, _, _ = await held(ship)
    assert await ship.balance(ref) == 0
    assert [event.type for event in await ship.events()] == [EventType.CHARGE_HELD]


async def test_the_right_pin_posts(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    charge = await guess(ship, tap_id, PIN)
    assert (charge.state, charge.code, charge.verification) == (ChargeState.POSTED, "posted", "pin")
    assert await ship.balance(ref) == 1000
    assert await ship.stored(tap_id) == charge
    assert (await ship.events())[-1].type is EventType.CHARGE_POSTED


async def test_verifying_twice_posts_once(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    first = await guess(ship, tap_id, PIN)
    assert await guess(ship, tap_id, PIN) == first
    assert await ship.payments.verify(tap_id, Verification.PHOTO, by="crew-1") == first
    assert await ship.balance(ref) == 1000


async def test_a_wrong_pin_leaves_it_held_and_the_third_locks(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    codes = [(await guess(ship, tap_id, "0000")).code for _ in range(4)]
    assert codes == ["pin_wrong", "pin_wrong", "pin_locked", "pin_locked"]
    locked = await guess(ship, tap_id, PIN)
    assert (locked.state, locked.code) == (ChargeState.HELD, "pin_locked")
    assert await ship.balance(ref) == 0
    alarms = await ship.events(EventType.PIN_LOCKED)
    assert [(event.payload["guest"], event.payload["attempts"]) for event in alarms] == [(ref, 3)]


async def test_asking_a_locked_pin_again_and_again_writes_nothing(ship: Ship) -> None:
    _, _, tap_id = await held(ship)
    for _ in range(3):
        await guess(ship, tap_id, "0000")
    before = await ship.events()
    for _ in range(5):
        assert (await guess(ship, tap_id, PIN)).code == "pin_locked"
    assert await ship.events() == before


async def test_a_locked_pin_locks_the_next_charge_too(ship: Ship) -> None:
    _, band, tap_id = await held(ship)
    for _ in range(3):
        await guess(ship, tap_id, "0000")
    another = await ship.charge(band, 2000)
    assert (await guess(ship, another.request.tap_id, PIN)).code == "pin_locked"


async def test_a_photo_releases_a_locked_charge(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    for _ in range(3):
        await guess(ship, tap_id, "0000")
    charge = await ship.payments.verify(tap_id, Verification.PHOTO, by="crew-1")
    assert (charge.state, charge.verification) == (ChargeState.POSTED, "photo")
    assert (await ship.events())[-1].payload["by"] == "crew-1"
    assert await ship.balance(ref) == 1000


async def test_the_right_pin_clears_the_count(ship: Ship) -> None:
    ref, band, tap_id = await held(ship)
    for _ in range(2):
        await guess(ship, tap_id, "0000")
    await guess(ship, tap_id, PIN)
    assert (await ship.guest_row(ref)).pin_failures == 0
    another = await ship.charge(band, 2000)
    assert (await guess(ship, another.request.tap_id, "0000")).code == "pin_wrong"


async def test_the_desk_unlocks_with_a_new_pin(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    for _ in range(3):
        await guess(ship, tap_id, "0000")
    await ship.edit(ref, pin=await ship.pins.hash("2222"), pin_failures=0)
    assert (await guess(ship, tap_id, "2222")).code == "posted"


async def test_a_pin_changed_while_it_is_checked_is_not_accepted(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    ref, _, tap_id = await held(ship)
    fresh = await ship.pins.hash("2222")
    matches = ship.pins.matches

    async def slow(pin: str, attempt: pins_module.PinAttempt) -> bool:
        await ship.edit(ref, pin=fresh, pin_failures=0)
        return await matches(pin, attempt)

    monkeypatch.setattr(ship.pins, "matches", slow)
    assert (await guess(ship, tap_id, PIN)).code == "pin_wrong"
    assert (await ship.guest_row(ref)).pin_failures == 0


async def test_a_hold_expires(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    ship.clock.tick(120)
    assert (await ship.payments.status(tap_id)).code == "verification_required"
    ship.clock.tick(1)
    charge = await guess(ship, tap_id, PIN)
    assert (charge.state, charge.code) == (ChargeState.REFUSED, "hold_expired")
    assert (await ship.guest_row(ref)).pin_failures == 0
    assert (await ship.events())[-1].type is EventType.CHARGE_REFUSED


async def test_whoever_looks_ends_an_expired_hold(ship: Ship) -> None:
    _, _, tap_id = await held(ship)
    ship.clock.tick(121)
    assert (await ship.payments.status(tap_id)).code == "hold_expired"
    assert (await ship.events())[-1].payload["code"] == "hold_expired"


async def test_limits_are_decided_again_at_verification(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    guest = await ship.guest_row(ref)
    await ship.edit(ref, limits=type(guest.limits)(100_000, 999, 999))
    charge = await guess(ship, tap_id, PIN)
    assert (charge.state, charge.code) == (ChargeState.REFUSED, "day_limit")
    assert await ship.balance(ref) == 0


async def test_a_hold_is_not_counted_against_itself(ship: Ship) -> None:
    _, _, tap_id = await held(ship, day_minor=1000, stay_minor=1000)
    assert (await guess(ship, tap_id, PIN)).code == "posted"


async def test_a_hold_counts_on_the_day_of_its_tap(ship: Ship) -> None:
    """Tapped a minute before five in the morning, verified a minute after: it is yesterday's money."""
    ref = await ship.guest(day_minor=1000, verify_above_minor=999, pin=PIN)
    band = ship.band(ref)
    ship.clock.tick(17 * 3600 - 60)
    tap = await ship.charge(band, 1000)
    ship.clock.tick(100)
    assert (await guess(ship, tap.request.tap_id, PIN)).code == "posted"
    assert (await ship.charge(band, 999)).code == "posted"


async def test_a_band_frozen_meanwhile_is_not_charged(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    stored = await ship.stored(tap_id)
    assert stored is not None
    assert stored.evidence is not None
    frozen = Band(stored.evidence.uid, ref, 1, True, 1, False, BandState.FROZEN)
    await ship.store.write(lambda tx: tx.put_band(frozen))
    assert (await guess(ship, tap_id, PIN)).code == "frozen"
    assert await ship.balance(ref) == 0


async def test_a_photo_that_differs_refuses_and_alerts(ship: Ship) -> None:
    ref, _, tap_id = await held(ship)
    charge = await ship.payments.verify(tap_id, Verification.PHOTO, by="crew-1", matches=False)
    assert (charge.state, charge.code) == (ChargeState.REFUSED, "photo_mismatch")
    (alert,) = await ship.events(EventType.STAFF_ALERT)
    assert (alert.payload["alert"], alert.payload["tap_id"]) == ("photo_mismatch", tap_id)
    assert alert.payload["guest"] == ref  # so that it is forgotten with the guest


@pytest.mark.parametrize("pin", ["", "12", "123456789", "12a4", "１２３４", "1234\n"])
async def test_what_is_no_pin_is_not_counted_as_a_guess(ship: Ship, pin: str) -> None:
    ref, _, tap_id = await held(ship)
    with pytest.raises(Refused) as refused:
        await guess(ship, tap_id, pin)
    assert refused.value.code == "pin_invalid"
    assert (await ship.guest_row(ref)).pin_failures == 0
    with pytest.raises(Refused):
        await ship.pins.hash(pin)


async def test_other_ways_to_ask_wrongly(ship: Ship) -> None:
    _, _, tap_id = await held(ship, pin=None)
    for ask, code in (
        (guess(ship, tap_id, PIN), "pin_not_set"),
        (ship.payments.verify(tap_id, Verification.PHOTO), "verification_invalid"),
        (ship.payments.verify(tap_id, Verification.NONE, by="crew-1"), "verification_invalid"),
    ):
        with pytest.raises(Refused) as refused:
            await ask
        assert refused.value.code == code
    with pytest.raises(NotFound):
        await guess(ship, TapId("e" * 32), PIN)


async def test_a_crowd_of_pins_is_turned_away_before_a_guess_is_counted(
    ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, _, tap_id = await held(ship)
    monkeypatch.setattr(pins_module, "_WAITING_MAX", 0)
    with pytest.raises(Busy):
        await guess(ship, tap_id, PIN)
    assert (await ship.guest_row(ref)).pin_failures == 0


async def test_equal_pins_do_not_look_equal(ship: Ship) -> None:
    one, two = await ship.pins.hash(PIN), await ship.pins.hash(PIN)
    assert one.salt != two.salt
    assert one.digest != two.digest


async def test_the_digest_is_scrypt() -> None:
    """RFC 7914's second vector has other parameters; this one pins ours (N=2^14, r=8, p=1, 32 bytes)."""
    made = await Ship().pins.hash("12345678")
    assert made.digest == hashlib.scrypt(b"12345678", salt=made.salt, n=16384, r=8, p=1, maxmem=2**26, dklen=32)


async def test_a_pin_shows_nowhere(ship: Ship, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ref, _, tap_id = await held(ship, pin="90817263")
    await guess(ship, tap_id, "83917465")
    await guess(ship, tap_id, "90817263")
    guest = await ship.guest_row(ref)
    assert guest.pin is not None
    seen = caplog.text + repr(guest) + repr(await ship.events()) + repr(await ship.stored(tap_id))
    for secret in ("90817263", "83917465", guest.pin.digest.hex(), repr(guest.pin.digest), repr(guest.pin.salt)):
        assert secret not in seen
