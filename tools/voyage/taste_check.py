"""Are made-up days worth learning from? Plain rankers on them, and the best that any ranker could do.

Trained on the first seven tenths of the guests and measured on the last three, who travel later and were never seen.
Every next thing that a guest chooses is a case, ranked among the whole catalogue: no sampled negatives, ties to the
earlier item. Three ways: `new`, of things not had before on this stay, with those that were masked (as for city cards
at sights); `all`, of everything, repeats too, without a mask; and `here`, the same among what is to be had just then
at the outlet where the guest stands, which is what a gateway ranks. The oracle ranks by the true chances: tastes, hour,
what is open. What it misses is chance. On city cards of visitors never seen, NDCG@5 among 22 sights goes from 0.564
(popularity) over 0.581 (item-kNN) to 0.623 (last-three Markov mixture); made-up days should have that order too. They
have more structure than that, so a figure on them says nothing about a figure on a ship.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from steward.domain.catalogue import Item, ItemId
from steward.domain.features import Deed
from steward.domain.pastexport import DeedLine
from voyage.taste_days import Choice, Stay

TRAIN_SHARE = 0.7
DECAY = 0.7  # of item-kNN, by step into the past
LAGS = (0.6, 0.25, 0.15)  # of the Markov mixture: the last thing, the one before, the one before that
SMOOTHING = 2.0  # how many observations the popularity counts for in a row of the Markov tables

Scores = Sequence[float]


@dataclass(frozen=True, slots=True)
class Case:
    """The past of a stay up to `upto`, and what came next. Items by their place in the catalogue."""

    taken: Sequence[int]
    upto: int
    hour: int
    choice: Choice
    line: DeedLine
    before: Sequence[DeedLine]  # all that was done and answered until then
    here: Collection[int]  # what else the outlet has

    @property
    def past(self) -> Sequence[int]:
        return self.taken[: self.upto]

    @property
    def is_new(self) -> bool:
        return self.choice.chosen not in self.past


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one ranker in one of the two ways. ndcg5_half: half of the 95 % interval, by guest."""

    ranker: str
    hr1: float
    hr3: float
    ndcg5: float
    ndcg5_half: float
    mrr: float
    cases: int


Ranker = Callable[[Case], Scores]
Fit = Callable[[Sequence[Case], int], Ranker]


def cases_of(stays: Iterable[Stay], items: Sequence[Item]) -> list[list[Case]]:
    """The cases of each stay but its first deed, which has no past."""
    places = {item.id: place for place, item in enumerate(items)}
    at = {item.outlet: {place for place, one in enumerate(items) if one.outlet == item.outlet} for item in items}
    return [list(_cases(stay, places, [at[item.outlet] for item in items])) for stay in stays]


def _cases(stay: Stay, places: Mapping[ItemId, int], beside: Sequence[Collection[int]]) -> Iterator[Case]:
    taken: list[int] = []
    choices = iter(stay.choices)
    for number, deed in enumerate(stay.deeds):
        if deed.deed is not Deed.TAKEN:
            continue
        if deed.offer is None:
            choice = next(choices)
            if taken:
                hour, here = deed.moment.minute // 60, beside[choice.chosen]
                yield Case(taken, len(taken), hour, choice, deed, stay.deeds[:number], here)
        taken.append(places[deed.item])


def check(
    stays: Sequence[Sequence[Case]], items: int, more: Mapping[str, Fit] | None = None
) -> dict[str, list[Figures]]:
    """The figures of every ranker, by way: "new", "all" and "here". more: rankers beside those that are known here."""
    cut = int(len(stays) * TRAIN_SHARE)
    train, test = ([case for stay in part for case in stay] for part in (stays[:cut], stays[cut:]))
    found: dict[str, list[Figures]] = {}
    for way, hide in WAYS.items():
        learn, measure = ([case for case in cases if case.is_new or way != "new"] for cases in (train, test))
        rankers = {name: fit(learn, items) for name, fit in {**RANKERS, **(more or {})}.items()}
        hidden = [hide(case, items) for case in measure]
        found[way] = [_measured(name, ranker, measure, hidden) for name, ranker in rankers.items()]
    return found


def popularity(train: Sequence[Case], items: int) -> Ranker:
    counts = _counted(train, items)
    return lambda case: counts


def hourly(train: Sequence[Case], items: int) -> Ranker:
    """Popularity at this hour of the day, and a little of that at any."""
    share = _shares(_counted(train, items))
    counts = [[SMOOTHING * each for each in share] for _ in range(24)]
    for case in train:
        counts[case.hour][case.choice.chosen] += 1
    return lambda case: counts[case.hour]


def item_knn(train: Sequence[Case], items: int) -> Ranker:
    """Cosine of being had on the same stay; the past counts the less the longer ago it is."""
    had = {id(case.taken): case.taken for case in train}
    counts = [0.0] * items
    pairs = [[0.0] * items for _ in range(items)]
    for taken in had.values():
        for one in set(taken):
            counts[one] += 1
            for other in set(taken):
                pairs[one][other] += 1
    near = [
        [pairs[one][other] / math.sqrt(max(1.0, counts[one] * counts[other])) for other in range(items)]
        for one in range(items)
    ]
    return lambda case: _weighted([near[item] for item in reversed(case.past[-24:])], [DECAY**n for n in range(24)])


def markov(train: Sequence[Case], items: int) -> Ranker:
    """What came so many steps after what, for the last three; smoothed by popularity."""
    share = _shares(_counted(train, items))
    tables = [[[SMOOTHING * each for each in share] for _ in range(items)] for _ in LAGS]
    for case in train:
        for lag, item in enumerate(reversed(case.past[-len(LAGS) :])):
            tables[lag][item][case.choice.chosen] += 1
    chances = [[_shares(row) for row in table] for table in tables]
    return lambda case: _weighted(
        [chances[lag][item] for lag, item in enumerate(reversed(case.past[-len(LAGS) :]))], LAGS
    )


def oracle(_train: Sequence[Case], items: int) -> Ranker:
    """The true chances."""

    def score(case: Case) -> Scores:
        scores = [0.0] * items
        for place, weight in zip(case.choice.among, case.choice.weights, strict=True):
            scores[place] = weight
        return scores

    return score


RANKERS: Mapping[str, Fit] = {
    "popularity": popularity,
    "item-kNN": item_knn,
    "popularity by hour": hourly,
    "Markov, last three": markov,
    "oracle": oracle,
}


WAYS: Mapping[str, Callable[[Case, int], Collection[int]]] = {  # what is not to be ranked, of so many items
    "new": lambda case, items: frozenset(case.past),
    "all": lambda case, items: (),
    "here": lambda case, items: frozenset(range(items)) - (frozenset(case.choice.among) & frozenset(case.here)),
}


def _measured(name: str, ranker: Ranker, cases: Sequence[Case], hidden: Sequence[Collection[int]]) -> Figures:
    ranks = [_rank(ranker(case), case, hide) for case, hide in zip(cases, hidden, strict=True)]
    count = max(1, len(ranks))
    gains = [1 / math.log2(rank + 2) if rank < 5 else 0.0 for rank in ranks]
    return Figures(
        ranker=name,
        hr1=sum(rank < 1 for rank in ranks) / count,
        hr3=sum(rank < 3 for rank in ranks) / count,
        ndcg5=sum(gains) / count,
        ndcg5_half=_half_interval([id(case.taken) for case in cases], gains),
        mrr=sum(1 / (rank + 1) for rank in ranks) / count,
        cases=len(ranks),
    )


def _half_interval(guests: Sequence[int], gains: Sequence[float]) -> float:
    """1.96 standard errors of the mean gain, where the cases of one guest may resemble each other."""
    mean = sum(gains) / max(1, len(gains))
    off: dict[int, float] = {}
    for guest, gain in zip(guests, gains, strict=True):
        off[guest] = off.get(guest, 0.0) + gain - mean
    return 1.96 * math.sqrt(sum(each * each for each in off.values())) / max(1, len(gains))


def _rank(scores: Scores, case: Case, hidden: Collection[int]) -> int:
    """How many are before what was chosen."""
    chosen = case.choice.chosen
    mine = scores[chosen]
    return sum(
        (score > mine or (score == mine and place < chosen)) and place not in hidden
        for place, score in enumerate(scores)
    )


def _counted(cases: Sequence[Case], items: int) -> list[float]:
    counts = [0.0] * items
    for case in cases:
        counts[case.choice.chosen] += 1
    return counts


def _shares(counts: Scores) -> list[float]:
    whole = sum(counts) or 1.0
    return [count / whole for count in counts]


def _weighted(rows: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """The sum of the rows, each times its weight; there may be fewer rows than weights."""
    scores = [0.0] * len(rows[0])
    for row, weight in zip(rows, weights, strict=False):
        scores = [score + weight * value for score, value in zip(scores, row, strict=True)]
    return scores
