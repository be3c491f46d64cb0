"""Releases for bands: ports.bandupdates in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from steward.adapters.memory_tables import Tables
from steward.domain.bandstages import BandState, BandUpdate, Rollout, Tally
from steward.domain.ids import Uid


class BandUpdateState:
    """What this part of the store keeps."""

    def __init__(self) -> None:
        self.rollouts: dict[int, Rollout] = {}
        self.updates: dict[Uid, BandUpdate] = {}


class MemoryBandUpdatesTx(Tables):
    """Part of MemoryTx."""

    @property
    def _updates(self) -> BandUpdateState:
        return self._part(BandUpdateState)

    def put_rollout(self, rollout: Rollout) -> None:
        self._put(self._updates.rollouts, 1, rollout)

    def rollout(self) -> Rollout | None:
        return self._updates.rollouts.get(1)

    def put_band_update(self, update: BandUpdate) -> None:
        self._put(self._updates.updates, update.uid, update)

    def band_update(self, uid: Uid) -> BandUpdate | None:
        return self._updates.updates.get(uid)

    def drop_band_update(self, uid: Uid) -> None:
        """What the triggers of the SQLite store do."""
        self._drop(self._updates.updates, uid)

    def bands_trying(self, number: int) -> Sequence[BandUpdate]:
        every = sorted(self._updates.updates.items())
        return [update for _, update in every if (update.number, update.state) == (number, BandState.TRYING)]

    def band_tally(self, number: int) -> Tally:
        counts = Counter(update.state for update in self._updates.updates.values() if update.number == number)
        return Tally(counts[BandState.KEPT], counts[BandState.FAILED])
