"""Made-up guests: what each of them likes, with whom they travel, how much they do. Assumptions, nothing measured.

Company          38 % couples, 28 % with family, 15 % with friends, 12 % alone, 7 % on business: a mixed ship.
Interests        normal around what the company shifts, 0.7 units wide, and they move by 0.12 units a day, for variety.
Price            half of the guests mind it: up to 1.2 units less for ten times the price.
Allergies, diet  one in seven has an allergy, one in eight a diet; what is against it is never chosen, nor offered.
Saying yes       some agree to offers more readily than others do (0.6 units), whatever the offer.
Told             seven in ten have said with whom they travel; of the others it is not known.
Age              four bands, by company; they shift interests, and the oldest do a fifth less on a day.
Language         the ship speaks the first of four; who speaks another is less drawn to talks, shows and books, and
                 those of the last dine and go out an hour later.
No line of deeds tells age or language, and no model learns from them: they are there to measure by group (`Person`).
Everybody is an adult: what a child does is exported only by a parent's choice, and none is made up here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
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


class Age(StrEnum):
    YOUNG = "18-29"
    MIDDLE = "30-49"
    OLDER = "50-64"
    OLD = "65+"


# company -> share of each age
AGES: Mapping[Company, tuple[float, ...]] = {
    Company.ALONE: (0.20, 0.25, 0.25, 0.30),
    Company.COUPLE: (0.15, 0.25, 0.30, 0.30),
    Company.FAMILY: (0.05, 0.65, 0.20, 0.10),
    Company.FRIENDS: (0.35, 0.25, 0.20, 0.20),
    Company.BUSINESS: (0.15, 0.50, 0.33, 0.02),
}
AGE_SHIFTS: Mapping[Age, tuple[float, ...]] = {  # of each interest
    Age.YOUNG: (-0.2, 0.3, -0.4, 0.6, -0.3, 0.2),
    Age.MIDDLE: (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    Age.OLDER: (0.3, 0.0, 0.1, -0.1, 0.3, 0.0),
    Age.OLD: (0.2, -0.6, 0.5, -0.5, 0.4, 0.1),
}
AGE_PACE: Mapping[Age, float] = {Age.OLD: 0.8}
LANGUAGES: Mapping[str, float] = {"en": 0.45, "de": 0.25, "no": 0.18, "es": 0.12}  # share; the ship's own first
FOREIGN: Mapping[str, float] = {"learning": -0.8, "culture": -0.4}  # tags, for who speaks another
LATE_LANGUAGE, LATE_SLOTS = "es", 2


@dataclass(frozen=True, slots=True)
class Person:
    """Of which groups a guest is: for measuring, and in no line of deeds."""

    company: Company
    age: Age
    language: str


@dataclass(slots=True)
class Traveller:
    """One guest for one stay. interests move from day to day; all else stays."""

    number: int
    person: Person
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
    person = _person(company, random.Random(f"person {seed} {number}"))
    banned = _banned(world, draw)
    shifts = [one + other for one, other in zip(COMPANY[company][0], AGE_SHIFTS[person.age], strict=True)]
    own = dict(COMPANY[company][1])
    for tag, units in (FOREIGN if person.language != next(iter(LANGUAGES)) else {}).items():
        own[tag] = own.get(tag, 0.0) + units
    return Traveller(
        number=number,
        person=person,
        told=draw.random() < TOLD_SHARE,
        interests=[draw.gauss(shift, INTEREST_SD) for shift in shifts],
        fixed=_fixed(world, own, banned, draw),
        banned=banned,
        pace=max(2.0, draw.gauss(PACE_MEAN, PACE_SD) * AGE_PACE.get(person.age, 1.0)),
        yes=draw.gauss(0, YES_SD),
    )


def _person(company: Company, draw: random.Random) -> Person:
    """Drawn apart, so that all else about the guest is drawn as it ever was."""
    age = draw.choices(list(Age), AGES[company])[0]
    return Person(company, age, draw.choices(list(LANGUAGES), list(LANGUAGES.values()))[0])


def _fixed(
    world: World, units_of: Mapping[str, float], banned: frozenset[int], draw: random.Random
) -> tuple[float, ...]:
    tags = sorted({tag for item in world.items for tag in item.tags})
    own = {tag: units_of.get(tag, 0.0) + draw.gauss(0, FREE_SD) for tag in tags}
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
