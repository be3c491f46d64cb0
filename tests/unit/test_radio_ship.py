"""A guest's word on their radio reaches the ship's doors, and what the band said there comes back."""

from __future__ import annotations

import pytest
from tests.unit.lankit import Fleet
from tests.unit.servicekit import guest

from bandwire.condition import Condition
from steward.domain.events import EventType, fact
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, TillId, Uid
from steward.domain.presence import BandRadio
from steward.domain.replica import MemberRole
from steward.ports import Tx
from steward.services.allowances import Member
from steward.services.bandradio import note_radio
from steward.services.radiowishes import RadioWishes

UID = Uid("04A1A1A1A1A1A1")
REF = GuestRef("00000000000000a1")
DOOR, TILL = Member("door", MemberRole.DOOR, frozenset()), Member("bar", MemberRole.TILL, frozenset({TillId("BAR1")}))


async def aboard() -> Fleet:
    fleet = Fleet(DOOR, TILL)

    def work(tx: Tx) -> None:
        tx.put_guest(guest(REF))
        tx.put_band(Band(UID, REF, 1, True, 1, True, BandState.ISSUED))

    await fleet.authority.store.write(work)
    await fleet.settle_down()
    return fleet


async def radio(fleet: Fleet, where: str) -> BandRadio | None:
    store = fleet.authority.store if where == "authority" else fleet[where].store
    return await store.read(lambda tx: tx.radio(UID))


async def say(fleet: Fleet, on: bool) -> None:
    wishes = RadioWishes(fleet.authority.store, fleet.authority.clock)
    await wishes.say(REF, UID, on, "guest")
    await fleet.settle_down()


async def tap(fleet: Fleet, where: str, period: int | None) -> None:
    now_s = fleet[where].clock.unix_s
    told = Condition(80, False, True, period)
    await fleet[where].store.write(lambda tx: note_radio(tx, UID, told, now_s, REF))
    await fleet.settle_down()


@pytest.mark.parametrize("where", ["door", "bar"])
async def test_a_wish_is_known_at_every_reader_and_over_everywhere_once_the_band_says_so(where: str) -> None:
    fleet = await aboard()
    await say(fleet, True)
    for other in ("door", "bar"):
        known = await radio(fleet, other)
        assert known is not None
        assert known.wish is True, other
    await tap(fleet, where, 7)
    for other in ("authority", "door", "bar"):
        known = await radio(fleet, other)
        assert known is not None
        assert known.wish is None, other
    told = await radio(fleet, "authority")
    assert told is not None
    assert (told.is_on, told.period, told.told_s) == (True, 7, fleet[where].clock.unix_s)


async def test_the_button_is_told_too() -> None:
    fleet = await aboard()
    await tap(fleet, "door", 3)
    await tap(fleet, "door", None)
    known = await radio(fleet, "authority")
    assert known is not None
    assert (known.is_on, known.wish) == (False, None)


@pytest.mark.parametrize(
    "odd",
    [
        {"uid": "04FFFFFFFFFFFF"},
        {"period": 65_536},
        {"period": "7"},
        {"period": True},
        {"guest": "00000000000000b2"},
    ],
)
async def test_what_a_gateway_cannot_have_heard_is_refused(odd: dict[str, str | int]) -> None:
    fleet = await aboard()
    payload = {"guest": REF, "uid": UID, "period": 7, **odd}
    await fleet["door"].store.write(lambda tx: tx.append_event(fact(EventType.BAND_RADIO, 1_800_000_000, **payload)))
    await fleet.settle_down()
    assert await radio(fleet, "authority") is None
    assert any("lan" in alert or "peer" in alert for alert in await fleet.alerts())


async def test_a_word_from_the_future_or_before_a_later_one_changes_nothing() -> None:
    fleet = await aboard()
    await tap(fleet, "door", 9)
    for at_s in (fleet["bar"].clock.unix_s - 50, fleet["bar"].clock.unix_s + 9_000):
        event = fact(EventType.BAND_RADIO, at_s, guest=REF, uid=UID, period=-1)
        await fleet["bar"].store.write(lambda tx, event=event: tx.append_event(event))  # type: ignore[misc]
    await fleet.settle_down()
    known = await radio(fleet, "authority")
    assert known is not None
    assert (known.is_on, known.period) == (True, 9)
