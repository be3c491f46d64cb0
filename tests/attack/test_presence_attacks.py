"""A guest's last word on their radio holds, whoever holds the band, asks for it or plays back what was said before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.moneykit import NOON_S
from tests.unit.radiokit import UID, RadioShip, afloat
from tests.unit.servicekit import KIRA
from tests.unit.test_findme import HELPER
from tests.unit.test_radio_ship import DOOR, TILL, aboard, radio, say

from bandwire.condition import WISH_OFF, Condition
from steward.adapters.system import OsEntropy
from steward.domain.guests import BandState
from steward.domain.presence import CLOSE_DB, KEPT_S, BandRadio, Contest, Presence
from steward.ports import Tx
from steward.services.bandradio import note_radio
from steward.services.findme import Finding
from steward.services.mydata import MyData
from steward.services.notracking import NoTrackingService
from steward.services.ownband import OwnBandService

OFF = Condition(80, False, True, None)


async def on_its_way() -> RadioShip:
    """Kira's radio was off and she wished it on; the band took that at its last tap, where it told the state before."""
    ship = RadioShip()
    await ship.board()
    await ship.store.write(lambda tx: note_radio(tx, UID, OFF, NOON_S))
    await ship.wishes.say(KIRA, UID, True, "guest")
    await ship.store.write(lambda tx: note_radio(tx, UID, OFF, NOON_S + 1))
    return ship


async def test_no_tracking_is_told_to_a_band_that_may_have_been_switched_on_already() -> None:
    ship = await on_its_way()
    await NoTrackingService(ship.store, ship.clock).say(KIRA, True, "guest")
    await ship.wishes.look()
    assert ship.wishes.wish_of(bytes.fromhex(UID)) == WISH_OFF


async def test_so_is_off_and_it_is_over_once_the_band_says_so() -> None:
    ship = await on_its_way()
    await ship.wishes.say(KIRA, UID, False, "guest")
    assert ship.wishes.wish_of(bytes.fromhex(UID)) == WISH_OFF
    await ship.store.write(lambda tx: note_radio(tx, UID, OFF, NOON_S + 2))
    assert await ship.store.read(lambda tx: tx.radio(UID)) == BandRadio(UID, has=True)


async def test_crew_do_not_look_for_a_band_that_is_to_be_quiet() -> None:
    ship = await afloat()
    await ship.wishes.say(KIRA, UID, False, "guest")
    ship.say(ship.pool)
    found = await ship.find_me.find_for(HELPER, KIRA)
    assert (found.finding, found.zone) == (Finding.OFF, None)
    assert ship.pool.asked == []


@pytest.mark.parametrize("state", [BandState.RETURNED, BandState.RETIRED])
async def test_a_wish_is_not_told_to_the_next_wearer_of_the_band(state: BandState) -> None:
    fleet = await aboard()
    await say(fleet, True)

    def over(tx: Tx) -> None:
        worn = tx.band(UID)
        assert worn is not None
        tx.put_band(replace(worn, state=state))

    await fleet.authority.store.write(over)
    await fleet.settle_down()
    for where in (DOOR.name, TILL.name):
        known = await radio(fleet, where)
        assert known is None or known.wish is None, where


async def test_a_guest_is_told_where_no_longer_than_it_may_be_kept() -> None:
    ship = await afloat()
    own = OwnBandService(ship.store, ship.clock, OsEntropy(), None)
    await ship.store.write(lambda tx: tx.put_presence(Presence(KIRA, "pool", NOON_S, NOON_S)))
    assert await own.last_heard(KIRA) is not None
    ship.clock.tick(KEPT_S + 1)
    assert await own.last_heard(KIRA) is None


async def test_what_is_kept_is_shown_to_the_guest() -> None:
    ship = await afloat()
    kept = Presence(KIRA, "pool", NOON_S, NOON_S)
    await ship.store.write(lambda tx: tx.put_presence(kept))
    assert (await MyData(ship.store, ship.clock).held(KIRA)).presence == kept


def test_addresses_of_a_name_that_is_contested_are_not_collected() -> None:
    contest = Contest(4, "A0")
    for number in range(10_000):
        contest.hear(f"A{number}", "pool", CLOSE_DB - 10, float(number))
    assert contest.is_contested
    assert len(contest._left) < 20
