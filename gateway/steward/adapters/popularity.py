"""The ranker that needs no data about anyone: what guests take at this outlet, most of all around this hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.domain.catalogue import Item
from steward.domain.offers import Reason, Scored
from steward.ports.service import Counts, Ranker

_NOW_WEIGHT = 3.0  # one taken around this hour says as much as three at any hour
_PRIOR = 1.0  # so that one lucky sale does not beat everything, and an item never taken is not at zero


class PopularityRanker:
    """Score: the item's share of what was taken, this hour's counting more. Ties: by item id."""

    version = "popularity-1"

    def rank(self, items: Sequence[Item], taken_now: Counts, taken_ever: Counts) -> Sequence[Scored]:
        weights = {
            item.id: _PRIOR + _NOW_WEIGHT * taken_now.get(item.id, 0) + taken_ever.get(item.id, 0) for item in items
        }
        total = sum(weights.values())
        scored = [
            Scored(item.id, weights[item.id] / total, _reasons(taken_now.get(item.id, 0), taken_ever.get(item.id, 0)))
            for item in items
        ]
        return sorted(scored, key=lambda one: (-one.score, one.item))


def _reasons(now: int, ever: int) -> tuple[Reason, ...]:
    if now > 0:
        return (Reason("popular_now", now),)
    if ever > 0:
        return (Reason("popular_here", ever),)
    return (Reason("something_new"),)


if TYPE_CHECKING:

    def _is_a_ranker(ranker: PopularityRanker) -> Ranker:
        return ranker
