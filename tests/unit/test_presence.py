"""Presence: only with consent, only the last zone, nothing from what is old, strange or said twice; keys that go."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.moneykit import NOON_S
from tests.unit.radiokit import ADDRESS, ALL, PERIOD, UID, RadioShip, afloat
from tests.unit.servicekit import ASE, END_S, KIRA, guest

from bandwire.condition import Condition
from steward.adapters.keyfile import Role
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.events import EventType
from steward.domain.guests import BandState
from steward.domain.ids import Uid
from steward.domain.presence import BandRadio, Presence
from steward.domain.untracked import Untracked
from steward.errors import Busy
from steward.ports import Tx
from steward.ports.radio import Sighting
from steward.services.bandradio import note_radio
from steward.services.presence import LOOK_EVERY_MS, SOUGHT_MAX, keep_presence

OTHER = Uid("04A2A2A2A2A2A2")


async def test_where_a_band_was_heard_is_kept_and_follows_it() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    first = await ship.kept()
    assert first is not None
    assert (first.zone, first.since_s) == ("pool", first.seen_s)
    await ship.stand(ship.pool, 70)
    later = await ship.kept()
    assert later is not None
    assert (later.since_s, later.seen_s > first.seen_s) == (first.since_s, True)
    await ship.stand(ship.spa, 40)
    moved = await ship.kept()
    assert moved is not None
    assert moved.zone == "spa"
    assert moved.since_s > later.seen_s


async def test_nothing_of_it_is_an_event() -> None:
    ship = await afloat()
    before = len(await ship.store.read(lambda tx: tx.events(0, 999)))
    await ship.stand(ship.pool, 90)
    events = await ship.store.read(lambda tx: tx.events(0, 999))
    assert len(events) == before
    assert not any("pool" in str(event.payload) for event in events)


async def test_without_a_yes_nobody_s_key_is_made() -> None:
    ship = RadioShip()
    await ship.board()
    await ship.stand(ship.pool)
    assert (await ship.kept(), ship.presence.size(), ship.presence.counts.resolved) == (None, 0, 0)


@pytest.mark.parametrize("role", [Role.DOOR, Role.TILL])
async def test_a_gateway_without_the_role_resolves_nobody(role: Role) -> None:
    ship = await afloat(role)
    name = (await afloat()).name(PERIOD)
    for _ in range(20):
        ship.pool.heard.append(Sighting(name, -60, ADDRESS, ship.clock.ms))
        await ship.presence.tick()
        ship.clock.tick(1)
    assert (await ship.kept(), ship.presence.size()) == (None, 0)


async def test_an_encoder_holds_the_keys_and_still_only_with_consent() -> None:
    ship = RadioShip(Role.ENCODER)
    await ship.board()
    await ship.presence.tick()
    assert ship.presence.size() == 0


async def test_a_yes_taken_back_counts_before_the_next_look() -> None:
    """Between the hand-over of the key and the sighting: the transaction that would write it asks again."""
    ship = await afloat()
    await ship.stand(ship.pool)
    ship.clock.ms += LOOK_EVERY_MS
    await ship.presence.tick()  # it has just looked who is wanted
    ship.clock.step(61)
    assert await ship.kept() is not None
    await ship.agree(yes=False)
    assert await ship.kept() is None  # at once
    ship.say(ship.pool)
    await ship.presence.tick()
    assert ship.presence.size() == 1  # it does not know yet
    assert await ship.kept() is None
    ship.clock.ms += LOOK_EVERY_MS
    await ship.presence.tick()
    assert ship.presence.size() == 0


@pytest.mark.parametrize("state", [BandState.FROZEN, BandState.RETIRED, BandState.RETURNED])
async def test_a_frozen_or_replaced_band_is_nobody(state: BandState) -> None:
    ship = await afloat()
    await ship.stand(ship.pool)

    def freeze(tx: Tx) -> None:
        band = tx.band(UID)
        assert band is not None
        tx.put_band(replace(band, state=state))

    await ship.store.write(freeze)
    assert await ship.kept() is None
    await ship.stand(ship.pool, 70)
    assert (await ship.kept(), ship.presence.size()) == (None, 0)


async def test_no_tracking_and_a_wish_for_quiet_end_it() -> None:
    for end in ("untracked", "wish", "stay"):
        ship = await afloat()
        await ship.stand(ship.pool)
        if end == "untracked":
            await ship.untrack()
        elif end == "wish":
            await ship.wishes.say(KIRA, UID, False, "guest")
        else:
            ship.clock.tick(END_S - ship.clock.unix_s + 1)
        kept = await ship.kept()
        assert (kept is None) == (end == "untracked")
        await ship.stand(ship.spa, 70)
        assert (await ship.kept(), ship.presence.size()) == (kept, 0), end


async def test_another_wearer_of_the_same_band_is_another_guest() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    await ship.board(ASE, UID)
    await ship.stand(ship.pool, 30)
    assert await ship.kept(ASE) is None  # has not agreed
    await ship.agree(ASE)
    await ship.stand(ship.pool, 30)
    assert (await ship.kept(ASE)) is not None


async def test_of_two_bands_the_newer_one_counts() -> None:
    ship = await afloat()
    await ship.board(KIRA, OTHER, serial=2)
    for _ in range(30):
        ship.say(ship.pool)
        ship.say(ship.spa, uid=OTHER, address="C2:00:00:00:00:02")
        await ship.presence.tick()
        ship.clock.tick(1)
    kept = await ship.kept()
    assert kept is not None
    assert kept.zone == "spa"


# names


async def test_junk_costs_a_look_up_and_changes_nothing() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    kept, table = await ship.kept(), ship.presence._table
    for _ in range(5000):
        ship.pool.heard.append(Sighting(os.urandom(8), -40, "FF:00:00:00:00:01", ship.clock.ms))
    await ship.presence.tick()
    assert ship.presence.counts.strange == 5000
    assert (await ship.kept(), ship.presence._table is table) == (kept, True)


async def test_a_name_of_the_past_is_no_presence() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    old = ship.period()
    ship.clock.tick(2 * ALL)
    await ship.stand(ship.pool, 30)
    seen = await ship.kept()
    assert seen is not None
    counted = ship.presence.counts.old + ship.presence.counts.strange
    await ship.stand(ship.spa, 40, rssi=-30, period=old, address="FF:00:00:00:00:01")
    after = await ship.kept()
    assert after is not None
    assert after.zone == "pool"
    assert ship.presence.counts.old + ship.presence.counts.strange == counted + 40


async def test_a_name_that_is_said_again_elsewhere_makes_it_unknown_until_the_next() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    where = await ship.kept()
    for _ in range(70):
        ship.say(ship.pool)
        ship.say(ship.spa, rssi=-35, address="FF:00:00:00:00:01")
        await ship.presence.tick()
        ship.clock.tick(1)
    assert await ship.kept() == where
    assert ship.presence.is_contested(UID)
    assert ship.presence.where(UID) is None
    ship.clock.tick(ALL)
    await ship.stand(ship.spa, 30)
    assert not ship.presence.is_contested(UID)
    kept = await ship.kept()
    assert kept is not None
    assert kept.zone == "spa"


async def test_a_band_that_lost_power_is_believed_after_two_of_its_names() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    ship.clock.tick(20 * ALL)
    behind = ship.period() - 12
    await ship.stand(ship.spa, 30, period=behind)
    assert (await ship.kept() or Presence(KIRA, "", 0, 0)).zone == "pool"  # one alone says nothing
    ship.clock.tick(ALL - 30)
    ship.say(ship.spa, period=behind + 1)
    await ship.presence.tick()
    ship.clock.tick(6)
    await ship.stand(ship.spa, 30, period=behind + 1)
    kept = await ship.kept()
    assert kept is not None
    assert kept.zone == "spa"


async def test_a_recorded_name_of_then_alone_moves_nobody() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    ship.clock.tick(20 * ALL)
    for _ in range(3):
        await ship.stand(ship.spa, 30, period=ship.period() - 9)
        ship.clock.tick(3 * ALL)
    kept = await ship.kept()
    assert kept is not None
    assert kept.zone == "pool"


async def test_a_tap_tells_the_clock_anew() -> None:
    ship = await afloat()
    ship.clock.tick(30 * ALL)
    told = Condition(80, False, True, 3)
    await ship.store.write(lambda tx: note_radio(tx, UID, told, ship.clock.unix_s))
    await ship.stand(ship.pool, 20, period=3)
    assert await ship.kept() is not None


async def test_a_clock_that_is_not_believed_places_nobody() -> None:
    ship = await afloat()
    ship.clock.trusted = False
    await ship.stand(ship.pool, 30)
    assert await ship.kept() is None


async def test_who_is_looked_for_is_listened_for_and_not_kept() -> None:
    ship = RadioShip()
    await ship.board()
    await ship.presence.seek(UID, ship.clock.ms + 10_000)
    await ship.stand(ship.pool, 8)
    heard = ship.presence.where(UID)
    assert heard is not None
    assert heard.radio is ship.pool
    assert await ship.kept() is None
    ship.clock.tick(20)
    await ship.presence.tick()
    assert (ship.presence.size(), ship.presence.where(UID)) == (0, None)


async def test_only_so_many_are_looked_for_at_once() -> None:
    ship = RadioShip()
    for n in range(SOUGHT_MAX):
        await ship.presence.seek(Uid(f"04{n:012X}"), ship.clock.ms + 1e6)
    with pytest.raises(Busy):
        await ship.presence.seek(UID, ship.clock.ms + 1e6)


async def test_a_band_with_no_radio_told_nothing() -> None:
    ship = RadioShip()
    await ship.board()
    events = await ship.store.read(lambda tx: tx.events(0, 9))
    assert not [event for event in events if event.type is EventType.STAFF_ALERT]
    await ship.store.write(lambda tx: note_radio(tx, OTHER, Condition(50, False), NOON_S))
    assert await ship.store.read(lambda tx: tx.radio(OTHER)) is None


def _band(tx: Tx, **changes: object) -> None:
    band = tx.band(UID)
    assert band is not None
    tx.put_band(replace(band, **changes))  # type: ignore[arg-type]


CHANGES: dict[str, Callable[[Tx], object]] = {
    "frozen": lambda tx: _band(tx, state=BandState.FROZEN),
    "another's": lambda tx: _band(tx, guest=ASE),
    "another voyage's keys": lambda tx: _band(tx, key_version=2),
    "a no": lambda tx: tx.put_consent(Consent(KIRA, ConsentPurpose.PRESENCE, False, NOON_S + 99, Source.ABOARD, 2)),
    "forgotten": lambda tx: tx.drop_consents(KIRA),
    "not tracked": lambda tx: tx.put_untracked(Untracked(KIRA, True, NOON_S, 1)),
    "a child": lambda tx: tx.put_guest(guest(KIRA, child=True)),
    "left": lambda tx: tx.put_guest(guest(KIRA, not_after_s=NOON_S - 1)),
    "wants it off": lambda tx: tx.put_radio(BandRadio(UID, True, True, PERIOD, NOON_S, wish=False)),
    "gone": lambda tx: tx.drop_guest(KIRA),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_has_changed_since_it_was_asked_counts_when_it_is_written(change: str) -> None:
    ship = await afloat()
    (wanted,) = await ship.store.read(lambda tx: tx.bands_to_hear(NOON_S))
    here = Presence(KIRA, "pool", NOON_S, NOON_S)
    assert await ship.store.write(lambda tx: keep_presence(tx, wanted, here, NOON_S))
    await ship.store.write(CHANGES[change])
    later = replace(here, zone="spa", seen_s=NOON_S + 1)
    assert not await ship.store.write(lambda tx: keep_presence(tx, wanted, later, NOON_S + 1))
    kept = await ship.kept()
    assert kept is None or kept.zone == "pool"
