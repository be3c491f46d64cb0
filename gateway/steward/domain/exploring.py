"""Now and then another than the best guess is offered, with chances that are known exactly: whole millionths. Pure.

The first of the order has the greater part, never less than BEST_PPM_MIN. What is left is for learning:

- each of the others at the top, and the first of each order that is compared with this one, has FLOOR_PPM at least;
- SOFT_PPM more are shared among those by softmax, the likelier ones more;
- REST_PPM are shared equally among everything but the first, so that nothing that may be offered has no chance at all.

Why estimates on such a log are unbiased: a round weighs by one over the chance that it had, and no candidate of any
round is without one. None has what the rules took away, which no policy that is compared may offer either. Popularity
is valued as the policy that the hold-out has, by this same function: its first is always named above, so no weight of
that passes PPM / FLOOR_PPM = 100, where weights are cut. What it draws beside its first may weigh more, is cut, and
counted as such.

No special cases: the hold-out and whoever did not agree are drawn for in the same way, so that the arms differ in one
thing alone, and the page says so. Where rules stop everything (an objection, something to be put right) there is
nothing to draw from.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from steward.domain.catalogue import ItemId
from steward.domain.offers import PPM, Scored

TOP = 5
COMPARED_MAX = 2  # the first of popularity's order, and of a model's on trial
FLOOR_PPM = 10_000
SOFT_PPM = 30_000
REST_PPM = 10_000
BEST_PPM_MIN = PPM - (TOP - 1 + COMPARED_MAX) * FLOOR_PPM - SOFT_PPM - REST_PPM


@dataclass(frozen=True, slots=True)
class Chances:
    """Of one decision. named: the best first; each_ppm: of each of the `others`, which are in order, too."""

    named: tuple[tuple[ItemId, int], ...]
    others: tuple[ItemId, ...]
    each_ppm: int

    @property
    def count(self) -> int:
        """How many there are to choose from."""
        return len(self.named) + len(self.others)

    def of(self, item: ItemId) -> int:
        """In millionths; 0 for what is no candidate."""
        found = dict(self.named).get(item)
        if found is None:
            return self.each_ppm if item in self.others else 0
        return found

    def drawn(self, point: int) -> ItemId:
        """point: 0 to PPM - 1, each as likely as any other."""
        for item, ppm in self.named:
            if point < ppm:
                return item
            point -= ppm
        return self.others[point // self.each_ppm]


def chances(ordered: Sequence[Scored], *, shares: bool, compared: Collection[ItemId] = ()) -> Chances:
    """Of everything that may be offered, best first. Raises ValueError for nothing, or with too much to compare.

    shares: the scores are shares of a whole, not logarithms of odds. compared: the first of other orders.
    """
    if not ordered or len(compared) > COMPARED_MAX:
        raise ValueError(f"chances are of something, with at most {COMPARED_MAX} to compare")
    named = [one for place, one in enumerate(ordered) if place < TOP or one.item in compared]
    others = tuple(one.item for place, one in enumerate(ordered) if not (place < TOP or one.item in compared))
    if len(ordered) == 1:
        return Chances(((ordered[0].item, PPM),), (), 0)
    each = max(1, REST_PPM // (len(ordered) - 1))
    soft = _softmax([one.score for one in named[1:]], shares)
    learning = [(one.item, FLOOR_PPM + int(SOFT_PPM * part) + each) for one, part in zip(named[1:], soft, strict=True)]
    best = PPM - sum(ppm for _, ppm in learning) - each * len(others)
    return Chances(((ordered[0].item, best), *learning), others, each)


def _softmax(scores: Sequence[float], shares: bool) -> list[float]:
    """The parts of each, of 1."""
    top = max(scores)
    weights = [max(0.0, score) if shares else math.exp(score - top) for score in scores]
    total = math.fsum(weights)
    return [weight / total if total > 0 else 1 / len(weights) for weight in weights]
