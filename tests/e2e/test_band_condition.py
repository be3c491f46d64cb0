"""A band's battery from its own flash to the gateway's store: real MicroPython, real socket, real services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.condition import BandCondition
from steward.domain.ids import Uid
from voyage.bandproc import BandOptions, BandProcess
from voyage.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
    async with Rig(store) as rig:
        await rig.add_encoder()
        await rig.add_door("cabin-5012", cabin=5012)
        await rig.add_door("cabin-5013", cabin=5013)
        await rig.add_till("bar-1")
        yield rig
    await store.close()


async def kept(rig: Rig, uid: Uid) -> BandCondition | None:
    return await rig.store.read(lambda tx: tx.condition(uid))


async def test_each_reader_hears_it_in_the_exchanges_it_had_anyway(rig: Rig, tmp_path: Path) -> None:
    cell = tmp_path / "a" / "battery"
    async with await BandProcess.start(BandOptions(state=tmp_path / "a"), "field") as wrist:
        cell.write_text("91")
        job = await rig.issue(await rig.check_in(), wrist)
        assert job.uid is not None

        async def told() -> tuple[int | None, bool]:
            condition = await kept(rig, job.uid or Uid(""))
            assert condition is not None
            assert condition.active
            return condition.battery_percent, condition.charging

        assert await told() == (91, False)
        cell.write_text("60 charging")
        record = await rig.tap(wrist, "cabin-5012")
        assert (record.code, record.apdus, await told()) == ("granted", 5, (60, True))
        cell.write_text("19")
        assert (await rig.tap(wrist, "cabin-5013")).code == "wrong_cabin"
        assert await told() == (19, False), "a refused band has a battery, too"
        cell.write_text("18")
        await rig.charge(wrist, "bar-1", 450)
        assert await told() == (18, False)
        cell.write_text("no cell")
        await rig.tap(wrist, "cabin-5012")
        assert await told() == (None, False)


async def test_a_passive_band_has_a_last_tap_and_no_battery(rig: Rig, tmp_path: Path) -> None:
    async with await BandProcess.start(BandOptions(state=tmp_path / "p", passive=True), "field") as wrist:
        (tmp_path / "p" / "battery").write_text("91")
        job = await rig.issue(await rig.check_in(), wrist)
        assert job.uid is not None
        assert (await rig.tap(wrist, "cabin-5012")).code == "granted"
        condition = await kept(rig, job.uid)
        assert condition is not None
        assert (condition.active, condition.battery_percent) == (False, None)
        assert await rig.store.read(lambda tx: dict(tx.battery_counts())) == {(False, None): 1}


async def test_a_band_handed_in_leaves_nothing(rig: Rig, tmp_path: Path) -> None:
    async with await BandProcess.start(BandOptions(state=tmp_path / "a"), "field") as wrist:
        job = await rig.issue(await rig.check_in(), wrist)
        assert job.uid is not None
        assert await kept(rig, job.uid) is not None
        await rig.desk.give_back(job.uid)
        assert await kept(rig, job.uid) is None
