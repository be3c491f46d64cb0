"""A crew station with real bands: who logs in, who is announced, and what a frozen, replaced or foreign band does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.attack.shipkit import DESK, TILL, alerts, band, events
from tests.unit.servicekit import BAR, OUTLETS

from steward.adapters.memory import MemoryStore
from steward.adapters.system import SystemClock
from steward.domain.access import Place
from steward.domain.condition import REFRESH_S
from steward.domain.crew import LoginState
from steward.domain.events import EventType
from steward.domain.ids import TillId
from steward.domain.untracked import Untracked
from steward.domain.viewing import CrewRole
from steward.errors import Refused
from steward.ports import ClockReading
from steward.services.crew import CrewService
from steward.services.crewtaps import CrewTapService
from steward.services.feed import TapFeed
from steward.services.pins import PinService
from steward.services.tills import TillService
from voyage.rig import SITE, SUN_TEMPLATE, Rig

STATION, PIN = "bar-crew", "246810"


class Doubtful(SystemClock):
    """Moved on by hand, and believed or not."""

    later_s, believed = 0, True

    def now(self) -> ClockReading:
        return ClockReading(super().now().unix_s + self.later_s, self.believed)


class Station:
    """A rig with a desk, a till and a crew station of the same outlet."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.feed = TapFeed()
        pins = PinService(rig.entropy)
        self.crew = CrewService(rig.store, rig.clock, rig.entropy, pins, OUTLETS, {STATION: BAR})

    async def open(self) -> Station:
        rig = self.rig
        ring = (rig.store, rig.clock, rig.entropy, rig.keyring, rig.aes, SUN_TEMPLATE)
        await rig.add_encoder(DESK)
        await rig.add_reader(STATION, Place(STATION, SITE), CrewTapService(BAR, self.crew, self.feed, *ring))
        till = TillService(TillId(TILL), rig.payments, *ring, self.feed)
        await rig.add_reader(TILL, Place(TILL, SITE), till)
        return self


@asynccontextmanager
async def station(rig: Rig) -> AsyncIterator[Station]:
    async with rig:
        yield await Station(rig).open()


@pytest.fixture
async def at() -> AsyncIterator[Station]:
    async with station(Rig(MemoryStore())) as opened:
        yield opened


async def test_a_crew_band_and_its_pin_log_in_and_a_freeze_ends_it(at: Station, tmp_path: Path) -> None:
    async with await band(tmp_path) as wrist:
        member = await at.rig.check_in(cabins=(101,), crew=True)
        job = await at.rig.issue(member, wrist)
        assert (await at.rig.tap(wrist, STATION)).code == "idle"  # no handheld waits
        await at.crew.add(member.ref, CrewRole.SERVICE, [BAR], PIN, "desk")
        login = at.crew.begin(STATION, "handheld-1")
        assert (await at.rig.tap(wrist, STATION)).code == "crew_login"
        assert await at.crew.wait_tap(login, 5) is LoginState.TAPPED
        secret, session = await at.crew.finish(login, PIN)
        assert (session.crew, session.uid, session.serial) == (member.ref, job.uid, 1)
        assert await at.crew.session(secret) == session
        assert at.rig.doors.signals == []  # a station opens nothing
        assert job.uid is not None
        await at.rig.desk.freeze(job.uid, "stolen", "desk-1")
        with pytest.raises(Refused, match="logged_out"):
            await at.crew.session(secret)
        login = at.crew.begin(STATION, "handheld-1")
        assert (await at.rig.tap(wrist, STATION)).code == "frozen"
        assert await at.crew.wait_tap(login, 0) is LoginState.WAITING
        assert await alerts(at.rig) == ["frozen_band_used"]


async def test_a_guests_band_is_announced_and_never_logs_in(at: Station, tmp_path: Path) -> None:
    async with await band(tmp_path) as wrist:
        guest = await at.rig.check_in()
        await at.rig.issue(guest, wrist)
        login = at.crew.begin(STATION, "handheld-1")
        with at.feed.subscribe(BAR) as heard:
            assert (await at.rig.tap(wrist, STATION)).code == "announced"
            told = await anext(heard)
            assert (told.ref, told.reader) == (guest.ref, STATION)
            charge = await at.rig.charge(wrist, TILL, 450)
            assert charge.code == "posted"
            assert (await anext(heard)).reader == TILL
        assert at.feed.is_here(BAR, guest.ref, at.rig.clock.now().unix_s)
        assert await at.crew.wait_tap(login, 0) is LoginState.WAITING
        kinds = {event.type for event in await events(at.rig)}
        assert EventType.CREW_LOGGED_IN not in kinds
        assert EventType.LOOKED_UP not in kinds  # nobody has looked yet


@pytest.mark.parametrize("hidden", [True, False])
async def test_of_who_is_not_tracked_a_station_writes_nothing_down(tmp_path: Path, *, hidden: bool) -> None:
    """A clock that is lost is told to staff at every tap: without the band, as at a door."""
    clock = Doubtful()
    rig = Rig(MemoryStore(), clock=clock)
    async with station(rig), await band(tmp_path) as wrist:
        guest = await rig.check_in()
        uid = (await rig.issue(guest, wrist)).uid
        assert uid is not None
        await rig.store.write(lambda tx: tx.put_untracked(Untracked(guest.ref, hidden, clock.now().unix_s, 1)))
        before = await rig.store.read(lambda tx: tx.condition(uid))
        clock.later_s = REFRESH_S
        assert (await rig.tap(wrist, STATION)).code == "announced"
        assert (await rig.store.read(lambda tx: tx.condition(uid)) == before) is hidden
        clock.believed = False
        assert (await rig.tap(wrist, STATION)).code == "announced"
    told = [e.payload["uid"] for e in await events(rig) if e.type is EventType.STAFF_ALERT]
    assert told == [None]  # of nobody: whose clock is lost does not depend on who taps


async def test_a_replaced_crew_band_logs_nobody_in_and_its_sessions_end(at: Station, tmp_path: Path) -> None:
    async with await band(tmp_path, "a") as old, await band(tmp_path, "b") as new:
        member = await at.rig.check_in(cabins=(101,), crew=True)
        await at.rig.issue(member, old)
        await at.crew.add(member.ref, CrewRole.PURSER, [], PIN, "admin", may_appoint=True)
        login = at.crew.begin(STATION, "handheld-1")
        await at.rig.tap(old, STATION)
        secret, _ = await at.crew.finish(login, PIN)
        await at.rig.issue(member, new)
        login = at.crew.begin(STATION, "handheld-2")
        assert (await at.rig.tap(new, STATION)).code == "crew_login"  # and its serial is adopted
        with pytest.raises(Refused, match="logged_out"):
            await at.crew.session(secret)
        await at.crew.finish(login, PIN)
        at.crew.begin(STATION, "handheld-1")
        assert (await at.rig.tap(old, STATION)).code in ("superseded", "frozen")


async def test_a_refused_band_is_announced_to_nobody(at: Station, tmp_path: Path) -> None:
    """A frozen guest band, and a band of another ship's keys."""
    async with await band(tmp_path, "a") as lost, await band(tmp_path, "b") as foreign:
        guest = await at.rig.check_in()
        job = await at.rig.issue(guest, lost)
        assert job.uid is not None
        await at.rig.desk.freeze(job.uid, "lost", "desk-1")
        async with station(Rig(MemoryStore(), keys=None)) as other:
            member = await other.rig.check_in(cabins=(101,), crew=True)
            await other.rig.issue(member, foreign)
        with at.feed.subscribe(BAR):
            assert (await at.rig.tap(lost, STATION)).code == "frozen"
            login = at.crew.begin(STATION, "handheld-1")
            assert (await at.rig.tap(foreign, STATION)).code in ("auth_failed", "not_our_card")
        assert not at.feed.is_here(BAR, guest.ref, at.rig.clock.now().unix_s)
        assert await at.crew.wait_tap(login, 0) is LoginState.WAITING
