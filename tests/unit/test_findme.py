"""Find me: who may look for whose band, what comes of it, how often; and a guest's word on their band's radio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest
from tests.unit.moneykit import AES
from tests.unit.radiokit import ADDRESS, PERIOD, UID, RadioShip, afloat
from tests.unit.servicekit import ASE, END_S, FRONT, KIRA, viewer

from bandwire import radio
from bandwire.condition import WISH_NONE, WISH_OFF, WISH_ON, Condition
from steward.adapters.memory import MemoryStore
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import BandRadio
from steward.domain.viewing import CrewRole, Field, Purpose
from steward.errors import Busy, NotFound, Refused
from steward.ports import Tx
from steward.services.bandradio import note_radio, note_untracked
from steward.services.findme import FINDS_BURST, LISTEN_MS, TOLD_MS, Finding, address_of
from steward.services.notracking import NoTrackingService
from steward.services.radiowishes import RadioWishes

T = TypeVar("T")
HELPER = viewer(CrewRole.GUEST_SERVICES, Purpose.GUEST_SERVICES, FRONT)
CHILD, CHILDS = GuestRef("00000000000000d1"), Uid("04D1D1D1D1D1D1")


async def with_air(ship: RadioShip, asked: Awaitable[T], say: bool = True) -> T:
    """While the band says its name each second, and time goes by."""
    task = asyncio.ensure_future(asked)
    for _ in range(200):
        if task.done():
            break
        if say:
            ship.say(ship.pool)
        await ship.presence.tick()
        ship.clock.tick(1)
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        return await task


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.services.findme.POLL_S", 0.001)


async def test_a_guest_finds_their_own_band_and_it_buzzes() -> None:
    ship = RadioShip()
    await ship.board()
    found = await with_air(ship, ship.find_me.find_own(KIRA, UID))
    assert (found.finding, found.zone) == (Finding.BUZZED, "pool")
    passkey = radio.passkey(AES, ship.identity(), PERIOD << 10, bytes.fromhex(ADDRESS.replace(":", "")))
    assert ship.pool.asked == [(ADDRESS, passkey, radio.BUZZ, radio.buzz_data(5))]
    assert await ship.kept() is None  # no consent to presence: nothing of it is kept
    assert ship.find_me.told(KIRA, UID) == found
    ship.clock.ms += TOLD_MS
    assert ship.find_me.told(KIRA, UID) is None


async def test_one_that_does_not_answer_was_heard_all_the_same() -> None:
    ship = await afloat()
    ship.pool.answer = None
    found = await with_air(ship, ship.find_me.find_own(KIRA, UID))
    assert (found.finding, found.zone) == (Finding.HEARD, "pool")


async def test_pairing_is_tried_no_more_often_than_the_band_allows() -> None:
    ship = await afloat()
    ship.pool.answer = None
    for _ in range(FINDS_BURST):
        assert (await with_air(ship, ship.find_me.find_own(KIRA, UID))).finding is Finding.HEARD
    assert len(ship.pool.asked) == radio.FAILED_PAIRINGS_A_PERIOD
    ship.pool.answer = (radio.DONE, b"")
    ship.clock.tick(radio.PERIOD_S)
    assert (await with_air(ship, ship.find_me.find_own(KIRA, UID))).finding is Finding.BUZZED


async def test_a_band_that_says_no_has_not_buzzed() -> None:
    ship = await afloat()
    ship.pool.answer = (radio.TOO_OFTEN, b"")
    assert (await with_air(ship, ship.find_me.find_own(KIRA, UID))).finding is Finding.HEARD


async def test_after_a_connection_what_was_heard_before_counts_no_more() -> None:
    """A band leaves its address after each: whoever asked the old one would talk to nobody."""
    ship = await afloat()
    await ship.stand(ship.pool, 8)
    ship.say(ship.pool)  # still in the queue
    ship.presence.spent(UID)
    await ship.presence.tick()
    assert ship.presence.where(UID) is None
    ship.clock.tick(1)
    ship.say(ship.pool, address="C1:00:00:00:00:02")
    await ship.presence.tick()
    heard = ship.presence.where(UID)
    assert heard is not None
    assert heard.address == "C1:00:00:00:00:02"


async def test_nobody_hears_it() -> None:
    ship = await afloat()
    began_ms = ship.clock.ms
    found = await with_air(ship, ship.find_me.find_own(KIRA, UID), say=False)
    assert (found.finding, found.zone) == (Finding.SILENT, None)
    assert ship.clock.ms - began_ms >= LISTEN_MS


async def test_two_that_say_its_name_are_told_as_such() -> None:
    ship = await afloat()
    for n in range(4):
        ship.say(ship.pool, address=("C1:00:00:00:00:01", "FF:00:00:00:00:02")[n % 2])
    await ship.presence.tick()
    found = await with_air(ship, ship.find_me.find_own(KIRA, UID), say=False)
    assert found.finding is Finding.CONTESTED
    assert ship.pool.asked == []


@pytest.mark.parametrize(
    ("told", "wish", "finding"),
    [
        (Condition(80, False, True, None), None, Finding.OFF),
        (Condition(80, False, True, None), True, Finding.PENDING),
        (None, None, Finding.OFF),
    ],
)
async def test_why_there_is_nothing_to_hear(told: Condition | None, wish: bool | None, finding: Finding) -> None:
    ship = RadioShip()
    await ship.board()
    await ship.store.write(lambda tx: tx.put_radio(BandRadio(UID, has=told is not None or wish is None, wish=wish)))
    assert (await ship.find_me.find_own(KIRA, UID)).finding is finding


async def test_two_who_look_look_together() -> None:
    ship = await afloat()
    both = asyncio.gather(ship.find_me.find_own(KIRA, UID), ship.find_me.find_own(KIRA, UID))
    first, second = await with_air(ship, both)
    assert first == second
    assert len(ship.pool.asked) == 1


async def test_only_so_often() -> None:
    ship = await afloat()
    for _ in range(FINDS_BURST):
        await with_air(ship, ship.find_me.find_own(KIRA, UID))
    with pytest.raises(Busy):
        await with_air(ship, ship.find_me.find_own(KIRA, UID))
    ship.clock.tick(61)
    await with_air(ship, ship.find_me.find_own(KIRA, UID))


# whose band


async def family() -> RadioShip:
    ship = await afloat()
    await ship.board(CHILD, CHILDS, child=True)
    await ship.board(ASE, Uid("04A2A2A2A2A2A2"), booking="B-2")
    return ship


async def test_a_stranger_s_band_does_not_exist() -> None:
    ship = await family()
    for uid in (UID, Uid("04FFFFFFFFFFFF")):
        with pytest.raises(NotFound):
            await ship.find_me.find_own(ASE, uid)
        with pytest.raises(NotFound):
            await ship.wishes.say(ASE, uid, True, "guest")
    with pytest.raises(NotFound):
        await ship.find_me.find_own(ASE, CHILDS)


async def test_a_child_s_band_is_an_adult_s_to_find_and_to_switch_on() -> None:
    ship = await family()
    with pytest.raises(Refused, match="parent_needed"):
        await ship.find_me.find_own(CHILD, CHILDS)
    with pytest.raises(Refused, match="parent_needed"):
        await ship.wishes.say(CHILD, CHILDS, True, "guest")
    with pytest.raises(NotFound):
        await ship.wishes.say(CHILD, UID, False, "guest")  # a child speaks for nobody
    await ship.wishes.say(CHILD, CHILDS, False, "guest")  # quiet is anybody's word
    assert (await with_air(ship, ship.find_me.find_own(KIRA, CHILDS), say=False)).finding is Finding.SILENT
    with pytest.raises(Refused, match="no_tracking_on"):  # as long as nobody said that a child may be tracked
        await ship.wishes.say(KIRA, CHILDS, True, "guest")
    await ship.untrack(CHILD, on=False)
    await ship.wishes.say(KIRA, CHILDS, True, "guest")
    assert ship.wishes.wish_of(bytes.fromhex(CHILDS)) == WISH_NONE  # it is on, and the word to be quiet is taken back


# crew


async def looks(ship: RadioShip) -> list[frozenset[Field]]:
    return [look.fields for look in await ship.store.read(lambda tx: tx.look_ups_of(KIRA, 9))]


async def test_crew_see_where_with_consent_and_it_is_logged() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    last = await ship.find_me.last_of(HELPER, KIRA)
    assert last is not None
    assert last.zone == "pool"
    assert await looks(ship) == [{Field.PRESENCE}]
    found = await with_air(ship, ship.find_me.find_for(HELPER, KIRA))
    assert found.finding is Finding.BUZZED
    assert len(await looks(ship)) == 2


async def test_crew_see_nothing_without_it_not_even_whether_it_is_on() -> None:
    ship = RadioShip()
    await ship.board()
    with pytest.raises(Refused, match="no_consent"):
        await ship.find_me.last_of(HELPER, KIRA)
    with pytest.raises(Refused, match="no_consent"):
        await ship.find_me.find_for(HELPER, KIRA)
    assert await looks(ship) == []
    assert ship.presence.size() == 0


async def test_a_yes_taken_back_while_crew_search_is_a_no() -> None:
    ship = await afloat()
    searching = asyncio.ensure_future(ship.find_me.find_for(HELPER, KIRA))
    await asyncio.sleep(0.05)
    await ship.agree(yes=False)
    with pytest.raises(Refused, match="no_consent"):
        await with_air(ship, searching)


@pytest.mark.parametrize("role", [CrewRole.SERVICE, CrewRole.HOUSEKEEPING, CrewRole.PURSER, CrewRole.SAFETY])
async def test_nor_do_other_roles_or_the_same_for_another_purpose(role: CrewRole) -> None:
    ship = await afloat()
    for seeker in (
        viewer(role, Purpose.GUEST_SERVICES, FRONT),
        viewer(CrewRole.GUEST_SERVICES, Purpose.CHECK_IN, FRONT),
    ):
        with pytest.raises(Refused, match="not_permitted"):
            await ship.find_me.last_of(seeker, KIRA)
        with pytest.raises(Refused, match="not_permitted"):
            await ship.find_me.find_for(seeker, KIRA)
    assert await looks(ship) == []


async def test_who_has_left_is_nobody_s_to_find_and_what_is_old_is_not_told() -> None:
    ship = await afloat()
    await ship.stand(ship.pool)
    ship.clock.tick(2 * 3600 + 60)
    assert await ship.find_me.last_of(HELPER, KIRA) is None  # also before retention has swept
    ship.clock.tick(END_S)
    with pytest.raises(NotFound):
        await ship.find_me.last_of(HELPER, KIRA)


# wishes


async def test_a_wish_waits_for_a_tap_and_is_over_when_the_band_says_so() -> None:
    ship = RadioShip()
    await ship.board()
    await ship.store.write(lambda tx: note_radio(tx, UID, Condition(80, False, True, None), ship.clock.unix_s))
    await ship.wishes.say(KIRA, UID, True, "guest")
    uid = bytes.fromhex(UID)
    assert ship.wishes.wish_of(uid) == WISH_ON
    assert ship.wishes.wish_of(bytes(7)) == WISH_NONE
    await ship.store.write(lambda tx: note_radio(tx, UID, Condition(80, False, True, None), ship.clock.unix_s))
    await ship.wishes.look()
    assert ship.wishes.wish_of(uid) == WISH_ON  # that tap told the state from before it took the wish
    await ship.store.write(lambda tx: note_radio(tx, UID, Condition(80, False, True, 0), ship.clock.unix_s))
    await ship.wishes.look()
    assert ship.wishes.wish_of(uid) == WISH_NONE
    await ship.store.write(lambda tx: note_radio(tx, UID, Condition(80, False, True, None), ship.clock.unix_s))
    await ship.wishes.look()
    assert ship.wishes.wish_of(uid) == WISH_NONE  # the button switched it off: that is the later word


async def test_a_word_is_recorded_once_and_taken_back_by_the_other() -> None:
    ship = await afloat()
    for on in (False, False, True, True):
        await ship.wishes.say(KIRA, UID, on, "guest")
    assert ship.wishes.wish_of(bytes.fromhex(UID)) == WISH_NONE
    events = await ship.store.read(lambda tx: tx.events(0, 99))
    said = [event.payload for event in events if event.type is EventType.PROFILE_SET]
    assert said == [{"guest": KIRA, "fields": "radio", "by": "guest"}] * 2


async def test_a_passive_band_and_one_without_a_radio_take_no_wish() -> None:
    ship = await afloat()
    await ship.store.write(lambda tx: tx.put_radio(BandRadio(UID)))
    with pytest.raises(Refused, match="no_radio"):
        await ship.wishes.say(KIRA, UID, True, "guest")


async def test_no_tracking_switches_the_radio_off_and_keeps_it_off() -> None:
    ship = await afloat()
    await NoTrackingService(ship.store, ship.clock).say(KIRA, True, "guest")
    await ship.wishes.look()
    assert ship.wishes.wish_of(bytes.fromhex(UID)) == WISH_OFF
    with pytest.raises(Refused, match="no_tracking_on"):
        await ship.wishes.say(KIRA, UID, True, "guest")
    before = await ship.store.read(lambda tx: tx.radio(UID))
    await ship.store.write(lambda tx: note_untracked(tx, UID, Condition(80, False, True, 5)))
    assert await ship.store.read(lambda tx: tx.radio(UID)) == before  # nothing more is noted of who is not tracked
    await ship.store.write(lambda tx: note_untracked(tx, UID, Condition(80, False, True, None)))
    assert await ship.store.read(lambda tx: tx.radio(UID)) == BandRadio(UID, has=True, wish=False)


async def test_keeping_up_goes_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.services.radiowishes.LOOK_EVERY_S", 0)
    store = MemoryStore()
    wishes = RadioWishes(store, RadioShip().clock)
    running = asyncio.create_task(wishes.run())

    def put(tx: Tx) -> None:
        tx.put_radio(BandRadio(UID, has=True, wish=True))

    await store.write(put)
    async with asyncio.timeout(5):
        while wishes.wish_of(bytes.fromhex(UID)) != WISH_ON:  # noqa: ASYNC110 the service's own state
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("text", ["", "C1:00", "zz:00:00:00:00:01", "5B1B6F86-0D6A-4A5E-9B5C-0F7C1C1C1C1C"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert address_of(text) is None


def test_an_address_is_six_bytes_as_read_aloud() -> None:
    assert address_of("C1:00:00:00:00:0A") == bytes.fromhex("C1000000000A")


async def test_a_band_that_is_heard_is_quiet_at_once() -> None:
    ship = await afloat()
    ship.find_me.hush(UID)
    await asyncio.sleep(0)
    assert ship.pool.asked == []  # nobody has heard it
    await ship.stand(ship.pool, 8)
    ship.find_me.hush(UID)
    await asyncio.gather(*ship.find_me._hushing)
    assert [(kind, data) for _, _, kind, data in ship.pool.asked] == [(radio.QUIET, radio.quiet_data(1440))]
    ship.find_me.hush(UID)
    assert not ship.find_me._hushing  # heard again first: it has another address now
