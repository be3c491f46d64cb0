"""Many bands at once: whatever is plugged in is worked on, whatever is pulled is forgotten, and nothing is done twice.

Knows ports only by name and work only as a Maker, so that it is the same for cables, readers and tests. What became of
a band is in the journal before it is on the screen; so this may be killed at any moment and started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bandtool.bands import Place, Result, Step, Tell
from bandtool.journal import BandStage, BenchJournal
from steward.domain.ids import Uid
from steward.errors import CardRefused, CardRemoved, ReaderFault, StoreUnavailable

POLL_S = 0.25  # nobody changes a plug in less
PAUSE_S = 0.5  # before a band that fell silent is asked again
FINISH_S = 60.0  # what is in work when the station ends may take
TRY_S = 1_200.0  # one try with one band: flashing on the slowest line and all else
UID_TWICE, SILENT, NO_BAND, TOO_SLOW = "uid_twice", "silent", "no_band", "too_slow"


@dataclass(frozen=True, slots=True)
class PortSeen:
    """mark: differs when something else is plugged in under the same name."""

    name: str
    mark: int = 0


class PortLister(Protocol):
    def ports(self) -> Sequence[PortSeen]:
        """What is plugged in now. Quick."""
        ...


class Maker(Protocol):
    async def make(self, port: str, tell: Tell) -> None:
        """Make a blank board a finished band, from wherever it is. What it did is in the journal.

        Raises CardRemoved or ReaderFault: it may be tried again. CardRefused: set it aside. StoreUnavailable.
        """
        ...


class Watcher(Protocol):
    def changed(self, place: Place) -> None:
        """Something of this place is another now."""
        ...

    def gone(self, place: Place) -> None:
        """It was unplugged."""
        ...


@dataclass(frozen=True, slots=True)
class StationLimits:
    """at_once: bands in work. tries_max: of one band, since it was plugged in."""

    at_once: int = 16
    tries_max: int = 3
    poll_s: float = POLL_S
    pause_s: float = PAUSE_S
    finish_s: float = FINISH_S
    try_s: float = TRY_S


@dataclass(slots=True)
class _Seat:
    seen: PortSeen
    place: Place
    task: asyncio.Task[None]


class Station:
    """run() until it is told to stop. places: what is plugged in now, by port."""

    def __init__(
        self, lister: PortLister, maker: Maker, journal: BenchJournal, watcher: Watcher, limits: StationLimits
    ) -> None:
        self._lister = lister
        self._maker = maker
        self._journal = journal
        self._watcher = watcher
        self._limits = limits
        self._free = asyncio.Semaphore(limits.at_once)
        self._seats: dict[str, _Seat] = {}
        self._twice: set[Uid] = set()
        self._stopping = False
        self._broken: asyncio.Future[StoreUnavailable] | None = None

    @property
    def places(self) -> Mapping[str, Place]:
        return {name: seat.place for name, seat in self._seats.items()}

    async def run(self, stop: asyncio.Event) -> None:
        """Raises StoreUnavailable: nothing can be written down any more, so everything was stopped."""
        self._twice = {band.uid for band in await self._journal.bands() if band.what == UID_TWICE}
        self._broken = asyncio.get_running_loop().create_future()
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stopped.done() and not self._broken.done():
                self._look(await asyncio.to_thread(self._lister.ports))
                await asyncio.wait(
                    (stopped, self._broken), timeout=self._limits.poll_s, return_when=asyncio.FIRST_COMPLETED
                )
            if not self._broken.done():
                await self._finish()
        finally:
            stopped.cancel()
            await self._end([seat.task for seat in self._seats.values()])
        if self._broken.done():
            raise self._broken.result()
        await self._note_twice()

    def _look(self, found: Sequence[PortSeen]) -> None:
        """Begin with what is new, let go what was pulled."""
        now = {seen.name: seen for seen in found}
        for name, seat in list(self._seats.items()):
            if now.get(name) != seat.seen:
                del self._seats[name]
                seat.task.cancel()
                if seat.place.result is Result.RUNNING:
                    seat.place.result = Result.PULLED
                self._watcher.gone(seat.place)
        for name, seen in now.items():
            if name not in self._seats:
                place = Place(name)
                self._seats[name] = _Seat(seen, place, asyncio.create_task(self._serve(place), name=name))
                self._watcher.changed(place)

    async def _serve(self, place: Place) -> None:
        """One place, until its band is done or set aside; then it is left alone."""
        try:
            async with self._free:
                if not self._stopping:
                    await self._try(place)
            if place.code == UID_TWICE:
                await self._note_twice()
        except StoreUnavailable as error:
            assert self._broken is not None
            if not self._broken.done():
                self._broken.set_result(error)

    async def _try(self, place: Place) -> None:
        tell = Tell(
            lambda step, percent: self._tell(place, step, percent),
            lambda uid: self._meet(place, uid),
        )
        for number in range(1, self._limits.tries_max + 1):
            place.tries = number
            self._tell(place, Step.GREETING, place.percent)
            last = number == self._limits.tries_max
            limit = asyncio.timeout(self._limits.try_s)
            try:
                async with limit:
                    await self._maker.make(place.port, tell)
            except TimeoutError:
                if not limit.expired():
                    raise
                said = f"it was not done within {self._limits.try_s:g} s: its answers come too slowly to be a band's"
                self._ended(place, Result.FAULTY, TOO_SLOW, said)
                return
            except CardRefused as refused:
                self._ended(place, Result.FAULTY, refused.code, refused.detail)
                return
            except (CardRemoved, ReaderFault) as error:
                if last:
                    code = SILENT if isinstance(error, CardRemoved) else NO_BAND
                    self._ended(place, Result.FAULTY, code, str(error))
                    return
            else:
                self._ended(place, Result.DONE)
                return
            await asyncio.sleep(self._limits.pause_s)

    def _tell(self, place: Place, step: Step, percent: int) -> None:
        place.step, place.percent = step, max(0, min(100, percent))
        self._watcher.changed(place)

    def _ended(self, place: Place, result: Result, code: str = "", detail: str = "") -> None:
        place.step, place.result, place.code, place.detail = Step.ENDED, result, code, detail
        if result is Result.DONE:
            place.percent = 100
        self._watcher.changed(place)

    def _meet(self, place: Place, uid: Uid) -> None:
        """Its UID is known. Two at once with the same one are both set aside: one of them at least is a copy."""
        place.uid = uid
        others = [seat for seat in self._seats.values() if seat.place is not place and seat.place.uid == uid]
        if others:
            self._twice.add(uid)
        for other in others:
            if other.place.code != UID_TWICE:
                other.task.cancel()
                self._ended(other.place, Result.FAULTY, UID_TWICE, f"another board here says that it is {uid} too")
        if uid in self._twice:
            raise CardRefused(UID_TWICE, f"two boards say that they are {uid}: set both aside, one is a copy")

    async def _note_twice(self) -> None:
        """Into the journal, once nobody works on them any more: neither comes into a report as done."""
        for uid in sorted(self._twice):
            band = await self._journal.band(uid)
            if band is not None and band.what != UID_TWICE:
                await self._journal.put(replace(band, stage=BandStage.FAULTY, what=UID_TWICE))

    async def _finish(self) -> None:
        """What has begun may end; what only waits may not begin."""
        self._stopping = True
        assert self._broken is not None
        running = {seat.task for seat in self._seats.values() if not seat.task.done()}
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._limits.finish_s
        while running and not self._broken.done() and (left_s := until_s - loop.time()) > 0:
            waited: set[asyncio.Future[Any]] = {*running, self._broken}
            await asyncio.wait(waited, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            running = {task for task in running if not task.done()}

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
