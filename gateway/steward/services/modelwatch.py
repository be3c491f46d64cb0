"""Which model files are at hand: a signed release becomes a candidate once its file has come and is whole.

The settings' own file is shown from the start, or else the one that ships with this program. A file that cannot be used
is refused with its reason, and the gateway goes on with what it had; whoever looks at the store sees the same, as the
trial is kept there.
"""

from __future__ import annotations

import asyncio
import logging

from steward.domain.shorebodies import ModelRelease, decode_releases
from steward.domain.trial import POPULARITY, Phase, Trial, Verdict, begin, carry_out, fall_back, rebase, ship
from steward.errors import ModelRefused
from steward.ports import Store, Tx
from steward.ports.service import Models
from steward.services.ranking import Ranking

_LOG = logging.getLogger(__name__)

MODEL = "preference"  # the name under which shore releases such a model
LOOK_EVERY_S = 20.0


class ModelWatch:
    """base: SHA-256 of the settings' own file, or of the one that ships, or POPULARITY. `run` belongs to a supervisor.

    ships: whether it is the one that ships; a newer program's takes no release's place.
    """

    def __init__(
        self, store: Store, ranking: Ranking, models: Models, base: str = POPULARITY, *, ships: bool = False
    ) -> None:
        self._store = store
        self._ranking = ranking
        self._models = models
        self._base = base
        self._ships = ships
        self._said: dict[str, str] = {}  # why a file that is wanted is not at hand, so that it is said once

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def has(self, sha256: str) -> bool:
        """Whether this file has come; it may still be refused."""
        return await self._models.here(sha256)

    async def look(self) -> None:
        """Take up what has come, have at hand what the trial wants, and let go of the rest."""
        trial, release = await self._store.write(self._begin)
        if (
            release is not None
            and begin(trial, release.sha256) is not trial
            and await self._models.here(release.sha256)
        ):
            trial = await self._try(release)
        for sha256 in trial.wants():
            if sha256 not in self._ranking.loaded() and not await self._load(sha256, None):
                trial = await self._give_up(sha256)
        for sha256 in set(self._ranking.loaded()) - set(trial.wants()):
            self._ranking.drop(sha256)

    async def take_shown(self) -> None:
        """Have at hand the model that is shown, as the store has it, and change nothing: to explain, not to offer."""
        shown = (await self._store.read(self._ranking.read)).shown
        if shown != POPULARITY and shown not in self._ranking.loaded():
            await self._load(shown, None)

    def _begin(self, tx: Tx) -> tuple[Trial, ModelRelease | None]:
        """What is on trial, by the settings as they are, and the release that shore signed last."""
        before = self._ranking.read(tx)
        trial = (ship if self._ships else rebase)(before, self._base)
        if trial is not before:
            self._ranking.write(tx, trial)
        record = tx.down("release")
        told = () if record is None else decode_releases(record.body)
        return trial, next((release for release in told if release.name == MODEL), None)

    async def _try(self, release: ModelRelease) -> Trial:
        """Put it into the shadow if its file is sound; else it is never looked at again."""
        sound = await self._load(release.sha256, release.size)

        def work(tx: Tx) -> Trial:
            before = self._ranking.read(tx)
            trial = begin(before, release.sha256)
            if not sound and trial is not before:
                trial = carry_out(trial, Verdict.REFUSE, "bad_file")
            self._ranking.write(tx, trial)
            return trial

        return await self._store.write(work)

    async def _load(self, sha256: str, size: int | None) -> bool:
        try:
            model = await self._models.load(sha256, size)
        except ModelRefused as error:
            if self._said.get(sha256) != str(error):
                self._said[sha256] = str(error)
                _LOG.error("model.refused model=%s problem=%s", sha256[:12], error)
            return False
        self._ranking.put(sha256, model)
        self._said.pop(sha256, None)
        _LOG.info("model.loaded model=%s version=%s", sha256[:12], model.version)
        return True

    async def _give_up(self, sha256: str) -> Trial:
        """The file of a model on trial is gone or damaged: the trial ends.

        One that is merely shown may come back, if it is gone; if it is here, and whole, this program cannot use it.
        """
        useless = await self._models.here(sha256)

        def work(tx: Tx) -> Trial:
            trial = self._ranking.read(tx)
            if trial.phase is Phase.SHADOW and sha256 == trial.other:
                trial = carry_out(trial, Verdict.REFUSE, "bad_file")
            elif trial.phase is Phase.WATCH and sha256 == trial.shown != trial.base:
                trial = carry_out(trial, Verdict.ROLL_BACK, "bad_file")
            elif trial.phase is Phase.WATCH and sha256 == trial.other:
                trial = carry_out(trial, Verdict.SETTLE, "nothing_to_compare")
            elif useless and sha256 == trial.shown != trial.base:
                trial = fall_back(trial)
            self._ranking.write(tx, trial)
            return trial

        return await self._store.write(work)
