"""Passive wristbands in the same station: laid on a reader one after the other, taken away too soon, and reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.e2e.pcsc_rig import started
from tests.workshop.benchkit import CLOCK, SIGNER, SITE, SUN_TEMPLATE, workbench
from tests.workshop.stationkit import Seen

from bandtool import selftest
from bandtool.bands import Result
from bandtool.journal import BandStage
from bandtool.makers import CableMaker, CableWork
from bandtool.passive import ReaderStand, Together, find_readers
from bandtool.provision import Bench
from bandtool.report import report_of, signed_file
from bandtool.station import Station, StationLimits
from steward.adapters.linkreader import LinkReader
from steward.domain.stationreport import Outcome, read_report
from steward.errors import ConfigError
from steward.ports import CardReader
from voyage.bandproc import BandOptions, BandProcess

LIMITS = StationLimits(poll_s=0.02, pause_s=0.05, tries_max=2)


def uid(number: int) -> bytes:
    return bytes.fromhex("04EE00000000") + bytes((number,))


@asynccontextmanager
async def stand(folder: Path, reader: CardReader) -> AsyncIterator[tuple[Bench, Station, Seen]]:
    async with workbench(folder, random_id=True) as bench:
        one = ReaderStand(reader, bench)
        work = CableWork(bench, selftest.self_test, selftest.show_verdict)
        both, seen, stop = Together(None, CableMaker(work), [one]), Seen(), asyncio.Event()
        station = Station(both, both, bench.journal, seen, LIMITS)
        tasks = [asyncio.create_task(station.run(stop)), asyncio.create_task(one.run())]
        try:
            yield bench, station, seen
        finally:
            stop.set()
            await tasks[0]
            tasks[1].cancel()
            await asyncio.gather(tasks[1], return_exceptions=True)
            await one.close()


async def until(station: Station, seen: Seen, short: str, result: Result) -> None:
    def there() -> bool:
        return [(place.short, place.result) for place in station.places.values()] == [(short, result)]

    await seen.waiting_for(there)


async def test_one_after_the_other_and_the_report(tmp_path: Path) -> None:
    reader = LinkReader("bench")
    await reader.start()
    async with stand(tmp_path, reader) as (bench, station, seen):
        for number in (1, 2):
            async with await chip(tmp_path, number) as band:
                await band.enter("127.0.0.1", reader.port)
                await until(station, seen, f"00000{number}", Result.DONE)
        bands = await bench.journal.bands()
        assert [(band.active, band.stage, band.firmware) for band in bands] == [(False, BandStage.DONE, "")] * 2
        report = report_of("bench-1", SITE, SUN_TEMPLATE, CLOCK.now().unix_s, bands)
        _, read = read_report(signed_file(report, SIGNER))
        assert [(band.active, band.outcome) for band in read.bands] == [(False, Outcome.DONE)] * 2


async def test_taken_away_too_soon_and_laid_down_again(tmp_path: Path) -> None:
    reader = LinkReader("bench")
    await reader.start()
    async with stand(tmp_path, reader) as (bench, station, seen):
        await (await chip(tmp_path, 1)).close()  # formatted
        async with await chip(tmp_path, 1, cut="3") as band:
            await band.enter("127.0.0.1", reader.port)
            await band.wait_cut()
            await band.kill()
        await seen.waiting_for(lambda: all(place.result is not Result.RUNNING for place in station.places.values()))
        async with await chip(tmp_path, 1) as band:
            await band.enter("127.0.0.1", reader.port)
            await until(station, seen, "000001", Result.DONE)
        (made,) = await bench.journal.bands()
        assert made.stage is BandStage.DONE


async def chip(folder: Path, number: int, cut: str | None = None) -> BandProcess:
    options = BandOptions(folder / f"chip{number}", uid=uid(number), passive=True, cut=cut)
    return await BandProcess.start(options, "field")


@pytest.mark.pcsc
async def test_on_a_real_pcsc_reader(tmp_path: Path) -> None:
    service = started(1)
    try:
        assert len(find_readers("auto")) >= 1
        (reader,) = await asyncio.to_thread(find_readers, service.readers[0].name)
        with pytest.raises(ConfigError, match="finds no reader"):
            find_readers("no such reader")
        async with stand(tmp_path, reader) as (bench, station, seen), await chip(tmp_path, 1) as band:
            await band.enter("127.0.0.1", service.readers[0].port)
            await until(station, seen, "000001", Result.DONE)
            assert [made.stage for made in await bench.journal.bands()] == [BandStage.DONE]
    finally:
        await asyncio.to_thread(service.stop)
