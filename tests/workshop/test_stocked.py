"""From the bench to the guest's wrist: a band that a station keyed is issued by writing its token, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.vaultkit import DATA_KEY, lay_store
from tests.workshop.benchkit import (
    AES,
    AUTHORITY,
    CLOCK,
    SIGNER,
    SITE,
    STATION_KEYS,
    SUN_TEMPLATE,
    BoardOnCable,
    on_port,
    workbench,
)

from bandtool.provision import provision
from bandtool.report import report_of, signed_file
from bandtool.serialcard import SerialCard
from bandwire import apdu
from bandwire.files import FULL
from bandwire.keys import K_FILE, K_MASTER, change_key_data
from bandwire.session import ReaderAuth
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.guests import BandState
from steward.domain.ids import Uid, uid_from
from steward.domain.records import key_fingerprint
from steward.services.blanks import BlankService, TrustedStation
from steward.services.encoder import JobState
from voyage.bandproc import BandOptions, BandProcess
from voyage.rig import Rig

UID = bytes.fromhex("04DD0000000001")
TRUSTED = TrustedStation("bench-1", key_fingerprint(SIGNER.public))


@asynccontextmanager
async def ship(
    folder: Path, random_id: bool = True, stations: Sequence[str] = (TRUSTED.fingerprint,)
) -> AsyncIterator[tuple[Rig, BlankService]]:
    store = SqliteStore.open(lay_store(folder / "steward.db"), DATA_KEY)
    async with Rig(store, keys=AUTHORITY, site=SITE, random_id=random_id, stations=stations) as rig:
        await rig.add_encoder()
        yield rig, BlankService(store, rig.keyring, [TRUSTED], SITE, SUN_TEMPLATE)
    await store.close()


async def keyed(folder: Path, random_id: bool = True) -> bytes:
    """A band that a station made, switched off; the station's report."""
    folder.mkdir(exist_ok=True)
    board = BoardOnCable(folder / "flash", UID)
    await board.power_on()
    async with workbench(folder, random_id) as bench:
        async with on_port(board.plug_in()) as line:
            band = await provision(bench, await SerialCard.greet(line), bench.enrolled, lambda step: None)
        await bench.journal.put(replace(band, tests='{"flash":"ok"}'))
        bands = await bench.journal.bands()
    await board.power_off()
    return signed_file(report_of("bench-1", SITE, SUN_TEMPLATE, CLOCK.now().unix_s, bands), SIGNER)


async def field(state: Path, **more: object) -> BandProcess:
    return await BandProcess.start(BandOptions(state, **more), "field")  # type: ignore[arg-type]


@pytest.mark.parametrize("random_id", [True, False])
async def test_a_stocked_band_is_quicker_and_opens_doors(tmp_path: Path, random_id: bool) -> None:
    report = await keyed(tmp_path / "bench", random_id)
    async with ship(tmp_path, random_id) as (rig, blanks):
        assert (await blanks.take(report)).taken == 1
        await rig.add_door("door", cabin=5012)
        async with await field(tmp_path / "bench" / "flash") as band:
            guest = await rig.check_in()
            job = await rig.encoder.request(guest.ref, "desk")
            quick = await rig.tap(band, "desk")
            assert (quick.code, rig.encoder.job(job).active) == ("encoded", True)
            assert (await rig.tap(band, "door")).code == "granted"
            (count,) = await blanks.count()
            assert (count.waiting, count.taken) == (0, 1)
            # Made anew for the same guest it goes the long way, as every band that was somebody's.
            job = await rig.encoder.request(guest.ref, "desk")
            long = await rig.tap(band, "desk")
            assert rig.encoder.job(job).state is JobState.DONE
            assert (await rig.tap(band, "door")).code == "granted"
        assert quick.apdus == 10
        assert long.apdus >= 2 * quick.apdus - 3
        assert (await blanks.take(report)).known == 1
        (count,) = await blanks.count()
        assert (count.waiting, count.taken) == (0, 1)


async def test_a_copy_of_a_stocked_band_without_its_keys_is_refused(tmp_path: Path) -> None:
    """Blank chips can be had with any number: one that has a stocked band's must have its keys."""
    report = await keyed(tmp_path / "bench", random_id=False)
    async with ship(tmp_path, random_id=False) as (rig, blanks):
        await blanks.take(report)
        guest = await rig.check_in()
        async with await field(tmp_path / "copy", uid=UID) as copy:
            job = await rig.encoder.request(guest.ref, "desk")
            assert (await rig.tap(copy, "desk")).code == "not_our_card"
            assert rig.encoder.job(job).state is JobState.WAITING
        (count,) = await blanks.count()
        assert (count.waiting, count.taken) == (1, 0)
        assert await rig.store.read(lambda tx: tx.band(uid_from(UID))) is None
        async with await field(tmp_path / "bench" / "flash") as band:
            assert (await rig.tap(band, "desk")).code == "encoded"


@pytest.mark.parametrize("passive", [False, True])
async def test_a_band_from_nowhere_is_encoded_as_ever(tmp_path: Path, passive: bool) -> None:
    async with ship(tmp_path) as (rig, blanks):
        guest = await rig.check_in()
        async with await field(tmp_path / "flash", uid=UID, passive=passive) as band:
            job = await rig.issue(guest, band)
        assert job.active is not passive
        assert await blanks.count() == []


async def test_the_stock_of_a_station_that_is_trusted_no_more_comes_by_the_long_way(tmp_path: Path) -> None:
    report = await keyed(tmp_path / "bench")
    async with ship(tmp_path, stations=["0" * 64]) as (rig, blanks):
        await blanks.take(report)
        guest = await rig.check_in()
        async with await field(tmp_path / "bench" / "flash") as band:
            await rig.encoder.request(guest.ref, "desk")
            tap = await rig.tap(band, "desk")
        assert (tap.code, tap.apdus > 15) == ("encoded", True)


async def test_a_band_of_the_stock_that_was_frozen_comes_by_the_long_way(tmp_path: Path) -> None:
    report = await keyed(tmp_path / "bench")
    async with ship(tmp_path) as (rig, blanks):
        await blanks.take(report)
        await rig.store.write(lambda tx: tx.deny(Uid(UID.hex().upper()), 1, "stolen"))
        guest = await rig.check_in()
        async with await field(tmp_path / "bench" / "flash") as band:
            job = await rig.encoder.request(guest.ref, "desk")
            tap = await rig.tap(band, "desk")
        assert (tap.code, tap.apdus > 15) == ("encoded", True)
        made = await rig.store.read(lambda tx: tx.band(uid_from(UID)))
        assert made is not None
        assert made.state is BandState.ISSUED
        assert rig.encoder.job(job).state is JobState.DONE


async def test_each_of_its_keys_must_be_right(tmp_path: Path) -> None:
    """One that has all but the key of its link is no band of this ship: somebody changed it since."""
    report = await keyed(tmp_path / "bench", random_id=False)
    state = tmp_path / "bench" / "flash"
    async with await BandProcess.start(BandOptions(state), "hex") as band:
        await other_key(band, K_FILE)
    async with ship(tmp_path, random_id=False) as (rig, blanks):
        await blanks.take(report)
        guest = await rig.check_in()
        job = await rig.encoder.request(guest.ref, "desk")
        async with await field(state) as band:
            assert (await rig.tap(band, "desk")).code == "auth_failed"
        assert rig.encoder.job(job).state is JobState.WAITING
        (count,) = await blanks.count()
        assert (count.waiting, count.taken) == (1, 0)


async def other_key(band: BandProcess, number: int) -> None:
    """As whoever holds its master key could."""
    await band.apdu(apdu.select_df())
    reader = ReaderAuth(AES, K_MASTER, STATION_KEYS.card_key(UID, K_MASTER, 1), bytes(16), True, None)
    channel = reader.finish(await band.apdu(reader.step(await band.apdu(reader.start()))))
    data = change_key_data(number, bytes(range(16)), 1, STATION_KEYS.card_key(UID, number, 1))
    channel.response(await band.apdu(channel.command(apdu.INS_CHANGE_KEY, bytes([number]), data, FULL)), FULL)


@pytest.mark.parametrize("cut", ["1", "2"])
async def test_one_torn_while_its_token_was_written_is_finished_the_next_time(tmp_path: Path, cut: str) -> None:
    """The power goes in that write of its flash; the band comes back to the same job."""
    report = await keyed(tmp_path / "bench")
    state = tmp_path / "bench" / "flash"
    async with ship(tmp_path) as (rig, blanks):
        await blanks.take(report)
        await rig.add_door("door", cabin=5012)
        guest = await rig.check_in()
        job = await rig.encoder.request(guest.ref, "desk")
        async with await field(state, cut=cut) as band:
            await band.enter("127.0.0.1", rig.ports["desk"])
            await band.wait_cut()
            await band.kill()
        assert (await rig.next_tap("desk")).code == "card_removed"
        assert rig.encoder.job(job).state is JobState.WAITING
        async with await field(state) as band:
            assert (await rig.tap(band, "desk")).code == "encoded"
            assert (await rig.tap(band, "door")).code == "granted"
        (count,) = await blanks.count()
        assert (count.waiting, count.taken) == (0, 1)
