"""How soon a freeze is known everywhere, in simulated time: decided aboard, and decided ashore over the satellite."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.sim.loop import run
from tests.sim.network import SATELLITE
from tests.sim.world import Size, World

ABOARD_S = 1.0
ASHORE_S = 2 * SATELLITE.delay_s + 3.0


async def known_after_s(world: World, uid_number: int, ashore: bool) -> float:
    """Seconds from the decision until every gateway would refuse the band."""
    loop, wearer = asyncio.get_running_loop(), world.wearers[uid_number]
    start_s = loop.time()
    if ashore:
        assert await world.shore.freeze(wearer.uid)
    else:
        assert world.authority.running is not None
        await world.authority.running.desk.freeze(wearer.uid, "lost", "purser")
    for _ in range(1000):
        if all(g.disk.look(lambda tx: tx.denied_at(wearer.uid)) is not None for g in world.gateways.values()):
            return loop.time() - start_s
        await asyncio.sleep(0.01)
    raise AssertionError("not known everywhere after ten seconds")


def test_a_freeze_is_known_everywhere_in_time(tmp_path: Path) -> None:
    async def scene() -> tuple[float, float]:
        world = World(1, tmp_path, Size(guests=2))
        try:
            await world.begin()
            await asyncio.sleep(20.0)
            return await known_after_s(world, 0, ashore=False), await known_after_s(world, 1, ashore=True)
        finally:
            await world.end()

    aboard_s, ashore_s = run(scene())
    assert aboard_s < ABOARD_S
    assert ashore_s < ASHORE_S
