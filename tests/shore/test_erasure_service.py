"""Forgetting a guest with the real service, a broker and gateways: ordered by an event, confirmed by a decision."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest_asyncio
from tests.e2e.brokerkit import Broker, running_broker
from tests.shore.orderkit import GONE
from tests.shore.orderkit import named as name_authority
from tests.shore.orderkit import order as signed
from tests.shore.rig import GRANTS, Ashore, GatewayEnd, eventually, gateways, make_shore

from steward.adapters.sqlite.connect import connect
from steward.domain.downs import decode_erasures
from steward.domain.events import EventType, fact, is_erased
from steward.ports import Tx
from steward.shore import backup as copying
from steward.shore.arrivals import events_in
from steward.shore.downs import newest
from steward.shore.serve import ShoreService

AT_S = 1_800_000_000


@pytest_asyncio.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with running_broker("nats", tmp_path, GRANTS) as running:
        yield running


@pytest_asyncio.fixture
async def ashore(tmp_path: Path, broker: Broker) -> Ashore:
    return await make_shore(tmp_path / "shore", broker)


def charges(tx: Tx) -> None:
    for n in range(50):
        tx.append_event(fact(EventType.CHARGE_POSTED, AT_S + n, guest=GONE, amount_minor=n, currency="EUR"))


def order(tx: Tx) -> None:
    """As gw1, the ship's folio authority, signs it."""
    made = signed(1)
    tx.append_event(fact(made.type, made.at_s, **made.payload))


async def is_confirmed(end: GatewayEnd) -> bool:
    record = await end.store.read(lambda tx: tx.down("erasures"))
    return record is not None and (GONE, 2) in [(ref, part) for ref, part, _ in decode_erasures(record.body)]


def named(ashore: Ashore) -> int:
    """Rows ashore that name the guest, but the order."""
    connection = connect(ashore.settings.shore.database, query_only=True)
    try:
        sql = "SELECT count(*) FROM event WHERE type <> ? AND instr(payload, CAST(? AS BLOB)) > 0"
        (count,) = connection.execute(sql, (int(EventType.GUEST_ERASED), GONE)).fetchone()
        return int(count)
    finally:
        connection.close()


async def test_the_ship_orders_shore_forgets_and_says_so_also_from_an_old_backup(
    broker: Broker, ashore: Ashore, tmp_path: Path
) -> None:
    database = ashore.settings.shore.database
    service = await ShoreService.start(ashore.settings)
    await name_authority(service.shore.store)
    async with gateways(broker, ashore, ("gw1", "gw2")) as ends:
        for end in ends:
            await end.store.write(charges)
            await end.until_delivered()
        assert named(ashore) == 100
        copied = copying.backup(database, tmp_path / "backup.db")
        await ends[0].store.write(order)
        for end in ends:
            await eventually(partial(is_confirmed, end))
        assert named(ashore) == 0
        epoch = await ends[1].store.read(lambda tx: tx.epoch())
        stored = await service.shore.store.read(events_in("aurora", "gw2", epoch, 1, 99))
        assert len(stored) == 50
        assert all(map(is_erased, stored))
        assert "erasures" in [issued.kind for issued in await service.shore.store.read(newest())]
    await service.stop()
    copying.restore(copied.path, database, b"boot-two")
    assert named(ashore) == 100
    service = await ShoreService.start(ashore.settings)  # no gateway is there
    try:

        async def forgotten() -> bool:
            return named(ashore) == 0

        await eventually(forgotten)
    finally:
        await service.stop()
