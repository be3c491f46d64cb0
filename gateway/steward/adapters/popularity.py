"""The ranker that needs no data about anyone: what guests take at this outlet, most of all around this hour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from steward.domain.offers import Reason, Scored
from steward.ports.service import Ranked, Ranker, RankRequest, Weigh

T = TypeVar("T")

_NOW_WEIGHT = 3.0  # one taken around this hour says as much as three at any hour
_PRIOR = 1.0  # so that one lucky sale does not beat everything, and an item never taken is not at zero


class PopularityRanker:
    """Score: the item's share of what was taken, this hour's counting more. Ties: by item id."""

    version = "popularity-1"

    async def rank(self, request: RankRequest) -> Ranked:
        return Ranked(self.version, self.weigh(request), shares=True)

    async def compare(self, work: Callable[[Weigh], T]) -> T:
        return await asyncio.to_thread(work, self.weigh)

    def weigh(self, request: RankRequest) -> list[Scored]:
        now, ever = request.taken_now, request.taken_ever
        weights = {item.id: _PRIOR + _NOW_WEIGHT * now.get(item.id, 0) + ever.get(item.id, 0) for item in request.items}
        total = sum(weights.values())
        scored = [
            Scored(item, weight / total, popular(now.get(item, 0), ever.get(item, 0)))
            for item, weight in weights.items()
        ]
        return sorted(scored, key=lambda one: (-one.score, one.item))


def popular(now: int, ever: int) -> tuple[Reason, ...]:
    """What can be said of an item by the counts alone."""
    if now > 0:
        return (Reason("popular_now", now),)
    if ever > 0:
        return (Reason("popular_here", ever),)
    return (Reason("something_new"),)


if TYPE_CHECKING:

    def _is_a_ranker(ranker: PopularityRanker) -> Ranker:
        return ranker
