"""No-tracking at the door: what its event says, what security keeps, and what the authority makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.moneykit import NOON_S
from tests.unit.test_access import CABIN, POOL, UID, shown

from bandwire.token import FLAG_CHILD
from steward.adapters.memory import MemoryStore
from steward.domain.access import Decision, Place, Shown
from steward.domain.events import ERASED_PAYLOAD, EventType, StoredEvent
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, Uid
from steward.domain.peercharge import BadPeerEvent
from steward.domain.untracked import Untracked, is_later, is_untracked, said
from steward.ports import Tx
from steward.services.doors import DoorService, guest_of, judge
from steward.services.peerdoors import adopt_opened
from steward.services.taps import MeteredCard, Tap

REF = GuestRef(bytes(range(8)).hex())
UID_TEXT = Uid(UID.hex().upper())
GUEST = Guest(REF, "R-1", (CabinStay(5012, 4),), 0, False, False, 0, 2**32 - 1, "EUR", Limits(1, 1, 1), serial=2)


async def at_door(store: MemoryStore, what: Shown, place: Place = CABIN, *, trusted: bool = True) -> Decision:
    tap = Tap(object.__new__(MeteredCard), place, "reader", "door", 0.0, 1_800_000_000, trusted)

    def work(tx: Tx) -> Decision:
        decision = judge(tx, place, what, tap.at_s, trusted)
        DoorService._record(tx, tap, decision, what)
        return decision

    return await store.write(work)


async def logged(store: MemoryStore) -> list[StoredEvent]:
    return list(await store.read(lambda tx: tx.events(0, 99)))


def who(event: StoredEvent) -> tuple[object, ...]:
    return tuple(event.payload.get(key) for key in ("guest", "uid", "serial"))


async def untracked(on: bool = True) -> MemoryStore:
    store = MemoryStore()
    await store.write(lambda tx: tx.put_untracked(Untracked(REF, on, NOON_S, 1)))
    return store


async def test_the_door_opens_and_does_not_say_for_whom() -> None:
    store = await untracked()
    assert guest_of(shown().token) == REF
    assert (await at_door(store, shown())).granted
    [event] = await logged(store)
    assert (event.type, event.payload["place"], event.payload["code"]) == (EventType.DOOR_OPENED, CABIN.name, "granted")
    assert who(event) == (None, None, None)
    assert event.payload["stays"] == "5012:4 5014:9"  # older bands of the cabin are retired all the same


async def test_a_wrong_door_is_a_movement_too() -> None:
    store = await untracked()
    assert not (await at_door(store, shown(), Place("cabin-1", 7, cabin=1))).granted
    assert who((await logged(store))[0]) == (None, None, None)


async def test_a_lost_clock_is_told_without_the_band() -> None:
    store = await untracked()
    assert (await at_door(store, shown(), trusted=False)).granted
    opened, alert = await logged(store)
    assert alert.payload["alert"] == "clock_lost"
    assert who(opened) == (None, None, None)
    assert alert.payload["uid"] is None


async def test_nor_is_anybody_else_s_band_told_with_it() -> None:
    """The tap is sealed with the guest's key and soon over; the alert is neither."""
    store = MemoryStore()
    assert (await at_door(store, shown(), trusted=False)).granted
    opened, alert = await logged(store)
    assert opened.payload["guest"] == REF
    assert (alert.payload["alert"], alert.payload["uid"]) == ("clock_lost", None)


@pytest.mark.parametrize("case", ["frozen", "forged", "copied"])
async def test_what_staff_must_look_at_keeps_its_references(case: str) -> None:
    store = await untracked()
    what = shown()
    if case == "frozen":
        await store.write(lambda tx: tx.deny(UID_TEXT, 6, "lost"))
    elif case == "forged":
        what = shown(signature_ok=False)
    else:
        what = shown(uid=b"\x04" + bytes(6))
    assert not (await at_door(store, what)).granted
    refused, alert = await logged(store)
    assert refused.payload["guest"] == REF
    assert refused.payload["uid"] == alert.payload["uid"] == what.uid.hex().upper()


async def test_who_has_said_nothing_is_written_down_but_a_child_is_not() -> None:
    store = MemoryStore()
    await at_door(store, shown(), POOL)
    await at_door(store, shown(flags=FLAG_CHILD), POOL)
    first, second = await logged(store)
    assert who(first) == (REF, UID_TEXT, 2)
    assert who(second) == (None, None, None)
    store = await untracked(on=False)  # an adult has said so
    await at_door(store, shown(flags=FLAG_CHILD), POOL)
    assert who((await logged(store))[0]) == (REF, UID_TEXT, 2)


# at the authority


async def test_the_authority_takes_a_stay_from_a_door_that_does_not_say_whose() -> None:
    store = MemoryStore()
    await store.write(lambda tx: tx.put_guest(GUEST))
    told = {"guest": None, "serial": None, "stays": "5012:4 5014:9 5012:5"}
    await store.write(lambda tx: adopt_opened(tx, told))
    assert await store.read(lambda tx: (tx.stay_of(5012), tx.stay_of(5014), tx.serial_of(REF))) == (4, 0, 0)


@pytest.mark.parametrize(
    "stays", [None, "", "5012", "x:y", "5012:4:1", "99999999:1", "5012:-4", " " * 99, 7, b"5012:4"]
)
async def test_a_stay_that_nobody_has_is_taken_from_no_door(stays: str | None) -> None:
    store = MemoryStore()
    await store.write(lambda tx: tx.put_guest(replace(GUEST, cabins=(CabinStay(5012, 3),))))
    await store.write(lambda tx: adopt_opened(tx, {"guest": None, "stays": stays}))
    await store.write(lambda tx: adopt_opened(tx, dict(ERASED_PAYLOAD)))
    assert await store.read(lambda tx: tx.stay_of(5012)) == 0


async def test_a_door_that_says_whose_is_heard_as_before() -> None:
    store = MemoryStore()
    await store.write(lambda tx: tx.put_guest(GUEST))
    await store.write(lambda tx: adopt_opened(tx, {"guest": REF, "serial": 2, "stays": "5012:4"}))
    assert await store.read(lambda tx: (tx.stay_of(5012), tx.serial_of(REF))) == (4, 2)
    await store.write(lambda tx: adopt_opened(tx, {"guest": REF, "serial": 3, "stays": "5012:9"}))
    assert await store.read(lambda tx: (tx.stay_of(5012), tx.serial_of(REF))) == (4, 2)
    with pytest.raises(BadPeerEvent):
        await store.write(lambda tx: adopt_opened(tx, {"guest": REF, "serial": "2"}))


# words


def test_the_last_word_counts_whatever_the_clock_says() -> None:
    first = said(None, REF, True, NOON_S)
    assert first == Untracked(REF, True, NOON_S, 1)
    assert said(first, REF, True, NOON_S + 9) is None
    assert said(first, REF, False, NOON_S - 3600) == Untracked(REF, False, NOON_S + 1, 2)
    assert is_later(first, None)
    assert not is_later(first, first)
    assert is_later(first, replace(first, on=False))  # in doubt it is on
    assert not is_later(replace(first, on=False), first)
    assert [is_untracked(word, child=child) for word in (None, first) for child in (False, True)] == [
        *(False, True),
        *(True, True),
    ]
