"""A station's order of work, with makers that tests hold in hand: nothing twice, nothing for ever, nothing unknown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.workshop.stationkit import QUICK, Hub, Seen

from bandtool import journal
from bandtool.bands import Result, Step, Tell
from bandtool.journal import BandStage, BenchBand, BenchJournal
from bandtool.station import Station, StationLimits
from steward.domain.ids import Uid
from steward.errors import CardRefused, CardRemoved, ReaderFault, StoreUnavailable

UIDS = [Uid(f"04{number:012X}") for number in range(10)]
Deed = Callable[[str, Tell], Awaitable[None]]


class ToyMaker:
    """Does what a test says for each port. begun: how often, by port."""

    def __init__(self, deed: Deed) -> None:
        self.deed = deed
        self.begun: dict[str, int] = {}
        self.at_once = self.at_once_most = 0

    async def make(self, port: str, tell: Tell) -> None:
        self.begun[port] = self.begun.get(port, 0) + 1
        self.at_once += 1
        self.at_once_most = max(self.at_once_most, self.at_once)
        try:
            await self.deed(port, tell)
        finally:
            self.at_once -= 1


class Running:
    """A station in the background."""

    def __init__(self, book: BenchJournal, deed: Deed, limits: StationLimits = QUICK) -> None:
        self.hub, self.seen, self.maker, self.stop = Hub(), Seen(), ToyMaker(deed), asyncio.Event()
        self.station = Station(self.hub, self.maker, book, self.seen, limits)
        self.task: asyncio.Task[None] = asyncio.create_task(self.station.run(self.stop))

    async def end(self) -> None:
        self.stop.set()
        await self.task


@pytest_asyncio.fixture
async def book(tmp_path: Path) -> AsyncIterator[BenchJournal]:
    journal.create(tmp_path / "station.db", bytes(32))
    opened = await BenchJournal.open(tmp_path / "station.db")
    yield opened
    await opened.close()


async def good(port: str, tell: Tell) -> None:
    tell.meet(UIDS[int(port[-1])])
    tell.step(Step.KEYING, 50)


async def hang(port: str, tell: Tell) -> None:
    await asyncio.Event().wait()


async def test_all_that_is_plugged_in_is_done_once_and_left_alone(book: BenchJournal) -> None:
    run = Running(book, good)
    run.hub.plug("p1", "p2", "p3")
    await run.seen.ended(3)
    for _ in range(5):
        await run.hub.looked()
    assert run.maker.begun == {"p1": 1, "p2": 1, "p3": 1}
    assert {place.result for place in run.station.places.values()} == {Result.DONE}
    assert {place.percent for place in run.station.places.values()} == {100}
    await run.end()


async def test_no_more_at_once_than_was_said_and_the_others_wait(book: BenchJournal) -> None:
    gate = asyncio.Event()

    async def wait(port: str, tell: Tell) -> None:
        await gate.wait()

    run = Running(book, wait, StationLimits(at_once=2, poll_s=QUICK.poll_s, pause_s=0))
    run.hub.plug("p1", "p2", "p3", "p4", "p5")
    await run.seen.waiting_for(lambda: len(run.maker.begun) == 2)
    await run.hub.looked()
    waiting = [place for place in run.station.places.values() if place.step is Step.WAITING]
    assert len(waiting) == 3
    gate.set()
    await run.seen.ended(5)
    assert run.maker.at_once_most == 2
    await run.end()


async def test_a_pull_ends_it_and_the_next_plug_begins_anew(book: BenchJournal) -> None:
    cancelled: list[str] = []

    async def told(port: str, tell: Tell) -> None:
        try:
            await hang(port, tell)
        except asyncio.CancelledError:
            cancelled.append(port)
            raise

    run = Running(book, told)
    run.hub.plug("p1")
    await run.seen.waiting_for(lambda: run.maker.begun == {"p1": 1})
    run.hub.pull("p1")
    await run.seen.waiting_for(lambda: bool(run.seen.left))
    assert (run.seen.left[0].port, run.seen.left[0].result) == ("p1", Result.PULLED)
    await run.seen.waiting_for(lambda: cancelled == ["p1"])
    run.maker.deed = good
    run.hub.plug("p1")
    await run.seen.ended(1)
    assert run.maker.begun == {"p1": 2}
    await run.end()


async def test_another_board_under_the_same_name_is_another_board(book: BenchJournal) -> None:
    """It was changed between two looks."""
    run = Running(book, good)
    run.hub.plug("p1")
    await run.seen.ended(1)
    run.hub.plug("p1")
    await run.seen.ended(2)
    assert run.maker.begun == {"p1": 2}
    await run.end()


@pytest.mark.parametrize(("error", "code"), [(CardRemoved("x"), "silent"), (ReaderFault("x"), "no_band")])
async def test_tries_have_an_end(book: BenchJournal, error: Exception, code: str) -> None:
    async def fail(port: str, tell: Tell) -> None:
        raise error

    run = Running(book, fail)
    run.hub.plug("p1")
    await run.seen.ended(1)
    await run.hub.looked()
    place = run.station.places["p1"]
    assert (place.result, place.code, place.tries) == (Result.FAULTY, code, QUICK.tries_max)
    assert run.maker.begun == {"p1": QUICK.tries_max}
    await run.end()


async def test_a_try_has_an_end_too(book: BenchJournal) -> None:
    """Something that answers for ever, and never what it should."""
    run = Running(book, hang, StationLimits(poll_s=QUICK.poll_s, try_s=0.01))
    run.hub.plug("p1")
    await run.seen.ended(1)
    assert (run.station.places["p1"].code, run.maker.begun) == ("too_slow", {"p1": 1})
    await run.end()


async def test_a_band_that_comes_back_to_itself_is_finished(book: BenchJournal) -> None:
    async def shaky(port: str, tell: Tell) -> None:
        if run.maker.begun[port] < QUICK.tries_max:
            raise CardRemoved("a loose contact")

    run = Running(book, shaky)
    run.hub.plug("p1")
    await run.seen.ended(1)
    assert run.station.places["p1"].result is Result.DONE
    await run.end()


async def test_a_refused_band_is_set_aside_at_once(book: BenchJournal) -> None:
    async def refuse(port: str, tell: Tell) -> None:
        raise CardRefused("uid_used", "a copy")

    run = Running(book, refuse)
    run.hub.plug("p1")
    await run.seen.ended(1)
    place = run.station.places["p1"]
    assert (place.result, place.code, place.detail) == (Result.FAULTY, "uid_used", "a copy")
    assert run.maker.begun == {"p1": 1}
    await run.end()


async def done_in(book: BenchJournal, uid: Uid) -> None:
    await book.put(BenchBand(uid, BandStage.DONE, True, 1, 1, 2, finished=True))


async def test_two_of_one_uid_at_once_are_both_set_aside(book: BenchJournal) -> None:
    async def twins(port: str, tell: Tell) -> None:
        tell.meet(UIDS[7])
        await done_in(book, UIDS[7])
        await hang(port, tell)

    run = Running(book, twins)
    run.hub.plug("p1")
    await run.seen.waiting_for(lambda: [place.uid for place in run.station.places.values()] == [UIDS[7]])
    run.hub.plug("p2")
    await run.seen.ended(2)
    assert [(place.result, place.code) for place in run.station.places.values()] == [(Result.FAULTY, "uid_twice")] * 2
    await run.end()
    band = await book.band(UIDS[7])
    assert band is not None
    assert (band.stage, band.what) == (BandStage.FAULTY, "uid_twice")


async def test_a_copy_of_a_band_that_is_done_and_still_there(book: BenchJournal) -> None:
    async def twins(port: str, tell: Tell) -> None:
        tell.meet(UIDS[7])
        await done_in(book, UIDS[7])

    run = Running(book, twins)
    run.hub.plug("p1")
    await run.seen.ended(1)
    run.hub.plug("p2")
    await run.seen.waiting_for(lambda: [place.code for place in run.station.places.values()] == ["uid_twice"] * 2)
    await run.end()
    # Also tomorrow, and with one of them alone.
    tomorrow = Running(book, twins)
    tomorrow.hub.plug("p1")
    await tomorrow.seen.ended(1)
    assert tomorrow.station.places["p1"].code == "uid_twice"
    await tomorrow.end()


async def test_the_same_band_at_another_port_is_no_copy(book: BenchJournal) -> None:
    async def same(port: str, tell: Tell) -> None:
        tell.meet(UIDS[7])

    run = Running(book, same)
    run.hub.plug("p1")
    await run.seen.ended(1)
    run.hub.swap("p1", "p2")
    await run.seen.ended(2)
    assert run.station.places["p2"].result is Result.DONE
    await run.end()


async def test_a_full_disk_stops_everything_with_one_word(book: BenchJournal) -> None:
    async def full(port: str, tell: Tell) -> None:
        if port == "p2":
            raise StoreUnavailable("the disk is full")
        await hang(port, tell)

    run = Running(book, full)
    run.hub.plug("p1", "p2", "p3")
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await run.task
    assert run.maker.at_once == 0
    assert all(place.result is not Result.DONE for place in run.station.places.values())


async def test_at_the_end_what_is_begun_is_finished_and_what_waits_is_not_begun(book: BenchJournal) -> None:
    gate = asyncio.Event()

    async def wait(port: str, tell: Tell) -> None:
        await gate.wait()

    run = Running(book, wait, StationLimits(at_once=1, poll_s=QUICK.poll_s, pause_s=0))
    run.hub.plug("p1", "p2")
    await run.seen.waiting_for(lambda: bool(run.maker.begun))
    run.stop.set()
    await asyncio.sleep(0)
    gate.set()
    await run.task
    assert len(run.maker.begun) == 1
    assert [place.result for place in run.station.places.values()].count(Result.DONE) == 1


async def test_the_end_does_not_wait_for_ever(book: BenchJournal) -> None:
    run = Running(book, hang, StationLimits(poll_s=QUICK.poll_s, finish_s=0.05))
    run.hub.plug("p1")
    await run.seen.waiting_for(lambda: bool(run.maker.begun))
    await run.end()
    assert run.maker.at_once == 0
