"""What suggestions bring, estimated without fooling oneself. Pure, plain floats, no randomness.

Offers to one guest hang together, so a guest is the unit of every interval: offers are summed by guest, and the spread
between guests makes the standard error (the linearised variance of a ratio of sums). Rewards are 0 or 1 here, and any
number elsewhere. Intervals are at 95 % unless said otherwise.

Off-policy: what another policy would have earned on logged rounds, each with the propensity with which the logged
action was taken and the probability that the other policy gives it. IPS weighs by their ratio and is unbiased while
nothing is clipped; SNIPS divides by the sum of the weights, is bounded by the rewards, and slightly biased; doubly
robust adds a reward model's guess and weighs only its error.

Sources: Horvitz and Thompson 1952; Swaminathan and Joachims 2015; Dudik, Langford and Li 2011; Wilson 1927; Newcombe
1998 (method 10); Kish 1965 for effective sample sizes.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
POWER = 0.8
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Round:
    """One logged decision. propensity: of the action taken, above 0; target: that of the policy to be valued.

    guess: the reward model's for the action taken; expected: its mean over what the target would do here.
    """

    unit: Hashable
    reward: float
    propensity: float
    target: float
    guess: float = 0.0
    expected: float = 0.0

    @property
    def weight(self) -> float:
        return self.target / self.propensity


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval. effective: the rounds that the weights leave, (sum w)^2 / sum w^2.

    clipped: rounds whose weight was cut to the limit; with any, IPS is biased towards 0 and says so by this number.
    """

    value: float
    low: float
    high: float
    rounds: int
    units: int
    effective: float
    weight_max: float
    clipped: int


@dataclass(frozen=True, slots=True)
class Share:
    """A share of yeses with its Wilson interval on the effective number of offers."""

    yes: int
    count: int
    units: int
    effective: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    value: float
    low: float
    high: float


def check_round(one: Round) -> None:
    """Raises ValueError for a round on which no estimate can rest."""
    numbers = (one.reward, one.propensity, one.target, one.guess, one.expected)
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a round's numbers are finite")
    if not 0 < one.propensity <= 1:
        raise ValueError(f"propensity {one.propensity}: above 0 and at most 1, or the action could not be taken")
    if not 0 <= one.target <= 1:
        raise ValueError(f"target {one.target}: a probability")


def ips(rounds: Sequence[Round], clip: float | None = None) -> Estimate:
    """Inverse propensity score. Raises ValueError without rounds, or for one that cannot be."""
    weights, facts = _weighed(rounds, clip)
    terms = [weight * one.reward for weight, one in zip(weights, rounds, strict=True)]
    return _mean(rounds, terms, facts)


def snips(rounds: Sequence[Round], clip: float | None = None) -> Estimate:
    """Self-normalised IPS. Raises ValueError as `ips` does, and where the target does nothing that was logged."""
    weights, facts = _weighed(rounds, clip)
    total = math.fsum(weights)
    if total == 0:
        raise ValueError("the target policy takes none of the logged actions: nothing can be said of it")
    value = math.fsum(weight * one.reward for weight, one in zip(weights, rounds, strict=True)) / total
    scale = len(rounds) / total
    errors = [scale * weight * (one.reward - value) for weight, one in zip(weights, rounds, strict=True)]
    return _estimate(value, _error_of_mean(rounds, errors), facts)


def doubly_robust(rounds: Sequence[Round], clip: float | None = None) -> Estimate:
    """Right if either the propensities or the reward model are. Raises ValueError as `ips` does."""
    weights, facts = _weighed(rounds, clip)
    terms = [one.expected + weight * (one.reward - one.guess) for weight, one in zip(weights, rounds, strict=True)]
    return _mean(rounds, terms, facts)


def share(outcomes: Iterable[tuple[Hashable, bool]], confidence: float = CONFIDENCE) -> Share:
    """The share of yeses among (unit, yes). Raises ValueError without any."""
    pairs = list(outcomes)
    count, yes = len(pairs), sum(said for _, said in pairs)
    if not count:
        raise ValueError("a share of nothing")
    value = yes / count
    units = len({unit for unit, _ in pairs})
    effective = _effective(pairs, value, units)
    low, high = wilson(value, effective, confidence)
    return Share(yes, count, units, effective, value, low, high)


def wilson(value: float, count: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share; count need not be whole."""
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    middle = (value + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(value * (1 - value) / count + z * z / (4 * count * count))
    return max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half))


def difference(first: Share, second: Share) -> Difference:
    """first - second, its interval out of the two intervals: it fits shares near 0, and small samples."""
    value = first.value - second.value
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    return Difference(value, max(-1.0, value - down), min(1.0, value + up))


def needed(base: float, smallest: float, ratio: float, confidence: float = CONFIDENCE, power: float = POWER) -> int:
    """Independent offers that one arm needs to be told from another that differs by `smallest`, so surely.

    base: the share of this arm; the other's is above it, or below where there is no room above. ratio: offers of the
    other arm for each of this one.
    """
    if not 0 <= base <= 1 or smallest <= 0 or ratio <= 0:
        raise ValueError("a base from 0 to 1, a smallest difference and a ratio above 0")
    other = base + smallest if base + smallest <= 1 else max(0.0, base - smallest)
    pooled = (base + ratio * other) / (1 + ratio)
    z_sure, z_power = _NORMAL.inv_cdf((1 + confidence) / 2), _NORMAL.inv_cdf(power)
    if_none = z_sure * math.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio))
    if_some = z_power * math.sqrt(base * (1 - base) + other * (1 - other) / ratio)
    return max(1, math.ceil((if_none + if_some) ** 2 / smallest**2))


@dataclass(frozen=True, slots=True)
class _Facts:
    rounds: int
    units: int
    effective: float
    weight_max: float
    clipped: int


def _weighed(rounds: Sequence[Round], clip: float | None) -> tuple[list[float], _Facts]:
    if not rounds:
        raise ValueError("no rounds: nothing was logged")
    if clip is not None and not clip > 0:
        raise ValueError("a clip is above 0")
    for one in rounds:
        check_round(one)
    whole = [one.weight for one in rounds]
    weights = whole if clip is None else [min(weight, clip) for weight in whole]
    squares = math.fsum(weight * weight for weight in weights)
    effective = math.fsum(weights) ** 2 / squares if squares else 0.0
    clipped = sum(cut < weight for cut, weight in zip(weights, whole, strict=True))
    return weights, _Facts(len(rounds), len({one.unit for one in rounds}), effective, max(whole), clipped)


def _mean(rounds: Sequence[Round], terms: Sequence[float], facts: _Facts) -> Estimate:
    value = math.fsum(terms) / len(terms)
    return _estimate(value, _error_of_mean(rounds, [term - value for term in terms]), facts)


def _estimate(value: float, error: float, facts: _Facts) -> Estimate:
    half = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2) * error
    return Estimate(
        value, value - half, value + half, facts.rounds, facts.units, facts.effective, facts.weight_max, facts.clipped
    )


def _error_of_mean(rounds: Sequence[Round], errors: Sequence[float]) -> float:
    """The standard error of a mean whose linearised errors these are; infinite where there is one unit alone."""
    return _clustered(((one.unit, error) for one, error in zip(rounds, errors, strict=True)), len(errors))


def _clustered(errors: Iterable[tuple[Hashable, float]], count: int) -> float:
    sums: dict[Hashable, list[float]] = {}
    for unit, error in errors:
        sums.setdefault(unit, []).append(error)
    units = len(sums)
    if units < 2:
        return math.inf
    return math.sqrt(units / (units - 1) * math.fsum(math.fsum(each) ** 2 for each in sums.values())) / count


def _effective(pairs: Sequence[tuple[Hashable, bool]], value: float, units: int) -> float:
    """How many independent offers these are worth: never more than there are.

    Where all said the same there is no spread to see, and each guest counts as one.
    """
    spread = value * (1 - value)
    if spread == 0 or units < 2:
        return float(units)
    error = _clustered(((unit, said - value) for unit, said in pairs), len(pairs))
    return min(float(len(pairs)), spread / (error * error)) if error else float(units)
