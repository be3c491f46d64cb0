"""The shore service beside a real broker and real gateways: killed, out of disk, without database, from a backup."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from tests.e2e.brokerkit import Broker, running_broker, until
from tests.e2e.postgreskit import Cluster
from tests.shore.rig import GRANTS, Ashore, GatewayEnd, ShoreProcess, check_exact, eventually, gateways, make_shore

from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, Uid
from steward.errors import StoreUnavailable
from steward.shore import backup as copying
from steward.shore import parts
from steward.shore.decisions import Signer, deny, freeze
from steward.shore.fleet import count_events
from steward.shore.registry import boot
from steward.shore.script import change
from steward.shore.serve import ShoreService

SEED = 20_260_801


@pytest_asyncio.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with running_broker("nats", tmp_path, GRANTS) as running:
        yield running


@pytest_asyncio.fixture
async def ashore(tmp_path: Path, broker: Broker) -> Ashore:
    return await make_shore(tmp_path / "shore", broker)


async def has_count(service: ShoreService, count: int) -> bool:
    return sum(line.events for line in await service.shore.store.read(count_events("aurora"))) == count


async def has_version(end: GatewayEnd, kind: str, version: int) -> bool:
    return (await end.downlink.versions())[kind] == version


async def denies(end: GatewayEnd, *uids: Uid) -> bool:
    return None not in await end.store.read(lambda tx: [tx.denied_at(uid) for uid in uids])


async def test_the_service_killed_at_work_loses_and_doubles_nothing(broker: Broker, ashore: Ashore) -> None:
    print("seed", SEED)
    draw = random.Random(SEED)
    process = ShoreProcess(ashore.settings)
    async with gateways(broker, ashore, ("gw1", "gw2")) as ends:

        async def feed(end: GatewayEnd) -> None:
            for _ in range(60):
                await end.add(50)
                await asyncio.sleep(0.05)

        feeding = [asyncio.create_task(feed(end)) for end in ends]
        for _ in range(4):
            await process.start()
            await asyncio.sleep(draw.uniform(0.05, 0.8))
            await process.kill()
        await process.start()
        await asyncio.gather(*feeding)
        for end in ends:
            await end.until_delivered()
        assert await process.stop() == 0
        for end in ends:
            await check_exact(ashore, end)


@pytest.mark.postgres
@pytest.mark.parametrize("harshly", [False, True], ids=["restarted", "killed"])
async def test_the_database_gone_and_back_in_the_middle(
    tmp_path: Path, broker: Broker, own_cluster: Cluster, harshly: bool
) -> None:
    ashore = await make_shore(tmp_path / "shore", broker, url=own_cluster.database())
    service = await ShoreService.start(ashore.settings)
    try:
        async with gateways(broker, ashore) as (end,):
            await end.add(2000)
            await until(lambda: service.shore.ingest.counts["events"] > 200)
            await asyncio.to_thread(own_cluster.kill if harshly else own_cluster.stop)
            await end.add(2000)
            await until(lambda: service.shore.ingest.counts["failures"] > 2)
            await asyncio.to_thread(own_cluster.start)
            await end.until_delivered()
            await check_exact(ashore, end)
    finally:
        await service.stop()


async def test_a_full_disk_stops_nothing_for_good(broker: Broker, ashore: Ashore) -> None:
    service = await ShoreService.start(ashore.settings)
    store = service.shore.store
    try:
        async with gateways(broker, ashore) as (end,):
            await end.add(200)
            await end.until_delivered()
            await store.write(change("PRAGMA max_page_count = 1"))  # as small as it is now
            await end.add(4000)
            await until(lambda: service.shore.ingest.counts["failures"] > 2)
            assert await end.waiting() > 0
            await store.write(change("PRAGMA max_page_count = 1000000"))
            await end.until_delivered()
            await check_exact(ashore, end)
    finally:
        await service.stop()


async def test_a_store_put_back_from_a_backup_is_filled_again(broker: Broker, ashore: Ashore, tmp_path: Path) -> None:
    database = ashore.settings.shore.database
    async with gateways(broker, ashore) as (end,):
        service = await ShoreService.start(ashore.settings)
        before = await service.shore.store.read(boot())
        await end.add(700)
        await end.until_delivered()
        copied = copying.backup(database, tmp_path / "backup.db")
        assert copied.events == 700
        await end.add(900)
        await end.until_delivered()
        await service.stop()
        copying.restore(copied.path, database, b"boot-two")
        service = await ShoreService.start(ashore.settings)
        try:
            assert await service.shore.store.read(boot()) != before
            await end.add(1)
            await eventually(lambda: has_count(service, 1601))
            await end.until_delivered()
        finally:
            await service.stop()
        assert (await end.uplink.snapshot()).rewound > 0
        await check_exact(ashore, end)


async def test_decisions_reach_the_ship_also_when_it_was_away(broker: Broker, ashore: Ashore) -> None:
    guest, known, unknown = GuestRef("3f9c0a1b2c3d4e5f"), Uid("04A1B2C3D4E5F6"), Uid("04A1B2C3D4E5F7")
    signer = Signer(parts.open_key(ashore.settings).private, "test", 1_800_000_000)
    service = await ShoreService.start(ashore.settings)
    try:
        await service.shore.store.write(deny(signer, "aurora", [unknown], "stolen"))
        async with gateways(broker, ashore, ("gw1", "gw2")) as ends:
            for end in ends:
                await end.store.write(lambda tx: tx.put_band(Band(known, guest, 1, True, 1, False, BandState.ISSUED)))
            await service.shore.store.write(freeze(signer, "aurora", [known], [], "lost"))
            service.shore.decided()
            for end in ends:
                await eventually(partial(denies, end, known, unknown))
    finally:
        await service.stop()


async def test_a_broker_that_lost_its_files_is_told_everything_again(
    broker: Broker, ashore: Ashore, tmp_path: Path
) -> None:
    signer = Signer(parts.open_key(ashore.settings).private, "test", 1_800_000_000)
    service = await ShoreService.start(ashore.settings)
    try:
        decided = await service.shore.store.write(deny(signer, "aurora", [Uid("04A1B2C3D4E5F7")], "stolen"))
        async with gateways(broker, ashore) as (end,):
            await until(lambda: end.pipe.is_connected)
            await broker.kill()
            for path in (tmp_path / "nats").glob("jetstream"):
                for file in sorted(path.rglob("*"), reverse=True):
                    file.unlink() if file.is_file() else file.rmdir()
            await broker.start()
            await eventually(lambda: has_version(end, "deny", decided.issued.version))
    finally:
        await service.stop()


async def test_two_services_of_one_name_do_not_run_at_once(ashore: Ashore) -> None:
    service = await ShoreService.start(ashore.settings)
    try:
        with pytest.raises(StoreUnavailable, match="in use by process"):
            await ShoreService.start(ashore.settings)
    finally:
        await service.stop()
    await (await ShoreService.start(ashore.settings)).stop()
