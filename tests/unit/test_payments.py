"""The tap, and what the service writes down."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.unit.moneykit import Ship

from steward.adapters.keyfile import Role
from steward.domain.charges import ChargeState, TapFacts
from steward.domain.events import EventType
from steward.domain.ids import uid_from
from steward.domain.ledger import guest_account, revenue_account
from steward.errors import Busy, StoreUnavailable
from steward.ports import Tx
from steward.services.payments import WAITING


@pytest.fixture
def ship() -> Ship:
    return Ship()


# the tap


async def test_a_good_tap_is_on_the_folio_with_its_proof(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    charge = await ship.charge(band, 1250)
    assert (charge.state, charge.code, charge.at_s) == (ChargeState.POSTED, "posted", ship.clock.unix_s)
    assert charge.evidence is not None
    assert charge.evidence.verified is True
    assert await ship.stored(charge.request.tap_id) == charge
    assert await ship.balance(ref) == 1250
    assert await ship.store.read(lambda tx: tx.balance(revenue_account(charge.request.outlet))) == -1250
    assert await ship.store.read(lambda tx: tx.charge_counter(uid_from(band.uid), "charge")) == 1
    (event,) = await ship.events()
    assert event.type is EventType.CHARGE_POSTED
    assert event.payload["guest"] == ref
    assert event.payload["mac"] == charge.evidence.mac
    assert event.payload["counter"] == 1


async def test_a_refused_tap_is_recorded_and_costs_nothing(ship: Ship) -> None:
    ref = await ship.guest(day_minor=100)
    charge = await ship.charge(ship.band(ref), 101)
    assert (charge.state, charge.code) == (ChargeState.REFUSED, "day_limit")
    assert await ship.stored(charge.request.tap_id) == charge
    assert await ship.balance(ref) == 0
    (event,) = await ship.events()
    assert (event.type, event.payload["code"]) == (EventType.CHARGE_REFUSED, "day_limit")


async def test_an_access_refusal_is_recorded_as_it_came(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    facts = TapFacts(ship.band(ref).read(request), "superseded")
    assert (await ship.payments.book(request, facts)).code == "superseded"
    foreign = ship.ask()
    charge = await ship.payments.book(foreign, TapFacts(None, "not_our_card"))
    assert (charge.code, charge.evidence) == ("not_our_card", None)
    assert (await ship.events())[-1].payload["guest"] is None


async def test_access_is_judged_in_the_bookings_own_transaction(ship: Ship) -> None:
    band = ship.band(await ship.guest())
    request, second = ship.ask(), ship.ask()

    def frozen(tx: Tx) -> str | None:
        tx.set_meta("judged", "yes")
        return "frozen"

    assert (await ship.payments.book(request, band.tap(request), frozen)).code == "frozen"
    assert await ship.store.read(lambda tx: tx.meta("judged")) == "yes"
    assert (await ship.payments.book(second, band.tap(second), lambda tx: None)).code == "posted"


async def test_a_repeat_of_a_tap_returns_what_is_recorded(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    request = ship.ask()
    facts = band.tap(request)
    first = await ship.payments.book(request, facts)
    ship.restart()
    assert await ship.payments.book(request, facts) == first
    assert await ship.payments.book(request, band.tap(request)) == first
    assert await ship.balance(ref) == 1000
    assert len(await ship.events()) == 1


async def test_a_torn_tap_signed_twice_is_charged_once(ship: Ship) -> None:
    """The first answer was lost on the air; the guest holds the band there again for the same request."""
    ref = await ship.guest()
    band = ship.band(ref)
    request = ship.ask()
    await ship.payments.request(request)
    band.read(request)
    charge = await ship.payments.book(request, band.tap(request))
    assert charge.evidence is not None
    assert (charge.code, charge.evidence.counter) == ("posted", 2)
    assert await ship.balance(ref) == 1000


async def test_a_write_that_fails_leaves_the_request_waiting(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    await ship.payments.request(request)

    def full(tx: Tx) -> str | None:
        raise StoreUnavailable("disk full")

    band = ship.band(ref)
    with pytest.raises(StoreUnavailable):
        await ship.payments.book(request, band.tap(request), full)
    assert ship.payments.pending_for(request.till) == request
    assert (await ship.payments.status(request.tap_id)).code == WAITING
    assert (await ship.payments.book(request, band.tap(request))).code == "posted"


async def test_a_till_is_told_that_the_gateway_cannot_write_and_staff_once_it_can_again(ship: Ship) -> None:
    """Its poll ends at once when the tap could not be written, and then waits as before: nobody asks in a circle."""
    band, request = ship.band(await ship.guest()), ship.ask()
    assert (await ship.payments.request(request)).trouble == ""

    def full(tx: Tx) -> str | None:
        raise StoreUnavailable("disk full")

    waiting = asyncio.create_task(ship.payments.wait(request.tap_id, 25))
    await asyncio.sleep(0)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await ship.payments.book(request, band.tap(request), full)
    told = await waiting
    assert (told.code, told.trouble, told.charge) == (WAITING, "gateway_cannot_write", None)
    assert await ship.payments.request(request) == told == await ship.payments.status(request.tap_id)
    again = asyncio.create_task(ship.payments.wait(request.tap_id, 25))
    await asyncio.sleep(0)
    assert not again.done()
    await ship.payments.book(request, band.tap(request))
    assert ((await again).code, (await again).trouble) == ("posted", "")
    (alert,) = await ship.events(EventType.STAFF_ALERT)
    assert (alert.payload["alert"], alert.payload["taps"]) == ("gateway_cannot_write", 2)
    other = ship.ask()
    await ship.payments.request(other)
    await ship.payments.book(other, band.tap(other))
    assert len(await ship.events(EventType.STAFF_ALERT)) == 1


async def test_what_could_not_be_told_of_missed_taps_is_told_later(ship: Ship) -> None:
    band, request = ship.band(await ship.guest()), ship.ask()
    await ship.payments.request(request)

    def full(tx: Tx) -> str | None:
        raise StoreUnavailable("disk full")

    def busy(tx: Tx) -> str | None:
        raise Busy("queue full")

    with pytest.raises(StoreUnavailable):
        await ship.payments.book(request, band.tap(request), full)
    with pytest.raises(Busy):
        await ship.payments.book(request, band.tap(request), busy)
    await ship.payments.book(request, band.tap(request))
    (alert,) = await ship.events(EventType.STAFF_ALERT)
    assert alert.payload["taps"] == 1


async def test_a_passive_band_pays_with_a_fresh_sun_message(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref, active=False)
    charge = await ship.charge(band)
    assert charge.evidence is not None
    assert (charge.code, charge.evidence.verified) == ("posted", True)
    assert await ship.store.read(lambda tx: tx.charge_counter(uid_from(band.uid), "sdm")) == 1
    request = ship.ask()
    silent = replace(band.read(request), mac=b"", counter=None, signed=b"")
    assert (await ship.payments.book(request, TapFacts(silent))).code == "no_charge_signature"


async def test_a_till_without_k3_checks_what_was_signed_but_not_by_whom() -> None:
    ship = Ship(role=Role.TILL)
    band = ship.band(await ship.guest())
    charge = await ship.charge(band)
    assert charge.evidence is not None
    assert (charge.code, charge.evidence.verified) == ("posted", None)
    request = ship.ask()
    other = band.read(replace(request, amount_minor=1))
    assert (await ship.payments.book(request, TapFacts(other))).code == "bad_charge_signature"


async def test_a_till_without_k3_counts_no_counter_of_a_refused_token() -> None:
    """Stolen till keys read any band; they must not be able to lock its guest out of every till."""
    ship = Ship(role=Role.TILL)
    band = ship.band(await ship.guest())
    request = ship.ask()
    forged = replace(band.read(request), counter=2**32 - 1)
    refused = await ship.payments.book(request, TapFacts(forged), lambda _tx: "bad_signature")
    assert refused.code == "bad_signature"
    assert (await ship.charge(band)).code == "posted"


async def test_an_unknown_guest_and_a_band_of_unknown_keys(ship: Ship) -> None:
    request = ship.ask()
    nobody = ship.band("00000000000000ff")  # type: ignore[arg-type]
    assert (await ship.payments.book(request, nobody.tap(request))).code == "guest_unknown"
    for version in (0, 9):
        request = ship.ask()
        seen = replace(ship.band(await ship.guest()).read(request), key_version=version)
        assert (await ship.payments.book(request, TapFacts(seen))).code == "bad_charge_signature"


async def test_a_second_tap_within_the_window_is_asked_about(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    assert (await ship.charge(band, allow_duplicate=False)).code == "posted"
    ship.clock.tick(20)
    assert (await ship.charge(band, allow_duplicate=False)).code == "duplicate_tap"
    assert (await ship.charge(band, allow_duplicate=False, till="bar-2")).code == "posted"
    assert (await ship.charge(band, 1001, allow_duplicate=False)).code == "posted"
    assert (await ship.charge(ship.band(await ship.guest()), allow_duplicate=False)).code == "posted"
    assert (await ship.charge(band, allow_duplicate=True)).code == "posted"
    ship.clock.tick(21)
    assert (await ship.charge(band, allow_duplicate=False)).code == "posted"


async def test_a_clock_that_steps_back_hides_no_duplicate(ship: Ship) -> None:
    band = ship.band(await ship.guest())
    await ship.charge(band, allow_duplicate=False)
    ship.clock.step(-3600)
    assert (await ship.charge(band, allow_duplicate=False)).code == "duplicate_tap"


async def test_the_day_limit_begins_anew_with_the_ships_day_and_the_stay_limit_does_not(ship: Ship) -> None:
    band = ship.band(await ship.guest(stay_minor=2500, day_minor=1000))
    assert (await ship.charge(band)).code == "posted"
    assert (await ship.charge(band, 1)).code == "day_limit"
    ship.clock.tick(17 * 3600 - 1)  # one second before 05:00
    assert (await ship.charge(band, 1)).code == "day_limit"
    ship.clock.tick(1)
    assert (await ship.charge(band)).code == "posted"
    ship.clock.tick(86_400)
    assert (await ship.charge(band, 501)).code == "stay_limit"
    assert (await ship.charge(band, 500)).code == "posted"


async def test_a_clock_that_steps_back_a_day_opens_no_second_day_limit(ship: Ship) -> None:
    band = ship.band(await ship.guest(day_minor=1000))
    await ship.charge(band)
    ship.clock.step(-86_400)
    assert (await ship.charge(band, 1)).code == "day_limit"


async def test_a_childs_limit_has_a_code_of_its_own(ship: Ship) -> None:
    band = ship.band(await ship.guest(day_minor=1000, child=True))
    assert (await ship.charge(band, 1001)).code == "child_limit"
    assert (await ship.charge(band, 10, age_restricted=True)).code == "age_restricted"
    assert (await ship.charge(band)).code == "posted"


async def test_a_hold_counts_until_it_expires(ship: Ship) -> None:
    ref = await ship.guest(day_minor=1500, verify_above_minor=900)
    band = ship.band(ref)
    held = await ship.charge(band, 1000)
    assert (held.state, held.code) == (ChargeState.HELD, "verification_required")
    assert (await ship.charge(band, 600)).code == "day_limit"
    ship.clock.tick(121)
    assert (await ship.charge(band, 600)).code == "posted"
    after = await ship.stored(held.request.tap_id)
    assert after is not None
    assert (after.state, after.code) == (ChargeState.REFUSED, "hold_expired")
    assert await ship.balance(ref) == 600


async def test_limits_hold_when_fifty_taps_come_at_once(ship: Ship) -> None:
    ref = await ship.guest(stay_minor=1000, day_minor=1000)
    bands = [ship.band(ref) for _ in range(50)]
    asked = [ship.ask(100, till=f"t{n}") for n in range(50)]
    booked = await asyncio.gather(*(ship.payments.book(r, b.tap(r)) for r, b in zip(asked, bands, strict=True)))
    codes = [charge.code for charge in booked]
    assert (codes.count("posted"), codes.count("day_limit")) == (10, 40)
    assert await ship.balance(ref) == 1000
    assert await ship.ledger_sum() == 0


async def test_one_tap_booked_fifty_times_at_once_is_one_charge(ship: Ship) -> None:
    ref = await ship.guest()
    request = ship.ask()
    facts = ship.band(ref).tap(request)
    await ship.payments.request(request)
    booked = await asyncio.gather(*(ship.payments.book(request, facts) for _ in range(50)))
    assert len({id(charge) for charge in booked}) == 1
    assert await ship.balance(ref) == 1000
    assert len(await ship.events()) == 1
    assert ship.payments.pending_for(request.till) is None


async def test_every_posting_has_its_charge_and_its_event(ship: Ship) -> None:
    ref = await ship.guest()
    band = ship.band(ref)
    charges = [await ship.charge(band, amount) for amount in (100, 250, 30_000, 999_999)]
    booked = await ship.store.read(lambda tx: tx.ledger_of(guest_account(ref)))
    assert [t.tap_id for t in booked] == [c.request.tap_id for c in charges if c.state is ChargeState.POSTED]
    assert [e.payload["tap_id"] for e in await ship.events()] == [c.request.tap_id for c in charges]
