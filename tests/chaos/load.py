"""Tills that sell without pause, a purser who looks, and a hand that kills with -9 in a seeded order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx
from tests.chaos.chaoskit import LIMIT_S, Vessel, Wearer

from steward.domain.ids import GuestRef
from voyage.bandproc import BandProcess, BandProcessError
from voyage.client import Json, Refused, Till, Unreachable

TOLD_LIMIT_S = 2
PAUSE_S = 0.1  # of a till between two guests: what is killed has to start on the same two cores


@dataclass
class Sale:
    """What a till was told at last."""

    tap_id: str
    till: str
    amount_minor: int
    state: str
    code: str


@dataclass
class Sales:
    """Tills that sell without pause. Whoever is not told what came of a tap asks again with the same tap id."""

    told: list[Sale] = field(default_factory=list)
    interrupted: set[str] = field(default_factory=set)  # taps during which somebody did not answer
    turned_away: list[Refused] = field(default_factory=list)  # questions that were refused as such
    over: asyncio.Event = field(default_factory=asyncio.Event)  # no new ones

    @property
    def posted(self) -> dict[str, int]:
        """By tap id, the amounts of those that were told to be posted."""
        return {sale.tap_id: sale.amount_minor for sale in self.told if sale.state == "posted"}

    async def keep(
        self,
        vessel: Vessel,
        name: str,
        wearers: asyncio.Queue[Wearer],
        chance: random.Random,
        amounts: tuple[int, int] = (100, 5_000),
    ) -> None:
        """One till until it is over. A sale that was begun is brought to its end."""
        till = vessel.till(name)
        while not self.over.is_set():
            wearer = await wearers.get()
            try:
                await self.sell(vessel, till, wearer.band, chance.randbytes(16).hex(), chance.randint(*amounts))
            finally:
                wearers.put_nowait(wearer)
            await asyncio.sleep(chance.uniform(0.0, PAUSE_S))

    async def sell(self, vessel: Vessel, till: Till, band: BandProcess, tap_id: str, amount_minor: int) -> Sale:
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    status = await self._once(vessel, till, band, tap_id, amount_minor)
                except Unreachable:
                    self.interrupted.add(tap_id)
                    await vessel.up.wait()
                    continue
                except Refused as refused:
                    if refused.status != httpx.codes.SERVICE_UNAVAILABLE:
                        raise
                    self.interrupted.add(tap_id)
                    self.turned_away.append(refused)
                    await asyncio.sleep(0.1)
                    continue
                if status["state"] != "waiting":
                    sale = Sale(tap_id, till.name, amount_minor, str(status["state"]), str(status.get("code") or ""))
                    self.told.append(sale)
                    return sale

    async def _once(self, vessel: Vessel, till: Till, band: BandProcess, tap_id: str, amount_minor: int) -> Json:
        status = await till.ask(tap_id, amount_minor, "drink", age_restricted=False, allow_duplicate=True)
        if status["state"] != "waiting":
            return status
        try:
            await band.enter("127.0.0.1", vessel.ports[till.name])
        except BandProcessError as error:
            raise Unreachable("the till's reader has just died") from error
        try:
            return await till.answer(tap_id, TOLD_LIMIT_S)
        finally:
            await band.leave()


@dataclass
class Looking:
    """A purser who opens folio after folio, and notes each one that was shown."""

    shown: dict[GuestRef, int] = field(default_factory=dict)
    asked: dict[GuestRef, int] = field(default_factory=dict)

    async def keep(self, vessel: Vessel, refs: Sequence[GuestRef], chance: random.Random, over: asyncio.Event) -> None:
        while not over.is_set():
            ref = chance.choice(refs)
            self.asked[ref] = self.asked.get(ref, 0) + 1
            try:
                await vessel.purser.statement(ref)
            except Unreachable:
                await vessel.up.wait()
                continue
            except Refused as refused:
                assert refused.status == httpx.codes.SERVICE_UNAVAILABLE, refused
                continue
            self.shown[ref] = self.shown.get(ref, 0) + 1
            await asyncio.sleep(chance.uniform(0.0, PAUSE_S))


class Victim(Protocol):
    async def kill(self) -> None: ...
    async def start(self) -> None: ...


@dataclass
class Killer:
    """Kills one, two or all of the victims at once, and starts each of them again after a while of its own."""

    chance: random.Random
    victims: Mapping[str, Victim]
    deaths: list[str] = field(default_factory=list)

    async def strike(self, kills: int, pause_s: tuple[float, float] = (0.3, 1.2), down_s: float = 0.6) -> None:
        """Until at least so many have died, and each of them at least twice."""
        names = sorted(self.victims)
        while len(self.deaths) < kills or min(self.deaths.count(name) for name in names) < 2:
            await asyncio.sleep(self.chance.uniform(*pause_s))
            struck = self.chance.sample(names, self.chance.choice((1, 1, 1, 2, len(names))))
            self.deaths += struck
            async with asyncio.timeout(LIMIT_S):
                for name in struck:
                    await self.victims[name].kill()
                await asyncio.gather(*(self._revive(name, self.chance.uniform(0.0, down_s)) for name in struck))

    async def _revive(self, name: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self.victims[name].start()
