"""Why an offer came to be the one: asked of who ranked it, under the same rules, once the offer stands.

It never fails an offer: where the ranker cannot be asked again, the offer says so, and a figure counts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from steward.domain.catalogue import ItemId
from steward.domain.features import Signal
from steward.domain.offers import OfferState, Scored
from steward.domain.reasons import Bend, Bent, Change, Flip, Kind, Means, Why
from steward.domain.rulekinds import Nudge, Rules, Variety
from steward.domain.rules import Effect, decide, reordered, without
from steward.domain.tuning import tuned
from steward.domain.why import Outcome, View, changed, fewest, outcome, search
from steward.ports.service import RankRequest, Weigh
from steward.services.ranking import Orders, Ranking
from steward.services.situation import Decided

WORK_MAX = 60_000  # items scored, over all that is tried for one offer
TRIED_MIN, TRIED_MAX = 12, 72


@dataclass(frozen=True, slots=True)
class Case:
    """One decision, to be made again. off: what the guest had switched off."""

    orders: Orders
    decided: Decided
    off: frozenset[Signal]

    @property
    def by_model(self) -> bool:
        return self.decided.ranked is not self.orders.plain

    def view(self, item: ItemId) -> View:
        request, decided = self.orders.request, self.decided
        view = View(item, decided.here[item].outlet, decided.situation, off=self.off)
        return replace(view, moment=request.moment, history=request.history) if self.by_model else view


@dataclass(frozen=True, slots=True)
class Claim:
    """What was told of one change, no change being as things were; and what is found when it is made.

    found_first None: nothing at all could be offered.
    """

    changes: tuple[Change, ...]
    told_first: ItemId
    told_place: int
    found_first: ItemId | None
    found_place: int

    @property
    def holds(self) -> bool:
        return (self.told_first, self.told_place) == (self.found_first, self.found_place)


class WhyService:
    def __init__(self, ranking: Ranking, rules: Rules) -> None:
        self._ranking = ranking
        self._rules = rules

    async def of(self, case: Case, item: ItemId) -> Why:
        """Why this one of the decision's candidates was offered. Raises nothing that an offer could fail by."""
        ordered = case.decided.decision.ordered
        found = outcome(ordered, item)
        why = Why(Means.CHANCE, len(ordered), found.place, ordered[0].item)
        if found.place == 1:
            why = await self._carried(case, replace(why, bent=self._bent(case, item)))
        return why

    async def _carried(self, case: Case, why: Why) -> Why:
        means = Means.MODEL if case.by_model else Means.POPULAR

        def work(weigh: Weigh) -> Why:
            return self._searched(case, replace(why, means=means), weigh)

        told = await self._ranking.compare(case.orders, case.by_model, work)
        return replace(why, means=Means.UNSAID, all_tried=False) if told is None else told

    async def verify(self, case: Case, item: ItemId, why: Why) -> tuple[Claim, ...] | None:
        """Everything that was told, beside what is found by deciding anew and whole; None if no one can say now."""
        told: list[Flip] = [Flip((), why.first, why.place)]
        told += [Flip((Change(Kind.OFF, one.signal),), one.first, one.place) for one in why.carried]
        told += [] if why.flip is None else [why.flip]

        def work(weigh: Weigh) -> tuple[Claim, ...]:
            return tuple(self._claim(case, item, one, weigh) for one in told)

        return await self._ranking.compare(case.orders, case.by_model, work)

    def _claim(self, case: Case, item: ItemId, told: Flip, weigh: Weigh) -> Claim:
        view = changed(case.view(item), told.changes)
        found = Outcome(None, 0, 0.0) if view is None else self._decided(case, view, weigh)
        return Claim(told.changes, told.first, told.place, found.first, found.place)

    def _searched(self, case: Case, why: Why, weigh: Weigh) -> Why:
        view = case.view(why.first)
        most = max(TRIED_MIN, min(TRIED_MAX, WORK_MAX // max(1, len(case.orders.request.items))))

        def ask(asked: View) -> Outcome:
            return self._ordered(case, asked, weigh)

        found = search(view, ask, most)
        flip = found.flip
        if flip is None and not case.by_model:
            taken = case.orders.request.taken_ever.get(view.item, 0)
            flip = fewest(taken, lambda fewer: ask(replace(view, fewer=fewer)), view.item)
        return replace(why, carried=found.carried, flip=flip, all_tried=found.all_tried)

    def _ordered(self, case: Case, view: View, weigh: Weigh) -> Outcome:
        """As `_decided`; where the rules look at the same as before, they need not be asked once more."""
        before = case.decided
        if view.situation is not before.situation:
            return self._decided(case, view, weigh)
        scored = scored_in(case, view, weigh)
        return outcome(reordered(before.decision, before.here, scored, view.situation, self._rules), view.item)

    def _decided(self, case: Case, view: View, weigh: Weigh) -> Outcome:
        items, scored = list(case.decided.here.values()), scored_in(case, view, weigh)
        return outcome(decide(items, scored, view.situation, self._rules).ordered, view.item)

    def _bent(self, case: Case, item: ItemId) -> tuple[Bent, ...]:
        """Which kinds of rules made this one the first: of those that did anything, without each in turn."""
        decided, trace = case.decided, case.decided.decision.trace
        lifted = any(step.item == item and step.effect is Effect.LIFTED for step in trace)
        varied = {rule.name for rule in self._rules if isinstance(rule.says, Variety)}
        found = []
        for bend, did, rules in (
            (Bend.LIFTED, lifted, without(Nudge, self._rules)),
            (Bend.VARIED, any(step.rule in varied for step in trace), without(Variety, self._rules)),
        ):
            if did:
                items = list(decided.here.values())
                then = outcome(decide(items, decided.scored, decided.situation, rules).ordered, item)
                if then.first is not None and then.first != item:
                    found.append(Bent(bend, then.first, then.place))
        return tuple(found)


def scored_in(case: Case, view: View, weigh: Weigh) -> Sequence[Scored]:
    """As the guest's own answers change what the ranker says."""
    decided, now = case.decided, view.situation
    scored = weigh(_request(case, view))
    if not now.personal or all(offer.state is OfferState.SHOWN for offer in now.offers):
        return scored
    return tuned(scored, decided.here, now.offers, view.off, now.now_s, shares=decided.ranked.shares)


def _request(case: Case, view: View) -> RankRequest:
    request = case.orders.request
    if case.by_model:
        return replace(request, moment=view.moment, history=view.history)
    if not view.fewer:
        return request
    now, ever = dict(request.taken_now), dict(request.taken_ever)
    now[view.item] = max(0, now.get(view.item, 0) - view.fewer)
    ever[view.item] = ever.get(view.item, 0) - view.fewer
    return replace(request, taken_now=now, taken_ever=ever)
