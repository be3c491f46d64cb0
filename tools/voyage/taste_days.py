"""What made-up guests do on made-up voyages, as deeds with their moments, and what they were offered. Seeded, pure.

A guest chooses among what is open by a softmax of: popularity, likes, hour and weather, what the last thing leads to,
and how tired they are of it. The draw itself is the noise that no model can explain: the true chances are kept with
each choice, so that the best possible ranker is known. Assumptions beside those of taste_world and taste_guests:

Voyages    of 4 to 14 nights; somewhat more than half of the days between are in port, and then people are ashore
           from morning to afternoon and do a third as much aboard. Weather is that of the day before in six of ten.
           Each voyage has its own luck with its venues (0.3 units). One voyage in five has no weather in its data.
Offers     are made to a third of those who have just got something, at that outlet, of what else is open there and
           was neither offered in the last 20 hours nor called wrong; at most six a day, as aboard.
           Which one: softmax of popularity and hour at 0.8, which knows nothing of the guest. Its propensity is logged.
Answers    a yes is likelier the more the offer is wanted at that moment, and less with each offer of the day; set so
           that about three in ten are taken. Others say not now, or wrong if they dislike it, or one in four nothing.
Liked      is said of one in eight things that the guest likes much, half an hour later.
"""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from steward.domain.catalogue import ItemId
from steward.domain.features import Company, Deed, Moment, Weather
from steward.domain.offers import ASK_AGAIN_AFTER_S, OFFERS_A_DAY_MAX, PPM, OfferState
from steward.domain.pastexport import DeedLine, Shown
from steward.domain.pasts import DEED_OF, ShipDay, moment_at
from voyage.taste_guests import LATE_LANGUAGE, LATE_SLOTS, Person, Traveller, make_traveller
from voyage.taste_world import KINDS, LAND, SLOT_MIN, SLOTS, TIRED, World, make_world

FIRST_DAY = 20_454  # of unix time: the first voyage leaves on 2026-01-01
DAY_S = 86_400
DAY = ShipDay(4, 0)
SOURCE = "simulated by voyage tastes"
RANKER = "popularity softmax 1"

GUESTS_A_VOYAGE = 150
NIGHTS = (4, 7, 7, 7, 10, 14)
PORT_SHARE = 0.55
SAME_WEATHER = 0.6
WEATHER_UNKNOWN = 0.2
LUCK_SD = 0.3
LEADS_TO_S = 3 * 3600
ASHORE_S = 5 * 3600
OFFER_SHARE, POLICY_SHARPNESS = 0.35, 0.8
ANSWER_SHARPNESS, ANSWER_BAR, ANSWER_TIRED = 0.9, 0.6, 0.12
WRONG_BELOW, SILENT_SHARE = -1.8, 0.25
LIKED_ABOVE, LIKED_SHARE, LIKED_AFTER_S = 1.2, 1 / 8, 1800
_TIRED_DEFAULT = (1.0, 1.0, 8.0)
_OTHER_WEATHER: Mapping[Weather, float] = {
    Weather.SUNNY: 0.4,
    Weather.CLOUDY: 0.3,
    Weather.RAIN: 0.2,
    Weather.ROUGH: 0.1,
}

# How much is done in each half hour, from midnight; by hour it is the mean of its two.
_BUSY: Sequence[float] = [
    *(0.5, 0.4, 0.3, 0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.1, 0.5, 1.0, 1.6, 1.6, 1.4, 1.2, 1.0, 1.0, 1.0, 1.1),
    *(1.4, 1.7, 1.7, 1.4, 1.2, 1.2, 1.3, 1.3, 1.2, 1.2, 1.2, 1.2, 1.4, 1.7, 2.0, 2.0, 1.8, 1.7, 1.5, 1.3),
    *(1.1, 1.0, 0.8, 0.6),
]
_LATER: Mapping[Company, int] = {Company.FRIENDS: 2, Company.FAMILY: -1}  # half hours
_BUSINESS_HOURS = range(18, 34)  # half hours in which they work
_ASHORE_SLOTS = range(20, 33)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, among what, with which weights: the truth that no file holds. Places in World.items."""

    chosen: int
    among: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stay:
    """One guest's voyage. guest: as the deeds name them. choices: for each deed of their own choosing, in order."""

    guest: str
    person: Person
    deeds: tuple[DeedLine, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Voyage:
    number: int
    first_day: int
    weather: tuple[Weather, ...]  # by day
    in_port: tuple[bool, ...]
    luck: tuple[float, ...]  # by item
    weather_known: bool

    @property
    def stay_s(self) -> tuple[int, int]:
        """From noon to the last morning at ten."""
        return self.first_day * DAY_S + 12 * 3600, (self.first_day + len(self.weather) - 1) * DAY_S + 10 * 3600


def make_fleet(seed: int, ships: int, guests: int) -> Iterator[Stay]:
    """The stays of so many guests on each of so many ships, seeds from `seed` on, each after the last one's days.

    Split by time, those who are measured are of ships that nothing was learnt from.
    """
    first_day = FIRST_DAY
    for ship in range(ships):
        last_s = first_day * DAY_S
        for stay in make_stays(make_world(seed + ship), seed + ship, guests, first=ship * guests, first_day=first_day):
            last_s = max([last_s, *(deed.moment.now_s for deed in stay.deeds)])
            yield stay
        first_day = last_s // DAY_S + 1


def make_stays(
    world: World,
    seed: int,
    guests: int,
    sharpness: float = POLICY_SHARPNESS,
    *,
    first: int = 0,
    first_day: int = FIRST_DAY,
) -> Iterator[Stay]:
    """The stays of so many guests, voyage after voyage. The first guests are the same however many follow.

    first, first_day: number of the first guest, and when the first voyage leaves.
    sharpness: of the policy that chooses what is offered; 0 offers anything alike. With another one than the logged
    days had, these are the truth that an off-policy estimate from the logged days is to come near.
    """
    number, voyage = first, 0
    while number < first + guests:
        made = make_voyage(world, seed, voyage, first_day)
        for _ in range(min(GUESTS_A_VOYAGE, first + guests - number)):
            yield _Days(world, made, make_traveller(world, seed, number), seed, sharpness).live()
            number += 1
        first_day, voyage = first_day + len(made.weather), voyage + 1


def make_voyage(world: World, seed: int, number: int, first_day: int) -> Voyage:
    draw = random.Random(f"voyage {seed} {number}")
    days = draw.choice(NIGHTS) + 1
    weather = [_weather(draw)]
    while len(weather) < days:
        weather.append(weather[-1] if draw.random() < SAME_WEATHER else _weather(draw))
    return Voyage(
        number=number,
        first_day=first_day,
        weather=tuple(weather),
        in_port=tuple(0 < day < days - 1 and draw.random() < PORT_SHARE for day in range(days)),
        luck=tuple(draw.gauss(0, LUCK_SD) for _ in world.items),
        weather_known=draw.random() >= WEATHER_UNKNOWN,
    )


def _weather(draw: random.Random) -> Weather:
    return draw.choices(list(_OTHER_WEATHER), list(_OTHER_WEATHER.values()))[0]


@dataclass(slots=True)
class _Memory:
    """What the guest has done and heard so far."""

    done: dict[int, int] = field(default_factory=dict)  # item -> when last
    done_of: dict[str, int] = field(default_factory=dict)  # category -> when last
    last: int | None = None
    offered: dict[int, int] = field(default_factory=dict)
    wrong: set[int] = field(default_factory=set)
    offered_today: int = 0
    shown: int = 0
    accepted: int = 0


class _Days:
    """One guest living through one voyage."""

    def __init__(self, world: World, voyage: Voyage, guest: Traveller, seed: int, sharpness: float) -> None:
        self._world = world
        self._voyage = voyage
        self._guest = guest
        self._name = f"{guest.number:016x}"
        self._sharpness = sharpness
        self._draw = random.Random(f"days {seed} {guest.number}")
        self._memory = _Memory()
        self._likes: list[float] = []
        self._base: list[float] = []
        self._deeds: list[DeedLine] = []
        self._choices: list[Choice] = []

    def live(self) -> Stay:
        for day in range(len(self._voyage.weather)):
            self._wake_up()
            busy_until_s = 0
            for at_s in self._times(day):
                if at_s >= busy_until_s:
                    busy_until_s = self._do(day, at_s)
            self._guest.drift(self._draw)
        deeds = tuple(sorted(self._deeds, key=lambda deed: deed.moment.now_s))
        return Stay(self._name, self._guest.person, deeds, tuple(self._choices))

    def _wake_up(self) -> None:
        self._memory.offered_today = 0
        self._likes = self._guest.likes(self._world)
        world, voyage = self._world, self._voyage
        self._base = [a + b + c for a, b, c in zip(self._likes, world.popularity, voyage.luck, strict=True)]

    def _times(self, day: int) -> list[int]:
        """When the guest does something on this day, to the second; from four in the morning on."""
        in_port = self._voyage.in_port[day]
        weights = _busy(self._guest.person, in_port)
        share = sum(weights) / sum(_BUSY)
        count = max(0, round(self._draw.gauss(self._guest.pace * share, 1.3)))
        from_s, to_s = self._voyage.stay_s
        times = set()
        for slot in self._draw.choices(range(SLOTS), weights, k=count):
            minute = slot * SLOT_MIN + self._draw.randrange(SLOT_MIN)
            night = minute < DAY.start_hour * 60
            at_s = (self._voyage.first_day + day + night) * DAY_S + minute * 60 + self._draw.randrange(60)
            if from_s <= at_s <= to_s:
                times.add(at_s)
        return sorted(times)

    def _do(self, day: int, at_s: int) -> int:
        """Choose something, and hear an offer perhaps; returns until when the guest is busy."""
        slot = DAY.minute(at_s) // SLOT_MIN
        among = self._world.open_at[self._voyage.in_port[day]][slot]
        units = self._units(day, slot, at_s, among)
        weights = [math.exp(each) for each in units]
        if not any(weights):
            return at_s
        place = among[_drawn(self._draw, weights)]
        self._choices.append(Choice(place, among, tuple(weights)))
        self._deeds.append(self._line(place, Deed.TAKEN, self._moment(day, at_s, place)))
        self._remember(place, at_s)
        self._say_liked(day, at_s, place)
        if LAND in self._world.items[place].tags:
            return at_s + ASHORE_S
        if self._memory.offered_today < OFFERS_A_DAY_MAX and self._draw.random() < OFFER_SHARE:
            self._offer(day, slot, at_s + 60, place)
        return at_s + 180

    def _units(self, day: int, slot: int, at_s: int, among: Sequence[int]) -> list[float]:
        """How much each of these is wanted now."""
        base, wanted = self._base, self._world.wanted[self._voyage.weather[day]][slot]
        memory = self._memory
        last = memory.last
        if last is not None and at_s - memory.done[last] <= LEADS_TO_S:
            follows = self._world.follows[last]
            units = [base[i] + wanted[i] + follows[i] for i in among]
        else:
            units = [base[i] + wanted[i] for i in among]
        items, tired = self._world.items, self._tired(at_s)
        for index, place in enumerate(among):
            units[index] -= tired.get(items[place].category, 0.0)
            if place in memory.done:
                of_it, _, span_s = _tiring(items[place].category)
                units[index] -= of_it * math.exp((memory.done[place] - at_s) / span_s)
        return units

    def _tired(self, at_s: int) -> dict[str, float]:
        """Of each category that the guest has had."""
        tired = {}
        for category, when_s in self._memory.done_of.items():
            _, of_kind, span_s = _tiring(category)
            tired[category] = of_kind * math.exp((when_s - at_s) / span_s)
        return tired

    def _remember(self, place: int, at_s: int) -> None:
        self._memory.done[place] = self._memory.done_of[self._world.items[place].category] = at_s
        self._memory.last = place

    def _say_liked(self, day: int, at_s: int, place: int) -> None:
        if self._likes[place] > LIKED_ABOVE and self._draw.random() < LIKED_SHARE:
            self._deeds.append(self._line(place, Deed.LIKED, self._moment(day, at_s + LIKED_AFTER_S, place)))

    def _offer(self, day: int, slot: int, at_s: int, bought: int) -> None:
        """Something else of the outlet where the guest is, chosen by a policy that does not know them."""
        here, memory = self._world.items[bought].outlet, self._memory
        among = [
            place
            for place in self._world.open_at[self._voyage.in_port[day]][slot]
            if self._world.items[place].outlet == here
            and place not in self._guest.banned
            and place not in memory.wrong
            and place != bought
            and at_s - memory.offered.get(place, at_s - ASK_AGAIN_AFTER_S) >= ASK_AGAIN_AFTER_S
        ]
        if not among:
            return
        popular, wanted = self._world.popularity, self._world.wanted[Weather.CLOUDY][slot]
        weights = [math.exp(self._sharpness * (popular[place] + wanted[place])) for place in among]
        index = _drawn(self._draw, weights)
        place = among[index]
        outcome = self._answer(place, self._units(day, slot, at_s, [place])[0])
        propensity_ppm = max(1, round(PPM * weights[index] / sum(weights)))
        shown = Shown(propensity_ppm, tuple(self._world.items[each].id for each in among), outcome, RANKER)
        self._deeds.append(self._line(place, DEED_OF[outcome], self._moment(day, at_s, place), shown))
        memory.shown += 1
        memory.offered_today += 1
        memory.offered[place] = at_s
        if outcome is OfferState.ACCEPTED:
            memory.accepted += 1
            self._remember(place, at_s)
        elif outcome is OfferState.WRONG:
            memory.wrong.add(place)

    def _answer(self, place: int, units: float) -> OfferState:
        tired = ANSWER_TIRED * self._memory.offered_today
        if self._draw.random() < _chance(ANSWER_SHARPNESS * (units - ANSWER_BAR) + self._guest.yes - tired):
            return OfferState.ACCEPTED
        if self._draw.random() < SILENT_SHARE:
            return OfferState.SHOWN
        return OfferState.WRONG if self._likes[place] < WRONG_BELOW else OfferState.DEFERRED

    def _line(self, place: int, deed: Deed | None, moment: Moment, offer: Shown | None = None) -> DeedLine:
        return DeedLine(self._name, ItemId(self._world.items[place].id), deed, moment, offer)

    def _moment(self, day: int, at_s: int, place: int) -> Moment:
        voyage, guest = self._voyage, self._guest
        return moment_at(
            at_s,
            DAY,
            KINDS[self._world.items[place].outlet],
            voyage.stay_s,
            shown=self._memory.shown,
            accepted=self._memory.accepted,
            in_port=voyage.in_port[day],
            company=guest.person.company if guest.told else None,
            weather=voyage.weather[day] if voyage.weather_known else None,
        )


def _busy(person: Person, in_port: bool) -> list[float]:
    later = _LATER.get(person.company, 0) + (LATE_SLOTS if person.language == LATE_LANGUAGE else 0)
    weights = [_BUSY[(slot - later) % SLOTS] for slot in range(SLOTS)]
    if person.company is Company.BUSINESS:
        weights = [weight * (0.4 if slot in _BUSINESS_HOURS else 1.0) for slot, weight in enumerate(weights)]
    if in_port:
        weights = [weight / 3 if slot in _ASHORE_SLOTS else weight for slot, weight in enumerate(weights)]
    return weights


def _tiring(category: str) -> tuple[float, float, float]:
    """Units for the thing itself and for its kind, and the seconds in which they wear off to a third."""
    of_it, of_kind, hours = TIRED.get(category, _TIRED_DEFAULT)
    return of_it, of_kind, hours * 3600


def _drawn(draw: random.Random, weights: Sequence[float]) -> int:
    """An index, each as likely as its weight; never one of weight 0."""
    sums = list(accumulate(weights))
    return bisect(sums, draw.random() * sums[-1])


def _chance(units: float) -> float:
    return 1 / (1 + math.exp(-units))
