"""What a preference model is told: names, order, scale and version of every input, for training and for serving alike.

Three kinds of vectors, all float32 in [-1, 1]: one for each item of the catalogue, one for each thing that a guest did
or answered, one for the moment. `FEATURES_ID` is a digest of their names and of the version; a model carries the one it
was trained with, and is refused where it differs. What a guest switches off is zero here, as if it were not known.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from steward.domain.catalogue import DAY_MIN, Item, ItemId
from steward.domain.outlets import OutletKind
from steward.domain.profiles import AgeGroup

VERSION = 1  # raise it when the meaning of a value changes and its name does not
DTYPE = "float32"
HISTORY_LEN = 24  # the last things a guest did that a model looks at

# Codes are the ship's own, and a new one needs no training: each is three of these buckets, by its BLAKE2b hash. Two of
# a ship's fifty codes share one bucket now and then, and hardly ever all.
_CATEGORY_BUCKETS = 64
_TAG_BUCKETS = 64
_OUTLET_BUCKETS = 16
_HOUR_BINS = 8  # of three hours
_PRICE_DECADES = 4.0  # 10,000 of the currency's unit, and more, is 1
_AGE_DECADES = 4.0  # of hours: 10,000 hours ago is 1
_DAYS_SCALE = 14.0

Vector = tuple[float, ...]


class Deed(StrEnum):
    """What a guest did about an item, or answered."""

    TAKEN = "taken"  # an offer accepted, a thing bought, a place visited
    LIKED = "liked"
    NOT_NOW = "not_now"
    WRONG = "wrong"


class Company(StrEnum):
    """With whom, and what for, a guest is here this time: a context of the stay, not a kind of person."""

    ALONE = "alone"
    COUPLE = "couple"
    FAMILY = "family"
    FRIENDS = "friends"
    BUSINESS = "business"


class Weather(StrEnum):
    SUNNY = "sunny"
    CLOUDY = "cloudy"
    RAIN = "rain"
    ROUGH = "rough"  # wind or sea that keeps people inside


class Signal(StrEnum):
    """What of it a guest can switch off, one by one."""

    HISTORY = "history"  # what was taken and liked
    ANSWERS = "answers"  # what was refused or put off
    HOUR = "hour"  # of now, and of what was done before
    DAY = "day"  # day of the week and of the stay
    COMPANY = "company"
    WEATHER = "weather"
    PLACE = "place"  # the kind of outlet, and what was done before at this one
    HABIT = "habit"  # how often the guest has said yes


@dataclass(frozen=True, slots=True)
class Past:
    """One thing a guest did. `here`: at the outlet where something is to be offered now."""

    item: ItemId
    deed: Deed
    at_s: int
    minute: int | None  # of the ship's day; None: the guest has switched the hour off
    here: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, as far as it is known. Days count from 0; weekday 0 is Monday; None: not known."""

    now_s: int
    minute: int  # of the ship's day
    weekday: int
    place: OutletKind
    day_of_stay: int | None = None
    days_left: int | None = None
    in_port: bool | None = None
    company: Company | None = None
    weather: Weather | None = None
    shown: int = 0  # offers this stay
    accepted: int = 0
    off: frozenset[Signal] = field(default=frozenset())


def _names(prefix: str, values: Sequence[object]) -> tuple[str, ...]:
    return tuple(f"{prefix}={value}" for value in values)


ITEM_NAMES: tuple[str, ...] = (
    *_names("category", range(_CATEGORY_BUCKETS)),
    *_names("tag", range(_TAG_BUCKETS)),
    *_names("outlet", range(_OUTLET_BUCKETS)),
    *_names("open", range(_HOUR_BINS)),
    *("free", "log_price", "edible", "adult"),
)
PAST_NAMES: tuple[str, ...] = (*_names("deed", list(Deed)), "hour_sin", "hour_cos", "log_age", "here")
_MOMENT_PARTS: tuple[tuple[Signal, tuple[str, ...]], ...] = (
    (Signal.HOUR, ("hour_sin", "hour_cos", "half_hour_sin", "half_hour_cos")),
    (Signal.DAY, ("weekday_sin", "weekday_cos", "weekend", "stay_known", "day_of_stay", "days_left", "in_port")),
    (Signal.COMPANY, _names("company", list(Company))),
    (Signal.WEATHER, _names("weather", list(Weather))),
    (Signal.PLACE, _names("place", list(OutletKind))),
    (Signal.HABIT, ("shown", "accept_rate")),
)
MOMENT_NAMES: tuple[str, ...] = tuple(name for _, names in _MOMENT_PARTS for name in names)
FEATURES_ID = hashlib.sha256(
    "\n".join((f"{VERSION} {DTYPE} {HISTORY_LEN}", *ITEM_NAMES, "", *PAST_NAMES, "", *MOMENT_NAMES)).encode()
).hexdigest()


def _slices() -> Mapping[Signal, slice]:
    found, start = {}, 0
    for signal, names in _MOMENT_PARTS:
        found[signal] = slice(start, start + len(names))
        start += len(names)
    return found


MOMENT_SLICES: Mapping[Signal, slice] = _slices()  # where each signal of the moment is in its vector


def item_vector(item: Item) -> Vector:
    """(len(ITEM_NAMES),) of one item; the same whatever else the catalogue holds."""
    return (
        *_buckets("category", (item.category,), _CATEGORY_BUCKETS),
        *_buckets("tag", item.tags, _TAG_BUCKETS),
        *_buckets("outlet", (item.outlet,), _OUTLET_BUCKETS),
        *_open_hours(item),
        float(item.price_minor == 0),
        min(1.0, math.log10(1 + item.price_minor / 100) / _PRICE_DECADES),
        float(item.edible),
        float(item.min_age_group is AgeGroup.ADULT),
    )


def past_vector(past: Past, now_s: int) -> Vector:
    """(len(PAST_NAMES),) of one thing done. What lies in the future, after a clock was set back, counts as now."""
    hours = max(0, now_s - past.at_s) / 3600
    return (
        *_one_hot(list(Deed).index(past.deed), len(Deed)),
        *((0.0, 0.0) if past.minute is None else _circle(past.minute / DAY_MIN)),
        min(1.0, math.log10(1 + hours) / _AGE_DECADES),
        float(past.here),
    )


def moment_vector(moment: Moment) -> Vector:
    """(len(MOMENT_NAMES),) of now; what is switched off, or not known, is zero."""
    known = moment.day_of_stay is not None
    parts: Mapping[Signal, Vector] = {
        Signal.HOUR: (*_circle(moment.minute / DAY_MIN), *_circle(2 * moment.minute / DAY_MIN)),
        Signal.DAY: (
            *_circle(moment.weekday / 7),
            float(moment.weekday >= 5),
            float(known),
            min(1.0, (moment.day_of_stay or 0) / _DAYS_SCALE),
            min(1.0, (moment.days_left or 0) / _DAYS_SCALE),
            float(moment.in_port or False),
        ),
        Signal.COMPANY: _choice(moment.company, list(Company)),
        Signal.WEATHER: _choice(moment.weather, list(Weather)),
        Signal.PLACE: _choice(moment.place, list(OutletKind)),
        Signal.HABIT: (min(1.0, moment.shown / 20), (moment.accepted + 1) / (moment.shown + 4)),
    }
    return tuple(
        value
        for signal, names in _MOMENT_PARTS
        for value in (parts[signal] if signal not in moment.off else (0.0,) * len(names))
    )


def visible_past(history: Sequence[Past], off: frozenset[Signal]) -> tuple[Past, ...]:
    """The last HISTORY_LEN things done, oldest first, without what is switched off: deeds, their hours, their place."""
    kept = [past for past in history if signal_of(past.deed) not in off][-HISTORY_LEN:]
    if Signal.HOUR in off:
        kept = [replace(past, minute=None) for past in kept]
    if Signal.PLACE in off:
        kept = [replace(past, here=False) for past in kept]
    return tuple(kept)


def signal_of(deed: Deed) -> Signal:
    """Which switch a thing done is under."""
    return Signal.ANSWERS if deed in (Deed.NOT_NOW, Deed.WRONG) else Signal.HISTORY


def _buckets(kind: str, codes: Sequence[str], count: int) -> Vector:
    digests = [hashlib.blake2b(f"{kind}:{code}".encode(), digest_size=3).digest() for code in codes]
    held = {byte % count for digest in digests for byte in digest}
    return tuple(float(number in held) for number in range(count))


def _one_hot(place: int, count: int) -> Vector:
    return tuple(float(place == number) for number in range(count))


def _choice(value: StrEnum | None, values: Sequence[StrEnum]) -> Vector:
    return tuple(float(value == each) for each in values)


def _circle(turn: float) -> tuple[float, float]:
    return math.sin(2 * math.pi * turn), math.cos(2 * math.pi * turn)


def _open_hours(item: Item) -> Vector:
    """The part of each three hours of the day in which the item is to be had."""
    width = DAY_MIN // _HOUR_BINS
    step = 15
    return tuple(
        sum(item.is_open(minute) for minute in range(start, start + width, step)) / (width // step)
        for start in range(0, DAY_MIN, width)
    )
