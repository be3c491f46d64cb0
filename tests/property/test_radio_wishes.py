"""A guest says on and off while a gateway is cut off and heals: no band is told an on that was taken back long ago."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.lankit import Fleet
from tests.unit.test_conditions import tap as at_reader
from tests.unit.test_radio_ship import REF, UID, aboard
from tests.unit.test_radio_wishes import of_band, reader

from bandwire.condition import WISH_NONE, WISH_ON, Condition
from steward.services.conditions import note_tap
from steward.services.radiowishes import HOLD_ON_MS, RadioWishes

READERS = ("door", "bar")
PERIOD = 7
STEPS = st.lists(
    st.sampled_from(["on", "off", "cut", "heal", "sync", "minute", "tap door", "tap bar", "restart"]), max_size=24
)


class Wrist:
    """A band that does as it is told, and a guest who changes their mind. The door is cut off at times."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.authority = RadioWishes(fleet.authority.store, fleet.authority.clock)
        self.readers = {name: reader(fleet, name) for name in READERS}
        self.is_on = self.wanted = False
        self.off_ms = fleet.authority.clock.ms  # since when it is not wanted

    async def do(self, step: str) -> None:
        fleet = self.fleet
        if step in ("on", "off"):
            await self.authority.say(REF, UID, step == "on", "guest")
            if self.wanted and step == "off":
                self.off_ms = fleet.authority.clock.ms
            self.wanted = step == "on"
        elif step == "cut":
            fleet.lan.cut.add("door")
        elif step == "heal":
            fleet.lan.cut.discard("door")
        elif step == "sync":
            await fleet.sync()
        elif step == "minute":
            for clock in (fleet.authority.clock, *(follower.clock for follower in fleet.followers.values())):
                clock.tick(60)
        elif step == "restart":
            fleet["door"].restart()
            self.readers["door"] = reader(fleet)
        else:
            await self.tap(step.removeprefix("tap "))

    async def tap(self, where: str) -> None:
        """It says how its radio is, and then does what it was told."""
        wishes, follower = self.readers[where], self.fleet[where]
        await wishes.look()
        wish = wishes.wish_of(bytes.fromhex(UID))
        off_for_ms = self.fleet.authority.clock.ms - self.off_ms
        assert wish != WISH_ON or self.wanted or off_for_ms < HOLD_ON_MS, "told on, long after off was said"
        told = Condition(80, False, True, PERIOD if self.is_on else None)
        seen, at = of_band(REF, bytes.fromhex(UID)), at_reader(follower.clock.unix_s)
        await follower.store.write(lambda tx: note_tap(tx, at, told, seen))
        if wish != WISH_NONE:
            self.is_on = wish == WISH_ON


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_no_band_is_told_an_on_that_was_taken_back(steps: list[str]) -> None:
    asyncio.run(_run(steps))


async def _run(steps: list[str]) -> None:
    wrist = Wrist(await aboard())
    for step in steps:
        await wrist.do(step)
    await wrist.fleet.settle_down()
    for where in (*READERS, *READERS):
        await wrist.tap(where)
        await wrist.fleet.settle_down()
    assert wrist.wanted or not wrist.is_on, "off counts, once it was heard everywhere"
    for wishes in wrist.readers.values():
        await wishes.look()
    left = [wishes.wish_of(bytes.fromhex(UID)) for wishes in wrist.readers.values()]
    assert left == [WISH_NONE, WISH_NONE]
