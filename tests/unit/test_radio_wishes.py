"""What a gateway may tell a band of its guest's wish: cut off from the authority, and under no-tracking."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from tests.unit.lankit import SHIP, Fleet
from tests.unit.moneykit import ring
from tests.unit.radiokit import UID as KIRAS
from tests.unit.radiokit import RadioShip, afloat
from tests.unit.servicekit import KIRA
from tests.unit.test_access import UID as CHIP
from tests.unit.test_access import shown
from tests.unit.test_conditions import tap as at_reader
from tests.unit.test_radio_ship import REF, TILL, UID, aboard, radio, say
from tests.unit.test_radio_ship import tap as tapped

from bandwire.condition import WISH_NONE, WISH_OFF, WISH_ON, Condition
from bandwire.token import FLAG_ACTIVE, FLAG_CHILD, STATE_ISSUED, Status, assemble
from steward.adapters.memory import MemoryStore
from steward.domain.access import Shown
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, Uid
from steward.domain.lanwire import seal_changes
from steward.domain.presence import BandRadio
from steward.domain.replica import ChangeSet
from steward.domain.untracked import Untracked
from steward.errors import Refused
from steward.ports import Tx
from steward.services.conditions import note_tap
from steward.services.doors import read_band
from steward.services.notracking import NoTrackingService
from steward.services.radiowishes import HOLD_ON_MS, RadioWishes
from steward.services.replica import HEARD_LATE_S, position

ON, OFF = Condition(80, False, True, 7), Condition(80, False, True, None)
CHIPS = Uid(CHIP.hex().upper())


def reader(fleet: Fleet, name: str = "door") -> RadioWishes:
    """As a gateway that follows is wired."""
    follower = fleet[name]

    async def heard_ago_ms() -> float | None:
        return follower.replica.heard_ago_ms

    return RadioWishes(follower.store, follower.clock, heard_ago_ms)


async def tells(wishes: RadioWishes, uid: Uid = UID) -> bytes:
    await wishes.look()
    return wishes.wish_of(bytes.fromhex(uid))


async def pending(on: bool) -> tuple[Fleet, RadioWishes]:
    fleet = await aboard()
    await say(fleet, on)
    return fleet, reader(fleet)


async def test_on_is_told_until_the_authority_was_not_heard_for_a_while() -> None:
    fleet, wishes = await pending(True)
    assert await tells(wishes) == WISH_ON
    fleet["door"].clock.ms += HOLD_ON_MS - 1
    assert await tells(wishes) == WISH_ON
    fleet["door"].clock.ms += 1
    assert wishes.wish_of(bytes.fromhex(UID)) == WISH_NONE, "also if nothing was looked up since"
    assert await tells(wishes) == WISH_NONE
    await fleet.sync()
    assert await tells(wishes) == WISH_ON


async def test_off_is_told_however_long_the_authority_is_away() -> None:
    fleet, wishes = await pending(True)
    await tapped(fleet, "door", 7)
    await say(fleet, False)
    fleet["door"].clock.ms += 100 * HOLD_ON_MS
    assert await tells(wishes) == WISH_OFF


async def test_a_gateway_that_was_just_started_waits_until_it_has_heard() -> None:
    fleet, _ = await pending(True)
    fleet["door"].restart()
    assert await tells(reader(fleet)) == WISH_NONE
    await fleet.sync()
    assert await tells(reader(fleet)) == WISH_ON


async def test_an_off_that_a_gateway_cut_off_never_heard_of_is_not_undone_by_it() -> None:
    fleet, wishes = await pending(True)
    fleet.lan.cut.add("door")
    await RadioWishes(fleet.authority.store, fleet.authority.clock).say(REF, UID, False, "guest")
    fleet["door"].clock.ms += HOLD_ON_MS
    assert await tells(wishes) == WISH_NONE
    await fleet.settle_down()
    assert await tells(wishes) == WISH_OFF


@pytest.mark.parametrize("kind", ["late", "early", "gap", "hello", "older"])
async def test_what_is_no_word_of_now_does_not_count_as_hearing_it(kind: str) -> None:
    """Signed truly: left over in the broker, played back, or with the off missing that came before it."""
    fleet, wishes = await pending(True)
    door = fleet["door"]
    at = await door.store.read(position)
    door.clock.ms += HOLD_ON_MS
    now = ChangeSet(SHIP, "door", at.epoch, at.revision, at.revision, door.clock.unix_s)
    odd = {
        "late": replace(now, sent_s=now.sent_s - HEARD_LATE_S - 1),
        "early": replace(now, sent_s=now.sent_s + HEARD_LATE_S + 1),
        "gap": replace(now, rev_prev=at.revision + 1, rev_to=at.revision + 2),
        "hello": replace(now, hello=True),
        "older": replace(now, rev_prev=0, rev_to=at.revision - 1),
    }
    await door.replica.hear(seal_changes(odd[kind], ring().sign_lan))
    assert await tells(wishes) == WISH_NONE
    await door.replica.hear(seal_changes(now, ring().sign_lan))
    assert await tells(wishes) == WISH_ON


async def test_a_gateway_that_follows_orders_nothing() -> None:
    fleet = await aboard()
    with pytest.raises(Refused, match="authority_only"):
        await reader(fleet).say(REF, UID, True, "guest")


# what a gateway says later of a tap while it was cut off


async def test_a_late_word_of_off_ends_no_wish_that_it_did_not_know_of() -> None:
    """The band said off, as it still was, in the very tap at which it took the on that was taken back since."""
    fleet = await aboard()
    await tapped(fleet, "door", 3)
    await tapped(fleet, "bar", None)  # off again: the door does not hear of that
    await say(fleet, True)
    fleet.lan.cut.add("door")
    await tapped_alone(fleet)
    await RadioWishes(fleet.authority.store, fleet.authority.clock).say(REF, UID, False, "guest")
    await fleet.settle_down()
    for where in ("authority", "door", TILL.name):
        known = await radio(fleet, where)
        assert known is not None
        assert known.wish is False, where
    await tapped(fleet, "door", None)
    known = await radio(fleet, "authority")
    assert known is not None
    assert known.wish is None


async def tapped_alone(fleet: Fleet) -> None:
    """At the door, which tells nobody of it yet."""
    door = fleet["door"]
    what = of_band(REF, bytes.fromhex(UID))
    await door.store.write(lambda tx: note_tap(tx, at_reader(door.clock.unix_s), OFF, what))


# no-tracking


def of_band(ref: GuestRef, uid: bytes = CHIP, *, child: bool = False) -> Shown:
    seen = shown()
    seen.token.guest_ref, seen.token.uid = bytes.fromhex(ref), uid
    seen.token.flags = FLAG_ACTIVE | FLAG_CHILD * child
    return replace(seen, uid=uid)


async def note(store: MemoryStore, told: Condition, *, hidden: bool = True, child: bool = False) -> BandRadio | None:
    what = of_band(REF, child=child)

    def work(tx: Tx) -> BandRadio | None:
        note_tap(tx, at_reader(1_800_000_000), told, what, hidden=hidden)
        return tx.radio(CHIPS)

    return await store.write(work)


async def untracked(on: bool = True) -> MemoryStore:
    store = MemoryStore()
    await store.write(lambda tx: tx.put_untracked(Untracked(REF, on, 1, 1)))
    return store


@pytest.mark.parametrize("hidden", [True, False], ids=["at a door", "at a till"])
async def test_a_button_pressed_under_no_tracking_is_undone_at_the_next_tap(hidden: bool) -> None:
    store = await untracked()
    assert await note(store, OFF, hidden=hidden) is None
    assert await note(store, ON, hidden=hidden) == BandRadio(CHIPS, has=True, wish=False)
    wishes = RadioWishes(store, RadioShip().clock)
    assert await tells(wishes, CHIPS) == WISH_OFF
    assert await note(store, OFF, hidden=hidden) == BandRadio(CHIPS, has=True, wish=False)
    assert await tells(wishes, CHIPS) == WISH_OFF, "pressed again, it is undone in that tap"
    assert await store.read(lambda tx: tx.events(0, 9)) == [], "of when and where there is nothing"


async def test_so_is_a_child_s_of_whom_nobody_has_said_anything() -> None:
    store = MemoryStore()
    assert await note(store, ON, child=True) == BandRadio(CHIPS, has=True, wish=False)


@pytest.mark.parametrize("word", [True, None])
async def test_an_on_that_waited_when_it_was_switched_on_is_none_any_more(word: bool | None) -> None:
    store = await untracked()
    await store.write(lambda tx: tx.put_radio(BandRadio(CHIPS, has=True, wish=word)))
    assert await note(store, OFF) == BandRadio(CHIPS, has=True, wish=False if word else None)


async def test_who_is_tracked_presses_the_button_as_they_like() -> None:
    store = await untracked(on=False)
    assert await note(store, ON, hidden=False) == BandRadio(CHIPS, True, True, 7, 1_800_000_000)
    assert await tells(RadioWishes(store, RadioShip().clock), CHIPS) == WISH_NONE


async def test_the_end_of_no_tracking_switches_nothing_on() -> None:
    ship = await afloat()
    tracking = NoTrackingService(ship.store, ship.clock)
    await ship.wishes.say(KIRA, KIRAS, True, "guest")
    await tracking.say(KIRA, True, "guest")
    assert await tells(ship.wishes, KIRAS) == WISH_OFF
    await tracking.say(KIRA, False, "guest")
    assert await tells(ship.wishes, KIRAS) == WISH_OFF
    what = of_band(KIRA, bytes.fromhex(KIRAS))
    await ship.store.write(lambda tx: note_tap(tx, at_reader(ship.clock.unix_s), OFF, what))
    assert await tells(ship.wishes, KIRAS) == WISH_NONE


async def test_the_authority_learns_that_it_is_off_once_the_guest_is_tracked_again() -> None:
    """Before, the ship agrees on the wish, and what the door wrote says nothing of whose band it was."""
    fleet = await aboard()
    await tapped(fleet, "door", 3)
    here = fleet.authority
    tracking = NoTrackingService(here.store, here.clock)
    await tracking.say(REF, True, "guest")
    await fleet.settle_down()
    count = len(await fleet.events(EventType.BAND_RADIO))
    door = fleet["door"]
    what = of_band(REF, bytes.fromhex(UID))
    for _ in range(2):
        await door.store.write(lambda tx: note_tap(tx, at_reader(door.clock.unix_s), OFF, what, hidden=True))
        await fleet.settle_down()
    assert len(await fleet.events(EventType.BAND_RADIO)) == count
    for where in ("authority", "door", "bar"):
        known = await radio(fleet, where)
        assert known is not None
        assert known.wish is False, where
    await tracking.say(REF, False, "guest")
    await fleet.settle_down()
    await door.store.write(lambda tx: note_tap(tx, at_reader(door.clock.unix_s), OFF, what))
    await fleet.settle_down()
    for where in ("authority", "door", "bar"):
        known = await radio(fleet, where)
        assert known is not None
        assert (known.is_on, known.wish) == (False, None), where


async def test_a_band_with_another_s_token_says_nothing_of_its_radio() -> None:
    store = await untracked()
    what = replace(of_band(REF), uid=bytes.fromhex(UID))
    await store.write(lambda tx: note_tap(tx, at_reader(1_800_000_000), ON, what, hidden=True))
    assert await store.read(lambda tx: tx.radio(UID)) is None


# at the reader


class Talk:
    """services.card.CardTalk, of a band of the token that is shown."""

    uid = CHIP

    def __init__(self) -> None:
        self.told: list[bytes] = []

    async def select(self) -> None: ...
    async def identify(self, *, want_sun: bool = False) -> None: ...

    async def authenticate(self, *, wish: bytes = WISH_NONE) -> None:
        self.told.append(wish)

    async def read_token(self) -> bytes:
        body, status = shown().token.pack(), Status(state=STATE_ISSUED, writes=1, written_at=0, writer=0)
        return assemble(body, ring().sign_token(body), status.pack())


@pytest.mark.parametrize("wish", [WISH_NONE, WISH_OFF, WISH_ON])
async def test_a_reader_tells_the_band_in_its_field_what_is_wished_of_it(wish: bytes) -> None:
    talk, tap = Talk(), at_reader(1_800_000_000)
    tap.wish_of = lambda uid: wish if uid == CHIP else b"another's"
    await read_band(cast("Any", talk), tap, ring())
    assert talk.told == [wish]
