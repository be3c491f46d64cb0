"""Made-up guests: what each of them likes, with whom they travel, how much they do. Assumptions, nothing measured.

Company          38 % couples, 28 % with family, 15 % with friends, 12 % alone, 7 % on business: a mixed ship.
Interests        normal around what the company shifts, 0.7 units wide, and they move by 0.12 units a day, for variety.
Price            half of the guests mind it: up to 1.2 units less for ten times the price.
Allergies, diet  one in seven has an allergy, one in eight a diet; what is against it is never chosen, nor offered.
Saying yes       some agree to offers more readily than others do (0.6 units), whatever the offer.
Told             seven in ten have said with whom they travel; of the others it is not known.
Everybody is an adult: what a child does is exported only by a parent's choice, and none is made up here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from operator import mul

from steward.domain.features import Company
from steward.domain.profiles import Allergen, Diet
from voyage.taste_world import COMPANY, FREE_SD, HIDDEN, HIDDEN_SD, World

SHARE: Mapping[Company, float] = {
    Company.ALONE: 0.12,
    Company.COUPLE: 0.38,
    Company.FAMILY: 0.28,
    Company.FRIENDS: 0.15,
    Company.BUSINESS: 0.07,
}
INTEREST_SD = 0.7
DRIFT_SD = 0.12  # a day
PRICE_UNITS_MAX = 1.2
PRICE_MIND = 0.5
ALLERGY_SHARE, DIET_SHARE = 1 / 7, 1 / 8
YES_SD = 0.6
TOLD_SHARE = 0.7
PACE_MEAN, PACE_SD = 6.5, 1.8  # things done on a day at sea

NEVER = float("-inf")


@dataclass(slots=True)
class Traveller:
    """One guest for one stay. interests move from day to day; all else stays."""

    number: int
    company: Company
    told: bool  # whether the ship knows the company
    interests: list[float]
    fixed: tuple[float, ...]  # units for each item that no interest explains; NEVER for what they must not have
    banned: frozenset[int]
    pace: float
    yes: float

    def likes(self, world: World) -> list[float]:
        """Units for each item as the guest is today, whatever the hour."""
        interests = self.interests
        return [fixed + sum(map(mul, interests, loads)) for fixed, loads in zip(self.fixed, world.loads, strict=True)]

    def drift(self, draw: random.Random) -> None:
        """Another day."""
        self.interests = [amount + draw.gauss(0, DRIFT_SD) for amount in self.interests]


def make_traveller(world: World, seed: int, number: int) -> Traveller:
    """Guest `number`, the same whatever other guests there are."""
    draw = random.Random(f"guest {seed} {number}")
    company = draw.choices(list(SHARE), list(SHARE.values()))[0]
    banned = _banned(world, draw)
    return Traveller(
        number=number,
        company=company,
        told=draw.random() < TOLD_SHARE,
        interests=[draw.gauss(shift, INTEREST_SD) for shift in COMPANY[company][0]],
        fixed=_fixed(world, COMPANY[company][1], banned, draw),
        banned=banned,
        pace=max(2.0, draw.gauss(PACE_MEAN, PACE_SD)),
        yes=draw.gauss(0, YES_SD),
    )


def _fixed(
    world: World, company: Mapping[str, float], banned: frozenset[int], draw: random.Random
) -> tuple[float, ...]:
    tags = sorted({tag for item in world.items for tag in item.tags})
    own = {tag: company.get(tag, 0.0) + draw.gauss(0, FREE_SD) for tag in tags}
    traits = [draw.gauss(0, HIDDEN_SD) for _ in range(HIDDEN)]
    price_units = draw.uniform(0, PRICE_UNITS_MAX) if draw.random() < PRICE_MIND else 0.0  # by power of ten
    return tuple(
        NEVER
        if place in banned
        else sum(own[tag] for tag in item.tags)
        + sum(map(mul, traits, world.hidden[place]))
        - price_units * math.log10(1 + item.price_minor / 100)
        for place, item in enumerate(world.items)
    )


def _banned(world: World, draw: random.Random) -> frozenset[int]:
    allergy = draw.choice(list(Allergen)) if draw.random() < ALLERGY_SHARE else None
    diet = draw.choice(list(Diet)) if draw.random() < DIET_SHARE else None
    return frozenset(
        place
        for place, item in enumerate(world.items)
        if allergy in item.allergens or (item.edible and diet is not None and diet not in item.suits)
    )
