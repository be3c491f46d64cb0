"""Who ranks: the model that is shown, a model on trial beside it, and popularity for everybody else.

What is on trial is in the store (domain/trial.py), read with the request and written with the decision and with its
answer, in their own transactions: a crash leaves a trial as its decisions left it. Models come and go in memory only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from steward.domain.catalogue import ItemId
from steward.domain.offers import Offer, OfferId, OfferState
from steward.domain.trial import (
    POPULARITY,
    BadTrial,
    Bounds,
    Fault,
    Phase,
    Seen,
    Trial,
    Verdict,
    answer,
    carry_out,
    decode,
    encode,
    fault,
    judge,
    note,
)
from steward.errors import Busy, RankerFailed
from steward.ports import Tx
from steward.ports.service import Model, Ranked, Ranker, RankRequest, Weigh

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
FALLBACKS = ("busy", "failed", "slow", "not_loaded")  # why popularity ranks where a model should have
_KEY = "models.trial"


@dataclass(frozen=True, slots=True)
class RankingSettings:
    """wait_s: how long a guest waits for a model before popularity ranks instead; why_s: for its explanation."""

    wait_s: float = 0.25
    bounds: Bounds = field(default=Bounds())
    why_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Orders:
    """Every order of one decision. plain: popularity, without anything personal. shown None: no model ranked.

    request: what all of them were asked. faults: which model failed or came too late. trial: as it stood when the
    request was read.
    """

    request: RankRequest
    plain: Ranked
    trial: Trial
    shown: Ranked | None = None
    beside: Ranked | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)

    def best(self, personal: bool) -> Ranked:
        return self.shown if personal and self.shown is not None else self.plain


class Ranking:
    """Models are handed in by ModelWatch; without any, everything is by popularity."""

    def __init__(self, popularity: Ranker, settings: RankingSettings | None = None) -> None:
        self._popularity = popularity
        self._settings = settings or RankingSettings()
        self._models: dict[str, Model] = {}
        self.ranked: Counter[str] = Counter()  # personal decisions, by who ranked: "model" or "popularity"
        self.fallbacks: Counter[str] = Counter()  # by FALLBACKS
        self.explained: Counter[str] = Counter()  # offers, by how they came to be the one
        self.unexplained: Counter[str] = Counter()  # times that a model could not be asked why, by FALLBACKS

    def loaded(self) -> Collection[str]:
        """The models at hand, by SHA-256."""
        return self._models.keys()

    def name(self, sha256: str) -> str | None:
        """What is written where this one has ranked; None: it is not at hand, and popularity ranks in its place."""
        if sha256 == POPULARITY:
            return self._popularity.version
        return self._models[sha256].version if sha256 in self._models else None

    def put(self, sha256: str, model: Model) -> None:
        """In the place of one that may be there."""
        if sha256 in self._models:
            self.drop(sha256)
        self._models[sha256] = model

    def drop(self, sha256: str) -> None:
        self._models.pop(sha256).close()

    def close(self) -> None:
        for sha256 in list(self._models):
            self.drop(sha256)

    async def rank(self, request: RankRequest, trial: Trial) -> Orders:
        """Every order that this decision needs. A request without a moment is not personal: no model sees it."""
        plain = await self._popularity.rank(request)
        if request.moment is None:
            return Orders(request, plain, trial)
        wanted = trial.wants()
        found = await asyncio.gather(*(self._ask(sha256, request) for sha256 in wanted))
        by_model = dict(zip(wanted, found, strict=True))
        orders = {sha256: one for sha256, one in by_model.items() if isinstance(one, Ranked)}
        if trial.shown != POPULARITY:
            self._count(by_model[trial.shown])
        else:
            self.ranked["popularity"] += 1
        beside = None
        if trial.phase is not Phase.NONE:
            beside = plain if trial.other == POPULARITY else orders.get(trial.other)
        faults = {sha256: one for sha256, one in by_model.items() if isinstance(one, Fault)}
        if len(faults) > 1 and set(faults.values()) == {Fault.SLOW}:
            faults = {}  # all of them at once: the machine is busy, and no model is to blame
        return Orders(request, plain, trial, orders.get(trial.shown), beside, faults)

    async def compare(self, orders: Orders, by_model: bool, work: Callable[[Weigh], T]) -> T | None:
        """What `work` makes of who ranked here; None if that could not be asked again, which is counted."""
        ranker = self._models.get(orders.trial.shown) if by_model else self._popularity
        problem = "not_loaded"
        if ranker is not None:
            try:
                async with asyncio.timeout(self._settings.why_s):
                    return await ranker.compare(work)
            except TimeoutError:
                problem = "slow"
            except RankerFailed:
                problem = "failed"
            except Busy:
                problem = "busy"
        self.unexplained[problem] += 1
        _LOG.info("offer.unexplained problem=%s", problem)
        return None

    def read(self, tx: Tx) -> Trial:
        """What is on trial. One that cannot be read begins anew, with popularity."""
        try:
            return decode(tx.meta(_KEY))
        except BadTrial as error:
            _LOG.warning("model.trial_lost problem=%s", error)
            return Trial()

    def write(self, tx: Tx, trial: Trial) -> None:
        tx.set_meta(_KEY, encode(trial))

    def decided(self, tx: Tx, orders: Orders, offer: Offer, candidates: Collection[ItemId], personal: bool) -> None:
        """An offer was made: keep what both orders said of it, until it is answered."""
        before = trial = self.read(tx)
        if not personal or trial.phase is Phase.NONE or trial.new != orders.trial.new:
            return
        for sha256, what in orders.faults.items():
            trial = fault(trial, sha256, what)
        shown = orders.plain if trial.shown == POPULARITY else orders.shown
        if shown is not None and orders.beside is not None and trial.phase is orders.trial.phase:
            new, old = (orders.beside, shown) if trial.phase is Phase.SHADOW else (shown, orders.beside)
            trial = note(trial, _seen(offer, candidates, new, old))
        if trial is not before:
            self._judged(tx, trial)

    def answered(self, tx: Tx, offer: OfferId, state: OfferState) -> None:
        """An offer was answered, or its answer changed or taken back. What is counted more may end a trial's phase."""
        before = self.read(tx)
        trial = answer(before, offer, None if state is OfferState.SHOWN else state is OfferState.ACCEPTED)
        if trial.answered > before.answered:
            self._judged(tx, trial)
        elif trial is not before:
            self.write(tx, trial)

    def _judged(self, tx: Tx, trial: Trial) -> None:
        verdict, why = judge(trial, self._settings.bounds)
        if verdict is not Verdict.GO_ON:
            _LOG.warning(
                "model.%s model=%s why=%s answered=%d taken=%d",
                verdict,
                (trial.new or "")[:12],
                why,
                trial.answered,
                trial.rank.count,
            )
        self.write(tx, carry_out(trial, verdict, why))

    async def _ask(self, sha256: str, request: RankRequest) -> Ranked | Fault | str:
        """The order, or a fault of the model's, or why it could not be asked."""
        model = self._models.get(sha256)
        if model is None:
            return "not_loaded"
        try:
            async with asyncio.timeout(self._settings.wait_s):
                return await model.rank(request)
        except TimeoutError:
            return Fault.SLOW
        except RankerFailed:
            return Fault.FAILED
        except Busy:
            return "busy"

    def _count(self, shown: Ranked | Fault | str) -> None:
        if isinstance(shown, Ranked):
            self.ranked["model"] += 1
        else:
            self.ranked["popularity"] += 1
            self.fallbacks[str(shown)] += 1


def _seen(offer: Offer, candidates: Collection[ItemId], new: Ranked, old: Ranked) -> Seen:
    return Seen(
        offer=offer.id,
        propensity_ppm=offer.propensity_ppm,
        new_rank=_rank(new, offer.item, candidates),
        old_rank=_rank(old, offer.item, candidates),
        new_chance=new.chances.get(offer.item),
        old_chance=old.chances.get(offer.item),
    )


def _rank(ranked: Ranked, item: ItemId, candidates: Collection[ItemId]) -> int:
    """From 1, among what could have been offered; last if it is not in the order at all."""
    order = [one.item for one in ranked.scored if one.item in candidates]
    return order.index(item) + 1 if item in order else len(candidates)
