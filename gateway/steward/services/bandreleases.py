"""Brings the program that shore ordered to the ship's bands: which band may take it now, and what became of it there.

Whoever talks to a band asks next_for(), sends what it gets, and hands over what the band then tells of itself. A band
is asked in its own words, so one that lies fools nobody but itself: it counts once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from steward.domain.bandrelease import BandRelease, ReleaseFault, open_release, read_told
from steward.domain.bandstages import (
    BandState,
    Halt,
    Order,
    Rollout,
    Tally,
    after,
    begun,
    decode_orders,
    is_of,
    may_take,
    resumed,
    step,
    wants,
)
from steward.domain.guests import BandState as Worn
from steward.domain.ids import Uid
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.ports.bandupdates import ReleaseFiles

_LOG = logging.getLogger(__name__)

KIND = "band-release"
_Change = Callable[[Rollout, Tally], Rollout]
LOOK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """For people. here: whether the file has come and is whole; problem: why it is not offered though it has."""

    order: Order
    rollout: Rollout | None
    tally: Tally
    here: bool
    problem: str


class BandReleases:
    """public: the release key that must have signed what bands get. `run` belongs to a supervisor."""

    def __init__(self, store: Store, clock: Clock, files: ReleaseFiles, public: bytes) -> None:
        self._store = store
        self._clock = clock
        self._files = files
        self._public = public
        self._opened: BandRelease | None = None
        self._opened_sha = ""
        self._problem = ""

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Take up what was ordered and has come; halt or widen it."""
        order = await self._store.read(ordered)
        if order is None:
            self._opened, self._opened_sha, self._problem = None, "", ""
            return
        if self._opened_sha != order.sha256 or self._opened is None:
            await self._open(order)
        if self._opened is not None:
            now_s = self._now_s()
            moved = await self._store.write(lambda tx: _step(tx, order, now_s))
            if moved is not None:
                _LOG.info("bands.release number=%d stage=%d halted=%s", moved.number, moved.stage, moved.halted)

    async def next_for(self, uid: Uid) -> BandRelease | None:
        """What to bring this band now; None: nothing."""
        opened, sha256 = self._opened, self._opened_sha
        if opened is None:
            return None

        def work(tx: Tx) -> bool:
            order, rollout = ordered(tx), tx.rollout()
            if order is None or rollout is None or order.sha256 != sha256 or not is_of(rollout, order):
                return False
            band = tx.band(uid)
            if band is None or band.state is not Worn.ISSUED or not band.active:
                return False
            guest = tx.guest(band.guest)
            cabin = None if guest is None or not guest.cabins else guest.cabins[0].cabin
            return may_take(order, rollout, uid, cabin) and wants(tx.band_update(uid), order.number)

        return opened if await self._store.read(work) else None

    async def goes_on(self, number: int) -> bool:
        """Whether this release is still the one that is ordered, and not halted: asked before a band tries it."""

        def work(tx: Tx) -> bool:
            order, rollout = ordered(tx), tx.rollout()
            if order is None or rollout is None or order.number != number or not is_of(rollout, order):
                return False
            return not rollout.halted

        return await self._store.read(work)

    async def begun(self, uid: Uid, number: int) -> None:
        """This release is being sent to the band; drop-outs count too, so that nobody tries for ever."""
        now_s = self._now_s()
        await self._store.write(lambda tx: _note(tx, uid, number, BandState.TRYING, now_s))

    async def heard(self, uid: Uid, told: bytes) -> None:
        """What the band told of its programs. Raises ReleaseFault if that makes no sense."""
        said, now_s = read_told(told), self._now_s()

        def work(tx: Tx) -> None:
            order = ordered(tx)
            if order is None or said.on_trial:
                return
            if said.number == order.number:
                _note(tx, uid, order.number, BandState.KEPT, now_s)
            elif said.failed(order.number):
                _note(tx, uid, order.number, BandState.FAILED, now_s)

        await self._store.write(work)

    async def refused(self, uid: Uid, number: int) -> None:
        """The band will not take this release: its signature, its board, or its flash."""
        now_s = self._now_s()
        await self._store.write(lambda tx: _note(tx, uid, number, BandState.FAILED, now_s))

    async def status(self) -> ReleaseStatus | None:
        """None: nothing is ordered."""

        def work(tx: Tx) -> ReleaseStatus | None:
            order, rollout = ordered(tx), tx.rollout()
            if order is None:
                return None
            mine = rollout if is_of(rollout, order) else None
            here = self._opened is not None and self._opened_sha == order.sha256
            return ReleaseStatus(order, mine, tx.band_tally(order.number), here, self._problem)

        return await self._store.read(work)

    async def halt(self) -> None:
        """No band is offered it until it is resumed. Raises Refused if nothing goes on."""
        await self._change(lambda rollout, _tally: _halted(rollout))

    async def resume(self) -> None:
        """Somebody looked at the failures so far: they halt it no more. Raises Refused if nothing is halted."""

        now_s = self._now_s()

        def change(rollout: Rollout, tally: Tally) -> Rollout:
            if not rollout.halted:
                raise Refused("not_halted", "the release is not halted")
            return resumed(rollout, tally, now_s)

        await self._change(change)

    async def _change(self, change: _Change) -> None:
        def work(tx: Tx) -> Rollout:
            order, rollout = ordered(tx), tx.rollout()
            if order is None or rollout is None or not is_of(rollout, order):
                raise Refused("no_release", "no release for bands goes on here")
            changed = change(rollout, tx.band_tally(order.number))
            tx.put_rollout(changed)
            return changed

        changed = await self._store.write(work)
        _LOG.warning("bands.release number=%d stage=%d halted=%s", changed.number, changed.stage, changed.halted)

    async def _open(self, order: Order) -> None:
        self._opened, self._opened_sha = None, order.sha256
        content = await self._files.read(order.sha256)
        if content is None:
            self._problem = ""
            return
        try:
            opened = open_release(content, self._public)
            if opened.number != order.number:
                raise ReleaseFault(f"the file is release {opened.number}, and {order.number} was ordered")
        except ReleaseFault as error:
            if self._problem != str(error):
                _LOG.error("bands.release_refused number=%d problem=%s", order.number, error)
            self._problem = str(error)
            return
        self._opened, self._problem = opened, ""

    def _now_s(self) -> int:
        return self._clock.now().unix_s


def _halted(rollout: Rollout) -> Rollout:
    if rollout.halted:
        raise Refused("halted", "the release is halted already")
    return replace(rollout, halted=Halt.OPERATOR)


def ordered(tx: Tx) -> Order | None:
    """What shore has ordered."""
    record = tx.down(KIND)
    return None if record is None else decode_orders(record.body)


def _note(tx: Tx, uid: Uid, number: int, state: BandState, now_s: int) -> None:
    """Keep it, and halt the release at once if that was one too many. Bands that are not worn count for nothing."""
    order, band = ordered(tx), tx.band(uid)
    if order is None or order.number != number or band is None or band.state is not Worn.ISSUED:
        return
    before = tx.band_update(uid)
    now = after(before, uid, number, state, now_s)
    if now != before:
        tx.put_band_update(now)
        if is_of(tx.rollout(), order):
            _step(tx, order, now_s)


def _step(tx: Tx, order: Order, now_s: int) -> Rollout | None:
    """Begin, halt or widen it; None: nothing changed, or another release was ordered meanwhile."""
    if ordered(tx) != order:
        return None
    before = tx.rollout()
    mine = before if before is not None and is_of(before, order) else begun(order, now_s)
    now = step(order, mine, tx.band_tally(order.number), now_s)
    if now == before:
        return None
    tx.put_rollout(now)
    return now
