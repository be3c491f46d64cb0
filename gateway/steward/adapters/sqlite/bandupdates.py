"""Releases for bands: ports.bandupdates on the tables band_release and band_update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.domain.bandstages import BandState, BandUpdate, Halt, Rollout, Tally
from steward.domain.ids import Uid

_ROLLOUT = ("number", "sha256", "stage", "since_s", "halted", "forgiven")
_UPDATE = ("uid", "number", "state", "tries", "at_s")
PUT_ROLLOUT = upsert("band_release", ("one",), _ROLLOUT)
ROLLOUT = select(_ROLLOUT, "FROM band_release")
PUT_UPDATE = upsert("band_update", ("uid",), _UPDATE[1:])
UPDATE = select(_UPDATE, "FROM band_update WHERE uid = ?")
TRYING = select(_UPDATE, "FROM band_update WHERE number = ? AND state = 'trying' ORDER BY uid")
TALLY = select(("state", "count(*)"), "FROM band_update WHERE number = ? GROUP BY state")


class BandUpdatesTx(Statements):
    """Part of SqliteTx."""

    def put_rollout(self, rollout: Rollout) -> None:
        told = (rollout.number, rollout.sha256, rollout.stage, rollout.since_s, str(rollout.halted), rollout.forgiven)
        self._change(PUT_ROLLOUT, (1, *told))

    def rollout(self) -> Rollout | None:
        row = self._one(ROLLOUT, ())
        if row is None:
            return None
        number, sha256, stage, since_s, halted, forgiven = row
        return Rollout(number, sha256, stage, since_s, Halt(halted), forgiven)

    def put_band_update(self, update: BandUpdate) -> None:
        self._change(PUT_UPDATE, (update.uid, update.number, str(update.state), update.tries, update.at_s))

    def band_update(self, uid: Uid) -> BandUpdate | None:
        row = self._one(UPDATE, (uid,))
        return None if row is None else _update(row)

    def bands_trying(self, number: int) -> Sequence[BandUpdate]:
        return [_update(row) for row in self._all(TRYING, (number,))]

    def band_tally(self, number: int) -> Tally:
        counts = dict(self._all(TALLY, (number,)))
        return Tally(counts.get(BandState.KEPT, 0), counts.get(BandState.FAILED, 0))


def _update(row: Sequence[Any]) -> BandUpdate:
    uid, number, state, tries, at_s = row
    return BandUpdate(Uid(uid), number, BandState(state), tries, at_s)
