"""The columns of the in-vehicle coupon set, and how each becomes numbers: a list of features of its own.

What a person is and where they drive each have columns of their own; so has how often they go to a place of the kind
that is offered, and so has every pair of what makes up a drive: the same bar is another offer after work with friends.

Set: Wang et al., "A Bayesian Framework for Learning Rule Sets", JMLR 18 (2017); UCI Machine Learning Repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

KINDS = ("Coffee House", "Restaurant(<20)", "Carry out & Take away", "Bar", "Restaurant(20-50)")
GROUPS = ("below 26", "26 to 40", "41 and above")

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "destination": ("No Urgent Place", "Home", "Work"),
    "passanger": ("Alone", "Friend(s)", "Partner", "Kid(s)"),
    "weather": ("Sunny", "Snowy", "Rainy"),
    "time": ("7AM", "10AM", "2PM", "6PM", "10PM"),
    "maritalStatus": ("Married partner", "Single", "Unmarried partner", "Divorced", "Widowed"),
    "occupation": (
        *("Architecture & Engineering", "Arts Design Entertainment Sports & Media"),
        *("Building & Grounds Cleaning & Maintenance",),
        *(
            "Business & Financial",
            "Community & Social Services",
            "Computer & Mathematical",
            "Construction & Extraction",
        ),
        *("Education&Training&Library", "Farming Fishing & Forestry", "Food Preparation & Serving Related"),
        *("Healthcare Practitioners & Technical", "Healthcare Support", "Installation Maintenance & Repair", "Legal"),
        *("Life Physical Social Science", "Management", "Office & Administrative Support", "Personal Care & Service"),
        *("Production Occupations", "Protective Service", "Retired", "Sales & Related", "Student"),
        *("Transportation & Material Moving", "Unemployed"),
    ),
}
_VENUES = ("Bar", "CoffeeHouse", "CarryAway", "RestaurantLessThan20", "Restaurant20To50")
_FREQUENCY = ("never", "less1", "1~3", "4~8", "gt8")
_ORDERED: Mapping[str, tuple[str, ...]] = {
    "temperature": ("30", "55", "80"),
    "expiration": ("2h", "1d"),
    "age": ("below21", "21", "26", "31", "36", "41", "46", "50plus"),
    "education": (
        *("Some High School", "High School Graduate", "Some college - no degree", "Associates degree"),
        *("Bachelors degree", "Graduate degree (Masters or Doctorate)"),
    ),
    "income": (
        *("Less than $12500", "$12500 - $24999", "$25000 - $37499", "$37500 - $49999", "$50000 - $62499"),
        *("$62500 - $74999", "$75000 - $87499", "$87500 - $99999", "$100000 or More"),
    ),
    **dict.fromkeys(_VENUES, _FREQUENCY),
}
_NO_YES = ("0", "1")
_FLAGS = ("has_children", "toCoupon_GEQ15min", "toCoupon_GEQ25min", "direction_same")
_VISITS = ("CoffeeHouse", "RestaurantLessThan20", "CarryAway", "Bar", "Restaurant20To50")  # of each kind, how often
_DRIVE: Mapping[str, tuple[str, ...]] = {
    **{name: _CHOICES[name] for name in ("destination", "passanger", "weather", "time")},
    **{name: _ORDERED[name] for name in ("temperature", "expiration")},
    **dict.fromkeys(("toCoupon_GEQ15min", "toCoupon_GEQ25min", "direction_same"), _NO_YES),
}
_PAIRS = tuple(combinations(_DRIVE, 2))
_PERSON = (
    *("gender", "age", "maritalStatus", "has_children", "education", "occupation", "income"),
    *_VENUES,
)

FEATURES: tuple[str, ...] = (
    *(f"{name}={value}" for name, values in _CHOICES.items() for value in values),
    *(f"{name}>={value}" for name, values in _ORDERED.items() for value in values[1:]),
    *_FLAGS,
    "gender=Male",
    "visits known",
    *(f"visits>={value}" for value in _FREQUENCY[1:]),
    *(f"{a}={x} {b}={y}" for a, b in _PAIRS for x in _DRIVE[a] for y in _DRIVE[b]),
)


def moment_of(row: Mapping[str, str]) -> list[float]:
    """(len(FEATURES),). An empty answer is in no place of its own. Raises KeyError, ValueError: of no known value."""
    found: list[float] = []
    for name, values in _CHOICES.items():
        found.extend(float(place == _place(row, name, values)) for place in range(len(values)))
    for name, values in _ORDERED.items():
        reached = _place(row, name, values)
        found.extend(float(place <= reached) for place in range(1, len(values)))
    found.extend(float(_place(row, name, _NO_YES)) for name in _FLAGS)
    found.append(float(_place(row, "gender", ("Female", "Male"))))
    kind = _place(row, "coupon", KINDS)
    visits = _place(row, _VISITS[kind], _FREQUENCY) if kind >= 0 else -1
    found.extend(float(place <= visits) for place in range(len(_FREQUENCY)))
    at = {name: _place(row, name, values) for name, values in _DRIVE.items()}
    for a, b in _PAIRS:
        found.extend(float((x, y) == (at[a], at[b])) for x in range(len(_DRIVE[a])) for y in range(len(_DRIVE[b])))
    return found


def group_of(row: Mapping[str, str]) -> int:
    """Of GROUPS, by age."""
    place = _place(row, "age", _ORDERED["age"])
    return 0 if place < 2 else 1 if place < 5 else 2


def person_of(row: Mapping[str, str]) -> str:
    """Who answered: the set has no ids, but everything about the person stands in each of their rows."""
    return "|".join(row[name] for name in _PERSON)


def kind_and_answer(row: Mapping[str, str]) -> tuple[int, int]:
    """The row of KINDS from 1, and 1 for taken. Raises KeyError, ValueError."""
    return _place(row, "coupon", KINDS) + 1, _place(row, "Y", _NO_YES)


def _place(row: Mapping[str, str], name: str, values: tuple[str, ...]) -> int:
    if row[name] == "":
        return -1
    if row[name] not in values:
        raise ValueError(f"{row[name]!r} in column {name}")
    return values.index(row[name])
