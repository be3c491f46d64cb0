"""What is known of now besides the clock: the weather as somebody told it, calls at ports, company of a stay. Pure.

What is not known is None, and nothing is guessed. Weather that nobody has told again for some hours is not known any
more. Outside the first and the last call of the itinerary it is not known whether the ship is in port.

Company is what the booking says. Where it says nothing, the age groups in a guest's cabin tell a family, and a guest
who has the cabin alone; two or more adults may be anything to each other, which is theirs to say and never derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from steward.domain.features import Company, Weather
from steward.domain.ids import GuestRef

WEATHER_HOURS = 6  # how long weather is believed if nothing else is said
WEATHER_HOURS_MAX = 24
WEATHER_KEPT = 5000  # words: several years of them
PORT_CALLS_MAX = 200
PORT_NAME_MAX = 40
CALL_S_MAX = 30 * 86_400
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class WeatherWord:
    """What somebody aboard said of the weather. weather None: that it is not known any more."""

    weather: Weather | None
    said_s: int
    until_s: int


@dataclass(frozen=True, slots=True)
class PortCall:
    """The ship lies in this port, from the first second to the last."""

    port: str
    from_s: int
    to_s: int


@dataclass(frozen=True, slots=True)
class PortCalls:
    """The itinerary, in order of time. version: counts the changes of it; 0: there is none."""

    version: int = 0
    calls: tuple[PortCall, ...] = ()


@dataclass(frozen=True, slots=True)
class StayCompany:
    """With whom, and what for, the booking says that a guest is here. None: it does not say."""

    guest: GuestRef
    company: Company | None


def weather_said(weather: Weather | None, hours: int, now_s: int) -> WeatherWord:
    """Raises ValueError."""
    if not 1 <= hours <= WEATHER_HOURS_MAX:
        raise ValueError(f"weather holds for 1 to {WEATHER_HOURS_MAX} hours")
    return WeatherWord(weather, now_s, now_s + hours * _HOUR_S)


def weather_now(word: WeatherWord | None, now_s: int) -> Weather | None:
    """word: the last that was said by now."""
    return word.weather if word is not None and word.said_s <= now_s < word.until_s else None


def in_port(calls: Sequence[PortCall], now_s: int) -> bool | None:
    """None: the itinerary does not reach to this moment."""
    if not calls or not calls[0].from_s <= now_s <= calls[-1].to_s:
        return None
    return any(call.from_s <= now_s <= call.to_s for call in calls)


def port_calls_problem(calls: Sequence[PortCall]) -> str | None:
    """What cannot be, by the number of its call; None if all is well."""
    if len(calls) > PORT_CALLS_MAX:
        return f"{len(calls)} calls, at most {PORT_CALLS_MAX} are possible: leave out those that are over"
    for number, call in enumerate(calls, 1):
        if not 0 < len(call.port) <= PORT_NAME_MAX or not call.port.isprintable():
            return f"call {number}: the port's name has 1 to {PORT_NAME_MAX} printable characters"
        if not 0 <= call.from_s < call.to_s <= call.from_s + CALL_S_MAX:
            return f"call {number}: it ends before it begins, or after more than {CALL_S_MAX // 86_400} days"
    for number, (before, after) in enumerate(pairwise(calls), 2):
        if after.from_s <= before.to_s:
            return f"call {number}: it begins before call {number - 1} has ended: give them in order of time"
    return None


def company_now(told: Company | None, child: bool, mates: Sequence[bool] | None) -> Company | None:
    """told: by the booking. child, mates: whether the guest, and each other in the cabin, is a child; None: not known.

    A child alone in a cabin is somebody's, and nothing is made of it.
    """
    if told is not None or mates is None:
        return told
    if any((child, *mates)):
        return Company.FAMILY if mates else None
    return None if mates else Company.ALONE
