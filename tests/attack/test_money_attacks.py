"""Attempts on the money: forged and replayed taps, cloned bands, impossible amounts, guessed PINs, double refunds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from tests.unit.moneykit import AES, SITE, FakeBand, Ship, ring
from tests.vaultkit import DATA_KEY

from bandwire import charge, keys
from steward.adapters.keyfile import Role
from steward.adapters.memory import MemoryStore
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.charges import ChargeState, TapEvidence, TapFacts, Verification
from steward.domain.events import EventType
from steward.domain.ids import uid_from
from steward.errors import Conflict, Refused
from steward.ports import Store
from steward.services.payments import PaymentSettings


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def ship(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ship]:
    """The same attacks on both stores: what the disk keeps is what counts."""
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
    yield Ship(store=store)
    await store.close()


async def test_a_recorded_tap_replayed_for_the_same_request_charges_nothing_more(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    facts = ship.band(ref).tap(request)
    for _ in range(3):
        await ship.payments.book(request, facts)
        ship.restart()
    assert await ship.balance(ref) == 1000


async def test_a_recorded_tap_replayed_for_another_request_is_a_bad_signature(ship: Ship) -> None:
    """Another tap id, amount or till is another message: the old MAC does not fit it."""
    ref = await ship.guest()
    band = ship.band(ref)
    old = ship.ask()
    facts = band.tap(old)
    await ship.payments.book(old, facts)
    for request in (ship.ask(), ship.ask(1), ship.ask(till="bar-2")):
        assert (await ship.payments.book(request, facts)).code == "bad_charge_signature"
    assert await ship.balance(ref) == 1000
    alerts = await ship.events(EventType.STAFF_ALERT)
    assert [alert.payload["alert"] for alert in alerts] == ["bad_charge_signature"] * 3


async def test_a_tap_id_cannot_be_used_again_with_another_amount(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    request = ship.ask(1000)
    await ship.payments.book(request, band.tap(request))
    dearer = replace(request, amount_minor=9000)
    for ask in (ship.payments.request(dearer), ship.payments.book(dearer, band.tap(dearer))):
        with pytest.raises(Conflict):
            await ask
    assert await ship.balance(ref) == 1000


@pytest.mark.parametrize("amount", [0, -1, -(2**31), 2**31, 2**32 + 1, 2**63, 2**64, True, 10.0, float("nan"), "5"])
async def test_impossible_amounts_reach_neither_band_nor_book(ship: Ship, amount: int) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    sound = ship.ask()
    request = replace(sound, amount_minor=amount)
    for ask in (ship.payments.request(request), ship.payments.book(request, band.tap(sound))):
        with pytest.raises(Refused) as refused:
            await ask
        assert refused.value.code == "amount_invalid"
    assert ship.payments.pending_for(request.till) is None
    assert await ship.events() == []
    assert await ship.balance(ref) == 0


async def test_a_large_amount_does_not_wrap_around_on_the_band(ship: Ship) -> None:
    """2**32 + 500 in four bytes would read 500: the gateway never gets to that."""
    with pytest.raises(Refused):
        await ship.payments.request(ship.ask(2**32 + 500))


async def test_a_cloned_band_is_found_by_its_counter(ship: Ship) -> None:
    """The clone has every key of the original, and the counter of the moment it was copied."""
    ref = await ship.guest()
    band = ship.band(ref)
    await ship.charge(band)
    clone = replace(band)
    await ship.charge(band)
    assert (await ship.charge(clone)).code == "counter_replayed"
    (alert,) = await ship.events(EventType.STAFF_ALERT)
    assert alert.payload["alert"] == "counter_replayed"
    assert alert.payload["uid"] == uid_from(band.uid)
    assert (alert.payload["counter"], alert.payload["last_counter"]) == (2, 2)
    assert (await ship.charge(band)).code == "posted"
    assert await ship.balance(ref) == 3000


async def test_the_original_is_found_too_once_its_clone_was_faster(ship: Ship) -> None:
    band = ship.band(await ship.guest())
    clone = replace(band)
    await ship.charge(clone)
    await ship.charge(clone)
    assert (await ship.charge(band)).code == "counter_replayed"


async def test_a_passive_band_is_not_paid_with_twice_by_one_sun_message(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref, active=False)
    one, two = ship.ask(), ship.ask()
    seen = band.read(one)
    assert (await ship.payments.book(one, TapFacts(seen))).code == "posted"
    assert (await ship.payments.book(two, TapFacts(seen))).code == "counter_replayed"
    assert await ship.balance(ref) == 1000


OTHER_UID = uid_from(bytes.fromhex("04998877665544"))
FORGERIES: dict[str, Callable[[TapEvidence], TapEvidence]] = {
    "zero mac": lambda seen: replace(seen, mac=bytes(8)),
    "random mac": lambda seen: replace(seen, mac=os.urandom(8)),
    "short mac": lambda seen: replace(seen, mac=seen.mac[:7]),
    "long mac": lambda seen: replace(seen, mac=seen.mac + b"\0"),
    "one bit": lambda seen: replace(seen, mac=bytes([seen.mac[0] ^ 1]) + seen.mac[1:]),
    "higher counter": lambda seen: replace(seen, counter=(seen.counter or 0) + 1),
    "highest counter": lambda seen: replace(seen, counter=2**32 - 1 if seen.active else 2**24 - 1),
    "counter too wide": lambda seen: replace(seen, counter=2**24 if not seen.active else 2**32 - 2),
    "another band": lambda seen: replace(seen, uid=OTHER_UID),
    "factory keys": lambda seen: replace(seen, key_version=0),
    "another voyage": lambda seen: replace(seen, key_version=2),
}


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_mac_is_refused_and_uses_up_no_counter(ship: Ship, active: bool, forgery: str) -> None:
    ref = await ship.guest()
    band = ship.band(ref, active=active)
    request, honest = ship.ask(), ship.ask()
    forged = FORGERIES[forgery](band.read(request))
    assert (await ship.payments.book(request, TapFacts(forged))).code == "bad_charge_signature"
    assert len(await ship.events(EventType.STAFF_ALERT)) == 1
    for uid in (uid_from(band.uid), OTHER_UID):
        for kind in ("charge", "sdm"):
            assert await ship.store.read(lambda tx, uid=uid, kind=kind: tx.charge_counter(uid, kind)) == 0
    assert (await ship.payments.book(honest, band.tap(honest))).code == "posted"


async def test_the_signature_of_a_small_amount_does_not_pay_a_large_one(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask(9000)
    small = ship.band(ref).read(replace(request, amount_minor=90))
    assert (await ship.payments.book(request, TapFacts(small))).code == "bad_charge_signature"


async def test_a_signed_message_swapped_for_the_right_one_has_the_wrong_mac(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask(9000)
    band = ship.band(ref)
    right = band.read(request)
    small = band.read(replace(request, amount_minor=90))
    swapped = replace(small, signed=right.signed)
    assert (await ship.payments.book(request, TapFacts(swapped))).code == "bad_charge_signature"


async def test_a_stolen_till_has_no_key_to_sign_with(ship: Ship) -> None:
    """Whoever has a till's key file signs with what it holds: the K1 and K2 of the guest's band."""
    ref = await ship.guest()
    band = ship.band(ref)
    stolen = ring(Role.TILL)
    assert not stolen.holds(keys.K_FILE)
    for key_no in (keys.K_TOKEN_READ, keys.K_META):
        request = ship.ask()
        honest = band.read(request)
        key = stolen.card_key(band.uid, key_no, 1)
        kc = charge.charge_key(AES, key, band.uid)
        mac = charge.charge_mac(AES, kc, band.uid, honest.signed, honest.counter or 0)
        forged = replace(honest, mac=mac)
        assert (await ship.payments.book(request, TapFacts(forged))).code == "bad_charge_signature"
    assert await ship.balance(ref) == 0


async def test_the_factory_key_signs_nothing(ship: Ship) -> None:
    """Anyone has the zero key, and the key ring hands it out for version 0."""
    ref = await ship.guest()
    band = ship.band(ref)
    request = ship.ask()
    honest = band.read(request)
    kc = charge.charge_key(AES, keys.FACTORY_KEY, band.uid)
    mac = charge.charge_mac(AES, kc, band.uid, honest.signed, 1)
    forged = replace(honest, key_version=0, mac=mac)
    assert (await ship.payments.book(request, TapFacts(forged))).code == "bad_charge_signature"


async def test_an_sdm_mac_does_not_pass_for_a_charge_of_an_active_band(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    request = ship.ask()
    sun = replace(band, active=False).read(request)
    posing = TapEvidence(sun.uid, ref, 1, 1, True, sun.counter, band.read(request).signed, sun.mac, None)
    assert (await ship.payments.book(request, TapFacts(posing))).code == "bad_charge_signature"


async def test_claiming_that_a_signature_was_checked_does_not_help(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    boast = replace(ship.band(ref).read(request), mac=bytes(8), verified=True)
    assert (await ship.payments.book(request, TapFacts(boast))).code == "bad_charge_signature"


async def test_a_band_of_another_ship_cannot_sign_here(ship: Ship) -> None:
    ref = await ship.guest()
    foreign = FakeBand(ship.band(ref).uid, ref, master3=bytes(16))
    request = ship.ask()
    assert (await ship.payments.book(request, foreign.tap(request))).code == "bad_charge_signature"
    assert keys.card_key(AES, bytes(16), foreign.uid, 3, SITE, 1) != ring().card_key(foreign.uid, 3, 1)


async def test_an_active_band_cannot_refuse_to_sign(ship: Ship) -> None:
    ref = await ship.guest()
    request, second = ship.ask(), ship.ask()
    mute = replace(ship.band(ref).read(request), mac=b"", counter=None)
    assert (await ship.payments.book(request, TapFacts(mute))).code == "no_charge_signature"
    lax = Ship(PaymentSettings(sun_required=False), store=ship.store)
    mute = replace(ship.band(ref).read(second), mac=b"", counter=None)
    assert (await lax.payments.book(second, TapFacts(mute))).code == "no_charge_signature"


async def test_parallel_guesses_share_three_attempts(ship: Ship) -> None:
    ref = await ship.guest(verify_above_minor=1, pin="4711")
    tap_id = (await ship.charge(ship.band(ref), 1000)).request.tap_id
    looked_at: list[str] = []
    matches = ship.pins.matches

    async def counted(pin: str, attempt: object) -> bool:
        looked_at.append(pin)
        return await matches(pin, attempt)  # type: ignore[arg-type]

    ship.pins.matches = counted  # type: ignore[method-assign]
    guesses = [f"{n:04d}" for n in range(20)] + ["4711"]
    tried = await asyncio.gather(*(ship.payments.verify(tap_id, Verification.PIN, pin=guess) for guess in guesses))
    assert len(looked_at) == 3
    assert {tap.state for tap in tried} == {ChargeState.HELD}
    assert (await ship.payments.verify(tap_id, Verification.PIN, pin="4711")).code == "pin_locked"
    assert len(await ship.events(EventType.PIN_LOCKED)) == 1
    assert await ship.balance(ref) == 0


async def test_guesses_beside_the_guests_own_pin_stay_counted(ship: Ship) -> None:
    """The right PIN must not wash away wrong ones that are still being checked."""
    ref = await ship.guest(verify_above_minor=1, pin="4711")
    band = ship.band(ref)
    taps = [(await ship.charge(band, 1000 + n)).request.tap_id for n in range(3)]
    pins = ["4711", "0000", "1111"]
    await asyncio.gather(
        *(ship.payments.verify(tap, Verification.PIN, pin=pin) for tap, pin in zip(taps, pins, strict=True))
    )
    assert (await ship.guest_row(ref)).pin_failures == 2


async def test_guessing_across_charges_and_restarts_gains_no_attempt(ship: Ship) -> None:
    ref = await ship.guest(verify_above_minor=1, pin="4711")
    band = ship.band(ref)
    codes = []
    for n in range(5):
        ship.restart()
        tap_id = (await ship.charge(band, 1000 + n)).request.tap_id
        codes.append((await ship.payments.verify(tap_id, Verification.PIN, pin=f"000{n}")).code)
        await ship.payments.cancel(tap_id)
    assert codes == ["pin_wrong", "pin_wrong", "pin_locked", "pin_locked", "pin_locked"]


async def test_refunds_at_once_never_give_back_more_than_the_charge(ship: Ship) -> None:
    ref = await ship.guest()
    tap_id = (await ship.charge(ship.band(ref), 1000)).request.tap_id
    asks = (ship.payments.refund(tap_id, 300, "", "crew-1", f"r{n}") for n in range(20))
    done = await asyncio.gather(*asks, return_exceptions=True)
    refused = [one for one in done if isinstance(one, Refused)]
    assert (len(done) - len(refused), {one.code for one in refused}) == (3, {"refund_exceeds"})
    assert await ship.balance(ref) == 100


async def test_one_refund_sent_twenty_times_is_one_refund(ship: Ship) -> None:
    ref = await ship.guest()
    tap_id = (await ship.charge(ship.band(ref), 1000)).request.tap_id
    await asyncio.gather(*(ship.payments.refund(tap_id, 300, "", "crew-1", "r1") for _ in range(20)))
    assert await ship.balance(ref) == 700
    assert len(await ship.events(EventType.CHARGE_REFUNDED)) == 1


async def test_a_charge_is_not_both_voided_and_refunded(ship: Ship) -> None:
    ref = await ship.guest()
    tap_id = (await ship.charge(ship.band(ref), 1000)).request.tap_id
    await asyncio.gather(
        ship.payments.void(tap_id, "", "crew-1"),
        ship.payments.refund(tap_id, 1000, "", "crew-2", "r1"),
        return_exceptions=True,
    )
    assert await ship.balance(ref) == 0


async def test_no_void_after_settlement(ship: Ship) -> None:
    ref = await ship.guest()
    tap_id = (await ship.charge(ship.band(ref), 1000)).request.tap_id
    await ship.folio.settle(ref)
    with pytest.raises(Refused) as refused:
        await ship.payments.void(tap_id, "", "crew-1")
    assert refused.value.code == "folio_settled"
    assert await ship.balance(ref) == 0


async def test_charges_racing_a_settlement_end_at_zero(ship: Ship) -> None:
    ref = await ship.guest()
    asked = [ship.ask(10, till=f"t{n}") for n in range(10)]
    taps = [ship.payments.book(request, ship.band(ref).tap(request)) for request in asked]
    await asyncio.gather(*taps[:5], ship.folio.settle(ref), *taps[5:])
    assert await ship.balance(ref) == 0
    codes = [(await ship.payments.status(request.tap_id)).code for request in asked]
    assert (codes.count("posted"), codes.count("folio_settled")) == (5, 5)


async def test_a_till_cannot_take_back_a_cancel_by_asking_again(ship: Ship) -> None:
    """A till that says cancelled to the guest and sends the tap late must not charge after all."""
    ref = await ship.guest()
    request = ship.ask()
    await ship.payments.request(request)
    facts = ship.band(ref).tap(request)
    await ship.payments.cancel(request.tap_id)
    assert (await ship.payments.book(request, facts)).code == "cancelled"
    assert await ship.balance(ref) == 0


async def test_a_cancel_survives_a_flood_of_cancels_elsewhere(ship: Ship) -> None:
    """The memory of closed taps is bounded; within the bound none is forgotten."""
    request = ship.ask()
    await ship.payments.request(request)
    await ship.payments.cancel(request.tap_id)
    for _ in range(4000):
        await ship.payments.cancel(ship.ask().tap_id)
    assert (await ship.payments.status(request.tap_id)).code == "cancelled"
