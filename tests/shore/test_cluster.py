"""Two shore nodes on a three-node NATS cluster and one PostgreSQL: a node and a worker killed -9 while publishing."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from functools import partial
from pathlib import Path

import pytest
from nats.aio.client import Client
from tests.e2e.postgreskit import Cluster
from tests.shore.kit import table
from tests.shore.natskit import NatsCluster, running_nats
from tests.shore.orderkit import GONE, named, order, reasons
from tests.shore.rig import FLEET, Ashore, ShoreProcess, check_exact, eventually, prepare_shore, running_gateways

from steward.adapters.brokerrights import identity
from steward.domain.downs import decode_erasures
from steward.domain.events import fact
from steward.domain.ids import Uid
from steward.shore import parts
from steward.shore.cluster import STREAM
from steward.shore.decisions import Signer, deny
from steward.shore.ordered import Why
from steward.shore.serve import ShoreService

CHUNKS, CHUNK = 60, 40
OTHER = "ffeeddccbbaa9988"
pytestmark = pytest.mark.postgres


async def two_nodes(tmp_path: Path, nats: NatsCluster, url: str) -> tuple[Ashore, Ashore]:
    for name in ("shore1", "shore2"):
        (tmp_path / name).mkdir()
    first = await prepare_shore(tmp_path / "shore1", nats.settings(0), url=url, name="shore1")
    second = await prepare_shore(tmp_path / "shore2", nats.settings(1), url=url, name="shore2", begin=False)
    shutil.copyfile(first.settings.shore.key_file, second.settings.shore.key_file)  # nodes of a fleet sign with one key
    return first, second


async def is_worked_off(nats: NatsCluster) -> bool:
    """Whether every batch was acknowledged to the stream, which then drops it."""
    tls = nats.authority.issue("shore")
    context = ssl.create_default_context(cafile=str(tls.ca))
    context.load_cert_chain(tls.certificate, tls.private_key)
    client = Client()
    await client.connect(servers=list(nats.servers), tls=context)
    try:
        return (await client.jetstream().stream_info(STREAM)).state.messages == 0
    finally:
        await client.close()


async def test_a_worker_and_a_node_killed_while_ships_send(tmp_path: Path, cluster: Cluster) -> None:
    async with running_nats(tmp_path, FLEET) as nats:
        first, second = await two_nodes(tmp_path, nats, cluster.database())
        one, other = ShoreProcess(first.settings), ShoreProcess(second.settings)
        ways = {name: nats.mqtt(identity("aurora", name), number) for number, name in enumerate(FLEET["aurora"])}
        async with running_gateways(ways, first) as ends:
            await asyncio.gather(one.start(), other.start())

            async def feed() -> None:
                for _ in range(CHUNKS):
                    for end in ends:
                        await end.add(CHUNK)
                    await asyncio.sleep(0.1)

            feeding = asyncio.create_task(feed())
            await asyncio.sleep(1.0)
            await other.kill()
            await asyncio.sleep(1.0)
            await nats.nodes[2].kill()
            await asyncio.sleep(1.0)
            await other.start()
            await feeding
            for end in ends:
                await end.until_delivered()
            assert (await one.stop(), await other.stop()) == (0, 0)
            for end in ends:
                assert len(await end.events()) >= CHUNKS * CHUNK
                await check_exact(first, end)


async def test_two_nodes_share_the_load(tmp_path: Path, cluster: Cluster) -> None:
    async with running_nats(tmp_path, FLEET) as nats:
        first, second = await two_nodes(tmp_path, nats, cluster.database())
        services = await asyncio.gather(ShoreService.start(first.settings), ShoreService.start(second.settings))
        try:
            ways = {name: nats.mqtt(identity("aurora", name), number) for number, name in enumerate(FLEET["aurora"])}
            async with running_gateways(ways, first) as ends:
                for _ in range(20):
                    for end in ends:
                        await end.add(30)
                    await asyncio.sleep(0.05)
                for end in ends:
                    await end.until_delivered()
                    await check_exact(first, end)
            await eventually(partial(is_worked_off, nats))
            counts = [service.shore.ingest.counts["batches"] for service in services]
            assert min(counts) * 5 > sum(counts), counts
        finally:
            for service in services:
                await service.stop()


async def test_a_decision_reaches_gateways_of_a_cluster(tmp_path: Path, cluster: Cluster) -> None:
    async with running_nats(tmp_path, FLEET) as nats:
        first, second = await two_nodes(tmp_path, nats, cluster.database())
        services = await asyncio.gather(ShoreService.start(first.settings), ShoreService.start(second.settings))
        try:
            ways = {name: nats.mqtt(identity("aurora", name), number) for number, name in enumerate(FLEET["aurora"])}
            async with running_gateways(ways, first) as ends:
                signer = Signer(parts.open_key(first.settings).private, "test", 1_800_000_000)
                decided = await services[0].shore.store.write(deny(signer, "aurora", [Uid("04A1B2C3D4E5F7")], "stolen"))

                async def applied() -> bool:
                    versions = [await end.downlink.versions() for end in ends]
                    return all(version["deny"] == decided.issued.version for version in versions)

                await eventually(applied)

                async def told() -> bool:
                    sql = "SELECT gateway FROM applied WHERE kind = 'deny' ORDER BY gateway"
                    return await services[1].shore.store.read(table(sql)) == [("gw1",), ("gw2",)]

                await eventually(told)
        finally:
            for service in services:
                await service.stop()


async def test_an_order_to_forget_that_came_too_early_is_carried_out_by_a_cluster_once(
    tmp_path: Path, cluster: Cluster
) -> None:
    async with running_nats(tmp_path, FLEET) as nats:
        first, second = await two_nodes(tmp_path, nats, cluster.database())
        services = await asyncio.gather(ShoreService.start(first.settings), ShoreService.start(second.settings))
        stores = [service.shore.store for service in services]
        try:
            ways = {name: nats.mqtt(identity("aurora", name), number) for number, name in enumerate(FLEET["aurora"])}
            async with running_gateways(ways, first) as ends:
                for end, event in zip(ends, (order(1), order(1, OTHER, gateway="gw2")), strict=True):
                    await end.store.write(
                        lambda tx, made=event: tx.append_event(fact(made.type, made.at_s, **made.payload))
                    )
                    await end.until_delivered()
                assert await reasons(stores[0]) == [Why.NOBODY, Why.NOBODY]
                assert await named(stores[1]) == 1

                async def is_told() -> bool:
                    record = await ends[1].store.read(lambda tx: tx.down("erasures"))
                    return record is not None and [each[:2] for each in decode_erasures(record.body)] == [(GONE, 2)]

                await eventually(is_told)
                assert await reasons(stores[0]) == [Why.GATEWAY]
                issued = await stores[0].read(table("SELECT count(*) FROM down WHERE kind = 'erasures'"))
                assert issued == [(1,)]
        finally:
            for service in services:
                await service.stop()
