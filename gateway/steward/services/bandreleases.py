"""Brings the program that shore ordered to the ship's bands: which band may take it now, and what became of it there.

Whoever talks to a band asks next_for(), sends what it gets, and hands over what the band then tells of itself. A band
is asked in its own words, so one that lies fools nobody but itself: it counts once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
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
    too_many,
    wants,
)
from steward.domain.guests import BandState as Worn
from steward.domain.ids import Uid
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.ports.bandupdates import ReleaseFiles
from steward.services.bandwatch import BandWatch, Listener

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


@dataclass(frozen=True, slots=True)
class _Opened:
    """sha256: of its file, as it was ordered."""

    sha256: str
    release: BandRelease


class BandReleases:
    """public: the release key that must have signed what bands get. ears: as bandwatch.py has them.

    `run` belongs to a supervisor.
    """

    def __init__(
        self, store: Store, clock: Clock, files: ReleaseFiles, public: bytes, ears: Listener | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._files = files
        self._public = public
        self._watch = BandWatch(store, clock, ears)
        self._opened: _Opened | None = None
        self._problem = ""
        self._held_by: int | None = None  # so many silent bands hold it up; None: nobody has looked yet

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Take up what was ordered and has come; halt, hold or widen it. A clock that is not believed moves nothing."""
        order = await self._store.read(ordered)
        if order is None:
            self._opened, self._problem = None, ""
            return
        if self._opened is None or self._opened.sha256 != order.sha256:
            await self._open(order)
        if self._opened is None:
            return
        await self._watch.look(order.number)
        now, silent = self._clock.now(), self._watch.silent
        if not now.trusted:
            return

        def work(tx: Tx) -> tuple[Rollout | None, bool]:
            moved, rollout = _step(tx, order, silent, now.unix_s), tx.rollout()
            tally = replace(tx.band_tally(order.number), silent=silent)
            return moved, rollout is not None and too_many(order, rollout, tally, now.unix_s)

        moved, are_many = await self._store.write(work)
        before, self._held_by = self._held_by, silent if are_many else 0
        if moved is not None:
            _LOG.info("bands.release number=%d stage=%d halted=%s", moved.number, moved.stage, moved.halted)
        if self._held_by != before and (self._held_by or before):
            _LOG.warning("bands.release_held number=%d silent=%d", order.number, self._held_by)

    async def due(self, uids: Sequence[Uid]) -> list[Uid]:
        """Those of them that there is something to bring to, in their order."""
        opened = self._opened
        if opened is None or self._held_by != 0 or not uids:
            return []
        return await self._store.read(lambda tx: _due(tx, uids, opened.sha256))

    async def next_for(self, uid: Uid) -> BandRelease | None:
        """What to bring this band now; None: nothing."""
        opened = self._opened
        return None if opened is None or not await self.due([uid]) else opened.release

    async def begin(self, uid: Uid, release: BandRelease) -> bool:
        """Whether the band still gets this one. Then it has begun: drop-outs count, so that nobody tries for ever."""
        opened, silent, now_s = self._opened, self._watch.silent, self._now_s()
        if opened is None or opened.release is not release or self._held_by != 0:
            return False

        def work(tx: Tx) -> bool:
            if not _due(tx, [uid], opened.sha256):
                return False
            _note(tx, uid, release.number, BandState.TRYING, silent, now_s)
            return True

        return await self._store.write(work)

    async def goes_on(self, release: BandRelease) -> bool:
        """Whether this very one is still ordered, neither halted nor held: asked before a band tries it."""
        opened = self._opened
        if opened is None or opened.release is not release or self._held_by != 0:
            return False

        def work(tx: Tx) -> bool:
            rollout = _rollout_of(tx, opened.sha256)
            return rollout is not None and not rollout.halted

        return await self._store.read(work)

    async def heard(self, uid: Uid, told: bytes) -> None:
        """What the band told of its programs. Raises ReleaseFault if that makes no sense."""
        said, silent, now_s = read_told(told), self._watch.silent, self._now_s()

        def work(tx: Tx) -> None:
            order = ordered(tx)
            if order is None or said.on_trial:
                return
            if said.number == order.number:
                _note(tx, uid, order.number, BandState.KEPT, silent, now_s)
            elif said.failed(order.number):
                _note(tx, uid, order.number, BandState.FAILED, silent, now_s)

        await self._store.write(work)

    async def refused(self, uid: Uid, number: int) -> None:
        """The band will not take this release: its signature, its board, or its flash."""
        silent, now_s = self._watch.silent, self._now_s()
        await self._store.write(lambda tx: _note(tx, uid, number, BandState.FAILED, silent, now_s))

    async def status(self) -> ReleaseStatus | None:
        """None: nothing is ordered."""
        opened, silent, problem = self._opened, self._watch.silent, self._problem
        if opened is not None and self._held_by:
            problem = f"{self._held_by} bands that took it are silent since: no other gets it until they are heard"

        def work(tx: Tx) -> ReleaseStatus | None:
            order, rollout = ordered(tx), tx.rollout()
            if order is None:
                return None
            mine = rollout if is_of(rollout, order) else None
            here = opened is not None and opened.sha256 == order.sha256
            return ReleaseStatus(order, mine, replace(tx.band_tally(order.number), silent=silent), here, problem)

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
        self._opened, self._held_by = None, None
        content = await self._files.read(order.sha256)
        if content is None:
            self._problem = ""
            return
        try:
            release = open_release(content, self._public)
            if release.number != order.number:
                raise ReleaseFault(f"the file is release {release.number}, and {order.number} was ordered")
        except ReleaseFault as error:
            if self._problem != str(error):
                _LOG.error("bands.release_refused number=%d problem=%s", order.number, error)
            self._problem = str(error)
            return
        self._opened, self._problem = _Opened(order.sha256, release), ""

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


def _rollout_of(tx: Tx, sha256: str) -> Rollout | None:
    """How far the file of this hash is; None if another one is ordered, or the ship has another one under way."""
    order, rollout = ordered(tx), tx.rollout()
    if order is None or order.sha256 != sha256 or not is_of(rollout, order):
        return None
    return rollout


def _due(tx: Tx, uids: Sequence[Uid], sha256: str) -> list[Uid]:
    """Those that may be brought the file of this hash as things stand in this transaction."""
    order, rollout = ordered(tx), _rollout_of(tx, sha256)
    if order is None or rollout is None:
        return []
    return [uid for uid in uids if _is_due(tx, order, rollout, uid)]


def _is_due(tx: Tx, order: Order, rollout: Rollout, uid: Uid) -> bool:
    band = tx.band(uid)
    if band is None or band.state is not Worn.ISSUED or not band.active or not wants(tx.band_update(uid), order.number):
        return False
    guest = tx.guest(band.guest)
    cabin = None if guest is None or not guest.cabins else guest.cabins[0].cabin
    return may_take(order, rollout, uid, cabin)


def _note(tx: Tx, uid: Uid, number: int, state: BandState, silent: int, now_s: int) -> None:
    """Keep it, and halt the release at once if that was one too many. Bands that are not worn count for nothing."""
    order, band = ordered(tx), tx.band(uid)
    if order is None or order.number != number or band is None or band.state is not Worn.ISSUED:
        return
    before = tx.band_update(uid)
    now = after(before, uid, number, state, now_s)
    if now != before:
        tx.put_band_update(now)
        if is_of(tx.rollout(), order):
            _step(tx, order, silent, now_s)


def _step(tx: Tx, order: Order, silent: int, now_s: int) -> Rollout | None:
    """Begin, halt or widen it; None: nothing changed, or another release was ordered meanwhile."""
    if ordered(tx) != order:
        return None
    before = tx.rollout()
    mine = before if before is not None and is_of(before, order) else begun(order, now_s)
    now = step(order, mine, replace(tx.band_tally(order.number), silent=silent), now_s)
    if now == before:
        return None
    tx.put_rollout(now)
    return now
