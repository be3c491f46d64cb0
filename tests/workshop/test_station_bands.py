"""A station and real bands on their cables: many at once, pulled, copied, on a full disk, and without any network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import tty
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.workshop.benchkit import CLOCK, ENROLMENT, SIGNER, SITE, SUN_TEMPLATE, BoardOnCable, workbench
from tests.workshop.stationkit import Hub, Seen

from bandtool.bands import Result, Step, Tell
from bandtool.journal import BandStage
from bandtool.makers import CableMaker, CableWork
from bandtool.provision import Bench
from bandtool.report import report_of, signed_file, table
from bandtool.serialcard import SerialCard
from bandtool.station import Station, StationLimits
from steward.domain.ids import uid_from
from steward.domain.stationreport import Outcome, read_report
from steward.errors import StoreUnavailable
from voyage.bandproc import BandOptions, command_line

LIMITS = StationLimits(poll_s=0.02, pause_s=0.3)
PASSED = {"clock": "ok", "flash": "ok"}


def uid(number: int) -> bytes:
    return bytes.fromhex("04AA0000000000")[:6] + bytes((number,))


class Testers:
    """Self-tests as a test wants them, and what the bands' lights were told."""

    __test__ = False

    def __init__(self, said: Mapping[str, str] = PASSED) -> None:
        self.said = said
        self.shown: list[bool] = []

    async def test(self, card: SerialCard) -> Mapping[str, str]:
        return self.said

    async def show(self, card: SerialCard, ok: bool) -> None:
        self.shown.append(ok)


class RunningStation:
    def __init__(self, bench: Bench, testers: Testers) -> None:
        self.hub, self.seen, self.stop = Hub(), Seen(), asyncio.Event()
        maker = CableMaker(CableWork(bench, testers.test, testers.show))
        self.station = Station(self.hub, maker, bench.journal, self.seen, LIMITS)
        self.task = asyncio.create_task(self.station.run(self.stop))

    def outcomes(self) -> list[tuple[str, Result, str]]:
        return sorted((place.short, place.result, place.code) for place in self.station.places.values())

    async def until(self, wanted: list[tuple[str, Result, str]]) -> None:
        with contextlib.suppress(TimeoutError):
            await self.seen.waiting_for(lambda: self.outcomes() == wanted)
        assert self.outcomes() == wanted, [place.detail for place in self.station.places.values()]


@asynccontextmanager
async def station(folder: Path, testers: Testers | None = None) -> AsyncIterator[tuple[RunningStation, Bench]]:
    async with workbench(folder) as bench:
        running = RunningStation(bench, testers or Testers())
        try:
            yield running, bench
        finally:
            running.stop.set()
            await asyncio.gather(running.task, return_exceptions=True)


@asynccontextmanager
async def boards(folder: Path, numbers: Sequence[int]) -> AsyncIterator[list[BoardOnCable]]:
    made = [BoardOnCable(folder / f"flash{place}", uid(number)) for place, number in enumerate(numbers)]
    try:
        await asyncio.gather(*(board.power_on() for board in made))
        yield made
    finally:
        for board in made:
            await board.power_off()


async def test_many_at_once_one_of_them_pulled_and_the_report_of_it(tmp_path: Path) -> None:
    testers = Testers()
    async with boards(tmp_path, range(1, 5)) as made, station(tmp_path, testers) as (running, bench):
        ports = [board.plug_in() for board in made[:3]]
        cut = made[3].plug_in(cut_after=900)
        running.hub.plug(*ports, cut)
        await running.seen.waiting_for(lambda: made[3].passed >= 900)
        running.hub.pull(cut)
        running.hub.plug(made[3].plug_in())
        await running.until([(f"00000{n}", Result.DONE, "") for n in range(1, 5)])
        assert testers.shown == [True] * 4
        bands = await bench.journal.bands()
        assert {band.stage for band in bands} == {BandStage.DONE}
        report = report_of("bench-1", SITE, SUN_TEMPLATE, CLOCK.now().unix_s, bands)
        signed, read = read_report(signed_file(report, SIGNER))
        assert signed.key == SIGNER.public
        assert read == report
        assert sorted((band.uid, band.outcome, band.tests) for band in read.bands) == [
            (uid_from(uid(number)), Outcome.DONE, PASSED) for number in range(1, 5)
        ]
        rows = table(report).decode().splitlines()
        assert len(rows) == 5
        assert rows[1].endswith(",clock=ok flash=ok")


async def test_twins_are_both_set_aside_and_not_reported_as_done(tmp_path: Path) -> None:
    async with boards(tmp_path, [1, 1, 2]) as made, station(tmp_path) as (running, bench):
        running.hub.plug(*(board.plug_in() for board in made))
        twin = ("000001", Result.FAULTY, "uid_twice")
        await running.until([twin, twin, ("000002", Result.DONE, "")])
        running.stop.set()
        await running.task
        bands = {band.uid: band for band in await bench.journal.bands()}
        assert bands[uid_from(uid(2))].stage is BandStage.DONE
        twins = bands.get(uid_from(uid(1)))
        assert twins is None or (twins.stage, twins.what) == (BandStage.FAULTY, "uid_twice")


async def test_a_band_that_fails_its_test_is_faulty_and_says_which(tmp_path: Path) -> None:
    testers = Testers({"clock": "ok", "flash": "worn"})
    async with boards(tmp_path, [1]) as made, station(tmp_path, testers) as (running, bench):
        running.hub.plug(made[0].plug_in())
        await running.seen.ended(1)
        assert running.outcomes() == [("000001", Result.FAULTY, "test_flash")]
        assert testers.shown == [False]
        band = await bench.journal.band(uid_from(uid(1)))
        assert band is not None
        assert (band.stage, band.what, json.loads(band.tests)) == (BandStage.FAULTY, "test_flash", testers.said)


async def test_a_full_disk_stops_it_and_afterwards_every_band_is_gone_on_with(tmp_path: Path) -> None:
    async with boards(tmp_path, [1, 2]) as made:
        async with station(tmp_path) as (running, bench):
            await bench.journal._do(lambda: bench.journal._connection.execute("PRAGMA max_page_count = 1"))
            await bench.journal._do(lambda: bench.journal._connection.execute("PRAGMA journal_size_limit = 0"))
            await fill(bench)
            running.hub.plug(*(board.plug_in() for board in made))
            with pytest.raises(StoreUnavailable, match="free the disk"):
                await running.task
            assert all(result is not Result.DONE for _, result, _ in running.outcomes())
        async with station(tmp_path) as (running, bench):
            running.hub.plug(*(board.plug_in() for board in made))
            await running.until([("000001", Result.DONE, ""), ("000002", Result.DONE, "")])


async def fill(bench: Bench) -> None:
    """Until the file takes no more."""
    from bandtool.journal import BenchBand
    from steward.domain.ids import Uid

    with pytest.raises(StoreUnavailable):
        for number in range(10_000):
            await bench.journal.put(BenchBand(Uid(f"04BB{number:010X}"), BandStage.FAULTY, True, 1, 1, 2, "filler"))


WATCHED: list[str] = []
_INET = (2, 10)
_NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in _NETWORK or (event == "socket.__new__" and arguments[1] in _INET):
        WATCHED.append(event)


async def test_it_works_without_any_network(tmp_path: Path) -> None:
    sys.addaudithook(_watch)  # stays for this process; WATCHED is read here only
    async with boards(tmp_path, [1]) as made, station(tmp_path) as (running, _):
        WATCHED.clear()
        socket.socket().close()
        assert WATCHED == ["socket.__new__"], "the watch works"
        WATCHED.clear()
        running.hub.plug(made[0].plug_in())
        await running.seen.ended(1)
        assert running.outcomes() == [("000001", Result.DONE, "")]
        assert WATCHED == []


class BlankBoard:
    """A board without a program: silent on its port until it is flashed, then a band."""

    def __init__(self, folder: Path, number: int) -> None:
        self._state, self._uid = folder / f"board{number}", uid(number)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._process: asyncio.subprocess.Process | None = None
        self.port = os.ttyname(self._slave)
        self.flashed = 0

    async def flash(self, port: str, progress: Callable[[int], None]) -> None:
        assert port == self.port
        self.flashed += 1
        progress(50)
        self._state.mkdir()
        (self._state / "enrol").write_bytes(ENROLMENT.file(self._uid))
        line, environment = command_line(BandOptions(self._state, uid=self._uid), "station")
        tty.setraw(self._master)
        self._process = await asyncio.create_subprocess_exec(
            *line, env=environment, stdin=self._master, stdout=self._master, stderr=asyncio.subprocess.DEVNULL
        )
        progress(100)

    async def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
        os.close(self._master)
        os.close(self._slave)


async def test_a_board_without_a_program_is_flashed_and_one_that_answers_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandtool.makers.ASK_MAX", 1)
    board = BlankBoard(tmp_path, 5)
    percents: list[int] = []
    async with workbench(tmp_path) as bench:
        testers = Testers()
        maker = CableMaker(CableWork(bench, testers.test, testers.show, board.flash))
        steps: list[Step] = []

        def told(step: Step, percent: int) -> None:
            steps.append(step)
            percents.append(percent)

        for _ in range(2):
            await maker.make(board.port, Tell(told, lambda found: None))
        assert board.flashed == 1
        assert steps.count(Step.FLASHING) == 3
        assert percents[: steps.index(Step.TESTING) + 1] == sorted(percents[: steps.index(Step.TESTING) + 1])
        assert [band.stage for band in await bench.journal.bands()] == [BandStage.DONE]
    await board.close()
